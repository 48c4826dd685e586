"""The scan backwards: what scan.py did, undone last to first, written as one function of the address of an argument block.

for every chunk of steps, the last first:
    for every step, the last first, every stage, the last first:
        the formula undone on every vector: gradients of the sums -> dz; of the bias, summed in registers
        for what the stage left for the next, and at last for h:  d += dz U^T, in the tiles of the forward pass
    dW += x^T dz, dU += h^T dz, dx = dz W^T: of all the chunk's rows at once, while its dz is still in the cache

dz is (rows, letters of `d`, whole vectors), a row for every step and batch row. What is beyond the units or features is zero.
"""

from functools import partial

from gatewright.kernels.emitter import Emitter, Value
from gatewright.kernels.formulas import Cell, Stage, Vectors
from gatewright.kernels.target import Target
from gatewright.kernels.tile import (
    Grid,
    Operand,
    Product,
    Source,
    call_sums_of_products,
    call_tile,
    cover,
    emit_sums_of_products,
    emit_tiles,
)

NAME = "backward"
SIZES = ("batch", "time", "features", "hidden", "vectors", "feature_vectors", "chunk")  # feature_vectors: 0 leaves dx out
X, DY = ("x", "x_row"), ("dy", "dy_row", "dy_step")  # strides in bytes
SUMS = ("db", "dW", "dU", "nothing")  # nothing: zeros
PRODUCT = Product("tile", 1, (Operand("dz", (0,)),))


def fields(cell: Cell) -> list[str]:
    """The argument block: whole numbers of 64 bits by name, addresses and bytes."""
    return [*SIZES, *X, *DY, "dx", *cell.state, "kept", *panels(cell), *buffers(cell)]


def buffers(cell: Cell) -> list[str]:
    """The names of the working memory's parts, all but dz zero or a gradient that comes in."""
    return [*SUMS, *(f"d{letter}" for letter in cell.state + cell.scratch), "dz"]


def panels(cell: Cell) -> list[str]:
    """The names of the packed transposed weights: of what is multiplied by them."""
    return [f"{operand}T" for operand in "xh" + cell.scratch]


def runs(cell: Cell, operand: str) -> list[tuple[int, int, int]]:
    """(first letter of `d`, first block of the weights, count): where an operand's letters and blocks stand together."""
    found: list[tuple[int, int, int]] = []
    for letter in cell.into(operand):
        at, block = cell.d.index(letter), cell.gate(letter)
        if found and (at, block) == (found[-1][0] + found[-1][2], found[-1][1] + found[-1][2]):
            found[-1] = *found[-1][:2], found[-1][2] + 1
        else:
            found.append((at, block, 1))
    return found


