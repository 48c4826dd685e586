"""The register tile: some rows x some vectors of units x all their sums stay in registers while the operands pass by.

    sums[row, vector, column] = start + operand0[row, 0] w[0] + operand0[row, 1] w[1] + ... + operand1[row, 0] w[0] + ...

Every sum is added up in that one order with fused multiply-adds, whatever the tile's shape: this is the law of bits. A tile
may begin with what another one left in memory, because a float32 is the same there as in its register.
"""

from collections.abc import Callable
from typing import NamedTuple

from gatewright.kernels.emitter import FLOAT, Emitter, Value
from gatewright.kernels.target import Target

AHEAD = 2048  # bytes of a panel that are asked for before they are needed: up to 15 % where weights come from afar
LINE = 64


class Operand(NamedTuple):
    """One operand of a product: which columns of the sums it adds into."""

    name: str
    columns: tuple[int, ...]


class Product(NamedTuple):
    """What a tile computes; `columns` vectors of sums belong to each vector of units."""

    name: str
    columns: int
    operands: tuple[Operand, ...]


class Source(NamedTuple):
    """Where an operand and its packed weights are, as values of the emitter."""

    address: Value  # of the first row
    row: Value  # bytes from row to row
    panel: Value  # of the first vector of units: (length, columns, lanes)
    length: Value  # of the operand; 0 leaves it out


def shapes(target: Target, columns: int) -> list[tuple[int, int]]:
    """(rows, vectors) of all tiles that fit into the registers: the widest first, then the tallest."""
    fits = [(target.registers // (vectors * columns), vectors) for vectors in (4, 2, 1)]
    return [(rows, vectors) for most, vectors in fits for rows in range(min(most, target.rows), 0, -1)]


def emit_tiles(e: Emitter, target: Target, product: Product) -> None:
    """A function for every shape of tile: (start, start's row stride, sums, their row stride, *every operand's Source)."""
    for rows, vectors in shapes(target, product.columns):
        with e.function(_name(product, rows, vectors), 4 + 4 * len(product.operands)) as (start, step, out, out_step, *rest):
            unit = product.columns * e.width
            places = [(m, j, c) for m in range(rows) for j in range(vectors) for c in range(product.columns)]
            sums = [e.load(start, (step, m), j * unit + c * e.width) for m, j, c in places]
            for k, operand in enumerate(product.operands):
                sums = _accumulate(e, Source(*rest[4 * k : 4 * k + 4]), operand.columns, (rows, vectors), sums)
            for (m, j, c), value in zip(places, sums, strict=True):
                e.store(value, out, (out_step, m), j * unit + c * e.width)


def _name(product: Product, rows: int, vectors: int) -> str:
    return f"{product.name}_{rows}x{vectors}"


def _accumulate(e: Emitter, source: Source, columns: tuple[int, ...], shape: tuple[int, int], sums: list[Value]) -> list[Value]:
    """sums + operand x weights, one element of the operand after the other."""
    rows, vectors = shape
    total, unit = len(sums) // (rows * vectors), len(columns) * e.width
    origins = [e.add(source.address, (source.row, m)) for m in range(rows)]
    panels = [e.add(source.panel, (source.length, j * unit)) for j in range(vectors)]
    sums = list(sums)
    with e.each(source.length, sums) as k:
        values = [e.load_all(origin, (k, FLOAT)) for origin in origins]
        for j in range(vectors):
            for line in range(0, unit, LINE):
                e.prefetch(panels[j], (k, unit), line + AHEAD)
            for i, column in enumerate(columns):
                weight = e.load(panels[j], (k, unit), i * e.width)
                for m, value in enumerate(values):
                    place = (m * vectors + j) * total + column
                    sums[place] = e.fma(value, weight, sums[place])
    return sums


class Grid(NamedTuple):
    """What tiles have to cover: so many stretches of rows, each over all vectors of units."""

    stretches: Value
    rows: Value
    vectors: Value


Cover = Callable[[tuple[int, int], Value, Value, Value], None]  # (shape, stretch, first row, first vector of units)


def cover(e: Emitter, target: Target, columns: int, grid: Grid, body: Cover, back: Value | None = None) -> None:
    """Calls `body` for tiles that cover the grid: rows dealt out evenly, few rows making wide tiles.

    A panel of weights serves all rows before the next is touched. Where `back` holds, the last panels come first: those that
    the step before read last are still in the cache.
    """
    tiles, _ = e.divide(e.add(grid.rows, target.rows - 1), target.rows)
    low, extra = e.divide(grid.rows, tiles)  # `extra` tiles have low + 1 rows, the others low
    highest = e.add(low, e.choose(e.less(0, extra), 1, 0))
    done: Value = e.n(0)
    for vectors in (4, 2, 1):
        sizes = [rows for rows, across in shapes(target, columns) if across == vectors]
        if not sizes:
            continue
        groups, _ = e.divide(e.add(grid.vectors, (done, -1)), vectors)
        count = groups if vectors == 1 else e.choose(e.less(sizes[0], highest), 0, groups)
        with e.each(count) as k:
            k = k if back is None else e.choose(back, e.add(count, (k, -1), -1), k)
            unit = e.add(done, (k, vectors))
            with e.each(grid.stretches) as stretch:
                for rows in sizes:
                    taller = e.equal(rows, e.add(low, 1))
                    many = e.choose(taller, extra, e.choose(e.equal(rows, low), e.add(tiles, (extra, -1)), 0))
                    with e.each(many) as i:
                        body((rows, vectors), stretch, e.add(e.choose(taller, 0, (extra, e.add(low, 1))), (i, rows)), unit)
        done = e.add(done, (count, vectors))


def call_tile(e: Emitter, product: Product, shape: tuple[int, int], ends: tuple[Value, ...], sources: list[Source]) -> None:
    """Calls the tile of that shape; ends: (start, start's row stride, sums, their row stride)."""
    e.call(_name(product, *shape), *ends, *(value for source in sources for value in source))


def emit_sums_of_products(e: Emitter, target: Target) -> None:
    """A function for every shape of tile of a^T b, added to what is there: (sums, row stride, a, its row stride, b, …, rows).

    sums[m, v] += (a[0, m] b[0, v] + a[1, m] b[1, v] + ...), for the weights' gradients: a holds what was multiplied by them, b
    the gradients of the sums, a row for every step and batch row. Sums of sums: a long one in a row would lose a digit.
    """
    for rows, vectors in shapes(target, 1):
        with e.function(_sums_name(rows, vectors), 7) as (out, out_row, a, a_row, b, b_row, length):
            places = [(m, j) for m in range(rows) for j in range(vectors)]
            sums = [e.constant(0) for _ in places]
            with e.each(length, sums) as k:
                right = [e.load(b, (k, b_row), j * e.width) for j in range(vectors)]
                left = [e.load_all(a, (k, a_row), m * FLOAT) for m in range(rows)]
                sums[:] = [e.fma(left[m], right[j], total) for (m, j), total in zip(places, sums, strict=True)]
            for (m, j), value in zip(places, sums, strict=True):
                there = out, (out_row, m), j * e.width
                e.store(e.plus(e.load(*there), value), *there)


def _sums_name(rows: int, vectors: int) -> str:
    return f"sums_{rows}x{vectors}"


def call_sums_of_products(e: Emitter, shape: tuple[int, int], *arguments: Value) -> None:
    """Calls the tile of that shape of a^T b."""
    e.call(_sums_name(*shape), *arguments)
