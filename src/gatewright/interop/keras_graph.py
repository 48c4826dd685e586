"""The layers of a Keras model's configuration, and in which order they are called on what: a Sequential, or a graph of layers.

Models in a model are taken apart: what is left are calls of single layers, from the one input to the one output.
"""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple, TypeAlias

from gatewright.errors import FormatError
from gatewright.interop import tensors

Place: TypeAlias = tuple[int, ...]  # a layer's index in the list of layers; in a model in a model, after that one's
Tensor: TypeAlias = tuple[int, int]  # a call, and which of its outputs
Ref: TypeAlias = tuple[str, int, int]  # the same in a file: a layer's name, which of its calls, which of the outputs
Mask: TypeAlias = frozenset[Any]  # the steps where one of these differ: (the tensor, from which number)

INPUT: Tensor = (-1, 0)
MODELS = ("Sequential", "Functional", "Model")
SUMS = ("Add", "Multiply")  # what x + y and x * y write in a graph
OPERATIONS = (*SUMS, "NotEqual", "Any", "ZerosLike", "OnesLike", "ExpandDims", "LogicalOr", "Concatenate")
DEPTH, CALLS, SIZE = 20, 2000, 20_000  # models in each other, calls of layers, and layers with those of every call of a model


class Call(NamedTuple):
    """One call of a layer."""

    place: Place  # of the layer
    layer: dict[str, Any]  # its class_name and config
    inputs: tuple[Tensor, ...]
    mask: Mask | None  # what the file says of its mask, if anything

    @property
    def kind(self) -> str:
        """The layer's class."""
        return str(self.layer["class_name"])


class Graph(NamedTuple):
    """Calls in an order in which they can be made."""

    calls: list[Call]
    output: Tensor
    shape: list[Any] | None  # of the input, the batch counted, if the file says it


def entry(value: Any) -> tuple[str, dict[str, Any]]:
    """(class, configuration) of a layer of Keras'. Raises FormatError for anything else."""
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str) or not isinstance(value.get("config"), dict):
        raise FormatError("the description of a layer can't be read")
    name, module = value["class_name"], value.get("module")
    if not name.isidentifier() or len(name) > 60:
        raise FormatError(f"{name[:60]!r} is no name of a layer")
    own = module is None or (isinstance(module, str) and module.partition(".")[0] == "keras")
    if not own or value.get("registered_name") not in (None, name):
        raise FormatError(f"{name} is no layer of Keras' own: such a layer is not supported")
    return name, value["config"]


