"""RNN, LSTM, GRU and Bidirectional as nodes of ONNX's recurrent operators, one a layer of a stack.

They take x (T, B, F), W (D, kH, F), R (D, kH, H) and B (D, 2kH), with D directions and k gates, and give Y (T, D, B, H)
and the last states (D, B, H).
"""

from functools import partial
from typing import Any

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import OptionError
from gatewright.interop import gates
from gatewright.interop.onnx.draft import BATCH, Attributes, Draft, Place, Port, Value
from gatewright.layers import GRU, LSTM, RNN, Bidirectional, Recurrent

KINDS: dict[type, tuple[str, str, str]] = {  # operator, its order of the gates and ours
    RNN: ("RNN", "n", "n"),
    LSTM: ("LSTM", "iofg", "ifgo"),
    GRU: ("GRU", "zrn", "zrn"),
}
ACTIVATIONS = {  # of the operators, with the number of constants that they take
    "tanh": ("Tanh", 0), "sigmoid": ("Sigmoid", 0), "relu": ("Relu", 0), "softsign": ("Softsign", 0),
    "softplus": ("Softplus", 0), "elu": ("Elu", 1), "leaky_relu": ("LeakyRelu", 1), "thresholded_relu": ("ThresholdedRelu", 1),
    "hard_sigmoid": ("HardSigmoid", 2), "scaled_tanh": ("ScaledTanh", 2), "affine": ("Affine", 2),
}  # fmt: skip


def recurrent(draft: Draft, layer: Recurrent, place: Place, x: Value, direction: str = "") -> Value:
    """The nodes of a stack; `direction` "reverse" for one that runs from the end and gives its outputs aligned with x."""
    attributes, ways = _attributes(layer, place.path, x.lengths), len(layer.directions)
    plain = "bidirectional" if ways > 1 else "reverse" if layer.go_backwards else "forward"
    attributes |= {"direction": direction or plain}
    line = draft.add("Transpose", [x.name], place.path, {"perm": [1, 0, 2]})
    first = _initial(draft, layer, place)
    finals: list[list[str]] = []
    for k in range(layer.num_layers):
        inside = place if layer.num_layers == 1 else place._replace(name=f"{place.name}.layer{k}")
        weights = _weights(draft, layer, place, range(k * ways, (k + 1) * ways), inside.name)
        h, *c = (parts[k] for parts in first)
        inputs = [line, *weights[:3], x.lengths, h, *c, *weights[3:]]
        last = k == layer.num_layers - 1
        wanted = (
            "Y" if layer.return_sequences or not last else "",
            "Y_h" if draft.state or (last and not layer.return_sequences) else "",
            "Y_c" if draft.state and c else "",
        )
        outputs = draft.add_many(KINDS[type(layer)][0], inputs, place.path, attributes, wanted)
        outputs = [*outputs, *[""] * (3 - len(outputs))]
        line = _joined(draft, outputs[0], 1, layer, place.path) if outputs[0] else ""
        finals.append([_kept(draft, out, given, x.lengths) for out, given in zip(outputs[1:], (h, *c), strict=False)])
    if draft.state:
        _give_states(draft, layer, place, finals)
    if not layer.return_sequences:
        return Value(_joined(draft, finals[-1][0], 0, layer, place.path), timed=False)
    if layer.go_backwards:
        line = _reversed(draft, line, place.path, x.lengths)
    return Value(draft.add("Transpose", [line], place.path, {"perm": [1, 0, 2]}), lengths=x.lengths)


def bidirectional(draft: Draft, layer: Bidirectional, place: Place, x: Value) -> list[Value]:
    """The outputs of both layers, aligned with x; merging them is left."""
    forward = recurrent(draft, layer.layer, place.inside("forward"), x)
    return [forward, recurrent(draft, layer.backward_layer, place.inside("backward"), x, "reverse")]


