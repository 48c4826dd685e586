"""Model files: safetensors, with the architecture as JSON under the metadata key `gatewright`. Nothing in them is executed."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from gatewright.arrays import Array
from gatewright.errors import FormatError, GatewrightError, MissingFileError
from gatewright.layers import Layer, Sequential, from_json

FORMAT = 1
KEY = "gatewright"


def write_bytes(path: Any, content: bytes, sync: bool = False) -> None:
    """Writes a file whole or not at all: to a temporary name beside it, `.NAME.…`, then renamed.

    sync: content and name are on the disk before this returns, so that not even a power cut leaves half a file.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise MissingFileError(f"{path}: there is no folder {path.parent}")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    if sync and hasattr(os, "O_DIRECTORY"):  # Windows has no handle on a folder
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save(path: Any, tensors: dict[str, Array], description: dict[str, Any], sync: bool = False) -> None:
    """Writes named arrays and a JSON description into one safetensors file."""
    text = json.dumps({"format": FORMAT, **description}, allow_nan=False)
    write_bytes(path, to_bytes({name: np.ascontiguousarray(array) for name, array in tensors.items()}, {KEY: text}), sync)


def load(path: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """(arrays by name, description) from a file that `save` wrote.

    Raises MissingFileError, or FormatError naming the file for one that is truncated, foreign or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            description = _parse(path, metadata.get(KEY))
            return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118
    except (SafetensorError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: not a whole safetensors file ({error})") from None


def _parse(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise FormatError(f"{path}: a safetensors file, but not one of gatewright's (no {KEY!r} in its metadata)")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        raise FormatError(f"{path}: the description of the model can't be read") from None
    if not isinstance(description, dict) or not isinstance(description.get("format"), int):
        raise FormatError(f"{path}: the description of the model can't be read")
    if description["format"] > FORMAT:
        raise FormatError(f"{path}: format {description['format']} is newer than {FORMAT}, the one that this version reads")
    return description


def read_layer(description: dict[str, Any], tensors: dict[str, Array], path: Any) -> Layer:
    """The layer that a description names, checked against the tensors before anything of its size is made."""
    most = sum(array.size for array in tensors.values()) + 2
    try:
        _bound(description.get("layer"), most)
        layer = from_json(description.get("layer"))
        if not isinstance(layer, Layer):
            raise FormatError("there is no layer in it")
        network = layer if isinstance(layer, Sequential) else Sequential(layer)
        shapes = network.shapes()
    except (GatewrightError, RecursionError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: the description of the model makes no sense: {error}") from None
    got = {name: array.shape for name, array in tensors.items()}
    for name in sorted(shapes.keys() | got.keys()):
        if shapes.get(name) != got.get(name):
            raise FormatError(f"{path}: parameter {name}: got {got.get(name)}, wanted {shapes.get(name)}")
    return layer


def _bound(value: Any, most: int) -> None:
    """No size in a description can exceed the count of numbers in the file: refuses what would never end."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _bound(item, most)
    elif isinstance(value, int) and value > max(most, 1000):
        raise FormatError(f"a size of {value} with {most - 2} numbers in the file")
