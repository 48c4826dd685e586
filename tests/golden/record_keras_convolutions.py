"""Records what Keras 3's convolution, pooling, BatchNormalization and other plain layers give: keras_convolutions.safetensors.

Run by hand in an environment with keras and torch: `KERAS_BACKEND=torch python tests/golden/record_keras_convolutions.py`.
All in float32, weights random and non-zero. A case's arrays: `case/x` (B, T, F) or (B, F), `case/w<k>` in the order of
`get_weights()`, `case/y`. Average pooling with padding="same" is recorded only where the padding is the same at both ends:
elsewhere Keras' torch backend repeats the edge, other than its other backends (mended after 3.15.1: keras-team/keras#23233).
"""

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from keras import layers as L
from safetensors.numpy import save_file

B, T, F, H = 3, 9, 4, 6
KERAS_NAMES = {"stride": "strides", "dilation": "dilation_rate", "bias": "use_bias"}
CONVOLUTIONS = {
    "plain": (3, {}),
    "stride": (3, {"stride": 2, "activation": "tanh"}),
    "stride_4": (2, {"stride": 4, "bias": False}),
    "dilation": (3, {"dilation": 2, "activation": "relu"}),
    "groups": (2, {"groups": 2, "activation": "sigmoid"}),
    "same": (4, {"padding": "same", "activation": "softmax"}),
    "same_stride": (4, {"padding": "same", "stride": 2}),
    "same_stride_3": (2, {"padding": "same", "stride": 3, "activation": "tanh"}),
    "same_dilation": (3, {"padding": "same", "dilation": 3, "groups": 2}),
    "causal": (3, {"padding": "causal", "activation": "elu"}),
    "causal_stride": (3, {"padding": "causal", "stride": 2}),
    "causal_dilation": (3, {"padding": "causal", "dilation": 2, "groups": 2, "bias": False}),
    "one": (1, {"padding": "same", "stride": 2}),
}
POOLS = {
    "plain": (2, {}),
    "stride": (3, {"stride": 2}),
    "overlapping": (4, {"stride": 1}),
    "gaps": (2, {"stride": 3}),
    "same": (3, {"padding": "same"}),
    "same_stride": (3, {"stride": 2, "padding": "same"}),
    "same_1": (3, {"stride": 1, "padding": "same"}),
}
UNEVEN = {"same_even": (4, {"stride": 2, "padding": "same"}), "same_gaps": (2, {"stride": 4, "padding": "same"})}


def record(layer, about, rng, shape=(B, T, F)):
    """(what it is, its arrays) of a Keras layer."""
    x = rng.standard_normal(shape).astype(np.float32)
    layer.build(shape)
    weights = [(0.6 * rng.standard_normal(w.shape)).astype(np.float32) for w in layer.get_weights()]
    if about["layer"] == "BatchNorm":
        weights[3] = 0.1 + weights[3] ** 2  # a variance
    layer.set_weights(weights)
    y = keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(x)))
    return about, {"x": x, "y": y} | {f"w{k}": w for k, w in enumerate(weights)}


def translated(options):
    """Our options by Keras' names."""
    return {KERAS_NAMES.get(name, name): value for name, value in options.items()}


def main():
    found = []

    def add(case, name, layer, sizes=(), options=None, shape=(B, T, F)):
        about = {"case": case, "layer": name, "sizes": list(sizes), "options": options or {}}
        found.append(record(layer, about, np.random.default_rng([11, len(found)]), shape))

    for case, (size, options) in CONVOLUTIONS.items():
        add(f"conv_{case}", "Conv1D", L.Conv1D(H, size, **translated(options)), (F, H, size), options)
    for case, (size, options) in (POOLS | UNEVEN).items():
        add(f"max_{case}", "MaxPooling1D", L.MaxPooling1D(size, **translated(options)), (size,), options)
    for case, (size, options) in POOLS.items():
        add(f"average_{case}", "AveragePooling1D", L.AveragePooling1D(size, **translated(options)), (size,), options)
    add("global_max", "GlobalMaxPooling1D", L.GlobalMaxPooling1D())
    add("global_average", "GlobalAveragePooling1D", L.GlobalAveragePooling1D())
    add("batch_norm", "BatchNorm", L.BatchNormalization(), (F,))
    add("batch_norm_row", "BatchNorm", L.BatchNormalization(epsilon=0.1), (F,), {"epsilon": 0.1}, (B, F))
    add("repeat", "RepeatVector", L.RepeatVector(5), (5,), shape=(B, F))
    for name in ("softmax", "hard_sigmoid"):
        add(f"activate_{name}", "Activate", L.Activation(name), (name,))
    arrays = {f"{about['case']}/{k}": np.ascontiguousarray(v) for about, case in found for k, v in case.items()}
    about = {"framework": f"keras {keras.__version__}, {keras.backend.backend()} backend", "script": Path(__file__).name,
             "cases": json.dumps([about for about, _ in found])}  # fmt: skip
    save_file(arrays, Path(__file__).with_name("keras_convolutions.safetensors"), metadata=about)


if __name__ == "__main__":
    main()
