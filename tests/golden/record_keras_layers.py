"""Records what Keras 3's SimpleRNN, LSTM, GRU and Bidirectional give, in float32: keras_layers.safetensors.

Run by hand in an environment with keras and torch: `KERAS_BACKEND=torch python tests/golden/record_keras_layers.py`.
(On the NumPy backend a scanned layer shows the initial state at the masked steps before the first live one, not zero.)
Every weight and state is non-zero, Document 5's excepted. A case's arrays: `case/x`, `case/mask`, `case/w<k>` in the order
of `get_weights()`, `case/s<k>` the initial states, `case/y` the output and `case/n<k>` the final states.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from safetensors.numpy import save_file

B, T, F, H = 3, 6, 2, 3
MASK = np.array([[1, 1, 0, 1, 0, 1], [0, 1, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1]], bool)
KINDS = {
    "rnn": (keras.layers.SimpleRNN, {}),
    "lstm": (keras.layers.LSTM, {}),
    "gru_after": (keras.layers.GRU, {"reset_after": True}),
    "gru_before": (keras.layers.GRU, {"reset_after": False}),
}
OTHERS = {"rnn": {"activation": "relu"}}  # the second activations; every other kind takes these:
GATED = {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}
OPTIONS = {
    "plain": {},
    "mask": {"mask": True},
    "mask_zero": {"mask": True, "zero_output_for_mask": True},
    "last": {"mask": True, "return_sequences": False},
    "backwards": {"go_backwards": True},
    "backwards_mask": {"go_backwards": True, "mask": True, "zero_output_for_mask": True},
    "backwards_repeat": {"go_backwards": True, "mask": True},
    "backwards_last": {"go_backwards": True, "mask": True, "return_sequences": False},
    "concat": {"merge": "concat"},
    "sum": {"merge": "sum", "mask": True},
    "mul": {"merge": "mul", "mask": True},
    "ave": {"merge": "ave", "mask": True},
    "concat_mask": {"merge": "concat", "mask": True},
    "sum_last": {"merge": "sum", "mask": True, "return_sequences": False},
    "concat_last": {"merge": "concat", "mask": True, "return_sequences": False},
}


def run(layer, arrays, weights=None, rng=None):
    """Builds the layer, gives it weights, and adds them and its outputs to `arrays`."""
    layer.build(arrays["x"].shape)
    draw = weights or [(0.6 * rng.standard_normal(w.shape)).astype(np.float32) for w in layer.get_weights()]
    layer.set_weights(draw)
    states = [keras.ops.convert_to_tensor(arrays[k]) for k in sorted(arrays) if k.startswith("s")]
    mask = arrays.get("mask")
    kw = {} if mask is None else {"mask": keras.ops.convert_to_tensor(mask)}
    got = layer(keras.ops.convert_to_tensor(arrays["x"]), initial_state=states or None, **kw)
    y, *final = (keras.ops.convert_to_numpy(a) for a in got)
    return arrays | {f"w{k}": w for k, w in enumerate(draw)} | {"y": y} | {f"n{k}": a for k, a in enumerate(final)}


def case(kind, name, others, rng):
    """(description, arrays) of one case."""
    cls, fixed = KINDS[kind]
    options = {"return_sequences": True} | OPTIONS[name] | fixed | (OTHERS.get(kind, GATED) if others else {})
    about = {"kind": kind, "case": f"{kind}_{name}" + ("_others" if others else ""), **options}
    merge, mask = options.pop("merge", None), options.pop("mask", False)
    layer = cls(H, return_state=True, **options)
    if merge:
        layer = keras.layers.Bidirectional(layer, merge_mode=merge)
    arrays = {"x": rng.standard_normal((B, T, F)).astype(np.float32)} | ({"mask": MASK} if mask else {})
    for k in range((2 if kind == "lstm" else 1) * (2 if merge else 1)):
        arrays[f"s{k}"] = (0.7 * rng.standard_normal((B, H))).astype(np.float32)
    return about, run(layer, arrays, rng=rng)


def document5(steps):
    """The fifth document's network by hand: linear LSTM, units=3, the weights of its text, equal steps [1, 0]."""
    kernel = [[2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]]
    recurrent = [
        [1, 0, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0],
        [1, 1, 0, 0, 2, 1, 0, 1, 2, 2, 0, 0],
        [1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 1, 0],
    ]
    bias = [3, 1, 0, 1, 1, 0, 0, 1, 0, 2, 0, 0]
    weights = [np.array(w, np.float32) for w in (kernel, recurrent, bias)]
    layer = keras.layers.LSTM(3, activation=None, recurrent_activation=None, return_sequences=True, return_state=True)
    about = {
        "kind": "lstm",
        "case": f"document5_{steps}",
        "activation": None,
        "recurrent_activation": None,
        "return_sequences": True,
    }
    return about, run(layer, {"x": np.array([[[1, 0]] * steps], np.float32)}, weights)


def main():
    chosen = [(kind, name, False) for kind in KINDS for name in OPTIONS] + [(kind, "mask", True) for kind in KINDS]
    found = [case(*c, np.random.default_rng([7, n])) for n, c in enumerate(chosen)] + [document5(1), document5(2)]
    arrays = {f"{about['case']}/{k}": np.ascontiguousarray(v) for about, case in found for k, v in case.items()}
    about = {"framework": f"keras {keras.__version__}, {keras.backend.backend()} backend", "script": Path(__file__).name,
             "cases": json.dumps([about for about, _ in found])}  # fmt: skip
    save_file(arrays, Path(__file__).with_name("keras_layers.safetensors"), metadata=about)


if __name__ == "__main__":
    main()
