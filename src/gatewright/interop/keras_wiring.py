"""A graph of layers -> layers in layers: what lies between a fork and the merge of its branches is one gw.Parallel.

A layer that stands in several places is a gw.Shared. This holds for every graph with one input and one output: where branches
share a part in the middle, it stands in each of them.
"""

import re
from collections import Counter
from typing import Any, NamedTuple, TypeAlias

from gatewright.errors import FormatError, GatewrightError
from gatewright.interop.keras_graph import Call, Graph, Place, called
from gatewright.interop.keras_layers import Built
from gatewright.interop.keras_masks import MERGES
from gatewright.layers import Activate, Dense, Parallel, Residual, Sequential, Shared
from gatewright.layers.base import in_scope
from gatewright.parameters import SHARED

PLACES, DEPTH = 4000, 40  # of layers in the network; of forks in each other


class Merge(NamedTuple):
    """The call of a merging layer, and its branches."""

    call: int
    branches: "list[Line]"


Line: TypeAlias = "list[int | Merge]"  # calls one after the other


def network(graph: Graph, parts: list[Built | None], told: list[str]) -> list[Built]:
    """The layers of the whole, one after the other, of a layer for every call (None: it does nothing, or merges)."""
    line = _Forks(graph).line(-1, graph.output[0])
    calls = _calls_in(line)
    unused = [called(call.layer) for index, call in enumerate(graph.calls) if index not in calls]
    if unused:
        raise FormatError(f"{unused[0]}: its output is not used")
    for index, count in calls.items():
        if count > 1 and graph.calls[index].kind == "Dropout":
            told.append(f"{called(graph.calls[index].layer)}: stands in {count} branches, and is another in each when training")
    places = Counter[Place]()
    for index, count in calls.items():
        places[graph.calls[index].place] += count
    shared: dict[Place, str] = {}
    for call in graph.calls:
        if places[call.place] > 1:
            shared[call.place] = _free_name(call, set(shared.values()) - {shared.get(call.place)})
    return _Builder(graph, parts, shared).built(line)


def _free_name(call: Call, taken: set[Any]) -> str:
    """The layer's name, as a word."""
    name = re.sub("[^a-zA-Z0-9_-]+", "_", str(call.layer["config"]["name"]))[:60] or "layer"
    while name in taken:
        name += "_"
    return name


def _calls_in(line: Line) -> Counter[int]:
    """How often each call stands there."""
    found = Counter[int]()
    for item in line:
        if isinstance(item, Merge):
            found[item.call] += 1
            for branch in item.branches:
                found += _calls_in(branch)
        else:
            found[item] += 1
    return found


class _Forks:
    """Finds forks, and what lies between them and their merges."""

    def __init__(self, graph: Graph) -> None:
        self.calls = graph.calls
        self.size = 0
        # The last call through which every way to a call goes (its immediate dominator; Cooper, Harvey & Kennedy 2001).
        self.fork: list[int] = []
        for call in graph.calls:
            meeting = call.inputs[0][0]
            for source, _ in call.inputs[1:]:
                while meeting != source:
                    meeting, source = (self.fork[meeting], source) if meeting > source else (meeting, self.fork[source])
            self.fork.append(meeting)

    def line(self, start: int, end: int, depth: int = 0) -> Line:
        """The calls behind `start`, up to `end`."""
        found: Line = []
        while end != start:
            self.size += 1
            if self.size > PLACES or depth > DEPTH:
                raise FormatError(f"more than {PLACES} layers once branches are apart, or {DEPTH} forks in each other")
            call, fork = self.calls[end], self.fork[end]
            if call.kind in MERGES:
                found.append(Merge(end, [self.line(fork, source, depth + 1) for source, _ in call.inputs]))
            else:
                found.append(end)
            end = fork
        return found[::-1]


class _Builder(NamedTuple):
    """Puts layers into layers, their parameters with them."""

    graph: Graph
    parts: list[Built | None]
    shared: dict[Place, str]

    def built(self, line: Line) -> list[Built]:
        """The layers of a line."""
        found: list[Built] = []
        for item in line:
            part = self.merged(item) if isinstance(item, Merge) else self.one(item)
            if part is not None and not _folded(part, found):
                found.append(part)
        return found

    def one(self, index: int) -> Built | None:
        part, name = self.parts[index], self.shared.get(self.graph.calls[index].place)
        if part is None or name is None or not part.arrays:
            return part
        start = SHARED + name
        return Built(
            Shared(part.layer, name),
            {in_scope(start, key): array for key, array in part.arrays.items()},
            tuple(in_scope(start, key) for key in part.frozen),
        )

    def merged(self, merge: Merge) -> Built:
        call = self.graph.calls[merge.call]
        how, branches = MERGES[call.kind], [self.built(branch) for branch in merge.branches]
        try:
            if how == "sum" and [bool(branch) for branch in branches] in ([True, False], [False, True]):
                inner = joined(branches[0] or branches[1])
                return inner._replace(layer=Residual(inner.layer))
            parts = [joined(branch) for branch in branches]
            return inside(Parallel([part.layer for part in parts], how), parts)
        except GatewrightError as error:
            raise FormatError(f"{called(call.layer)}: {error}") from None


def _folded(part: Built, before: list[Built]) -> bool:
    """Whether the layer in front took this one over: a Dense does so with an activation, which then is compiled with it."""
    if not isinstance(part.layer, Activate):
        return False
    last = before[-1].layer if before else None
    if isinstance(last, Dense) and last.activation.name == "linear":
        before[-1] = before[-1]._replace(layer=last.replace(activation=part.layer.activation))
        return True
    return part.layer.activation.name == "linear"


def joined(parts: list[Built]) -> Built:
    """Layers one after the other as one."""
    if not parts:
        return Built(Activate(None), {})
    return parts[0] if len(parts) == 1 else inside(Sequential(*(part.layer for part in parts)), parts)


def inside(layer: Any, parts: list[Built]) -> Built:
    """A layer made of these."""
    arrays = {in_scope(str(index), name): array for index, part in enumerate(parts) for name, array in part.arrays.items()}
    frozen = [in_scope(str(index), name) for index, part in enumerate(parts) for name in part.frozen]
    return Built(layer, arrays, tuple(frozen))
