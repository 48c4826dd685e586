"""A recurrent operator of ONNX -> one layer a direction, which runs the way that its input stands."""

from dataclasses import replace

import numpy as np

from gatewright.activations import FORMULAS, Activation
from gatewright.arrays import Array
from gatewright.interop.onnx import pointwise, recurrent
from gatewright.interop.onnx.axes import FEATURES, SIDES, Axes, Axis
from gatewright.interop.onnx.calls import Call
from gatewright.interop.onnx.follow import Follow, Part
from gatewright.interop.onnx.graph import Node
from gatewright.interop.onnx.terms import Item, Term
from gatewright.layers import Recurrent
from gatewright.layers.stack import ACTIVATIONS

INITIAL = {"h0": 5, "c0": 6}  # where the operator's inputs are


def read(follow: Follow, node: Node, call: Call) -> None:
    """Y, Y_h and Y_c of a node."""
    if any(follow.probe.depends(name) for name in node.inputs[1:]):
        follow.refuse(node, "its weights, lengths or initial states depend on the input")
    value = follow.one(node)
    part, batch_first = follow.part(node, value), bool(call.attributes.get("layout", 0))
    batch, time = (0, 1) if batch_first else (1, 0)
    if len(value.axes) != 3 or value.axes[2] != FEATURES or not _is_batch(value.axes[batch]):
        follow.refuse(node, "its input is not (time, batch, features)")
    if not follow.is_time(value.axes[time]):
        follow.refuse(node, "its time is another axis of the input than other nodes'")
    _lengths(follow, node, part.term)
    weights = [follow.constant(node, index) for index in (1, 2, 3, 7)]
    whole = recurrent.cell(call, *weights)
    learned = _initial(follow, node, batch_first)
    ways = [_direction(whole.layer, d) for d in range(len(whole.layer.directions))]
    parts = []
    for d, (layer, prefix) in enumerate(zip(ways, whole.layer.prefixes, strict=True)):
        arrays = dict((whole.params.scope(prefix) if prefix else whole.params).items())
        reverse = bool(d) or whole.layer.go_backwards
        layer = layer.replace(go_backwards=reverse != part.flipped, learn_initial_state=bool(learned))
        arrays |= {name: array[d] for name, array in learned.items()}
        item = Item(layer, arrays, follow.origin(node, 1, 2) | {f"direction {d}"})
        parts.append(Part(Term("layer", layer.hidden_size, (part.term,), item), reverse))
    _give(follow, node, parts, value.axes, batch_first)


def _is_batch(axis: Axis) -> bool:
    return axis in (("0",), ("1",))


def _give(follow: Follow, node: Node, parts: list[Part], axes: Axes, batch_first: bool) -> None:
    """The outputs: each direction's h of every step, its last h, and the last c."""
    sides: Axis = SIDES if len(parts) > 1 else ()
    B, T = (axes[0], axes[1]) if batch_first else (axes[1], axes[0])
    y: Axes = (B, T, sides, FEATURES) if batch_first else (T, sides, B, FEATURES)
    last: Axes = (B, sides, FEATURES) if batch_first else (sides, B, FEATURES)
    names = [*node.outputs, "", ""]
    if names[0]:
        follow.give(names[0], parts, y)
    if names[1]:
        follow.give(names[1], [Part(_alone(part.term)) for part in parts], last)
    if names[2]:
        follow.give(names[2], [Part(Term("cell", part.term.features, (part.term,))) for part in parts], last)


def _alone(term: Term) -> Term:
    """The last output alone."""
    assert isinstance(term.item, Item)
    item = term.item._replace(layer=term.item.layer.replace(return_sequences=False))
    return Term("layer", term.features, term.inputs, item)


def _lengths(follow: Follow, node: Node, term: Term) -> None:
    """Refuses a node that reads other lengths than those of the rows."""
    name = node.inputs[4] if len(node.inputs) > 4 else ""
    if not name and follow.lengths(term, 0) is not None:
        follow.refuse(node, "it reads no lengths, and the rows have some")
    if name and not follow.whole_rows(term, name):
        follow.refuse(node, "it reads other lengths than the rows have")


def _initial(follow: Follow, node: Node, batch_first: bool) -> dict[str, Array]:
    """h0 and c0, (D, H), where the initial states are constants other than zero; nothing where they are zero, or inputs."""
    found: dict[str, Array] = {}
    for name, index in INITIAL.items():
        given = node.inputs[index] if index < len(node.inputs) else ""
        if not given or follow.probe.sources[given] & set(follow.probe.roles.states):
            continue
        rows = [array if batch_first else array.swapaxes(0, 1) for array in follow.arrays(given)]  # (B, D, H)
        first = rows[0][:1]
        if any(not np.array_equal(array, np.broadcast_to(first, array.shape)) for array in rows):
            follow.refuse(node, f"its initial_{name[0]} differs from row to row")
        found[name] = first[0]
    if not any(np.any(array) for array in found.values()):
        return {}
    missing = [name for name in ("h0", *(("c0",) if node.op == "LSTM" else ())) if name not in found]
    like = next(iter(found.values()))
    return {name: found.get(name, np.zeros_like(like)) for name in sorted([*found, *missing], reverse=True)}


def _direction(layer: Recurrent, d: int) -> Recurrent:
    """One direction, its constants as they were meant and its clip, where all activations have the same, as the layer's."""
    both = {name: getattr(layer, name, None) for name in ACTIVATIONS}
    found = {name: _meant(each[d] if isinstance(each, tuple) else each) for name, each in both.items() if each is not None}
    clips = {activation.clip for activation in found.values()}
    clip = clips.pop() if len(clips) == 1 else None
    if clip is not None:
        found = {name: replace(activation, clip=None) for name, activation in found.items()}
    return layer.replace(bidirectional=False, go_backwards=False, clip=clip, **found)


def _meant(activation: Activation) -> Activation:
    """The activation with constants that are short in decimals: in the file they are float32."""
    formula = FORMULAS[activation.name]
    said = ((activation.alpha, formula.alpha), (activation.beta, formula.beta), (activation.clip, None))
    return Activation(activation.name, *(None if v is None else pointwise.nice(v, default) for v, default in said))
