"""Weights as the list of arrays that Keras has: its order is that of the names here, only a GRU's biases differ.

What Keras does not have comes after its three arrays, as in the names: an LSTM's P and V, then h0 and c0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gatewright.arrays import Array, numbers
from gatewright.errors import ShapeError
from gatewright.parameters import Parameters


def as_list(parameters: Parameters) -> list[Array]:
    """Copies of the weights in Keras' order and layout; a GRU's bias is (2, 3H) = [merged; 0 0 bn]."""
    found = []
    for name, array in parameters.items():
        if _has_recurrent_bias(parameters, name):
            bn = parameters[f"{name}n"]
            found.append(np.stack([array, np.concatenate([np.zeros(2 * len(bn), bn.dtype), bn])]))
        elif not name.endswith(".bn"):
            found.append(array.copy())
    return found


def from_list(parameters: Parameters, weights: Sequence[Any]) -> dict[str, Array]:
    """The arrays (float64) by name that a list in the form of `as_list` holds, a GRU's two biases merged where they can be.

    Raises ShapeError for a list of another length or form, DataError for what holds no numbers.
    """
    names = [name for name in parameters if not name.endswith(".bn")]
    if not isinstance(weights, list | tuple) or len(weights) != len(names):
        count = len(weights) if isinstance(weights, list | tuple) else type(weights).__name__
        raise ShapeError(f"set_weights: got {count}, wanted a list of {len(names)} arrays: {', '.join(names)}")
    arrays: dict[str, Array] = {}
    for name, given in zip(names, weights, strict=True):
        weight = numbers(given, f"set_weights: {name}").astype(float)
        if not _has_recurrent_bias(parameters, name):
            arrays[name] = weight
            continue
        size = len(parameters[f"{name}n"])
        if weight.shape != (2, 3 * size):
            raise ShapeError(f"set_weights: {name}: got shape {weight.shape}, wanted (2, {3 * size}): input, recurrent")
        merged = weight[0].copy()
        merged[: 2 * size] += weight[1, : 2 * size]  # z and r: only their sum counts
        arrays |= {name: merged, f"{name}n": weight[1, 2 * size :]}
    return arrays


def _has_recurrent_bias(parameters: Parameters, name: str) -> bool:
    return name.endswith(".b") and f"{name}n" in parameters  # 0.b has 0.bn beside it
