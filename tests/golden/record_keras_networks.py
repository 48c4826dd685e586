"""Records networks of Keras 3 as the files that it saves, what they give, in float32 and one in float64, and their gradients.

Run by hand in an environment with keras and torch: `KERAS_BACKEND=torch python tests/golden/record_keras_networks.py`.
keras_networks.tar.xz holds `case.keras` and `case.h5`, of some also `case.weights.h5`; keras_networks.safetensors the arrays
`case/x` and `case/y`, and what the same network gives in float64 back from `case/dy`: `case/dx` (not for indices) and, for
every weight that is trained, `case/w0` …, `case/d0` …: itself and its gradient, rounded to float32. Some begin with a state
too: `case/s`, `case/ds` (states, B, H) and the output `case/ys`. Weights are random and
non-zero. Masked steps of x, (B, T, F), hold the Masking's value, those of indices, (B, T), zero.
"""

import io
import json
import logging
import os
import tarfile
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from keras import layers as L
from keras.src.backend.common import dtypes
from keras.src.backend.common.masking import get_keras_mask
from safetensors.numpy import save_file

B, T, F, H = 3, 7, 2, 3
MASK = np.array([[1, 1, 0, 1, 0, 1, 0], [0, 1, 1, 1, 0, 0, 0], [1, 0, 0, 1, 1, 1, 1]], bool)
OTHERS = {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}
SEQ = {"return_sequences": True}


def sequential(*layers, shape=(None, F)):
    return keras.Sequential([L.Input(shape), *layers])


def functional(*layers, shape=(None, F)):
    """The same as a graph; of several outputs of a layer the first goes on."""
    x = now = L.Input(shape)
    for layer in layers:
        out = layer(now)
        now = out[0] if isinstance(out, list | tuple) else out
    return keras.Model(x, now)


def trained(model):
    """With an optimizer's numbers in the file."""
    model.compile("adam", "mse")
    model.fit(np.ones((B, T, F)), np.ones((B, 2)), verbose=0)
    return model


def model_of(x, *lines):
    """A graph: every line is a function from the tensors so far to the next."""
    made = [x]
    for line in lines:
        made.append(line(*made))
    return keras.Model(x, made[-1])


def inner(*layers, **options):
    """A Sequential, to stand in another model."""
    return keras.Sequential(layers, **options)


def frozen(layer):
    layer.trainable = False
    return layer


def last(layer):
    """A line that calls a layer on the last tensor."""
    return lambda *made: layer(made[-1])


def shared(recurrent, dense):
    """Two layers, each called twice, one after the other."""
    x = L.Input((None, F))
    return keras.Model(x, dense(recurrent(L.Dense(F)(dense(recurrent(x))))))


def shared_branches(recurrent):
    """A layer in two branches."""
    x = L.Input((None, F))
    return keras.Model(x, L.Concatenate()([recurrent(x), recurrent(L.Dense(F)(x)), L.LSTM(2)(x)]))


def nested_twice(model):
    """A model called twice."""
    x = L.Input((None, F))
    return keras.Model(x, L.LSTM(2)(model(model(x))))


def inner_graph(shape, *lines):
    return model_of(L.Input(shape), *lines)


