"""Products with matrices, and normalisations."""

import math
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx.calls import Call, Form, Forms, axis_of, floats, same


def _matmul(call: Call, a: Array, b: Array) -> Array:
    same(a, b)
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise FormatError(f"a product of shapes {a.shape} and {b.shape}")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    call.room((*batch, *a.shape[-2:-1], *b.shape[-1:][: b.ndim - 1]), a.dtype)
    return np.asarray(a @ b)


def _gemm(call: Call, a: Array, b: Array, c: Array | None) -> Array:
    """alpha a b + beta c, a and b transposed where it is said."""
    same(a, b, *(() if c is None else (c,)))
    a = a.T if call.choice("transA", (0, 1)) else a
    b = b.T if call.choice("transB", (0, 1)) else b
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise FormatError(f"a product of shapes {a.shape} and {b.shape}")
    shape = a.shape[0], b.shape[1]
    if c is not None and np.broadcast_shapes(c.shape, shape) != shape:
        raise FormatError(f"C has shape {c.shape}, and the product {shape}")
    call.room(shape, a.dtype)
    y = a @ b if call["alpha"] == 1 else _scaled(a @ b, call["alpha"])
    if c is not None:
        y = y + (c if call["beta"] == 1 else _scaled(c, call["beta"]))
    return np.asarray(y)


def _scaled(x: Array, by: float) -> Array:
    return np.asarray(x * x.dtype.type(by) if x.dtype.kind == "f" else (x * by).astype(x.dtype))


def _layer_norm(call: Call, x: Array, scale: Array, shift: Array | None) -> tuple[Array, Array, Array]:
    """Over all axes from one on, in float32 where x is a half; y is of the type of x, mean and 1 / deviation are not."""
    call.choice("stash_type", (1,))
    floats(x)
    axes = tuple(range(axis_of(call["axis"], x.ndim), x.ndim))
    wide = x if x.dtype == np.float64 else x.astype(np.float32)
    count = wide.dtype.type(math.prod(x.shape[k] for k in axes))
    mean = np.sum(wide, axis=axes, keepdims=True) / count
    centred = wide - mean
    variance = np.sum(centred * centred, axis=axes, keepdims=True) / count
    inverse = np.asarray(1 / np.sqrt(variance + wide.dtype.type(call["epsilon"])))
    y = (centred * inverse).astype(x.dtype)
    for part in (scale, *(() if shift is None else (shift,))):
        same(x, part)
        if np.broadcast_shapes(part.shape, x.shape) != x.shape:
            raise FormatError(f"scale or bias of shape {part.shape} for x of shape {x.shape}")
    y = y.astype(wide.dtype) * scale.astype(wide.dtype) + (0 if shift is None else shift.astype(wide.dtype))
    return y.astype(x.dtype), mean, inverse


def _batch_norm(call: Call, x: Array, scale: Array, shift: Array, mean: Array, variance: Array) -> Array:
    """(B, C, …) with the running mean and variance of every channel (C,)."""
    if call.attributes.get("training_mode", 0) or not call.attributes.get("spatial", 1) or any(call.node.outputs[1:]):
        raise FormatError("only inference is supported: training_mode=0, spatial=1 and one output")
    floats(x)
    channels = (x.shape[1],) if x.ndim > 1 else (1,)
    if any(part.shape != channels for part in (scale, shift, mean, variance)):
        raise FormatError(f"wanted scale, bias, mean and variance of shape {channels}")
    shape = (-1,) + (1,) * (x.ndim - 2) if x.ndim > 1 else (-1,)
    scale, shift, mean, variance = (part.astype(x.dtype).reshape(shape) for part in (scale, shift, mean, variance))
    return np.asarray((x - mean) * (scale / np.sqrt(variance + x.dtype.type(call["epsilon"]))) + shift)


EPSILON = ("float", 9.999999747378752e-06)  # 1e-5, as a float32 is written
GEMM: dict[str, tuple[str, Any]] = {
    "alpha": ("float", 1.0), "beta": ("float", 1.0), "transA": ("int", 0), "transB": ("int", 0),
}  # fmt: skip
LAYER: dict[str, tuple[str, Any]] = {"axis": ("int", -1), "epsilon": EPSILON, "stash_type": ("int", 1)}
BATCH: dict[str, tuple[str, Any]] = {"epsilon": EPSILON, "momentum": ("float", 0.8999999761581421)}
MODE: dict[str, tuple[str, Any]] = {"training_mode": ("int", 0)}

FORMS: Forms = {
    "MatMul": (Form(1, _matmul, (2, 2)),),
    "Gemm": (
        Form(7, lambda call, a, b, c: _gemm(call, a, b, c), (3, 3), GEMM),
        Form(11, _gemm, (2, 3), GEMM),
    ),
    "LayerNormalization": (Form(17, _layer_norm, (2, 3), LAYER, (1, 3), halves=True),),
    "BatchNormalization": (
        Form(7, _batch_norm, (5, 5), {**BATCH, "spatial": ("int", 1)}, (1, 5)),
        Form(9, _batch_norm, (5, 5), BATCH, (1, 5)),
        Form(14, _batch_norm, (5, 5), {**BATCH, **MODE}, (1, 3)),
    ),
}
