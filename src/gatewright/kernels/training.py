"""Training of RNN, LSTM and GRU: a cell's forward and backward pass over a dense rectangle, as cells/ has them, compiled."""

import functools
import itertools
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import code, formulas, scan, shared
from gatewright.kernels.call import Call, address, contiguous
from gatewright.kernels.emitter import FLOAT
from gatewright.kernels.formulas import Cell
from gatewright.kernels.packing import aligned
from gatewright.kernels.recurrent import TURN, ahead
from gatewright.kernels.target import Target
from gatewright.threads import shares

CHUNK = 256  # rows of dz that are multiplied by x and h at once: they should still be in the second-level cache


class Source(NamedTuple):
    """The weights of one layer and direction, as they came, and where they are."""

    weights: Any
    size: "Sizes"
    places: list[int]  # the addresses of W, U, b and bn
    nothing: Array  # a bias that is absent


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
    x_row: int  # bytes from row to row of x, counted over all steps
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
    """The numbers of one layer and direction, and where its panels begin, in bytes, and where the last one ends."""

    features: int
    hidden: int
    vectors: int  # of the units
    feature_vectors: int
    row: int  # float32 in a state's row of whole vectors
    panels: tuple[int, ...]


class Parts(NamedTuple):
    """The memory of one rectangle: where its parts begin, in bytes, and where the last one ends."""

    cache: tuple[int, ...]  # the states and what else is kept
    there: tuple[int, ...]  # the scan's working memory
    back: tuple[int, ...]  # db, dW, dU, zeros, gradients of the states and of what stages leave for each other, dz
    ahead: int  # steps multiplied ahead
    chunk: int  # steps whose dz is multiplied at once


