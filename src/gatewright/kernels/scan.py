"""The scan: a cell over time, written as one function of the address of an argument block.

for every chunk of steps:                     (one chunk, unless inputs are multiplied ahead)
    few rows: sums = bias + x W for all of the chunk's steps at once, so that W is read once for many of them
    for every step, every stage, every tile:
        sums in registers, from the bias or from what was multiplied ahead: + x W, + h U
        the cell's formula on every vector of sums: the new state, and y

In inference h has two buffers, the other states one. In training a state is (time + 1, batch, whole vectors), the initial one
first, and what else the backward pass needs is kept as (time, batch, letters, whole vectors).
"""

from functools import partial

from gatewright.kernels.emitter import Emitter, Value
from gatewright.kernels.formulas import Cell, Stage
from gatewright.kernels.target import Target
from gatewright.kernels.tile import Grid, Source, call_tile, cover, emit_tiles

NAME = "scan"
SIZES = ("batch", "time", "features", "hidden", "vectors", "chunk")  # chunk: steps multiplied ahead, 0 = none
X = ("x", "x_row", "x_step")  # strides in bytes
Y = ("y", "y_row", "y_step")


def buffers(cell: Cell, training: bool = False) -> list[str]:
    """The names of the working memory's parts."""
    states = [] if training else ["h_other", *cell.state]  # h is read from one buffer and written to another
    return ["turn", "sums", *states, *cell.scratch, *(f"ahead{k}" for k in range(len(cell.stages)))]


def weights(cell: Cell) -> list[str]:
    """The names of the packed weights."""
    return [name for k, s in enumerate(cell.stages) for name in (f"bias{k}", *(f"{operand}{k}" for operand, _ in s.operands))]


def fields(cell: Cell, training: bool = False) -> list[str]:
    """The argument block: whole numbers of 64 bits by name, addresses and bytes."""
    if training:
        return [*SIZES, *X, *cell.state, "kept", *buffers(cell, training), *weights(cell)]
    states = [f"{letter}{end}" for letter in cell.state for end in ("_in", "_in_row", "_out", "_out_row")]
    return [*SIZES, *X, *Y, *states, *buffers(cell), *weights(cell)]