CASES = {
    "lstm": lambda: sequential(L.LSTM(H, **SEQ)),
    "lstm_fixed": lambda: functional(L.LSTM(H, unroll=True, use_bias=False, **SEQ), shape=(T, F)),
    "masked": lambda: sequential(L.Masking(-1.0), L.LSTM(H, **SEQ)),
    "masked_graph": lambda: functional(L.Masking(-1.0), L.GRU(H, return_state=True, **SEQ)),
    "masked_zero": lambda: sequential(L.Masking(-1.0), L.LSTM(H, zero_output_for_mask=True, **SEQ)),
    "masked_back": lambda: sequential(L.Masking(-1.0), L.GRU(H, go_backwards=True, **SEQ)),
    "masked_back_last": lambda: functional(L.Masking(-1.0), L.LSTM(H, go_backwards=True), L.Dense(2)),
    "stack": lambda: trained(
        sequential(L.Masking(-1.0), L.LSTM(H, **SEQ), L.Dropout(0.5), L.GRU(H), L.Dense(2, activation="softmax"))
    ),
    "words": lambda: functional(
        L.Embedding(5, F, mask_zero=True), L.Bidirectional(L.LSTM(H, **SEQ)), L.TimeDistributed(L.Dense(2, "tanh")), L.GRU(2),
        shape=(None,),
    ),
    "unmasked_words": lambda: sequential(L.Embedding(5, F), L.LSTM(H, **OTHERS), L.Dense(1), shape=(T,)),
    "before": lambda: sequential(
        L.GRU(H, reset_after=False, **OTHERS, **SEQ), L.LayerNormalization(scale=False, epsilon=0.01),
        L.GRU(H, use_bias=False, activation="relu", **SEQ), L.Dense(2, use_bias=False), L.Activation("sigmoid"),
    ),
    "before_plain": lambda: functional(L.GRU(H, reset_after=False, use_bias=False, **SEQ), L.LayerNormalization(center=False)),
    "rnn": lambda: sequential(L.SimpleRNN(H, activation="relu", go_backwards=True, **SEQ), L.SimpleRNN(2, use_bias=False)),
    "rnn_linear": lambda: functional(L.SimpleRNN(H, activation=None, **SEQ), L.Activation("linear"), L.Dense(2, "silu")),
    "concat_last": lambda: sequential(L.Masking(-1.0), L.Bidirectional(L.GRU(H)), L.Dense(2, "elu")),
    "sum": lambda: functional(L.Masking(-1.0), L.Bidirectional(L.GRU(H, reset_after=False, **SEQ), merge_mode="sum")),
    "mul": lambda: sequential(L.Masking(-1.0), L.Bidirectional(L.LSTM(H), merge_mode="mul")),
    "ave": lambda: sequential(L.Masking(-1.0), L.Bidirectional(L.SimpleRNN(H, **SEQ), merge_mode="ave"), L.LSTM(2)),
    "own_backward": lambda: functional(
        L.Masking(-1.0),
        L.Bidirectional(L.LSTM(H, **SEQ), backward_layer=L.GRU(2, go_backwards=True, **SEQ)),
    ),
    "own_backward_same": lambda: sequential(
        L.Bidirectional(
            L.LSTM(H, **SEQ), backward_layer=L.LSTM(H, activation="relu", go_backwards=True, **SEQ), merge_mode="sum"
        ),
    ),
    "dense": lambda: functional(*(L.Dense(3, name) for name in ("softplus", "leaky_relu", "gelu", "swish")), shape=(F,)),
    "float64": lambda: sequential(L.LSTM(H, dtype="float64"), L.Dense(2, dtype="float64")),
    "conv": lambda: sequential(L.Conv1D(4, 3, activation="relu"), L.MaxPooling1D(2), L.LSTM(H), L.Dense(2), shape=(9, F)),
    "conv_same": lambda: sequential(
        L.Conv1D(3, 4, strides=2, padding="same", use_bias=False), L.BatchNormalization(), L.ReLU(), L.GRU(2, **SEQ)
    ),
    "conv_causal": lambda: functional(
        L.Conv1D(3, 2, padding="causal", dilation_rate=2), L.Activation("tanh"),
        L.AveragePooling1D(3, strides=2, padding="same"), L.GlobalAveragePooling1D(), L.Dense(2),
    ),
    "conv_groups": lambda: sequential(
        L.Dense(4), L.Conv1D(6, 3, groups=2, padding="same"), L.LeakyReLU(0.1), L.MaxPooling1D(3, strides=2, padding="same"),
        L.GlobalMaxPooling1D(),
    ),
    "conv_mixed": lambda: functional(
        L.LSTM(4, **SEQ), L.AveragePooling1D(2, strides=1), L.Conv1D(4, 2, dilation_rate=2, groups=2, use_bias=False),
        L.ELU(0.5), L.Conv1D(2, 2, padding="causal", strides=1, activation="softplus"), L.GlobalAveragePooling1D(),
    ),
    "conv_words": lambda: functional(
        L.Embedding(5, 3, mask_zero=True), L.Dropout(0.2), L.Conv1D(4, 3, activation="relu"), L.GlobalMaxPooling1D(),
        L.Dense(2), shape=(None,),
    ),
    "conv_masked": lambda: sequential(L.Masking(0.0), L.Dense(3), L.Conv1D(2, 3, padding="same"), L.GRU(2, **SEQ)),
    "average_words": lambda: functional(
        L.Embedding(5, 3, mask_zero=True), L.LSTM(H, **SEQ), L.GlobalAveragePooling1D(), L.Dense(2), shape=(None,)
    ),
    "average_masked": lambda: sequential(
        L.Masking(-1.0), L.Bidirectional(L.SimpleRNN(2, **SEQ)), L.BatchNormalization(), L.GlobalAveragePooling1D()
    ),
    "norm": lambda: sequential(
        L.BatchNormalization(scale=False, epsilon=0.01), L.LSTM(H), L.BatchNormalization(center=False), L.Dense(2), L.ELU()
    ),
    "norm_steps": lambda: functional(
        L.TimeDistributed(L.LayerNormalization()), L.TimeDistributed(L.Dense(3)), L.TimeDistributed(L.Activation("tanh")),
        L.TimeDistributed(L.BatchNormalization()), L.SimpleRNN(2, **SEQ),
    ),
    "repeat": lambda: sequential(L.LSTM(H), L.RepeatVector(4), L.LSTM(2, **SEQ), L.TimeDistributed(L.Dense(F))),
    "repeat_masked": lambda: functional(
        L.Masking(-1.0), L.GRU(H), L.RepeatVector(3), L.Bidirectional(L.GRU(2, **SEQ), merge_mode="mul"), L.Softmax()
    ),
    "activations": lambda: sequential(
        L.LSTM(H, **SEQ), L.Activation("relu"), L.Dense(3), L.ReLU(max_value=0.5), L.SpatialDropout1D(0.3), L.Dense(3),
        L.Softmax(),
    ),
    "relus": lambda: functional(
        L.Dense(6), L.ReLU(negative_slope=0.2), L.Dense(6), L.ReLU(threshold=0.3), L.Dense(6), L.LeakyReLU(), L.Dense(6),
        L.ReLU(max_value=0.4), L.Dense(6), L.ReLU(threshold=0.1), L.Dense(6), L.ReLU(negative_slope=0.1), shape=(F,),
    ),
    "branches": lambda: model_of(
        L.Input((None, F)), L.LSTM(H), lambda x, a: L.GRU(2)(x),
        lambda x, a, b: L.GlobalMaxPooling1D()(L.Conv1D(2, 3)(x)), lambda x, *parts: L.Concatenate()(parts),
        last(L.Dense(2)),
    ),
    "branches_words": lambda: model_of(
        L.Input((None,)), lambda x: L.LSTM(H)(L.Embedding(5, 2, mask_zero=True)(x)),
        lambda x, a: L.GlobalMaxPooling1D()(L.Conv1D(2, 3)(L.Embedding(5, 3)(x))), lambda x, *parts: L.Concatenate()(parts),
    ),
    "branches_masked": lambda: model_of(
        L.Input((None, F)), L.Masking(-1.0), lambda x, m: L.LSTM(H, **SEQ)(m),
        lambda x, m, a: L.Bidirectional(L.GRU(2, **SEQ))(m), lambda x, m, *parts: L.Concatenate()(parts),
        last(L.GRU(2)),
    ),
    "average": lambda: model_of(
        L.Input((None, F)), L.LSTM(H, **SEQ), lambda x, a: L.GRU(H, **SEQ)(x), lambda x, a, b: L.SimpleRNN(H, **SEQ)(x),
        lambda x, *parts: L.Average()(parts), last(L.LSTM(2)),
    ),
    "average_embedded": lambda: model_of(
        L.Input((None,)), L.Embedding(5, H, mask_zero=True), lambda x, e: L.GRU(H, **SEQ)(e),
        lambda x, e, a: L.Average()([e, a]), last(L.GlobalAveragePooling1D()),
    ),
    "multiply": lambda: model_of(
        L.Input((None, F)), L.Dense(3, "sigmoid"), lambda x, a: L.Dense(3, "tanh")(x), lambda x, *parts: L.Multiply()(parts),
        last(L.GRU(2, **SEQ)),
    ),
    "multiply_masked": lambda: model_of(
        L.Input((None, F)), L.Masking(-1.0), lambda x, m: L.SimpleRNN(2, **SEQ)(m), lambda x, m, a: L.Multiply()([a, m]),
        last(L.LSTM(2, **SEQ)),
    ),
    "residual": lambda: model_of(
        L.Input((None, F)), L.Dense(3), lambda x, d: L.LSTM(3, **SEQ)(d), lambda x, d, a: L.Add()([d, a]),
        last(L.Conv1D(3, 3, padding="same")), lambda x, d, a, r, c: L.Add()([c, r]),
        last(L.GRU(2)),
    ),
    "residual_plus": lambda: model_of(
        L.Input((None, F)), L.Dense(3), lambda x, d: d + L.Dense(3, "tanh")(d), lambda x, d, r: r * L.Dense(3, "sigmoid")(d),
        last(L.LSTM(2)),
    ),
    "residual_masked": lambda: model_of(
        L.Input((None,)), L.Embedding(5, 2, mask_zero=True), lambda x, e: L.Add()([L.LSTM(2, **SEQ)(e), e]),
        last(L.GlobalAveragePooling1D()),
    ),
    "dense_skips": lambda: model_of(
        L.Input((None, F)), L.Dense(3), lambda x, a: L.Dense(2)(a), lambda x, a, b: L.Concatenate()([x, a, b]),
        last(L.GRU(2)),
    ),
    "bridge": lambda: model_of(
        L.Input((None, F)), L.Dense(3), lambda x, a: L.LSTM(3, **SEQ)(x), lambda x, a, b: L.Add()([a, b]),
        lambda x, a, b, c: L.Dense(2, "tanh")(c), lambda x, a, b, c, d: L.Concatenate()([a, d]), last(L.GRU(2)),
    ),
    "shared": lambda: shared(L.LSTM(H, **SEQ), L.Dense(F)),
    "shared_branches": lambda: shared_branches(L.GRU(2)),
    "nested": lambda: sequential(
        inner(L.Dense(3), L.GRU(3, **SEQ)),
        inner_graph((None, 3), L.LSTM(2, **SEQ), lambda x, a: L.Concatenate()([x, a]), last(inner(L.Dense(2), L.ReLU()))),
        L.SimpleRNN(2),
    ),
    "nested_twice": lambda: nested_twice(inner_graph((None, F), L.Dense(3, "tanh"), last(L.GRU(F, **SEQ)))),
    "nested_masked": lambda: functional(
        L.Embedding(5, 2, mask_zero=True), inner(L.LSTM(3, **SEQ), L.Dropout(0.5)), L.GRU(2), shape=(None,)
    ),
    "nested_frozen": lambda: sequential(
        inner(frozen(L.Conv1D(3, 2)), L.BatchNormalization(), L.Dense(3), frozen(L.BatchNormalization()), L.LSTM(2)),
        L.Dense(2),
    ),
    "nested_still": lambda: functional(
        inner(L.Dense(3), frozen(inner(L.BatchNormalization(), L.Dense(2))), L.BatchNormalization()), L.GRU(2), L.Dense(1)
    ),
    "options_lstm": lambda: sequential(
        L.LSTM(H, use_bias=False, activation="relu", recurrent_activation="hard_sigmoid", unroll=True, dropout=0.1, **SEQ),
        L.LSTM(H, activation="softsign", recurrent_activation="tanh", recurrent_dropout=0.2, go_backwards=True), shape=(T, F),
    ),
    "options_gru": lambda: functional(
        L.Masking(-1.0), L.GRU(H, zero_output_for_mask=True, dropout=0.2, **OTHERS, **SEQ),
        L.GRU(2, use_bias=False, reset_after=False, activation="relu", recurrent_dropout=0.1, go_backwards=True),
    ),
    "options_rnn": lambda: model_of(
        L.Input((T, F)), L.Masking(-1.0),
        last(L.SimpleRNN(H, zero_output_for_mask=True, activation="linear", recurrent_dropout=0.1, unroll=True, **SEQ)),
        lambda *made: L.SimpleRNN(2, return_state=True, use_bias=False, activation="relu", dropout=0.3)(made[-1])[1],
        last(L.Dense(2, use_bias=False)),
    ),
    "options_dense": lambda: sequential(
        L.Dense(3, "elu"), L.Dense(3, "gelu"), L.Activation("relu"), L.GRU(3, **SEQ), L.Dense(3, "leaky_relu"),
        L.GaussianNoise(0.1), L.Dense(3, "softplus"), L.Activation("linear"), L.GaussianDropout(0.1), L.Dense(2),
        L.Activation("sigmoid"),
    ),
    "options_noise": lambda: functional(
        L.Embedding(5, 3), L.SpatialDropout1D(0.2), L.GaussianNoise(0.2), L.SimpleRNN(2, **SEQ), L.AlphaDropout(0.1),
        L.Dense(2, "sigmoid"), L.GaussianDropout(0.3), L.Dense(1), shape=(T,),
    ),
    "options_norm": lambda: functional(
        frozen(L.Dense(5)), L.LayerNormalization(scale=False, epsilon=0.02), L.BatchNormalization(center=False, epsilon=0.02),
        frozen(L.Conv1D(5, 2)), L.LayerNormalization(center=False), L.BatchNormalization(scale=False), L.AlphaDropout(0.2),
        L.GRU(2, **SEQ),
    ),
    "options_conv": lambda: sequential(
        L.Conv1D(4, 4, strides=2, activation="softplus"), L.ELU(0.5), L.MaxPooling1D(2, strides=1), L.Conv1D(3, 1, groups=1),
        L.ReLU(threshold=0.2), L.AveragePooling1D(2, padding="same"), L.GlobalMaxPooling1D(), L.ReLU(negative_slope=0.3),
        shape=(11, F),
    ),
    "options_pool": lambda: functional(
        L.Masking(0.0), L.MaxPooling1D(2, padding="same"), L.AveragePooling1D(2), L.LeakyReLU(0.2), L.Dense(3),
        L.LSTM(2, return_state=True), L.RepeatVector(3), L.Bidirectional(L.LSTM(2, **SEQ), merge_mode="ave"),
    ),
    "options_merge": lambda: model_of(
        L.Input((None, F)), L.LSTM(2, **SEQ), lambda x, a: L.Bidirectional(L.SimpleRNN(2, **SEQ), merge_mode="ave")(x),
        lambda x, *parts: L.Concatenate(axis=2)(parts), lambda *made: L.Concatenate(axis=1)(
            [L.GRU(2)(made[-1]), L.Bidirectional(L.GRU(2), merge_mode="mul")(made[-1])]
        ), last(L.Dense(3, "softmax")),
    ),
    "stateful": lambda: keras.Sequential([L.Input(batch_shape=(B, None, F)), L.LSTM(H, stateful=True, **SEQ), L.Dense(2)]),
    "stateful_words": lambda: model_of(
        L.Input(batch_shape=(B, T)), L.Embedding(5, 3, mask_zero=True), last(L.GRU(H, stateful=True, **SEQ)),
        last(L.SimpleRNN(2, stateful=True)),
    ),
    "conv_beside": lambda: model_of(
        L.Input((None,)), L.Embedding(5, 3, mask_zero=True), lambda x, e: L.Conv1D(2, 3, padding="same")(e),
        lambda x, e, c: L.Concatenate()([c, e]), last(L.GlobalAveragePooling1D()),
    ),
    "state": lambda: model_of(
        L.Input((None, F)), lambda x: L.LSTM(H, return_state=True, **SEQ)(x)[1], lambda x, h: L.Dense(2)(h)
    ),
    "states": lambda: model_of(
        L.Input((None, F)), L.Masking(-1.0), lambda x, m: L.GRU(2, return_state=True, zero_output_for_mask=True, **SEQ)(m)[1],
        lambda x, m, a: L.SimpleRNN(2, return_state=True, go_backwards=True)(m)[1],
        lambda x, m, a, b: L.LSTM(2, return_state=True)(m)[0], lambda x, m, *parts: L.Concatenate(axis=1)(parts),
    ),
}  # fmt: skip


