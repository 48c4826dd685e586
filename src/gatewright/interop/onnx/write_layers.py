"""Every layer as nodes of an ONNX graph."""

import math
from typing import Any

from gatewright.activations import Activation
from gatewright.errors import OptionError
from gatewright.interop.onnx.draft import Draft, Place, Value
from gatewright.interop.onnx.write_recurrent import bidirectional, recurrent
from gatewright.layers import (
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

PLAIN = {
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "softsign": "Softsign", "softplus": "Softplus", "elu": "Elu",
    "leaky_relu": "LeakyRelu", "thresholded_relu": "ThresholdedRelu", "hard_sigmoid": "HardSigmoid",
}  # fmt: skip


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
    if isinstance(layer, Dropout):
        return x
    if isinstance(layer, Dense):
        return _dense(draft, layer, place, x)
    if isinstance(layer, LayerNorm):
        return _layer_norm(draft, layer, place, x)
    if isinstance(layer, Embedding):
        return _embedding(draft, layer, place, x)
    why = ", whose operators take lengths: a mask may have holes" if isinstance(layer, Masking) else ""
    raise OptionError(f"layer {place.path}, {layer}: it has no counterpart in ONNX{why}")


def _dense(draft: Draft, layer: Dense, place: Place, x: Value) -> Value:
    y = draft.add("MatMul", [x.name, draft.constant(f"{place.name}.W", place.params["W"])], place.path)
    if layer.bias:
        y = draft.add("Add", [y, draft.constant(f"{place.name}.b", place.params["b"])], place.path)
    return Value(_activated(draft, layer.activation, y, place.path), x.timed, clean=False)


def _embedding(draft: Draft, layer: Embedding, place: Place, x: Value) -> Value:
    """Indices at dead steps may be out of range."""
    if layer.mask_zero:
        raise OptionError(
            f"layer {place.path}, {layer}: mask_zero=True makes a mask that may have holes, and ONNX's operators take lengths; "
            "mask_zero=False, and lengths=True, does it for indices that are padded at the end"
        )
    indices = x.name
    if draft.lengths:
        live = draft.add("Squeeze", [draft.once("live"), draft.ints(2)], place.path)
        indices = draft.add("Where", [live, indices, draft.index(0)], place.path)
    y = draft.add("Gather", [draft.constant(f"{place.name}.E", place.params["E"]), indices], place.path)
    return Value(y, clean=False)


def _layer_norm(draft: Draft, layer: LayerNorm, place: Place, x: Value) -> Value:
    """The operator, or in float64 its parts: it finds mean and variance in float32."""
    gain, shift = (draft.constant(f"{place.name}.{name}", place.params[name]) for name in ("gain", "shift"))
    if draft.dtype == "float32":
        about = {"axis": -1, "epsilon": layer.epsilon}
        return Value(draft.add("LayerNormalization", [x.name, gain, shift], place.path, about), x.timed, clean=False)

    def mean(name: str) -> str:
        if draft.opset < 18:
            return draft.add("ReduceMean", [name], place.path, {"axes": [-1]})
        return draft.add("ReduceMean", [name, draft.ints(-1)], place.path)

    def two(op: str, a: str, b: str) -> str:
        return draft.add(op, [a, b], place.path)

    centred = two("Sub", x.name, mean(x.name))
    variance = mean(two("Mul", centred, centred))
    deviation = draft.add("Sqrt", [two("Add", variance, draft.number(layer.epsilon))], place.path)
    return Value(two("Add", two("Mul", two("Div", centred, deviation), gain), shift), x.timed, clean=False)


def _merged(draft: Draft, values: list[Value], how: str, place: str) -> Value:
    """Outputs joined on the last axis, summed, multiplied or averaged."""
    about: dict[str, Any] = {"timed": values[0].timed, "clean": all(value.clean for value in values)}
    names = [value.name for value in values]
    if how == "concat":
        return Value(draft.add("Concat", names, place, {"axis": -1}), **about) if len(names) > 1 else values[0]
    y = names[0]
    for name in names[1:]:
        y = draft.add("Mul" if how == "mul" else "Add", [y, name], place)
    if how == "ave" and len(names) > 1:
        y = draft.add("Div", [y, draft.number(float(len(names)))], place)
    return Value(y, **about)


def _activated(draft: Draft, activation: Activation, x: str, place: str) -> str:
    """activation(x), by an operator of that name or by what it is made of."""
    name, alpha, beta = activation.name, activation.alpha, activation.beta
    if activation.clip is not None:
        x = draft.add("Clip", [x, draft.number(-activation.clip), draft.number(activation.clip)], place)

    def two(op: str, a: str, b: str | float) -> str:
        return draft.add(op, [a, b if isinstance(b, str) else draft.number(b)], place)

    if name == "linear":
        return x
    if name in PLAIN:
        attributes = {key: value for key, value in (("alpha", alpha), ("beta", beta)) if value is not None}
        return draft.add(PLAIN[name], [x], place, attributes)
    if name == "softmax":
        return draft.add("Softmax", [x], place, {"axis": -1})
    if name == "silu":
        return two("Mul", x, draft.add("Sigmoid", [x], place))
    if name == "gelu":  # x (1 + erf(x / sqrt(2))) / 2
        both = two("Add", draft.add("Erf", [two("Mul", x, math.sqrt(0.5))], place), 1.0)
        return two("Mul", two("Mul", x, both), 0.5)
    if name == "scaled_tanh" and alpha is not None and beta is not None:
        return two("Mul", draft.add("Tanh", [two("Mul", x, beta)], place), alpha)
    if name == "affine" and alpha is not None and beta is not None:
        return two("Add", two("Mul", x, alpha), beta)
    raise OptionError(f"layer {place}: the activation {activation} has no counterpart in ONNX")
