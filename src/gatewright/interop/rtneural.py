"""RTNeural's JSON <-> layers and their parameters.

{"in_shape": [null, null, F], "layers": [{"type", "activation", "shape": [null, null, units], "weights": […]}, …]}, the weights
in Keras' order and layout, which is ours: W, U, b, where a GRU has two biases, (2, 3H). Dense layers always have one.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gatewright import files
from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import FormatError, GatewrightError, MissingFileError, OptionError
from gatewright.interop import gates, tensors
from gatewright.interop.tensors import few
from gatewright.layers import GRU, LSTM, Dense, Dropout, Layer, Recurrent, Sequential
from gatewright.parameters import Parameters, Scope

LARGEST = 64 << 20  # bytes of a file
KEYS = {"type", "activation", "shape", "weights"}
KINDS: dict[str, type[LSTM] | type[GRU] | type[Dense]] = {
    "lstm": LSTM,
    "gru": GRU,
    "dense": Dense,
    "time-distributed-dense": Dense,
}
ACTIVATIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")
PLAIN: dict[str, tuple[Any, ...]] = {  # what its LSTM and GRU can be, where ours can be more
    "bidirectional": (False,),
    "go_backwards": (False,),
    "return_sequences": (True,),
    "return_state_sequence": (False,),
    "learn_initial_state": (False,),
    "activation": (Activation("tanh"),),
    "recurrent_activation": (Activation("sigmoid"),),
    "reset_after": (True,),
    "varied": (False,),
    "clip": (None,),
}


def read(source: Any, dtype: Any) -> tuple[Layer, Parameters]:
    """The Sequential in a file and its parameters, in float32 or float64. Raises MissingFileError or FormatError."""
    path = files.checked_path(source)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    try:
        found = _parsed(path)
        size, pairs = _size(found["in_shape"], "in_shape"), list[Any]()
        for index, about in enumerate(found["layers"]):
            if isinstance(about, dict) and about.get("type") == "activation":
                pairs[-1:] = [_activated(pairs[-1:], about, f"layer {index}")]
            else:
                pairs.append(_layer(about, size, f"layer {index}"))
            size = _size(about["shape"], f"layer {index}")
        layer = Sequential(*(layer for layer, _ in pairs))
        arrays = {f"{index}.{name}": array for index, (_, own) in enumerate(pairs) for name, array in own.items()}
        return layer, tensors.parameters({name: arrays[name] for name in layer.shapes()}, [], dtype)
    except GatewrightError as error:
        raise FormatError(f"{path}: {error}") from None


def write(layer: Layer, params: Scope, path: Any) -> None:
    """Writes the file. Raises OptionError for what RTNeural has not."""
    whole = list(layer.layers) if isinstance(layer, Sequential) else [layer]
    found: list[dict[str, Any]] = []
    for index, inner in enumerate(whole):
        found += _entries(inner, params.scope(str(index)), f"layer {index}: ")
    first = next((inner.input_size for inner in whole if isinstance(inner, Recurrent | Dense)), None)
    if first is None:
        raise OptionError(f"{layer} has no LSTM, GRU or Dense that RTNeural could run")
    text = json.dumps({"in_shape": [None, None, first], "layers": found}, allow_nan=False)
    files.write_bytes(path, text.encode())


# --- reading


def _parsed(path: Path) -> dict[str, Any]:
    """The JSON value of a file, with a list of layers."""
    if path.stat().st_size > LARGEST:
        raise FormatError(f"got {path.stat().st_size} bytes, wanted at most {LARGEST}")
    try:
        found = json.loads(path.read_bytes(), object_pairs_hook=_once, parse_constant=_once)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON as RTNeural reads it: {few([str(error)])}") from None
    if not isinstance(found, dict) or found.keys() != {"in_shape", "layers"} or not found["layers"]:
        keys = few(found) if isinstance(found, dict) else type(found).__name__
        raise FormatError(f"wanted 'in_shape' and 'layers', nothing else, and got {keys}")
    if not isinstance(found["layers"], list):
        raise FormatError("wanted a list of layers")
    return found


def _once(pairs: Any) -> dict[str, Any]:
    """A dict, of keys that stand there once; NaN and Infinity, for which it is called too, are refused."""
    if isinstance(pairs, str) or len(dict(pairs)) < len(pairs):
        raise FormatError(f"{pairs}, which is no number" if isinstance(pairs, str) else "a key is there twice")
    return dict(pairs)


def _size(shape: Any, place: str) -> int:
    """The features, last of (batch, time, features)."""
    if not isinstance(shape, list) or len(shape) not in (2, 3) or type(shape[-1]) is not int or not 0 < shape[-1] < LARGEST:
        raise FormatError(f"{place}: the shape makes no sense, wanted [null, null, features]")
    return shape[-1]


def _name(about: dict[str, Any], place: str) -> str | None:
    """The activation of a layer, or None."""
    name = about.get("activation", "")
    if not isinstance(name, str) or name not in ("", *ACTIVATIONS):
        raise FormatError(f"{place}: got activation {few([str(name)])}, wanted one of {', '.join(ACTIVATIONS)}")
    return name or None


def _activated(before: list[Any], about: dict[str, Any], place: str) -> Any:
    """A Dense without activation, as the one of the layer after it."""
    if not before or type(before[0][0]) is not Dense or before[0][0].activation != Activation("linear"):
        raise FormatError(f"{place}: an activation is read right after a dense layer without one only")
    if not about.keys() <= KEYS or about.get("weights") or _size(about.get("shape"), place) != before[0][0].output_size:
        raise FormatError(f"{place}: the shape, weights or options of the activation make no sense")
    layer, arrays = before[0]
    return Dense(layer.input_size, layer.output_size, _name(about, place)), arrays


def _layer(about: Any, features: int, place: str) -> tuple[Layer, dict[str, Array]]:
    """A layer and its arrays by name."""
    kind = about.get("type") if isinstance(about, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise FormatError(f"{place}: got type {few([str(kind)])}, wanted one of {', '.join([*KINDS, 'activation'])}")
    if wrong := (about.keys() | {"activation"}) ^ KEYS:
        raise FormatError(f"{place}: {few(sorted(wrong))} is missing or not known, wanted {few(sorted(KEYS))}")
    units, act = _size(about["shape"], place), _name(about, place)
    if KINDS[kind] is Dense:
        W, b = _arrays(about["weights"], [(features, units), (units,)], place)
        return Dense(features, units, act), {"W": W, "b": b}
    if act not in (None, "tanh"):
        raise FormatError(f"{place}: got activation {act!r}, wanted tanh, the one that RTNeural's {kind} has")
    if KINDS[kind] is LSTM:
        W, U, b = _arrays(about["weights"], [(features, 4 * units), (units, 4 * units), (4 * units,)], place)
        return LSTM(features, units), {"W": W, "U": U, "b": b}
    W, U, b = _arrays(about["weights"], [(features, 3 * units), (units, 3 * units), (2, 3 * units)], place)
    return GRU(features, units), {"W": W, "U": U, **gates.merge(b[0], b[1], 3, apart=True)}


def _arrays(weights: Any, shapes: list[tuple[int, ...]], place: str) -> list[Array]:
    """The weights of a layer as float64 arrays of these shapes."""
    if not isinstance(weights, list) or len(weights) != len(shapes):
        raise FormatError(f"{place}: wanted a list of {len(shapes)} weights")
    found = []
    for k, (given, shape) in enumerate(zip(weights, shapes, strict=True)):
        try:
            array = np.array(given)
        except ValueError:
            raise FormatError(f"{place}: weights {k}: lists of unequal lengths") from None
        if array.shape != shape or array.dtype.kind not in "fi":
            raise FormatError(
                f"{place}: weights {k}: got {array.dtype} values of shape {array.shape}, wanted numbers of {shape}"
            )
        if not np.isfinite(array).all():
            raise FormatError(f"{place}: weights {k}: a number is too large")
        found.append(array.astype(float))
    return found


# --- writing


def _entries(layer: Layer, params: Scope, place: str) -> list[dict[str, Any]]:
    """What stands for a layer in the file: an entry a layer of a stack, none for what training alone has."""
    if type(layer) is Dropout:
        return []
    if type(layer) is Dense:
        name = layer.activation.name
        if layer.activation not in [Activation(known) for known in (*ACTIVATIONS, "linear")]:
            raise OptionError(f"{place}{layer} has no counterpart in RTNeural, which knows the activations {few(ACTIVATIONS)}")
        b = params["b"] if layer.bias else np.zeros(layer.output_size)
        return [_entry("dense", "" if name == "linear" else name, layer.output_size, [params["W"], b])]
    if type(layer) not in (LSTM, GRU):
        raise OptionError(f"{place}{layer} has no counterpart in RTNeural; LSTM, GRU and Dense have one")
    assert isinstance(layer, Recurrent)
    for option, known in PLAIN.items():
        if getattr(layer, option, known[0]) not in known:
            told = getattr(known[0], "name", known[0])
            raise OptionError(f"{place}{layer} has no counterpart in RTNeural, which knows {option}={told} only")
    return [_recurrent(layer, params, f"{prefix}." if prefix else "") for prefix in layer.prefixes]


def _recurrent(layer: Recurrent, params: Scope, dot: str) -> dict[str, Any]:
    W, U = params[f"{dot}W"], params[f"{dot}U"]
    b = params[f"{dot}b"] if layer.bias else np.zeros(W.shape[1])
    if type(layer) is LSTM:
        return _entry("lstm", "tanh", layer.hidden_size, [W, U, b])
    biases = np.stack(gates.split(b, params[f"{dot}bn"] if f"{dot}bn" in params else None))
    return _entry("gru", "tanh", layer.hidden_size, [W, U, biases])


def _entry(kind: str, activation: str, units: int, weights: list[Array]) -> dict[str, Any]:
    shape = [None, None, units]
    return {"type": kind, "activation": activation, "shape": shape, "weights": [array.tolist() for array in weights]}
