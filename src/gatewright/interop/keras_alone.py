"""A file of weights alone -> the parameters of a network of ours, whose layers stand for Keras' in order."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gatewright.errors import FormatError, OptionError
from gatewright.interop import keras_weights, tensors
from gatewright.interop.keras_files import Stored
from gatewright.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Bidirectional,
    Conv1D,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    Parallel,
    Sequential,
)
from gatewright.parameters import SHARED, Parameters
from gatewright.weights import from_list

WORDS = {"W": "kernel", "U": "recurrent_kernel", "b": "bias", "E": "embeddings", "gain": "gamma", "shift": "beta",
         "mean": "moving_mean", "var": "moving_variance"}  # fmt: skip
KINDS: dict[type[Layer], tuple[str, ...]] = {  # the groups in which a layer's weights can be
    RNN: ("simple_rnn",), LSTM: ("lstm",), GRU: ("gru",), Bidirectional: ("bidirectional",), Embedding: ("embedding",),
    Dense: ("dense", "time_distributed"), LayerNorm: ("layer_normalization",), Conv1D: ("conv1d",),
    BatchNorm: ("batch_normalization",),
}  # fmt: skip
MODELS = ("sequential", "functional")


class Slot(NamedTuple):
    """A layer of Keras' that a network wants: in which groups it can be, its parameters here, and the layers inside it."""

    kinds: tuple[str, ...]
    names: list[str]
    inner: "list[Slot]"


def parameters(stored: Stored, layer: Layer) -> Parameters:
    """The parameters of a layer, as a Model keeps them. Raises FormatError where the file's arrays are not just these.

    OptionError where the network has what Keras has not, or what its files don't tell.
    """
    network = layer if isinstance(layer, Sequential) else Sequential(layer)
    empty = network.init(np.random.default_rng(0))
    slots = _slots(network, "")
    if stored.groups is None:
        pairs = _in_tree(slots, keras_weights.tree(stored.arrays))
    else:
        paths = iter([path for names in stored.groups.values() for path in names])
        pairs = [(name, keras_weights.named(next(paths, ""), WORDS[_last(name)], name)) for name in _names(slots)]
    for name, path in pairs:
        wanted = empty[name].shape if f"{name}n" not in empty else (2, *empty[name].shape)
        got = stored.arrays[path].shape
        if got != wanted:
            raise FormatError(f"{tensors.few([path])}: got shape {got}, wanted {wanted} for {name}")
    keras_weights.none_left(stored, [path for _, path in pairs])
    wide = any(array.itemsize > 4 for array in stored.arrays.values())
    found = Parameters(empty.shapes, np.float64 if wide else np.float32, empty.trainable)
    given = {name: stored.arrays[path] for name, path in pairs}
    found.assign(from_list(found, [given[name] for name in found if _last(name) != "bn"]))
    return found


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _names(slots: list[Slot]) -> Iterator[str]:
    for slot in slots:
        yield from slot.names
        yield from _names(slot.inner)


# --- what a network wants


def _slots(layer: Layer, prefix: str) -> list[Slot]:
    """The layers of Keras' that make up one of ours, in order, each of a shared one's once."""
    if type(layer) in KINDS or not layer.children:
        return list(_leaf(layer, prefix))
    found: list[Slot] = []
    for name, child in layer.children.items():
        start = name if name.startswith(SHARED) else ".".join(part for part in (prefix, name) if part)
        inner = _slots(child, start)
        if isinstance(layer, Parallel):
            _check_branch(layer, found, inner)
        inner = [Slot(MODELS, [], inner)] if isinstance(child, Sequential) and isinstance(layer, Sequential) else inner
        known = set(_names(found))
        found += [slot for slot in inner if not known & set(_names([slot]))]
    return found


def _leaf(layer: Layer, prefix: str) -> Iterator[Slot]:
    """A layer's own weights; a stack's are those of several layers of Keras'."""
    names, kinds = list(layer.shapes()), KINDS.get(type(layer), ())
    parts = [names] if names else []
    if isinstance(layer, RNN | LSTM | GRU):
        kinds = ("bidirectional",) if layer.bidirectional else kinds
        if layer.num_layers > 1:
            parts = [[name for name in names if name.startswith(f"layer{k}.")] for k in range(layer.num_layers)]
    strange = [name for name in names if not kinds or (_last(name) not in WORDS and _last(name) != "bn")]
    if strange:
        raise OptionError(f"network: {layer}: Keras has no {', '.join(strange)}")
    for part in parts:
        start = f"{prefix}." if prefix else ""
        yield Slot(kinds, [f"{start}{name}" for name in part if _last(name) != "bn"], [])


def _check_branch(layer: Layer, before: list[Slot], branch: list[Slot]) -> None:
    """Raises OptionError where the file would not tell which weights are of which branch."""
    both = {kind for slot in before for kind in slot.kinds} & {kind for slot in branch for kind in slot.kinds}
    if both:
        raise OptionError(f"network: {layer}: several branches have a {min(both)}, and the file doesn't say whose is whose")


# --- where it is in a tree


def _in_tree(slots: list[Slot], folder: keras_weights.Folder) -> list[tuple[str, str]]:
    """(parameter, path of the array) of all slots."""
    groups: dict[str, dict[int, keras_weights.Tree]] = {}
    taken: dict[str, int] = {}  # how many of a class
    pairs: list[tuple[str, str]] = []
    waiting = slots[::-1]
    while waiting:
        slot = waiting.pop()
        groups |= {kind: folder.of(kind) for kind in slot.kinds if kind not in groups}
        left = [kind for kind in slot.kinds if max(groups[kind], default=-1) >= taken.get(kind, 0)]
        if slot.kinds == MODELS and not left:  # its layers stand in the model itself
            waiting += slot.inner[::-1]
            continue
        if not left or len(left) > 1:
            words = "both are there, which leaves their order open" if left else f"no such group is left for {slot.names[0]}"
            raise FormatError(f"{' and '.join(slot.kinds)}: {words}")
        number = taken.get(left[0], 0)
        group = groups[left[0]].get(number, {})
        taken[left[0]] = number + 1
        if slot.kinds == MODELS:
            pairs += _in_tree(slot.inner, keras_weights.folder_of(group))
            continue
        paths = keras_weights.paths_in(group)
        if len(paths) != len(slot.names):
            raise FormatError(f"got {tensors.few(paths)}, wanted {len(slot.names)} arrays for {', '.join(slot.names)}")
        pairs += zip(slot.names, paths, strict=True)
    return pairs
