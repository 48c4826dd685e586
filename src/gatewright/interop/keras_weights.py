"""Which arrays of a Keras file belong to which layer of its configuration.

There are two layouts. A tree, in .keras and .weights.h5, names every group after its layer's class and counts the classes: the
second LSTM has `layers/lstm_1/cell/vars/0`, `1` and `2`. Keras 2.13 to 2.15 counted other things too, so that there only the
order holds, and called the folder `_layer_checkpoint_dependencies`. Older .h5 files have a group for every layer's name, with a
list of arrays in the order of get_weights().
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop import keras_graph, tensors
from gatewright.interop.keras_files import FOLDERS, Stored

Place: TypeAlias = keras_graph.Place
Tree: TypeAlias = dict[str, Any]  # groups in groups; at the end the path of an array
RECURRENT = {"kernel": "", "recurrent_kernel": "", "bias": "use_bias"}
WEIGHTS: dict[str, dict[str, str]] = {  # a layer's weights, and the option without which there is none
    "SimpleRNN": RECURRENT, "LSTM": RECURRENT, "GRU": RECURRENT, "Embedding": {"embeddings": ""},
    "Dense": {"kernel": "", "bias": "use_bias"}, "Conv1D": {"kernel": "", "bias": "use_bias"},
    "LayerNormalization": {"gamma": "scale", "beta": "center"},
    "BatchNormalization": {"gamma": "scale", "beta": "center", "moving_mean": "", "moving_variance": ""},
}  # fmt: skip
WORDS = {word for words in WEIGHTS.values() for word in words}


def of_model(stored: Stored, layers: list[dict[str, Any]]) -> dict[Place, list[Array]]:
    """The arrays of every layer of a configuration, in the order of get_weights(), by the layer's place."""
    found: dict[Place, list[str]] = {}
    if stored.groups is None:
        _in_tree(tree(stored.arrays), layers, (), found)
    else:
        for index, layer in enumerate(layers):
            names = stored.groups.get(layer["config"]["name"], [])
            if layer["class_name"] in keras_graph.MODELS:
                _in_list(names, layer, (index,), found)
            else:
                found[index,] = names
    none_left(stored, [name for names in found.values() for name in names])
    return {place: [stored.arrays[name] for name in names] for place, names in found.items()}


def none_left(stored: Stored, used: list[str]) -> None:
    left = sorted(stored.arrays.keys() - set(used))
    if left:
        raise FormatError(f"{tensors.few(left)}: no layer of the network has these weights")


# --- a tree


class Folder(NamedTuple):
    """The groups of a model's layers, by class and number."""

    groups: dict[str, dict[int, Tree]]
    counted: bool  # whether the numbers are those of the layers of the class, as in Keras 3; else only their order holds

    def of(self, kind: str) -> dict[int, Tree]:
        """The groups of a class, by number from 0."""
        found = self.groups.get(kind, {})
        return found if self.counted else dict(enumerate(found[number] for number in sorted(found)))


def tree(arrays: dict[str, Array]) -> Folder:
    """What stands in the folder of layers."""
    whole: Tree = {}
    for path in arrays:
        here = whole
        *groups, last = path.split("/")
        for group in groups:
            here = here.setdefault(group, {})
            if not isinstance(here, dict):
                raise FormatError(f"{tensors.few([path])} stands in an array")
        if last in here:
            raise FormatError(f"{tensors.few([path])} is there twice")
        here[last] = path
    return folder_of(whole)


def folder_of(group: Tree) -> Folder:
    """The folder of layers in the group of a model."""
    found: Tree = next((group[name] for name in FOLDERS if isinstance(group.get(name), dict)), {})
    groups: dict[str, dict[int, Tree]] = {}
    for name, inner in found.items():
        if isinstance(inner, dict):
            groups.setdefault(name, {})[0] = inner
            number = re.fullmatch("(.+)_([1-9][0-9]{0,5})", name)
            if number:
                groups.setdefault(number[1], {})[int(number[2])] = inner
    return Folder(groups, FOLDERS[0] in group)


