"""Activate, BatchNorm and RepeatVector against the oracle, their gradients, dead steps, and what never trains."""

import goldens
import numpy as np
import oracle
import pytest
from layer_checks import assert_as_keras, draw_params, worst_error
from refusals import refused

import gatewright as gw
from gatewright.activations import Activation
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import Activate, BatchNorm, RepeatVector
from gatewright.parameters import Parameters
from gatewright.steps import Steps

KERAS = goldens.load("keras_convolutions")
OURS = ("Activate", "BatchNorm", "RepeatVector")
NONE = Parameters({})
STEPS = Steps(np.array([4, 2, 5]), np.array([[1, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 0, 1]], bool))
LIVE = STEPS.live(3, 5)


def with_nan(x):
    """x (3, 5, F) with NaN at its dead steps."""
    return np.where(LIVE[..., None], x, np.nan)


def norm_params(layer, rng, dtype=float):
    """Parameters nowhere zero, with variances above it."""
    params = draw_params(layer, rng, dtype=dtype)
    params.assign({"var": 0.1 + params["var"] ** 2})
    return params


@pytest.mark.parametrize("spec", ["softmax", "tanh", "elu", None, Activation("leaky_relu", 0.3)], ids=str)
def test_activate(spec):
    x = with_nan(np.random.default_rng(0).standard_normal((3, 5, 4)))
    layer = Activate(spec)
    y, state, _ = layer.forward(NONE, x, steps=STEPS)
    assert state is None
    assert layer.steps_out(x, STEPS) is STEPS
    act = oracle.activation(("leaky_relu", 0.3) if isinstance(spec, Activation) else spec)
    np.testing.assert_allclose(y, oracle.at_live(act, x.tolist(), LIVE.tolist()), rtol=0, atol=1e-15)
    assert layer.analytic == layer.activation.analytic
    assert worst_error(layer, NONE, x, None, STEPS, directions=3) < (1e-10 if layer.analytic else 1e-7)
    for shape in ((2, 3), (0, 5, 3), (2, 0, 3), (1, 1, 1)):
        rows = np.random.default_rng(1).standard_normal(shape)
        y, _, _ = layer.forward(NONE, rows)
        assert y.shape == layer.shape_out(shape) == shape
        assert not np.may_share_memory(y, rows)


@pytest.mark.parametrize("epsilon", [1e-3, 0.5])
def test_batch_norm(epsilon):
    rng = np.random.default_rng(1)
    layer = BatchNorm(4, epsilon=epsilon)
    params, x = norm_params(layer, rng), with_nan(rng.standard_normal((3, 5, 4)) * 3 + 1)
    numbers = [params[name].tolist() for name in ("gain", "shift", "mean", "var")]
    wanted = oracle.at_live(lambda step: oracle.batch_norm(step, *numbers, epsilon), x.tolist(), LIVE.tolist())
    for training in (False, True):
        np.testing.assert_allclose(layer.forward(params, x, steps=STEPS, training=training)[0], wanted, rtol=0, atol=1e-14)
    assert worst_error(layer, params, x, None, STEPS, directions=3) < 1e-10
    for shape in ((2, 4), (2, 5, 4), (0, 5, 4), (2, 0, 4), (1, 1, 4)):
        rows = rng.standard_normal(shape)
        y, _, _ = layer.forward(params, rows)
        assert y.shape == layer.shape_out(shape)
        assert worst_error(layer, params, rows, nothing_zero=rows.size > 0) < 1e-10


@pytest.mark.parametrize("case", [case for case in KERAS if KERAS[case][0]["layer"] in OURS])
def test_keras(case):
    assert_as_keras(*KERAS[case])


def test_statistics_are_never_trained():
    """Not by fit, not by weight decay, not after unfreeze, not from a file that says so."""
    model = gw.Model(gw.Sequential(gw.GRU(2, 3), BatchNorm(3), gw.Dense(3, 1)), seed=0)
    drawn = norm_params(BatchNorm(3), np.random.default_rng(0))
    model.parameters.assign({f"1.{name}": array for name, array in drawn.items()})
    statistics = {"1.mean", "1.var"}
    assert {name for name, free in model.parameters.trainable.items() if not free} == statistics
    model.freeze("1")
    assert model.unfreeze("1") == ["1.gain", "1.shift"]
    assert not statistics & set(model.unfreeze("*"))
    with refused(OptionError, "1.var is never trained"):
        model.unfreeze(["1.var", "1.mean"])
    before = model.copy().parameters
    x = np.random.default_rng(1).standard_normal((4, 6, 2))
    model.fit(x, x[..., :1], optimizer=gw.AdamW(0.1, weight_decay=0.5), verbose=False)
    for name, array in model.parameters.items():
        assert np.array_equal(array, before[name]) == (name in statistics), name
    assert Parameters.of({"0.var": np.ones(2)}).trainable == {"0.var": False}
    frozen = BatchNorm(2, trainable=False).init(np.random.default_rng(0))
    assert not any(frozen.trainable.values())
    assert [frozen[name].tolist() for name in ("gain", "shift", "mean", "var")] == [[1, 1], [0, 0], [0, 0], [1, 1]]
    assert model.gradcheck(x, x[..., :1]).ok


