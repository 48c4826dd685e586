"""Operators that make one number of many: sums, means, extremes and where they are, and softmax."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.interop.onnx.calls import Call, Form, Forms, axes_of, axis_of, floats, ints, one


class Kind(NamedTuple):
    """One reduction: the function of (x, axes, keepdims), and what is done number by number before and after it."""

    reduce: Callable[..., Array]
    before: Callable[[Array], Array] = lambda x: x
    after: Callable[[Array], Array] = lambda x: x


def _sum(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return np.asarray(np.sum(x, axis=axes, keepdims=keep, dtype=x.dtype))


def _product(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return np.asarray(np.prod(x, axis=axes, keepdims=keep, dtype=x.dtype))


def _mean(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    count = math.prod(x.shape[k] for k in axes)
    total = np.asarray(np.sum(x, axis=axes, keepdims=keep, dtype=x.dtype if x.dtype.kind == "f" else float))
    return np.asarray(total / total.dtype.type(count), dtype=x.dtype)


def _extreme(largest: bool) -> Callable[..., Array]:
    """The largest or smallest; of no numbers at all the one that any other would replace."""

    def reduce(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        if x.dtype.kind == "b":
            return np.asarray((np.any if largest else np.all)(x, axis=axes, keepdims=keep))
        ends = (-np.inf, np.inf) if x.dtype.kind == "f" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
        initial = x.dtype.type(ends[0] if largest else ends[1])
        return np.asarray((np.max if largest else np.min)(x, axis=axes, keepdims=keep, initial=initial))

    return reduce


def _log_sum_exp(x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    top = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, x.dtype.type(0))
    found = np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True)) + top
    return np.asarray(found if keep else found.reshape(np.sum(x, axis=axes).shape))


def _reduction(kind: Kind) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """The operator with axes as an attribute, and as an input."""

    def reduce(call: Call, x: Array, axes: tuple[int, ...] | None) -> Array:
        found = tuple(range(x.ndim)) if axes is None else axes_of(axes, x.ndim)
        keep = bool(call.choice("keepdims", (0, 1)))
        x = kind.before(x)
        return np.asarray(kind.after(kind.reduce(x, found, keep) if found else x), x.dtype)

    def by_attribute(call: Call, x: Array) -> Array:
        return reduce(call, x, call["axes"])

    def by_input(call: Call, x: Array, axes: Array | None) -> Array:
        found = None if axes is None else ints(axes, "axes") or None
        if found is None and call.choice("noop_with_empty_axes", (0, 1)):
            found = ()
        return reduce(call, x, found)

    return by_attribute, by_input


def _extreme_place(last: Callable[..., Any]) -> Callable[[Call, Array], Array]:
    def run(call: Call, x: Array) -> Array:
        axis = axis_of(call["axis"], x.ndim)
        if "select_last_index" in call.attributes and call.choice("select_last_index", (0, 1)):
            found = x.shape[axis] - 1 - last(np.flip(x, axis), axis=axis)
        else:
            found = last(x, axis=axis)
        found = np.asarray(found, np.int64)
        return np.expand_dims(found, axis) if call.choice("keepdims", (0, 1)) else found

    return run


def _cumulative(call: Call, x: Array, axis: Array) -> Array:
    k = axis_of(one(axis, "axis"), x.ndim)
    line = np.flip(x, k) if call.choice("reverse", (0, 1)) else x
    total = np.cumsum(line, axis=k, dtype=x.dtype)
    if call.choice("exclusive", (0, 1)) and x.shape[k]:
        total = np.roll(total, 1, axis=k)
        np.moveaxis(total, k, 0)[0] = 0
    return np.flip(total, k) if call["reverse"] else total


# --- softmax


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return np.asarray(e / np.sum(e, axis=axis, keepdims=True))


def _log_softmax(x: Array, axis: int) -> Array:
    x = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.asarray(x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True)))


def _along(function: Callable[[Array, int], Array]) -> Callable[[Call, Array], Array]:
    """From opset 13 on: along one axis."""

    def run(call: Call, x: Array) -> Array:
        floats(x)
        return function(x, axis_of(call["axis"], x.ndim))

    return run


def _flattened(function: Callable[[Array, int], Array]) -> Callable[[Call, Array], Array]:
    """Before opset 13: over all axes from one on, together."""

    def run(call: Call, x: Array) -> Array:
        floats(x)
        axis = axis_of(call["axis"], x.ndim)
        return function(x.reshape(*x.shape[:axis], math.prod(x.shape[axis:])), -1).reshape(x.shape)

    return run


KINDS = {
    "ReduceSum": Kind(_sum),
    "ReduceMean": Kind(_mean),
    "ReduceProd": Kind(_product),
    "ReduceMax": Kind(_extreme(True)),
    "ReduceMin": Kind(_extreme(False)),
    "ReduceL1": Kind(_sum, before=np.abs),
    "ReduceL2": Kind(_sum, before=np.square, after=np.sqrt),
    "ReduceSumSquare": Kind(_sum, before=np.square),
    "ReduceLogSum": Kind(_sum, after=np.log),
    "ReduceLogSumExp": Kind(_log_sum_exp),
}
KEEP = {"keepdims": ("int", 1)}
BY_ATTRIBUTE = {"axes": ("ints", None), **KEEP}
BY_INPUT = {**KEEP, "noop_with_empty_axes": ("int", 0)}
PLACE = {"axis": ("int", 0), **KEEP}
LAST = {**PLACE, "select_last_index": ("int", 0)}


def _forms() -> Forms:
    found: Forms = {}
    for name, kind in KINDS.items():
        by_attribute, by_input = _reduction(kind)
        later = 13 if name == "ReduceSum" else 18
        found[name] = (Form(1, by_attribute, (1, 1), BY_ATTRIBUTE), Form(later, by_input, (1, 2), BY_INPUT))
    for name, place in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
        found[name] = (Form(1, _extreme_place(place), (1, 1), PLACE), Form(12, _extreme_place(place), (1, 1), LAST))
    for name, function in (("Softmax", _softmax), ("LogSoftmax", _log_softmax)):
        found[name] = (
            Form(1, _flattened(function), (1, 1), {"axis": ("int", 1)}),
            Form(13, _along(function), (1, 1), {"axis": ("int", -1)}),
        )
    return found


FORMS: Forms = _forms() | {
    "CumSum": (Form(11, _cumulative, (2, 2), {"exclusive": ("int", 0), "reverse": ("int", 0)}),),
}
