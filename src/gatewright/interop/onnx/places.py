"""Operators that pick and put by index, pad and reverse."""

from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx.calls import NEEDED, Call, Form, Forms, axes_of, axis_of, ints, one, same

MODES = ("constant", "edge", "reflect", "wrap")
UPDATES = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _indices(indices: Array) -> Array:
    """Whole numbers, counted from the end where negative; NumPy refuses those beyond an axis."""
    if indices.dtype.kind not in "iu":
        raise FormatError(f"indices of {indices.dtype}, wanted whole numbers")
    return indices.astype(np.intp, copy=False)


def _gather(call: Call, x: Array, indices: Array) -> Array:
    axis = axis_of(call["axis"], x.ndim)
    call.room((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)
    return np.take(x, _indices(indices), axis=axis)


def _grid(indices: Array, axis: int) -> tuple[Array, ...]:
    """For every number of `indices` its own place, with the index in place of that on the axis."""
    grid = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grid[axis] = _indices(indices)
    return tuple(grid)


def _same_but(x: Array, indices: Array, axis: int) -> None:
    """Raises FormatError unless `indices` fits into x beside the axis."""
    fits = x.ndim == indices.ndim and all(
        m <= n for k, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True)) if k != axis
    )
    if not fits:
        raise FormatError(f"indices of shape {indices.shape} for an array of shape {x.shape}")


def _gather_elements(call: Call, x: Array, indices: Array) -> Array:
    axis = axis_of(call["axis"], x.ndim)
    _same_but(x, indices, axis)
    call.room(indices.shape, np.int64)
    return np.asarray(x[_grid(indices, axis)])


def _scatter_elements(call: Call, x: Array, indices: Array, updates: Array) -> Array:
    axis, how = axis_of(call["axis"], x.ndim), call.attributes.get("reduction", "none")
    same(x, updates)
    _same_but(x, indices, axis)
    if updates.shape != indices.shape:
        raise FormatError(f"updates of shape {updates.shape} for indices of shape {indices.shape}")
    y, grid = x.copy(), _grid(indices, axis)
    if how == "none":
        y[grid] = updates
    else:
        UPDATES[call.choice("reduction", ("none", *UPDATES))].at(y, grid, updates)
    return y


def _gather_nd(call: Call, x: Array, indices: Array) -> Array:
    """Every last axis of `indices` is a place in x, behind `batch_dims` axes that both have."""
    batch = call.attributes.get("batch_dims", 0)
    depth = indices.shape[-1] if indices.ndim else 0
    fits = 0 <= batch < min(x.ndim, indices.ndim) and 1 <= depth <= x.ndim - batch
    if not fits or x.shape[:batch] != indices.shape[:batch]:
        raise FormatError(f"indices of shape {indices.shape} for an array of shape {x.shape}, batch_dims={batch}")
    call.room((*indices.shape[:-1], *x.shape[batch + depth :]), x.dtype)
    grid = np.ogrid[tuple(slice(n) for n in indices.shape[:-1])][:batch] if indices.ndim > 1 else ()
    places = [_indices(indices[..., k]) for k in range(depth)]
    return np.asarray(x[(*grid, *places)])


def _one_hot(call: Call, indices: Array, depth: Array, values: Array) -> Array:
    """values[1] where an index points, values[0] elsewhere; an index beyond points nowhere."""
    count, axis = int(one(depth, "depth")), axis_of(call["axis"], indices.ndim + 1)
    if values.shape != (2,):
        raise FormatError(f"values of shape {values.shape}, wanted (2,)")
    call.room((count, *indices.shape), values.dtype)
    call.room((count, *indices.shape), bool)
    places = np.expand_dims(np.where(indices < 0, indices + count, indices), axis)
    line = np.arange(count).reshape([count if k == axis else 1 for k in range(places.ndim)])
    return np.asarray(np.where(places == line, values[1], values[0]))


