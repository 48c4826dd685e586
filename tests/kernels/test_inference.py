"""Compiled inference against the reference in float64, its gradients, and that every edit of the parameters is seen."""

import numpy as np
import pytest
from kernel_cases import KINDS, recurrent
from layer_checks import arrays_of, backward, draw_params, draw_state

import gatewright as gw

CASES = [(kind, F, H) for kind in KINDS for F, H in ((1, 1), (3, 50), (6, 32), (2, 100))]


def both(layer, batch=7, time=11, seed=0):
    """(parameters, x, state), all float32."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, time, layer.features_in)).astype(np.float32)
    scale = 0.8 / np.sqrt(getattr(layer, "hidden_size", 9))  # no dynamics that would make chaos of a rounding
    return draw_params(layer, rng, scale, np.float32), x, draw_state(layer, batch, rng, np.float32)


def wide(value):
    """The same in float64."""
    if value is None or isinstance(value, np.ndarray):
        return None if value is None else value.astype(float)
    parts = [wide(part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def close(got, reference, exact):
    """No worse than twice the float32 reference's own error, with a floor of 1e-6 max(1, |y|)."""
    for mine, plain, truth in zip(arrays_of(got), arrays_of(reference), arrays_of(exact), strict=True):
        assert mine.dtype == np.float32
        allowed = np.maximum(2 * np.abs(plain - truth).max(initial=0), 1e-6 * np.maximum(1, np.abs(truth)))
        assert (np.abs(mine - truth) <= allowed).all()


def compare(layer, steps=None, state=True):
    params, x, start = both(layer)
    start = start if state else None
    assert layer.choice(np.dtype(np.float32), "compiled").path == "compiled"
    got = layer.forward(params, x, start, steps=steps, kernel="compiled")[:2]
    plain = layer.forward(params, x, start, steps=steps, kernel="numpy")[:2]
    exact = layer.forward(params.astype(float), x.astype(float), wide(start), steps=steps, kernel="numpy")[:2]
    close(got, plain, exact)
    assert not np.array_equal(arrays_of(got)[0], arrays_of(plain)[0]) or layer.hidden_size == 1, "the same code ran twice"


@pytest.mark.parametrize(("kind", "features", "size"), CASES)
def test_values(kind, features, size, lanes):
    compare(recurrent(kind, features, size))
    compare(recurrent(kind, features, size, bias=False), state=False)


@pytest.mark.parametrize("kind", KINDS)
def test_depth_directions_and_dead_steps(kind):
    steps = gw.Steps(lengths=np.array([11, 0, 3, 11, 7, 1, 9]))
    compare(recurrent(kind, 3, 18, num_layers=2, bidirectional=True), steps)
    compare(recurrent(kind, 3, 18, go_backwards=True, return_sequences=False), steps)
    compare(recurrent(kind, 3, 18, masked_output="repeat", learn_initial_state=True), steps, state=False)


@pytest.mark.parametrize("activation", ["linear", "tanh", "sigmoid", "relu", "softmax"])
@pytest.mark.parametrize("outputs", [1, 5, 16, 70])
def test_dense(activation, outputs, lanes):
    layer = gw.Dense(9, outputs, activation)
    params, x, _ = both(layer)
    assert layer.choice(np.dtype(np.float32), "compiled").path == "compiled"
    got = layer.forward(params, 3 * x, kernel="compiled")[0]
    close(got, layer.forward(params, 3 * x, kernel="numpy")[0], layer.forward(params.astype(float), 3 * x.astype(float))[0])


def test_layer_norm(lanes):
    layer = gw.LayerNorm(37)
    params, x, _ = both(layer)
    got = layer.forward(params, x + 5, kernel="compiled")[0]
    exact = layer.forward(params.astype(float), (x + 5).astype(float))[0]
    close(got, layer.forward(params, x + 5, kernel="numpy")[0], exact)


def test_a_head_in_its_tails():
    """softmax and sigmoid of large numbers: no NaN, right in relative terms as far as float32's normal range goes."""
    layer = gw.Dense(1, 1, "sigmoid", bias=False)
    params, z = layer.init(np.random.default_rng(0)).astype(np.float32), np.linspace(-87, 87, 999, dtype=np.float32)[:, None]
    params.assign({"W": [[1]]})
    y = layer.forward(params, z, kernel="compiled")[0]
    assert np.abs(y * (1 + np.exp(-z.astype(float))) - 1).max() < 3e-7
    layer = gw.Dense(3, 3, "softmax", bias=False)
    params = layer.init(np.random.default_rng(0)).astype(np.float32)
    params.assign({"W": 1000 * np.eye(3)})
    assert np.array_equal(layer.forward(params, np.eye(3, dtype="f") - 1, kernel="compiled")[0], np.eye(3))


