"""Convolution, pooling, batch normalisation and repetition as nodes; the operators take (B, F, T)."""

from collections.abc import Callable
from typing import Any

from gatewright.errors import OptionError
from gatewright.interop.onnx.draft import BATCH, INT32, Attributes, Draft, Place, Port, Value
from gatewright.interop.onnx.write_activations import activated
from gatewright.layers import (
    AveragePooling1D,
    BatchNorm,
    Conv1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Layer,
    MaxPooling1D,
    RepeatVector,
)
from gatewright.layers.sliding import Window

TURNED: Attributes = {"perm": [0, 2, 1]}


def _conv(draft: Draft, layer: Conv1D, place: Place, x: Value) -> Value:
    window, path = layer.window, place.path
    remembers = draft.state and layer.memory > 0
    steps = draft.add("Transpose", [draft.cleaned(x) if window.padding == "same" else x.name], path, TURNED)
    if remembers:
        steps = _remembered(draft, layer, place, steps, x.lengths)
    about = {"kernel_shape": [window.size], "strides": [window.stride], "dilations": [window.dilation], "group": layer.groups}
    about |= {"pads": [0, 0]} if remembers else _padding(layer, window, path, x)
    inputs = [steps, draft.constant(f"{place.name}.W", place.params["W"].transpose(2, 1, 0))]
    inputs += [draft.constant(f"{place.name}.b", place.params["b"])] if layer.bias else []
    y = activated(draft, layer.activation, draft.add("Conv", inputs, path, about), path)
    y = draft.add("Transpose", [y], path, TURNED)
    return Value(y, clean=False, lengths=_lengths(draft, window, x.lengths))