ROWS = ("dense", "relus")  # which take x (B, F)
ALONE = ("stack", "words", "nested", "nested_frozen", "branches", "conv_same")  # of which the weights alone are recorded too


STATES = (
    "lstm",
    "masked",
    "masked_back",
    "before_plain",
    "rnn_linear",
    "stack",
    "words",
    "sum",
)  # which begin with a state too


def inputs(name, shape, rng):
    """x (B, T, F), (B, T) or (B, F), with masked steps."""
    if name in ROWS:
        return rng.standard_normal((B, F)).astype(np.float32)
    if len(shape) == 2:
        return np.where(MASK, rng.integers(1, 5, (B, T)), 0)
    x = rng.standard_normal((B, shape[1] or T, F)).astype(np.float32)
    x[:, :T][~MASK] = 0.0 if name in ("conv_masked", "options_pool") else -1.0
    return x


def weights(model, rng):
    """New ones, all of them positive where they are variances."""
    for variable in model.weights:
        new = (0.7 * rng.standard_normal(variable.shape) + 0.1).astype(np.float32)
        variable.assign(np.abs(new) + 0.5 if variable.path.endswith("moving_variance") else new)


def in_float64(name, model):
    """A copy of the model in float64, in which no product is rounded to float32, as Keras would do."""
    keras.utils.clear_session()
    keras.config.set_dtype_policy("float64")
    copy = CASES[name]()
    keras.config.set_dtype_policy("float32")
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        layer.stateful = False  # a state that is written over has no gradient in torch; it is zero here
    return copy


