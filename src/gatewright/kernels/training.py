"""Training of RNN, LSTM and GRU: a cell's forward and backward pass over a dense rectangle, as cells/ has them, compiled."""

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import backward, formulas, repacking, scan
from gatewright.kernels.call import Call, address, contiguous
from gatewright.kernels.formulas import Cell
from gatewright.kernels.packing import aligned
from gatewright.kernels.recurrent import TURN, ahead
from gatewright.kernels.target import Code, Target

CHUNK = 256  # rows of dz that are multiplied by x and h at once: they should still be in the second-level cache


class Packed(NamedTuple):
    """The weights of one layer and direction, packed for both ways."""

    weights: Any  # as they came
    there: list[int]  # addresses of the panels of the scan
    back: list[int]  # addresses of the transposed panels
    bytes: int  # of the scan's panels
    memory: Array


class Cache(NamedTuple):
    """What one forward pass keeps; Hp: H filled up to whole vectors."""

    x: Array  # (T, B, F) input
    padded: Any  # a State of (T + 1, B, Hp)
    kept: Array  # (T, B, letters, Hp)
    hidden: int  # H
    places: list[int]  # the addresses of the states and of what was kept

    @property
    def states(self) -> Any:
        """The states (T + 1, B, H), the initial one first."""
        return type(self.padded)(*(array[..., : self.hidden] for array in self.padded))


class Gradients(NamedTuple):
    x: Array  # (T, B, F)
    weights: Any
    state: Any  # of the initial state


@functools.cache
def compiled(cell: str, options: Any, target: Target) -> "Kernel":
    """The kernel of a cell with these options, compiled once a process."""
    found = formulas.find(cell, options)
    assert isinstance(found, Cell), found
    return Kernel(found, target)


