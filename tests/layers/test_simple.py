"""Dense, Embedding, LayerNorm, Dropout and Masking against the oracle, their gradients, and dead steps."""

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_checks import backward, draw_params, worst_error
from strategies import as_lists, ragged_steps

from gatewright import layers
from gatewright.activations import FORMULAS, NEEDED, Activation
from gatewright.errors import OptionError, ShapeError
from gatewright.parameters import Parameters
from gatewright.steps import Steps

STEPS = Steps(np.array([4, 2, 5]), np.array([[1, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 0, 1]], bool))


def live_lists(steps, batch, time):
    words = as_lists(steps)
    return oracle.live_steps(batch, time, words["lengths"], words["mask"])


def with_nan(x, steps):
    """x with NaN at its dead steps."""
    live = steps.live(*x.shape[:2])
    return np.where(live.reshape(live.shape + (1,) * (x.ndim - 2)), x, np.nan)


CONSTANTS = [("thresholded_relu", 0.2), ("scaled_tanh", 1.7, 0.6), ("affine", -0.8, 0.3)]
SPECS = [*(name for name in FORMULAS if FORMULAS[name].alpha != NEEDED and name != "thresholded_relu"), *CONSTANTS, None]


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_dense(spec, bias):
    rng = np.random.default_rng(1)
    layer = layers.Dense(3, 4, Activation(*spec) if isinstance(spec, tuple) else spec, bias=bias)
    params = draw_params(layer, rng)
    x = with_nan(rng.standard_normal((3, 5, 3)), STEPS)
    b = params["b"].tolist() if bias else None
    y, state, _ = layer.forward(params, x, steps=STEPS)
    assert state is None
    wanted = oracle.at_live(lambda step: oracle.dense(step, params["W"].tolist(), b, spec), x.tolist(), live_lists(STEPS, 3, 5))
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-14)
    assert layer.analytic == layer.activation.analytic
    assert worst_error(layer, params, x, None, STEPS, directions=3) < (1e-10 if layer.analytic else 1e-7)


@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3), (2, 2, 2, 2, 3), (0, 5, 3), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("layer", [layers.Dense(3, 4, "tanh"), layers.LayerNorm(3)], ids=repr)
def test_the_last_axis_of_anything(layer, shape):
    rng = np.random.default_rng(1)
    params, x = draw_params(layer, rng), rng.standard_normal(shape)
    y, _, _ = layer.forward(params, x)
    assert y.shape == layer.shape_out(shape)
    flat, _, _ = layer.forward(params, x.reshape(-1, 3))
    np.testing.assert_allclose(y.reshape(flat.shape), flat, rtol=0, atol=1e-15)
    assert worst_error(layer, params, x, nothing_zero=x.size > 0) < 1e-10


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, 0.5])
def test_layer_norm(epsilon):
    rng = np.random.default_rng(1)
    layer = layers.LayerNorm(4, epsilon=epsilon)
    params, x = draw_params(layer, rng), with_nan(rng.standard_normal((3, 5, 4)) * 3 + 1, STEPS)
    gain, shift = params["gain"].tolist(), params["shift"].tolist()
    wanted = oracle.at_live(lambda step: oracle.layer_norm(step, gain, shift, epsilon), x.tolist(), live_lists(STEPS, 3, 5))
    np.testing.assert_allclose(layer.forward(params, x, steps=STEPS)[0], wanted, rtol=0, atol=1e-14)
    assert worst_error(layer, params, x, None, STEPS, directions=3) < 1e-10


