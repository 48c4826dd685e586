"""What each operator of an ONNX graph means where the graph is a chain of layers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.interop.onnx import arrange, pointwise, recurrent_layers, sliding_layers
from gatewright.interop.onnx.axes import FEATURES
from gatewright.interop.onnx.calls import Call
from gatewright.interop.onnx.follow import Follow, Part, Seen
from gatewright.interop.onnx.graph import Node
from gatewright.interop.onnx.terms import Item, Term
from gatewright.layers import Dense, LayerNorm


def read(follow: Follow, node: Node) -> None:
    """What a node gives, where that depends on the input."""
    call = follow.probe.calls[node.number]
    handler = HANDLERS.get(node.op)
    if handler is None:
        follow.refuse(node, "no layer does that")
    if not follow.again(node, call):
        handler(follow, node, call)


# --- products


def _matmul(follow: Follow, node: Node, call: Call) -> None:
    value, W = follow.one(node), follow.constant(node, 1)
    assert W is not None
    if W.ndim != 2:
        follow.refuse(node, f"it multiplies by an array of shape {W.shape}")
    _dense(follow, node, value, W, None)


def _gemm(follow: Follow, node: Node, call: Call) -> None:
    value, W, b = follow.one(node), follow.constant(node, 1), follow.constant(node, 2)
    assert W is not None
    if call["transA"] or len(value.axes) != 2:
        follow.refuse(node, "it multiplies what is transposed")
    W = W.T if call["transB"] else W
    W = W if call["alpha"] == 1 else W * W.dtype.type(call["alpha"])
    if b is not None:
        b = b if call["beta"] == 1 else b * b.dtype.type(call["beta"])
    _dense(follow, node, value, W, b)


def _dense(follow: Follow, node: Node, value: Seen, W: Array, b: Array | None) -> None:
    if value.axes[-1] != FEATURES:
        follow.refuse(node, "it multiplies along another axis than that of the features")
    size, outputs = W.shape
    arrays = {"W": W}
    if b is not None:
        vector = _vector(b, outputs)
        if vector is None:
            follow.refuse(node, f"it adds an array of shape {b.shape}")
        arrays["b"] = vector
    item = Item(Dense(size, outputs, bias=b is not None), arrays, follow.origin(node, 1))
    follow.layer(node, value, item, outputs)


def _vector(array: Array, size: int) -> Array | None:
    """A constant (size,), which may have more axes or be one number; None where it is another."""
    if array.size == 1:
        return np.full(size, array.reshape(-1)[0])
    return array.reshape(-1) if array.shape[-1] == array.size == size else None


def _points(follow: Follow, node: Node, call: Call) -> None:
    """Arithmetic and activations: a mask, the bias of a Dense layer, or what `pointwise` finds them to be."""
    if node.op == "ReduceMean" and sliding_layers.reduce(follow, node, call):
        return
    if (node.op == "Mul" and _masked(follow, node)) or (node.op == "Div" and sliding_layers.divide(follow, node)):
        return
    shapes = [[array.shape for array in follow.arrays(name)] for name in (node.outputs[0], follow.dependent(node)[0].name)]
    means = node.op == "ReduceMean" and all(out == (*shape[:-1], 1) for out, shape in zip(*shapes, strict=True))
    if not means and (node.op == "ReduceMean" or shapes[0] != shapes[1]):
        follow.refuse(node, "it changes the shape as no layer does")
    if any(value.axes[-1] != FEATURES for value in follow.dependent(node)) and (means or node.op in ("Softmax", "LogSoftmax")):
        follow.refuse(node, "it acts along another axis than that of the features")
    if not (node.op == "Add" and _bias(follow, node)):
        follow.points(node)


def _masked(follow: Follow, node: Node) -> bool:
    """Whether a value is multiplied by one at live steps and zero elsewhere, as here all outputs are."""
    others = [name for name in node.inputs if not follow.probe.depends(name)]
    if len(others) != 1 or not follow.probe.sources[others[0]]:
        return False
    value = follow.settled(node, *follow.dependent(node))
    if not follow.is_mask(value, others[0]):
        follow.refuse(node, "it multiplies by what is no mask of the live steps")
    follow.give(node.outputs[0], value.parts, value.axes)
    return True


def _bias(follow: Follow, node: Node) -> bool:
    """Whether a vector is added to what a Dense layer without one gives."""
    values = follow.dependent(node)
    if len(values) != 1 or values[0].points is not None or values[0].axes[-1] != FEATURES or len(values[0].parts) != 1:
        return False
    (part,) = values[0].parts
    item = part.term.item
    if not isinstance(item, Item) or not isinstance(item.layer, Dense) or item.layer.bias:
        return False
    index = next(k for k, name in enumerate(node.inputs) if not follow.probe.depends(name))
    array = follow.constant(node, index)
    assert array is not None
    vector = _vector(array, part.term.features)
    if vector is None:
        return False
    item = Item(item.layer.replace(bias=True), {**item.arrays, "b": vector}, item.origin)
    term = Term("layer", part.term.features, part.term.inputs, item)
    follow.give(node.outputs[0], [Part(term, part.flipped)], values[0].axes)
    return True


def _merge(follow: Follow, node: Node, call: Call) -> None:
    """Sum and Mean."""
    values = [follow.settled(node, value) for value in follow.dependent(node)]
    if len(values) < len(node.inputs):
        follow.refuse(node, "it adds constants")
    merged = follow.merged(node, values, "sum")
    if node.op == "Mean" and len(values) > 1:
        (part,) = merged.parts
        mean = Activation("affine", 1 / len(values), 0.0)
        merged = merged._replace(parts=(Part(Term("layer", part.term.features, (part.term,), mean), part.flipped),))
    follow.values[node.outputs[0]] = merged


def _norm(follow: Follow, node: Node, call: Call) -> None:
    value, gain, shift = follow.one(node), follow.constant(node, 1), follow.constant(node, 2)
    assert gain is not None
    size = value.parts[0].term.features
    if value.axes[-1] != FEATURES or call["axis"] not in (-1, len(value.axes) - 1) or len(node.outputs) > 1:
        follow.refuse(node, "it normalises along other axes than that of the features, or gives more than that")
    arrays = {"gain": _vector(gain, size), "shift": np.zeros(size) if shift is None else _vector(shift, size)}
    found = {name: array for name, array in arrays.items() if array is not None}
    if len(found) < 2:
        follow.refuse(node, f"it scales by arrays of shape {gain.shape}")
    layer = LayerNorm(size, epsilon=pointwise.nice(call["epsilon"], 1e-5))
    follow.layer(node, value, Item(layer, found), size)


NAMED: dict[str, Callable[[Follow, Node, Any], None]] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Sum": _merge,
    "Mean": _merge,
    "LayerNormalization": _norm,
    **dict.fromkeys(("RNN", "GRU", "LSTM"), recurrent_layers.read),
}
HANDLERS = dict.fromkeys(pointwise.OPERATORS, _points) | sliding_layers.HANDLERS | arrange.HANDLERS | NAMED
