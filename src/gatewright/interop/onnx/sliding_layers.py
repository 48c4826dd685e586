"""Convolution, pooling, batch normalisation and repetition in an ONNX graph -> layers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gatewright.interop.onnx import axes as place
from gatewright.interop.onnx import pointwise, windows
from gatewright.interop.onnx.axes import FEATURES
from gatewright.interop.onnx.calls import Call
from gatewright.interop.onnx.follow import Follow, Part, Seen, same_spread
from gatewright.interop.onnx.graph import Node
from gatewright.interop.onnx.terms import Item, Mark, Term
from gatewright.layers import (
    AveragePooling1D,
    BatchNorm,
    Conv1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MaxPooling1D,
    RepeatVector,
)
from gatewright.layers.sliding import Window


def _layer(follow: Follow, node: Node, value: Seen, item: Item, features: int) -> None:
    """The output of a layer that looks at several steps, so that it matters in which order they stand."""
    part = follow.part(node, value)
    if part.flipped:
        follow.refuse(node, "it looks at steps that stand in reverse")
    follow.give(node.outputs[0], [Part(Term("layer", features, (part.term,), item))], value.axes)


def _padded(follow: Follow, node: Node, value: Seen) -> tuple[Seen, int]:
    """A value without the zeros that an earlier node put before its steps, and how many these are."""
    part = follow.part(node, value)
    if isinstance(part.term.item, Mark) and part.term.item.what == "padding":
        return value._replace(parts=(part._replace(term=part.term.inputs[0]),)), part.term.item.number
    return value, 0


def _windows(follow: Follow, node: Node, call: Call, value: Seen, size: tuple[int, ...], names: tuple[str, ...]) -> Window:
    """The window of a node over the axes behind (batch, features), of which one is time and the others are of size 1."""
    if len(value.axes) < 3 or value.axes[1] != FEATURES or len(node.outputs) > 1:
        follow.refuse(node, "its input is not (batch, features, time), or it has more outputs than one")
    times = [k for k, axis in enumerate(value.axes[2:]) if axis]
    if len(times) != 1 or not follow.is_time(value.axes[2 + times[0]]):
        follow.refuse(node, "its windows do not slide over time alone")
    k, (_, before_all) = times[0], _padded(follow, node, value)
    found = set(names)
    for array, out in zip(follow.arrays(value.name), follow.arrays(node.outputs[0]), strict=True):
        seen = windows.window_of(call, array, size)
        if any(n != 1 for j, n in enumerate(seen.size) if j != k) or array.shape[2 : k + 2] != out.shape[2 : k + 2]:
            follow.refuse(node, "its windows do not slide over time alone")
        steps, made = array.shape[2 + k] - before_all, out.shape[2 + k]
        found &= _paddings(call, seen, k, before_all)
        for name in list(found):
            window = Window(seen.size[k], seen.strides[k], name, seen.dilations[k])
            if window.count(steps) != made or window.before(steps) != seen.before[k] + before_all:
                found.discard(name)
    if not found:
        follow.refuse(node, "its padding is none that a layer has")
    padding = next(name for name in names if name in found)
    return Window(seen.size[k], seen.strides[k], padding, seen.dilations[k])


def _paddings(call: Call, seen: windows.Window, k: int, before: int) -> set[str]:
    """The paddings that a node's attributes mean at every number of steps, not only at those that were tried."""
    reach, stride = (seen.size[k] - 1) * seen.dilations[k], seen.strides[k]
    middle = reach // 2, reach - reach // 2
    if call["auto_pad"] == "SAME_UPPER" or (call["auto_pad"] == "SAME_LOWER" and stride == 1 and not reach % 2):
        return {"same"}
    if call["auto_pad"] == "SAME_LOWER":
        return set()
    ends = seen.before[k] + before, seen.after[k]
    known = {"valid": ends == (0, 0), "causal": ends == (reach, 0), "same": stride == 1 and ends == middle}
    return {name for name, fits in known.items() if fits}


