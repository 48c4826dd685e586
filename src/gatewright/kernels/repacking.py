"""Weights into panels, compiled: training packs them after every update, for the scan and, transposed, for its way back."""

from gatewright.kernels import backward, scan
from gatewright.kernels.emitter import FLOAT, Emitter, Value
from gatewright.kernels.formulas import Cell
from gatewright.kernels.target import Target

NAME = "pack"
SIZES = ("features", "hidden", "vectors", "feature_vectors")
WEIGHTS = ("W", "U", "b", "bn")


def fields(cell: Cell) -> list[str]:
    """The argument block: whole numbers of 64 bits by name, addresses and bytes."""
    return [*SIZES, *WEIGHTS, *scan.weights(cell), *backward.panels(cell)]


def text(cell: Cell, target: Target) -> str:
    """The module as LLVM's text: one function of the address of an argument block. Panels are zero where nothing is written."""
    e = Emitter(target.lanes)
    _emit_panel(e)
    _emit_turned(e)
    with e.function(NAME, 1, public=True) as (block,):
        a = {name: e.field(block, index) for index, name in enumerate(fields(cell))}
        row = e.add((a["hidden"], len(cell.gates), FLOAT))

        def source(operand: str, letter: str) -> Value:
            return e.add(a["W" if operand == "x" else "U"], (a["hidden"], cell.gate(letter), FLOAT))

        for k, stage in enumerate(cell.stages):
            unit = e.n(len(stage.sums) * e.width)
            for c, letter in enumerate(stage.sums):
                bias = a["bn"] if letter == "u" else e.add(a["b"], (a["hidden"], cell.gate(letter), FLOAT))
                e.call("panel", bias, 0, 1, a["hidden"], e.add(a[f"bias{k}"], c * e.width), unit)
            for operand, into in stage.operands:
                length = a["features" if operand == "x" else "hidden"]
                for c, letter in enumerate(into):
                    place = e.add(a[f"{operand}{k}"], c * e.width)
                    e.call("panel", source(operand, letter), row, length, a["hidden"], place, len(into) * e.width)
        for operand in "xh" + cell.scratch:
            rows, into = a["features" if operand == "x" else "hidden"], cell.into(operand)
            size = e.add((a["vectors"], e.width, e.lanes))  # of a panel's part of one letter
            for c, letter in enumerate(into):
                place = e.add(a[f"{operand}T"], (c, size))
                e.call("turned", source(operand, letter), row, rows, a["hidden"], place, e.add((size, len(into))))
    return e.text()


def _emit_panel(e: Emitter) -> None:
    """A block of a matrix as panels: (source, its row stride, rows, columns, panels, bytes from row to row)."""
    with e.function("panel", 6) as (source, row, rows, columns, target, unit):
        vectors, _ = e.divide(e.add(columns, e.lanes - 1), e.lanes)
        with e.each(vectors) as v, e.each(rows) as k:
            here, there = e.add(source, (k, row), (v, e.width)), e.add(target, (e.add((v, rows), k), unit))
            left = e.add(columns, (v, -e.lanes))
            whole = e.less(e.lanes - 1, left)
            with e.when(whole):
                e.store(e.load(here), there)
            e.copy(here, there, e.choose(whole, 0, left))


def _emit_turned(e: Emitter) -> None:
    """A block of a matrix, transposed, as panels: (source, its row stride, rows, columns, panels, bytes of a panel)."""
    with e.function("turned", 6) as (source, row, rows, columns, target, panel), e.each(rows) as m:
        v, lane = e.divide(m, e.lanes)
        e.copy(e.add(source, (m, row)), e.add(target, (v, panel), (lane, FLOAT)), columns, e.width)