class Kernel:
    """A cell's compiled scan, there and back."""

    def __init__(self, cell: Cell, target: Target) -> None:
        self.cell, self.target, self.count = cell, target, len(scan.weights(cell))
        self.packing = code.compiled(f"{cell.name}_packing", target)
        self.there = code.compiled(f"{cell.name}_training", target)
        self.back = code.compiled(f"{cell.name}_backward", target)
        self.sizes = functools.cache(partial(_sizes, cell, target))
        self.parts = functools.lru_cache(partial(_parts, cell, target))

    def source(self, weights: Any) -> Source:
        """Where to pack from: a cell's Weights, float32, which stay where they are whatever is written into them."""
        nothing = np.zeros(weights.U.shape[1], np.float32)
        given = [nothing if array is None else array for array in (*weights, None)[:4]]  # not every cell has the last
        return Source(weights, self.sizes(len(weights.W), len(weights.U)), [address(array) for array in given], nothing)

    def pack(self, source: Source) -> Packed:
        """The weights as they are now, in the order in which tiles read them."""
        size, there = source.size, self.count
        memory, begin = aligned(size.panels[-1] // FLOAT)
        if size.row > size.hidden:
            memory.fill(0)  # what stays so beyond the units
        places = [begin + place for place in size.panels[:-1]]
        Call(self.packing, [*size[:4], *source.places, *places], (source, memory)).run()
        return Packed(source.weights, size, places[:there], places[there:], memory)

    # --- the pair

    def forward(self, packed: Packed, x: Array, state: Any) -> Cache | shared.Caches:
        """All T steps of x (T, B, F) from `state`; the states after every step are in the cache. Threads share the rows."""
        rows = shares(x.shape[1], len(x) * x.shape[1] * packed.size.panels[len(packed.there)] / 2)
        there = partial(self._forward, packed)
        return there(x, state) if len(rows) == 1 else shared.forward(there, rows, x, state)

    def backward(self, packed: Packed, cache: Any, dsteps: Any, dstate: Any, wants_dx: bool = True) -> Gradients:
        """Back-propagation through time; dsteps (T, B, H) and dstate (B, H) as in cells/, of h alone what every step got.

        wants_dx: False leaves the gradient of x out.
        """
        back = partial(self._backward, packed, wants_dx)
        if isinstance(cache, shared.Caches):
            return cast(Gradients, shared.backward(back, cache, dsteps, dstate))
        return back(cache, dsteps, dstate)

    def _forward(self, packed: Packed, x: Array, state: Any) -> Cache:
        """`forward` on one thread."""
        size, (x, x_row) = packed.size, _flat(x)
        (T, B, _), H, row = x.shape, size.hidden, size.row
        parts = self.parts(size, T, B)
        memory, begin = aligned(parts.cache[-1] // FLOAT)
        padded = [_cut(memory, parts.cache, k).reshape(T + 1, B, row) for k in range(len(state))]
        for array, given in zip(padded, state, strict=True):
            array[0, :, :H] = given
            if row > H:
                array[0, :, H:] = 0
        places = [begin + place for place in parts.cache[:-1]]
        if x.size:
            work, start = aligned(parts.there[-1] // FLOAT)
            work[:TURN] = 0
            numbers = [B, T, *size[:3], parts.ahead, address(x), x_row, B * x_row, *places]
            numbers += [start + place for place in parts.there[:-1]]
            Call(self.there, numbers + packed.there, (packed, x, memory, work)).run()
        return Cache(x, x_row, type(state)(*padded), places, memory, H)

    def _backward(self, packed: Packed, wants_dx: bool, cache: Cache, dsteps: Any, dstate: Any) -> Gradients:
        """`backward` on one thread."""
        size, x, dy, H = packed.size, cache.x, _whole(dsteps.h, self.target.lanes), cache.hidden
        (T, B, F), wide = x.shape, size.feature_vectors if wants_dx else 0
        parts = self.parts(size, T, B)
        work, begin = aligned(parts.back[-1] // FLOAT)
        work[: parts.back[-2] // FLOAT] = 0  # all but dz
        carried = [_cut(work, parts.back, 4 + k).reshape(B, size.row)[:, :H] for k in range(len(dstate))]
        for array, given in zip(carried, dstate, strict=True):
            array[:] = given
        dx, there = aligned(T * B * wide * self.target.lanes) if wants_dx else (None, 0)
        if x.size:
            numbers = [B, T, *size[:3], wide, parts.chunk, address(x), cache.x_row, address(dy), dy.strides[1], dy.strides[0]]
            numbers += [there, *cache.places, *packed.back, *(begin + place for place in parts.back[:-1])]
            Call(self.back, numbers, (packed, cache, dy, work, dx)).run()
        dweights = self._weights(packed, *(_cut(work, parts.back, k) for k in range(3)))
        dx = None if dx is None else dx.reshape(T, B, wide * self.target.lanes)[..., :F]
        return Gradients(dx, dweights, type(dstate)(*carried))

    def _weights(self, packed: Packed, db: Array, dW: Array, dU: Array) -> Any:
        """The weights' gradients in the weights' shapes, from rows of whole vectors."""
        row, H = packed.size.row, packed.size.hidden
        found = [dW, dU, db[-len(self.cell.gates) * row :], db[:row]]
        if row > H:
            found = [array.reshape(-1, row)[:, :H] for array in found]
        pairs = zip(packed.weights, found, strict=False)  # not every cell has the last
        return type(packed.weights)(*(None if given is None else array.reshape(given.shape) for given, array in pairs))


def _sizes(cell: Cell, target: Target, features: int, hidden: int) -> Sizes:
    """The sizes of a layer."""
    lanes, rows = target.lanes, {"x": features}
    vectors, wide = -(-hidden // lanes), -(-features // lanes)
    panels = []
    for stage in cell.stages:
        panels += [len(stage.sums), *(rows.get(operand, hidden) * len(into) for operand, into in stage.operands)]
    for operand in "xh" + cell.scratch:
        panels.append((wide if operand == "x" else vectors) * lanes * len(cell.into(operand)))
    return Sizes(features, hidden, vectors, wide, vectors * lanes, _places(panels, FLOAT * vectors * lanes))


def _parts(cell: Cell, target: Target, size: Sizes, time: int, batch: int) -> Parts:
    """The memory of a rectangle of so many steps and rows."""
    sums = [len(stage.sums) for stage in cell.stages]
    unit = FLOAT * size.row  # a row of a state
    steps = ahead(time, batch, size.panels[len(scan.weights(cell))], batch * unit * sum(sums))
    chunk = max(1, min(time, CHUNK // max(batch, 1)))
    gates, buffer = len(cell.gates), batch * unit
    registers, zeros = FLOAT * target.registers * target.lanes, FLOAT * 4 * target.lanes
    weights = [unit * count for count in (len(cell.d), size.features * gates, size.hidden * gates)]
    names = cell.state + cell.scratch
    return Parts(
        _places([*((time + 1) * buffer for _ in cell.state), time * buffer * len(cell.kept)]),
        _places([FLOAT * TURN, registers, *(buffer for _ in cell.scratch), *(steps * buffer * count for count in sums)]),
        _places([*weights, zeros, *(buffer for _ in names), chunk * buffer * len(cell.d)]),
        steps,
        chunk,
    )


def _places(sizes: Iterable[int], unit: int = 1) -> tuple[int, ...]:
    """Where parts of such sizes, one behind the other, begin, and where the last one ends."""
    return tuple(unit * place for place in itertools.accumulate(sizes, initial=0))


def _cut(memory: Array, places: tuple[int, ...], k: int) -> Array:
    """The k-th part of a memory."""
    return memory[places[k] // FLOAT : places[k + 1] // FLOAT]


def _flat(x: Array) -> tuple[Array, int]:
    """x (T, B, F) such that its rows, counted over all steps, are equally far apart, and how far; a copy where they are not."""
    x = contiguous(np.asarray(x, np.float32))
    if len(x) > 1 and x.shape[1] > 1 and x.strides[0] != x.shape[1] * x.strides[1]:
        x = np.ascontiguousarray(x)
    return x, x.strides[1 if x.shape[1] > 1 else 0]  # the stride of an axis of one row says nothing


def _whole(dy: Array, lanes: int) -> Array:
    """dy (T, B, H) such that its rows can be read in whole vectors; a copy, zero beyond H, where they can't."""
    T, B, H = dy.shape
    dy = np.asarray(dy, np.float32)
    if not H % lanes:
        return contiguous(dy)
    padded = np.zeros((T, B, -(-H // lanes) * lanes), np.float32)
    padded[..., :H] = dy
    return padded