def _conv(follow: Follow, node: Node, call: Call) -> None:
    value, W, b = follow.one(node), follow.constant(node, 1), follow.constant(node, 2)
    assert W is not None
    window = _windows(follow, node, call, value, W.shape[2:], ("valid", "causal", "same"))
    plain, _ = _padded(follow, node, value)
    size, outputs = plain.parts[0].term.features, len(W)
    layer = Conv1D(
        size, outputs, window.size, stride=window.stride, padding=window.padding, dilation=window.dilation,
        groups=call["group"], bias=b is not None,
    )  # fmt: skip
    arrays = {"W": W.reshape(*W.shape[:2], window.size).transpose(2, 1, 0)} | ({} if b is None else {"b": b})
    if plain is not value and window.padding != "causal":
        follow.refuse(node, "its padding is none that a layer has")
    _layer(follow, node, plain, Item(layer, arrays, follow.origin(node, 1)), outputs)


def _pool(follow: Follow, node: Node, call: Call) -> None:
    value = follow.one(node)
    window = _windows(follow, node, call, value, tuple(call["kernel_shape"]), ("valid", "same"))
    if window.dilation != 1 or isinstance(follow.part(node, value).term.item, Mark):
        follow.refuse(node, "its windows have gaps, or it pools what was padded")
    inside = node.op == "MaxPool" or not call.attributes.get("count_include_pad", 0) or window.padding == "valid"
    if not inside or call.attributes.get("ceil_mode", 0):
        follow.refuse(node, "it counts padding, or rounds up the number of its windows")
    kind = MaxPooling1D if node.op == "MaxPool" else AveragePooling1D
    stride = None if window.stride == window.size else window.stride
    layer = kind(window.size, stride=stride, padding=window.padding)
    _layer(follow, node, value, Item(layer, {}), value.parts[0].term.features)


def _global(follow: Follow, node: Node, call: Call) -> None:
    """GlobalMaxPool and GlobalAveragePool, of (B, F, T)."""
    value = follow.one(node)
    times = [k for k, axis in enumerate(value.axes) if k > 1 and axis]
    if value.axes[1] != FEATURES or len(times) != 1:
        follow.refuse(node, "its input is not (batch, features, time)")
    _over_time(follow, node, value, times[0], "mean" if node.op == "GlobalAveragePool" else "max", True)


def reduce(follow: Follow, node: Node, call: Call) -> bool:
    """ReduceMean, ReduceMax and ReduceSum over time; whether they are that."""
    value, given = follow.dependent(node)[0], follow.constant(node, 1)
    axes = call.attributes.get("axes") if given is None else tuple(given.reshape(-1).tolist())
    if axes is None or len(axes) != 1 or value.axes[axes[0]] in (FEATURES, ()):
        return False
    how = {"ReduceMean": "mean", "ReduceMax": "max", "ReduceSum": "sum"}[node.op]
    _over_time(follow, node, follow.one(node), axes[0] % len(value.axes), how, bool(call["keepdims"]))
    return True


def _reduce(follow: Follow, node: Node, call: Call) -> None:
    if not reduce(follow, node, call):
        follow.refuse(node, "it reduces another axis than time")


def _over_time(follow: Follow, node: Node, value: Seen, axis: int, how: str, keeps: bool) -> None:
    """A pooling of all steps; with lengths, of the live ones: what was filled with -inf, or a sum of what is zero elsewhere."""
    if not follow.is_time(value.axes[axis]):
        follow.refuse(node, "it reduces another axis than time")
    term, features = follow.part(node, value).term, value.parts[0].term.features
    filled = isinstance(term.item, Mark) and term.item.what == "filled"
    if follow.lengths(term, 0) is None and how != "sum":
        item: Item | Mark = Item(GlobalMaxPooling1D() if how == "max" else GlobalAveragePooling1D(), {})
    elif how == "max" and filled:
        item, term = Item(GlobalMaxPooling1D(), {}), term.inputs[0]
    elif how == "sum" and follow.is_clean(value):
        item = Mark("total")
    else:
        follow.refuse(node, "no layer does that with rows of unequal lengths" if how != "sum" else "it sums steps")
    axes = tuple(() if k == axis else each for k, each in enumerate(value.axes))
    axes = axes if keeps else place.squeezed(axes, [axis])
    follow.give(node.outputs[0], [Part(Term("layer", features, (term,), item))], axes)