@pytest.mark.parametrize("mask_zero", [True, False])
def test_embedding(mask_zero):
    rng = np.random.default_rng(1)
    layer = layers.Embedding(6, 3, mask_zero=mask_zero)
    params, x = draw_params(layer, rng), np.array([[1, 0, 5, 5, 2], [3, 3, 0, 1, 1], [0, 4, 2, 0, 5]])
    y, _, _ = layer.forward(params, x, steps=STEPS)
    wanted, live = oracle.embedding(x.tolist(), params["E"].tolist(), live_lists(STEPS, 3, 5), mask_zero)
    np.testing.assert_array_equal(y, wanted)
    assert layer.steps_out(x, STEPS).live(3, 5).tolist() == live
    assert worst_error(layer, params, x, None, STEPS, directions=3) < 1e-10
    gradients, _, _ = backward(layer, params, x, None, STEPS)
    assert gradients["E"][5].any()  # named more than once: gradients add up
    assert not mask_zero or not gradients["E"][0].any()


@given(ragged_steps(), st.integers(0, 99))
def test_masking(case, seed):
    """A step is dead only if all its features equal the value; what lies there may be anything."""
    batch, time, steps = case
    x = np.random.default_rng(seed).choice([-1.0, 2.0], (batch, time, 2))
    layer = layers.Masking(-1.0)
    y, _, _ = layer.forward(Parameters({}), x, steps=steps)
    wanted, live = oracle.masking(x.tolist(), -1.0, live_lists(steps, batch, time))
    out = layer.steps_out(x, steps)
    assert out.live(batch, time).tolist() == live
    assert out.starts is steps.starts
    assert x.size == 0 or y.tolist() == [[step or [0, 0] for step in row] for row in wanted]
    gradients, _, _ = backward(layer, Parameters({}), x, None, steps)
    np.testing.assert_array_equal(gradients["x"] != 0, np.repeat(np.array(live, bool).reshape(batch, time, 1), 2, axis=2))


def test_masking_by_nan_and_in_float32():
    x = np.array([[[np.nan, np.nan], [np.nan, 1.0], [0.1, 0.1]]], np.float32)
    assert layers.Masking(np.nan).steps_out(x, None).live(1, 3).tolist() == [[False, True, True]]
    assert layers.Masking(0.1).steps_out(x, None).live(1, 3).tolist() == [[True, True, False]]


def test_dropout():
    layer, rng = layers.Dropout(0.25), np.random.default_rng(0)
    x = np.full((200, 50, 4), 3.0)
    assert np.array_equal(layer.forward(Parameters({}), x)[0], x)
    y, _, cache = layer.forward(Parameters({}), x, training=True, rng=rng)
    assert set(np.unique(y)) == {0.0, 4.0}
    assert abs((y == 0).mean() - 0.25) < 0.01
    dy = rng.standard_normal(x.shape)
    dx, _ = layer.backward(Parameters({}), Parameters({}), cache, dy)
    np.testing.assert_allclose(dx, dy * y / 3, rtol=1e-15)
    one, two = (layer.forward(Parameters({}), x, training=True, rng=np.random.default_rng(5))[0] for _ in range(2))
    assert np.array_equal(one, two)
    noisy = with_nan(rng.standard_normal((3, 5, 2)), STEPS)
    y, _, _ = layer.forward(Parameters({}), noisy, steps=STEPS, training=True, rng=rng)
    assert not y[~STEPS.live(3, 5)].any()
    assert np.isfinite(y).all()


@pytest.mark.parametrize(
    "layer", [layers.Dense(3, 4, "elu"), layers.LayerNorm(3), layers.Dropout(0.5), layers.Masking(7.0)], ids=repr
)
def test_float32_stays_and_arguments_are_left_alone(layer):
    rng = np.random.default_rng(0)
    params = draw_params(layer, rng, dtype=np.float32)
    x = rng.standard_normal((3, 5, 3)).astype("float32")
    kept = x.copy()
    for steps in (None, STEPS):
        y, _, cache = layer.forward(params, x, steps=steps, training=True, rng=rng)
        dy = rng.standard_normal(y.shape).astype("float32")
        kept_dy = dy.copy()
        dx, _ = layer.backward(params, params.zeros_like(), cache, dy)
        assert y.dtype == dx.dtype == np.float32
        assert np.array_equal(x, kept)
        assert np.array_equal(dy, kept_dy)
        exact, _, _ = layer.forward(params.astype(float), x.astype(float), steps=steps)
        if not isinstance(layer, layers.Dropout):
            np.testing.assert_allclose(y, exact, rtol=0, atol=1e-5)


