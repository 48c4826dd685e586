"""The cells that are compiled."""

import gatewright as gw

KINDS = ["RNN", "RNN relu", "LSTM", "GRU", "GRU before"]


def recurrent(kind, features, size, **more):
    """A layer of a kind."""
    if kind == "RNN relu":
        return gw.RNN(features, size, activation="relu", **more)
    if kind == "GRU before":
        return gw.GRU(features, size, reset_after=False, **more)
    return getattr(gw, kind)(features, size, **more)
