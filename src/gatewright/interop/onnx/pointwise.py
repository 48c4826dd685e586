"""Which activation, or layer normalisation, nodes are that compute number by number, or row by row: `Points`.

One operator says it by its name. What several compute together is found by trying: they are run on numbers over a wide range,
and the formulas that we have, with the constants that stand there, are held against what comes out.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from gatewright.activations import FORMULAS, ROWWISE, Activation
from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx import runner
from gatewright.interop.onnx.calls import Call
from gatewright.interop.onnx.graph import Graph, Node, Value
from gatewright.interop.onnx.probe import Probe
from gatewright.interop.onnx.recurrent import ACTIVATIONS
from gatewright.layers import BatchNorm, LayerNorm

OPERATORS = frozenset({
    "Abs", "Add", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "LogSoftmax",
    "Max", "Min", "Mish", "Mul", "Neg", "Pow", "ReduceMean", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softmax", "Softplus",
    "Softsign", "Sqrt", "Sub", "Swish", "Tanh", "ThresholdedRelu",
})  # fmt: skip
SELU = float(np.float32(1.67326319217681884765625)), float(np.float32(1.05070102214813232421875))  # alpha and gamma
RANGE, FAR = 12.0, 40.0  # beyond the first, all activations are nearly straight lines
ENOUGH = 2000  # numbers that are tried
MOST = 24  # nodes that are one activation
NAMED = {op: ours for op, (ours, _) in ACTIVATIONS.items()}
TOLERANCE = {"float16": 4e-3, "float32": 4e-6, "float64": 1e-9}  # relative; exp, erf and their differences are in it


class Points(NamedTuple):
    """Nodes that compute each number, or row, of `base` by itself, in order; the last one makes the value."""

    base: str
    nodes: tuple[Node, ...]


class Norm(NamedTuple):
    """A normalisation and its parameters."""

    layer: LayerNorm | BatchNorm
    arrays: dict[str, Array]


def nice(value: float, default: float | None = None) -> float:
    """The number that was meant: ONNX keeps it in float32."""
    if default is not None and np.float32(default) == np.float32(value):
        return default
    return float(str(np.float32(value))) if np.float64(np.float32(value)) == value else value


def identify(probe: Probe, points: Points) -> Activation | Norm | None:
    """What the nodes compute, or None."""
    first, *rest = points.nodes
    bound = _clip(probe, first) if first.op == "Clip" else None
    used_later = any(points.base in node.inputs for node in rest)
    if bound is not None and not used_later:
        inner = identify(probe, Points(first.outputs[0], tuple(rest))) if rest else Activation("linear")
        if not isinstance(inner, Activation) or inner.clip is not None or inner.name in ROWWISE:
            return None
        return replace(inner, clip=bound)
    if not rest and (named := _named(probe.calls[first.number], len(probe.runs[0][points.base].shape))) is not None:
        return named
    if len(points.nodes) > MOST:
        return None
    if any(node.op == "ReduceMean" for node in points.nodes):
        return _norm(probe, points)
    return _tried(probe, points) or _scaled(probe, points)


def ends(points: Points) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """Every value within, the first ones first, through which all ways lead, and the nodes behind it."""
    before = {points.base}
    for index, node in enumerate(points.nodes[:-1]):
        rest = points.nodes[index + 1 :]
        if not any(name in before for each in rest for name in each.inputs):
            yield node.outputs[0], rest
        before.add(node.outputs[0])


def _clip(probe: Probe, node: Node) -> float | None:
    """c of what is clipped to [-c, c], or None."""
    call = probe.calls[node.number]
    if "min" in call.attributes:
        low, high = call["min"], call["max"]
    else:
        low, high = (_single(probe, node.inputs[k]) if len(node.inputs) > k else None for k in (1, 2))
    return nice(high) if low is not None and high is not None and low == -high and 0 < high < np.inf else None


def _single(probe: Probe, name: str) -> float | None:
    """The number that a constant is."""
    array = probe.constant(name)
    return None if array is None or array.size != 1 else float(array.reshape(-1)[0])


def _named(call: Call, rank: int) -> Activation | None:
    """The activation that one operator is by its name."""
    op = call.node.op
    if op in ("Softmax", "LogSoftmax"):
        return Activation("softmax" if op == "Softmax" else "log_softmax") if call["axis"] % rank == rank - 1 else None
    if op == "Selu":
        return Activation("selu") if (call["alpha"], call["gamma"]) == SELU else None
    if (op == "Gelu" and call["approximate"] == "none") or (op == "Swish" and call["alpha"] == 1):
        return Activation("gelu" if op == "Gelu" else "silu")
    if op not in NAMED:
        return None
    formula = FORMULAS[NAMED[op]]
    constants = [nice(call[name], getattr(formula, name)) for name in ("alpha", "beta") if name in call.attributes]
    return Activation(NAMED[op], *constants)


# --- trying


def _computed(probe: Probe, points: Points, x: Array) -> Array | None:
    """What the nodes make of x, which is as the base is, but for the number of rows.

    None where that can't be, or is not finite.
    """
    made = {name for node in points.nodes for name in node.outputs}
    run = probe.runs[0]
    needed = {name for node in points.nodes for name in node.inputs if name and name not in made and name != points.base}
    graph = Graph(
        probe.graph.path, probe.graph.opset, points.nodes, {points.base: Value(x.dtype, None)},
        {points.nodes[-1].outputs[0]: Value(x.dtype, None)}, {name: run[name] for name in needed},
    )  # fmt: skip
    setting = probe.calls[points.nodes[0].number].setting
    try:
        (y,) = runner.run(runner.prepare(graph, setting), {points.base: x}).values()
    except FormatError:  # constants that are made for one size of the batch
        return None
    return y if y.shape == x.shape and np.isfinite(y).all() else None


def _some(array: Array) -> Array:
    """Zeros of the shape of an array with as many rows as are needed to tell activations apart."""
    return np.zeros((-(-ENOUGH // max(array[:1].size, 1)), *array.shape[1:]), array.dtype)


def _constants(probe: Probe, points: Points) -> tuple[list[float], list[Array]]:
    """The numbers, and the vectors, that stand in the nodes."""
    made = {name for node in points.nodes for name in node.outputs}
    names = dict.fromkeys(name for node in points.nodes for name in node.inputs if name and name not in made)
    arrays = [array for name in names if name != points.base and (array := probe.constant(name)) is not None]
    arrays = [array for array in arrays if array.dtype.kind == "f"]
    return [float(array.reshape(-1)[0]) for array in arrays if array.size == 1], [a.reshape(-1) for a in arrays]


def _close(got: Array, wanted: Array) -> bool:
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return False
    return bool((np.abs(got - wanted) <= TOLERANCE[got.dtype.name] * np.maximum(np.abs(wanted), 1)).all())


def _tried(probe: Probe, points: Points) -> Activation | None:
    """The activation whose values the nodes give."""
    like = _some(probe.runs[0][points.base])
    if like.dtype.name not in TOLERANCE or like.size < 8:
        return None
    grid = np.concatenate([[0, 1, -1, FAR, -FAR], np.linspace(-RANGE, RANGE, like.size - 5)]).astype(like.dtype)
    y = _computed(probe, points, grid.reshape(like.shape))
    if y is None:
        return None
    scalars, _ = _constants(probe, points)
    for activation in _candidates(y.reshape(-1)[:5].astype(float).tolist(), scalars):
        if _close(y.reshape(-1), activation.forward(grid.astype(float))):
            return activation
    return None


def _candidates(at: list[float], scalars: list[float]) -> Iterator[Activation]:
    """Activations that may have these values at 0, 1, -1, FAR and -FAR, with constants that stand there."""
    zero, one, minus, high, low = at
    known = [nice(s) for s in scalars] + [1 / s for s in scalars if s]
    known += [0.0, 1.0, 1 / 6, *(-value for value in known)]

    def snap(value: float) -> float:
        """The constant that a value is, but for rounding."""
        return next((k for k in known if abs(k - value) <= 4e-6 * max(abs(value), 1)), value)

    for name in ("silu", "gelu", "sigmoid", "tanh", "softplus", "softsign", "relu"):
        yield Activation(name)
    yield Activation("affine", snap(one - zero), snap(zero))
    yield Activation("leaky_relu", snap(-minus))
    yield Activation("elu", snap(-low))
    for value in dict.fromkeys(known):
        yield Activation("hard_sigmoid", value, snap(zero))
        yield Activation("scaled_tanh", snap(high), value)


def _norm(probe: Probe, points: Points) -> Norm | None:
    """The layer normalisation whose values the nodes give, over the last axis."""
    like = _some(probe.runs[0][points.base])
    if like.dtype.name not in TOLERANCE:
        return None
    size = like.shape[-1]
    rng = np.random.default_rng(0)
    scale = 10 ** -rng.uniform(0, 3, (*like.shape[:-1], 1))  # so that epsilon counts in some rows
    x = (scale * (3 * rng.standard_normal(like.shape) + 1)).astype(like.dtype)
    scalars, arrays = _constants(probe, points)
    vectors = [array for array in arrays if array.size == size][:4]
    y = _computed(probe, points, x)
    if y is None:
        return None
    wide = x.astype(float)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    ones, zeros = np.ones(size), np.zeros(size)
    for epsilon in [value for value in scalars if 0 < value < 1][:4]:
        normal = centred / np.sqrt(variance + epsilon)
        for gain, shift in product([*vectors, ones], [*vectors, zeros]):
            if _close(y, normal * gain + shift):
                return Norm(LayerNorm(size, epsilon=nice(epsilon)), {"gain": gain, "shift": shift})
    return None


def _scaled(probe: Probe, points: Points) -> Norm | None:
    """Every feature times a constant, plus one, as standardised inputs are: a BatchNorm whose mean is 0, and its variance 1."""
    like = _some(probe.runs[0][points.base])
    if like.dtype.name not in TOLERANCE or any(node.op not in ("Add", "Sub", "Mul", "Div") for node in points.nodes):
        return None
    x = np.random.default_rng(0).standard_normal(like.shape).astype(like.dtype)
    found = [_computed(probe, points, each) for each in (like, like + 1, x)]
    if any(array is None for array in found):
        return None
    zero, one, y = (array.astype(float) for array in found if array is not None)
    size = like.shape[-1]
    shift = zero.reshape(-1, size)[0]
    gain = one.reshape(-1, size)[0] - shift
    if not np.isfinite([gain, shift]).all() or not _close(y.astype(like.dtype), x * gain + shift):
        return None
    layer = BatchNorm(size)
    return Norm(layer, {"gain": gain, "shift": shift, "mean": np.zeros(size), "var": np.full(size, 1 - layer.epsilon)})
