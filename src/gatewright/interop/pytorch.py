"""PyTorch's state dicts, {name: array} <-> a layer and its parameters.

PyTorch keeps a kernel as (outputs, inputs), the transpose of ours, the gates in an order of its own, and two biases, of which
only the sum counts, but for the gate n of a GRU. Its names end in `_l<layer>`, and in `_reverse` for the second direction.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import FormatError, OptionError, ShapeError, one_of
from gatewright.interop import gates, tensors, torchfile
from gatewright.interop.tensors import few, under
from gatewright.layers import GRU, LSTM, RNN, BatchNorm, Conv1D, Dense, Embedding, Layer, LayerNorm, Recurrent, Sequential
from gatewright.layers.base import Shape
from gatewright.parameters import Parameters, Scope

GATES: dict[type[Layer], str] = {RNN: "h", LSTM: "ifgo", GRU: "rzn"}  # in PyTorch's order
KINDS: dict[int, type[RNN] | type[LSTM] | type[GRU]] = {1: RNN, 3: GRU, 4: LSTM}  # by the number of gates
PLAIN: dict[type[Layer], dict[str, str]] = {  # PyTorch's names and ours
    Dense: {"weight": "W", "bias": "b"},
    Embedding: {"weight": "E"},
    LayerNorm: {"weight": "gain", "bias": "shift"},
    BatchNorm: {"weight": "gain", "bias": "shift", "running_mean": "mean", "running_var": "var"},
    Conv1D: {"weight": "W", "bias": "b"},
}
COUNTER = "num_batches_tracked"  # of nn.BatchNorm1d: how many batches its statistics have seen, which changes no output
# What PyTorch's module can be, where the layer of ours can be more.
PARTLY: dict[str, tuple[Any, ...]] = {"go_backwards": (False,), "learn_initial_state": (False,), "clip": (None,)}
GATED = {**PARTLY, "activation": (Activation("tanh"),), "recurrent_activation": (Activation("sigmoid"),)}
LIMITS: dict[type[Layer], dict[str, tuple[Any, ...]]] = {
    RNN: {**PARTLY, "activation": (Activation("tanh"), Activation("relu"))},
    LSTM: {**GATED, "peepholes": (False,), "coupled": (False,), "cell_activation": (None,)},
    GRU: {**GATED, "reset_after": (True,)},
    Dense: {},
    Embedding: {"mask_zero": (False,)},
    LayerNorm: {},
    BatchNorm: {},
    Conv1D: {},
}
MODULES = "nn.RNN, nn.LSTM, nn.GRU, nn.Linear, nn.Embedding, nn.LayerNorm, nn.BatchNorm1d and nn.Conv1d"


def read(source: Any, entries: Any, prefix: str, activation: str, dtype: Any) -> tuple[Layer, Parameters]:
    """The layer and its parameters, named for a Sequential; the arguments are those of gw.from_pytorch."""
    if not isinstance(prefix, str):
        raise OptionError(f"prefix: got {prefix!r}, wanted the beginning of names, such as 'lstm'")
    if activation not in ("tanh", "relu"):
        raise one_of("activation", activation, ("tanh", "relu"))
    if entries is not None and (not isinstance(entries, list | tuple) or not entries):
        raise OptionError(f"layers: got {entries!r}, wanted a list such as ['lstm', 'fc'], in the order of application")
    found: dict[str, Array] = {}
    frozen: list[str] = []
    try:
        given = torchfile.read(source) if torchfile.is_one(source) else source
        arrays, own = tensors.read(given, prefix.removesuffix("."), leave=COUNTER)
        pairs = _layers(arrays, [""] if entries is None else entries, activation)
        for index, (name, layer) in enumerate(pairs):
            ours = {} if name is None else _from(layer, under(arrays, name), f"{name}." if name else "")
            found |= {f"{index}.{key}": array for key, array in ours.items()}
            frozen += [f"{index}.{key}" for key in ours if not getattr(layer, "trainable", True)]
        whole = Sequential(*(layer for _, layer in pairs))
        kept = {name: found[name] for name in whole.shapes()}
        parameters = tensors.parameters(kept, frozen, own if dtype is None else dtype)
    except (FormatError, ShapeError) as error:
        if not isinstance(source, str | os.PathLike):
            raise
        raise FormatError(f"{os.fspath(source)}: {error}") from None
    return pairs[0][1] if entries is None else whole, parameters


def arrays(path: str, prefix: str) -> dict[str, Array]:
    """The arrays of a state dict in a file, by name. Raises MissingFileError, or FormatError with the file's name."""
    try:
        given = torchfile.read(path) if torchfile.is_one(path) else path
        return tensors.read(given, prefix.removesuffix("."), leave=COUNTER)[0]
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def write(layer: Layer, params: Scope, names: Sequence[str] | None) -> dict[str, Array]:
    """The state dict of a model's layer; the arguments are those of Model.to_pytorch."""
    if not isinstance(layer, Sequential):
        if names is not None:
            raise OptionError(f"layers: got {names!r}, but {layer} alone has no name in a state dict")
        return _to(layer, params.scope("0"), "")
    kept = [index for index, inner in enumerate(layer.layers) if inner.shapes()]
    if names is not None and (isinstance(names, str) or len(names) != len(kept)):
        raise OptionError(f"layers: got {names!r}, wanted {len(kept)} names, one a layer that has parameters")
    found: dict[str, Array] = {}
    for index, name in zip(kept, names or map(str, kept), strict=True):
        found |= _to(layer.layers[index], params.scope(str(index)), f"{name}.")
    return found


