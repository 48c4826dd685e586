"""The order in which Keras lists the layers of a graph when it opens a file, which decides whose weights are whose.

Groups of weights are named after a layer's class and its number among those of the class, and Keras takes layers not as a file
lists them, but by their depth, the largest number of steps to the output, and then as a search from the output meets them. The
operations by which Keras computes masks are steps too.
"""

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gatewright.interop.keras_pack import Entry, Graph, Tensor

TAKES_MASK = ("SimpleRNN", "LSTM", "GRU", "Bidirectional", "TimeDistributed", "GlobalAveragePooling1D", "BatchNormalization")
ENDS_MASK = ("Conv1D", "MaxPooling1D", "AveragePooling1D", "GlobalMaxPooling1D", "GlobalAveragePooling1D", "RepeatVector")


class Node(NamedTuple):
    """A call of a layer, or of an operation, which is None."""

    entry: "Entry | None"
    parents: list[int]


def listed(graph: "Graph", output: "Tensor") -> "list[Entry]":
    """The layers as Keras lists them."""
    nodes, end = _nodes(graph, output)
    finished: dict[int, None] = {}
    met: dict[int, int] = {}  # a layer, or an operation: when the search met it first
    waiting = [(end, False)]
    while waiting:
        index, done = waiting.pop()
        if done:
            finished[index] = None
        elif index not in finished:
            met.setdefault(_who(nodes, index), len(met))
            waiting += [(index, True), *((parent, False) for parent in reversed(nodes[index].parents))]
    depth: dict[int, int] = {}  # of nodes
    deepest: dict[int, int] = {}  # of layers
    for index in reversed(finished):
        who = _who(nodes, index)
        depth[index] = deepest[who] = max(depth.get(index, 0), deepest.get(who, 0))
        for parent in nodes[index].parents:
            depth[parent] = max(depth.get(parent, 0), depth[index] + 1)
    found = {_who(nodes, index): nodes[index].entry for index in finished}
    return [entry for who, entry in sorted(found.items(), key=lambda item: (-deepest[item[0]], met[item[0]])) if entry]


def _who(nodes: list[Node], index: int) -> int:
    """What tells layers and operations apart: all calls of a layer are of one."""
    entry = nodes[index].entry
    return -1 - index if entry is None else id(entry)


def _nodes(graph: "Graph", output: "Tensor") -> tuple[list[Node], int]:
    """The calls of all layers, with those of the operations between them, and that of the output."""
    nodes: list[Node] = []
    made: dict[tuple[str, int], tuple[int, int | None]] = {}  # by the layer's name and the number of the call: it, its mask
    waiting = [(entry, number) for entry in graph.entries.values() for number in range(len(entry.calls))]
    while waiting:
        later = []
        for entry, number in waiting:
            given = [made.get((tensor.layer, tensor.call)) for tensor in entry.calls[number]]
            known = [pair for pair in given if pair is not None]
            if len(known) < len(given):
                later.append((entry, number))
                continue
            parents, masks = [call for call, _ in known], [mask for _, mask in known]
            if entry.class_name in TAKES_MASK and masks[0] is not None:
                parents.append(masks[0])
            nodes.append(Node(entry, parents))
            call = len(nodes) - 1
            made[entry.name, number] = call, _mask(nodes, entry, [pair[0] for pair in known], masks)
        waiting = later
    return nodes, made[output.layer, output.call][0]


def _mask(nodes: list[Node], entry: "Entry", inputs: list[int], masks: list[int | None]) -> int | None:
    """The operation that gives the mask of a call's output."""

    def step(*parents: int) -> int:
        nodes.append(Node(None, list(parents)))
        return len(nodes) - 1

    kind, config = entry.class_name, entry.config.get("layer", entry.config)
    if kind == "Embedding":
        return step(inputs[0]) if config["mask_zero"] else None
    if kind == "Masking":
        return step(step(inputs[0]))
    if kind == "Concatenate" and any(mask is not None for mask in masks):
        known = [step(x) if m is None else step(step(m), step(x)) for x, m in zip(inputs, masks, strict=True)]
        return step(step(*known))
    if kind in ENDS_MASK or not masks or any(mask is None for mask in masks):
        return None
    if kind in TAKES_MASK and not config.get("config", config).get("return_sequences", True):
        return None
    return reduce(step, [mask for mask in masks if mask is not None])
