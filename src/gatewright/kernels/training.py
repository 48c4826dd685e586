"""Training of RNN, LSTM and GRU: a cell's forward and backward pass over a dense rectangle, as cells/ has them, compiled."""

import functools
import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import backward, formulas, repacking, scan
from gatewright.kernels.call import Call, address, contiguous
from gatewright.kernels.emitter import FLOAT
from gatewright.kernels.formulas import Cell
from gatewright.kernels.packing import aligned
from gatewright.kernels.recurrent import TURN, ahead
from gatewright.kernels.target import Code, Target

CHUNK = 256  # rows of dz that are multiplied by x and h at once: they should still be in the second-level cache


class Packed(NamedTuple):
    """The weights of one layer and direction, packed for both ways."""

    weights: Any  # as they came
    size: "Sizes"
    there: list[int]  # addresses of the panels of the scan
    back: list[int]  # addresses of the transposed panels
    memory: Array


class Cache(NamedTuple):
    """What one forward pass keeps; Hp: H filled up to whole vectors."""

    x: Array  # (T, B, F) input
    padded: Any  # a State of (T + 1, B, Hp)
    places: list[int]  # the addresses of the states and of what else was kept, (T, B, letters, Hp)
    memory: Array  # of all but x
    hidden: int  # H

    @property
    def states(self) -> Any:
        """The states (T + 1, B, H), the initial one first."""
        return type(self.padded)(*(array[..., : self.hidden] for array in self.padded))


class Gradients(NamedTuple):
    x: Array | None  # (T, B, F)
    weights: Any
    state: Any  # of the initial state


@functools.cache
def compiled(cell: str, options: Any, target: Target) -> "Kernel":
    """The kernel of a cell with these options, compiled once a process."""
    found = formulas.find(cell, options)
    assert isinstance(found, Cell), found
    return Kernel(found, target)


class Sizes(NamedTuple):
    """How large the arrays of one layer and direction are; what is counted in bytes says so."""

    features: int
    hidden: int
    vectors: int  # of the units
    feature_vectors: int
    row: int  # float32 in a state's row of whole vectors
    panels: tuple[int, ...]  # where each begins, in bytes, and where the last one ends
    sums: tuple[int, ...]  # the same of what the way back sums up: db, dW, dU


