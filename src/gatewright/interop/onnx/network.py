"""An ONNX file -> a Sequential and its parameters, where the graph is a chain of layers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatewright import files
from gatewright.arrays import FLOAT_DTYPES, Array
from gatewright.errors import FormatError, GatewrightError, MissingExtraError, MissingFileError, one_of
from gatewright.interop.onnx import chains, layers, reader, recurrent, runner
from gatewright.interop.onnx.axes import FEATURES
from gatewright.interop.onnx.calls import Setting
from gatewright.interop.onnx.follow import Follow, Seen
from gatewright.interop.onnx.graph import Graph, Node
from gatewright.interop.onnx.probe import Probe, probe
from gatewright.interop.onnx.terms import Term
from gatewright.interop.tensors import few
from gatewright.layers import Sequential
from gatewright.parameters import Parameters
from gatewright.steps import Steps
from gatewright.threads import Threads

LIMIT = 2**31  # bytes, of a value in the runs that tell what the graph does
NODES = 5000  # that may depend on the input
TOLERANCE, HALVES = 1e-4, 2e-2  # of the largest output: this is no proof of exactness, but of having read it right


def read(path: Any, output: str | None, dtype: Any, compat: str | None) -> tuple[Sequential, Parameters, int]:
    """The layers of a file that give an output, None for the first, and how many weights are there more than once now.

    Raises OptionError for an unknown one, MissingFileError, MissingExtraError, or FormatError with file and node.
    """
    if compat not in recurrent.READINGS:
        raise one_of("compat", compat, recurrent.READINGS)
    graph = reader.read(files.checked_path(path))
    if output is not None and output not in graph.outputs:
        raise one_of("output", output, graph.outputs)
    try:
        return _read(graph, output, dtype, compat)
    except (MissingFileError, MissingExtraError):
        raise
    except RecursionError:
        raise FormatError(f"{graph.path}: its layers stand inside each other without end") from None
    except GatewrightError as error:
        text = str(error)
        raise FormatError(text if text.startswith(graph.path) else f"{graph.path}: {text}") from None


class Example(NamedTuple):
    """Random inputs of a file as it has them, and as the Model takes them that it becomes."""

    feed: dict[str, Array]  # initial states are zero
    x: Array  # (B, T, F), or (B, T) indices
    lengths: Array | None  # (B,)
    output: str
    like: Callable[[Array, Array], Array]  # (the file's output, the Model's) -> the first as the Model has it


def example(path: Any, output: str | None = None) -> Example:
    """Inputs for a file that `read` takes, with which another runtime can be asked for the same output."""
    graph = reader.read(files.checked_path(path))
    name = next(iter(graph.outputs)) if output is None else output
    follow, y = _followed(graph, name, None)
    run, roles = follow.probe.runs[0], follow.probe.roles
    feed = {name: run[name] for name in (roles.x, *([roles.lengths] if roles.lengths else []), *roles.states)}
    x, lengths = _inputs(follow, run)
    return Example(feed, x, lengths, name, lambda array, got: _alive(_like(y, array, got, follow), got, lengths))


def _read(graph: Graph, output: str | None, dtype: Any, compat: str | None) -> tuple[Sequential, Parameters, int]:
    name, *others = graph.outputs if output is None else [output]
    follow, y = _followed(graph, name, compat)
    for other in others:
        _check_state(follow, other)
    kind = _dtype(follow.probe, name)
    layer, parameters, copied = chains.whole(_part(follow, name, y), kind if dtype is None else dtype)
    _verify(follow, y, layer, parameters.astype(kind))
    return layer, parameters, copied


def _followed(graph: Graph, name: str, compat: str | None) -> tuple[Follow, Seen]:
    """What the nodes of a graph mean, and what an output is."""
    seen = probe(graph, Setting(graph.opset, LIMIT, compat, "numpy", Threads(1)))
    if sum(any(seen.depends(name) for name in node.outputs) for node in graph.nodes) > NODES:
        raise FormatError(f"more than {NODES} nodes, which no chain of layers needs; gw.OnnxGraph runs the file as it is")
    follow = Follow(seen)
    for node in graph.nodes:
        if any(seen.depends(name) for name in node.outputs):
            _read_node(follow, node)
    if name in follow.refused:
        raise follow.refused[name]
    if name not in follow.values:
        raise FormatError(f"the output {few([name])} does not depend on the input")
    return follow, follow.settled(graph.nodes[-1], follow.values[name])


def _read_node(follow: Follow, node: Node) -> None:
    """What a node gives; why that can't be told is said only if the output depends on it."""
    before = [follow.refused[name] for name in node.inputs if name in follow.refused]
    try:
        if not before:
            layers.read(follow, node)
            before = [FormatError(f"{node.place}: it has an output that no layer gives; gw.OnnxGraph runs the file as it is")]
    except FormatError as error:
        before = [error]
    except runner.NUMPY:  # arrays that don't go together where a layer's would
        before = [FormatError(f"{node.place}: no layer computes that; gw.OnnxGraph runs the file as it is")]
    follow.refused |= {name: before[0] for name in node.outputs if name and name not in follow.values}


