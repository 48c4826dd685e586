"""Operators that look through a window: convolutions and pooling, over any number of axes behind (batch, channels)."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx.calls import NEEDED, Call, Form, Forms, floats, same

AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


class Window(NamedTuple):
    """How a window moves: one number an axis."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]  # padding
    after: tuple[int, ...]
    beyond: tuple[int, ...]  # padding after that, which only rounding up asks for

    @property
    def spans(self) -> tuple[int, ...]:
        """From a window's first number to its last."""
        return tuple((n - 1) * d + 1 for n, d in zip(self.size, self.dilations, strict=True))


def window_of(call: Call, x: Array, size: tuple[int, ...]) -> Window:
    """The window over the axes of x (B, C, …) from a node's attributes."""
    rank, spatial = x.ndim - 2, x.shape[2:]

    def numbers(name: str, default: int, count: int = rank, least: int = 1) -> tuple[int, ...]:
        given = call.attributes.get(name)
        found = (default,) * count if given is None else tuple(given)
        if len(found) != count or any(n < least for n in found):
            raise FormatError(f"{name}: got {str(found)[:100]}, wanted {count} numbers of at least {least}")
        return found

    if rank < 1 or len(size) != rank or any(n < 1 for n in size):
        raise FormatError(f"kernel_shape: got {str(size)[:100]} for x of shape {x.shape}")
    strides, dilations = numbers("strides", 1), numbers("dilations", 1)
    pads, auto = numbers("pads", 0, 2 * rank, 0), call.choice("auto_pad", AUTO)
    window = Window(size, strides, dilations, pads[:rank], pads[rank:], (0,) * rank)
    if auto != "NOTSET":
        if any(pads):
            raise FormatError(f"auto_pad {auto!r} and pads are both given")
        if auto != "VALID":
            total = [max((-(-n // s) - 1) * s + span - n, 0) for n, s, span in zip(spatial, strides, window.spans, strict=True)]
            less, more = tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
            ends = (less, more) if auto == "SAME_UPPER" else (more, less)
            window = window._replace(before=ends[0], after=ends[1])
    if "ceil_mode" in call.attributes and call.choice("ceil_mode", (0, 1)):
        window = window._replace(beyond=tuple(_beyond(window, spatial, k) for k in range(rank)))
    return window


def _beyond(window: Window, spatial: tuple[int, ...], k: int) -> int:
    """The padding that one more window needs on an axis, if it begins before the padding at the end does."""
    whole = spatial[k] + window.before[k] + window.after[k]
    steps = -(-(whole - window.spans[k]) // window.strides[k])
    if steps * window.strides[k] >= spatial[k] + window.before[k]:
        steps -= 1
    return max(steps * window.strides[k] + window.spans[k] - whole, 0)


def _views(call: Call, x: Array, window: Window, value: Any) -> Array:
    """What every window sees, (B, C, places …, window …), of x padded with `value`."""
    ends = [(a, b + c) for a, b, c in zip(window.before, window.after, window.beyond, strict=True)]
    call.room([*x.shape[:2], *(n + a + b for n, (a, b) in zip(x.shape[2:], ends, strict=True))], x.dtype)
    padded = np.pad(x, [(0, 0), (0, 0), *ends], constant_values=value)
    rank = x.ndim - 2
    if any(n < span for n, span in zip(padded.shape[2:], window.spans, strict=True)):
        raise FormatError(f"a window of {str(window.spans)[:60]} over {str(padded.shape[2:])[:60]} numbers, padding included")
    seen = sliding_window_view(padded, window.spans, axis=tuple(range(2, x.ndim)))
    where = [slice(None, None, n) for n in (*window.strides, *window.dilations)]
    seen = seen[(slice(None), slice(None), *where)]
    call.room(seen.shape, x.dtype)
    assert seen.ndim == 2 + 2 * rank
    return seen


def _conv(call: Call, x: Array, W: Array, b: Array | None) -> Array:
    """(B, C, …) and W (O, C / group, window …) -> (B, O, places …)."""
    same(x, W, *(() if b is None else (b,)))
    floats(x)
    group, size = call["group"], call["kernel_shape"]
    fits = x.ndim == W.ndim >= 3 and group >= 1 and W.shape[0] % group == 0 and x.shape[1] == W.shape[1] * group
    if not fits or (size is not None and size != W.shape[2:]) or (b is not None and b.shape != W.shape[:1]):
        shapes = f"x {x.shape}, W {W.shape}" + ("" if b is None else f", B {b.shape}")
        raise FormatError(f"{shapes}, group {group} and kernel_shape {size} don't go together")
    seen = _views(call, x, window_of(call, x, W.shape[2:]), 0)
    rank, outputs = x.ndim - 2, W.shape[0] // group
    places = seen.shape[2 : 2 + rank]
    call.room((x.shape[0], W.shape[0], *places), x.dtype)
    y = np.empty((x.shape[0], group, outputs, *places), x.dtype)
    of_window = [1, *range(2 + rank, 2 + 2 * rank)]
    for k, (part, kernel) in enumerate(zip(np.split(seen, group, axis=1), np.split(W, group), strict=True)):
        y[:, k] = np.moveaxis(np.tensordot(part, kernel, (of_window, range(1, kernel.ndim))), -1, 1)
    y = y.reshape(x.shape[0], W.shape[0], *places)
    return y if b is None else y + b.reshape(-1, *(1,) * rank)


def _max_pool(call: Call, x: Array) -> Array:
    if any(call.node.outputs[1:]):
        raise FormatError("the output Indices is not supported")
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    seen = _views(call, x, window_of(call, x, call["kernel_shape"]), lowest)
    return np.asarray(seen.max(axis=tuple(range(x.ndim, seen.ndim))))


def _average_pool(call: Call, x: Array) -> Array:
    """The mean of what a window sees, padding counted only with count_include_pad."""
    floats(x)
    window = window_of(call, x, call["kernel_shape"])
    axes = tuple(range(x.ndim, 2 * x.ndim - 2))
    total = _views(call, x, window, 0).sum(axis=axes)
    ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if call.choice("count_include_pad", (0, 1)):
        ends = list(zip(window.before, window.after, strict=True))
        ones = np.pad(ones, [(0, 0), (0, 0), *ends], constant_values=1)
        window = window._replace(before=(0,) * len(ends), after=(0,) * len(ends))
    return np.asarray(total / _views(call, ones, window, 0).sum(axis=axes))


def _whole(function: Callable[..., Any]) -> Callable[[Call, Array], Array]:
    """Over all numbers of a channel."""

    def run(call: Call, x: Array) -> Array:
        floats(x)
        if x.ndim < 3 or not math.prod(x.shape[2:]):
            raise FormatError(f"x has shape {x.shape}, wanted (batch, channels, …)")
        return np.asarray(function(x, axis=tuple(range(2, x.ndim)), keepdims=True))

    return run


PLAIN: dict[str, tuple[str, Any]] = {
    "kernel_shape": ("ints", NEEDED), "auto_pad": ("string", "NOTSET"), "pads": ("ints", None), "strides": ("ints", None),
}  # fmt: skip
DILATIONS: dict[str, tuple[str, Any]] = {"dilations": ("ints", None)}
CEIL, ORDER, COUNT = {"ceil_mode": ("int", 0)}, {"storage_order": ("int", 0)}, {"count_include_pad": ("int", 0)}
CONV: dict[str, tuple[str, Any]] = {**PLAIN, **DILATIONS, "kernel_shape": ("ints", None), "group": ("int", 1)}

FORMS: Forms = {
    "Conv": (Form(1, _conv, (2, 3), CONV),),
    "MaxPool": (
        Form(1, _max_pool, (1, 1), PLAIN),
        Form(8, _max_pool, (1, 1), {**PLAIN, **ORDER}, (1, 2)),
        Form(10, _max_pool, (1, 1), {**PLAIN, **ORDER, **CEIL, **DILATIONS}, (1, 2)),
    ),
    "AveragePool": (
        Form(7, _average_pool, (1, 1), {**PLAIN, **COUNT}),
        Form(10, _average_pool, (1, 1), {**PLAIN, **COUNT, **CEIL}),
        Form(19, _average_pool, (1, 1), {**PLAIN, **COUNT, **CEIL, **DILATIONS}),
    ),
    "GlobalAveragePool": (Form(1, _whole(np.mean)),),
    "GlobalMaxPool": (Form(1, _whole(np.max)),),
}