class Backward:
    """The emission of one cell's scan backwards."""

    def __init__(self, cell: Cell, target: Target) -> None:
        self.e, self.cell, self.target = Emitter(target.lanes), cell, target
        self.args: dict[str, Value] = {}
        self.row: Value = None  # bytes of one row of a state
        self.line: Value = None  # bytes of one row of dz

    def text(self) -> str:
        """The module as LLVM's text."""
        e = self.e
        emit_tiles(e, self.target, PRODUCT)
        emit_sums_of_products(e, self.target)
        with e.function(NAME, 1, public=True) as (block,):
            self.args = a = {name: e.field(block, index) for index, name in enumerate(fields(self.cell))}
            self.row = e.add((a["vectors"], e.width))
            self.line = e.add((self.row, len(self.cell.d)))
            chunks, _ = e.divide(e.add(a["time"], a["chunk"], -1), a["chunk"])
            with e.each(chunks) as index:
                stop = e.add(a["time"], (index, a["chunk"], -1))
                steps = e.choose(e.less(stop, a["chunk"]), stop, a["chunk"])
                first = e.add(stop, (steps, -1))
                with e.each(steps) as k:
                    slot = e.add(steps, (k, -1), -1)
                    self._step(e.add(first, slot), slot)
                self._weights(first, steps)
                self._inputs(first, steps)
        return e.text()

    # --- a step

    def _step(self, t: Value, slot: Value) -> None:
        """Step t, whose dz goes to a slot of the chunk's."""
        for k, stage in reversed(list(enumerate(self.cell.stages))):
            self._undo(k, stage, t, slot)
            for operand, _ in stage.operands:
                if operand in self.cell.scratch:
                    self._through(operand, slot)
        self._through("h", slot)

    def _undo(self, k: int, stage: Stage, t: Value, slot: Value) -> None:
        """The stage's formula undone, vector by vector; the last stage's meets dy."""
        e, a, names = self.e, self.args, self.cell.state + self.cell.scratch
        last = k == len(self.cell.stages) - 1
        with e.each(a["vectors"]) as v:
            column = e.add((v, e.width))
            places = [e.add(a["db"], (self.cell.d.index(letter), self.row), column) for letter in stage.sums]
            totals = [e.load(place) for place in places]
            with e.each(a["batch"], totals) as b:
                there = e.add((b, self.row), column)
                d = {letter: e.load(a[f"d{letter}"], there) for letter in names}
                if last:
                    d["h"] = e.plus(d["h"], e.load(a["dy"], (b, a["dy_row"]), (t, a["dy_step"]), column))
                made = stage.undo(e, self._values(e.add((t, a["batch"]), b), column), d)
                dz = e.add(a["dz"], (e.add((slot, a["batch"]), b), self.line), column)
                for i, letter in enumerate(stage.sums):
                    e.store(made[letter], dz, (self.cell.d.index(letter), self.row))
                    totals[i] = e.plus(totals[i], made[letter])
                for letter in filter(made.__contains__, names):
                    e.store(made[letter], a[f"d{letter}"], there)
            for place, total in zip(places, totals, strict=True):
                e.store(total, place)

    def _values(self, row: Value, column: Value) -> Vectors:
        """What was kept of a row (counted over steps and batch rows), and the states before and after it."""
        e, a, kept = self.e, self.args, self.cell.kept
        line = e.add(a["kept"], (row, len(kept), self.row), column)
        found = {letter: e.load(line, (c, self.row)) for c, letter in enumerate(kept)}
        for letter in self.cell.state:
            before = e.add(a[letter], (row, self.row), column)
            found |= {letter: e.load(before), f"{letter}'": e.load(before, (a["batch"], self.row))}
        return found

    def _through(self, operand: str, slot: Value) -> None:
        """What a step's dz says of an operand: d += dz U^T."""
        e, a = self.e, self.args

        def tile(shape: tuple[int, int], _: Value, b: Value, v: Value) -> None:
            there = e.add(a[f"d{operand}"], (b, self.row), (v, e.width))
            rows = e.add((slot, a["batch"]), b)
            call_tile(e, PRODUCT, shape, (there, self.row, there, self.row), [self._source(operand, rows, v)])

        cover(e, self.target, 1, Grid(1, a["batch"], a["vectors"]), tile, e.odd(slot))

    def _source(self, operand: str, row: Value, v: Value) -> Source:
        """The part of dz, from a row on, that an operand added into, and the transposed weights of vector v."""
        e, into = self.e, self.cell.into(operand)
        address = e.add(self.args["dz"], (row, self.line), (self.cell.d.index(into[0]), self.row))
        length = e.add((len(into), self.args["vectors"], e.lanes))
        return Source(address, self.line, e.add(self.args[f"{operand}T"], (v, length, e.width)), length)

    # --- a chunk

    def _weights(self, first: Value, steps: Value) -> None:
        """dW and dU from all rows of a chunk."""
        e, a = self.e, self.args
        before, kept = e.add((first, a["batch"])), e.add((len(self.cell.kept), self.row))
        rows = {"x": (e.add(a["x"], (before, a["x_row"])), a["x_row"]), "h": (e.add(a["h"], (before, self.row)), self.row)}
        for letter in self.cell.scratch:
            rows[letter] = e.add(a["kept"], (before, kept), (self.cell.kept.index(letter), self.row)), kept
        for operand, left in rows.items():
            for at, block, count in runs(self.cell, operand):
                out = e.add(a["dW" if operand == "x" else "dU"], (block, self.row))
                right = e.add(a["dz"], (at, self.row))
                grid = Grid(1, a["features" if operand == "x" else "hidden"], e.add((a["vectors"], count)))
                cover(e, self.target, 1, grid, partial(self._tile_weights, (out, left, right), e.add((steps, a["batch"]))))

    def _tile_weights(
        self, ends: tuple[Value, tuple[Value, Value], Value], rows: Value, shape: tuple[int, int], _: Value, m: Value, v: Value
    ) -> None:
        e, (out, (left, left_row), right), out_row = self.e, ends, self.e.add((len(self.cell.gates), self.row))
        place, column = e.add(out, (m, out_row), (v, e.width)), e.add(right, (v, e.width))
        call_sums_of_products(e, shape, place, out_row, e.add(left, (m, 4)), left_row, column, self.line, rows)

    def _inputs(self, first: Value, steps: Value) -> None:
        """dx of all rows of a chunk."""
        e, a = self.e, self.args
        dx_row = e.add((a["feature_vectors"], e.width))

        def tile(shape: tuple[int, int], _: Value, b: Value, v: Value) -> None:
            out = e.add(a["dx"], (e.add((first, a["batch"]), b), dx_row), (v, e.width))
            call_tile(e, PRODUCT, shape, (a["nothing"], e.n(0), out, dx_row), [self._source("x", b, v)])

        cover(e, self.target, 1, Grid(1, e.add((steps, a["batch"])), a["feature_vectors"]), tile)
