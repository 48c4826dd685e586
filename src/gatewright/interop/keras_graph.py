"""The layers of a Keras model's configuration and their order: a Sequential, or a graph that is a chain."""

from typing import Any, NamedTuple

from gatewright.errors import FormatError


class Call(NamedTuple):
    """How a layer of a graph is called: on which layer's output, and which layer made the mask."""

    source: str
    mask: str | None
    others: list[Any]  # arguments that are no tensors


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
    """The layers in the order of the file, each with class_name and config, which has a name."""
    kind, inner = config.get("class_name"), config.get("config")
    if kind not in ("Sequential", "Functional", "Model"):
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


def chain(config: dict[str, Any], layers: list[dict[str, Any]]) -> list[int]:
    """Which layers are applied, in order. Raises FormatError for a graph that is no chain."""
    if config["class_name"] == "Sequential":
        return list(range(len(layers)))
    names = [layer["config"]["name"] for layer in layers]
    found: list[int] = []
    masks: dict[str, Any] = {}  # what an operation computes from the input, by its name
    for index, layer in enumerate(layers):
        if layer["class_name"] in ("NotEqual", "Any") and found:
            masks[names[index]] = _mask(layer, names[found[0]], masks)
            continue
        if not found:
            if layer["class_name"] != "InputLayer" or _list(layer, "inbound_nodes"):
                raise FormatError(f"{names[index][:60]!r}: wanted an InputLayer first")
        else:
            call = _call(layer)
            if call.source != names[found[-1]] or call.others:
                raise FormatError(f"{names[index][:60]!r}: the graph is no chain of layers, and no other is supported")
            if call.mask is not None and masks.get(call.mask) != _masks(layers, found):
                raise FormatError(f"{names[index][:60]!r}: its mask is not that of the first layer, and no other is supported")
        found.append(index)
    ends = [_ends(config["config"].get(key)) for key in ("input_layers", "output_layers")]
    if not found or ends != [[names[found[0]]], [names[found[-1]]]]:
        raise FormatError("wanted one input and one output, at the ends of a chain of layers")
    return found


def _masks(layers: list[dict[str, Any]], found: list[int]) -> Any:
    """What the network's first layer masks: (class, the value), or None."""
    if len(found) < 2:
        return None
    first = layers[found[1]]
    if first["class_name"] == "Embedding" and first["config"].get("mask_zero") is True:
        return "Embedding", 0
    return ("Masking", first["config"].get("mask_value")) if first["class_name"] == "Masking" else None


def _mask(layer: dict[str, Any], start: str, masks: dict[str, Any]) -> Any:
    """What an operation between the layers masks, as `_masks` says it."""
    call = _call(layer)
    if layer["class_name"] == "NotEqual" and call.source == start and len(call.others) == 1:
        return "Embedding", call.others[0]
    axis = layer["config"].get("axis")
    if layer["class_name"] == "Any" and call.source in masks and axis in (-1, [-1]) and not layer["config"].get("keepdims"):
        return "Masking", masks[call.source][1]
    raise FormatError(f"{layer['class_name']} {layer['config']['name'][:60]!r}: such an operation is not supported")


def _list(layer: dict[str, Any], key: str) -> list[Any]:
    value = layer.get(key)
    if not isinstance(value, list):
        raise FormatError(f"{layer['config']['name'][:60]!r}: its place in the graph can't be read")
    return value


def _ends(value: Any) -> list[str] | None:
    """The layers' names in `input_layers` or `output_layers`: [name, 0, 0], or a list of such; None for other forms."""
    value = [value] if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) else value
    if not isinstance(value, list) or not all(isinstance(e, list) and len(e) == 3 and e[1:] == [0, 0] for e in value):
        return None
    return [e[0] for e in value]


def _call(layer: dict[str, Any]) -> Call:
    """The one call of a layer. Raises FormatError where there are several, or other tensors than its input and mask."""
    name, nodes = layer["config"]["name"][:60], _list(layer, "inbound_nodes")
    if len(nodes) != 1:
        raise FormatError(f"{name!r} is called {len(nodes)} times, wanted once: no layer can be shared yet")
    node = nodes[0]
    if isinstance(node, list) and len(node) == 1 and isinstance(node[0], list) and len(node[0]) in (3, 4):  # Keras 2
        args: list[Any] = [node[0][:3]]
        kwargs = node[0][3] if len(node[0]) == 4 else {}
    elif isinstance(node, dict):  # Keras 3
        args, kwargs = node.get("args", []), node.get("kwargs")
        args = [_history(arg) or arg for arg in args] if isinstance(args, list) else []
    else:
        raise FormatError(f"{name!r}: the graph is no chain of layers, and no other is supported")
    kwargs = (
        {key: value for key, value in kwargs.items() if value not in (None, False)} if isinstance(kwargs, dict) else {"": 0}
    )
    mask = _history(kwargs.pop("mask", None))
    if kwargs or not args or not _is_tensor(args[0]):
        raise FormatError(f"{name!r} is called with more than its input and a mask, or with an output beyond the first")
    return Call(args[0][0], mask[0] if mask else None, args[1:])


def _history(value: Any) -> list[Any] | None:
    """[layer, 0, 0], the tensor that a Keras 3 argument names."""
    config = value.get("config") if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__" else None
    return config.get("keras_history") if isinstance(config, dict) else None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and value[1:] == [0, 0]
