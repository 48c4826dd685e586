"""The mathematics: one file a cell, forward above backward, in plain NumPy.

Every cell is a module with the same names. `Weights` are its arrays (an absent one is None), `State` is what goes from step
to step, `Options` are its choices. Both functions work on a dense rectangle, time major, forward in time:

    forward(x, weights, state, options, keep=None) -> Cache
    backward(cache, weights, options, dsteps, dstate) -> Gradients

`dsteps` is a State of gradients `(T, B, H)` of the states after every step (an LSTM's c: None where nobody used it), `dstate`
a State of gradients `(B, H)` of the final state. `cache.states` is a State of `(T + 1, B, H)`, the initial one first.
`keep` is what recurrent dropout leaves of the hidden state on its way to U: see dropped.py.
"""

from gatewright.cells import gru, lstm, lstm_variants, rnn

__all__ = ["gru", "lstm", "lstm_variants", "rnn"]