@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_gives_nan_out(kind):
    layer = recurrent(kind, 2, 20)
    params, x, state = both(layer)
    x[2, 4, 1] = np.nan
    y = layer.forward(params, x, state, kernel="compiled")[0]
    assert np.isnan(y[2, 4:]).all()
    assert np.isfinite(y[2, :4]).all()
    assert np.isfinite(np.delete(y, 2, axis=0)).all()


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("time", [0, 1])
def test_nothing_and_one(batch, time):
    network = gw.Sequential(gw.LSTM(2, 5), gw.LayerNorm(5), gw.Dense(5, 3, "softmax"))
    model = gw.Model(network, seed=0, kernel="compiled")
    y, state = model.run(np.ones((batch, time, 2), np.float32))
    assert y.shape == (batch, time, 3)
    assert state[0].h.shape == (1, batch, 5)


@pytest.mark.parametrize("layer", [
    *(recurrent(kind, 3, 6, num_layers=2, bidirectional=True) for kind in KINDS), gw.Dense(3, 4, "softmax"), gw.LayerNorm(3),
], ids=repr)  # fmt: skip
def test_gradients_after_inference_are_the_references(layer):
    """backward replays the forward pass, from the input and state that inference kept."""
    params, x, state = both(layer)
    steps = gw.Steps(lengths=np.array([11, 0, 3, 11, 7, 1, 9]))
    ours, theirs = (backward(layer, params, x, state, steps, kernel=kernel)[0] for kernel in ("compiled", "numpy"))
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(gradient, theirs[name], rtol=0, atol=1e-6 * np.abs(theirs[name]).max())


def test_an_edit_is_seen():
    model = gw.Model(gw.Sequential(gw.GRU(2, 5), gw.LayerNorm(5), gw.Dense(5, 1)), seed=0, kernel="compiled")
    x, stream = np.ones((1, 3, 2), np.float32), model.stream()
    before = model.predict(x)
    stream.step(x[0, 0])
    for name in model.parameters:
        with model.parameters.edit() as flat:
            flat[model.parameters.slices()[name]] += 0.25
            inside = model.predict(x)
        after = model.predict(x)
        assert not np.array_equal(before, after), name
        assert np.array_equal(inside, after)
        stream.reset()
        assert np.array_equal(np.stack([stream.step(row) for row in x[0]]), after[0])
        before = after


def test_packed_weights_are_used_again():
    model = gw.Model(gw.LSTM(2, 5), seed=0, kernel="compiled")
    kernel = model.layer.choice(model.dtype, "compiled").load()
    scope = model.parameters.scope("0")
    assert model.layer._packed(kernel, scope) is model.layer._packed(kernel, scope)


def test_a_stream_sees_training():
    model = gw.Model(gw.Sequential(gw.LSTM(1, 4), gw.Dense(4, 1)), seed=0, kernel="auto")
    x, stream = np.ones((2, 5, 1), np.float32), model.stream(2)
    stream.step(x[:, 0])
    model.fit(x, np.zeros((2, 5, 1), np.float32), epochs=2, verbose=False)
    stream.reset()
    assert np.array_equal(np.stack([stream.step(x[:, t]) for t in range(5)], axis=1), model.predict(x))


def test_a_streams_results_are_the_callers():
    model = gw.Model(gw.RNN(1, 4), seed=0, kernel="compiled")
    stream = model.stream()
    first, state = stream.step(np.ones(1, np.float32)), stream.state
    kept = first.copy(), state.h.copy()
    stream.step(np.ones(1, np.float32))
    assert np.array_equal(first, kept[0])
    assert np.array_equal(state.h, kept[1])
    assert not np.array_equal(stream.state.h, state.h)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prepared_step_refuses_what_is_not_finite(bad):
    """And leaves the state as it was."""
    stream = gw.Model(gw.Sequential(gw.GRU(3, 4), gw.Dense(4, 1)), seed=0, kernel="compiled").stream(2)
    stream.step(np.ones((2, 3), np.float32))
    before = stream.state[0].h
    x = np.ones((2, 3), np.float32)
    x[1, 2] = bad
    with pytest.raises(gw.DataError, match="row 1"):
        stream.step(x)
    assert np.array_equal(stream.state[0].h, before)
    assert np.isfinite(stream.step(np.full((2, 3), 3e38, np.float32))).all()


def test_a_prepared_step_takes_what_the_slow_one_takes():
    """Lists, other dtypes and strides: the same bits."""
    x = np.arange(1, 7).reshape(2, 3) / 4
    results = []
    for given in (x.astype(np.float32), x, x.tolist(), np.asfortranarray(x.astype(np.float32)), x.astype(np.float32)[:, ::1]):
        stream = gw.Model(gw.LSTM(3, 4), seed=0, kernel="compiled").stream(2)
        stream.step(np.ones((2, 3), np.float32))
        results.append(stream.step(given))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_a_state_in_any_order():
    model = gw.Model(gw.LSTM(3, 4), seed=0, kernel="compiled")
    start = draw_state(model.layer, 2, np.random.default_rng(0), np.float32)
    other = type(start)(*(np.asfortranarray(array) for array in start))
    x, results = np.ones((2, 1, 3), np.float32), []
    for state in (start, other):
        stream = model.stream(2)
        stream.state = state
        results += [stream.step(x[:, 0]), model.run(x, state)[0][:, 0]]
    assert all(np.array_equal(result, results[0]) for result in results)