# --- one layer


def _check(layer: Layer, dot: str) -> None:
    """Raises OptionError for a layer that no module of PyTorch's equals."""
    if type(layer) not in LIMITS:
        raise OptionError(f"{dot}{layer} has no counterpart in PyTorch; {', '.join(kind.__name__ for kind in LIMITS)} have one")
    for option, known in LIMITS[type(layer)].items():
        if getattr(layer, option) not in known:
            wanted = " or ".join(str(getattr(value, "name", value)) for value in known)
            raise OptionError(f"{dot}{layer} has no counterpart in PyTorch, which knows {option}={wanted} only")
    if isinstance(layer, LSTM) and (layer.projection or 0) >= layer.hidden_size:
        raise OptionError(f"{dot}{layer} has no counterpart in PyTorch, where a projection is smaller than hidden_size")


def _places(layer: Recurrent) -> Iterator[tuple[str, str]]:
    """(the beginning of our names, the end of PyTorch's) for every layer and direction."""
    for index, prefix in enumerate(layer.prefixes):
        k, d = divmod(index, len(layer.directions))
        yield f"{prefix}." if prefix else "", f"_l{k}_reverse" if d else f"_l{k}"


def _shapes(layer: Layer) -> dict[str, Shape]:
    """PyTorch's names and shapes."""
    ours = layer.shapes()
    if not isinstance(layer, Recurrent):
        names = PLAIN[type(layer)]
        return {key: ours[n] if n == "E" else ours[n][::-1] for key, n in names.items() if n in ours}
    found: dict[str, Shape] = {}
    for prefix, end in _places(layer):
        found |= {f"weight_ih{end}": ours[f"{prefix}W"][::-1], f"weight_hh{end}": ours[f"{prefix}U"][::-1]}
        if layer.bias:
            found |= dict.fromkeys((f"bias_ih{end}", f"bias_hh{end}"), ours[f"{prefix}b"])
        if f"{prefix}V" in ours:
            found[f"weight_hr{end}"] = ours[f"{prefix}V"][::-1]
    return found


