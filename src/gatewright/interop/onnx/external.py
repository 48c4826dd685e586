"""Tensors whose bytes lie in a file beside the model's."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from gatewright.errors import FormatError
from gatewright.interop.tensors import few

KEYS = ("location", "offset", "length")
TIMES = 2  # how often the bytes of a file may be read, all tensors together: more would be a small file that takes much memory


class Source(NamedTuple):
    """A model's file, and how many bytes were read of others."""

    path: Path
    taken: dict[Path, int]


def read(entries: Any, source: Source, wanted: int) -> bytes:
    """`wanted` bytes of the file that `entries` (StringStringEntryProto) name, which must lie in the folder of the model's.

    Raises FormatError for any other place, symbolic links out of the folder included, for a file that is too short, and for one
    of which the tensors have more than it has.
    """
    about: dict[str, str] = {}
    for entry in entries:
        if entry.key not in KEYS or entry.key in about or not isinstance(entry.value, str):
            raise FormatError(
                f"external data: {few([entry.key])} is not known, no text, or there twice; known: {', '.join(KEYS)}"
            )
        about[entry.key] = entry.value
    file = _inside(about.get("location", ""), source.path)
    offset = _number(about.get("offset", "0"), "offset")
    size = file.stat().st_size
    length = _number(about["length"], "length") if "length" in about else max(size - offset, 0)
    if offset + length > size:
        raise FormatError(f"external data: bytes {offset} to {offset + length} of {few([file.name])}, which has {size}")
    if length != wanted:
        raise FormatError(f"external data: {length} bytes, wanted {wanted} for its type and shape")
    source.taken[file] = source.taken.get(file, 0) + length
    if source.taken[file] > TIMES * size:
        raise FormatError(f"external data: {source.taken[file]} bytes of {few([file.name])}, which has {size}")
    with file.open("rb") as content:
        content.seek(offset)
        return content.read(length)


def _inside(location: str, path: Path) -> Path:
    """The file of that name in the model's folder."""
    folder = path.parent.resolve()
    windows, parts = PureWindowsPath(location), PurePosixPath(location).parts
    plain = location and "\0" not in location and "\\" not in location and not windows.drive
    if not plain or location.startswith("/") or ".." in parts:
        raise FormatError(f"external data: {few([location])} is no file in the model's own folder")
    try:
        file = (folder / location).resolve()
        there = file.is_relative_to(folder) and file.is_file()
    except (OSError, RuntimeError, ValueError):
        there = False
    if not there:
        raise FormatError(f"external data: {few([location])} is no file in the model's own folder")
    return file


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise FormatError(f"external data: {what} {few([text])} is no number of bytes")
    return int(text)
