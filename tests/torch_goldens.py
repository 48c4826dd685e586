"""PyTorch's networks for the tests: what golden/record_torch_networks.py recorded, and how each is read."""

import goldens

import gatewright as gw

GOLDEN = goldens.load("torch_networks")
SINGLE = [case for case, (about, _) in GOLDEN.items() if about["kind"] != "network"]
F, H = 3, 4
NETWORKS = {
    "tagger": ["lstm", "fc"],
    "words": [
        ("embed", gw.Embedding(9, F)),
        "gru",
        ("norm", gw.LayerNorm(H, epsilon=1e-3)),
        gw.Dropout(0.5),
        ("head.0", gw.Dense(H, H, "relu")),
        ("head.2", gw.Dense(H, 2, bias=False)),
    ],
    "waves": [
        ("conv", gw.Conv1D(F, H, 4, stride=2, activation="relu")),
        "norm",
        ("past", gw.Conv1D(H, 6, 2, padding="causal", dilation=3, groups=2, activation="tanh", bias=False)),
        "gru",
    ],
    "letters": [
        ("embed", gw.Embedding(9, F)),
        ("past", gw.Conv1D(F, 6, 3, stride=2, padding="causal", dilation=2, groups=3, activation="tanh", bias=False)),
        ("norm", gw.BatchNorm(6, epsilon=1e-3)),
        ("scale", gw.LayerNorm(6, epsilon=1e-2)),
        gw.Dropout(0.25),
        ("rnn", gw.RNN(6, H, activation="relu", return_sequences=False)),
        ("fc", gw.Dense(H, 2, bias=False)),
    ],
    "last": [("rnn", gw.RNN(F, H, activation="relu", return_sequences=False)), "fc"],
}


def state_dict(case):
    """What net.state_dict() held."""
    return {name.removeprefix("net."): a for name, a in GOLDEN[case][1].items() if name.startswith("net.")}


def read(case, source=None, **options):
    """The model of a case."""
    if case in NETWORKS:
        options["layers"] = NETWORKS[case]
    relu = {"activation": "relu"} if "relu" in case else {}
    return gw.from_pytorch(state_dict(case) if source is None else source, **relu, **options)
