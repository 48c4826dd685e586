"""A framework's weights by name, from a mapping or a safetensors file, as float64 arrays."""

import os
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from gatewright import files
from gatewright.arrays import Array
from gatewright.errors import FormatError, MissingFileError, OptionError, shortened
from gatewright.parameters import Parameters

FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}  # safetensors' names
NAMES, LENGTH = 100_000, 1000  # the most names in nested dicts, and the longest


def read(source: Any, prefix: str, leave: str = "") -> tuple[dict[str, Array], Any]:
    """(float64 arrays by name, float32 or float64: the narrower that holds them all) of what stands under `prefix.`.

    leave: the last word of names that are not read. source: a mapping of arrays or of PyTorch's tensors, or the name of a
    .safetensors file. A mapping may hold others, as checkpoints do: their names are joined by dots. Raises OptionError,
    MissingFileError or FormatError.
    """

    def kept(found: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in under(found, prefix).items() if not leave or name.rpartition(".")[2] != leave}

    if isinstance(source, str | os.PathLike):
        given = {name: _values(name, about) for name, about in kept(_file(Path(source))).items()}
    elif isinstance(source, Mapping) and all(isinstance(name, str) for name in source):
        inner = [name for name, value in source.items() if isinstance(value, Mapping)]
        hint = f"; prefix= picks one of {few(inner)}" if inner else ""
        given = {name: _array(name, value, hint) for name, value in kept(flat(source)).items()}
    else:
        raise OptionError(
            f"got {type(source).__name__}, wanted a state dict, {{name: array}}, or a .pt or .safetensors file of one"
        )
    wide = any(array.dtype.itemsize > 4 for array in given.values())
    return {name: array.astype(float) for name, array in given.items()}, np.float64 if wide else np.float32


def write(path: Any, arrays: Mapping[str, Array]) -> None:
    """A safetensors file of a state dict, as PyTorch's users know it."""
    files.write_bytes(path, save(dict(arrays), {"format": "pt"}))


def flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a dict and of the dicts in it, by names joined by dots. Raises FormatError for dicts without end."""
    names: dict[str, Any] = {}
    waiting, count = deque([("", found)]), 0
    while waiting:
        start, part = waiting.popleft()
        for key, value in part.items():
            name = start + key
            count += 1 + (len(value) if isinstance(value, Mapping) else 0)
            if start and (count > NAMES or len(name) > LENGTH):
                raise FormatError(f"{few([name])}: dicts in dicts without end, more than {NAMES} names or one of over {LENGTH}")
            if isinstance(value, Mapping) and all(isinstance(inner, str) for inner in value):
                waiting.append((f"{name}.", value))
            elif name in names:
                raise FormatError(f"{few([name])} is there twice")
            else:
                names[name] = value
    return names


def under(found: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What stands under `prefix.`, by its name without it."""
    start = f"{prefix}." if prefix else ""
    return {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}


def parameters(arrays: Mapping[str, Array], frozen: Iterable[str], dtype: Any) -> Parameters:
    """Parameters with these numbers. Raises FormatError where one is too large for the dtype."""
    try:
        with np.errstate(over="raise"):
            return Parameters.of(arrays, frozen, dtype)
    except FloatingPointError:
        raise FormatError(f"a weight is larger than any {np.dtype(dtype)}") from None


def few(names: Iterable[str]) -> str:
    """Some names for a message, which stays one short line whatever is in them."""
    every = list(names)
    told = ", ".join(repr(name if len(name) < 60 else f"{name[:60]}…") for name in every[:4])
    return f"{told} … ({len(every)} in all)" if len(every) > 4 else told or "none"


def _array(name: str, value: Any, hint: str) -> Array:
    """An array, or a tensor on whatever device, as an array of floats. Raises FormatError, with a hint at its end."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
        array = np.asarray(value)
    except FormatError as error:
        raise FormatError(f"{few([name])}: {error}{hint}") from None
    except (TypeError, ValueError, RuntimeError) as error:
        raise FormatError(f"{few([name])}: not an array of numbers: {few([str(error)])}{hint}") from None
    if array.dtype.kind != "f":
        raise FormatError(f"{few([name])}: got {array.dtype} values, wanted floats{hint}")
    return array


def _file(path: Path) -> dict[str, dict[str, Any]]:
    """What a .safetensors file says of every tensor: its "dtype", "shape" and "data"."""
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    try:
        return dict(deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise FormatError(f"not a whole safetensors file ({shortened(error)})") from None


def _values(name: str, about: dict[str, Any]) -> Array:
    """The array of one tensor in a file."""
    if about["dtype"] == "BF16":  # the upper half of a float32
        return (np.frombuffer(about["data"], "<u2").astype("<u4") << 16).view("<f4").reshape(about["shape"])
    if about["dtype"] not in FLOATS:
        raise FormatError(f"{few([name])}: got {about['dtype']} values, wanted floats")
    return np.frombuffer(about["data"], FLOATS[about["dtype"]]).reshape(about["shape"])
