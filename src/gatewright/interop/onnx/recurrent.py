"""ONNX's RNN, GRU and LSTM as layers of ours: the whole operator, opset 7 on, on NumPy or compiled.

    X (T, B, F), W (D, kH, F), R (D, kH, H), B (D, 2kH) = [Wb, Rb], sequence_lens (B,), initial_h (D, B, H), and for an LSTM
    initial_c (D, B, H), P (D, 3H)  ->  Y (T, D, B, H), Y_h (D, B, H), Y_c (D, B, H)

D directions, k gates: i o f c (LSTM), z r h (GRU), peepholes i o f. With layout=1 the batch is the first axis of X, Y and the
states. Steps behind a row's length have a Y of zero and leave the states alone; the reverse direction begins at a row's end.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import FormatError, OptionError
from gatewright.interop import gates, tensors
from gatewright.interop.onnx.calls import Call, Form, Forms, Made, floats, same
from gatewright.interop.tensors import few
from gatewright.layers import GRU, LSTM, RNN
from gatewright.parameters import Parameters
from gatewright.prepared import Pool, infer
from gatewright.steps import Steps

Kind: TypeAlias = type[RNN] | type[GRU] | type[LSTM]
LAYERS: dict[str, Kind] = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
GATES = {"RNN": "h", "GRU": "zrn", "LSTM": "iofg"}  # in ONNX's order, by our letters
OPTIONS = {  # which activation is which of ours, in the order f g h
    "RNN": ("activation",),
    "GRU": ("recurrent_activation", "activation"),
    "LSTM": ("recurrent_activation", "activation", "cell_activation"),
}
DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
# Ours, and the defaults of alpha and beta, as many as it takes; None: the specification has none.
ACTIVATIONS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "Relu": ("relu", ()),
    "Tanh": ("tanh", ()),
    "Sigmoid": ("sigmoid", ()),
    "Softsign": ("softsign", ()),
    "Softplus": ("softplus", ()),
    "LeakyRelu": ("leaky_relu", (0.01,)),
    "ThresholdedRelu": ("thresholded_relu", (1.0,)),
    "Elu": ("elu", (1.0,)),
    "HardSigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "ScaledTanh": ("scaled_tanh", (None, None)),
    "Affine": ("affine", (None, None)),
}


class Reading(NamedTuple):
    """How the operators are read where runtimes differ; by itself as the specification says."""

    clips_cell: bool = True  # LSTM: clip also brings what goes into h, the activation of the cell state, into its bounds
    keeps_state: bool = True  # of a row of length 0, Y_h and Y_c are the initial states; else zero
    defaults: Mapping[str, tuple[float, ...]] = MappingProxyType({})  # of alpha and beta, where they are others than above
    lenient: bool = False  # names in any case, and more activations of an RNN, alphas and betas than are needed


# What onnxruntime 1.31 does, which tests/golden/record_onnx_graphs.py records. It has no layout=1, which runs here anyway.
ZEROS = MappingProxyType({"ThresholdedRelu": (0.0,), "ScaledTanh": (0.0, 0.0), "Affine": (0.0, 0.0)})
READINGS = {None: Reading(), "onnxruntime": Reading(clips_cell=False, keeps_state=False, defaults=ZEROS, lenient=True)}


class Cell(NamedTuple):
    """The layer of a node, with its parameters."""

    layer: RNN | GRU | LSTM
    params: Parameters
    pool: Pool


def bind(call: Call) -> Callable[..., Made]:
    """What runs a node; where its weights are constants, they are brought into our form once, here."""
    names = dict(zip(INPUTS, call.node.inputs, strict=False))
    weights = [names.get(name, "") for name in ("W", "R", "B", "P")]
    known = [call.constants.get(name) for name in weights]
    kept = cell(call, *known) if all(not name or name in call.constants for name in weights) else None

    def run(X: Array, W: Array, R: Array, B: Array | None, lengths: Array | None, h: Array | None,
            c: Array | None = None, P: Array | None = None) -> Made:  # fmt: skip
        same(*(array for array in (X, W, R, B, h, c, P) if array is not None))
        mine = kept is not None and all(a is b for a, b in zip((W, R, B, P), known, strict=True))  # else a default was replaced
        found = kept if kept is not None and mine else cell(call, W, R, B, P)
        x = _input(call, found, X)
        outputs = _run(call, found, x, _lengths(lengths, x), _states(call, found, x, (h, c)))
        return tuple(array.astype(X.dtype, copy=False) for array in outputs)

    return run


def cell(call: Call, W: Array | None, R: Array | None, B: Array | None, P: Array | None) -> Cell:
    """The layer that a node's attributes and weights say, and its parameters."""
    assert W is not None
    assert R is not None
    layer, arrays = _layer(call, W, R, B, P)
    wide = np.dtype(np.float64 if W.dtype == np.float64 else np.float32)
    params = tensors.parameters({name: arrays[name] for name in layer.shapes()}, (), wide)
    layer.choice(wide, call.setting.kernel)
    return Cell(layer, params, Pool(layer, params, wide, call.setting.kernel, call.setting.threads))


