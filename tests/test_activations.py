"""Every activation: its values against scalar formulas, its derivative, and silence far out."""

import pickle

import numpy as np
import oracle
import pytest

from gatewright import activations
from gatewright.activations import FORMULAS, Activation
from gatewright.errors import OptionError

NEEDY = {"scaled_tanh": (1.7, 0.6), "affine": (-0.8, 0.3)}  # those that must be given their constants
NAMES = [(name, *NEEDY[name]) if name in NEEDY else name for name in FORMULAS]
ANALYTIC = {"linear", "tanh", "sigmoid", "softplus", "silu", "softmax", "log_softmax", *NEEDY}
CONSTANTS = [("leaky_relu", 0.01), ("elu", 0.7), ("hard_sigmoid", 0.2), ("hard_sigmoid", 0.2, 0.4), ("thresholded_relu", -0.4)]
X = np.concatenate([np.linspace(-7.13, 7.31, 61), np.linspace(-0.51, 0.49, 13)]).reshape(2, 37)


def spec_of(case):
    return case if isinstance(case, tuple) else (case,)


@pytest.mark.parametrize("case", [*NAMES, *CONSTANTS], ids=str)
def test_values(case):
    function = oracle.activation(case)
    np.testing.assert_allclose(
        Activation(*spec_of(case)).forward(X), [function(row) for row in X.tolist()], rtol=1e-14, atol=1e-15
    )


@pytest.mark.parametrize("case", [*NAMES, *CONSTANTS], ids=str)
def test_derivative(case):
    act = Activation(*spec_of(case))
    dy, v = np.random.default_rng(0).standard_normal((2, *X.shape))
    expected = (dy * (act.forward(X + 1e-6 * v) - act.forward(X - 1e-6 * v)) / 2e-6).sum(axis=-1)
    got = (act.backward(X, act.forward(X), dy) * v).sum(axis=-1)
    assert np.all(got != 0)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("case", [case for case in NAMES if spec_of(case)[0] in ANALYTIC], ids=str)
def test_derivative_by_complex_step(case):
    act = Activation(*spec_of(case))
    dy, v = np.random.default_rng(0).standard_normal((2, *X.shape))
    expected = (dy * act.forward(X + 1e-30j * v).imag / 1e-30).sum(axis=-1)
    got = (act.backward(X, act.forward(X), dy) * v).sum(axis=-1)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.parametrize("case", NAMES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_silent_and_right_far_out(case, dtype):
    """|x| up to 1e4: no warning (they are errors here), the limits right, the derivative finite."""
    x = np.array([[-1e4, -800, -90, -20.0, 20, 90, 800, 1e4]], dtype)
    act = Activation(*spec_of(case))
    with np.errstate(all="warn", under="ignore"):
        y = act.forward(x)
        dx = act.backward(x, y, np.ones_like(x))
    assert y.dtype == dx.dtype == x.dtype
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    wanted = np.array([oracle.activation(case)(row) for row in x.astype(float).tolist()])
    np.testing.assert_allclose(y, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["tanh", "softmax", "leaky_relu", "gelu"])
def test_clip(name):
    """The formula of what was brought to [-clip, clip]; no gradient from beyond."""
    plain, clipped = Activation(name), Activation(name, clip=2)
    y = clipped.forward(X)
    assert np.array_equal(y, plain.forward(np.clip(X, -2, 2)))
    dx = clipped.backward(X, y, np.cos(X))
    assert np.array_equal(dx, np.where(np.abs(X) <= 2, plain.backward(np.clip(X, -2, 2), y, np.cos(X)), 0))
    assert not clipped.analytic
    assert not clipped.plain
    assert pickle.loads(pickle.dumps(clipped)) == clipped != plain
    assert repr(clipped).endswith("clip=2.0)")


def test_analytic_is_told_truly():
    assert {spec_of(case)[0] for case in NAMES if Activation(*spec_of(case)).analytic} == ANALYTIC


def test_forward_and_backward_leave_their_arguments_alone():
    for act in (Activation(*spec_of(case)) for case in NAMES):
        x, dy = X.copy(), np.ones_like(X)
        y = act.forward(x)
        kept = y.copy()
        dx = act.backward(x, y, dy)
        y += 1  # not a view of x …
        dx += 1  # … nor of dy
        assert np.array_equal(x, X)
        assert np.array_equal(dy, np.ones_like(X))
        assert np.array_equal(y, kept + 1)


def test_names_and_refusals():
    assert activations.get(None) == Activation("linear")
    assert activations.get("elu") == Activation("elu", 1.0)
    assert activations.get(Activation("elu", 0.5)).alpha == 0.5
    assert repr(Activation("tanh")) == "'tanh'"
    assert repr(Activation("leaky_relu", 0.01)) == "Activation('leaky_relu', 0.01)"
    with pytest.raises(OptionError, match=r"'tahn' is unknown; known: 'linear', 'tanh'"):
        activations.get("tahn")
    with pytest.raises(OptionError, match="is unknown; known"):
        activations.get(np.tanh)
    assert repr(Activation("affine", 2, 1)) == "Activation('affine', 2.0, 1.0)"
    for given in ((), (2.0,), (None, 1.0)):
        with pytest.raises(OptionError, match=r"'affine' needs its constants: gw.Activation\('affine', alpha, beta\)"):
            Activation("affine", *given)
    with pytest.raises(OptionError, match="'thresholded_relu' takes no beta"):
        Activation("thresholded_relu", 1, 1)
    with pytest.raises(OptionError, match="'tanh': clip: got -1, wanted a number above 0"):
        Activation("tanh", clip=-1)
    with pytest.raises(OptionError, match="'tanh' takes no alpha; got 2"):
        Activation("tanh", 2)
    with pytest.raises(OptionError, match="'elu' takes no beta; got 1"):
        Activation("elu", 1, 1)
