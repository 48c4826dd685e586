"""Compiled functions: from the library where there is one that fits, else made by llvmlite at their first use."""

import ctypes
from collections.abc import Callable
from typing import Any

from gatewright.kernels import library
from gatewright.kernels.target import Target


class Code:
    """A compiled function of an argument block; calling it frees Python's global lock."""

    def __init__(self, place: int, kept: Any) -> None:
        self._kept = kept  # what keeps the code alive
        self.call: Callable[[bytes], None] = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(place)


def compiled(name: str, target: Target) -> Code:
    """The function of that name in the catalogue."""
    found = library.find().library
    if found:
        return Code(found.function(name, target.lanes), found)
    from gatewright.kernels import backend, catalogue

    return backend.in_memory(catalogue.KERNELS[name](target))
