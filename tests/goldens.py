"""The recorded outputs of Keras', PyTorch's and onnxruntime's layers, and their weights in our layout."""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open

GOLDEN = Path(__file__).with_name("golden")
TORCH_BLOCKS = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}  # where our gates stand in PyTorch's order


def load(name):
    """{case: (what it is, its arrays)} of tests/golden/<name>.safetensors."""
    with safe_open(GOLDEN / f"{name}.safetensors", framework="numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no dict)
        cases = json.loads(file.metadata()["cases"])
    return {
        about["case"]: (about, {key.split("/")[1]: a for key, a in arrays.items() if key.split("/")[0] == about["case"]})
        for about in cases
    }


def kind_of(about):
    """Our name of the cell: rnn, lstm or gru."""
    return about["kind"].split("_")[0]


def from_torch(kind, arrays, layer, direction, prefix=""):
    """The weights (prefix "") or their gradients ("d.") of one layer and direction, in our layout and with one bias."""
    suffix = f"l{layer}" + ("_reverse" if direction else "")
    W, U, b, recurrent_b = (arrays[f"{prefix}{n}_{suffix}"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    order = TORCH_BLOCKS[kind]
    size = len(U) // len(order)

    def arrange(a):
        return np.concatenate([a[k * size : (k + 1) * size] for k in order]).T

    W, U, b, recurrent_b = arrange(W), arrange(U), arrange(b), arrange(recurrent_b)
    found = {"W": W, "U": U}
    # The merged bias is the sum, and has the gradient that each of its parts has; bn stays on its own.
    merged = b if prefix else b + recurrent_b
    if kind == "gru":
        merged = np.concatenate([merged[: 2 * size], b[2 * size :]])
        found["bn"] = recurrent_b[2 * size :]
    projection = f"{prefix}weight_hr_{suffix}"
    return found | {"b": merged} | ({"V": arrays[projection].T} if projection in arrays else {})


def from_keras(about, arrays):
    """weights[layer][direction] of a case recorded with Keras: one layer, its weights in the order of get_weights()."""
    weights = [arrays[f"w{k}"].astype(float) for k in range(sum(key.startswith("w") for key in arrays))]
    directions = []
    for W, U, b in zip(weights[::3], weights[1::3], weights[2::3], strict=True):
        found = {"W": W, "U": U, "b": b}
        if b.ndim == 2:
            size = len(U)
            found["b"] = np.concatenate([b[0, : 2 * size] + b[1, : 2 * size], b[0, 2 * size :]])
            found["bn"] = b[1, 2 * size :]
        directions.append(found)
    return [directions]


ONNX_GATES = {"rnn": ("n", "n"), "gru": ("zrn", "zrn"), "lstm": ("iofg", "ifgo")}  # ONNX's order and ours
ONNX_NAMES = {
    "Relu": "relu", "LeakyRelu": "leaky_relu", "ThresholdedRelu": "thresholded_relu", "Tanh": "tanh", "Softsign": "softsign",
    "ScaledTanh": "scaled_tanh", "Sigmoid": "sigmoid", "HardSigmoid": "hard_sigmoid", "Affine": "affine", "Elu": "elu",
    "Softplus": "softplus",
}  # fmt: skip
ONNX_TAKES = {"LeakyRelu": 1, "ThresholdedRelu": 1, "ScaledTanh": 2, "HardSigmoid": 2, "Affine": 2, "Elu": 1}  # constants


def onnx_activations(about):
    """The activations of a case recorded with onnxruntime, all directions': (our name, its constants)."""
    alphas, betas = iter(about.get("activation_alpha", [])), iter(about.get("activation_beta", []))
    defaults = {"rnn": ["Tanh"], "gru": ["Sigmoid", "Tanh"], "lstm": ["Sigmoid", "Tanh", "Tanh"]}[about["kind"]]
    found = []
    for name in about.get("activations", defaults):
        count = ONNX_TAKES.get(name, 0)
        found.append((ONNX_NAMES[name], *(next(source) for source in (alphas, betas)[:count])))
    return found


def from_onnx(about, arrays, direction):
    """The weights (float64) of one direction in our layout, a coupled forget gate left out."""
    kind, coupled = about["kind"], bool(about.get("input_forget"))

    def arrange(a, theirs, ours):
        blocks = dict(zip(theirs, np.split(a.astype(float), len(theirs)), strict=True))
        return np.concatenate([blocks[letter] for letter in ours if letter != "f" or not coupled])

    parts = arrays["W"][direction], arrays["R"][direction], *np.split(arrays["B"][direction], 2)
    W, U, b, recurrent_b = (arrange(a, *ONNX_GATES[kind]) for a in parts)
    found = {"W": W.T, "U": U.T, "b": b + recurrent_b}
    if about.get("linear_before_reset"):
        size = len(b) // 3
        found |= {"b": np.concatenate([found["b"][: 2 * size], b[2 * size :]]), "bn": recurrent_b[2 * size :]}
    if "P" in arrays:
        found["P"] = arrange(arrays["P"][direction], "iof", "ifo")
    return found


def lists(value):
    """Arrays inside dicts, lists and tuples as nested lists, for the oracle."""
    if isinstance(value, dict):
        return {key: lists(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [lists(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray) else value
