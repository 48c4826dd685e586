"""Networks that ONNX can say, every option in at least two of them, for the tests of to_onnx, from_onnx and of the files."""

import inspect

import numpy as np

import gatewright as gw
from gatewright.layers import Recurrent, leaves

F, H, COUNT = 3, 4, 9
LEAKY, SCALED, HARD = gw.Activation("leaky_relu", 0.125), gw.Activation("scaled_tanh", 1.5, 0.5), gw.Activation("hard_sigmoid")
KERAS2, AFFINE = gw.Activation("hard_sigmoid", 0.25, 0.5), gw.Activation("affine", 0.5, 0.25)


def head(size=H, activation=None, outputs=2):
    return gw.Dense(size, outputs, activation)


LAYERS = {
    "rnn": gw.RNN(F, H),
    "rnn_relu_deep": [gw.RNN(F, H, activation="relu", num_layers=3, dropout=0.2), head()],
    "rnn_both_clip": [gw.RNN(F, H, bidirectional=True, clip=0.5, activation=(None, "softsign")), head(2 * H)],
    "rnn_backwards": gw.RNN(F, H, go_backwards=True, activation="softplus"),
    "rnn_last": [gw.RNN(F, H, return_sequences=False, learn_initial_state=True, bias=False), head(H, "softmax", 5)],
    "rnn_pair": [gw.RNN(F, H, bidirectional=True, return_sequences=False, activation=(LEAKY, AFFINE)), head(2 * H, "sigmoid")],
    "lstm": gw.LSTM(F, H),
    "lstm_deep": [gw.LSTM(F, H, num_layers=2, dropout=0.1), gw.Dropout(0.5), head(H, "tanh")],
    "lstm_both": [gw.LSTM(F, H, num_layers=2, bidirectional=True), head(2 * H, "softmax", 4)],
    "lstm_peepholes": [gw.LSTM(F, H, peepholes=True, activation=SCALED), head(H, SCALED)],
    "lstm_peepholes_both": gw.LSTM(F, H, peepholes=True, bidirectional=True, num_layers=2, return_sequences=False),
    "lstm_coupled": [gw.LSTM(F, H, coupled=True, peepholes=True), head(H, "relu")],
    "lstm_coupled_backwards": gw.LSTM(F, H, coupled=True, go_backwards=True, bias=False),
    "lstm_cell_activation": [gw.LSTM(F, H, cell_activation="softsign", recurrent_activation=HARD), head(H, HARD)],
    "lstm_pairs": gw.LSTM(
        F, H, bidirectional=True, activation=("elu", SCALED), recurrent_activation=(KERAS2, "sigmoid"),
        cell_activation=("tanh", gw.Activation("thresholded_relu", 0.25)),
    ),
    "lstm_learned": [gw.LSTM(F, H, num_layers=2, learn_initial_state=True), head(H, "softplus")],
    "lstm_learned_both": gw.LSTM(F, H, bidirectional=True, learn_initial_state=True, return_sequences=False),
    "lstm_last_backwards": [gw.LSTM(F, H, go_backwards=True, return_sequences=False), head(H, "elu")],
    "lstm_clip": [gw.LSTM(F, H, clip=0.25), head(H, gw.Activation("hard_sigmoid", 0.25, 0.5))],
    "lstm_both_clip": gw.LSTM(F, H, bidirectional=True, clip=0.3, peepholes=True, coupled=True),
    "lstm_twice": [gw.LSTM(F, H), gw.LayerNorm(H), gw.LSTM(H, H, go_backwards=True), head(H, "silu")],
    "gru": gw.GRU(F, H),
    "gru_before": [gw.GRU(F, H, reset_after=False, num_layers=2), head(H, "gelu")],
    "gru_both_clip": gw.GRU(F, H, bidirectional=True, clip=0.75, reset_after=False, return_sequences=False),
    "gru_no_bias": [gw.GRU(F, H, bias=False, recurrent_activation=KERAS2, activation=LEAKY), head(H, LEAKY)],
    "gru_backwards": [gw.GRU(F, H, go_backwards=True, num_layers=2, learn_initial_state=True), head(H, "softsign")],
    "gru_own_clip": gw.GRU(
        F, H, activation=gw.Activation("tanh", clip=0.5), recurrent_activation=gw.Activation("sigmoid", clip=0.5)
    ),
    "concat": [gw.Bidirectional(gw.LSTM(F, H, num_layers=2), backward_layer=gw.GRU(F, 2, reset_after=False)), head(H + 2)],
    "sum": [gw.Bidirectional(gw.GRU(F, H), "sum"), gw.LayerNorm(H, epsilon=0.001), head()],
    "mul": [gw.Bidirectional(gw.RNN(F, H), "mul", backward_layer=gw.LSTM(F, H, learn_initial_state=True)), head()],
    "ave": gw.Bidirectional(gw.LSTM(F, H, return_sequences=False), "ave"),
    "ave_sequences": [gw.Bidirectional(gw.RNN(F, H, activation="relu"), "ave"), gw.Bidirectional(gw.GRU(H, 2))],
    "embedding": [gw.Embedding(COUNT, F), gw.LSTM(F, H), head(H, None, COUNT)],
    "embedding_last": [gw.Embedding(COUNT, F), gw.GRU(F, H, return_sequences=False), gw.Dropout(0.1), head(H, "sigmoid", 1)],
    "dense": [gw.Dense(F, H, gw.Activation("elu", 0.5)), head(H, gw.Activation("relu", clip=0.5))],
    "log_softmax": [gw.LSTM(F, H), head(H, "log_softmax", 5)],
    "selu": [gw.Dense(F, H, "selu"), gw.GRU(H, H, return_sequences=False), gw.Activate("log_softmax")],
    "selu_conv": [gw.Conv1D(F, H, 3, padding="causal", activation="selu"), gw.Activate("gelu")],
    "dense_no_bias": [gw.Dense(F, H, "relu", bias=False), gw.Dense(H, 2, gw.Activation("thresholded_relu", 0.25), bias=False)],
    "norm": [gw.LayerNorm(F), head(F, AFFINE)],
    "residual": [gw.Residual(gw.LSTM(F, F)), gw.Residual(gw.Sequential(gw.Dense(F, H, "tanh"), gw.Dense(H, F))), gw.GRU(F, H)],
    "parallel": [gw.Parallel([gw.LSTM(F, H), gw.GRU(F, 2), gw.Dense(F, 2, "tanh")]), head(H + 4)],
    "parallel_last": gw.Parallel(
        [gw.LSTM(F, H, return_sequences=False), gw.RNN(F, H, bidirectional=True, return_sequences=False)], "concat"
    ),
    "parallel_mul": [gw.Parallel([gw.LSTM(F, F), gw.Dense(F, F, "sigmoid")], "mul"), gw.Parallel([head(F)] * 3, "ave")],
    "shared": [
        gw.Shared(gw.Dense(F, F, "tanh"), "d"), gw.Shared(gw.Dense(F, F, "tanh"), "d"),
        gw.Residual(gw.Shared(gw.GRU(F, F), "g")), gw.Shared(gw.GRU(F, F), "g"), head(F),
    ],
    "conv": [gw.Conv1D(F, H, 3, activation="relu"), gw.LSTM(H, H), head()],
    "conv_same": [gw.Conv1D(F, H, 4, padding="same", dilation=2, bias=False), gw.Activate("tanh"), gw.GRU(H, 2)],
    "conv_causal": [gw.Conv1D(F, F, 3, padding="causal", groups=3), gw.LSTM(F, H), head()],
    "conv_causal_dilated": [gw.Residual(gw.Conv1D(F, F, 2, padding="causal", dilation=2)), gw.Conv1D(F, 2, 1)],
    "conv_stride": [gw.Conv1D(F, H, 2, stride=2, activation="silu"), gw.BatchNorm(H), gw.GRU(H, H, go_backwards=True)],
    "conv_causal_stride": [gw.Conv1D(F, H, 3, stride=2, padding="causal"), gw.Bidirectional(gw.LSTM(H, 2), "sum")],
    "pool_max": [gw.LSTM(F, H), gw.MaxPooling1D(2, stride=3), gw.GRU(H, H, return_sequences=False), head()],
    "pool_average": [gw.Conv1D(F, H, 2), gw.AveragePooling1D(3, stride=1), gw.RNN(H, H, bidirectional=True)],
    "global_max": [gw.GRU(F, H), gw.GlobalMaxPooling1D(), head(H, "sigmoid")],
    "global_average": [gw.BatchNorm(F, epsilon=1e-5), gw.LSTM(F, H), gw.GlobalAveragePooling1D(), gw.BatchNorm(H), head()],
    "global_both": [gw.LSTM(F, H), gw.Parallel([gw.GlobalMaxPooling1D(), gw.GlobalAveragePooling1D()]), head(2 * H)],
    "repeat": [gw.LSTM(F, H, return_sequences=False), gw.RepeatVector(5), gw.LSTM(H, H), head()],
    "repeat_alone": [gw.Dense(F, H, "tanh"), gw.GlobalAveragePooling1D(), gw.RepeatVector(3), gw.GRU(H, 2)],
    "activate": [
        gw.LSTM(F, H), gw.Activate("softmax"), gw.Parallel([gw.Activate(None), gw.GRU(H, H)], "mul"), gw.Activate("elu"),
    ],
    "pool_both": [
        gw.MaxPooling1D(3, stride=1), gw.Conv1D(F, 2 * F, 2, groups=3, bias=False), gw.AveragePooling1D(2, stride=1),
        gw.LayerNorm(2 * F, epsilon=0.01), gw.BatchNorm(2 * F, epsilon=0.0001), gw.Dense(2 * F, 2, bias=False),
    ],
    "shared_twice": [
        gw.Shared(gw.LSTM(F, F, peepholes=True), "s"), gw.Residual(gw.Shared(gw.LSTM(F, F, peepholes=True), "s")), head(F),
    ],
    "nested": [gw.Sequential(gw.Sequential(gw.Dense(F, H)), gw.LSTM(H, 2)), gw.Residual(gw.GRU(2, 2))],
}  # fmt: skip


