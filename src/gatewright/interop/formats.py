"""What a file of a model is, by what it begins with: its name says little, and is not believed."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

from gatewright import files
from gatewright.errors import FormatError, MissingFileError
from gatewright.interop.torcharchive import ADVICE

FORMATS = ("gatewright", "keras", "pytorch", "onnx", "rtneural")
HDF5 = b"\x89HDF\r\n\x1a\n"
HEADER_LIMIT = 100 << 20  # bytes of a safetensors file's header; safetensors itself reads no more


def recognise(source: Any) -> str:
    """Which of FORMATS a file has. Raises MissingFileError, or FormatError for none of them, naming the file."""
    path = files.checked_path(source)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"PK"):
        return _zipped(path)
    if start.startswith(HDF5):
        return "keras"
    header = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and header <= min(os.path.getsize(path) - 8, HEADER_LIMIT):
        return "gatewright" if files.KEY in _metadata(path, header) else "pytorch"
    if start.lstrip().startswith((b"{", b"[")):
        return "rtneural"
    if start.startswith(b"\x80"):
        raise FormatError(f"{path}: a bare pickle, {ADVICE}")
    if start.startswith(b"\x08") or path.suffix.lower() == ".onnx":
        return "onnx"
    raise FormatError(f"{path}: got a file of an unknown kind, wanted a model of {', '.join(FORMATS)}")


def _zipped(path: Path) -> str:
    """A .keras file, or one of torch.save's."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"{path}: not a whole zip file ({' '.join(str(error).split())[:100]})") from None
    if any(name.endswith("/data.pkl") for name in names):
        return "pytorch"
    if "config.json" in names:
        return "keras"
    raise FormatError(f"{path}: got a zip file that is neither one of Keras' (.keras) nor one of PyTorch's (.pt)")


def _metadata(path: Path, header: int) -> dict[str, Any]:
    """The metadata of a safetensors file whose header has so many bytes."""
    with path.open("rb") as file:
        file.seek(8)
        text = file.read(header)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise FormatError(f"{path}: not a whole safetensors file (its header can't be read)") from None
    metadata = found.get("__metadata__") if isinstance(found, dict) else None
    return metadata if isinstance(metadata, dict) else {}