def _padded(call: Call, x: Array, pads: tuple[int, ...], axes: tuple[int, ...], value: Any) -> Array:
    """Numbers before and behind every axis; where a pad is negative that many are cut off."""
    mode = call.choice("mode", MODES)
    if len(pads) != 2 * len(axes):
        raise FormatError(f"pads: got {str(pads)[:100]} for {len(axes)} axes")
    before, after = [0] * x.ndim, [0] * x.ndim
    for k, axis in enumerate(axes):
        before[axis], after[axis] = pads[k], pads[len(axes) + k]
    where = tuple(slice(max(-a, 0), max(n + min(b, 0), 0)) for n, a, b in zip(x.shape, before, after, strict=True))
    cut = x[where]
    widths = [(max(a, 0), max(b, 0)) for a, b in zip(before, after, strict=True)]
    call.room([n + a + b for n, (a, b) in zip(cut.shape, widths, strict=True)], x.dtype)
    if mode == "constant":
        return np.pad(cut, widths, constant_values=x.dtype.type(0 if value is None else value))
    return np.pad(cut, widths, mode=mode)


def _pad_attributes(call: Call, x: Array) -> Array:
    return _padded(call, x, call["pads"], tuple(range(x.ndim)), call["value"])


def _pad(call: Call, x: Array, pads: Array, value: Array | None, axes: Array | None = None) -> Array:
    if value is not None:
        same(x, value)
    where = tuple(range(x.ndim)) if axes is None else axes_of(ints(axes, "axes"), x.ndim)
    return _padded(call, x, ints(pads, "pads"), where, None if value is None else one(value, "constant_value"))


def _reverse_sequence(call: Call, x: Array, lengths: Array) -> Array:
    """The first steps of every row the other way round, as many as its length says."""
    time, batch = call["time_axis"], call["batch_axis"]
    if {time, batch} != {0, 1} or x.ndim < 2:
        raise FormatError(f"time_axis={time} and batch_axis={batch} for x of shape {x.shape}, wanted 0 and 1")
    T, B = x.shape[time], x.shape[batch]
    counts = np.array(ints(lengths, "sequence_lens"), np.int64)
    if counts.shape != (B,) or np.any(counts < 0) or np.any(counts > T):
        raise FormatError(f"sequence_lens: got {str(counts.tolist())[:60]}, wanted {B} lengths from 0 to {T}")
    steps = np.arange(T)[:, None]
    steps = np.where(steps < counts, counts - 1 - steps, steps)  # (T, B)
    rows = np.arange(B)
    return x[steps, rows] if time == 0 else x[rows[:, None], steps.T]


AXIS: dict[str, tuple[str, Any]] = {"axis": ("int", 0)}
MODE: dict[str, tuple[str, Any]] = {"mode": ("string", "constant")}

FORMS: Forms = {
    "Gather": (Form(1, _gather, (2, 2), AXIS),),
    "GatherElements": (Form(11, _gather_elements, (2, 2), AXIS),),
    "GatherND": (Form(11, _gather_nd, (2, 2)), Form(12, _gather_nd, (2, 2), {"batch_dims": ("int", 0)})),
    "ScatterElements": (
        Form(11, _scatter_elements, (3, 3), AXIS),
        Form(16, _scatter_elements, (3, 3), {**AXIS, "reduction": ("string", "none")}),
    ),
    "OneHot": (Form(9, _one_hot, (3, 3), {"axis": ("int", -1)}, halves=True),),
    "Pad": (
        Form(2, _pad_attributes, (1, 1), {**MODE, "pads": ("ints", NEEDED), "value": ("float", 0.0)}),
        Form(11, _pad, (2, 3), MODE),
        Form(18, _pad, (2, 4), MODE),
    ),
    "ReverseSequence": (Form(10, _reverse_sequence, (2, 2), {"time_axis": ("int", 0), "batch_axis": ("int", 1)}),),
}
