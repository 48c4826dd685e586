"""Data checked once: targets, weights, what is never read; the weighted mean; windows of time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.layers import LSTM, Dense, Embedding, Masking, Sequential
from gatewright.steps import Steps
from gatewright.training import losses
from gatewright.training.batches import Data, prepare, weigh, windows
from gatewright.training.objective import objective

NET = Sequential(LSTM(2, 3), Dense(3, 4))
LAST = Sequential(LSTM(2, 3, return_sequences=False), Dense(3, 4))
X = np.random.default_rng(0).standard_normal((3, 5, 2))
Y = np.random.default_rng(1).standard_normal((3, 5, 4))
CLASSES = np.random.default_rng(2).integers(0, 4, (3, 5))


def ready(net, loss, y, class_weight=None, **more):
    return prepare(objective(net, loss), Data(X, y, **more), np.float32, class_weight)


def test_what_is_plain_stays_plain():
    batch = ready(NET, "mse", Y)
    assert batch.weight is None
    assert batch.total == 15
    assert batch.y.dtype == np.float32
    assert ready(LAST, "mse", Y[:, 0]).total == 3
    assert np.shares_memory(ready(NET, "cross_entropy", CLASSES).y, CLASSES)


def test_dead_steps_are_not_read():
    y = Y.copy()
    y[0, 3:], y[2, 1] = np.nan, np.inf
    mask = np.ones((3, 5), bool)
    mask[2, 1] = False
    batch = ready(NET, "mse", y, steps=Steps(np.array([3, 5, 5]), mask))
    assert batch.total == 12
    assert np.array_equal(batch.y[0, 3:], np.zeros((2, 4)))
    assert np.isnan(y[0, 3:]).all(), "the caller's array was modified"
    classes = CLASSES.copy()
    classes[0, 3:] = -100
    assert ready(NET, "cross_entropy", classes, steps=Steps(np.array([3, 5, 5]))).total == 13


def test_the_layers_own_masks_count():
    x = X.copy()
    x[1, 2:] = 0
    net = Sequential(Masking(0.0), LSTM(2, 3), Dense(3, 4))
    assert prepare(objective(net, "mse"), Data(x, Y), float).total == 12
    net = Sequential(Embedding(5, 2, mask_zero=True), LSTM(2, 3), Dense(3, 4))
    indices = np.array([[1, 2, 0, 0, 0], [3, 0, 4, 0, 1], [1, 1, 1, 1, 1]])
    assert prepare(objective(net, "mse"), Data(indices, Y), float).total == 10


def test_what_has_no_weight_is_not_read():
    y = Y.copy()
    y[1, 4] = np.nan
    weight = np.ones((3, 5))
    weight[1, 4] = 0
    assert ready(NET, "mse", y, sample_weight=weight).total == 14
    y = Y[:, 0].copy()
    y[2] = np.nan
    assert ready(LAST, "mse", y, sample_weight=np.array([2, 0.5, 0])).total == 2.5


def test_weights_multiply():
    weight = np.array([1.0, 2, 3])
    lengths = Steps(np.array([5, 1, 0]))
    batch = ready(NET, "cross_entropy", CLASSES, {1: 5.0}, sample_weight=weight, steps=lengths)
    wanted = np.where(CLASSES == 1, 5.0, 1) * weight[:, None] * lengths.live(3, 5)
    assert np.array_equal(batch.weight, wanted)
    by_array = ready(NET, "cross_entropy", CLASSES, np.array([1, 5, 1, 1]), sample_weight=weight, steps=lengths)
    assert np.array_equal(by_array.weight, wanted)


@pytest.mark.parametrize(
    ("net", "loss", "y", "more", "error", "message"),
    [
        (NET, "mse", Y[..., 0], {}, ShapeError, r"y: got shape \(3, 5\), wanted \(3, 5, 4\)"),
        (NET, "mse", Y[:1], {}, ShapeError, r"y: got shape \(1, 5, 4\), wanted \(3, 5, 4\)"),
        (LAST, "mse", Y, {}, ShapeError, r"y: got shape \(3, 5, 4\), wanted \(3, 4\)"),
        (NET, "gaussian_nll", Y, {}, ShapeError, r"wanted \(3, 5, 2\)"),
        (NET, losses.Quantile((0.1, 0.9)), Y, {}, ShapeError, r"wanted \(3, 5, 2\)"),
        (NET, losses.Quantile((0.1, 0.5, 0.9)), Y, {}, ShapeError, "got 4, wanted a multiple of the 3 quantiles"),
        (NET, "cross_entropy", CLASSES[..., None], {}, ShapeError, r"wanted \(3, 5\)"),
        (NET, "cross_entropy", CLASSES.astype(float), {}, DataError, "got float64, wanted the numbers of the classes"),
        (NET, "mse", Y.astype(complex), {}, DataError, "got complex128, wanted numbers"),
        (NET, "mse", np.full(Y.shape, "a"), {}, DataError, "got <U1, wanted numbers"),
        (NET, lambda p, y: (p, p), Y[:2], {}, ShapeError, r"begins with \(3, 5\)"),
        (
            NET,
            "mse",
            Y,
            {"sample_weight": np.ones(5)},
            ShapeError,
            r"sample_weight: got shape \(5,\), wanted \(3,\) or \(3, 5\)",
        ),
        (LAST, "mse", Y[:, 0], {"sample_weight": np.ones((3, 5))}, ShapeError, r"got shape \(3, 5\), wanted \(3,\)$"),
        (NET, "mse", Y, {"sample_weight": -np.ones(3)}, DataError, "sample_weight: got -1.0, wanted finite numbers from 0 up"),
        (NET, "mse", Y, {"sample_weight": np.array([1, np.nan, 1])}, DataError, "sample_weight: got nan, wanted finite"),
        (NET, "mse", Y, {"sample_weight": np.zeros(3)}, DataError, "no loss to compute: no row"),
        (NET, "mse", Y, {"steps": Steps(np.zeros(3, int))}, DataError, "no loss to compute: no row"),
        (NET, "mse", Y, {"class_weight": {0: 2.0}}, OptionError, "the targets of .* are not classes; use sample_weight"),
        (
            NET,
            "cross_entropy",
            CLASSES,
            {"class_weight": {4: 2.0}},
            OptionError,
            "class_weight: got the class 4, wanted a class 0 … 3",
        ),
        (NET, "cross_entropy", CLASSES, {"class_weight": np.ones(3)}, OptionError, r"got shape \(3,\), wanted \(4,\)"),
        (
            NET,
            "cross_entropy",
            CLASSES,
            {"class_weight": {0: -1.0}},
            DataError,
            "class_weight: got -1.0, wanted finite numbers",
        ),
        (NET, "cross_entropy", CLASSES, {"class_weight": {0: "x"}}, DataError, "class_weight: got <U"),
        (NET, "cross_entropy", CLASSES, {"class_weight": [1, [2], 3, 4]}, DataError, "class_weight: got rows of unequal"),
    ],
)
def test_what_does_not_fit_is_refused(net, loss, y, more, error, message):
    with pytest.raises(error, match=message):
        ready(net, loss, y, **more)


@pytest.mark.parametrize(
    ("loss", "bad", "message"),
    [
        ("mse", np.nan, "y: got nan in row 2, step 1; wanted a finite number"),
        ("mae", -np.inf, "y: got -inf in row 2, step 1; wanted a finite number"),
        ("cross_entropy", 4, "y: got 4 in row 2, step 1; wanted a class 0 … 3"),
        ("cross_entropy", -1, "y: got -1 in row 2, step 1; wanted a class 0 … 3"),
        ("binary_cross_entropy", 1.5, "y: got 1.5 in row 2, step 1; wanted a number from 0 to 1"),
        ("binary_cross_entropy", np.nan, "y: got nan in row 2, step 1; wanted a number from 0 to 1"),
    ],
)
def test_an_impossible_target_is_named(loss, bad, message):
    y = CLASSES.copy() if loss == "cross_entropy" else np.abs(Y) / 10
    y[2, 1] = bad
    with pytest.raises(DataError, match=message):
        ready(NET, loss, y)
    with pytest.raises(DataError, match=message.replace(", step 1", "")):
        ready(LAST, loss, y[:, 1])


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "gaussian_nll", losses.Quantile((0.2, 0.8))], ids=str)
@pytest.mark.parametrize("timed", [True, False])
def test_the_loss_is_the_weighted_mean_over_live_steps_and_outputs(loss, timed):
    rng = np.random.default_rng(5)
    net, lead = (NET, (3, 5)) if timed else (LAST, (3,))
    goal = objective(net, loss)
    shape = goal.loss.target_shape((*lead, 4))
    y = rng.integers(0, 4, shape) if goal.loss.classes else rng.standard_normal(shape)
    weight = rng.random(lead) + 0.5
    steps = Steps(np.array([4, 2, 5])) if timed else None
    live = steps.live(3, 5) if timed else np.ones(3, bool)
    output = rng.standard_normal((*lead, 4))
    batch = prepare(goal, Data(X, y, steps, weight), float)
    value, doutput = weigh(goal.loss, output, batch, batch.total)
    above = below = 0.0
    for place in np.ndindex(*lead):
        if live[place]:
            above += weight[place] * goal.loss(output[place][None], y[place][None])[0].mean()
            below += weight[place]
    assert value == pytest.approx(above / below, rel=1e-13)
    direction = rng.standard_normal(output.shape)
    step = weigh(goal.loss, output + 1e-30j * direction, batch, batch.total)[0].imag / 1e-30
    assert step == pytest.approx((doutput * direction).sum(), rel=1e-12)
    assert not doutput[~live].any()


def test_a_loss_may_be_nan_where_nothing_is_read():
    def own(pred, target):
        return np.log(target), np.where(target == 0, np.nan, pred)

    y = np.abs(Y)
    y[0] = np.nan
    batch = ready(NET, own, y, sample_weight=np.array([0.0, 1, 1]))
    with np.errstate(divide="ignore"):
        value, doutput = weigh(losses.get(own), np.ones(Y.shape), batch, batch.total)
    assert value == pytest.approx(np.log(y[1:]).mean(), rel=1e-5)
    assert np.isfinite(doutput).all()


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 10))
def test_windows_give_every_step_one_loss_and_hand_the_state_on(time, k1, more):
    k2, seen, before = k1 + more, [], None
    for window in windows(time, (k1, k2)):
        seen += range(window.fresh, window.stop)
        assert window.start <= window.fresh
        assert window.stop - window.start <= k2
        assert window.start == 0 or window.stop - window.start == k2
        assert window.start <= window.handoff <= window.stop
        assert before is None or before.handoff == window.start
        before = window
    assert seen == list(range(time))
    assert before.handoff == before.stop == time


def test_one_window_without_truncation():
    assert list(windows(7, None)) == [(0, 7, 7, 0)]
    assert list(windows(7, (3, 5))) == [(0, 1, 3, 0), (1, 2, 6, 3), (2, 7, 7, 6)]