class Kernel:
    """A cell's compiled scan, there and back."""

    def __init__(self, cell: Cell, target: Target) -> None:
        self.cell, self.target = cell, target
        self.packing = Code(repacking.text(cell, target), repacking.NAME)
        self.there = Code(scan.Scan(cell, target, training=True).text(), scan.NAME)
        self.back = Code(backward.Backward(cell, target).text(), backward.NAME)

    # --- weights

    def pack(self, weights: Any) -> Packed:
        """The weights (a cell's Weights, float32) in the order in which tiles read them."""
        cell, lanes, (F, H) = self.cell, self.target.lanes, (len(weights.W), len(weights.U))
        vectors, wide = -(-H // lanes), -(-F // lanes)
        sizes = []
        for stage in cell.stages:
            sizes += [len(stage.sums), *((F if operand == "x" else H) * len(into) for operand, into in stage.operands)]
        there, back = len(sizes), ["x", "h", *cell.scratch]
        sizes += [(wide if operand == "x" else vectors) * lanes * len(cell.into(operand)) for operand in back]
        memory, places = _memory([size * vectors * lanes for size in sizes])
        if H % lanes or F % lanes:
            memory.fill(0)
        nothing = np.zeros(len(cell.gates) * H, np.float32)
        given = [nothing if array is None else array for array in (*weights, None)[:4]]
        Call(self.packing, [F, H, vectors, wide, *map(address, given), *places], (weights, nothing)).run()
        return Packed(weights, places[:there], places[there:], 4 * sum(sizes[:there]) * vectors * lanes, memory)

    # --- the pair

    def forward(self, packed: Packed, x: Array, state: Any) -> Cache:
        """All T steps of x (T, B, F) from `state`; the states after every step are in the cache."""
        cell, (T, B, F), H, lanes = self.cell, x.shape, len(packed.weights.U), self.target.lanes
        x, vectors = _flat(x), -(-H // lanes)
        row, gates = vectors * lanes, [len(stage.sums) for stage in cell.stages]
        memory, places = _memory([*[(T + 1) * B * row for _ in cell.state], T * B * row * len(cell.kept)])
        states = [memory[k * (T + 1) * B * row :][: (T + 1) * B * row].reshape(T + 1, B, row) for k in range(len(cell.state))]
        for array, given in zip(states, state, strict=True):
            array[0, :, :H] = given
            array[0, :, H:] = 0
        chunk = ahead(T, B, packed.bytes, 4 * B * row * sum(gates))
        sizes = [TURN, self.target.registers * lanes, *(B * row for _ in cell.scratch), *(chunk * B * row * n for n in gates)]
        work, room = _memory(sizes)
        work[:TURN] = 0
        if x.size:
            numbers = [B, T, F, H, vectors, chunk, address(x), x.strides[1], x.strides[0], *places, *room, *packed.there]
            Call(self.there, numbers, (x, packed, memory, work)).run()
        kept = memory[len(states) * (T + 1) * B * row :].reshape(T, B, len(cell.kept), row)
        return Cache(x, type(state)(*states), kept, H, places)

    def backward(self, packed: Packed, cache: Cache, dsteps: Any, dstate: Any) -> Gradients:
        """Back-propagation through time; dsteps (T, B, H) and dstate (B, H) as in cells/, of h alone what every step got."""
        cell, lanes, x, H = self.cell, self.target.lanes, cache.x, cache.hidden
        (T, B, F), vectors, wide = x.shape, -(-H // lanes), -(-x.shape[2] // lanes)
        row, dy = vectors * lanes, _whole(dsteps.h, lanes)
        chunk = max(1, min(T, CHUNK // max(B, 1)))
        letters, names, gates = len(cell.d), cell.state + cell.scratch, len(cell.gates)
        sizes = [letters * row, F * gates * row, H * gates * row, 4 * lanes, *(B * row for _ in names)]
        sums, ends = _memory(sizes)
        sums.fill(0)
        db, dW, dU, _, *carried = np.split(sums, list(itertools.accumulate(sizes))[:-1])
        carried = [array.reshape(B, row)[:, :H] for array in carried[: len(cell.state)]]
        for array, given in zip(carried, dstate, strict=True):
            array[:] = given
        dx, (begin,) = _memory([T * B * wide * lanes])
        dz, (work,) = _memory([chunk * B * letters * row])
        if x.size:
            numbers = [B, T, F, H, vectors, wide, chunk, address(x), x.strides[1], address(dy), dy.strides[1], dy.strides[0]]
            numbers += [begin, cache.places[-1], work, *ends[:4], *cache.places[:-1], *ends[4:], *packed.back]
            Call(self.back, numbers, (x, cache, packed, dy, sums, dx, dz)).run()
        biases = db.reshape(letters, row)[:, :H]
        found = [*(array.reshape(-1, gates, row)[..., :H] for array in (dW, dU)), biases[-gates:], biases[0]]
        dweights = (
            None if given is None else array.reshape(given.shape) for given, array in zip(packed.weights, found, strict=False)
        )
        dx = dx.reshape(T, B, wide * lanes)[..., :F]
        return Gradients(dx, type(packed.weights)(*dweights), type(dstate)(*carried))


def _memory(sizes: list[int]) -> tuple[Array, list[int]]:
    """Room for so many float32, one part behind the other, not set: the whole, and the address of every part."""
    starts = list(itertools.accumulate([0, *sizes]))
    memory, begin = aligned(starts[-1])
    return memory, [begin + memory.itemsize * start for start in starts[:-1]]


def _flat(x: Array) -> Array:
    """x (T, B, F) such that its rows, counted over all steps, are equally far apart; a copy where they are not."""
    x = contiguous(np.asarray(x, np.float32))
    return x if len(x) < 2 or x.strides[0] == x.shape[1] * x.strides[1] else np.ascontiguousarray(x)


def _whole(dy: Array, lanes: int) -> Array:
    """dy (T, B, H) such that its rows can be read in whole vectors; a copy, zero beyond H, where they can't."""
    T, B, H = dy.shape
    dy = np.asarray(dy, np.float32)
    if not H % lanes:
        return contiguous(dy)
    padded = np.zeros((T, B, -(-H // lanes) * lanes), np.float32)
    padded[..., :H] = dy
    return padded