def _attributes(layer: Recurrent, place: str, lengths: str) -> Attributes:
    """What the operator is told of the layer's options. Raises OptionError for what it can't be told."""
    _possible(layer, place, lengths)
    used = [list(_activations(layer, options)) for options in (way.options for way in layer.ways)]
    flat = [activation for each in used for activation in each]
    for activation in flat:
        if activation.name not in (*ACTIVATIONS, "linear"):
            raise OptionError(f"layer {place}, {layer}: ONNX's operators have no activation {activation.name!r}")
    clips = {activation.clip for activation in flat}
    if len(clips) > 1:
        raise OptionError(f"layer {place}, {layer}: ONNX clips what goes into every activation alike, or into none")
    attributes: Attributes = {"hidden_size": layer.hidden_size}
    attributes |= {} if clips == {None} else {"clip": clips.pop()}
    attributes |= {"linear_before_reset": int(layer.reset_after)} if isinstance(layer, GRU) else {}
    attributes |= {"input_forget": 1} if isinstance(layer, LSTM) and layer.coupled else {}
    default = {RNN: ["tanh"], GRU: ["sigmoid", "tanh"], LSTM: ["sigmoid", "tanh", "tanh"]}[type(layer)] * len(used)
    return attributes if [a.name for a in flat] == default else attributes | _constants(flat)


def _possible(layer: Recurrent, place: str, lengths: str) -> None:
    """Raises OptionError for options that the operators don't have."""
    why = ""
    if isinstance(layer, LSTM) and layer.projection is not None:
        why = f"projection={layer.projection}, and ONNX's LSTM has none"
    elif layer.return_state_sequence:
        why = "return_state_sequence=True, and ONNX's operators give the last cell state alone"
    elif layer.masked_output == "repeat" and lengths:
        why = "masked_output='repeat' with lengths, and ONNX's operators give zero after a row's end"
    if why:
        raise OptionError(f"layer {place}, {layer}: {why}")


def _activations(layer: Recurrent, options: Any) -> list[Activation]:
    """The activations of a direction in the operator's order: f g h of an LSTM, f g of a GRU, f of an RNN."""
    if isinstance(layer, RNN):
        return [options.activation]
    pair = [options.recurrent_activation, options.activation]
    return [*pair, getattr(options, "cell_activation", options.activation)] if isinstance(layer, LSTM) else pair


def _constants(activations: list[Activation]) -> Attributes:
    """The attributes for activations that are not the operator's own; constants stand for those alone that take some."""
    known = [Activation("affine", 1.0, 0.0) if each.name == "linear" else each for each in activations]
    counts = [ACTIVATIONS[each.name][1] for each in known]
    alpha = [each.alpha for each, count in zip(known, counts, strict=True) if count]
    beta = [each.beta for each, count in zip(known, counts, strict=True) if count > 1]
    attributes: Attributes = {"activations": [ACTIVATIONS[each.name][0] for each in known]}
    return attributes | ({"activation_alpha": alpha} if alpha else {}) | ({"activation_beta": beta} if beta else {})


def _weights(draft: Draft, layer: Recurrent, place: Place, ways: range, name: str) -> list[str]:
    """The constants W, R, B and, with peepholes, P of one layer of the stack; "" for the B of a layer without bias."""
    _, theirs, ours = KINDS[type(layer)]
    coupled = isinstance(layer, LSTM) and layer.coupled

    def arranged(array: Array, before: str, after: str) -> Array:
        """Gates in the operator's order; a coupled forget gate, which it does not read, has weights of zero."""
        if coupled:
            start = array.shape[-1] // (len(before) - 1)
            array = np.concatenate([array[..., :start], np.zeros_like(array[..., :start]), array[..., start:]], axis=-1)
        return gates.reorder(array, before, after)

    found: dict[str, list[Array]] = {"W": [], "R": [], "B": [], "P": []}
    for index in ways:
        scope = place.params.scope(layer.prefixes[index]) if layer.prefixes[index] else place.params
        found["W"].append(arranged(scope["W"], ours, theirs).T)
        found["R"].append(arranged(scope["U"], ours, theirs).T)
        if layer.bias:
            both = gates.split(scope["b"], scope["bn"] if "bn" in scope else None)
            found["B"].append(np.concatenate([arranged(b, ours, theirs) for b in both]))
        if "P" in scope:
            found["P"].append(arranged(scope["P"], "ifo", "iof"))
    names = [draft.constant(f"{name}.{key}", np.stack(parts)) if parts else "" for key, parts in found.items()]
    return names if names[3] else names[:3]


