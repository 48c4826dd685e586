"""An ONNX graph as plain values: NumPy arrays, numbers and strings, nothing of protobuf."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.tensors import few

DType: TypeAlias = "np.dtype[Any]"


class Value(NamedTuple):
    """What is known of an input or output."""

    dtype: DType
    shape: tuple[int | str | None, ...] | None  # a name stands for a size that runs differ in; None: any, or any rank


class Attribute(NamedTuple):
    """One of a node: its kind (int, float, string, tensor, ints, floats or strings) and the value."""

    kind: str
    value: Any  # int, float, str, Array or a tuple


class Node(NamedTuple):
    """One call of an operator."""

    op: str
    name: str
    number: int  # its place in the graph, from 0
    inputs: tuple[str, ...]  # "" where an optional one is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"node {few([self.name]) if self.name else self.number} ({_short(self.op)})"


class Graph(NamedTuple):
    """A whole file: nodes in an order in which they can run."""

    path: str
    opset: int
    nodes: tuple[Node, ...]
    inputs: Mapping[str, Value]  # those that have a default too
    outputs: Mapping[str, Value]
    constants: Mapping[str, Array]  # read-only; the default of an input of the same name

    def fixed(self) -> dict[str, Array]:
        """The constants that no caller can replace."""
        return {name: array for name, array in self.constants.items() if name not in self.inputs}


def check(graph: Graph) -> None:
    """Raises FormatError unless every name is made once, before it is used, and every output is made."""
    known = {*graph.inputs, *graph.constants}
    made = {name for node in graph.nodes for name in node.outputs}
    for node in graph.nodes:
        for name in node.inputs:
            if name and name not in known:
                why = "is made by a later node, or by itself" if name in made else "is made nowhere"
                raise FormatError(f"{node.place}: its input {few([name])} {why}")
        for name in node.outputs:
            if name in known:
                raise FormatError(f"{node.place}: its output {few([name])} is there already")
            known |= {name} if name else set()
    for name in graph.outputs:
        if name not in known:
            raise FormatError(f"the graph's output {few([name])} is made nowhere")


def last_uses(graph: Graph) -> list[tuple[str, ...]]:
    """For every node the names that nobody reads after it, the graph's outputs apart."""
    seen, last = set(graph.outputs), list[tuple[str, ...]]()
    for node in reversed(graph.nodes):
        names = {name for name in (*node.inputs, *node.outputs) if name} - seen
        seen |= names
        last.append(tuple(sorted(names)))
    return last[::-1]


def placeholders(value: Value) -> Iterator[tuple[int, str]]:
    """(axis, name) of every size that has a name."""
    for axis, size in enumerate(value.shape or ()):
        if isinstance(size, str):
            yield axis, size


def _short(text: str) -> str:
    return text if text.isalnum() and len(text) < 40 else few([text])
