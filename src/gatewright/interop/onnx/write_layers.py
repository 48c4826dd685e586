"""Every layer as nodes of an ONNX graph."""

from collections.abc import Callable
from typing import Any

from gatewright.errors import OptionError
from gatewright.interop.onnx import write_sliding
from gatewright.interop.onnx.draft import Draft, Place, Value
from gatewright.interop.onnx.write_activations import activated
from gatewright.interop.onnx.write_recurrent import bidirectional, recurrent
from gatewright.layers import (
    Activate,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    Masking,
    Parallel,
    Recurrent,
    Residual,
    Sequential,
    Shared,
)


def write(draft: Draft, layer: Layer, place: Place, x: Value) -> Value:
    """The nodes of a layer that reads x, and what they give. Raises OptionError for what ONNX can't say."""
    if isinstance(layer, Recurrent):
        return recurrent(draft, layer, place, x)
    if isinstance(layer, Bidirectional):
        return _merged(draft, bidirectional(draft, layer, place, x), layer.merge, place.path)
    if isinstance(layer, Sequential):
        for key, inner in layer.children.items():
            x = write(draft, inner, place.inside(key), x)
        return x
    if isinstance(layer, Parallel):
        outputs = [write(draft, inner, place.inside(key), x) for key, inner in layer.children.items()]
        return _merged(draft, outputs, layer.merge, place.path)
    if isinstance(layer, Residual | Shared):
        ((key, inner),) = layer.children.items()
        y = write(draft, inner, place.inside(key), x)
        return _merged(draft, [x, y], "sum", place.path) if isinstance(layer, Residual) else y
    for kind, writer in WRITERS.items():
        if isinstance(layer, kind):
            return writer(draft, layer, place, x)
    why = ", whose operators take lengths: a mask may have holes" if isinstance(layer, Masking) else ""
    raise OptionError(f"layer {place.path}, {layer}: it has no counterpart in ONNX{why}")


def _dense(draft: Draft, layer: Dense, place: Place, x: Value) -> Value:
    y = draft.add("MatMul", [x.name, draft.constant(f"{place.name}.W", place.params["W"])], place.path)
    if layer.bias:
        y = draft.add("Add", [y, draft.constant(f"{place.name}.b", place.params["b"])], place.path)
    return x._replace(name=activated(draft, layer.activation, y, place.path), clean=False)


def _activate(draft: Draft, layer: Activate, place: Place, x: Value) -> Value:
    y = activated(draft, layer.activation, x.name, place.path)
    return x._replace(name=y, clean=x.clean and y == x.name)


def _dropout(draft: Draft, layer: Dropout, place: Place, x: Value) -> Value:
    """Training's alone."""
    return x


def _embedding(draft: Draft, layer: Embedding, place: Place, x: Value) -> Value:
    """Indices at dead steps may be out of range."""
    if layer.mask_zero:
        raise OptionError(
            f"layer {place.path}, {layer}: mask_zero=True makes a mask that may have holes, and ONNX's operators take lengths; "
            "mask_zero=False, and lengths=True, does it for indices that are padded at the end"
        )
    indices = x.name
    if x.lengths:
        live = draft.add("Squeeze", [draft.live(x), draft.ints(2)], place.path)
        indices = draft.add("Where", [live, indices, draft.index(0)], place.path)
    y = draft.add("Gather", [draft.constant(f"{place.name}.E", place.params["E"]), indices], place.path)
    return x._replace(name=y, clean=False)


def _layer_norm(draft: Draft, layer: LayerNorm, place: Place, x: Value) -> Value:
    """The operator, or in float64 its parts: it finds mean and variance in float32."""
    gain, shift = (draft.constant(f"{place.name}.{name}", place.params[name]) for name in ("gain", "shift"))
    if draft.dtype == "float32":
        about = {"axis": -1, "epsilon": layer.epsilon}
        return x._replace(name=draft.add("LayerNormalization", [x.name, gain, shift], place.path, about), clean=False)

    def mean(name: str) -> str:
        if draft.opset < 18:
            return draft.add("ReduceMean", [name], place.path, {"axes": [-1]})
        return draft.add("ReduceMean", [name, draft.ints(-1)], place.path)

    def two(op: str, a: str, b: str) -> str:
        return draft.add(op, [a, b], place.path)

    centred = two("Sub", x.name, mean(x.name))
    variance = mean(two("Mul", centred, centred))
    deviation = draft.add("Sqrt", [two("Add", variance, draft.number(layer.epsilon))], place.path)
    return x._replace(name=two("Add", two("Mul", two("Div", centred, deviation), gain), shift), clean=False)


def _merged(draft: Draft, values: list[Value], how: str, place: str) -> Value:
    """Outputs joined on the last axis, summed, multiplied or averaged."""
    if len({value.lengths for value in values}) > 1:
        raise OptionError(f"layer {place}: with lengths, its branches have rows of different ones")
    names, merged = [value.name for value in values], values[0]._replace(clean=all(value.clean for value in values))
    if how == "concat" and len(names) > 1:
        return merged._replace(name=draft.add("Concat", names, place, {"axis": -1}))
    y = names[0]
    for name in names[1:]:
        y = draft.add("Mul" if how == "mul" else "Add", [y, name], place)
    if how == "ave" and len(names) > 1:
        y = draft.add("Div", [y, draft.number(float(len(names)))], place)
    return merged._replace(name=y)


WRITERS: dict[type[Layer], Callable[[Draft, Any, Place, Value], Value]] = {
    Dropout: _dropout,
    Activate: _activate,
    Dense: _dense,
    LayerNorm: _layer_norm,
    Embedding: _embedding,
    **write_sliding.WRITERS,
}
