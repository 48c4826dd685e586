"""Operators that know shapes and values but compute nothing: casts, views, constants, and what makes or counts them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx import reader
from gatewright.interop.onnx.calls import MANY, NEEDED, Call, Form, Forms, axes_of, axis_of, ints, one, same
from gatewright.interop.onnx.graph import DType


def _identity(call: Call, x: Array) -> Array:
    return x


def _dropout(call: Call, x: Array) -> tuple[Array, Array]:
    """x as it is, and a mask that keeps everything; a float mask before opset 10."""
    return x, np.ones(x.shape, bool if call.form.since >= 10 else x.dtype)


def _dropout_mode(call: Call, x: Array, ratio: Array | None, training: Array | None) -> tuple[Array, Array]:
    if training is not None and one(training, "training_mode"):
        raise FormatError("training_mode is true, and only inference is supported")
    return x, np.ones(x.shape, bool)


def _cast(call: Call) -> Callable[[Array], Array]:
    wanted = _whole_casts(call, reader.dtype(call["to"]))
    return lambda x: x.astype(wanted, copy=False)


def _cast_like(call: Call) -> Callable[[Array, Array], Array]:
    return lambda x, like: x.astype(_whole_casts(call, like.dtype), copy=False)


def _whole_casts(call: Call, wanted: DType) -> DType:
    """`saturate` and `round_mode` are about types of 8 bits, which there are none of here."""
    if "saturate" in call.attributes:
        call.choice("saturate", (0, 1))
    if "round_mode" in call.attributes:
        call.choice("round_mode", ("up", "down", "nearest"))
    return wanted


# --- views


def _transpose(call: Call, x: Array) -> Array:
    perm = range(x.ndim)[::-1] if call["perm"] is None else call["perm"]
    if sorted(perm) != list(range(x.ndim)):
        raise FormatError(f"perm: got {str(tuple(perm))[:100]} for {x.ndim} axes")
    return x.transpose(perm)


def _reshape(call: Call, x: Array, shape: Array) -> Array:
    """0: the size that x has at this place, unless allowzero; -1: what is left."""
    wanted = list(ints(shape, "shape"))
    zero = "allowzero" in call.attributes and call.choice("allowzero", (0, 1))
    if wanted.count(-1) > 1 or any(n < -1 for n in wanted) or (zero and -1 in wanted and 0 in wanted):
        raise FormatError(f"shape: got {str(wanted)[:100]}")
    if not zero:
        if any(n == 0 and k >= x.ndim for k, n in enumerate(wanted)):
            raise FormatError(f"shape: got {str(wanted)[:100]} for x of shape {x.shape}")
        wanted = [x.shape[k] if n == 0 else n for k, n in enumerate(wanted)]
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = x.size // known if known else 0
    if math.prod(wanted) != x.size:
        raise FormatError(f"shape: got {str(ints(shape, 'shape'))[:100]} for x of shape {x.shape}")
    return x.reshape(wanted)


def _flatten(call: Call, x: Array) -> Array:
    axis = call["axis"] if call["axis"] == x.ndim else axis_of(call["axis"], x.ndim)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _squeezed(x: Array, axes: Sequence[int] | None) -> Array:
    found = [k for k, n in enumerate(x.shape) if n == 1] if axes is None else axes_of(axes, x.ndim)
    if any(x.shape[k] != 1 for k in found):
        raise FormatError(f"axes {str(tuple(found))[:100]} of x of shape {x.shape} are not all of size 1")
    return x.reshape([n for k, n in enumerate(x.shape) if k not in found])


def _unsqueezed(x: Array, axes: Sequence[int]) -> Array:
    rank = x.ndim + len(axes)
    if rank > reader.RANK:
        raise FormatError(f"it would make {rank} axes, more than {reader.RANK}")
    found, sizes = axes_of(axes, rank), iter(x.shape)
    return x.reshape([1 if k in found else next(sizes) for k in range(rank)])


def _squeeze(call: Call, x: Array, axes: Array | None) -> Array:
    return _squeezed(x, None if axes is None else ints(axes, "axes"))


def _unsqueeze(call: Call, x: Array, axes: Array) -> Array:
    return _unsqueezed(x, ints(axes, "axes"))


def _sliced(x: Array, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None, steps: Sequence[int]) -> Array:
    """Some of an axis; a place before or beyond it is brought to its nearest end."""
    found = axes_of(range(len(starts)) if axes is None else axes, x.ndim)
    if not len(starts) == len(ends) == len(found) == len(steps) or 0 in steps:
        raise FormatError(f"{len(starts)} starts, {len(ends)} ends, {len(found)} axes and {len(steps)} steps, none of them 0")
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(found, starts, ends, steps, strict=True):
        size, back = x.shape[axis], int(step < 0)
        start, end = (place + size if place < 0 else place for place in (start, end))
        places = range(max(min(start, size - back), 0), max(min(end, size - back), -back), step)
        last = places.stop if places.stop >= 0 else None  # None: down to the very first
        where[axis] = slice(places.start, last, step) if len(places) and size else slice(0, 0)
    return x[tuple(where)]


def _slice_attributes(call: Call, x: Array) -> Array:
    return _sliced(x, call["starts"], call["ends"], call["axes"], (1,) * len(call["starts"]))


def _slice(call: Call, x: Array, starts: Array, ends: Array, axes: Array | None, steps: Array | None) -> Array:
    first = ints(starts, "starts")
    by = (1,) * len(first) if steps is None else ints(steps, "steps")
    return _sliced(x, first, ints(ends, "ends"), None if axes is None else ints(axes, "axes"), by)


def _splits(call: Call, x: Array, sizes: Sequence[int] | None) -> tuple[Array, ...]:
    """Parts of these sizes, or equal ones; from opset 18 on with num_outputs the last may be smaller."""
    axis, parts = axis_of(call["axis"], x.ndim), len(call.node.outputs)
    whole, number = x.shape[axis], call.attributes.get("num_outputs")
    if number is not None and (sizes is not None or number != parts):
        raise FormatError(f"num_outputs={number} with {parts} outputs" + (" and the input split" if sizes is not None else ""))
    if sizes is None:
        part = -(-whole // parts)
        sizes = [min(part, whole - k * part) for k in range(parts)]
        if (number is None and whole % parts) or min(sizes) < 0:
            raise FormatError(f"an axis of {whole} can't be split into {parts} equal parts")
    if len(sizes) != parts or sum(sizes) != whole or min(sizes) < 0:
        raise FormatError(f"split: got {str(tuple(sizes))[:100]} for {parts} outputs of an axis of {whole}")
    stops = np.cumsum(sizes).tolist()
    lines = [slice(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]
    return tuple(x[(slice(None),) * axis + (line,)] for line in lines)


def _split_attribute(call: Call, x: Array) -> tuple[Array, ...]:
    return _splits(call, x, call["split"])


def _split(call: Call, x: Array, split: Array | None) -> tuple[Array, ...]:
    return _splits(call, x, None if split is None else ints(split, "split"))


# --- what is made


def _concat(call: Call, *arrays: Array) -> Array:
    same(*arrays)
    first = arrays[0]
    axis = axis_of(call["axis"], first.ndim)
    if all(array.ndim == first.ndim for array in arrays):  # else NumPy says what is wrong
        sizes = list(first.shape)
        sizes[axis] = sum(array.shape[axis] for array in arrays)
        call.room(sizes, first.dtype)
    return np.concatenate(arrays, axis=axis)


def _expand(call: Call, x: Array, shape: Array) -> Array:
    wanted = ints(shape, "shape")
    if any(n < 0 for n in wanted):
        raise FormatError(f"shape: got {str(wanted)[:100]}")
    call.room(wanted, x.dtype)
    found = np.broadcast_shapes(x.shape, wanted)
    call.room(found, x.dtype)
    return np.broadcast_to(x, found)


def _tile(call: Call, x: Array, repeats: Array) -> Array:
    times = ints(repeats, "repeats")
    if len(times) != x.ndim:
        raise FormatError(f"repeats: got {str(times)[:100]} for x of shape {x.shape}")
    call.room([n * k for n, k in zip(x.shape, times, strict=True)], x.dtype)
    return np.tile(x, times)


def _range(call: Call, start: Array, stop: Array, step: Array) -> Array:
    same(start, stop, step)
    first, last, by = (one(array, name) for array, name in ((start, "start"), (stop, "limit"), (step, "delta")))
    if not by or not all(map(math.isfinite, (first, last, by))) or start.dtype.kind not in "iuf":
        raise FormatError(f"a range from {first} to {last} by {by}")
    count = max(-((first - last) // by), 0)
    count = max(math.ceil((last - first) / by), 0) if start.dtype.kind == "f" else count
    call.room([int(count)], np.int64)
    return np.asarray(first + np.arange(int(count)) * start.dtype.type(by), dtype=start.dtype)


def _range_stash(call: Call, start: Array, stop: Array, step: Array) -> Array:
    call.choice("stash_type", (1,))
    return _range(call, start, stop, step)


def _shape(call: Call, x: Array) -> Array:
    return np.array(x.shape, np.int64)


def _shape_part(call: Call, x: Array) -> Array:
    return np.array(x.shape[call["start"] : call["end"]], np.int64)


def _size(call: Call, x: Array) -> Array:
    return np.array(x.size, np.int64)


def _constant(call: Call) -> Callable[[], Array]:
    """The one value that is given, whatever its form."""
    given = {name: value for name, value in call.attributes.items() if value is not None}
    if len(given) != 1:
        raise FormatError(f"got {', '.join(given) or 'no value'}, wanted one value")
    ((name, value),) = given.items()
    dtype = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    array = value if name == "value" else np.array(value, dtype[name])
    return lambda: array


def _constant_of_shape(call: Call, shape: Array) -> Array:
    wanted = ints(shape, "shape")
    value = np.zeros(1, np.float32) if call["value"] is None else call["value"]
    call.room(wanted, value.dtype)
    return np.full(wanted, value.reshape(-1)[0] if value.size == 1 else one(value, "value"), value.dtype)


AXES: dict[str, tuple[str, Any]] = {"axes": ("ints", None)}
NEEDED_AXES: dict[str, tuple[str, Any]] = {"axes": ("ints", NEEDED)}
TO: dict[str, tuple[str, Any]] = {"to": ("int", NEEDED)}
SATURATE = {"saturate": ("int", 1)}
ROUND = {**SATURATE, "round_mode": ("string", "up")}
VALUE: dict[str, tuple[str, Any]] = {"value": ("tensor", None)}
VALUES: dict[str, tuple[str, Any]] = {
    **VALUE, "value_float": ("float", None), "value_floats": ("floats", None), "value_int": ("int", None),
    "value_ints": ("ints", None),
}  # fmt: skip
BOUNDS: dict[str, tuple[str, Any]] = {"starts": ("ints", NEEDED), "ends": ("ints", NEEDED), **AXES}
SPLIT: dict[str, tuple[str, Any]] = {"axis": ("int", 0), "split": ("ints", None)}
NUMBER: dict[str, tuple[str, Any]] = {"axis": ("int", 0), "num_outputs": ("int", None)}
RATIO, SEED = {"ratio": ("float", 0.5)}, {"seed": ("int", None)}

FORMS: Forms = {
    "Identity": (Form(1, _identity),),
    "Dropout": (
        Form(7, _dropout, (1, 1), RATIO, (1, 2)),
        Form(10, _dropout, (1, 1), RATIO, (1, 2)),
        Form(12, _dropout_mode, (1, 3), SEED, (1, 2)),
    ),
    "Cast": (
        Form(6, _cast, (1, 1), TO, binds=True, halves=True),
        Form(19, _cast, (1, 1), {**TO, **SATURATE}, binds=True, halves=True),
        Form(24, _cast, (1, 1), {**TO, **ROUND}, binds=True, halves=True),
    ),
    "CastLike": (
        Form(15, _cast_like, (2, 2), binds=True, halves=True),
        Form(19, _cast_like, (2, 2), SATURATE, binds=True, halves=True),
        Form(24, _cast_like, (2, 2), ROUND, binds=True, halves=True),
    ),
    "Transpose": (Form(1, _transpose, (1, 1), {"perm": ("ints", None)}),),
    "Reshape": (Form(5, _reshape, (2, 2)), Form(14, _reshape, (2, 2), {"allowzero": ("int", 0)})),
    "Flatten": (Form(1, _flatten, (1, 1), {"axis": ("int", 1)}),),
    "Squeeze": (Form(1, lambda call, x: _squeezed(x, call["axes"]), (1, 1), AXES), Form(13, _squeeze, (1, 2))),
    "Unsqueeze": (
        Form(1, lambda call, x: _unsqueezed(x, call["axes"]), (1, 1), NEEDED_AXES),
        Form(13, _unsqueeze, (2, 2)),
    ),
    "Slice": (Form(1, _slice_attributes, (1, 1), BOUNDS), Form(10, _slice, (3, 5))),
    "Split": (
        Form(2, _split_attribute, (1, 1), SPLIT, (1, MANY)),
        Form(13, _split, (1, 2), {"axis": ("int", 0)}, (1, MANY)),
        Form(18, _split, (1, 2), NUMBER, (1, MANY)),
    ),
    "Concat": (Form(4, _concat, (1, MANY), {"axis": ("int", NEEDED)}),),
    "Expand": (Form(8, _expand, (2, 2)),),
    "Tile": (Form(6, _tile, (2, 2)),),
    "Range": (Form(11, _range, (3, 3)), Form(27, _range_stash, (3, 3), {"stash_type": ("int", 1)})),
    "Shape": (Form(1, _shape), Form(15, _shape_part, (1, 1), {"start": ("int", 0), "end": ("int", None)})),
    "Size": (Form(1, _size),),
    "Constant": (
        Form(1, _constant, (0, 0), {"value": ("tensor", NEEDED)}, binds=True),
        Form(11, _constant, (0, 0), VALUE, binds=True),
        Form(12, _constant, (0, 0), VALUES, binds=True),
    ),
    "ConstantOfShape": (Form(9, _constant_of_shape, (1, 1), VALUE),),
}
