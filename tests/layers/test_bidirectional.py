"""Bidirectional: every merge, two different layers, dead steps and starts, states and gradients."""

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_checks import arrays_of, backward, draw_params, draw_state, worst_error
from strategies import as_lists, ragged_steps

from gatewright import layers
from gatewright.errors import OptionError, ShapeError

MERGES = ("concat", "sum", "mul", "ave")
NAMES = {layers.RNN: "rnn", layers.LSTM: "lstm", layers.GRU: "gru"}


def by_oracle(layer, params, x, state, steps):
    """Each layer on its own, the backward one over every segment turned round, and merged."""
    outputs, finals = [], []
    for k, (prefix, inner) in enumerate((("forward.", layer.layer), ("backward.", layer.backward_layer))):
        weights = [
            [{n.removeprefix(p): a.tolist() for n, a in params.items() if n.startswith(p)}]
            for p in ([prefix] if inner.num_layers == 1 else [f"{prefix}layer{i}." for i in range(inner.num_layers)])
        ]
        words = {"return_sequences": inner.return_sequences, "go_backwards": bool(k), "masked_output": "zero"}
        handed = None if state is None else [a.tolist() for a in state[k]]
        steps_words = as_lists(steps)
        y, final = oracle.recurrent(NAMES[type(inner)], x.tolist(), weights, words, handed, **steps_words)
        if k and inner.return_sequences:
            y = aligned(y, x.shape, steps_words)
        outputs.append(y)
        finals += final
    return (oracle.merge(outputs, layer.merge) if len(x) else []), finals


def aligned(y, shape, words):
    """Outputs in the order of processing put back where their steps stand."""
    batch, time, _ = shape
    live = oracle.live_steps(batch, time, words["lengths"], words["mask"])
    out = []
    for b in range(batch):
        parts = oracle.segments(live[b], words["starts"] and words["starts"][b])
        order = [t for part in parts for t in part[::-1]]
        row = [[0.0] * len(step) for step in y[b]]
        for place, t in enumerate(order):
            row[t] = y[b][place]
        out.append(row)
    return out


@st.composite
def cases(draw):
    """(layer, B, T, Steps, whether a state is given, seed)."""
    options = {"return_sequences": draw(st.booleans()), "num_layers": draw(st.integers(1, 2))}
    kinds = st.sampled_from([layers.RNN, layers.LSTM, layers.GRU])
    first, merge = draw(kinds)(2, 3, **options), draw(st.sampled_from(MERGES))
    other = draw(st.none() | kinds)
    second = other and other(2, 3, return_sequences=options["return_sequences"], activation="tanh")
    return (
        layers.Bidirectional(first, merge, backward_layer=second),
        *draw(ragged_steps()),
        draw(st.booleans()),
        draw(st.integers(0, 999)),
    )


@given(cases())
def test_unequal_rows(case):
    layer, batch, time, steps, given_state, seed = case
    rng = np.random.default_rng(seed)
    params, state = draw_params(layer, rng), draw_state(layer, batch, rng) if given_state else None
    x = np.where(steps.live(batch, time)[..., None], rng.standard_normal((batch, time, 2)), np.nan)
    y, final, _ = layer.forward(params, x, state, steps=steps)
    wanted, wanted_final = by_oracle(layer, params, x, state, steps)
    assert y.shape == layer.shape_out(x.shape)
    for got, want in zip([y, *arrays_of(final)], [wanted, *wanted_final], strict=True):
        if got.size:
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    gradients, _, _ = backward(layer, params, x, state, steps)
    assert not gradients["x"][~steps.live(batch, time)].any()
    assert worst_error(layer, params, x, state, steps, seed=seed, nothing_zero=False) < 1e-10


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("sequences", [True, False])
def test_gradients(merge, sequences):
    rng = np.random.default_rng(0)
    layer = layers.Bidirectional(layers.LSTM(3, 4, return_sequences=sequences), merge)
    params, state, x = draw_params(layer, rng), draw_state(layer, 2, rng), rng.standard_normal((2, 5, 3))
    assert worst_error(layer, params, x, state, directions=3) < 1e-10


def test_a_different_layer_each_way():
    rng = np.random.default_rng(0)
    layer = layers.Bidirectional(layers.LSTM(3, 4), backward_layer=layers.GRU(3, 2))
    params, state, x = draw_params(layer, rng), draw_state(layer, 2, rng), rng.standard_normal((2, 5, 3))
    assert layer.shape_out(x.shape) == (2, 5, 6)
    assert [a.shape for a in arrays_of(state)] == [(1, 2, 4), (1, 2, 4), (1, 2, 2)]
    assert worst_error(layer, params, x, state) < 1e-10


def test_equals_the_option_of_the_layer():
    """Bidirectional(LSTM) and LSTM(bidirectional=True) are one thing with one set of names."""
    rng = np.random.default_rng(0)
    outer, inner = layers.Bidirectional(layers.LSTM(3, 4)), layers.LSTM(3, 4, bidirectional=True)
    params, x = draw_params(outer, rng), rng.standard_normal((2, 5, 3))
    assert outer.init(rng).shapes == inner.init(rng).shapes
    np.testing.assert_allclose(outer.forward(params, x)[0], inner.forward(params, x)[0], rtol=0, atol=1e-15)


def test_refusals():
    plain = layers.LSTM(2, 3)
    with pytest.raises(OptionError, match="merge='max' is unknown; known: 'concat', 'sum', 'mul', 'ave'"):
        layers.Bidirectional(plain, "max")
    with pytest.raises(OptionError, match=r"wanted gw.RNN, gw.LSTM or gw.GRU"):
        layers.Bidirectional(layers.Dense(2, 3))
    for option in ("bidirectional", "go_backwards", "return_state_sequence"):
        with pytest.raises(OptionError, match=option):
            layers.Bidirectional(plain.replace(**{option: True}))
    with pytest.raises(OptionError, match="masked_output"):
        layers.Bidirectional(plain.replace(masked_output="repeat"))
    for other in (layers.LSTM(2, 4), layers.LSTM(2, 3, return_sequences=False)):
        with pytest.raises(ShapeError, match="merge='sum' can't join"):
            layers.Bidirectional(plain, "sum", backward_layer=other)
    with pytest.raises(ShapeError, match="wanted"):
        layers.Bidirectional(plain, backward_layer=layers.LSTM(5, 3))
    assert "end" in layers.Bidirectional(plain).chunk_problem
