"""Model files: safetensors, with the architecture as JSON under the metadata key `gatewright`. Nothing in them is executed."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from gatewright.arrays import FLOAT_DTYPES, Array
from gatewright.errors import FormatError, GatewrightError, MissingFileError, OptionError, shortened
from gatewright.layers import Layer, Sequential, from_json
from gatewright.parameters import Parameters

FORMAT = 1
KEY = "gatewright"
SIZES = ("input_size", "hidden_size", "output_size", "kernel_size", "projection", "num_layers", "count", "size")

MOST_STEPS = 1 << 20

# What a file may hold that is more than a model, and who takes it.
MORE = {
    "forecaster": "`gatewright predict` takes it, with a CSV file",
    "sequence classifier": "`gatewright predict` takes it, with sequences, or gw.SequenceClassifier.load",
    "sequence regressor": "gw.SequenceRegressor.load takes it",
    "text model": "`gatewright text` takes it, or gw.TextModel.load",
}


def other(description: dict[str, Any], but: str) -> str:
    """What a file holds that is more than a model, `but` what, and who takes it; nothing for a model alone."""
    taken = MORE.get(kind := str(description.get("kind")), "")
    return taken and f"a {kind}, {but}: {'gw.Forecaster.load takes it' if 'estimator' in description else taken}"


def write_bytes(path: Any, content: bytes, sync: bool = False) -> None:
    """Writes a file whole or not at all: to a temporary name beside it, `.NAME.…`, then renamed.

    sync: content and name are on the disk before this returns, so that not even a power cut leaves half a file.
    """
    import tempfile  # here: it brings compression and more, which who reads a model doesn't need

    path = checked_path(path)
    if not path.parent.is_dir():
        raise MissingFileError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OptionError(f"{path}: got a folder, wanted the name of a file")
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


def checked_path(path: Any) -> Path:
    """`path` as a Path. Raises OptionError where it is not the name of a file."""
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"path: got {path!r}, wanted the name of a file")
    return Path(path)


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
    path = checked_path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            description = _parse(path, metadata.get(KEY))
            return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118
    except GatewrightError:
        raise
    # The last four: dtypes that NumPy doesn't know, and sizes that it can't count.
    except (SafetensorError, AttributeError, TypeError, OverflowError, ValueError) as error:
        raise FormatError(f"{path}: not a whole safetensors file ({shortened(error)})") from None


def _parse(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise FormatError(f"{path}: a safetensors file, but not one of gatewright's (no {KEY!r} in its metadata)")
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        raise FormatError(f"{path}: the description of the model can't be read") from None
    number = description.get("format") if isinstance(description, dict) else None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise FormatError(f"{path}: the description of the model can't be read")
    if number > FORMAT:
        raise FormatError(f"{path}: format {number} is newer than {FORMAT}, the one that this version reads")
    assert isinstance(description, dict)
    return description


def read_model(description: dict[str, Any], tensors: dict[str, Array], path: Any) -> tuple[Layer, Parameters]:
    """The layer and the parameters that a Model's `describe` told of."""
    if more := other(description, "which is more than a model"):
        raise FormatError(f"{path}: {more}")
    layer = read_layer(description, tensors, path)
    network = layer if isinstance(layer, Sequential) else Sequential(layer)
    dtype, frozen = description.get("dtype"), description.get("frozen")
    if dtype not in FLOAT_DTYPES:
        raise FormatError(f"{path}: got numbers of {shortened(repr(dtype))}, wanted {' or '.join(FLOAT_DTYPES)}")
    if not isinstance(frozen, list) or any(name not in list(tensors) for name in frozen):
        raise FormatError(f"{path}: got {shortened(repr(frozen))} as the frozen parameters, wanted a list of names")
    for name, array in tensors.items():
        if array.dtype != dtype:
            raise FormatError(f"{path}: parameter {name}: got {array.dtype} numbers, wanted {dtype}")
    return layer, Parameters.of({name: tensors[name] for name in network.shapes()}, frozen, dtype)


def read_layer(description: dict[str, Any], tensors: dict[str, Array], path: Any) -> Layer:
    """The layer that a description names, checked against the tensors before anything of its size is made."""
    try:
        _bound([description.get("layer")], sum(array.size for array in tensors.values()))
        layer = from_json(description.get("layer"))
        if not isinstance(layer, Layer):
            raise FormatError("there is no layer in it")
        network = layer if isinstance(layer, Sequential) else Sequential(layer)
        shapes = network.shapes()
    except (GatewrightError, RecursionError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: the description of the model makes no sense: {shortened(error)}") from None
    got = {name: array.shape for name, array in tensors.items()}
    for name in sorted(shapes.keys() | got.keys()):
        if shapes.get(name) != got.get(name):
            raise FormatError(f"{path}: parameter {name}: got {got.get(name)}, wanted {shapes.get(name)}")
    return layer


def _bound(value: Any, most: int) -> None:
    """No size in a description can exceed the count of numbers in the file: refuses what would never end.

    Steps that have no numbers of their own, such as a pool's, have a bound of their own.
    """
    if isinstance(value, dict) and value.get("type") in ("MaxPooling1D", "AveragePooling1D", "RepeatVector"):
        most = MOST_STEPS
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if key in ("stride", "dilation") and isinstance(item, int) and item > MOST_STEPS:
            raise FormatError(f"{key}={item}, the most is {MOST_STEPS}")
        if isinstance(item, dict | list):
            _bound(item, most)
        elif key in SIZES and isinstance(item, int) and item > most:
            raise FormatError(f"{key}={item} with {most} numbers in the file")