def _dtype(seen: Probe, name: str) -> Any:
    """In which the graph computes: float64, or float32 for all narrower ones."""
    return np.dtype(np.float64 if seen.runs[0][name].dtype == np.float64 else np.float32)


def _part(follow: Follow, name: str, y: Seen) -> Any:
    """What the output is, if it is (batch, time, features) or so."""
    order = [axis for axis in y.axes if axis]
    B, T = (("0",), ("1",)) if follow.time != "0" else (("1",), ("0",))
    known = [[B, T, FEATURES], [T, B, FEATURES], [B, FEATURES], [B, T], [T, B], [B]]
    if len(y.parts) != 1 or order not in known:
        raise FormatError(f"the output {few([name])} is not (batch, time, features); gw.OnnxGraph runs the file as it is")
    if y.parts[0].flipped:
        raise FormatError(f"the output {few([name])} has its steps in another order; gw.OnnxGraph runs the file as it is")
    return y.parts[0].term


def _check_state(follow: Follow, name: str) -> None:
    """Raises FormatError unless a further output is a last state, which `run` gives."""
    if name.removesuffix("_out") in follow.probe.roles.states and name.endswith("_out"):
        return
    value = follow.values.get(name)
    if value is None or value.points is not None or not all(_is_state(part.term) for part in value.parts):
        told = "no last state of a layer: output= picks the one that is wanted"
        raise FormatError(f"the output {few([name])} is {told}; gw.OnnxGraph runs the file as it is")


def _is_state(term: Term) -> bool:
    """Whether a term is a layer's last state, or several side by side."""
    if term.how == "concat":
        return all(map(_is_state, term.inputs))
    return term.how == "cell" or (term.recurrent is not None and not term.recurrent.return_sequences)


def _verify(follow: Follow, y: Seen, layer: Sequential, parameters: Parameters) -> None:
    """Raises FormatError unless the layers give what the graph gave, at live steps."""
    for run in follow.probe.runs:
        (x, lengths), wanted = _inputs(follow, run), run[y.name]
        x = x.astype(np.intp if layer.takes_indices else parameters.dtype)
        got = layer.forward(parameters, x, None, steps=None if lengths is None else Steps(lengths), kernel="numpy")[0]
        tolerance = TOLERANCE if wanted.dtype.name in FLOAT_DTYPES else HALVES
        wanted = _alive(_like(y, wanted, got, follow), got, lengths)
        scale = max(float(np.abs(wanted).max(initial=0)), 1e-3)
        if not np.abs(got - wanted).max(initial=0) <= tolerance * scale:
            raise FormatError(f"read as {layer}, which gives other numbers; gw.OnnxGraph runs the file as it is")


def _inputs(follow: Follow, run: dict[str, Array]) -> tuple[Array, Array | None]:
    """x (B, T, F), or (B, T) indices, and the lengths (B,) of a run."""
    roles = follow.probe.roles
    x = run[roles.x].swapaxes(0, 1) if follow.time == "0" else run[roles.x]
    return x, None if roles.lengths is None else run[roles.lengths].astype(int)


def _alive(wanted: Array, got: Array, lengths: Array | None) -> Array:
    """The file's output, with the Model's in its dead steps, of which they need not say the same."""
    if lengths is None or got.ndim < 3:
        return wanted
    return np.where((np.arange(got.shape[1]) >= lengths[:, None])[..., None], got, wanted)


def _like(y: Seen, array: Array, got: Array, follow: Follow) -> Array:
    """The graph's output with the axes of ours."""
    order = [axis for axis in y.axes if axis]
    array = array.reshape([size for size, axis in zip(array.shape, y.axes, strict=True) if axis])
    if follow.time is not None and len(order) > 1 and order[0] == (follow.time,):
        array = array.swapaxes(0, 1)
    if array.size != got.size or (got.ndim == 3) != (len([axis for axis in order if axis != FEATURES]) == 2):
        raise FormatError(f"read as layers that give {got.shape}, where the graph gives {array.shape}")
    return array.reshape(got.shape).astype(got.dtype)
