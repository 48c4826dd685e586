"""Inference of RNN, LSTM and GRU: packed weights, prepared argument blocks, the compiled scan."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import code, formulas, packing, scan
from gatewright.kernels.call import Call, Team, address, contiguous
from gatewright.kernels.formulas import Cell
from gatewright.kernels.packing import aligned
from gatewright.kernels.target import Target
from gatewright.threads import shares

# Inputs are multiplied ahead, a chunk of steps at once, where W would else be read too often: for few rows, or where W and U
# together leave the second-level cache. A chunk is a multiple of every tile's rows, and its sums should stay in that cache.
FEW_ROWS = 6
MANY_WEIGHTS = 1 << 20  # bytes
CHUNK, MOST_STEPS = 1 << 19, 48  # bytes of sums; steps
TALLEST = 6
ROWS = 8  # that a thread's part has at least: fewer read the weights too often
TURN = 16  # float32 of room for a counter: one cache line


class Packed(NamedTuple):
    """The weights of one layer and direction, packed for one kernel."""

    features: int
    hidden: int
    bytes: int
    width: int  # bytes of the sums of one step and row
    addresses: list[int]  # of the arrays
    arrays: list[Array]  # in the order of the argument block


def ahead(time: int, rows: int, weights: int, sums: int) -> int:
    """How many steps to multiply ahead at once, 0 for none; weights, sums: bytes of all the weights, of the sums of a step."""
    if time < 2 or not rows or (rows >= FEW_ROWS and weights <= MANY_WEIGHTS):
        return 0
    return min(time, MOST_STEPS, max(CHUNK // sums // TALLEST, 1) * TALLEST)


@functools.cache
def compiled(cell: str, options: Any, target: Target) -> "Kernel":
    """The kernel of a cell with these options, compiled once a process."""
    found = formulas.find(cell, options)
    assert isinstance(found, Cell), found
    return Kernel(found, target)


class Kernel:
    """A cell's compiled scan."""

    def __init__(self, cell: Cell, target: Target) -> None:
        self.cell, self.target = cell, target
        self.code = code.compiled(cell.name, target)
        self.parts = len(scan.buffers(cell))

    def pack(self, weights: Any) -> Packed:
        """The weights (a cell's Weights, float32) in the order in which tiles read them."""
        found = packing.scan_weights(self.cell, weights, self.target.lanes)
        arrays = [found[name] for name in scan.weights(self.cell)]
        size, width = sum(array.nbytes for array in arrays), sum(found[f"bias{k}"].nbytes for k in range(len(self.cell.stages)))
        return Packed(len(weights.W), len(weights.U), size, width, [address(array) for array in arrays], arrays)

    def operations(self, packed: Packed, y: Array) -> float:
        """About how many multiplications and additions there are to make h after every step, y of any shape (…, H)."""
        return y.size / packed.hidden * packed.bytes / 2

    def prepare(self, packed: Packed, x: Array, y: Array, before: Sequence[Array], after: Sequence[Array]) -> Call | Team:
        """A call that writes h after every step into y (T, B, H), for x (T, B, F), and the states from `before` to `after`.

        The states are the cell's, of (B, H), and may be the same arrays. All is float32 with a contiguous last axis. Threads
        share the rows where there is enough to do.
        """
        parts = shares(x.shape[1], self.operations(packed, y), ROWS)
        if len(parts) == 1:
            return self._call(packed, x, y, before, after)
        states = ([[array[rows] for array in state] for state in (before, after)] for rows in parts)
        return Team([self._call(packed, x[:, rows], y[:, rows], *part) for rows, part in zip(parts, states, strict=True)])

    def scan(self, packed: Packed, x: Array, y: Array, state: Sequence[Array]) -> Callable[[slice], Call | Team]:
        """What prepares a call for a stretch of the time axis that takes `state` on, in place."""
        return lambda steps: self.prepare(packed, x[steps], y[steps], state, state)

    def _call(self, packed: Packed, x: Array, y: Array, before: Sequence[Array], after: Sequence[Array]) -> Call:
        """`prepare` for one thread."""
        (T, B, _), lanes = x.shape, self.target.lanes
        vectors, sums = -(-packed.hidden // lanes), B * packed.width
        chunk = ahead(T, B, packed.bytes, sums)
        numbers = [B, T, packed.features, packed.hidden, vectors, chunk]
        for line in (x, y):
            numbers += [address(line), line.strides[1], line.strides[0]]
        for array, final in zip(before, after, strict=True):
            given = address(array), array.strides[0]
            numbers += [*given, *(given if final is array else (address(final), final.strides[0]))]
        chunks = [chunk * B * vectors * len(stage.sums) * lanes for stage in self.cell.stages]
        states = [B * vectors * lanes] * (self.parts - 2 - len(chunks))
        stops = list(itertools.accumulate([TURN, self.target.registers * lanes, *states, *chunks]))
        work, begin = aligned(stops[-1])
        work[:TURN] = 0
        numbers += [begin, *(begin + work.itemsize * stop for stop in stops[:-1])]
        return Call(self.code, numbers + packed.addresses, (packed, x, y, before, after, work))

    def infer(self, packed: Packed, x: Array, state: Any, rectangles: list[tuple[int, int, int]]) -> tuple[Array, Any]:
        """h after every step (depth, S, H), in batch-first memory, and the final state, for x (depth, S, F).

        rectangles: (start, stop, n), the first n columns being live from line start to stop; h is zero elsewhere.
        """
        x, now = contiguous(x), [array.copy() for array in state]
        h = np.zeros((x.shape[1], x.shape[0], packed.hidden), np.float32).swapaxes(0, 1)
        for start, stop, n in rectangles:
            if n and start < stop:
                part = [array[:n] for array in now]
                self.prepare(packed, x[start:stop, :n], h[start:stop, :n], part, part).run()
        return h, type(state)(*now)
