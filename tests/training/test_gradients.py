"""The gradients of a whole network's loss by complex step, and evaluation in batches."""

import numpy as np
import pytest

from gatewright.errors import DataError, OptionError
from gatewright.layers import GRU, LSTM, RNN, Dense, Sequential
from gatewright.parameters import Parameters
from gatewright.steps import Steps
from gatewright.training.batches import Data, prepare, weigh
from gatewright.training.gradients import evaluate, loss_and_gradients
from gatewright.training.losses import Quantile
from gatewright.training.objective import objective

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 6, 2))
STEPS = Steps(np.array([6, 2, 0, 5]), RNG.random((4, 6)) < 0.8)
WEIGHT = RNG.random((4, 6)) + 0.5
NETS = {
    "every step": Sequential(LSTM(2, 3, num_layers=2, bidirectional=True), Dense(6, 4)),
    "last step": Sequential(GRU(2, 3, return_sequences=False), Dense(3, 4)),
    "folded": Sequential(RNN(2, 3), Dense(3, 4, "softmax")),
}


def drawn(layer, dtype=float):
    shapes = layer.init(np.random.default_rng(0)).shapes
    return Parameters.of({n: 0.7 * np.random.default_rng(1).standard_normal(s) for n, s in shapes.items()}, dtype=dtype)


def loss_value(layer, params, data, loss, class_weight=None):
    """The loss in the parameters' own kind of number: complex for complex parameters."""
    goal = objective(layer, loss)
    batch = prepare(goal, data, float, class_weight)
    return weigh(goal.loss, goal.layer.forward(params, batch.x, steps=batch.steps)[0], batch, batch.total)[0]


def targets(net, loss):
    lead = (4,) if net == "last step" else (4, 6)
    if loss == "cross_entropy":
        return RNG.integers(0, 4, lead)
    return RNG.random((*lead, 2 if loss == "gaussian_nll" or isinstance(loss, Quantile) else 4))


@pytest.mark.parametrize(
    ("net", "loss"),
    [
        *((net, loss) for net in ("every step", "last step") for loss in ("mse", "cross_entropy", "gaussian_nll", "huber")),
        ("every step", "binary_cross_entropy"),
        ("every step", Quantile((0.2, 0.7))),
        ("folded", "cross_entropy"),
    ],
    ids=str,
)
def test_gradients_by_complex_step(net, loss):
    layer, y = NETS[net], targets(net, loss)
    params = drawn(layer)
    data = Data(X, y, STEPS, WEIGHT[:, 0] if net == "last step" else WEIGHT)
    class_weight = {1: 3.0} if loss == "cross_entropy" else None
    value, grads = loss_and_gradients(layer, params, data, loss, class_weight)
    assert isinstance(value, float)
    assert value == loss_value(layer, params, data, loss, class_weight)
    for name, where in params.slices().items():
        direction = np.zeros(len(params.flat))
        direction[where] = RNG.standard_normal(len(direction[where]))
        moved = params.astype(complex)
        with moved.edit() as flat:
            flat += 1e-30j * direction
        expected = loss_value(layer, moved, data, loss, class_weight).imag / 1e-30
        largest = np.abs(grads[name]).max()
        assert largest > 1e-5, name
        assert abs(expected - grads.flat @ direction) < 1e-11 * largest * np.sqrt(len(direction[where])), name


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_evaluate_is_exact_over_batches_of_unequal_weight(batch_size):
    layer, y = NETS["every step"], targets("every step", "mse")
    data = Data(X, y, STEPS, WEIGHT)
    params = drawn(layer)
    assert evaluate(layer, params, data, "mse", (), batch_size)["loss"] == pytest.approx(
        loss_value(layer, params, data, "mse"), rel=1e-14
    )


def test_frozen_names_have_gradients_too():
    layer = NETS["every step"]
    params = drawn(layer)
    data = Data(X, targets("every step", "mse"))
    free = loss_and_gradients(layer, params, data, "mse")[1]
    params.set_trainable("0", False)
    assert np.array_equal(free.flat, loss_and_gradients(layer, params, data, "mse")[1].flat)


def test_nothing_to_evaluate():
    with pytest.raises(OptionError, match="batch_size: got 0"):
        evaluate(NETS["every step"], drawn(NETS["every step"]), Data(X, np.zeros((4, 6, 4))), "mse", (), 0)
    with pytest.raises(DataError, match="no row, no live step"):
        evaluate(NETS["every step"], drawn(NETS["every step"]), Data(X[:0], np.zeros((0, 6, 4))), "mse")
