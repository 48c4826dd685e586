"""Dense and Conv1D in training: their compiled pass forward and back against NumPy's."""

import numpy as np
import pytest

import gatewright as gw
from gatewright.parameters import Parameters
from gatewright.steps import Steps

F32 = np.dtype(np.float32)


def gradients(layer, params, x, dy, kernel, **more):
    """(y, dx, gradients)"""
    grads = params.zeros_like()
    y, _, cache = layer.forward(params, x, kernel=kernel, **more)
    assert (cache.kernel is None) == (kernel == "numpy")
    dx, _ = layer.backward(params, grads, cache, dy)
    return y, dx, grads.flat


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, "tanh", "sigmoid", "relu", "softmax"])
def test_the_pair(activation, bias, training, lanes):
    rng = np.random.default_rng(0)
    layer = gw.Dense(5, 19, activation, bias=bias)
    assert layer.choice(F32, "auto", training).path == "compiled"
    params = Parameters.of({name: rng.standard_normal(shape) for name, shape in layer.shapes().items()}, dtype=F32)
    x, dy = rng.standard_normal((3, 7, 5)).astype(F32), rng.standard_normal((3, 7, 19)).astype(F32)
    for steps in (None, Steps(np.array([7, 0, 4]))):
        found = gradients(layer, params, x, dy, "auto", steps=steps, training=training)
        for ours, theirs in zip(found, gradients(layer, params, x, dy, "numpy", steps=steps), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())
    single, double = (gradients(layer, params, x, given, "auto", training=training)[1] for given in (dy, dy.astype(float)))
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-5 * np.abs(double).max())


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution(padding, bias, lanes):
    """A Dense of its windows."""
    rng = np.random.default_rng(0)
    layer = gw.Conv1D(5, 19, 3, padding=padding, activation="tanh", bias=bias)
    assert layer.choice(F32, "auto", True).path == "compiled"
    params = Parameters.of({name: rng.standard_normal(shape) for name, shape in layer.shapes().items()}, dtype=F32)
    x = rng.standard_normal((3, 7, 5)).astype(F32)
    dy = rng.standard_normal(layer.shape_out(x.shape)).astype(F32)
    for steps in (None, Steps(np.array([7, 0, 4]))):
        found = gradients(layer, params, x, dy, "auto", steps=steps, training=True)
        for ours, theirs in zip(found, gradients(layer, params, x, dy, "numpy", steps=steps), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_what_keeps_a_convolution_on_numpy():
    for layer, why in (
        (gw.Conv1D(4, 20, 3, groups=2), "groups=2: one group is compiled"),
        (gw.Conv1D(4, 20, 3, activation=gw.Activation("leaky_relu", 0.5)), "has constants of its own"),
    ):
        choice = layer.choice(F32, "auto")
        assert choice.path == "numpy"
        assert why in choice.reason
        with pytest.raises(gw.OptionError, match="'compiled' is not possible"):
            gw.Model(layer, kernel="compiled")


def test_the_way_back_sees_an_edit():
    layer = gw.Dense(3, 20)
    params = layer.init(np.random.default_rng(1)).astype(F32)
    x, dy = np.ones((2, 3), F32), np.ones((2, 20), F32)
    before = gradients(layer, params, x, dy, "auto", training=True)
    with params.edit() as flat:
        flat *= 2
    after = gradients(layer, params, x, dy, "auto", training=True)
    assert np.array_equal(after[0], 2 * before[0])
    assert np.array_equal(after[1], 2 * before[1])


def test_few_outputs_are_trained_on_numpy():
    layer = gw.Dense(5, 15)
    assert layer.choice(F32, "auto", training=True) == ("numpy", "training runs on NumPy", None)
    assert layer.choice(F32, "auto").reason == "inference is compiled, training runs on NumPy"
    assert gw.Dense(5, 16).choice(F32, "auto").reason == "inference is compiled, training too"
