"""The last activation found and folded away, the parameters unchanged."""

import numpy as np
import pytest
from layer_checks import draw_params

from gatewright import Model
from gatewright.activations import Activation
from gatewright.errors import OptionError
from gatewright.layers import (
    GRU,
    LSTM,
    RNN,
    Activate,
    AveragePooling1D,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Parallel,
    RepeatVector,
    Sequential,
    Shared,
    final_activation,
    fold_final,
)

SOFTMAX = Sequential(LSTM(2, 3), Sequential(Dense(3, 4, "relu"), Dense(4, 3, "softmax")))


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (Dense(2, 3, "sigmoid"), "sigmoid"),
        (Dense(2, 3), "linear"),
        (SOFTMAX, "softmax"),
        (Sequential(GRU(2, 3), Shared(Dense(3, 1, "tanh"), "d")), "tanh"),
        (Sequential(Dense(2, 2), LSTM(2, 3)), None),
        (RNN(2, 1, activation="sigmoid"), "sigmoid"),
        (Sequential(Dense(2, 3, "softmax"), Dropout(0.1)), "softmax"),
        (Parallel([Dense(2, 3, "softmax"), Dense(2, 3)]), "softmax"),
        (Bidirectional(RNN(2, 1, activation="sigmoid")), "sigmoid"),
        (Conv1D(2, 3, 2, activation="softmax"), "softmax"),
        (Sequential(Dense(2, 3, "tanh"), Activate("softmax")), "softmax"),
        (Sequential(Dense(2, 3, "softmax"), Activate(None)), "softmax"),
        (Sequential(Dense(2, 3, "sigmoid"), GlobalMaxPooling1D()), "sigmoid"),
        (Sequential(Dense(2, 3, "sigmoid"), AveragePooling1D(2), GlobalMaxPooling1D(), RepeatVector(2)), "sigmoid"),
    ],
)
def test_final_activation(layer, wanted):
    assert final_activation(layer) == (None if wanted is None else Activation(wanted))


def test_fold():
    params, x = draw_params(SOFTMAX, np.random.default_rng(0)), np.random.default_rng(1).standard_normal((2, 5, 2))
    folded = fold_final(SOFTMAX, "softmax")
    assert folded.init(np.random.default_rng(0)).shapes == SOFTMAX.init(np.random.default_rng(0)).shapes
    logits, y = (layer.forward(params, x)[0] for layer in (folded, SOFTMAX))
    np.testing.assert_allclose(Activation("softmax").forward(logits), y, rtol=1e-14)
    assert final_activation(folded) == Activation("linear")
    assert final_activation(SOFTMAX) == Activation("softmax")  # the first is as it was
    assert fold_final(SOFTMAX, "sigmoid") is None
    assert fold_final(LSTM(2, 3), "softmax") is None
    assert fold_final(Sequential(Shared(Dense(2, 3, "softmax"), "d")), "softmax") is None


@pytest.mark.parametrize(
    "layer",
    [
        RNN(2, 3, activation="softsign"),
        Sequential(Dense(2, 3, "softmax"), Dropout(0.1)),
        Sequential(Dense(2, 3, "softmax"), GlobalAveragePooling1D()),
        Parallel([Dense(2, 3, "softmax")]),
    ],
    ids=repr,
)
def test_what_cannot_be_taken_off_in_its_place_is_not_folded(layer):
    assert fold_final(layer, "softmax") is None


def test_a_clipped_activation_is_not_folded():
    """The loss of logits would not know of the clip."""
    clipped = Dense(2, 1, Activation("sigmoid", clip=3))
    assert fold_final(Dense(2, 1, "sigmoid"), "sigmoid") == Dense(2, 1)
    assert fold_final(clipped, "sigmoid") is None
    with pytest.raises(OptionError, match=r"takes logits, but Activation\('sigmoid', clip=3.0\) makes the output"):
        Model(clipped).fit(np.ones((2, 2)), np.ones((2, 1)), loss="binary_cross_entropy", verbose=False)


@pytest.mark.parametrize(("name", "loss"), [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")])
@pytest.mark.parametrize("make", [lambda end: [Dense(2, 3), Activate(end)], lambda end: [Conv1D(2, 3, 1, activation=end)]])
def test_an_activation_of_its_own_is_folded_as_a_dense_s_is(make, name, loss):
    """The same loss and gradients; predict still gives probabilities."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 5, 2)), rng.integers(0, 3, (4, 5))
    y = y if name == "softmax" else (y[..., None] == np.arange(3)).astype(float)
    dense, other = (Model(Sequential(*layers), seed=0, dtype="float64") for layers in ([Dense(2, 3, name)], make(name)))
    for one, two in zip(dense.parameters, other.parameters, strict=True):
        other.parameters.assign({two: dense.parameters[one].reshape(other.parameters[two].shape)})
    np.testing.assert_allclose(other.predict(x), dense.predict(x), rtol=1e-14)
    (value, grads), (wanted, wanted_grads) = (model.gradients(x, y, loss) for model in (other, dense))
    assert value == pytest.approx(wanted, rel=1e-14)
    np.testing.assert_allclose(grads.flat, wanted_grads.flat, rtol=0, atol=1e-15)


def test_pooled_probabilities_are_not_taken_for_logits():
    model = Model(Sequential(Dense(2, 1, "sigmoid"), GlobalMaxPooling1D()), seed=0)
    with pytest.raises(OptionError, match="takes logits, but 'sigmoid' makes the output in a place"):
        model.fit(np.ones((2, 3, 2)), np.ones((2, 1)), loss="binary_cross_entropy", verbose=False)