def test_weights_in_keras_order():
    model = gw.Model(BatchNorm(2), seed=0)
    weights = [np.array([k, k + 0.5], "f") for k in (1, 2, 3, 4)]
    model.set_weights(weights)
    assert [array.tolist() for array in model.get_weights()] == [array.tolist() for array in weights]
    assert [model.parameters[f"0.{name}"][0] for name in ("gain", "shift", "mean", "var")] == [1, 2, 3, 4]


def test_repeat_vector():
    x = np.random.default_rng(0).standard_normal((3, 2))
    layer = RepeatVector(4)
    y, state, _ = layer.forward(NONE, x)
    assert state is None
    assert y.shape == layer.shape_out(x.shape)
    assert all(np.array_equal(y[:, t], x) for t in range(4))
    assert layer.steps_out(x, None) is None
    assert layer.lengths_out(np.array([3, 0])).tolist() == [4, 4]
    assert worst_error(layer, NONE, x, directions=3) < 1e-10


def test_an_autoencoder():
    """A sequence to a row to a sequence: the lengths of the first are forgotten, lists come back with those of the second."""
    net = gw.Sequential(gw.LSTM(2, 3, return_sequences=False), RepeatVector(4), gw.GRU(3, 3), gw.Dense(3, 2))
    model = gw.Model(net, seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((n, 2)) for n in (5, 1, 3)]
    y = model.predict(rows)
    assert [out.shape for out in y] == [(4, 2)] * 3
    for row, out in zip(rows, y, strict=True):
        np.testing.assert_allclose(model.predict(row[None])[0], out, atol=1e-14)
    target = [rng.standard_normal((4, 2)) for _ in rows]
    assert model.gradcheck(rows, target).ok
    with refused(OptionError, "RepeatVector makes a whole sequence"):
        model.stream()


def test_a_network_that_begins_with_rows():
    model = gw.Model(gw.Sequential(gw.Dense(2, 3, "tanh"), RepeatVector(4), gw.GRU(3, 2)), seed=0, dtype="float64")
    x = np.random.default_rng(0).standard_normal((5, 2))
    y = model.predict(x)
    assert y.shape == (5, 4, 2)
    assert model.gradcheck(x, np.cos(y)).ok
    before = model.evaluate(x, y + 1)["loss"]
    model.fit(x, y + 1, epochs=3, batch_size=2, sample_weight=np.arange(1.0, 6), verbose=False)
    assert model.evaluate(x, y + 1)["loss"] < before
    assert "(B, 4, 3)" in model.summary()


def test_the_identity_branch():
    layer = gw.Sequential(gw.Parallel([Activate(None), gw.GRU(2, 3)]), Activate("tanh"), gw.Residual(Activate("sigmoid")))
    model = gw.Model(layer, seed=0, dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 5, 2))
    first = gw.Model(gw.Sequential(layer.layers[0]), parameters=model.parameters, dtype="float64").predict(x)
    assert np.array_equal(first[..., :2], x)
    assert gw.gradcheck(layer, x, mask=STEPS.mask, lengths=STEPS.lengths).ok
    np.testing.assert_allclose(model.stream(3).run(x), model.predict(x), atol=1e-15)


@pytest.mark.parametrize("layer", [Activate("tanh"), Activate("softmax"), BatchNorm(3)], ids=repr)
def test_a_prepared_step_has_the_bits_of_the_sequence(layer):
    """Whatever the batch, the chunk, the padding: every number, or every step, is by itself."""
    model = gw.Model(gw.Sequential(layer), seed=0)
    if isinstance(layer, BatchNorm):
        model.parameters.assign({f"0.{k}": a for k, a in norm_params(layer, np.random.default_rng(0)).items()})
    x = np.random.default_rng(0).standard_normal((3, 7, 3)).astype("f")
    y, _, _ = layer.forward(model.parameters.scope("0"), x)
    assert np.array_equal(model.predict(x), y)
    assert np.array_equal(np.concatenate([model.predict(x[row : row + 1]) for row in range(3)]), y)
    if layer.features_in:
        stream = model.stream(3)
        assert np.array_equal(np.stack([stream.step(x[:, t]) for t in range(7)], axis=1), y)
    cut = model.predict(x, lengths=[7, 0, 4])
    assert np.array_equal(cut[2, :4], y[2, :4])
    assert not cut[1].any()


def test_refusals():
    for make, words in (
        (lambda: Activate("tahn"), ["activation='tahn' is unknown"]),
        (lambda: BatchNorm(0), ["size: got 0"]),
        (lambda: BatchNorm(2, epsilon=0), ["epsilon: got 0"]),
        (lambda: BatchNorm(2, trainable=1), ["trainable: got 1"]),
        (lambda: RepeatVector(0), ["count: got 0"]),
        (lambda: gw.Model(Activate("tanh"), kernel="compiled"), ["no kernel is written for this layer"]),
    ):
        with refused(OptionError, *words):
            make()
    for make, words in (
        (lambda: BatchNorm(2).shape_out((3, 4, 3)), ["wanted (batch, …, 2)"]),
        (lambda: RepeatVector(2).shape_out((3, 4, 3)), ["got x of shape (3, 4, 3), wanted (batch, features)"]),
        (lambda: gw.Sequential(gw.GRU(2, 3), RepeatVector(2)), ["layer 1, RepeatVector(2)", "got x of shape (1, time, 3)"]),
        (lambda: gw.Sequential(gw.Conv1D(2, 3, 2), RepeatVector(2)), ["got x of shape (1, another time, 3)"]),
    ):
        with refused(ShapeError, *words):
            make()
