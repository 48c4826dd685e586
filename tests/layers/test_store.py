"""Layers as JSON values and back."""

import json

import numpy as np
import pytest

from gatewright.activations import Activation
from gatewright.errors import FormatError, OptionError
from gatewright.layers import (
    GRU,
    LSTM,
    RNN,
    Activate,
    AveragePooling1D,
    BatchNorm,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    LayerNorm,
    Masking,
    MaxPooling1D,
    Parallel,
    RepeatVector,
    Residual,
    Sequential,
    Shared,
    from_json,
    to_json,
)

CELL = Shared(LSTM(3, 3, init="chrono", chrono_steps=20, learn_initial_state=True), "cell")
LEAKY = Activation("leaky_relu", 0.3)
NET = Sequential(
    Embedding(9, 3, mask_zero=True),
    LSTM(3, 4, num_layers=2, dropout=0.2, forget_bias=2.0, activation=LEAKY, recurrent_activation="hard_sigmoid"),
    Bidirectional(GRU(4, 3, reset_after=False), "sum", backward_layer=RNN(4, 3, init="pytorch", bias=False)),
    Residual(CELL),
    Parallel([LayerNorm(3, epsilon=1e-3), Sequential(Dropout(0.1), CELL)]),
    RNN(6, 2, go_backwards=True, return_sequences=False, trainable=False),
    Dense(2, 2, "softmax", kernel_initializer="he_normal"),
)


ROUND = Sequential(
    Conv1D(3, 4, 2, stride=3, padding="same", dilation=2, groups=1, activation=LEAKY, bias=False, trainable=False),
    Conv1D(4, 4, 2, groups=2, init="pytorch"),
    BatchNorm(4, epsilon=0.2, trainable=False),
    MaxPooling1D(2, stride=1),
    AveragePooling1D(3, padding="same"),
    Parallel([GlobalMaxPooling1D(), Sequential(Activate(LEAKY), GlobalAveragePooling1D())]),
    RepeatVector(3),
)
KINDS = [NET, *NET.layers, Masking(-1.0), LSTM(2, 3, masked_output="repeat"), ROUND, *ROUND.layers]


@pytest.mark.parametrize("layer", KINDS, ids=repr)
def test_round_trip(layer):
    """Through text and back to an equal layer, with the same parameters from the same seed."""
    back = from_json(json.loads(json.dumps(to_json(layer))))
    assert back == layer
    assert repr(back) == repr(layer)
    one, two = (made.init(np.random.default_rng(0)) for made in (layer, back))
    assert one.shapes == two.shapes
    assert one.trainable == two.trainable
    assert np.array_equal(one.flat, two.flat)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Lambda", "code": "1"},
        {"type": "LSTM"},
        {"type": "LSTM", "input_size": 2, "hidden_size": 3, "colour": "red"},
        {"type": "LSTM", "input_size": -2, "hidden_size": 3},
        {"type": "Dense", "input_size": 2, "output_size": 3, "activation": {"activation": "tahn"}},
        {"type": ["LSTM"]},
        {"type": "Sequential"},
        {"type": "Sequential", "layers": [], "trainable": True},
        {"type": "Sequential", "layers": [{"type": "Dense", "input_size": 2, "output_size": 3}, 5], "trainable": True},
        {"type": "Residual", "layer_": 3},
        {"weird": 1},
        {"activation": ["tanh"]},
        {"activation": "elu", "alpha": "much"},
    ],
)
def test_foreign_descriptions_are_refused(value):
    with pytest.raises(FormatError):
        from_json(value)


def test_only_our_own_layers_are_written():
    class Mine(Dropout):
        pass

    with pytest.raises(OptionError, match="Mine is no layer of gatewright's own"):
        to_json(Sequential(Dense(2, 3), Mine(0.5)))


@pytest.mark.parametrize(
    "value",
    [
        {**to_json(Sequential(Dense(2, 3))), "colour": "red"},
        {**to_json(Dense(2, 3)), "activation": {"activation": "tanh", "alpha": None, "beta": None, "gamma": 1}},
    ],
)
def test_a_word_that_this_version_does_not_know_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        from_json(value)