def _batch_first(call: Call) -> bool:
    return bool(call.choice("layout", (0, 1)) if "layout" in call.attributes else 0)


def _run(call: Call, found: Cell, x: Array, lengths: Array | None, state: Any) -> Iterator[Array]:
    """Y, Y_h and Y_c for x (B, T, F)."""
    layer, setting = found.layer, call.setting
    steps = None if lengths is None else Steps(lengths)
    done = found.pool.run(x, state) if steps is None else None
    if done is None:
        with setting.threads.limit():
            done = infer(layer, found.params, x, (state, steps), setting.kernel)
    y, final = done
    if layer.go_backwards:
        y = _turned(y, lengths)
    y = y.reshape(*y.shape[:2], len(layer.directions), layer.hidden_size)  # (B, T, D, H)
    yield y if _batch_first(call) else y.transpose(1, 2, 0, 3)
    for array in final:
        if lengths is not None and not READINGS[setting.compat].keeps_state:
            array = np.where((lengths > 0)[:, None], array, array.dtype.type(0))
        yield array.swapaxes(0, 1) if _batch_first(call) else array


def _turned(y: Array, lengths: Array | None) -> Array:
    """The live steps of y (B, T, O), which stand first, in the opposite order."""
    if lengths is None:
        return y[:, ::-1]
    steps = np.arange(y.shape[1])
    steps = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return y[np.arange(len(y))[:, None], steps]


# --- inputs


def _input(call: Call, found: Cell, X: Array) -> Array:
    """X as (B, T, F), in the type that is computed in."""
    layer = found.layer
    if X.ndim != 3 or X.shape[2] != layer.input_size:
        wanted = f"(batch, time, {layer.input_size})" if _batch_first(call) else f"(time, batch, {layer.input_size})"
        raise FormatError(f"X has shape {X.shape}, wanted {wanted}")
    call.room((*X.shape[:2], len(layer.directions), 8, layer.hidden_size))
    return (X if _batch_first(call) else X.swapaxes(0, 1)).astype(found.params.dtype, copy=False)


def _lengths(lengths: Array | None, x: Array) -> Array | None:
    """The checked sequence_lens; None where they say nothing."""
    if lengths is None:
        return None
    B, T = x.shape[:2]
    if lengths.dtype.kind not in "iu" or lengths.shape != (B,) or np.any(lengths < 0) or np.any(lengths > T):
        told = f"{lengths.dtype} of shape {lengths.shape}: {lengths.reshape(-1)[:8].tolist()}"
        raise FormatError(f"sequence_lens: got {told}, wanted {B} whole numbers from 0 to {T}")
    return None if np.all(lengths == T) else lengths.astype(int)


def _states(call: Call, found: Cell, x: Array, given: tuple[Array | None, ...]) -> Any:
    """The initial state of our layer, zero where it is left out."""
    shapes = found.layer.state_shape(x.shape[0])
    if all(array is None for array in given):
        return None
    arrays = []
    for name, array, shape in zip(shapes._fields, given, shapes, strict=False):
        if array is None:
            arrays.append(np.zeros(shape, found.params.dtype))
            continue
        ours = array.swapaxes(0, 1) if _batch_first(call) and array.ndim == 3 else array
        if ours.shape != shape:
            raise FormatError(
                f"initial_{name} has shape {array.shape}, and W and X ask for (directions, batch, hidden) {shape}"
            )
        arrays.append(ours.astype(found.params.dtype))
    return type(shapes)(*arrays)


# --- the layer


def _layer(call: Call, W: Array, R: Array, B: Array | None, P: Array | None) -> tuple[RNN | GRU | LSTM, dict[str, Array]]:
    """The layer, and the parameters by its names."""
    op, direction = call.node.op, call.choice("direction", ("forward", "reverse", "bidirectional"))
    ways, k = 1 + (direction == "bidirectional"), len(GATES[op])
    H = R.shape[-1] if R.ndim else 0
    for name, array, shape in (
        ("W", W, (ways, k * H, W.shape[-1] if W.ndim else 0)),
        ("R", R, (ways, k * H, H)),
        ("B", B, (ways, 2 * k * H)),
        ("P", P, (ways, 3 * H)),
    ):
        if array is not None and (array.shape != shape or not array.size):
            raise FormatError(f"{name} has shape {array.shape}, wanted {shape} with direction={direction!r}")
    if call["hidden_size"] not in (None, H):
        raise FormatError(f"hidden_size={call['hidden_size']}, and R is for {H} units")
    parts = [array for array in (W, R, B, P) if array is not None]
    same(*parts)
    floats(*parts)
    options: dict[str, Any] = {"bias": B is not None, "bidirectional": ways == 2, "go_backwards": direction == "reverse"}
    options |= activations(call, ways)
    if op == "GRU":
        options["reset_after"] = bool(call.choice("linear_before_reset", (0, 1)))
    if op == "LSTM":
        options |= {"peepholes": P is not None, "coupled": bool(call.choice("input_forget", (0, 1)))}
    layer = LAYERS[op](W.shape[2], H, **options)
    found: dict[str, Array] = {}
    for d, prefix in enumerate(layer.prefixes):
        ours = _weights(layer, op, *(None if array is None else array[d] for array in (W, R, B, P)))
        found |= {f"{prefix}.{name}" if prefix else name: array for name, array in ours.items()}
    return layer, found