def test_beginnings():
    p = layers.Dense(300, 20).init(np.random.default_rng(0))
    limit = np.sqrt(6 / 320)
    assert 0.98 * limit < np.abs(p["W"]).max() <= limit
    assert not p["b"].any()
    p = layers.Dense(16, 400, init="pytorch").init(np.random.default_rng(0))
    assert all(0.24 < np.abs(array).max() <= 0.25 for _, array in p.items())
    e = layers.Embedding(1000, 4).init(np.random.default_rng(0))["E"]
    assert 0.049 < np.abs(e).max() <= 0.05
    p = layers.LayerNorm(3).init(np.random.default_rng(0))
    assert p["gain"].tolist() == [1, 1, 1]
    assert p["shift"].tolist() == [0, 0, 0]
    assert p.shapes == {"gain": (3,), "shift": (3,)}
    for layer in (
        layers.Dense(2, 3, trainable=False),
        layers.Embedding(2, 3, trainable=False),
        layers.LayerNorm(2, trainable=False),
    ):
        assert not any(layer.init(np.random.default_rng(0)).trainable.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dense(0, 3), "input_size: got 0"),
        (lambda: layers.Dense(2, 3, "tahn"), "'tahn' is unknown; known"),
        (lambda: layers.Dense(2, 3, init="chrono"), "init='chrono' is unknown; known: 'keras', 'pytorch'"),
        (lambda: layers.Dense(2, 3, init="pytorch", kernel_initializer="ones"), "kernel_initializer"),
        (lambda: layers.Embedding(5, 0), "size: got 0"),
        (lambda: layers.Embedding(5, 2, mask_zero=1), "mask_zero: got 1, wanted True or False"),
        (lambda: layers.LayerNorm(3, epsilon=0), "epsilon: got 0"),
        (lambda: layers.Dropout(1.0), "rate: got 1.0"),
        (lambda: layers.Dropout(-0.1), "rate: got -0.1"),
        (lambda: layers.Masking("x"), "value: got 'x'"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_shapes_refused():
    for layer, shape in (
        (layers.Dense(3, 4), (2, 5, 4)),
        (layers.Dense(3, 4), (3,)),
        (layers.Embedding(3, 4), (2, 5, 1)),
        (layers.LayerNorm(3), (2, 5, 4)),
        (layers.Masking(), (2, 5)),
    ):
        with pytest.raises(ShapeError, match=r"got x of shape .* wanted"):
            layer.shape_out(shape)


def test_dropout_in_training_needs_a_generator() -> None:
    for layer in (layers.Dropout(0.5), layers.LSTM(3, 4, num_layers=2, dropout=0.5)):
        with pytest.raises(OptionError, match="needs rng"):
            layer.forward(layer.init(np.random.default_rng(0)), np.ones((2, 4, 3)), training=True)


@pytest.mark.parametrize("layer", [layers.Dense(3, 2, "tanh"), layers.LayerNorm(3)], ids=repr)
def test_any_number_of_axes_with_dead_steps(layer: layers.Layer) -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 3))
    steps = Steps(lengths=np.array([4, 2]))
    params = layer.init(np.random.default_rng(1))
    y, _, cache = layer.forward(params, x, steps=steps)
    assert not y[1, 2:].any()
    np.testing.assert_allclose(y[1, :2], layer.forward(params, x[1, :2])[0], rtol=1e-14)
    grads = params.zeros_like()
    dx, _ = layer.backward(params, grads, cache, np.ones_like(y))
    assert dx.shape == x.shape
    assert not dx[1, 2:].any()
