"""Records networks of Keras 3 as the files that it saves, and what they give, in float32 and one in float64.

Run by hand in an environment with keras and torch: `KERAS_BACKEND=torch python tests/golden/record_keras_networks.py`.
keras_networks.zip holds `case.keras` and `case.h5`; keras_networks.safetensors the arrays `case/x` and `case/y`. Weights are
random and non-zero. Masked steps of x, (B, T, F), hold the Masking's value, those of indices, (B, T), zero.
"""

import json
import logging
import os
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers as L
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
}  # fmt: skip


def record(name, rng, folder):
    """The arrays of one case; its two files go into `folder`."""
    keras.utils.clear_session()
    model = CASES[name]()
    model.set_weights([(0.7 * rng.standard_normal(w.shape) + 0.1).astype(w.dtype) for w in model.get_weights()])
    indices = len(model.input_shape) == 2 and name != "dense"
    if indices:
        x = np.where(MASK, rng.integers(1, 5, (B, T)), 0)
    elif name == "dense":
        x = rng.standard_normal((B, F)).astype(np.float32)
    else:
        x = rng.standard_normal((B, T, F)).astype(np.float32)
        x[~MASK] = -1.0
    y = keras.ops.convert_to_numpy(model(x))
    for end in ("keras", "h5"):
        model.save(folder / f"{name}.{end}")
    return {"x": x, "y": y}


def main():
    logging.getLogger("absl").setLevel("ERROR")  # .h5 is said to be old at every save
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        found = {name: record(name, np.random.default_rng([11, n]), Path(scratch)) for n, name in enumerate(CASES)}
        with zipfile.ZipFile(here / "keras_networks.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(Path(scratch).iterdir()):
                archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    arrays = {f"{name}/{key}": np.ascontiguousarray(array) for name, case in found.items() for key, array in case.items()}
    about = {"framework": f"keras {keras.__version__}, {keras.backend.backend()} backend", "script": Path(__file__).name,
             "cases": json.dumps([{"case": name} for name in found])}  # fmt: skip
    save_file(arrays, here / "keras_networks.safetensors", metadata=about)


if __name__ == "__main__":
    main()
