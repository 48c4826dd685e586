"""Metrics: their values on what predict gives, and exactness over batches."""

import numpy as np
import pytest

from gatewright.errors import OptionError
from gatewright.layers import LSTM, Dense, Sequential
from gatewright.parameters import Parameters
from gatewright.steps import Steps
from gatewright.training import metrics
from gatewright.training.batches import Data
from gatewright.training.gradients import evaluate
from gatewright.training.metrics import Metric
from gatewright.training.objective import objective
from gatewright.training.trainer import FitOptions, fit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((7, 5, 2))
STEPS = Steps(RNG.integers(0, 6, 7))
LIVE = STEPS.live(7, 5)
WEIGHT = RNG.random((7, 5)) + 0.2


def network(activation=None, outputs=3):
    layer = Sequential(LSTM(2, 4), Dense(4, outputs, activation))
    shapes = layer.init(np.random.default_rng(0)).shapes
    return layer, Parameters.of({n: np.random.default_rng(1).standard_normal(s) for n, s in shapes.items()})


def measured(layer, params, y, loss, watched, batch_size):
    data = Data(X, y, STEPS, WEIGHT)
    return evaluate(layer, params, data, loss, watched, batch_size)


def mean(values):
    """The weighted mean over live steps, in one go."""
    weight = (WEIGHT * LIVE).reshape(WEIGHT.shape + (1,) * (values.ndim - 2))
    return (values * weight).sum() / (weight.sum() * (values.size / WEIGHT.size))


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_regression(batch_size):
    layer, params = network()
    y = RNG.standard_normal((7, 5, 3))
    y[~LIVE] = np.nan
    pred = layer.forward(params, X, steps=STEPS)[0]
    error = np.where(LIVE[..., None], pred - np.nan_to_num(y), 0)
    found = measured(layer, params, y, "huber", ["mae", "mse", "rmse"], batch_size)
    assert list(found) == ["loss", "mae", "mse", "rmse"]
    assert found["mae"] == pytest.approx(mean(np.abs(error)), rel=1e-12)
    assert found["mse"] == pytest.approx(mean(error**2), rel=1e-12)
    assert found["rmse"] == pytest.approx(np.sqrt(mean(error**2)), rel=1e-12)


@pytest.mark.parametrize("activation", [None, "softmax"])
@pytest.mark.parametrize("batch_size", [2, 7])
def test_classes(activation, batch_size):
    layer, params = network(activation)
    y = RNG.integers(0, 3, (7, 5))
    logits = network()[0].forward(params, X, steps=STEPS)[0]
    surprise = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, y[..., None], -1)[..., 0]
    found = measured(layer, params, y, "cross_entropy", ["accuracy", "perplexity"], batch_size)
    assert found["accuracy"] == pytest.approx(mean((logits.argmax(-1) == y).astype(float)), rel=1e-12)
    assert found["loss"] == pytest.approx(mean(surprise), rel=1e-12)
    assert found["perplexity"] == pytest.approx(np.exp(mean(surprise)), rel=1e-12)
    assert 0 < found["accuracy"] < 1


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_bits(activation):
    layer, params = network(activation, 1)
    y = RNG.integers(0, 2, (7, 5, 1)).astype(float)
    logits = network(None, 1)[0].forward(params, X, steps=STEPS)[0]
    found = measured(layer, params, y, "binary_cross_entropy", ["accuracy"], 3)
    assert found["accuracy"] == pytest.approx(mean(((logits > 0) == (y > 0.5)).astype(float)), rel=1e-12)
    assert 0 < found["accuracy"] < 1


def test_own_metrics_see_predictions_targets_and_weights():
    layer, params = network("softmax")
    y = RNG.integers(0, 3, (7, 5))
    pred = layer.forward(params, X, steps=STEPS)[0]
    seen = []

    def total(pred, target, weight):
        seen.append((pred, target, weight))
        return 2.0

    found = measured(layer, params, y, "cross_entropy", [total, Metric("halved", lambda p, t, w: 3.0, lambda v: v / 2)], 4)
    assert (found["total"], found["halved"]) == (2.0, 1.5)
    assert [len(p) for p, _, _ in seen] == [4, 3]
    np.testing.assert_allclose(np.concatenate([p for p, _, _ in seen])[LIVE], pred[LIVE], rtol=1e-12)
    assert np.array_equal(np.concatenate([w for _, _, w in seen]), WEIGHT * LIVE)