def layer_of(name):
    found = LAYERS[name]
    return gw.Sequential(*found) if isinstance(found, list) else found


def model_of(name, dtype="float32", kernel="auto"):
    """A Model with random weights, none of them zero."""
    model = gw.Model(layer_of(name), dtype=dtype)
    rng = np.random.default_rng(2)
    arrays = {name: 0.5 * rng.standard_normal(array.shape) for name, array in model.parameters.items()}
    arrays = {name: abs(array) + 0.5 if name.endswith("var") else array for name, array in arrays.items()}
    return gw.Model(model.layer, dtype=dtype, kernel=kernel, parameters=gw.Parameters.of(arrays, dtype=dtype))


def inputs(model, batch, time, seed=3):
    """x for a model of this file."""
    rng = np.random.default_rng([seed, batch, time])
    if model.layer.takes_indices:
        return rng.integers(0, COUNT, (batch, time))
    return rng.standard_normal((batch, time, F)).astype(model.dtype)


TRAINING = {"forget_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer", "stateful"}  # no part of a file


def options(layer):
    """(kind, option) of all that a layer and those inside it are beyond the plainest."""
    found = set()
    for inner in leaves(layer):
        kind = "recurrent" if isinstance(inner, Recurrent) else type(inner).__name__
        found.add((kind, ""))
        if isinstance(inner, gw.Sequential):
            continue
        parameters, said = inspect.signature(type(inner)).parameters, inner.config()
        plain = type(inner)(**{n: said[n] for n, p in parameters.items() if p.default is p.empty}).config()
        found |= {(kind, name) for name, value in said.items() if value != plain[name] and name not in TRAINING}
    return found
