"""A final softmax or sigmoid goes into the loss once, and contradictions are refused."""

import numpy as np
import pytest

from gatewright.errors import OptionError
from gatewright.layers import LSTM, RNN, Dense, Dropout, Sequential, Shared
from gatewright.training.batches import Data
from gatewright.training.gradients import evaluate, loss_and_gradients
from gatewright.training.objective import objective


def net(activation):
    return Sequential(LSTM(2, 3), Dense(3, 4, activation))


@pytest.mark.parametrize(("activation", "loss"), [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")])
def test_the_final_activation_is_folded_not_applied_twice(activation, loss):
    rng = np.random.default_rng(0)
    params = net(None).init(rng)
    x = rng.standard_normal((3, 5, 2))
    y = rng.integers(0, 4, (3, 5)) if loss == "cross_entropy" else rng.random((3, 5, 4))
    value, grads = loss_and_gradients(net(activation), params, Data(x, y), loss)
    plain, plain_grads = loss_and_gradients(net(None), params, Data(x, y), loss)
    assert value == plain
    assert np.array_equal(grads.flat, plain_grads.flat)
    p = net(activation).forward(params, x)[0]
    by_hand = (
        -np.log(np.take_along_axis(p, y[..., None], -1)) if loss == "cross_entropy" else -y * np.log(p) - (1 - y) * np.log1p(-p)
    )
    assert value == pytest.approx(by_hand.mean(), rel=1e-12)
    assert evaluate(net(activation), params, Data(x, y), loss)["loss"] == pytest.approx(value, rel=1e-14)


def test_other_losses_see_the_activation():
    goal = objective(net("softmax"), "mse")
    assert goal.final is None
    assert goal.layer == net("softmax")


@pytest.mark.parametrize(
    ("activation", "loss", "message"),
    [
        (
            "sigmoid",
            "cross_entropy",
            "cross_entropy can't follow the final activation 'sigmoid'; use loss='binary_cross_entropy'",
        ),
        ("softmax", "binary_cross_entropy", "binary_cross_entropy can't follow the final activation 'softmax'"),
    ],
)
def test_contradictions(activation, loss, message):
    with pytest.raises(OptionError, match=message):
        objective(net(activation), loss)


def test_a_shared_softmax_cannot_be_folded():
    shared = Shared(Dense(3, 4, "softmax"), "head")
    with pytest.raises(OptionError, match=r"'softmax' makes the output in a place where it can't be left out"):
        objective(Sequential(LSTM(2, 3), shared), "cross_entropy")


@pytest.mark.parametrize("layer", [RNN(2, 1, activation="sigmoid"), Sequential(Dense(2, 1, "sigmoid"), Dropout(0.1))], ids=repr)
def test_a_sigmoid_is_never_applied_twice(layer):
    with pytest.raises(OptionError, match="'sigmoid' makes the output in a place where it can't be left out"):
        objective(layer, "binary_cross_entropy")