def _from(layer: Layer, arrays: dict[str, Array], dot: str) -> dict[str, Array]:
    """Our arrays by our names. Raises FormatError or ShapeError unless there is just what the layer needs."""
    _check(layer, dot)
    shapes = _shapes(layer)
    for key in sorted(arrays.keys() ^ shapes.keys()):
        wrong = "is missing" if key in shapes else "is not known"
        raise FormatError(f"{few([dot + key])} {wrong}; {layer} has {few(shapes)}")
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise ShapeError(f"{dot}{key}: got shape {arrays[key].shape}, wanted {shape} for {layer}")
    if not isinstance(layer, Recurrent):
        return {n: arrays[key] if n == "E" else arrays[key].T for key, n in PLAIN[type(layer)].items() if key in arrays}
    found: dict[str, Array] = {}
    theirs, ours = GATES[type(layer)], layer.gates
    for prefix, end in _places(layer):
        here = {key: gates.reorder(arrays[key + end].T, theirs, ours) for key in ("weight_ih", "weight_hh")}
        found |= {f"{prefix}W": here["weight_ih"], f"{prefix}U": here["weight_hh"]}
        if layer.bias:
            b, recurrent_b = (gates.reorder(arrays[key + end], theirs, ours) for key in ("bias_ih", "bias_hh"))
            merged = gates.merge(b, recurrent_b, len(ours), apart=isinstance(layer, GRU))
            found |= {prefix + name: array for name, array in merged.items()}
        if f"weight_hr{end}" in arrays:
            found[f"{prefix}V"] = arrays[f"weight_hr{end}"].T
    return found


def _to(layer: Layer, params: Scope, dot: str) -> dict[str, Array]:
    """Undoes `_from`: new arrays, in C order."""
    _check(layer, dot)
    found: dict[str, Array] = {}
    if not isinstance(layer, Recurrent):
        names = PLAIN[type(layer)]
        found = {key: params[n] if n == "E" else params[n].T for key, n in names.items() if n in params}
        return {dot + key: np.array(array, order="C") for key, array in found.items()}
    theirs, ours = GATES[type(layer)], layer.gates
    for prefix, end in _places(layer):
        here = {f"weight_ih{end}": params[f"{prefix}W"], f"weight_hh{end}": params[f"{prefix}U"]}
        if layer.bias:
            b, recurrent_b = gates.split(params[f"{prefix}b"], params[f"{prefix}bn"] if f"{prefix}bn" in params else None)
            here |= {f"bias_ih{end}": b, f"bias_hh{end}": recurrent_b}
        found |= {key: gates.reorder(array, ours, theirs).T for key, array in here.items()}
        if f"{prefix}V" in params:
            found[f"weight_hr{end}"] = params[f"{prefix}V"].T
    return {dot + key: np.array(array, order="C") for key, array in found.items()}


# --- which layers they are


def _layers(arrays: dict[str, Array], entries: Sequence[Any], activation: str) -> list[tuple[str | None, Layer]]:
    """(name, layer) of every entry, None for a layer without weights. Raises FormatError for what no entry names."""
    pairs: list[tuple[str | None, Layer]] = []
    for entry in entries:
        name, layer = _entry(entry)
        if name is not None and any(name == other for other, _ in pairs):
            raise OptionError(f"layers: {name!r} stands there twice, and weights that two layers share can't be read yet")
        if name is not None and not under(arrays, name):
            raise FormatError(f"there is nothing under {name!r}; there are {_parts(arrays)}")
        pairs.append((name, layer or guess(under(arrays, name or ""), name or "", activation)))
    left = [key for key in arrays if not any(name is not None and under({key: None}, name) for name, _ in pairs)]
    if left:
        raise FormatError(f"{few(left)}: no entry of layers= reads it; prefix= would pick a part of all")
    if activation == "relu" and not any(type(layer) is RNN for _, layer in pairs):
        raise OptionError("activation='relu' is about nn.RNN, and there is none")
    return pairs


