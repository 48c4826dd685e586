"""Records what Keras 3's recurrent layers give in training with known dropout masks, in float32: keras_dropout.safetensors.

Run by hand in an environment with keras and torch: `KERAS_BACKEND=torch python tests/golden/record_keras_dropout.py`.
Every weight and state is non-zero. A case's arrays: `case/x`, `case/mask`, `case/w<k>` in the order of `get_weights()`,
`case/s<k>` the initial states, `case/dropped_x` (B, F) and `case/dropped_h` (B, gates * H) what input and hidden state are
multiplied by (rates INPUT and RECURRENT), `case/y` the output and `case/n<k>` the final states.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from safetensors.numpy import save_file

B, T, F, H = 3, 7, 2, 3
MASK = np.array([[1, 1, 0, 1, 0, 1, 1], [0, 1, 1, 1, 0, 0, 0], [1, 0, 0, 1, 1, 1, 0]], bool)
INPUT, RECURRENT = 0.25, 0.4
KINDS = {
    "rnn": (keras.layers.SimpleRNN, {}),
    "lstm": (keras.layers.LSTM, {}),
    "gru_after": (keras.layers.GRU, {"reset_after": True}),
    "gru_before": (keras.layers.GRU, {"reset_after": False}),
}
GATES = {"rnn": 1, "lstm": 4, "gru_after": 3, "gru_before": 3}
OPTIONS = {
    "input": {"dropout": INPUT},
    "recurrent": {"recurrent_dropout": RECURRENT},
    "both": {"dropout": INPUT, "recurrent_dropout": RECURRENT, "mask": True},
    "last": {"dropout": INPUT, "recurrent_dropout": RECURRENT, "mask": True, "return_sequences": False, "go_backwards": True},
}


def case(kind, name, rng):
    """(description, arrays) of one case."""
    cls, fixed = KINDS[kind]
    options = {"return_sequences": True} | OPTIONS[name] | fixed
    about = {"kind": kind, "case": f"{kind}_{name}", **options}
    mask = options.pop("mask", False)
    layer = cls(H, return_state=True, **options)
    arrays = {"x": rng.standard_normal((B, T, F)).astype(np.float32)} | ({"mask": MASK} if mask else {})
    for k in range(2 if kind == "lstm" else 1):
        arrays[f"s{k}"] = (0.7 * rng.standard_normal((B, H))).astype(np.float32)
    layer.build(arrays["x"].shape)
    weights = [(0.6 * rng.standard_normal(w.shape)).astype(np.float32) for w in layer.get_weights()]
    layer.set_weights(weights)
    gates = GATES[kind]
    arrays["dropped_x"] = ((rng.random((B, F)) >= INPUT) / (1 - INPUT)).astype(np.float32)
    arrays["dropped_h"] = ((rng.random((B, gates * H)) >= RECURRENT) / (1 - RECURRENT)).astype(np.float32)
    x, h = (keras.ops.convert_to_tensor(arrays[f"dropped_{name}"]) for name in "xh")
    parts = keras.ops.split(h, gates, axis=1)
    alone = getattr(layer.cell, "dropout_mask_count", None) is None  # then one mask serves all gates
    if "dropout" in options:
        layer.cell._dropout_mask = x if alone else [x] * gates
    if "recurrent_dropout" in options:
        layer.cell._recurrent_dropout_mask = parts[0] if alone else parts
    states = [keras.ops.convert_to_tensor(arrays[k]) for k in sorted(arrays) if k.startswith("s")]
    given = {"mask": keras.ops.convert_to_tensor(MASK)} if mask else {}
    got = layer(keras.ops.convert_to_tensor(arrays["x"]), initial_state=states, training=True, **given)
    y, *final = (keras.ops.convert_to_numpy(keras.ops.stop_gradient(a)) for a in got)
    arrays |= {f"w{k}": w for k, w in enumerate(weights)} | {"y": y} | {f"n{k}": a for k, a in enumerate(final)}
    return about, arrays


def main():
    chosen = [(kind, name) for kind in KINDS for name in OPTIONS]
    found = [case(*c, np.random.default_rng([11, n])) for n, c in enumerate(chosen)]
    arrays = {f"{about['case']}/{k}": np.ascontiguousarray(v) for about, case in found for k, v in case.items()}
    about = {"framework": f"keras {keras.__version__}, {keras.backend.backend()} backend", "script": Path(__file__).name,
             "cases": json.dumps([about for about, _ in found])}  # fmt: skip
    save_file(arrays, Path(__file__).with_name("keras_dropout.safetensors"), metadata=about)


if __name__ == "__main__":
    main()
