"""Keras' files: .keras (Keras 3: a zip of two JSON files and an HDF5 one) and .h5 (one HDF5 file) -> configuration, weights."""

import json
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gatewright.arrays import Array
from gatewright.errors import FormatError, MissingFileError
from gatewright.interop import hdf5, tensors

JSON_LIMIT = 2**24  # bytes; the configuration of a large network has some 100 kB
BROKEN = (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError, KeyError, OverflowError, IndexError)


class Stored(NamedTuple):
    """What a file holds."""

    config: dict[str, Any]  # of the whole model
    major: int  # the version of Keras that wrote it: 1, 2 or 3
    weights: Callable[[list[dict[str, Any]]], list[list[Array]]]  # each layer's, in the order of its get_weights()


def read(path: Path) -> Stored:
    """A whole model's file. Raises MissingFileError, MissingExtraError or FormatError."""
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK"):
        return _zipped(path)
    if start == b"\x89HDF\r\n\x1a\n":
        return _legacy(path.read_bytes())
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
        content = file.read(limit + 1)
    if len(content) > limit:
        raise FormatError(f"{name}: more than the {limit} bytes that such a file can hold")
    return content


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
    arrays, _ = hdf5.read(content, "layers")
    if not arrays and b"_layer_checkpoint_dependencies" in content:
        raise FormatError("a .keras file of Keras 2, whose weights can't be read yet: save it as .h5 there")

    def weights(layers: list[dict[str, Any]]) -> list[list[Array]]:
        lists, count, left = [], dict[str, int](), set(arrays)
        for layer in layers:
            group = _snake(layer["class_name"])
            count[group] = count.get(group, -1) + 1
            start = f"layers/{group}" + (f"_{count[group]}" if count[group] else "") + "/"
            here = sorted((name for name in arrays if name.startswith(start)), key=_order)
            left -= set(here)
            lists.append([arrays[name] for name in here])
        if left:
            raise FormatError(f"{tensors.few(sorted(left))}: no layer of config.json has these weights")
        return lists

    return Stored(config, _major(metadata.get("keras_version")), weights)


def _legacy(content: bytes) -> Stored:
    """An .h5 file of a whole model."""
    arrays, about = hdf5.read(content, "model_weights")
    if "model_config" not in about:
        raise FormatError("there is no model_config in it: a file of weights alone, which doesn't say what network they are of")
    if len(about["model_config"]) > JSON_LIMIT:
        raise FormatError("model_config is larger than any network's")
    config = parse(about["model_config"], "model_config")
    lists = {group: [f"{group}/{name}" for name in names] for group, names in about["weight_names"].items()}
    known = {name for names in lists.values() for name in names if "seed_generator" not in name}
    missing = sorted(known - arrays.keys())
    if missing:
        raise FormatError(f"{tensors.few(missing)}: no such array of floats in the file")

    def weights(layers: list[dict[str, Any]]) -> list[list[Array]]:
        groups = [f"model_weights/{layer['config']['name']}" for layer in layers]
        left = [group for group, names in lists.items() if names and group not in groups]
        if left:
            raise FormatError(f"{tensors.few(left)}: no layer of model_config has these weights")
        return [[arrays[name] for name in lists.get(group, ()) if name in arrays] for group in groups]

    return Stored(config, _major(about.get("keras_version")), weights)


def _major(version: Any) -> int:
    """The first number of a version; a file that names none is older than all that do."""
    found = re.match(r"([123])\.", version if isinstance(version, str) else "1.")
    if found is None:
        raise FormatError(f"written by Keras {str(version)[:20]!r}, wanted 1, 2 or 3")
    return int(found[1])


def _snake(name: str) -> str:
    """The name that Keras gives the group of a class: simple_rnn for SimpleRNN."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))).lower()


def _order(name: str) -> tuple[bool, int, str]:
    """Keras' order of a layer's weights: the forward direction's first, by number."""
    number = name.rpartition("/")[2]
    return "/backward_layer/" in name, int(number) if number.isascii() and number.isdigit() and len(number) < 9 else -1, name