def paths_in(group: Any) -> list[str]:
    """The arrays in a group, in Keras' order."""
    if isinstance(group, str):
        return [group]
    return sorted((path for inner in group.values() for path in paths_in(inner)), key=_order)


def _order(path: str) -> tuple[bool, int, str]:
    """The forward direction's first, by number."""
    number = path.rpartition("/")[2]
    return "/backward_layer/" in path, int(number) if number.isascii() and number.isdigit() and len(number) < 9 else -1, path


def _in_tree(folder: Folder, layers: list[dict[str, Any]], place: Place, found: dict[Place, list[str]]) -> None:
    """Finds the arrays of these layers and of those inside them."""
    count: dict[str, int] = {}
    for index, layer in enumerate(layers):
        if keras_graph.is_operation(layer):
            continue
        kind, here = _snake(layer["class_name"]), (*place, index)
        if not folder.counted and not _has_weights(layer):  # those have no group, or an empty one
            found[here] = []
            continue
        number = count[kind] = count.get(kind, -1) + 1
        group = folder.of(kind).get(number, {})
        if layer["class_name"] in keras_graph.MODELS:
            _in_tree(folder_of(group), keras_graph.entries(layer), here, found)
        else:
            found[here] = paths_in(group)


def _snake(name: str) -> str:
    """The name that Keras gives the group of a class: simple_rnn for SimpleRNN."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))).lower()


# --- a list


def _in_list(names: list[str], model: dict[str, Any], place: Place, found: dict[Place, list[str]]) -> None:
    """Deals out the arrays of a model inside a model: those that are trained first, then the others."""
    parts = list(_leaves(model, place, True))
    given = iter(names)
    for trained in (True, False):
        for where, layer, words in parts:
            for word, free in words:
                if free == trained:
                    found.setdefault(where, []).append(named(next(given, ""), word, keras_graph.called(layer)))
    left = list(given)
    if left:
        raise FormatError(f"{tensors.few(left)}: no layer of {keras_graph.called(model)} has these weights")


def named(path: str, word: str, where: str) -> str:
    """The path of an array, if its name doesn't say that it is another than the `kernel`, `bias` … that is wanted there."""
    last = re.sub(r"(_\d+)?(:0)?$", "", path.rpartition("/")[2])
    if not path or (last != word and last in WORDS):
        raise FormatError(f"got {tensors.few([path] if path else [])}, wanted the {word} of {where}")
    return path


def _leaves(model: dict[str, Any], place: Place, free: bool) -> Iterator[tuple[Place, dict[str, Any], list[tuple[str, bool]]]]:
    """Every layer in a model: (its place, itself, its weights' names)."""
    for index, layer in enumerate(keras_graph.entries(model)):
        trained = free and not keras_graph.is_frozen(model)
        if layer["class_name"] in keras_graph.MODELS:
            yield from _leaves(layer, (*place, index), trained)
        elif not keras_graph.is_operation(layer):
            yield (*place, index), layer, _words(layer["class_name"], layer["config"], trained)


def _has_weights(layer: dict[str, Any]) -> bool:
    if layer["class_name"] in keras_graph.MODELS:
        return any(words for _, _, words in _leaves(layer, (), True))
    return bool(_words(layer["class_name"], layer["config"], True))


def _words(class_name: str, config: dict[str, Any], free: bool) -> list[tuple[str, bool]]:
    """What the weights of a layer are called, and whether each is trained."""
    free = free and config.get("trainable", True) is not False
    if class_name == "Bidirectional":
        ways = [config.get("layer"), config.get("backward_layer") or config.get("layer")]
        return [word for way in ways for word in _words(*keras_graph.entry(way), free)]
    if class_name == "TimeDistributed":
        return _words(*keras_graph.entry(config.get("layer")), free)
    return [
        (word, free and not word.startswith("moving"))
        for word, option in WEIGHTS.get(class_name, {}).items()
        if not option or config.get(option, True) is not False
    ]