def gradients(copy, x, rng):
    """What a copy of the model in float64 gives back from a random gradient of its output."""
    given = torch.tensor(x) if x.dtype.kind == "i" else torch.tensor(x, dtype=torch.float64, requires_grad=True)
    for variable in copy.weights:
        variable.value.grad = None
    y = copy(given)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    assert y.dtype == torch.float64
    y.backward(torch.tensor(dy, dtype=y.dtype))
    found = {"dy": dy} if x.dtype.kind == "i" else {"dy": dy, "dx": given.grad.numpy()}
    for k, variable in enumerate(copy.trainable_weights):
        found |= {f"w{k}": variable.value.detach().numpy(), f"d{k}": variable.value.grad.numpy().copy()}
    return found


def states(copy, x, dy, rng):
    """What it gives where the first recurrent layer begins with a random state, and what comes back to that."""
    now, given = torch.tensor(x), []
    for layer in (layer for layer in copy.layers if not isinstance(layer, L.InputLayer)):
        cell = getattr(layer, "forward_layer", layer)
        if given or not hasattr(cell, "state_size"):
            now = layer(now)
            continue
        count = len(cell.state_size) * (1 if cell is layer else 2)
        values = rng.standard_normal((count, B, cell.units)).astype(np.float32)
        given = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]
        now = layer(now, initial_state=given, mask=get_keras_mask(now))  # beside a state Keras would forget the mask
        now = now[0] if isinstance(now, list | tuple) else now
    now.backward(torch.tensor(dy, dtype=now.dtype))
    return {
        "ys": now.detach().numpy(), "s": np.stack([state.detach().numpy() for state in given]),
        "ds": np.stack([state.grad.numpy() for state in given]),
    }  # fmt: skip


