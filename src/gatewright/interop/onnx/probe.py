"""What a graph does, seen from outside: it is run on random inputs at two sizes, and every value in it is kept.

What does not depend on the inputs' numbers, such as weights or shapes computed from shapes, is then known without a rule for
each operator; and what a chain of layers must give is known too.
"""

from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx import runner
from gatewright.interop.onnx.calls import Call, Setting
from gatewright.interop.onnx.graph import Graph, Node, Value
from gatewright.interop.tensors import few

RECURRENT = ("RNN", "GRU", "LSTM")
# The sizes of the input's first two axes, in two runs: what is a size of the run differs between them. Windows need some room.
PRIMES, WINDOWS = ((7, 11), (11, 13)), ((23, 37), (29, 41))
SLIDING = ("Conv", "MaxPool", "AveragePool")
SHAPES = ("Shape", "Size")  # operators that look at shapes alone


class Roles(NamedTuple):
    """Which input is what."""

    x: str
    lengths: str | None
    states: tuple[str, ...]


class Probe(NamedTuple):
    """A graph and two runs of it."""

    graph: Graph
    roles: Roles
    calls: dict[int, Call]  # the nodes that depend on the inputs, by their index
    sources: dict[str, frozenset[str]]  # the inputs on whose numbers a value depends
    roots: dict[str, frozenset[str]]  # the initializers of which a constant is made
    runs: tuple[dict[str, Array], ...]

    def constant(self, name: str) -> Array | None:
        """A value that is the same whatever the inputs are; None where there is none, or it depends on them."""
        if not name or self.sources[name]:
            return None
        first, second = (run[name] for run in self.runs)
        return first if first.shape == second.shape and np.array_equal(first, second) else None

    def depends(self, name: str) -> bool:
        """Whether a value depends on the numbers of x."""
        return bool(name) and self.roles.x in self.sources[name]


def probe(graph: Graph, setting: Setting) -> Probe:
    """Two runs of a graph. Raises FormatError where it can't be run so, or there is not one input."""
    constants = graph.constants
    sources: dict[str, frozenset[str]] = {name: frozenset() for name in constants}
    sources |= {name: frozenset([name]) for name in graph.inputs if name not in constants}
    roots: dict[str, frozenset[str]] = {name: frozenset([name]) for name in constants}
    for node in graph.nodes:
        names = [name for name in node.inputs if name]
        found = frozenset[str]() if node.op in SHAPES else frozenset[str]().union(*(sources[name] for name in names))
        root = frozenset[str]().union(*(roots.get(name, frozenset()) for name in names))
        sources |= {name: found for name in node.outputs if name}
        roots |= {name: root for name in node.outputs if name}
    roles = _roles(graph, sources)
    made = [name for node in graph.nodes for name in node.outputs if name]
    wanted = dict.fromkeys([*graph.outputs, *made], Value(np.dtype(np.float32), None))
    program = runner.prepare(graph._replace(outputs=wanted), setting)
    runs = tuple(_run(program, graph, roles, number) for number in range(2))
    calls = {step.call.node.number: step.call for step in program.nodes}
    return Probe(graph, roles, calls, sources, roots, runs)


def _roles(graph: Graph, sources: dict[str, frozenset[str]]) -> Roles:
    """What the inputs are for: initial states and lengths are what goes there in the recurrent operators."""
    inputs = [name for name in graph.inputs if name not in graph.constants]
    lengths, states = set[str](), set[str]()
    for node in graph.nodes:
        if node.op in RECURRENT:
            lengths |= {name for name in _fed(node, (4,), sources) if len(graph.inputs[name].shape or ()) == 1}
            states |= _fed(node, (5, 6), sources)
    first = next((_fed(node, (0,), sources) for node in graph.nodes if node.op in RECURRENT), frozenset[str]())
    lengths, states = lengths - first, states - first  # what goes through the first one is x
    vectors = {name for name in inputs if len(graph.inputs[name].shape or ()) == 1}
    lengths |= {name for name in vectors if graph.inputs[name].dtype.kind in "iu"}
    if len(inputs) > 1:  # a convolution's state; such a one comes out too
        states |= {name for name in inputs if f"{name}_out" in graph.outputs}
    rest = [name for name in inputs if name not in lengths | states]
    if len(rest) != 1:
        raise FormatError(f"it has {len(rest)} inputs beside lengths and initial states, {few(rest)}, wanted one")
    if len(lengths) > 1 or lengths & states:
        raise FormatError(f"the lengths come from {few(sorted(lengths))}, wanted one input")
    return Roles(rest[0], next(iter(lengths), None), tuple(name for name in inputs if name in states))


def _fed(node: Node, places: tuple[int, ...], sources: dict[str, frozenset[str]]) -> frozenset[str]:
    """The inputs that go into some of a node's."""
    names = [node.inputs[place] for place in places if place < len(node.inputs) and node.inputs[place]]
    return frozenset[str]().union(*(sources[name] for name in names))


def _run(program: runner.Program, graph: Graph, roles: Roles, number: int) -> dict[str, Array]:
    """All values of one run, inputs among them."""
    given = graph.inputs[roles.x]
    if given.shape is None or len(given.shape) not in (2, 3):
        raise FormatError(f"the input {few([roles.x])} has not the axes batch, time and features")
    if not isinstance(given.shape[-1], int) and given.dtype.kind == "f":
        raise FormatError(f"the input {few([roles.x])} does not say how many features it has")
    rng = np.random.default_rng(number)
    primes = (WINDOWS if any(node.op in SLIDING for node in graph.nodes) else PRIMES)[number]
    sizes = [size if isinstance(size, int) else prime for size, prime in zip(given.shape, primes, strict=False)]
    shape = (*sizes, *(size for size in given.shape[2:] if isinstance(size, int)))
    feed = {roles.x: rng.integers(0, 2, shape) if given.dtype.kind in "iu" else rng.standard_normal(shape)}
    feed[roles.x] = feed[roles.x].astype(given.dtype)
    others = [name for name in (*roles.states, *([roles.lengths] if roles.lengths else [])) if name]
    error: FormatError | None = None
    for batch, time in ((0, 1), (1, 0)) if others else ((0, 1),):  # which of the axes is the batch, they may tell
        try:
            named = {name: _other(graph, name, rng, name == roles.lengths, sizes[batch], sizes[time]) for name in others}
            values = runner.run(program, feed | named)
            return {**graph.constants, **feed, **named, **values}
        except FormatError as caught:
            error = error or caught
    assert error is not None
    raise error


def _other(graph: Graph, name: str, rng: np.random.Generator, counts: bool, batch: int, time: int) -> Array:
    """Random lengths (B,), one of them the whole, or an initial state (D, B, H) of zero."""
    dtype, shape = graph.inputs[name]
    if counts:  # none is 0: of such rows the specification does not tell
        lengths = rng.integers(1, time + 1, batch)
        lengths[0] = time
        return lengths.astype(dtype)
    if shape is None or sum(not isinstance(size, int) for size in shape) > 1:
        raise FormatError(f"the input {few([name])} has axes of unknown size beside the batch")
    return np.zeros([size if isinstance(size, int) else batch for size in shape], dtype)
