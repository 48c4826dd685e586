"""Runs a graph: every node bound once, then one after the other, each value kept as long as somebody reads it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError, GatewrightError, MissingExtraError, OptionError
from gatewright.interop.onnx import operators
from gatewright.interop.onnx.calls import MANY, Call, Setting, half
from gatewright.interop.onnx.graph import Graph, Node, last_uses
from gatewright.interop.tensors import few

FOLDED = 2**26  # bytes beyond four times the constants' own that making further constants of them may read and write
# What NumPy raises for arrays that don't go together, and for more than there is memory for.
NUMPY = (ValueError, TypeError, IndexError, ArithmeticError, MemoryError)


class Bound(NamedTuple):
    """One node, ready to run."""

    call: Call
    function: Callable[..., Any]  # of the inputs
    gone: tuple[str, ...]  # what nobody reads afterwards


class Program(NamedTuple):
    """A graph, ready to run: the nodes that are left, and the constants that the others gave."""

    graph: Graph
    limit: int
    nodes: tuple[Bound, ...]
    constants: Mapping[str, Array]


def prepare(graph: Graph, setting: Setting) -> Program:
    """Binds every node, and runs those that constants are enough for. Raises FormatError, with the file's name."""
    constants, fixed, nodes = dict(graph.constants), graph.fixed(), list[Bound]()
    left = FOLDED + 4 * sum(array.nbytes for array in fixed.values())
    with np.errstate(all="ignore"):
        for node, gone in zip(graph.nodes, last_uses(graph), strict=True):
            made = None
            inputs = [fixed.get(name) for name in node.inputs]
            cost = sum(0 if array is None else array.nbytes for array in inputs)
            known = all(name in fixed for name in node.inputs if name)
            step = _bind(graph, node, setting, constants, gone)
            if known and node.op in operators.CHEAP and cost <= left:
                made = _folded(step, inputs, left - cost)
            if made is None:
                nodes.append(step)
            else:
                left -= cost + sum(array.nbytes for array in made.values())
                fixed |= made
                constants |= made
    return Program(graph, setting.limit, tuple(nodes), constants)


def run(program: Program, given: Mapping[str, Array]) -> dict[str, Array]:
    """The graph's outputs, the caller's own, for checked inputs. Raises FormatError, with the place in the file."""
    graph, values = program.graph, {**program.constants, **given}
    memory = Memory(values)
    with np.errstate(all="ignore"):
        for step in program.nodes:
            node = step.call.node
            made = _run(graph, step, [values[name] if name else None for name in node.inputs])
            for name, array in made.items():
                values[name] = array
                memory.keep(name, array)
            if memory.size > program.limit:
                told = f"{memory.size} bytes of values are needed at a time, more than the limit of {program.limit} (limit=)"
                raise FormatError(f"{graph.path}: {node.place}: {told}")
            for name in step.gone:
                values.pop(name, None)
                memory.drop(name)
    theirs = {id(array) for array in (*program.constants.values(), *given.values())}
    return {name: _own(values[name], theirs) for name in graph.outputs}


class Memory:
    """How many bytes the values of a run hold: views hold all of the array that they are a part of."""

    def __init__(self, known: Mapping[str, Array]) -> None:
        self.size = 0
        self._known = {id(_whole(array)) for array in known.values()}  # what was there before
        self._names: dict[str, Array] = {}  # the whole array of every value
        self._users: dict[int, int] = {}  # how many values a whole array has

    def keep(self, name: str, array: Array) -> None:
        """Counts a value."""
        whole = _whole(array)
        if id(whole) not in self._known:
            users = self._users[id(whole)] = self._users.get(id(whole), 0) + 1
            self.size += whole.nbytes if users == 1 else 0
            self._names[name] = whole

    def drop(self, name: str) -> None:
        """Counts it no longer."""
        if (whole := self._names.pop(name, None)) is not None:
            self._users[id(whole)] -= 1
            if not self._users[id(whole)]:
                del self._users[id(whole)]
                self.size -= whole.nbytes


def _whole(array: Array) -> Array:
    """The array that a view is a part of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _own(array: Array, taken: set[int]) -> Array:
    """The array, or a copy where it is, or may be a part of, somebody else's."""
    if array.base is not None or id(array) in taken or not array.flags.c_contiguous:
        array = np.array(array, order="C")
    taken.add(id(array))
    return array


# --- one node


def _bind(graph: Graph, node: Node, setting: Setting, constants: Mapping[str, Array], gone: tuple[str, ...]) -> Bound:
    try:
        call = operators.bind(node, setting, constants)
        function = call.form.function(call) if call.form.binds else partial(call.form.function, call)
    except (MissingExtraError, OptionError):  # kernel="compiled" where that can't be
        raise
    except (GatewrightError, *NUMPY) as error:
        raise _error(graph, node, error) from None
    return Bound(call, function, gone)


def _run(graph: Graph, step: Bound, inputs: list[Array | None]) -> dict[str, Array]:
    """{name: array} of a node's outputs."""
    try:
        return _outputs(step, inputs)
    except OptionError:
        raise
    except (GatewrightError, *NUMPY) as error:
        raise _error(graph, step.call.node, error) from None


def _folded(step: Bound, inputs: list[Array | None], limit: int) -> dict[str, Array] | None:
    """The outputs of a node of constants; None where they are too large, or it fails, which a run will tell."""
    call = replace(step.call, setting=step.call.setting._replace(limit=limit))
    function = call.form.function(call) if call.form.binds else partial(call.form.function, call)
    try:
        made = _outputs(step._replace(call=call, function=function), inputs)
    except (GatewrightError, *NUMPY):
        return None
    return made if sum(array.nbytes for array in made.values()) <= limit else None


def _outputs(step: Bound, inputs: list[Array | None]) -> dict[str, Array]:
    """{name: array} of a node's outputs; halves are computed in float32 where its function doesn't take them."""
    form, names = step.call.form, step.call.node.outputs
    if form.inputs[1] != MANY:
        inputs = inputs + [None] * (form.inputs[1] - len(inputs))
    narrow = None
    if not form.halves and any(array is not None and half(array.dtype) for array in inputs):
        first = next(array.dtype for array in inputs if array is not None and array.dtype.kind in "fV")
        narrow = first if half(first) else None  # the outputs are of the type of the first input that holds floats at all
        inputs = [array.astype(np.float32) if array is not None and half(array.dtype) else array for array in inputs]
    found = step.function(*inputs)
    made = found if isinstance(found, tuple) else (found,)
    arrays = {name: np.asarray(array) for name, array in zip(names, made, strict=False) if name}
    if narrow is None:
        return arrays
    return {name: array.astype(narrow) if array.dtype == np.float32 else array for name, array in arrays.items()}


def _error(graph: Graph, node: Node, error: Exception) -> FormatError:
    """The one line that names the file and the node."""
    text = str(error) if isinstance(error, GatewrightError) else few([" ".join(str(error).split())]).strip("'\"")
    if isinstance(error, MemoryError):
        text = "there is not enough memory"
    place = "" if text.startswith(node.place) else f"{node.place}: "
    return FormatError(f"{graph.path}: {place}{text}")
