"""Operators that leave the numbers of a value as they are, and only arrange them or take a part of them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx import axes as place
from gatewright.interop.onnx import sliding_layers
from gatewright.interop.onnx.axes import FEATURES, SIDES
from gatewright.interop.onnx.calls import Call
from gatewright.interop.onnx.follow import Follow, Part, Seen
from gatewright.interop.onnx.graph import Node
from gatewright.interop.onnx.terms import Item, Mark, Term, last
from gatewright.layers import Embedding


def _same(follow: Follow, node: Node, call: Call) -> None:
    """Nodes that may leave the numbers as they are, and must do so."""
    if (node.op in ("Tile", "Expand") and sliding_layers.repeat(follow, node, call)) or (
        node.op == "Pad" and sliding_layers.pad(follow, node, call)
    ):
        return
    value, *others = follow.dependent(node)
    pairs = list(zip(follow.arrays(node.inputs[0]), follow.arrays(node.outputs[0]), strict=True))
    if others:
        follow.refuse(node, "several of its inputs depend on x")
    if any(a.dtype.kind != b.dtype.kind or a.shape != b.shape or not np.allclose(a, b, 1e-2, 1e-2) for a, b in pairs):
        follow.refuse(node, "it changes the values as no layer does")
    follow.same(node.outputs[0], value)


def _transpose(follow: Follow, node: Node, call: Call) -> None:
    value = follow.one(node)
    perm = call["perm"] or range(len(value.axes))[::-1]
    follow.give(node.outputs[0], value.parts, tuple(value.axes[k] for k in perm))


def _reshape(follow: Follow, node: Node, call: Call) -> None:
    follow.reshape(node, follow.one(node), node.outputs[0])


def _squeeze(follow: Follow, node: Node, call: Call) -> None:
    """Squeeze and Unsqueeze."""
    value, out = follow.one(node), follow.arrays(node.outputs[0])[0]
    array = follow.constant(node, 1)
    found = None if array is None else array.reshape(-1).tolist()
    given: list[int] | None = call["axes"] if "axes" in call.attributes else found
    shape = follow.arrays(value.name)[0].shape
    if node.op == "Squeeze":
        every = [k for k, size in enumerate(shape) if size == 1]
        gone = every if given is None else [k % len(shape) for k in given]
        if any(letter in "01" for k in gone for letter in value.axes[k]):
            follow.refuse(node, "it drops batch or time")
        follow.give(node.outputs[0], value.parts, place.squeezed(value.axes, gone))
    else:
        assert given is not None
        new = [k % out.ndim for k in given]
        follow.give(node.outputs[0], value.parts, place.unsqueezed(value.axes, new))


def _concat(follow: Follow, node: Node, call: Call) -> None:
    if sliding_layers.pad(follow, node, call):
        return
    values = [follow.settled(node, value) for value in follow.dependent(node)]
    axis = call["axis"] % len(values[0].axes)
    if len(values) < len(node.inputs):
        follow.refuse(node, "it joins values and constants")
    kinds = {value.axes[axis] for value in values}
    if kinds == {FEATURES}:
        merged = follow.merged(node, values, "concat")
        follow.give(node.outputs[0], merged.parts, merged.axes)
        return
    rests = {(*value.axes[:axis], *value.axes[axis + 1 :]) for value in values}
    parts = [part for value in values for part in value.parts]
    if not kinds <= {(), SIDES} or len(rests) > 1 or len({part.term.features for part in parts}) > 1:
        follow.refuse(node, "it joins values along another axis than that of the features")
    axes = (*values[0].axes[:axis], SIDES if len(parts) > 1 else (), *values[0].axes[axis + 1 :])
    follow.give(node.outputs[0], parts, axes)


# --- parts of a value


def _gather(follow: Follow, node: Node, call: Call) -> None:
    """The rows of an Embedding, or one step or direction."""
    if follow.probe.depends(node.inputs[1]):
        _embedding(follow, node, call)
        return
    value, index = follow.one(node), follow.constant(node, 1)
    assert index is not None
    axis = call["axis"] % len(value.axes)
    if index.ndim > 1:
        follow.refuse(node, "it gathers what no layer does")
    _selected(follow, node, value, node.outputs[0], axis if index.ndim == 0 else None)


def _embedding(follow: Follow, node: Node, call: Call) -> None:
    if follow.probe.depends(node.inputs[0]):
        follow.refuse(node, "it gathers from a value, by a value")
    E, value = follow.constant(node, 0), follow.settled(node, follow.dependent(node)[0])
    part = follow.part(node, value)
    assert E is not None
    if E.ndim != 2 or call["axis"] != 0 or part.term.how != "x" or FEATURES in value.axes:
        follow.refuse(node, "it gathers what no Embedding of the input does")
    item = Item(Embedding(*E.shape), {"E": E}, follow.origin(node, 0))
    term = Term("layer", E.shape[1], (part.term,), item)
    follow.give(node.outputs[0], [Part(term, part.flipped)], (*value.axes, FEATURES))


def _slice(follow: Follow, node: Node, call: Call) -> None:
    """Slice and Split."""
    value = follow.one(node)
    for name in node.outputs:
        if name:
            _selected(follow, node, value, name, None)


def _selected(follow: Follow, node: Node, value: Seen, name: str, gone: int | None) -> None:
    """A part of a value along one axis, which is `gone` afterwards: seen from what it was in both runs."""
    before = follow.arrays(value.name)
    after = [array if gone is None else np.expand_dims(array, gone) for array in follow.arrays(name)]
    different = {k for a, b in zip(before, after, strict=True) for k in range(a.ndim) if a.shape[k] != b.shape[k]}
    if gone is not None and follow.is_time(value.axes[gone]):
        different = {gone}  # one step of one is the last one
    if not different:
        _whole(follow, node, value, name, gone)
        return
    axis, count = min(different), after[0].shape[min(different)]
    starts = [
        {s for s in range(a.shape[axis] - count + 1) if np.array_equal(_cut(a, axis, s, count), b)}
        for a, b in zip(before, after, strict=True)
    ] if len(different) == 1 and after[1].shape[axis] == count else []  # fmt: skip
    axes = tuple(() if k == axis else each for k, each in enumerate(value.axes))
    if starts and all(starts) and value.axes[axis] == SIDES:
        start = min(starts[0])
        parts = value.parts[start : start + count]
        axes = value.axes if count > 1 else axes
    elif starts and all(starts) and count == 1 and follow.is_time(value.axes[axis]):
        end = all(a.shape[axis] - 1 in found for a, found in zip(before, starts, strict=True))
        begin = all(0 in found for found in starts)
        parts = tuple(_last(follow, node, part, end, begin) for part in value.parts)
    else:
        follow.refuse(node, "it takes a part of its input that no layer gives")
    follow.give(name, parts, axes if gone is None else place.squeezed(axes, [gone]))


def _cut(array: Array, axis: int, start: int, count: int) -> Array:
    return array.take(range(start, start + count), axis)


def _last(follow: Follow, node: Node, part: Part, end: bool, begin: bool) -> Part:
    """The last step in the order of processing."""
    if follow.probe.roles.lengths is not None:
        follow.refuse(node, "it takes a step by its place, and the rows have lengths")
    if not (begin if part.flipped else end):
        follow.refuse(node, "it takes a step that is not the last one that was processed")
    try:
        return Part(last(part.term))
    except FormatError as error:
        follow.refuse(node, str(error))


def _whole(follow: Follow, node: Node, value: Seen, name: str, gone: int | None) -> None:
    """All of a value, as it is or with its steps in reverse."""
    pairs = list(zip(follow.arrays(value.name), follow.arrays(name), strict=True))
    if gone is not None:
        if any(letter in "01" for letter in value.axes[gone]):
            follow.refuse(node, "it drops the batch")
        pairs = [(a, np.expand_dims(b, gone)) for a, b in pairs]
    if all(np.array_equal(a, b) for a, b in pairs):
        axes = value.axes if gone is None else place.squeezed(value.axes, [gone])
        follow.give(name, value.parts, axes)
        return
    for axis, letters in enumerate(value.axes):
        if all(np.array_equal(np.flip(a, axis), b) for a, b in pairs):
            if letters == SIDES:
                follow.give(name, value.parts[::-1], value.axes)
                return
            if follow.probe.roles.lengths is None and follow.is_time(letters):
                follow.give(name, _turned(value), value.axes)
                return
    follow.refuse(node, "it puts its input into an order that no layer gives")


def _turned(value: Seen) -> list[Part]:
    return [part._replace(flipped=not part.flipped) for part in value.parts]


def _reverse(follow: Follow, node: Node, call: Call) -> None:
    value = follow.one(node)
    time, batch = value.axes[call["time_axis"]], value.axes[call["batch_axis"]]
    if not follow.is_time(time) or batch not in (("0",), ("1",)):
        follow.refuse(node, "it reverses another axis than time")
    if not follow.whole_rows(follow.part(node, value).term, node.inputs[1]):
        follow.refuse(node, "it reverses other lengths than the rows have")
    follow.give(node.outputs[0], _turned(value), value.axes)


def _where(follow: Follow, node: Node, call: Call) -> None:
    """Zeros at dead steps, which are zero here anyway; and the state of rows without a live one."""
    condition, chosen, other = node.inputs
    if follow.probe.depends(condition) or not follow.probe.depends(chosen) or follow.probe.depends(other):
        follow.refuse(node, "it chooses between values")
    value = follow.settled(node, follow.values[chosen])
    arrays = follow.arrays(condition)
    if follow.is_mask(value, condition):
        term, others = follow.part(node, value).term, follow.arrays(other)
        if all(np.all(array == -np.inf) for array in others if array.dtype.kind == "f") and others[0].dtype.kind == "f":
            filled = Term("layer", term.features, (term,), Mark("filled"))
            follow.give(node.outputs[0], [Part(filled)], value.axes)
            return
        if term.how != "x" and any(np.any(array) for array in others):
            follow.refuse(node, "it puts other numbers than zero behind the rows' ends")
    elif not all(_begun(follow, value.parts[0], run, array) for run, array in enumerate(arrays)):
        follow.refuse(node, "its condition is not which steps live")
    follow.give(node.outputs[0], value.parts, value.axes)


def _begun(follow: Follow, part: Part, run: int, array: Array) -> bool:
    """Whether an array tells which rows have a live step."""
    lengths = follow.lengths(part.term, run)
    return lengths is not None and array.shape == (len(lengths), 1) and np.array_equal(array[:, 0], lengths > 0)


HANDLERS: dict[str, Callable[[Follow, Node, Any], None]] = {
    **dict.fromkeys(("Identity", "Dropout", "Cast", "Expand", "Tile", "Pad"), _same),
    **dict.fromkeys(("Reshape", "Flatten"), _reshape),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), _squeeze),
    **dict.fromkeys(("Slice", "Split"), _slice),
    "Transpose": _transpose,
    "Concat": _concat,
    "Gather": _gather,
    "ReverseSequence": _reverse,
    "Where": _where,
}
