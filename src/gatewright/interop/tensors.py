"""A framework's weights by name, from a mapping or a safetensors file, as float64 arrays."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from gatewright.arrays import Array
from gatewright.errors import FormatError, MissingFileError, OptionError

FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}  # safetensors' names
PICKLES = (".pt", ".pth", ".bin", ".ckpt")


def read(source: Any, prefix: str) -> tuple[dict[str, Array], Any]:
    """(float64 arrays by name, float32 or float64: the narrower that holds them all) of what stands under `prefix.`.

    source: a mapping of arrays or of PyTorch's tensors, or the name of a .safetensors file. Raises OptionError,
    MissingFileError or FormatError.
    """
    if isinstance(source, str | os.PathLike):
        given = {name: _values(name, about) for name, about in under(_file(Path(source)), prefix).items()}
    elif isinstance(source, Mapping) and all(isinstance(name, str) for name in source):
        given = {name: _array(name, value) for name, value in under(source, prefix).items()}
    else:
        raise OptionError(f"got {type(source).__name__}, wanted a state dict, {{name: array}}, or a .safetensors file of one")
    for name, array in given.items():
        if array.dtype.kind != "f":
            raise FormatError(f"{few([name])}: got {array.dtype} values, wanted floats")
    wide = any(array.dtype.itemsize > 4 for array in given.values())
    return {name: array.astype(float) for name, array in given.items()}, np.float64 if wide else np.float32


def under(found: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """What stands under `prefix.`, by its name without it."""
    start = f"{prefix}." if prefix else ""
    return {name.removeprefix(start): value for name, value in found.items() if name.startswith(start)}


def few(names: Iterable[str]) -> str:
    """Some names for a message, which stays one short line whatever is in them."""
    every = list(names)
    told = ", ".join(repr(name if len(name) < 60 else f"{name[:60]}…") for name in every[:4])
    return f"{told} … ({len(every)} in all)" if len(every) > 4 else told or "none"


def _array(name: str, value: Any) -> Array:
    """An array, or a tensor on whatever device, as an array."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise FormatError(f"{few([name])}: not an array of numbers: {few([str(error)])}") from None


def _file(path: Path) -> dict[str, dict[str, Any]]:
    """What a .safetensors file says of every tensor: its "dtype", "shape" and "data"."""
    if path.suffix.lower() in PICKLES:
        raise FormatError(
            "pickles are not read: give net.state_dict() itself, or the file that "
            "safetensors.torch.save_file(net.state_dict(), 'net.safetensors') writes"
        )
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    try:
        return dict(deserialize(path.read_bytes()))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise FormatError(f"not a whole safetensors file ({error})") from None


def _values(name: str, about: dict[str, Any]) -> Array:
    """The array of one tensor in a file."""
    if about["dtype"] == "BF16":  # the upper half of a float32
        return (np.frombuffer(about["data"], "<u2").astype("<u4") << 16).view("<f4").reshape(about["shape"])
    if about["dtype"] not in FLOATS:
        raise FormatError(f"{few([name])}: got {about['dtype']} values, wanted floats")
    return np.frombuffer(about["data"], FLOATS[about["dtype"]]).reshape(about["shape"])