def _padding(layer: Layer, window: Window, path: str, x: Value) -> Attributes:
    """How much the operator adds before and behind a row. Raises OptionError where that differs from row to row."""
    reach = window.reach - 1
    if window.padding == "valid":
        return {"pads": [0, 0]}
    if window.padding == "causal":
        return {"pads": [reach, 0]}
    if window.stride == 1 and isinstance(layer, Conv1D):
        return {"pads": [reach // 2, reach - reach // 2]}
    if x.lengths:
        raise OptionError(f"layer {path}, {layer}: padding='same' with lengths, which each row would need otherwise in ONNX")
    return {"auto_pad": "SAME_UPPER"}


def _lengths(draft: Draft, window: Window, lengths: str) -> str:
    """The steps that rows of these lengths have afterwards."""
    if not lengths or (window.padding != "valid" and window.stride == 1) or window.reach == window.stride == 1:
        return lengths

    def make() -> str:
        long, stride = draft.long(lengths), draft.index(window.stride)
        if window.padding == "valid":  # (n - reach) // stride + 1, or none
            more = draft.add("Add", [long, draft.index(window.stride - window.reach)], "lengths")
            more = draft.add("Max", [more, draft.index(0)], "lengths")
        else:  # ceil(n / stride)
            more = draft.add("Add", [long, draft.index(window.stride - 1)], "lengths")
        return draft.add("Cast", [draft.add("Div", [more, stride], "lengths")], "lengths", {"to": INT32})

    return draft.once(f"{window} {lengths}", make)


def _remembered(draft: Draft, layer: Conv1D, place: Place, steps: str, lengths: str) -> str:
    """The steps (B, F, T) behind those of the state, whose last ones are the state that goes out."""
    name, size = f"{place.path}.x", layer.memory
    dims = (size, BATCH, layer.input_size)
    draft.inputs.append(Port(name, draft.dtype, dims))
    before = draft.add("Transpose", [name], place.path, {"perm": [1, 2, 0]})
    whole = draft.add("Concat", [before, steps], place.path, {"axis": 2})
    if lengths:  # the last live ones
        column = draft.add("Unsqueeze", [draft.long(lengths), draft.ints(1)], place.path)
        places = draft.add("Add", [column, draft.ints(*range(size))], place.path)
        indices = draft.add("Unsqueeze", [places, draft.ints(2)], place.path)
        rows = draft.add("Transpose", [whole], place.path, TURNED)
        last = draft.add("GatherND", [rows, indices], place.path, {"batch_dims": 1})
        after = draft.add("Transpose", [last], place.path, {"perm": [1, 0, 2]})
    else:
        ends = [draft.ints(-size), draft.ints(2**63 - 1), draft.ints(2)]
        after = draft.add("Transpose", [draft.add("Slice", [whole, *ends], place.path)], place.path, {"perm": [2, 0, 1]})
    draft.give(f"{name}_out", after, dims)
    return whole


def _pool(draft: Draft, layer: MaxPooling1D | AveragePooling1D, place: Place, x: Value) -> Value:
    window, op = layer.window, "MaxPool" if isinstance(layer, MaxPooling1D) else "AveragePool"
    about = {"kernel_shape": [window.size], "strides": [window.stride], **_padding(layer, window, place.path, x)}
    y = draft.add(op, [draft.add("Transpose", [x.name], place.path, TURNED)], place.path, about)
    y = draft.add("Transpose", [y], place.path, TURNED)
    return Value(y, clean=False, lengths=_lengths(draft, window, x.lengths))


def _largest(draft: Draft, layer: GlobalMaxPooling1D, place: Place, x: Value) -> Value:
    """Of a row without live steps it is zero."""
    y = _reduced(draft, "ReduceMax", draft.cleaned(x, -float("inf")), place.path, 18)
    if x.lengths:
        y = draft.add("Where", [draft.begun(x.lengths), y, draft.number(0.0)], place.path)
    return Value(y, timed=False)


def _mean(draft: Draft, layer: GlobalAveragePooling1D, place: Place, x: Value) -> Value:
    if not x.lengths:
        return Value(_reduced(draft, "ReduceMean", x.name, place.path, 18), timed=False)
    total = _reduced(draft, "ReduceSum", draft.cleaned(x), place.path, 13)
    column = draft.add("Unsqueeze", [draft.long(x.lengths), draft.ints(1)], place.path)
    number = draft.add("Max", [column, draft.index(1)], place.path)
    number = draft.add("Cast", [number], place.path, {"to": 1 if draft.dtype == "float32" else 11})
    return Value(draft.add("Div", [total, number], place.path), timed=False)


def _reduced(draft: Draft, op: str, x: str, place: str, since: int) -> str:
    """An operator over time (B, T, F) -> (B, F); its axes are an attribute before opset `since`."""
    if draft.opset < since:
        return draft.add(op, [x], place, {"axes": [1], "keepdims": 0})
    return draft.add(op, [x, draft.ints(1)], place, {"keepdims": 0})


def _batch_norm(draft: Draft, layer: BatchNorm, place: Place, x: Value) -> Value:
    constants = [draft.constant(f"{place.name}.{key}", place.params[key]) for key in ("gain", "shift", "mean", "var")]
    y = draft.add("Transpose", [x.name], place.path, TURNED) if x.timed else x.name
    y = draft.add("BatchNormalization", [y, *constants], place.path, {"epsilon": layer.epsilon})
    return x._replace(name=draft.add("Transpose", [y], place.path, TURNED) if x.timed else y, clean=False)


def _repeat(draft: Draft, layer: RepeatVector, place: Place, x: Value) -> Value:
    column = draft.add("Unsqueeze", [x.name, draft.ints(1)], place.path)
    return Value(draft.add("Tile", [column, draft.ints(1, layer.count, 1)], place.path))


WRITERS: dict[type[Layer], Callable[[Draft, Any, Place, Value], Value]] = {
    Conv1D: _conv,
    MaxPooling1D: _pool,
    AveragePooling1D: _pool,
    GlobalMaxPooling1D: _largest,
    GlobalAveragePooling1D: _mean,
    BatchNorm: _batch_norm,
    RepeatVector: _repeat,
}