def entries(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of a model in the order of the file, each with class_name and config, which has a name."""
    kind, inner = config.get("class_name"), config.get("config")
    if kind not in MODELS:
        raise FormatError(f"got a model of class {str(kind)[:60]!r}, wanted Sequential or Functional")
    found = inner.get("layers") if isinstance(inner, dict) else inner if kind == "Sequential" else None
    if not isinstance(found, list):
        raise FormatError("the list of layers can't be read")
    for index, layer in enumerate(found):
        name, about = entry(layer)
        if not isinstance(about.get("name"), str):
            raise FormatError(f"layer {index}, {name[:60]}: it has no name")
    if len({layer["config"]["name"] for layer in found}) < len(found):
        raise FormatError("two layers have one name")
    return found


def is_operation(layer: dict[str, Any]) -> bool:
    """Whether this is a function on tensors, which Keras 3 lists among the layers: in .h5 files without saying so."""
    if layer.get("module") is not None:
        return ".ops." in str(layer["module"])
    return layer["class_name"] in OPERATIONS and "trainable" not in layer["config"]


def is_frozen(model: dict[str, Any]) -> bool:
    """Whether a model says that nothing in it is trained."""
    return isinstance(model["config"], dict) and model["config"].get("trainable") is False


def called(layer: dict[str, Any]) -> str:
    """A layer in a message: its class and its name."""
    name = repr(layer["config"].get("name"))
    return f"{layer['class_name']} {name if len(name) < 60 else f'{name[:60]}…'}"


def at(layers: list[dict[str, Any]], place: Place) -> str:
    """The layer in a place, for a message."""
    layer = layers[place[0]]
    return called(layer) if len(place) == 1 else at(entries(layer), place[1:])


def graph(config: dict[str, Any]) -> Graph:
    """The calls of all layers. Raises FormatError for what is no graph from one input to one output."""
    reader = _Reader()
    output = reader.model(config, (), INPUT, None, False)
    about: dict[str, Any] = next((layer["config"] for layer in entries(config)), {})
    shape = about.get("batch_shape", about.get("batch_input_shape"))
    return Graph(reader.calls, output, shape if isinstance(shape, list) else None)


class _Reader:
    """Collects the calls of a model and of the models in it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.size = 0

    def model(self, model: dict[str, Any], place: Place, source: Tensor, mask: Mask | None, frozen: bool) -> Tensor:
        """The output of a model that is called on `source`, whose mask its first layer has to have."""
        layers, frozen = entries(model), frozen or is_frozen(model)
        self.size += len(layers)
        if len(place) > DEPTH or self.size > SIZE:
            raise FormatError(f"more than {DEPTH} models in each other, or {SIZE} layers")
        if model["class_name"] == "Sequential":
            for index, layer in enumerate(layers):
                source = self.call((*place, index), layer, (source,), None if index else mask, frozen)
            return source
        return self.functional(model, place, source, mask, frozen)

    def call(self, place: Place, layer: dict[str, Any], inputs: tuple[Tensor, ...], mask: Mask | None, frozen: bool) -> Tensor:
        """The first output of one call."""
        if len(self.calls) >= CALLS:
            raise FormatError(f"more than {CALLS} calls of layers")
        if layer["class_name"] in MODELS:
            if len(inputs) != 1:
                raise FormatError(f"{called(layer)} is called on {len(inputs)} tensors: a model with one input is supported")
            return self.model(layer, place, inputs[0], mask, frozen)
        if frozen:
            layer = {**layer, "config": {**layer["config"], "trainable": False}}
        self.calls.append(Call(place, layer, inputs, mask))
        return len(self.calls) - 1, 0

    def functional(self, model: dict[str, Any], place: Place, source: Tensor, given: Mask | None, frozen: bool) -> Tensor:
        """The same of a graph."""
        layers = entries(model)
        indices = {layer["config"]["name"]: index for index, layer in enumerate(layers)}
        start, end = (_end(model, key) for key in ("input_layers", "output_layers"))
        nodes = {(name, number): node for name, index in indices.items() for number, node in enumerate(_nodes(layers[index]))}
        made: dict[tuple[str, int], Tensor] = {}
        masks: dict[str, Any] = {}
        for key in _in_order(nodes, start[0]):
            layer, node = layers[indices[key[0]]], nodes[key]
            if key[0] == start[0]:
                made[key] = self.call((*place, indices[key[0]]), layer, (source,), given, frozen)
            elif is_operation(layer) and layer["class_name"] not in SUMS:
                masks[key[0]] = _mask(layer, node, made, masks)
            elif node.constants:
                raise FormatError(
                    f"{called(layer)} with {tensors.few(map(str, node.constants))}: such an operation is not supported"
                )
            else:
                inputs = tuple(_made(layer, ref, made) for ref in node.inputs)
                mask = None if node.mask is None else masks.get(node.mask[0], frozenset({"another"}))
                made[key] = self.call((*place, indices[key[0]]), layer, inputs, mask, frozen)
        return _made(layers[indices[end[0]]] if end[0] in indices else model, end, made)


def _in_order(nodes: "dict[tuple[str, int], Node]", start: str) -> Iterator[tuple[str, int]]:
    """The calls, each after those whose outputs it takes."""
    before: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for key, node in nodes.items():
        before[key] = [ref[:2] for ref in (*node.inputs, *([] if node.mask is None else [node.mask]))]
        strange = [ref[0] for ref in before[key] if ref not in nodes]
        if strange:
            raise FormatError(f"{key[0][:60]!r} is called on {tensors.few(strange)}, which is not there")
        if not before[key] and key[0] != start:
            raise FormatError(f"{key[0][:60]!r} is called on no tensor")
    try:
        yield from TopologicalSorter(before).static_order()
    except CycleError:
        raise FormatError("the graph of layers has a circle") from None


def _made(layer: dict[str, Any], ref: Ref, made: dict[tuple[str, int], Tensor]) -> Tensor:
    if ref[:2] not in made:
        raise FormatError(f"{called(layer)}: its input {ref[0][:60]!r} is no output of a layer")
    call, _ = made[ref[:2]]
    return call, ref[2]


# --- what a file says of a call


class Node(NamedTuple):
    """One call as the file has it."""

    inputs: tuple[Ref, ...]
    mask: Ref | None
    constants: tuple[Any, ...]  # of an operation: what it takes beside tensors


def _nodes(layer: dict[str, Any]) -> list[Node]:
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list):
        raise FormatError(f"{called(layer)}: its place in the graph can't be read")
    if layer["class_name"] == "InputLayer" and not nodes:
        return [Node((), None, ())]
    return [_node(layer, node) for node in nodes]


