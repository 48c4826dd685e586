"""Pooling over windows and over all steps against the oracle: values, gradients, unequal rows, and what is refused."""

import goldens
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_checks import assert_as_keras, backward, worst_error
from refusals import refused
from strategies import ragged_steps

import gatewright as gw
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from gatewright.parameters import Parameters
from gatewright.steps import Steps

KERAS = goldens.load("keras_convolutions")
NONE = Parameters({})


def mean(values):
    return sum(values) / len(values)


KINDS = {MaxPooling1D: max, AveragePooling1D: mean}
GLOBAL = {GlobalMaxPooling1D: max, GlobalAveragePooling1D: mean}
kinds = pytest.mark.parametrize("kind", KINDS)
everything = pytest.mark.parametrize("kind", GLOBAL)


def by_oracle(layer, x, lengths):
    """Every row alone, zeros behind it."""
    y = np.zeros(layer.shape_out(x.shape))
    stride = layer.size if layer.stride is None else layer.stride
    for row, (steps, length) in enumerate(zip(x, lengths, strict=True)):
        out = oracle.pool(steps[:length].tolist(), KINDS[type(layer)], size=layer.size, stride=stride, padding=layer.padding)
        if out:
            y[row, : len(out)] = out
    return y


@kinds
@given(st.data())
def test_every_row_is_as_it_would_be_alone(kind, data):
    """Any sizes and lengths, T = 0 and B = 0 too, NaN behind the rows; bits are those of the row alone."""
    whole = st.integers(1, 4)
    padding = data.draw(st.sampled_from(("valid", "same")))
    layer = kind(data.draw(whole), stride=data.draw(st.none() | whole), padding=padding)
    least = layer.size if padding == "valid" else 0
    batch, time = data.draw(st.integers(0, 3)), data.draw(st.integers(least, least + 6))
    lengths = np.array(data.draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch)), int)
    x = np.random.default_rng(data.draw(st.integers(0, 99))).standard_normal((batch, time, 2)) - 1
    mask = np.arange(time) < lengths[:, None]
    x = np.where(mask[..., None], x, np.nan)
    steps = Steps(mask=mask)
    y, state, _ = layer.forward(NONE, x, steps=steps)
    assert state is None
    np.testing.assert_allclose(y, by_oracle(layer, x, lengths), rtol=0, atol=1e-15)
    out = layer.steps_out(x, steps)
    assert (np.full(batch, y.shape[1]) if out is None else out.lengths).tolist() == layer.lengths_out(lengths).tolist()
    for row, length in enumerate(lengths.tolist()):
        if length >= least:
            alone, _, _ = layer.forward(NONE, x[row : row + 1, :length])
            assert np.array_equal(y[row, : alone.shape[1]], alone[0])
    assert worst_error(layer, NONE, x, None, Steps(lengths), nothing_zero=False) < 1e-10


@kinds
@pytest.mark.parametrize("steps", [None, Steps(np.array([9, 4, 7]))], ids=["all", "lengths"])
@pytest.mark.parametrize(("stride", "padding"), [(None, "valid"), (1, "valid"), (2, "same"), (4, "same")])
def test_gradients(kind, stride, padding, steps):
    layer = kind(3, stride=stride, padding=padding)
    x = np.random.default_rng(0).standard_normal((3, 9, 2))
    assert layer.analytic
    assert worst_error(layer, NONE, x, None, steps, directions=3) < 1e-10


@pytest.mark.parametrize("case", [case for case in KERAS if "Pooling" in KERAS[case][0]["layer"]])
def test_keras(case):
    assert_as_keras(*KERAS[case])


def test_the_first_of_equal_numbers_gets_the_gradient():
    x = np.array([[[2.0], [2.0], [1.0], [2.0]]])
    for layer, wanted in ((MaxPooling1D(2), [1, 0, 0, 1]), (GlobalMaxPooling1D(), [1, 0, 0, 0])):
        y, _, cache = layer.forward(NONE, x)
        dx, _ = layer.backward(NONE, NONE, cache, np.ones_like(y))
        assert dx.ravel().tolist() == wanted


@everything
@given(ragged_steps(), st.integers(0, 99))
def test_all_live_steps(kind, case, seed):
    """Masks with holes, rows without a live step, no rows, no steps; dead steps are never read."""
    batch, time, (lengths, mask, _) = case
    steps, layer = Steps(lengths, mask), kind()
    live = steps.live(batch, time)
    x = np.where(live[..., None], np.random.default_rng(seed).standard_normal((batch, time, 2)) - 1, np.nan)
    y, state, _ = layer.forward(NONE, x, steps=steps)
    assert state is None
    assert layer.steps_out(x, steps) is None
    assert y.shape == layer.shape_out(x.shape) == (batch, 2)
    for row in range(batch):
        columns = x[row][live[row]].T.tolist()
        wanted = [GLOBAL[kind](column) if column else 0.0 for column in columns]
        np.testing.assert_allclose(y[row], wanted, rtol=0, atol=1e-15)
        alone, _, _ = layer.forward(NONE, x[row][live[row]][None])
        assert np.array_equal(alone[0], y[row])
    assert worst_error(layer, NONE, x, None, steps, nothing_zero=False) < 1e-10
    gradients, _, _ = backward(layer, NONE, x, None, steps)
    assert not gradients["x"][~live].any()