class Scan:
    """The emission of one cell's scan."""

    def __init__(self, cell: Cell, target: Target, training: bool = False) -> None:
        self.e, self.cell, self.target, self.training = Emitter(target.lanes), cell, target, training
        self.products = [stage.product(f"tile{k}") for k, stage in enumerate(cell.stages)]
        self.args: dict[str, Value] = {}
        self.row: Value = None  # bytes of one row of a state buffer

    def text(self) -> str:
        """The module as LLVM's text."""
        for k, (product, stage) in enumerate(zip(self.products, self.cell.stages, strict=True)):
            emit_tiles(self.e, self.target, product)
            self._emit_finish(k, stage)
        with self.e.function(NAME, 1, public=True) as (block,):
            self.args = {name: self.e.field(block, index) for index, name in enumerate(fields(self.cell, self.training))}
            self.row = self.e.add((self.args["vectors"], self.e.width))
            self._emit_body()
        return self.e.text()

    # --- a tile's end: the formula

    def _emit_finish(self, k: int, stage: Stage) -> None:
        """A function that runs the stage's formulas over the sums of a tile, vector by vector.

        (rows, vectors, sums, state's row stride, floats of y left, y or what is kept, its row stride, then every state before
        and every state after)
        """
        e, unit = self.e, self.e.width * len(stage.sums)
        names = self.cell.state + self.cell.scratch
        with e.function(f"finish{k}", 7 + 2 * len(names)) as (rows, vectors, sums, row, left, line, line_row, *buffers):
            before, new = (dict(zip(names, part, strict=True)) for part in (buffers[: len(names)], buffers[len(names) :]))
            for formula in stage.formulas:
                with e.each(rows) as m, e.each(vectors) as j:
                    place, here = e.add((m, row), (j, e.width)), e.add(sums, (m, vectors, unit), (j, unit))
                    found = {letter: e.load(here, e.width * c) for c, letter in enumerate(stage.sums)}
                    states = {letter: e.load(buffer, place) for letter, buffer in before.items()}
                    states |= {f"{letter}'": e.load(buffer, place) for letter, buffer in new.items()}
                    made, there = formula(e, found, states), e.add(line, (m, line_row), (j, e.width))
                    for c, letter in enumerate(stage.sums):
                        if letter in made:
                            e.store(made[letter], here, e.width * c)
                    for letter in filter(made.__contains__, names):
                        e.store(made[letter], new[letter], place)
                    if self.training:
                        for letter in filter(made.__contains__, self.cell.kept):
                            e.store(made[letter], there, (self.cell.kept.index(letter), row))
                    elif "h" in made:
                        e.store_part(made["h"], e.add(new["h"], place), there, e.add(left, (j, -e.lanes)))

    # --- the loops

    def _emit_body(self) -> None:
        e, a, copied = self.e, self.args, "" if self.training else self.cell.state
        for letter in copied:
            self._enter(letter)
        ahead = e.less(0, a["chunk"])
        length = e.choose(ahead, a["chunk"], a["time"])
        chunks, _ = e.divide(e.add(a["time"], length, -1), length)
        h = [a["h"], a["h" if self.training else "h_other"]]
        turn = e.field(a["turn"], 0)  # the steps of all calls so far: every other one goes through the units backwards
        with e.each(chunks, h) as index:
            first = e.add((index, length))
            rest = e.add(a["time"], (first, -1))
            steps = e.choose(e.less(rest, length), rest, length)
            with e.when(ahead):
                self._multiply_ahead(first, steps)
            with e.each(steps, h) as t:
                self._step((t, e.add(first, t)), ahead, h, e.odd(e.add(turn, first, t)))
                h.reverse()
        e.set_field(a["turn"], 0, e.add(turn, a["time"]))
        for letter in copied:
            self._leave(letter, h[0] if letter == "h" else a[letter])

    def _enter(self, letter: str) -> None:
        """Copies a state into its buffer, whose rows are whole vectors; what is beyond the units is zero and stays so."""
        e, a = self.e, self.args
        with e.each(a["batch"]) as b:
            row = e.add(a[letter], (b, self.row))
            e.store(e.constant(0), row, self.row, -e.width)
            e.copy(e.add(a[f"{letter}_in"], (b, a[f"{letter}_in_row"])), row, a["hidden"])

    def _leave(self, letter: str, buffer: Value) -> None:
        """Copies a state out of its buffer."""
        e, a = self.e, self.args
        with e.each(a["batch"]) as b:
            e.copy(e.add(buffer, (b, self.row)), e.add(a[f"{letter}_out"], (b, a[f"{letter}_out_row"])), a["hidden"])

    def _multiply_ahead(self, first: Value, steps: Value) -> None:
        """bias + x W for every row and step of a chunk; the rows of a tile are steps here."""
        for k, stage in enumerate(self.cell.stages):
            tile = partial(self._tile_ahead, k, stage, first)
            cover(self.e, self.target, len(stage.sums), Grid(self.args["batch"], steps, self.args["vectors"]), tile)

    def _tile_ahead(self, k: int, stage: Stage, first: Value, shape: tuple[int, int], b: Value, t: Value, v: Value) -> None:
        e, a = self.e, self.args
        x = e.add(a["x"], (b, a["x_row"]), (e.add(first, t), a["x_step"]))
        source = self._source(k, stage, 0, (x, a["x_step"], a["features"]), v)
        nothing = Source(*(e.n(0) for _ in Source._fields))
        ends = self._bias(k, v), e.n(0), self._ahead(k, t, b, v), self._ahead_step(k)
        call_tile(e, self.products[k], shape, ends, [source, *(nothing for _ in stage.operands[1:])])

    def _step(self, t: tuple[Value, Value], ahead: Value, h: list[Value], back: Value) -> None:
        """One step of all rows; t: its number (within the chunk, of all), h: its buffers (before, after), back: see `cover`."""
        e, a = self.e, self.args
        state, after = self._states(t[1], h)
        features = e.choose(ahead, 0, a["features"])
        for k, stage in enumerate(self.cell.stages):

            def tile(shape: tuple[int, int], _: Value, b: Value, v: Value, k: int = k, stage: Stage = stage) -> None:
                x = e.add(a["x"], (b, a["x_row"]), (t[1], a["x_step"]))
                rows = {letter: (e.add(buffer, (b, self.row)), self.row, a["hidden"]) for letter, buffer in state.items()}
                rows["x"] = x, a["x_row"], features
                sources = [self._source(k, stage, i, rows[name], v) for i, (name, _) in enumerate(stage.operands)]
                start = e.choose(ahead, self._ahead(k, t[0], b, v), self._bias(k, v))
                start_row = e.choose(ahead, (a["vectors"], self._unit(k)), 0)
                sums_row = e.n(shape[1] * self._unit(k))
                call_tile(e, self.products[k], shape, (start, start_row, a["sums"], sums_row), sources)
                place = e.add((b, self.row), (v, e.width))
                buffers = [e.add(buffer, place) for buffer in (*state.values(), *after.values())]
                ends = self.row, e.add(a["hidden"], (v, -e.lanes)), *self._line(t[1], b, v)
                e.call(f"finish{k}", *shape, a["sums"], *ends, *buffers)

            cover(e, self.target, len(stage.sums), Grid(1, a["batch"], a["vectors"]), tile, back)

    def _states(self, t: Value, h: list[Value]) -> tuple[dict[str, Value], dict[str, Value]]:
        """The states and what stages leave for each other: where they are read, and where they are written."""
        e, a = self.e, self.args
        if not self.training:
            before = {letter: a[letter] for letter in self.cell.state + self.cell.scratch}
            return before | {"h": h[0]}, before | {"h": h[1]}
        scratch, size = {letter: a[letter] for letter in self.cell.scratch}, (a["batch"], self.row)
        before = {letter: e.add(a[letter], (t, *size)) for letter in self.cell.state}
        return before | scratch, {letter: e.add(buffer, size) for letter, buffer in before.items()} | scratch

    def _line(self, t: Value, b: Value, v: Value) -> tuple[Value, Value]:
        """Where y, or what is kept, of one step and row is, and its row stride."""
        e, a = self.e, self.args
        if not self.training:
            return e.add(a["y"], (b, a["y_row"]), (t, a["y_step"]), (v, e.width)), a["y_row"]
        row = e.add((len(self.cell.kept), self.row))
        return e.add(a["kept"], (e.add((t, a["batch"]), b), row), (v, e.width)), row

    # --- addresses

    def _unit(self, k: int) -> int:
        """Bytes of a stage's sums of one vector of units."""
        return len(self.cell.stages[k].sums) * self.e.width

    def _bias(self, k: int, v: Value) -> Value:
        return self.e.add(self.args[f"bias{k}"], (v, self._unit(k)))

    def _ahead_step(self, k: int) -> Value:
        """Bytes of what is multiplied ahead for one step."""
        return self.e.add((self.args["vectors"], self._unit(k), self.args["batch"]))

    def _ahead(self, k: int, t: Value, b: Value, v: Value) -> Value:
        row = (self.args["vectors"], self._unit(k))
        return self.e.add(self.args[f"ahead{k}"], (t, self._ahead_step(k)), (b, *row), (v, self._unit(k)))

    def _source(self, k: int, stage: Stage, i: int, rows: tuple[Value, Value, Value], v: Value) -> Source:
        """The i-th operand of a stage: rows (address, stride, length), and its weights of vector v."""
        (name, into), (address, row, length) = stage.operands[i], rows
        whole = self.args["features" if name == "x" else "hidden"]
        return Source(address, row, self.e.add(self.args[f"{name}{k}"], (v, whole, len(into) * self.e.width)), length)