def _entry(entry: Any) -> tuple[str | None, Layer | None]:
    """(name, layer) of an entry of `layers`, None for what it does not say."""
    if isinstance(entry, str):
        return entry.removesuffix("."), None
    if isinstance(entry, Layer) and not entry.shapes():
        return None, entry
    if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], Layer):
        return entry[0].removesuffix("."), entry[1]
    raise OptionError(
        f"layers: got {entry!r}, wanted a name such as 'lstm', a name and its layer such as ('embed', gw.Embedding(20, 8)), "
        "or a layer without weights such as gw.Dropout(0.5)"
    )


def guess(part: dict[str, Array], name: str, activation: str) -> Layer:
    """The layer that names and shapes tell of."""
    dot = f"{name}." if name else ""
    if "weight_ih_l0" in part or "weight_hh_l0" in part:
        return _recurrent(part, dot, activation)
    weight, bias = part.get("weight", np.zeros(0)), "bias" in part
    if weight.ndim == 1 and bias and weight.size and "running_mean" in part:
        return BatchNorm(len(weight), epsilon=1e-5)
    if weight.ndim == 2 and bias and weight.size:
        return Dense(weight.shape[1], weight.shape[0])
    if weight.ndim == 1 and bias and weight.size:
        return LayerNorm(len(weight))
    if weight.ndim == 2 and weight.size:
        count, size = weight.shape
        raise FormatError(
            f"{few([f'{dot}weight'])} may be an nn.Embedding's or an nn.Linear's without bias: write into layers= "
            f"({name!r}, gw.Embedding({count}, {size})) or ({name!r}, gw.Dense({size}, {count}, bias=False))"
        )
    if name and weight.ndim == 3 and weight.size:
        outputs, inputs, steps = weight.shape
        raise FormatError(
            f"{few([f'{dot}weight'])} is an nn.Conv1d's, whose stride, padding, dilation and groups are not told: write into "
            f"layers= ({name!r}, gw.Conv1D({inputs}, {outputs}, {steps}, …))"
        )
    there = _parts({dot + key: array for key, array in part.items()})
    raise FormatError(f"wanted the weights of {MODULES}; there are {there}: layers=[…] names a network's, in order")


def _recurrent(part: dict[str, Array], dot: str, activation: str) -> Layer:
    """The nn.RNN, nn.LSTM or nn.GRU whose state dict it is."""
    W, U, V = (part.get(f"{key}_l0", np.zeros(0)) for key in ("weight_ih", "weight_hh", "weight_hr"))
    H = V.shape[1] if V.ndim == 2 and V.size else U.shape[1] if U.ndim == 2 and U.size else 0
    count, rest = divmod(len(U), H) if H and U.ndim == 2 else (0, 0)
    if "weight_hr_l0" in part and (count != 4 or rest or V.shape != (U.shape[1], H) or len(V) >= H):
        raise ShapeError(
            f"{dot}weight_hh_l0 and weight_hr_l0: got shapes {U.shape} and {V.shape}, wanted (4 H, P) and (P, H), with P < H"
        )
    if count not in KINDS or rest or W.ndim != 2 or not W.size:
        raise ShapeError(
            f"{dot}weight_ih_l0 and weight_hh_l0: got shapes {W.shape} and {U.shape}, wanted (k H, F) and (k H, H), "
            "with k = 1 for nn.RNN, 3 for nn.GRU, 4 for nn.LSTM"
        )
    depth = sum(re.fullmatch(r"weight_hh_l\d+", key) is not None for key in part)
    kind, both, bias = KINDS[count], "weight_hh_l0_reverse" in part, "bias_ih_l0" in part
    options: dict[str, Any] = {"activation": activation} if kind is RNN else {}
    options |= {"projection": len(V)} if V.size else {}
    return kind(W.shape[1], H, num_layers=depth, bidirectional=both, bias=bias, **options)


def _parts(arrays: dict[str, Array]) -> str:
    return few(dict.fromkeys(key.rpartition(".")[0] or key for key in arrays))