@everything
@pytest.mark.parametrize("steps", [None, Steps(np.array([5, 2, 4]))], ids=["all", "lengths"])
def test_gradients_of_all_steps(kind, steps):
    x = np.random.default_rng(0).standard_normal((3, 5, 2))
    assert worst_error(kind(), NONE, x, None, steps, directions=3) < 1e-10


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("layer", [AveragePooling1D(13, stride=5, padding="same"), GlobalAveragePooling1D()], ids=repr)
def test_the_bits_of_a_mean_do_not_depend_on_the_batch(layer, features):
    """Long enough that NumPy would add in pairs, if it were asked for a sum."""
    x = np.random.default_rng(0).standard_normal((5, 200, features)).astype("f")
    y, _, _ = layer.forward(NONE, x)
    lengths = np.array([200, 150, 37, 1, 199])
    cut, _, _ = layer.forward(NONE, x, steps=Steps(lengths))
    for row, length in enumerate(lengths):
        assert np.array_equal(layer.forward(NONE, x[row : row + 1])[0][0], y[row])
        alone = layer.forward(NONE, x[row : row + 1, :length])[0][0]
        assert np.array_equal(alone, cut[row, : len(alone)] if alone.ndim > 1 else cut[row])


@pytest.mark.parametrize("layer", [*(kind(2) for kind in KINDS), *(kind() for kind in GLOBAL)], ids=repr)
def test_float32_stays_and_arguments_are_left_alone(layer):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 3)).astype("f")
    for steps in (None, Steps(np.array([4, 2, 5]))):
        y, _, cache = layer.forward(NONE, x, steps=steps, training=True)
        dy = rng.standard_normal(y.shape).astype("f")
        kept = x.copy(), dy.copy()
        dx, _ = layer.backward(NONE, NONE, cache, dy)
        assert y.dtype == dx.dtype == np.float32
        dx += 1  # nobody else's
        y += 1
        assert np.array_equal(x, kept[0])
        assert np.array_equal(dy, kept[1])


def test_refusals():
    for make, words in (
        (lambda: MaxPooling1D(0), ["size: got 0"]),
        (lambda: AveragePooling1D(2, stride=0), ["stride: got 0"]),
        (lambda: MaxPooling1D(2, padding="causal"), ["padding='causal' is unknown; known: 'valid', 'same'"]),
    ):
        with refused(OptionError, *words):
            make()
    x, holes = np.ones((2, 5, 2)), np.array([[0, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool)
    for layer in (MaxPooling1D(2), AveragePooling1D(2, padding="same")):
        model = gw.Model(gw.Sequential(layer, gw.GRU(2, 2)), seed=0)
        with refused(OptionError, f"{type(layer).__name__}: the mask of row 0 has a hole"):
            model.predict(x, mask=holes)
        with refused(OptionError, "can't be streamed", type(layer).__name__):
            model.stream()
    with refused(ShapeError, "layer 0, MaxPooling1D(2)", "got x of 1 steps, wanted at least 2"):
        gw.Model(gw.Sequential(MaxPooling1D(2), gw.GRU(2, 2))).predict(x[:, :1])
    for layer in (GlobalMaxPooling1D(), GlobalAveragePooling1D(), MaxPooling1D(2)):
        with refused(OptionError, f"{type(layer).__name__}: starts are for recurrent layers"):
            gw.Model(layer).predict(x, starts=holes)
        with refused(ShapeError, "wanted (batch, time, features)"):
            layer.shape_out((3, 2))
        with refused(OptionError, "can't be streamed", type(layer).__name__):
            gw.Model(layer).stream()


def test_a_pool_of_one_step_streams():
    model = gw.Model(gw.Sequential(gw.GRU(2, 3), MaxPooling1D(1), AveragePooling1D(1)), seed=0)
    x = np.random.default_rng(0).standard_normal((2, 4, 2)).astype("f")
    np.testing.assert_allclose(model.stream(2).run(x), model.predict(x), atol=1e-6)


def test_a_stride_follows_the_size_unless_it_is_given():
    assert MaxPooling1D(2).replace(size=3).shape_out((1, 9, 2)) == (1, 3, 2)
    assert MaxPooling1D(2, stride=2).replace(size=3).shape_out((1, 9, 2)) == (1, 4, 2)
    assert repr(MaxPooling1D(2)) == "MaxPooling1D(2)"
    assert repr(AveragePooling1D(2, stride=1, padding="same")) == "AveragePooling1D(2, stride=1, padding='same')"
