"""What a value in a graph is, as layers applied to the input: terms, each a layer on one term or several terms merged.

Every term knows the nearest one before it through which all ways from the input lead, so that a graph is a chain of layers in
which branches that begin at one term and are merged stand side by side: a bidirectional layer, gw.Residual or gw.Parallel.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.layers import BatchNorm, Dense, Layer, LayerNorm, Recurrent

STEPWISE = (Dense, LayerNorm, BatchNorm)  # layers that compute every step by itself


class Item(NamedTuple):
    """A layer and its parameters, by its own names; `origin` names the weights in the file."""

    layer: Layer
    arrays: Mapping[str, Array]
    origin: frozenset[str] = frozenset()


class Mark(NamedTuple):
    """Half of a layer: what another node makes a whole of it, such as zeros that a convolution reads."""

    what: str  # "padding", "filled" or "total"
    number: int = 0


class Term:
    """The input ("x"), a layer on a term ("layer"), the last cell state of one ("cell"), or a merge, "concat", "sum" or "mul".

    flipped: of the terms of a merge, whether their steps stand in reverse, where they differ in that.
    """

    def __init__(
        self,
        how: str,
        features: int,
        inputs: tuple["Term", ...] = (),
        item: Item | Activation | Mark | None = None,
        flipped: tuple[bool, ...] = (),
    ) -> None:
        self.how, self.features, self.inputs, self.item, self.flipped = how, features, inputs, item, flipped
        self.before = common(inputs) if inputs else None
        self.depth: int = 0 if self.before is None else self.before.depth + 1

    @property
    def recurrent(self) -> Recurrent | None:
        """The layer, where it is a recurrent one."""
        return self.item.layer if isinstance(self.item, Item) and isinstance(self.item.layer, Recurrent) else None


def common(terms: Iterable[Term]) -> Term:
    """The last term through which all ways from the input to any of these lead."""
    first, *others = terms
    for other in others:
        while first is not other:
            deeper, other = (first, other) if first.depth >= other.depth else (other, first)
            assert deeper.before is not None
            first = deeper.before
    return first


def last(term: Term) -> Term:
    """The last step alone of a term of sequences. Raises FormatError where no layer gives that."""
    if term.recurrent is not None and isinstance(term.item, Item):
        alone = term.item._replace(layer=term.recurrent.replace(return_sequences=False))
        return Term("layer", term.features, term.inputs, alone)
    if term.flipped:
        raise FormatError("a step of a bidirectional layer that is the last one of one direction alone")
    if term.how == "x" or (isinstance(term.item, Item) and not isinstance(term.item.layer, STEPWISE)):
        raise FormatError("one step of what no recurrent layer gives")
    return Term(term.how, term.features, tuple(map(last, term.inputs)), term.item)
