"""Keras' files: .keras (a zip of two JSON files and an HDF5 one) and .h5 (one HDF5 file) -> configuration, arrays."""

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from gatewright.arrays import Array
from gatewright.errors import FormatError, MissingFileError
from gatewright.interop import hdf5, tensors

FOLDERS = ("layers", "_layer_checkpoint_dependencies")  # where a tree of weights has those of layers; the second is Keras 2's
JSON_LIMIT = 2**24  # bytes; the configuration of a large network has some 100 kB
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError, KeyError, OverflowError, IndexError)


class Stored(NamedTuple):
    """What a file holds."""

    config: dict[str, Any] | None  # of the whole model; None in a file of weights alone
    major: int  # the version of Keras that wrote it: 1, 2 or 3
    arrays: dict[str, Array]  # by their paths in the file
    groups: dict[str, list[str]] | None  # the paths of every layer's arrays in order, by its name; None where a tree says that


def read(path: Path) -> Stored:
    """What Keras wrote to a file. Raises MissingFileError, MissingExtraError or FormatError."""
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK"):
        return _zipped(path)
    if start == b"\x89HDF\r\n\x1a\n":
        return _alone(path.read_bytes())
    raise FormatError("neither a .keras nor an .h5 file")


def parse(text: Any, what: str) -> dict[str, Any]:
    """A JSON object. Raises FormatError for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError, TypeError):
        raise FormatError(f"{what} can't be read") from None
    if not isinstance(found, dict):
        raise FormatError(f"{what} can't be read")
    return found


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The member of exactly this name. Raises FormatError if it is larger than `limit`, or isn't there."""
    if name not in archive.namelist():
        raise FormatError(f"there is no {name} in it")
    info = archive.getinfo(name)
    if info.file_size > limit or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{name}: {info.file_size} bytes, which is more than such a file can hold")
    with archive.open(info) as file:
        return file.read(info.file_size)  # without a number it asks for room for 2 GB, if the file says so


def _zipped(path: Path) -> Stored:
    """A .keras file."""
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = parse(_member(archive, "metadata.json", JSON_LIMIT), "metadata.json")
            config = parse(_member(archive, "config.json", JSON_LIMIT), "config.json")
            content = _member(archive, "model.weights.h5", 4 * path.stat().st_size)
    except FormatError:
        raise
    except BROKEN as error:
        raise FormatError(f"not a whole zip file ({' '.join(str(error).split())[:100]})") from None
    arrays, _ = hdf5.read(content, *FOLDERS)
    return Stored(config, _major(metadata.get("keras_version")), arrays, None)


def _alone(content: bytes) -> Stored:
    """An .h5 file: of a whole model, or of weights alone, in a tree as in a .keras file or in groups of the layers' names."""
    arrays, about = hdf5.read(content, "model_weights", "vars", *FOLDERS)
    lists = {group: [f"{group}/{name}" for name in names] for group, names in about["weight_names"].items()}
    known = {name for names in lists.values() for name in names if "seed_generator" not in name}
    missing = sorted(known - arrays.keys())
    if missing:
        raise FormatError(f"{tensors.few(missing)}: no such array of floats in the file")
    missing = [name for name in about["layer_names"] if name not in lists and f"model_weights/{name}" not in lists]
    if missing:
        raise FormatError(f"{tensors.few(missing)}: there is no group of such a layer in the file")
    groups = {group.removeprefix("model_weights/"): [n for n in names if n in arrays] for group, names in lists.items()}
    if "model_config" not in about:
        if not about["layer_names"]:
            return Stored(None, 3, arrays, None)
        return Stored(None, 2, arrays, {name: groups[name] for name in about["layer_names"]})
    if len(about["model_config"]) > JSON_LIMIT:
        raise FormatError("model_config is larger than any network's")
    return Stored(parse(about["model_config"], "model_config"), _major(about.get("keras_version")), arrays, groups)


def _major(version: Any) -> int:
    """The first number of a version; a file that names none is older than all that do."""
    found = re.match(r"([123])\.", version if isinstance(version, str) else "1.")
    if found is None:
        raise FormatError(f"written by Keras {str(version)[:20]!r}, wanted 1, 2 or 3")
    return int(found[1])