def _node(layer: dict[str, Any], node: Any) -> Node:
    """A call. Raises FormatError where it is made with more than tensors and a mask."""
    if isinstance(node, dict):  # Keras 3
        args, kwargs = node.get("args", []), node.get("kwargs")
        args = args[0] if isinstance(args, list) and len(args) == 1 and isinstance(args[0], list) else args
    else:  # Keras 2: [[name, call, output, kwargs], …]
        read = isinstance(node, list) and all(isinstance(part, list) and len(part) in (3, 4) for part in node)
        args = [part[:3] for part in node] if read else None
        more = [part[3] for part in node if len(part) == 4] if read else []
        kwargs = {key: value for part in more if isinstance(part, dict) for key, value in part.items()}
    if not isinstance(args, list) or not args or not isinstance(kwargs, dict):
        raise FormatError(f"{called(layer)}: its place in the graph can't be read")
    found = [_ref(arg) for arg in args]
    mask = kwargs.get("mask")
    lost = [str(key)[:60] for key, value in kwargs.items() if key != "mask" and value is not None and value is not False]
    if lost or (mask is not None and _ref(mask) is None):
        raise FormatError(f"{called(layer)} is called with {tensors.few(lost or ['mask'])}, which is not supported")
    refs = [ref for ref in found if ref is not None]
    if is_operation(layer):
        return Node(tuple(refs), None, tuple(arg for arg, ref in zip(args, found, strict=True) if ref is None))
    if len(refs) < len(args):
        raise FormatError(
            f"{called(layer)} is called with more than tensors: {tensors.few([str(args)])}, which is not supported"
        )
    return Node(tuple(refs), _ref(mask), ())


def _ref(value: Any) -> Ref | None:
    """The tensor that an argument names, in a form of Keras 2 or 3."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__" and isinstance(value.get("config"), dict):
        value = value["config"].get("keras_history")
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
        return None
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < CALLS for n in value[1:]):
        return None
    return value[0], value[1], value[2]


def _end(model: dict[str, Any], key: str) -> Ref:
    """The tensor at an end of a graph. Raises FormatError where there is not just one."""
    value, what = model["config"].get(key), key.partition("_")[0]
    found = [value] if _ref(value) else value
    refs = [_ref(each) for each in found] if isinstance(found, list) else []
    known = [ref for ref in refs if ref is not None]
    if len(known) == len(refs) > 1:
        raise FormatError(f"{len(refs)} {what}s, {tensors.few(ref[0] for ref in known)}: one is supported")
    ref = known[0] if len(known) == len(refs) == 1 else None
    if ref is None or (what == "input" and ref[1:] != (0, 0)):
        raise FormatError(f"wanted one {what} of the graph; {key} can't be read")
    return ref


def _mask(layer: dict[str, Any], node: Node, made: dict[tuple[str, int], Tensor], masks: dict[str, Any]) -> Mask:
    """Where an operation's output is True: the steps that Keras' layers with masks compute so."""
    kind, config = layer["class_name"], layer["config"]
    known = [masks[ref[0]] for ref in node.inputs if ref[0] in masks]
    if kind == "NotEqual" and len(node.inputs) == len(node.constants) == 1 and node.inputs[0][:2] in made:
        number = node.constants[0]
        return frozenset({(made[node.inputs[0][:2]], number if isinstance(number, int | float) else str(number))})
    if kind == "ZerosLike":
        return frozenset()
    if kind == "OnesLike":
        return frozenset({"all"})
    last = config.get("axis") in (-1, [-1]) and not config.get("keepdims")
    if (kind == "LogicalOr" or (kind in ("Any", "ExpandDims", "Concatenate") and last)) and len(known) == len(node.inputs):
        return frozenset().union(*known)
    raise FormatError(f"{called(layer)}: such an operation is not supported")
