"""The library: all kernels compiled ahead of time for one kind of machine (`build.py`). Whoever has it needs no llvmlite.

It lies beside these files, `gatewright-x86_64.so`, so that a wheel can carry it. What is in it has to be what would be
compiled now: it names a hash of every source file of this folder, those that fill argument blocks too, and a library of
another hash is never run. It ends with a hash of itself, so that half a file isn't either.
"""

import ctypes
import functools
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from gatewright.kernels import processor
from gatewright.kernels.target import machine

FOLDER = Path(__file__).parent
ABOUT = "gw_about"  # the constant in which a library says what it is
SEAL = 32  # bytes at the end of the file, a hash of those before
MAKE = "`python -m gatewright.kernels build` makes it anew"


def path() -> Path:
    """Where the library of this machine's kind belongs."""
    return FOLDER / file_name()


def file_name() -> str:
    """What the library of this machine's kind is called."""
    return f"gatewright-{machine()}.so"


def symbol(name: str, lanes: int) -> str:
    """What a kernel is called in the library."""
    return f"gw_{name}_{lanes}"


def generator() -> str:
    """A hash of the source files from which kernels and their argument blocks are made."""
    parts = [(file.name, file.read_bytes()) for file in sorted(Path(__file__).parent.glob("*.py"))]
    whole = b"".join(b"%s %d\n%s" % (name.encode(), len(text), text) for name, text in parts)
    return hashlib.sha256(whole).hexdigest()


def sealed(content: bytes) -> bytes:
    """A library with its seal."""
    return content + hashlib.sha256(content).digest()


class Unfit(Exception):
    """Why a library is not to be used: what completes "the library …"."""


class Library:
    """A loaded library. kernels: their names; widths: the lanes that they are compiled for; lanes: of those, the host's."""

    def __init__(self, path: Path) -> None:
        """Raises Unfit, or OSError or ValueError from below, for one that must not be run here."""
        content = path.read_bytes()
        if content != sealed(content[:-SEAL]):
            raise Unfit("is damaged")
        self._code = ctypes.CDLL(str(path))
        about = json.loads(ctypes.string_at(self._address(ABOUT)))
        if about["generator"] != generator():
            raise Unfit("was made from other sources")
        self.path, self.kernels, self.widths = path, list[str](about["kernels"]), list[int](about["lanes"])
        lanes = processor.lanes(self._registers) if machine() == "x86_64" else 4
        self.lanes = max((width for width in self.widths if width <= lanes), default=0)
        if not self.lanes:
            raise Unfit("needs a processor with AVX2")

    def function(self, name: str, lanes: int) -> int:
        """The address of a kernel."""
        return self._address(symbol(name, lanes))

    def _address(self, name: str) -> int:
        return ctypes.addressof(ctypes.c_char.in_dll(self._code, name))

    def _registers(self, name: str, *arguments: int) -> processor.Registers:
        """What one of the two functions about the processor writes: eax, ebx, ecx, edx."""
        found = (ctypes.c_uint32 * 4)()
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * (len(arguments) + 1))
        kind(self._address(name))(*arguments, ctypes.addressof(found))
        return processor.Registers(*found)


class Found(NamedTuple):
    """The library, or None; what there is to say about one that is there and not used: "" or " (library …)"."""

    library: Library | None
    remark: str = ""


@functools.cache
def find() -> Found:
    """The library, if there is one that can be used here."""
    if not path().exists():
        return Found(None)
    try:
        return Found(Library(path()))
    except Unfit as unfit:
        why = str(unfit)
    except (OSError, ValueError) as error:
        why = f"can't be read: {error}"
    return Found(None, f" (the library {file_name()} {why}: {MAKE})")
