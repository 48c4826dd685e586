"""Every loss: against PyTorch's traces, its gradient by complex step or differences, and what it refuses."""

import goldens
import numpy as np
import pytest

from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.parameters import Parameters
from gatewright.training import losses
from gatewright.training.optimizers import Adam

GOLDEN = {case: found for case, found in goldens.load("torch_training").items() if found[0]["what"] == "loss"}
LOSSES = [
    losses.MSE(),
    losses.MAE(),
    losses.Huber(0.3),
    losses.Quantile(),
    losses.Quantile((0.1, 0.5, 0.7)),
    losses.CrossEntropy(),
    losses.CrossEntropy(0.3),
    losses.BinaryCrossEntropy(),
    losses.GaussianNLL(),
]


def example(loss, rng, dtype=float):
    """A prediction (3, 4, 6) and its target."""
    pred = rng.standard_normal((3, 4, 6)).astype(dtype)
    shape = loss.target_shape(pred.shape)
    return pred, rng.integers(0, 6, shape) if loss.classes else rng.random(shape).astype(dtype)


@pytest.mark.parametrize("case", GOLDEN)
def test_a_trace_of_twenty_steps_is_pytorchs(case):
    about, arrays = GOLDEN[case]
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in about["options"].items()}
    loss = losses.BY_NAME[about["loss"]](**options)
    params = Parameters.of({"p": arrays["start"]})
    optimizer = Adam(0.1)
    state = optimizer.init(params)
    values = []
    for step in range(20):
        value, dpred = loss(params["p"], arrays["target"])
        values.append(value.mean())
        gradient = (dpred / value.size).ravel()
        if step == 0:
            np.testing.assert_allclose(gradient, arrays["gradient"].ravel(), rtol=0, atol=1e-14)
        with params.edit() as flat:
            optimizer.update(flat, gradient, state, float)
    np.testing.assert_allclose(values, arrays["values"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(params["p"], arrays["end"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_gradient_is_that_of_the_values(loss):
    rng = np.random.default_rng(3)
    pred, target = example(loss, rng)
    direction = rng.standard_normal(pred.shape)
    values, dpred = loss(pred, target)
    exact = (dpred * direction).sum()
    # Elementwise losses are piecewise analytic, so the complex step holds for all of them away from their kinks.
    step = loss(pred + 1e-30j * direction, target)[0].imag.sum() / 1e-30
    difference = (loss(pred + 1e-6 * direction, target)[0].sum() - loss(pred - 1e-6 * direction, target)[0].sum()) / 2e-6
    assert abs(exact) > 0.1
    assert abs(step - exact) < 1e-12 * abs(exact)
    assert abs(difference - exact) < 1e-7 * abs(exact)
    assert dpred.shape == pred.shape
    assert values.shape[:2] == pred.shape[:2]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_dtype_stays_and_nothing_is_modified(loss):
    pred, target = example(loss, np.random.default_rng(4), np.float32)
    before = pred.copy(), target.copy()
    values, dpred = loss(pred, target)
    assert values.dtype == dpred.dtype == np.float32
    assert np.array_equal(pred, before[0])
    assert np.array_equal(target, before[1])


@pytest.mark.parametrize("loss", [losses.CrossEntropy(), losses.CrossEntropy(0.1), losses.BinaryCrossEntropy()], ids=repr)
def test_logits_may_be_huge(loss):
    pred = np.array([[1e4, -1e4, 5.0], [-1e4, 1e4, 5.0]], np.float32)
    target = np.array([1, 1]) if loss.classes else np.array([[0, 1, 0.5], [0, 1, 0.5]], np.float32)
    values, dpred = loss(pred, target)
    assert np.isfinite(values).all()
    assert np.isfinite(dpred).all()
    assert values.max() > 9e3


def test_logits_and_classes_may_lie_in_memory_as_they_like():
    pred, target = example(losses.CrossEntropy(0.1), np.random.default_rng(6))
    plain = losses.CrossEntropy(0.1)(pred, target)
    for order in (np.asfortranarray(pred), np.repeat(pred, 2, axis=-1)[..., ::2]):
        values, dpred = losses.CrossEntropy(0.1)(order, target)
        assert np.array_equal(values, plain[0])
        assert np.array_equal(dpred, plain[1])
    flat = losses.CrossEntropy(0.1)(np.asfortranarray(pred.reshape(12, 6)), target.ravel().astype(np.uint64))
    assert np.array_equal(flat[1].reshape(pred.shape), plain[1])


def test_the_quantile_loss_is_least_at_the_quantile():
    sample = np.random.default_rng(5).exponential(size=(2001, 1))
    grid = np.linspace(0, 4, 801)
    costs = [losses.Quantile(0.9)(np.full_like(sample, g), sample)[0].mean() for g in grid]
    assert abs(grid[np.argmin(costs)] - np.quantile(sample, 0.9)) < 0.01


def test_several_quantiles_stand_one_after_the_other():
    pred, target = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[2.0, 2.0]])
    values, _ = losses.Quantile((0.1, 0.9))(pred, target)
    np.testing.assert_allclose(values, [[0.1, 0.0, 0.1, 0.2]])


def test_quantiles_may_be_a_list():
    assert losses.Quantile([0.1, 0.9]) == losses.Quantile((0.1, 0.9))


def test_get_takes_names_losses_classes_and_functions():
    assert losses.get("huber") == losses.Huber(1.0)
    assert losses.get(losses.huber) == losses.Huber(1.0)
    assert losses.get(losses.huber(2)) == losses.Huber(2)
    own = losses.get(lambda pred, target: (pred, np.ones_like(pred)))
    assert own(np.ones((2, 3)), None)[0].shape == (2, 3)
    assert "lambda" in repr(own)


@pytest.mark.parametrize("bad", ["mze", None, 3])
def test_an_unknown_loss_lists_the_known(bad):
    with pytest.raises(OptionError, match=r"known: 'mse', 'mae', 'huber'"):
        losses.get(bad)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.Huber(0), "huber: delta: got 0, wanted a number above 0"),
        (lambda: losses.Quantile(()), r"quantile: quantiles: got \(\), wanted one or several numbers between 0 and 1"),
        (lambda: losses.Quantile([0.5, "x"]), r"quantile: quantiles: got \(0.5, 'x'\), wanted one or several numbers"),
        (lambda: losses.Quantile((0.5, 1.0)), "wanted one or several numbers between 0 and 1"),
        (lambda: losses.Quantile("half"), "wanted one or several numbers between 0 and 1"),
        (lambda: losses.CrossEntropy(1.0), "cross_entropy: label_smoothing: got 1.0"),
    ],
)
def test_impossible_options(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_outputs_that_do_not_divide():
    with pytest.raises(ShapeError, match="output columns: got 5, wanted the means, then as many log-variances"):
        losses.GaussianNLL().target_shape((2, 5))
    with pytest.raises(ShapeError, match="output columns: got 5, wanted a multiple of the 2 quantiles"):
        losses.Quantile((0.1, 0.9)).target_shape((2, 5))


@pytest.mark.parametrize(
    "result",
    [
        np.zeros((2, 3)),
        (np.zeros((2, 3)), np.zeros((2,))),
        (np.float64(0), np.zeros((2, 3))),
        (np.zeros((2, 3, 1)), np.zeros((2, 3))),
    ],
)
def test_an_own_loss_that_returns_another_shape(result):
    with pytest.raises(ShapeError, match=r"wanted values \(2,\) or \(2, N\)|wanted \(values, gradient"):
        losses.get(lambda pred, target: result)(np.zeros((2, 3)), None)


@pytest.mark.parametrize("result", [(None, np.zeros((2, 3))), (np.zeros(2), np.full((2, 3), "x")), (np.ones(2), [[1], [1, 2]])])
def test_an_own_loss_that_returns_no_numbers(result):
    def own(pred, target):
        return result

    with pytest.raises(DataError, match=r"loss .*own: got .*, wanted "):
        losses.get(own)(np.zeros((2, 3)), None)
