"""A prepared call: an argument block and the arrays that it points to; what kernels of rows have in common."""

import ctypes
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels.code import Code
from gatewright.threads import allowed, shares, together


def address(array: Array) -> int:
    """Where the first element of an array, which is not empty, is."""
    flags = array.flags
    if flags.c_contiguous and flags.writeable:  # three times faster, and every call needs a handful
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    place: int = array.__array_interface__["data"][0]
    return place


def contiguous(array: Array) -> Array:
    """`array` if its numbers stand side by side along the last axis, as compiled code reads them; else a copy that does."""
    fine = array.flags.aligned and (array.shape[-1] <= 1 or array.strides[-1] == array.itemsize)
    return array if fine else np.ascontiguousarray(array)


class Call:
    """An argument block, with all that it points to kept alive; `run` computes, as often as one likes."""

    __slots__ = ("_block", "_kept", "_run")

    def __init__(self, code: Code, numbers: list[int], kept: Any) -> None:
        self._run, self._kept = code.call, (code, kept)
        self._block = struct.pack(f"{len(numbers)}q", *numbers)

    def run(self) -> None:
        """Computes."""
        self._run(self._block)


class Team:
    """Calls that don't depend on each other, for as many threads as were allowed when they were prepared."""

    __slots__ = ("_runs", "_threads")

    def __init__(self, calls: list[Call]) -> None:
        self._runs, self._threads = [call.run for call in calls], allowed()

    def run(self) -> None:
        """Computes."""
        together(self._runs, self._threads)


class RowKernel(ABC):
    """Compiled code that makes a row of y of every row of x, each by itself."""

    @abstractmethod
    def call(self, packed: Any, x: Array, y: Array) -> Call:
        """A call that writes into y (N, O), for x (N, F), both float32 with a contiguous last axis."""

    def prepare(self, packed: Any, x: Array, y: Array) -> Call | Team:
        """`call`, or several if threads can share the rows."""
        parts = shares(len(x), 2.0 * x.size * (y.shape[1] if len(x) else 0))
        calls = [self.call(packed, x[part], y[part]) for part in parts]
        return calls[0] if len(calls) == 1 else Team(calls)

    def infer(self, packed: Any, x: Array, size: int) -> Array:
        """y (N, size) for x (N, F), any N."""
        y = np.empty((len(x), size), np.float32)
        if len(x):
            self.prepare(packed, contiguous(x), y).run()
        return y

    def step(self, packed: Any, x: Array, size: int) -> tuple[tuple[Callable[[], None]], Array]:
        """(what computes y anew from x, y (N, size)), for x (N, F), which is read each time."""
        y = np.empty((len(x), size), np.float32)
        return (self.prepare(packed, x, y).run,), y
