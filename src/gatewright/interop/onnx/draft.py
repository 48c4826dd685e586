"""An ONNX model in the making: its nodes, constants, inputs and outputs, and how that becomes a file's bytes."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import OptionError, missing_extra
from gatewright.layers.base import in_scope
from gatewright.parameters import Scope

Attributes = dict[str, Any]  # of a node: whole numbers, floats, words, or lists of them
Dims = tuple[int | str, ...]  # of an input or output: a word is the name of a size that differs from call to call
BATCH, TIME = "batch", "time"
INT32, INT64 = 6, 7  # TensorProto.DataType


class Value(NamedTuple):
    """What goes from layer to layer."""

    name: str
    timed: bool = True  # (B, T, F), or (B, F)
    clean: bool = True  # whether it is zero at dead steps
    lengths: str = ""  # (B,) int32, the name of how many steps of every row live; "" where all do


class Place(NamedTuple):
    """Where in the network a layer stands, and what its parameters are called; the two differ for a gw.Shared."""

    path: str
    name: str
    params: Scope

    def inside(self, key: str) -> "Place":
        """The place of a layer inside, which the layer keeps under `key`."""
        path = self.path if key.startswith("shared.") else in_scope(self.path, key)
        return Place(path, in_scope(self.name, key), self.params.scope(key) if key else self.params)


class Node(NamedTuple):
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: Attributes


class Port(NamedTuple):
    """An input or output of the whole."""

    name: str
    dtype: Any
    dims: Dims


@dataclass
class Draft:
    """A graph to which nodes are added; its nodes' results and constants are known by their names.

    dtype: of the model's numbers. opset: the version of ONNX's operators. state: whether states go in and out.
    """

    dtype: Any
    opset: int
    state: bool
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    _taken: dict[str, int] = field(default_factory=dict)
    _made: dict[str, str] = field(default_factory=dict)

    def add(self, op: str, inputs: list[str], place: str, attributes: Attributes | None = None) -> str:
        """A node with one output, and the output's name: `place/op`, with a number if there is one already."""
        (output,) = self.add_many(op, inputs, place, attributes, (op,))
        return output

    def add_many(
        self, op: str, inputs: list[str], place: str, attributes: Attributes | None, outputs: tuple[str, ...]
    ) -> list[str]:
        """A node with several outputs, whose names end in `outputs`; "" for one that nobody wants."""
        names = [self._name(f"{place}/{output}") if output else "" for output in outputs]
        while not names[-1]:
            names.pop()
        while not inputs[-1]:
            inputs = inputs[:-1]
        self.nodes.append(Node(op, inputs, names, attributes or {}))
        return names

    def _name(self, wanted: str) -> str:
        count = self._taken[wanted] = self._taken.get(wanted, -1) + 1
        return f"{wanted}_{count}" if count else wanted

    def constant(self, name: str, array: Any) -> str:
        """A constant of the model's dtype; one of that name is there once, however often it is used."""
        self.constants.setdefault(name, np.ascontiguousarray(array, self.dtype))
        return name

    def number(self, value: float) -> str:
        """A constant of shape ()."""
        return self.constant(f"number {value!r}", np.array(value))

    def ints(self, *values: int) -> str:
        """A constant list of whole numbers: axes, or a shape."""
        name = f"list {' '.join(map(str, values))}"
        self.constants.setdefault(name, np.array(values, np.int64))
        return name

    def index(self, value: int) -> str:
        """A constant whole number, of shape ()."""
        name = f"index {value}"
        self.constants.setdefault(name, np.array(value, np.int64))
        return name

    def once(self, what: str, make: Callable[[], str]) -> str:
        """What `make` adds, where it is first asked for."""
        if what not in self._made:
            self._made[what] = make()
        return self._made[what]

    def rows(self) -> str:
        """(1,): the batch size."""
        return self.once("rows", lambda: self.add("Gather", [self.add("Shape", ["x"], "x"), self.ints(0)], "x"))

    def long(self, lengths: str) -> str:
        """Lengths (B,) as int64."""
        return self.once(f"long {lengths}", lambda: self.add("Cast", [lengths], "lengths", {"to": INT64}))

    def begun(self, lengths: str) -> str:
        """(B, 1) bool: the rows that have a live step."""
        return self.once(f"begun {lengths}", lambda: self.add("Greater", [self._column(lengths), self.index(0)], "lengths"))

    def live(self, x: Value) -> str:
        """(B, T, 1) bool: the steps of x before the end of their row."""
        return self.once(f"live {x.lengths}", lambda: self._live(x))

    def _live(self, x: Value) -> str:
        time = self.add("Gather", [self.add("Shape", [x.name], "steps"), self.index(1)], "steps")
        steps = self.add("Range", [self.index(0), time, self.index(1)], "steps")
        return self.add("Unsqueeze", [self.add("Less", [steps, self._column(x.lengths)], "steps"), self.ints(2)], "steps")

    def _column(self, lengths: str) -> str:
        """(B, 1) int64."""
        return self.once(f"column {lengths}", lambda: self.add("Unsqueeze", [self.long(lengths), self.ints(1)], "lengths"))

    def cleaned(self, x: Value, fill: float = 0.0) -> str:
        """x with zeros, or `fill`, at its dead steps, whatever stands there."""
        if not x.timed or not x.lengths or (x.clean and not fill):
            return x.name
        return self.add("Where", [self.live(x), x.name, self.number(fill)], "steps")

    def give(self, name: str, value: str, dims: Dims) -> None:
        """An output of the whole."""
        self.nodes.append(Node("Identity", [value], [name], {}))
        self.outputs.append(Port(name, self.dtype, dims))


def require(opset: int) -> None:
    """Raises MissingExtraError without the package onnx, OptionError for one that does not know an opset."""
    if find_spec("onnx") is None:
        raise missing_extra("onnx", "onnx", "an ONNX file")
    from onnx import defs

    if opset > defs.onnx_opset_version():
        raise OptionError(f"opset={opset}: the onnx package that is installed knows {defs.onnx_opset_version()} at most")


def encode(draft: Draft) -> bytes:
    """The bytes of a file; the same for the same draft."""
    from onnx import helper, numpy_helper

    def ports(given: list[Port]) -> list[Any]:
        kinds = {port: helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype)) for port in given}
        return [helper.make_tensor_value_info(port.name, kinds[port], port.dims) for port in given]

    nodes = [
        helper.make_node(n.op, n.inputs, n.outputs, name=next(filter(None, n.outputs)), **n.attributes) for n in draft.nodes
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in draft.constants.items()]
    graph = helper.make_graph(nodes, "gatewright", ports(draft.inputs), ports(draft.outputs), constants)
    opsets = [helper.make_opsetid("", draft.opset)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets), producer_name="gatewright",
        producer_version=sys.modules["gatewright"].__version__,
    )  # fmt: skip
    content: bytes = model.SerializeToString(deterministic=True)
    return content