def divide(follow: Follow, node: Node) -> bool:
    """Whether a sum of live steps is divided by how many they are, which is their mean."""
    values = follow.dependent(node)
    if len(values) != 1 or values[0].points is not None or not follow.probe.depends(node.inputs[0]):
        return False
    term = follow.part(node, values[0]).term
    if not (isinstance(term.item, Mark) and term.item.what == "total"):
        return False
    for run, array in enumerate(follow.arrays(node.inputs[1])):
        lengths = follow.lengths(term.inputs[0], run)
        if lengths is None or array.size != lengths.size or not np.array_equal(array.reshape(-1), np.maximum(lengths, 1)):
            follow.refuse(node, "it divides a sum of steps by another number than theirs")
    item = Item(GlobalAveragePooling1D(), {})
    follow.give(node.outputs[0], [Part(Term("layer", term.features, term.inputs, item))], values[0].axes)
    return True


def _batch_norm(follow: Follow, node: Node, call: Call) -> None:
    value = follow.one(node)
    arrays = dict(zip(("gain", "shift", "mean", "var"), (follow.constant(node, k) for k in range(1, 5)), strict=True))
    size = value.parts[0].term.features
    if value.axes[1] != FEATURES or call.attributes.get("training_mode", 0) or len([name for name in node.outputs if name]) > 1:
        follow.refuse(node, "it normalises another axis than that of the features, or by a batch")
    found = {name: array for name, array in arrays.items() if array is not None}
    layer = BatchNorm(size, epsilon=pointwise.nice(call["epsilon"], 1e-5))
    follow.layer(node, value, Item(layer, found), size)


def repeat(follow: Follow, node: Node, call: Call) -> bool:
    """Tile and Expand that make steps of one row; whether they are that."""
    value = follow.one(node)
    shapes = {array.shape[1:] for array in follow.arrays(node.outputs[0])}
    if len(value.axes) != 3 or value.axes[1] or value.axes[2] != FEATURES or len(shapes) != 1:
        return False
    pairs = zip(follow.arrays(value.name), follow.arrays(node.outputs[0]), strict=True)
    if not all(array.ndim == 3 and same_spread(a, array) for a, array in pairs):
        return False
    time = "0" if value.axes[0] == ("1",) else "1"
    if not follow.is_time((time,)) or not value.axes[0]:
        follow.refuse(node, "it repeats what is no row")
    part = follow.part(node, value)
    term = Term("layer", part.term.features, (part.term,), Item(RepeatVector(shapes.pop()[0]), {}))
    follow.give(node.outputs[0], [Part(term)], (value.axes[0], (time,), FEATURES))
    return True


def pad(follow: Follow, node: Node, call: Call) -> bool:
    """Zeros before the first step, which a convolution may read; whether that is what a node adds."""
    found = [(name, follow.values[name]) for name in node.inputs if follow.probe.depends(name)]
    if len(found) != 1:
        return False
    value = follow.settled(node, found[0][1])
    counts = set()
    for a, b in zip(follow.arrays(value.name), follow.arrays(node.outputs[0]), strict=True):
        longer = [k for k in range(a.ndim) if a.ndim == b.ndim and a.shape[k] != b.shape[k]]
        if len(longer) != 1 or not follow.is_time(value.axes[longer[0]]):
            return False
        count = b.shape[longer[0]] - a.shape[longer[0]]
        zeros, same = np.split(b, [count], axis=longer[0])
        if count < 1 or np.any(zeros) or not np.array_equal(same, a):
            return False
        counts.add(count)
    part = follow.part(node, value)
    if len(counts) != 1 or part.flipped:
        return False
    term = Term("layer", part.term.features, (part.term,), Mark("padding", counts.pop()))
    follow.give(node.outputs[0], [Part(term)], value.axes)
    return True


HANDLERS: dict[str, Callable[[Follow, Node, Any], None]] = {
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalMaxPool": _global,
    "GlobalAveragePool": _global,
    "BatchNormalization": _batch_norm,
    "ReduceMax": _reduce,
    "ReduceSum": _reduce,
}
