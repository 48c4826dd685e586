"""A whole Model over unequal rows: outputs, losses and gradients against the oracle and against differences."""

import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import as_lists, ragged_steps

import gatewright as gw


def weights_of(params, prefix):
    return {n.removeprefix(prefix): a.tolist() for n, a in params.items() if n.startswith(prefix)}


def by_oracle(model, x, words, live, final):
    """GRU, then Dense with the activation `final`."""
    h, _ = oracle.recurrent("gru", x.tolist(), [[weights_of(model.parameters, "0.")]], {}, **words)
    dense = weights_of(model.parameters, "1.")
    return oracle.at_live(lambda step: oracle.dense(step, dense["W"], dense["b"], final), h, live)


@st.composite
def cases(draw):
    """(loss, B, T, Steps, weights, seed), at least one step live."""
    batch, time, steps = draw(ragged_steps())
    assume(steps.live(batch, time).any())
    weights = draw(st.sampled_from([None, "rows", "steps"]))
    return draw(st.sampled_from(["mse", "cross_entropy"])), batch, time, steps, weights, draw(st.integers(0, 999))


def drawn(case):
    """(model, x, y, its words for lengths, masks and weights, the weight of every step) of a case; NaN at dead steps."""
    loss, batch, time, steps, weighing, seed = case
    rng = np.random.default_rng(seed)
    final = "softmax" if loss == "cross_entropy" else "tanh"
    model = gw.Model(gw.Sequential(gw.GRU(2, 3), gw.Dense(3, 2, final)), seed=seed, dtype="float64")
    with model.parameters.edit() as flat:
        flat[:] = 0.5 * rng.standard_normal(flat.shape)
    live = steps.live(batch, time)
    x = np.where(live[..., None], rng.standard_normal((batch, time, 2)), np.nan)
    if loss == "mse":
        y = np.where(live[..., None], rng.standard_normal((batch, time, 2)), np.nan)
    else:
        y = np.where(live, rng.integers(0, 2, (batch, time)), 0)
    given_weights = {None: None, "rows": rng.random(batch) + 0.1, "steps": rng.random((batch, time)) + 0.1}[weighing]
    spread = None if weighing is None else np.broadcast_to(given_weights.reshape(batch, -1), (batch, time)).tolist()
    return model, x, y, {"sample_weight": given_weights, **steps._asdict()}, spread


@given(cases())
def test_losses_over_live_steps(case):
    """predict, evaluate and gradients agree with scalar sums; NaN at dead steps of x and y is never read."""
    loss, batch, time, steps, *_ = case
    model, x, y, kept, spread = drawn(case)
    words, mask = as_lists(steps), steps.live(batch, time).tolist()
    said = by_oracle(model, x, words, mask, "softmax" if loss == "cross_entropy" else "tanh")
    np.testing.assert_allclose(model.predict(x, **steps._asdict()), said, rtol=0, atol=1e-12)
    logits = by_oracle(model, x, words, mask, None)
    wanted = (
        oracle.mse(said, y.tolist(), mask, spread) if loss == "mse" else oracle.cross_entropy(logits, y.tolist(), mask, spread)
    )
    found = [model.evaluate(x, y, loss=loss, **kept)["loss"], model.gradients(x, y, loss, **kept)[0]]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * max(1, abs(wanted)))


@given(cases())
def test_gradients_over_live_steps(case):
    """The gradients of such a loss are its differences."""
    loss, *_, seed = case
    model, x, y, kept, _ = drawn(case)
    grads = model.gradients(x, y, loss, **kept)[1]
    v, start, ends = np.random.default_rng(seed).standard_normal(grads.flat.shape), model.parameters.flat.copy(), []
    for step in (1e-6, -1e-6):
        with model.parameters.edit() as flat:
            flat[:] = start + step * v
        ends.append(model.gradients(x, y, loss, **kept)[0])
    assert abs((ends[0] - ends[1]) / 2e-6 - grads.flat @ v) < 1e-7 * max(1, np.abs(grads.flat).max())


@pytest.mark.parametrize("kind", [gw.RNN, gw.LSTM, gw.GRU])
def test_a_list_equals_its_rows_and_float32_agrees(kind):
    """Rows of unequal length in one call: what each gives alone; float32 within 1e-5 of float64."""
    rng = np.random.default_rng(0)
    net = gw.Sequential(kind(2, 5, num_layers=2, bidirectional=True), gw.Dense(10, 3))
    exact, single = (gw.Model(net, seed=1, dtype=dtype) for dtype in ("float64", "float32"))
    rows = [rng.standard_normal((length, 2)) for length in (4, 0, 7, 1)]
    together = exact.predict(rows)
    assert [y.shape for y in together] == [(4, 3), (0, 3), (7, 3), (1, 3)]
    for row, y, y32 in zip(rows, together, single.predict(rows), strict=True):
        np.testing.assert_allclose(y, exact.predict(row[None])[0], rtol=0, atol=1e-14)
        assert y32.dtype == np.float32
        np.testing.assert_allclose(y32, y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [gw.RNN, gw.LSTM, gw.GRU])
def test_a_stream_equals_the_sequence(kind):
    """A step at a time, in chunks and at once: the same numbers, and the same state at the end."""
    rng = np.random.default_rng(0)
    model = gw.Model(gw.Sequential(kind(2, 4, num_layers=2), gw.LayerNorm(4), gw.Dense(4, 3, "tanh")), seed=1, dtype="float64")
    x = rng.standard_normal((3, 9, 2))
    whole, state = model.run(x)
    stream = model.stream(batch_size=3)
    parts = [stream.run(x[:, :4])] + [stream.step(x[:, t])[:, None] for t in range(4, 9)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-14)
    for a, b in zip(stream.state[0], state[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)
    between = model.run(x[:, :4])[1]
    np.testing.assert_allclose(model.run(x[:, 4:], between)[0], whole[:, 4:], rtol=0, atol=1e-14)