def _weights(layer: RNN | GRU | LSTM, op: str, *parts: Array | None) -> dict[str, Array]:
    """One direction's parameters by our names. A coupled forget gate's weights are there, and count for nothing."""
    before, after = GATES[op], layer.gates
    W, R, B, P = (
        None if part is None else part.astype(part.dtype if part.dtype == np.float64 else np.float32) for part in parts
    )
    assert W is not None
    assert R is not None
    found = {"W": gates.reorder(W.T, before, after), "U": gates.reorder(R.T, before, after)}
    if B is not None:
        b, recurrent_b = (gates.reorder(half, before, after) for half in np.split(B, 2))
        found |= gates.merge(b, recurrent_b, len(after), isinstance(layer, GRU) and layer.reset_after)
    if P is not None:
        found["P"] = gates.reorder(P, "iof", after.replace("g", ""))
    return found


def activations(call: Call, ways: int) -> dict[str, Any]:
    """The activations of our layer by the names of its options, a pair where there are two directions, and its clip."""
    op, reading, clip = call.node.op, READINGS[call.setting.compat], call["clip"]
    if clip is not None and not 0 < clip < np.inf:
        raise FormatError(f"clip: got {clip}, wanted a number above 0")
    names = DEFAULTS[op] * ways if call["activations"] is None else call["activations"]
    if op == "RNN" and (reading.lenient or names == ("Tanh", "Tanh")):  # the schema's default, for one direction too
        names = names[:ways]
    if len(names) != len(DEFAULTS[op]) * ways:
        raise FormatError(f"activations: got {len(names)}, wanted {len(DEFAULTS[op])} for each of {ways} directions")
    given = {name: list(call[f"activation_{name}"] or ()) for name in ("alpha", "beta")}
    found: dict[str, list[Activation]] = {name: [] for name in OPTIONS[op]}
    for name, option in zip(names, OPTIONS[op] * ways, strict=True):
        bounded = None if clip is None or (option == "cell_activation" and not reading.clips_cell) else clip
        found[option].append(_activation(name, given, reading, bounded))
    for constant, left in given.items():
        if left and not reading.lenient:
            raise FormatError(f"activation_{constant}: {len(left)} numbers more than the functions take")
    return {option: each[0] if ways == 1 else tuple(each) for option, each in found.items()}


def _activation(name: str, given: Mapping[str, list[float]], reading: Reading, clip: float | None) -> Activation:
    """One activation, which takes the next of the constants if it takes any."""
    if reading.lenient:
        name = next((known for known in ACTIVATIONS if known.lower() == name.lower()), name)
    if name not in ACTIVATIONS:
        raise FormatError(f"the activation {few([name])} is not known; known: {', '.join(ACTIVATIONS)}")
    ours, defaults = ACTIVATIONS[name]
    constants: dict[str, float] = {}
    for constant, default in zip(("alpha", "beta"), reading.defaults.get(name, defaults), strict=False):
        value = given[constant].pop(0) if given[constant] else default
        if value is None:
            raise FormatError(f"the activation {name} needs activation_{constant}, which has no default")
        constants[constant] = value
    try:
        return Activation(ours, **constants, clip=clip)
    except OptionError as error:  # a constant that is not finite
        raise FormatError(str(error)) from None


INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
COMMON: dict[str, tuple[str, Any]] = {
    "hidden_size": ("int", None), "direction": ("string", "forward"), "activations": ("strings", None),
    "activation_alpha": ("floats", None), "activation_beta": ("floats", None), "clip": ("float", None),
}  # fmt: skip
OWN: dict[str, dict[str, tuple[str, Any]]] = {
    "RNN": {}, "GRU": {"linear_before_reset": ("int", 0)}, "LSTM": {"input_forget": ("int", 0)},
}  # fmt: skip


def _forms(op: str) -> tuple[Form, Form]:
    inputs, outputs = (3, 8 if op == "LSTM" else 6), (0, 3 if op == "LSTM" else 2)
    old, new = {**COMMON, **OWN[op]}, {**COMMON, **OWN[op], "layout": ("int", 0)}
    return (
        Form(7, bind, inputs, old, outputs, binds=True, halves=True),
        Form(14, bind, inputs, new, outputs, binds=True, halves=True),
    )


FORMS: Forms = {op: _forms(op) for op in LAYERS}