def record(name, rng, folder):
    """The arrays of one case; its files go into `folder`."""
    keras.utils.clear_session()
    model = CASES[name]()
    weights(model, rng)
    x = inputs(name, model.input_shape, rng)
    y = keras.ops.convert_to_numpy(model(x))
    assert np.ptp(y, axis=0).max() > 0.01, f"{name}: all rows are nearly the same"
    for end in ("keras", "h5"):
        model.save(folder / f"{name}.{end}")
    if name in ALONE:
        model.save_weights(folder / f"{name}.weights.h5")
    copy = in_float64(name, model)
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    found = gradients(copy, x, rng)
    found |= states(copy, x, found["dy"], rng) if name in STATES else {}
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float32"
    return {"x": x, "y": y, **{key: array.astype(np.float32) for key, array in found.items()}}


def main():
    logging.getLogger("absl").setLevel("ERROR")  # .h5 is said to be old at every save
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        found = {name: record(name, np.random.default_rng([11, n]), Path(scratch)) for n, name in enumerate(CASES)}
        with tarfile.open(here / "keras_networks.tar.xz", "w:xz", preset=9) as archive:  # all at once: they are much alike
            for path in sorted(Path(scratch).iterdir()):
                about = tarfile.TarInfo(path.name)
                about.size = path.stat().st_size
                archive.addfile(about, io.BytesIO(path.read_bytes()))
    arrays = {f"{name}/{key}": np.ascontiguousarray(array) for name, case in found.items() for key, array in case.items()}
    about = {"framework": f"keras {keras.__version__}, {keras.backend.backend()} backend", "script": Path(__file__).name,
             "cases": json.dumps([{"case": name} for name in found])}  # fmt: skip
    save_file(arrays, here / "keras_networks.safetensors", metadata=about)


if __name__ == "__main__":
    main()