@pytest.mark.parametrize(
    ("metric", "loss", "message"),
    [
        ("acuracy", "cross_entropy", "known: 'accuracy', 'mae', 'mse', 'rmse', 'perplexity'"),
        (3, "mse", "metric=3 is unknown"),
        (Metric("a", "b"), "mse", r"gw.Metric: got .*'a'.*'b'.*, wanted gw.Metric\(name, function\)"),
        (Metric(3, max), "mse", r"gw.Metric: got .*3.*, wanted gw.Metric\(name, function\)"),
        (Metric("a", max, 3), "mse", r"gw.Metric: got .*3.*, wanted gw.Metric\(name, function\)"),
        ("accuracy", "mse", "is for cross_entropy and binary_cross_entropy"),
        ("perplexity", "mse", "is for cross_entropy"),
    ],
)
def test_what_does_not_fit_is_refused(metric, loss, message):
    with pytest.raises(OptionError, match=message):
        metrics.resolve([metric], objective(network()[0], loss))


def vandal(pred, target, weight):
    for array in (pred, target, weight):
        array.fill(77)
    return 1.0


def vandal_loss(pred, target):
    values, gradient = (pred - target) ** 2, 2 * (pred - target)
    pred.fill(77)
    target.fill(77)
    return values, gradient


def test_own_functions_see_copies():
    layer, params = network()
    y = RNG.standard_normal((7, 5, 3))
    data, before = Data(X, y, sample_weight=WEIGHT.copy()), y.copy()
    clean = evaluate(layer, params, data, "mse", ["mae"])
    found = evaluate(layer, params, data, vandal_loss, [vandal, "mae", Metric("second", vandal)])
    assert found == clean | {"vandal": 1.0, "second": 1.0}
    assert np.array_equal(y, before)
    assert np.array_equal(data.sample_weight, WEIGHT)


@pytest.mark.parametrize("options", [{}, {"tbptt": 2}])
def test_own_functions_do_not_change_a_training(options):
    layer, params = network()
    data = Data(X, RNG.standard_normal((7, 5, 3)))
    options = {"verbose": False, "epochs": 2, "batch_size": 4, "shuffle": False, "validation": data} | options
    clean, dirty = params.copy(), params.copy()
    history = fit(layer, clean, data, FitOptions(metrics="mae", **options))
    found = fit(layer, dirty, data, FitOptions(loss=vandal_loss, metrics=[vandal, "mae"], **options))
    assert np.array_equal(clean.flat, dirty.flat)
    assert found.val_loss == history.val_loss
    assert (found.mae, found.val_mae) == (history.mae, history.val_mae)


@pytest.mark.parametrize(
    ("got", "said"), [(None, "NoneType"), ("x", "str"), (np.ones(3), "ndarray"), (np.array("x"), "ndarray"), (1j, "complex")]
)
def test_a_metric_that_gives_no_number_is_refused(got, said):
    layer, params = network()
    data = Data(X, RNG.standard_normal((7, 5, 3)))
    for metric in (Metric("own", lambda pred, target, weight: got), Metric("own", vandal, lambda value: got)):
        with pytest.raises(OptionError, match=f"metric 'own': got {said}, wanted a number"):
            evaluate(layer, params, data, "mse", metric)


@pytest.mark.parametrize("number", [2, True, np.float32(2), np.int64(2), np.array(2.0), np.True_, np.inf])
def test_what_a_metric_may_give(number):
    layer, params = network()
    data = Data(X, RNG.standard_normal((7, 5, 3)))
    assert evaluate(layer, params, data, "mse", Metric("own", lambda pred, target, weight: number))["own"] == float(number)


def test_two_of_one_name_are_refused():
    with pytest.raises(OptionError, match="share a name"):
        metrics.resolve(["mae", "mae"], objective(network()[0], "mse"))


def test_a_metric_of_another_shape_is_refused():
    layer, params = network(None, 4)
    with pytest.raises(OptionError, match=r"'mae' compares y \(7, 5, 2\) with the output \(7, 5, 4\)"):
        measured(layer, params, RNG.standard_normal((7, 5, 2)), "gaussian_nll", "mae", 7)