@functools.cache
def sizes(cell: Cell, lanes: int, features: int, hidden: int) -> Sizes:
    """The sizes of a layer's arrays."""
    vectors, wide, rows = -(-hidden // lanes), -(-features // lanes), {"x": features}
    row = vectors * lanes
    panels = []
    for stage in cell.stages:
        panels += [len(stage.sums), *(rows.get(operand, hidden) * len(into) for operand, into in stage.operands)]
    for operand in "xh" + cell.scratch:
        panels.append((wide * lanes if operand == "x" else row) * len(cell.into(operand)))
    sums = len(cell.d), features * len(cell.gates), hidden * len(cell.gates)
    return Sizes(features, hidden, vectors, wide, row, _places(panels, FLOAT * row), _places(sums, FLOAT * row))


def _places(sizes: Iterable[int], unit: int) -> tuple[int, ...]:
    """Where parts of so many units of bytes, one behind the other, begin, and where the last one ends."""
    return tuple(unit * place for place in itertools.accumulate(sizes, initial=0))


class Kernel:
    """A cell's compiled scan, there and back."""

    def __init__(self, cell: Cell, target: Target) -> None:
        self.cell, self.target = cell, target
        self.packing = Code(repacking.text(cell, target), repacking.NAME)
        self.there = Code(scan.Scan(cell, target, training=True).text(), scan.NAME)
        self.back = Code(backward.Backward(cell, target).text(), backward.NAME)

    def pack(self, weights: Any) -> Packed:
        """The weights (a cell's Weights, float32) in the order in which tiles read them."""
        lanes, (F, H) = self.target.lanes, (len(weights.W), len(weights.U))
        size = sizes(self.cell, lanes, F, H)
        memory, begin = aligned(size.panels[-1] // FLOAT)
        if H % lanes or F % lanes:
            memory.fill(0)
        nothing = np.zeros(weights.U.shape[1], np.float32)  # a bias that is absent; not every cell has the last
        given = (*weights, None)[:4]
        places = [begin + place for place in size.panels[:-1]]
        numbers = [*size[:4], *(address(nothing if array is None else array) for array in given), *places]
        Call(self.packing, numbers, (weights, nothing, memory)).run()
        there = len(scan.weights(self.cell))
        return Packed(weights, size, places[:there], places[there:], memory)

    # --- the pair

    def forward(self, packed: Packed, x: Array, state: Any) -> Cache:
        """All T steps of x (T, B, F) from `state`; the states after every step are in the cache."""
        cell, size, lanes, x = self.cell, packed.size, self.target.lanes, _flat(x)
        (T, B, _), H, row, count = x.shape, size.hidden, size.row, len(cell.state)
        room = (T + 1) * B * row
        memory, begin = aligned(count * room + T * B * row * len(cell.kept))
        padded = [memory[k * room : (k + 1) * room].reshape(T + 1, B, row) for k in range(count)]
        for array, given in zip(padded, state, strict=True):
            array[0, :, :H] = given
            if row > H:
                array[0, :, H:] = 0
        places = [begin + k * room * FLOAT for k in range(count + 1)]
        cache = Cache(x, type(state)(*padded), places, memory, H)
        if x.size:
            gates = [len(stage.sums) for stage in cell.stages]
            chunk = ahead(T, B, size.panels[len(packed.there)], FLOAT * B * row * sum(gates))
            scratch = [B * row] * len(cell.scratch)
            parts = _places(
                [FLOAT * n for n in (TURN, self.target.registers * lanes, *scratch, *(chunk * B * row * n for n in gates))], 1
            )
            work, start = aligned(parts[-1] // FLOAT)
            work[:TURN] = 0
            numbers = [B, T, *size[:3], chunk, address(x), x.strides[1], x.strides[0], *places]
            Call(self.there, numbers + [start + part for part in parts[:-1]] + packed.there, (cache, packed, work)).run()
        return cache

    def backward(self, packed: Packed, cache: Cache, dsteps: Any, dstate: Any, wants_dx: bool = True) -> Gradients:
        """Back-propagation through time; dsteps (T, B, H) and dstate (B, H) as in cells/, of h alone what every step got.

        wants_dx: False leaves the gradient of x out.
        """
        cell, size, lanes, x, H = self.cell, packed.size, self.target.lanes, cache.x, cache.hidden
        (T, B, F), row, letters, gates = x.shape, size.row, len(cell.d), len(cell.gates)
        names, dy, (_, dW, dU, end) = cell.state + cell.scratch, _whole(dsteps.h, lanes), size.sums
        carried = _places([end, 4 * lanes * FLOAT, *[B * row * FLOAT] * len(names)], 1)[1:]
        sums, begin = aligned(carried[-1] // FLOAT)
        sums.fill(0)
        before = [sums[a // FLOAT : b // FLOAT].reshape(B, row)[:, :H] for a, b in itertools.pairwise(carried[1:])]
        for array, given in zip(before, dstate, strict=False):
            array[:] = given
        wide = size.feature_vectors if wants_dx else 0
        chunk = max(1, min(T, CHUNK // max(B, 1)))
        (dx, there), (dz, work) = aligned(T * B * wide * lanes), aligned(chunk * B * letters * row)
        if x.size:
            numbers = [B, T, F, H, size.vectors, wide, chunk, address(x), x.strides[1]]
            numbers += [address(dy), dy.strides[1], dy.strides[0], there, cache.places[-1], work]
            numbers += [begin + place for place in (0, dW, dU, end)] + cache.places[:-1]
            numbers += [begin + place for place in carried[1:-1]] + packed.back
            Call(self.back, numbers, (x, cache, packed, dy, sums, dx, dz)).run()
        biases = sums[: dW // FLOAT].reshape(letters, row)[:, :H]
        blocks = [sums[a // FLOAT : b // FLOAT].reshape(-1, gates, row)[..., :H] for a, b in ((dW, dU), (dU, end))]
        dweights = [
            None if given is None else array.reshape(given.shape)
            for given, array in zip(packed.weights, (*blocks, biases[-gates:], biases[0]), strict=False)
        ]
        dx = dx.reshape(T, B, wide * lanes)[..., :F]
        return Gradients(dx if wants_dx else None, type(packed.weights)(*dweights), type(dstate)(*before[: len(cell.state)]))


def _flat(x: Array) -> Array:
    """x (T, B, F) such that its rows, counted over all steps, are equally far apart, by its strides too; a copy if need be."""
    return contiguous(np.asarray(x, np.float32)).reshape(-1, x.shape[2]).reshape(x.shape)


def _whole(dy: Array, lanes: int) -> Array:
    """dy (T, B, H) such that its rows can be read in whole vectors; a copy, zero beyond H, where they can't."""
    T, B, H = dy.shape
    dy = np.asarray(dy, np.float32)
    if not H % lanes:
        return contiguous(dy)
    padded = np.zeros((T, B, -(-H // lanes) * lanes), np.float32)
    padded[..., :H] = dy
    return padded
