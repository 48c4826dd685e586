"""A prepared call: an argument block and the arrays that it points to."""

import ctypes
import struct
from typing import Any

from gatewright.arrays import Array
from gatewright.kernels.target import Code


def address(array: Array) -> int:
    """Where the first element of an array, which is not empty, is."""
    flags = array.flags
    if flags.c_contiguous and flags.writeable:  # three times faster, and every call needs a handful
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    place: int = array.__array_interface__["data"][0]
    return place


class Call:
    """An argument block, with all that it points to kept alive; `run` computes, as often as one likes."""

    __slots__ = ("_block", "_kept", "_run")

    def __init__(self, code: Code, numbers: list[int], kept: Any) -> None:
        self._run, self._kept = code.call, (code, kept)
        self._block = struct.pack(f"{len(numbers)}q", *numbers)

    def run(self) -> None:
        """Computes."""
        self._run(self._block)