def _initial(draft: Draft, layer: Recurrent, place: Place) -> list[list[str]]:
    """For h, and c of an LSTM, the names of every layer's initial state (D, B, H); "" where it is zero."""
    ways, depth = len(layer.directions), layer.num_layers
    found = []
    for key, size in layer.sizes._asdict().items():
        if draft.state:
            whole = f"{place.path}.{key}"
            draft.inputs.append(Port(whole, draft.dtype, (ways * depth, BATCH, size)))
            cuts = [(k * ways, (k + 1) * ways) for k in range(depth)]
            cut = partial(draft.add, "Slice", place=place.path)
            found.append([cut([whole, draft.ints(a), draft.ints(b), draft.ints(0)]) for a, b in cuts] if depth > 1 else [whole])
        elif layer.learn_initial_state:
            scopes = [place.params.scope(prefix) if prefix else place.params for prefix in layer.prefixes]
            names = [f"{place.name}.layer{k}" if depth > 1 else place.name for k in range(depth)]
            parts = [np.stack([scope[f"{key}0"][None] for scope in scopes[k * ways : (k + 1) * ways]]) for k in range(depth)]
            shape = draft.add("Concat", [draft.ints(1), draft.rows(), draft.ints(1)], place.path, {"axis": 0})
            learned = [draft.constant(f"{name}.{key}0", part) for name, part in zip(names, parts, strict=True)]
            found.append([draft.add("Expand", [name, shape], place.path) for name in learned])
        else:
            found.append([""] * depth)
    return found


def _kept(draft: Draft, final: str, initial: str, lengths: str) -> str:
    """The last state; that of a row of length 0, of which the operator does not tell, is the initial one."""
    if not (final and initial and lengths):
        return final
    return draft.add("Where", [draft.begun(lengths), final, initial], "lengths")


def _give_states(draft: Draft, layer: Recurrent, place: Place, finals: list[list[str]]) -> None:
    """Every part of the state as an output, all layers in one."""
    for (key, size), parts in zip(layer.sizes._asdict().items(), zip(*finals, strict=True), strict=True):
        whole = draft.add("Concat", list(parts), place.path, {"axis": 0}) if len(parts) > 1 else parts[0]
        draft.give(f"{place.path}.{key}_out", whole, (len(layer.prefixes), BATCH, size))


def _joined(draft: Draft, y: str, axis: int, layer: Recurrent, place: str) -> str:
    """(T, B, D H) of Y (T, D, B, H), or (B, D H) of Y_h (D, B, H): the directions, on that axis, side by side."""
    ways = len(layer.directions)
    if ways == 1:
        return draft.add("Squeeze", [y, draft.ints(axis)], place)
    perm = [0, 2, 1, 3] if axis else [1, 0, 2]
    shape = draft.ints(*[0] * (axis + 1), ways * layer.hidden_size)  # 0: as it is
    return draft.add("Reshape", [draft.add("Transpose", [y], place, {"perm": perm}), shape], place)


def _reversed(draft: Draft, y: str, place: str, lengths: str) -> str:
    """y (T, B, H) in the order of processing."""
    if lengths:
        return draft.add("ReverseSequence", [y, draft.long(lengths)], place, {"time_axis": 0, "batch_axis": 1})
    ends = [draft.ints(-1), draft.ints(-(2**63) + 1), draft.ints(0), draft.ints(-1)]
    return draft.add("Slice", [y, *ends], place)
