"""Inference of RNN, LSTM and GRU: packed weights, prepared argument blocks, the compiled scan."""

import functools
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import formulas, packing, scan
from gatewright.kernels.call import Call, address
from gatewright.kernels.formulas import Cell
from gatewright.kernels.packing import aligned
from gatewright.kernels.target import Code, Target

AHEAD_STEPS = 48  # multiplied ahead at once: a multiple of every tile's rows; their sums stay in the second-level cache
AHEAD_ROWS = 6  # a batch of so many rows reads W often enough for one step


class Packed(NamedTuple):
    """The weights of one layer and direction, packed for one kernel."""

    arrays: dict[str, Array]  # by their names in the argument block
    features: int
    hidden: int


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
        self.code = Code(scan.Scan(cell, target).text(), scan.NAME)
        self.fields = scan.fields(cell)

    def pack(self, weights: Any) -> Packed:
        """The weights (a cell's Weights, float32) in the order in which tiles read them."""
        arrays = packing.scan_weights(self.cell, weights, self.target.lanes)
        return Packed(arrays, len(weights.W), len(weights.U))

    def prepare(self, packed: Packed, x: Array, y: Array, before: Any, after: Any) -> Call:
        """A call that writes h after every step into y (T, B, H), for x (T, B, F), and the states from `before` to `after`.

        The states are the cell's, of (B, H), and may be the same arrays. All is float32 with a contiguous last axis.
        """
        (T, B, _), H, lanes = x.shape, packed.hidden, self.target.lanes
        vectors, room = -(-H // lanes), self.target.registers * lanes
        chunk = min(T, AHEAD_STEPS) if T > 1 and B < AHEAD_ROWS else 0
        sizes = dict.fromkeys(("h_other", *self.cell.state, *self.cell.scratch), B * vectors * lanes)
        sizes |= {f"ahead{k}": chunk * B * vectors * len(stage.sums) * lanes for k, stage in enumerate(self.cell.stages)}
        work = aligned(room + sum(sizes.values()))
        block = dict(zip(scan.SIZES, (B, T, packed.features, H, vectors, chunk), strict=True))
        block |= {"x": address(x), "x_row": x.strides[1], "x_step": x.strides[0]}
        block |= {"y": address(y), "y_row": y.strides[1], "y_step": y.strides[0], "sums": address(work)}
        for letter, given, final in zip(self.cell.state, before, after, strict=True):
            block |= {f"{letter}_in": address(given), f"{letter}_in_row": given.strides[0]}
            block |= {f"{letter}_out": address(final), f"{letter}_out_row": final.strides[0]}
        begin = address(work) + work.itemsize * room
        for name, size in sizes.items():
            block[name] = begin
            begin += work.itemsize * size
        block |= {name: address(array) for name, array in packed.arrays.items()}
        values = np.array([block[name] for name in self.fields], np.int64)
        return Call(self.code, values, (packed, x, y, before, after, work))
