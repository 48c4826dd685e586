"""Terms -> a Sequential and its parameters."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop import tensors
from gatewright.interop.onnx.terms import Item, Mark, Term
from gatewright.layers import (
    LSTM,
    Activate,
    Bidirectional,
    Conv1D,
    Dense,
    Parallel,
    Recurrent,
    Residual,
    Sequential,
    Shared,
)
from gatewright.layers.base import in_scope
from gatewright.layers.stack import ACTIVATIONS
from gatewright.parameters import Parameters

MOST = 10_000  # layers; where branches cross, a layer can stand in many places
CLOSE = 1e-7  # to 1 / n, the factor of a mean


def whole(term: Term, dtype: Any) -> tuple[Sequential, Parameters, int]:
    """All layers from the input to a term, their parameters, and how many weights of the file are there more than once.

    Raises FormatError where there are none.
    """
    first = _Chains({})
    if not first.items(term, None):
        raise FormatError("there is no layer in it that computes anything")
    second = _Chains(first.shared())
    items = second.items(term, None)
    layer, arrays = Sequential(*(item.layer for item in items)), _arrays(items)
    copied = sum(count > 1 and origin not in second.known for origin, count in second.times.items())
    return layer, tensors.parameters({name: arrays[name] for name in layer.shapes()}, (), dtype), copied


class _Chains:
    """Reads chains off terms; `known` are the gw.Shared that stand for layers with the same weights."""

    def __init__(self, known: dict[frozenset[str], Item]) -> None:
        self.known = known
        self.uses: dict[frozenset[str], list[Item]] = {}  # of weights, where they can be shared
        self.times = Counter[frozenset[str]]()  # of all
        self.count = 0

    def shared(self) -> dict[frozenset[str], Item]:
        """A gw.Shared for all weights that several equal layers use."""
        found: dict[frozenset[str], Item] = {}
        for origin, items in self.uses.items():
            if len(items) > 1 and all(item.layer == items[0].layer for item in items):
                name = f"weights{len(found)}"
                arrays = {f"shared.{name}.{key}": array for key, array in items[0].arrays.items()}
                found[origin] = Item(Shared(items[0].layer, name), arrays)
        return found

    def items(self, term: Term, start: Term | None) -> list[Item]:
        """The layers between two terms, or from the input on."""
        found: list[Item | Activation] = []
        while term is not start and term.before is not None:
            if isinstance(term.item, Mark):
                raise FormatError("it pads, or sums up, steps as no layer does")
            if term.how == "cell":
                raise FormatError("a cell state, which is no layer's output, is read or given")
            found.append(self._merged(term, term.before) if term.item is None else term.item)
            term = term.before
        return [self._used(item) for item in _activated(found[::-1])]

    def _used(self, item: Item) -> Item:
        """A layer, or what is shared in its place."""
        self.count += 1
        if self.count > MOST:
            raise FormatError(f"more than {MOST} layers")
        if not item.origin:
            return item
        self.uses.setdefault(item.origin, []).append(item)
        self.times[item.origin] += 1
        return self.known.get(item.origin, item)

    def _merged(self, term: Term, start: Term) -> Item:
        """The layer that merges branches: a recurrent one in both directions, a Residual or a Parallel."""
        branches = [self.items(branch, start) for branch in term.inputs]
        both = _both_ways(term, branches)
        if both is not None:
            for item in (item for branch in branches for item in branch):
                self.uses[item.origin] = []  # inside another layer nothing is shared
            return both
        if term.flipped:
            raise FormatError("steps in reverse are joined with steps that are not, and not by a bidirectional layer")
        if term.how == "sum" and len(branches) == 2 and [] in branches:
            inner = _one(next(branch for branch in branches if branch))
            return Item(Residual(inner.layer), inner.arrays)
        ones = [_one(branch) for branch in branches]
        return Item(Parallel([one.layer for one in ones], term.how), _arrays(ones))


def _one(branch: list[Item]) -> Item:
    """A branch as one layer; of no layers, one that does nothing."""
    if not branch:
        return Item(Activate(None), {})
    return branch[0] if len(branch) == 1 else _sequence(branch)


def _sequence(items: list[Item]) -> Item:
    return Item(Sequential(*(item.layer for item in items)), _arrays(items))


def _arrays(items: list[Item], names: tuple[str, ...] = ()) -> dict[str, Array]:
    """The parameters of layers inside another, by the names that they have there."""
    keys = names or tuple(map(str, range(len(items))))
    return {in_scope(key, name): array for key, item in zip(keys, items, strict=True) for name, array in item.arrays.items()}


def _activated(found: list[Item | Activation]) -> list[Item]:
    """Activations put into the layers before them where those have one; a sum of n divided by n is a mean."""
    items: list[Item] = []
    for each in found:
        before = items[-1].layer if items else None
        if isinstance(each, Item):
            items.append(each)
        elif isinstance(before, Dense | Conv1D) and before.activation == Activation("linear"):
            items[-1] = items[-1]._replace(layer=before.replace(activation=each))
        elif isinstance(before, Parallel | Bidirectional) and before.merge == "sum" and _divides(each, len(before.children)):
            items[-1] = items[-1]._replace(layer=before.replace(merge="ave"))
        else:
            items.append(Item(Activate(each), {}))
    return items


def _divides(activation: Activation, count: int) -> bool:
    """Whether an activation is a division by `count`."""
    alpha = activation.alpha or 0.0
    return activation.name == "affine" and activation.beta == 0 and activation.clip is None and abs(alpha * count - 1) < CLOSE


# --- both directions


def _both_ways(term: Term, branches: list[list[Item]]) -> Item | None:
    """Two branches of recurrent layers, one from each end, as one layer; None for others."""
    if len(branches) != 2 or not all(branches):
        return None
    starts = [getattr(branch[0].layer, "go_backwards", False) for branch in branches]
    if sorted(starts) != [False, True] or (term.flipped and list(term.flipped) != starts):
        return None
    if starts[0] and term.how == "concat":
        return None
    stacks = [_stack(branch) for branch in (branches[::-1] if starts[0] else branches)]
    if any(stack is None or (not term.flipped and stack.layer.return_sequences) for stack in stacks):
        return None
    forward, backward = (stack for stack in stacks if stack is not None)
    arrays = _arrays([Item(*stack) for stack in (forward, backward)], ("forward", "backward"))
    layer, other = forward.layer, backward.layer
    if term.how == "concat" and layer.num_layers == 1 and _like(layer, ACTIVATIONS) == _like(other, ACTIVATIONS):
        return Item(layer.replace(bidirectional=True, **_pairs(layer, other)), arrays)
    return Item(Bidirectional(layer, term.how, backward_layer=other), arrays)


class _Stack(NamedTuple):
    layer: Recurrent
    arrays: Mapping[str, Array]


def _stack(branch: list[Item]) -> _Stack | None:
    """Recurrent layers of one kind on each other as one, that runs forward; None for others."""
    layers = [item.layer for item in branch if isinstance(item.layer, Recurrent) and not item.layer.bidirectional]
    if len(layers) < len(branch) or any(layer.go_backwards for layer in layers[1:]):
        return None
    first = layers[0].replace(go_backwards=False)
    if len(layers) == 1:
        return _Stack(first, branch[0].arrays)
    likes = [_like(layer, ("input_size", "go_backwards", "return_sequences")) for layer in layers]
    if any(like != likes[0] for like in likes):
        return None
    names = tuple(f"layer{k}" for k in range(len(layers)))
    return _Stack(first.replace(num_layers=len(layers), return_sequences=layers[-1].return_sequences), _arrays(branch, names))


def _like(layer: Recurrent, ignored: tuple[str, ...]) -> Any:
    """All that a layer is, but for some options."""
    return type(layer), {name: value for name, value in layer.config().items() if name not in ignored}


def _pairs(forward: Recurrent, backward: Recurrent) -> dict[str, Any]:
    """The activations of a layer in both directions."""
    found = {}
    for name in ACTIVATIONS:
        both = [getattr(layer, name, None) for layer in (forward, backward)]
        if isinstance(forward, LSTM) and name == "cell_activation" and any(both):
            both = [own or layer.activation for own, layer in zip(both, (forward, backward), strict=True)]
        if any(both):
            found[name] = tuple(both)
    return found
