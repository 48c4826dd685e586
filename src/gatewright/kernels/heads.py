"""Dense: y = activation(x W + b) over any number of rows, in the same tile form as the scan; softmax row by row."""

from gatewright.kernels import mathematics
from gatewright.kernels.emitter import FLOAT, Emitter, Value
from gatewright.kernels.target import Target
from gatewright.kernels.tile import Grid, Operand, Product, Source, call_tile, cover, emit_tiles

NAME = "dense"
FIELDS = ("rows", "features", "outputs", "vectors", "x", "x_row", "y", "y_row", "sums", "line", "bias", "weights")
PRODUCT = Product("tile", 1, (Operand("x", (0,)),))
ACTIVATIONS = ("linear", "tanh", "sigmoid", "relu", "softmax")


def text(activation: str, target: Target) -> str:
    """The module as LLVM's text: one function of the address of an argument block."""
    e = Emitter(target.lanes)
    emit_tiles(e, target, PRODUCT)
    _emit_finish(e, "linear" if activation == "softmax" else activation)
    with e.function(NAME, 1, public=True) as (block,):
        a = {name: e.field(block, index) for index, name in enumerate(FIELDS)}

        def tile(shape: tuple[int, int], _: Value, row: Value, v: Value) -> None:
            weights = e.add(a["weights"], (v, a["features"], e.width))
            source = Source(e.add(a["x"], (row, a["x_row"])), a["x_row"], weights, a["features"])
            call_tile(e, PRODUCT, shape, (e.add(a["bias"], (v, e.width)), e.n(0), a["sums"], e.n(shape[1] * e.width)), [source])
            y = e.add(a["y"], (row, a["y_row"]), (v, e.width))
            e.call("finish", *shape, a["sums"], e.add(a["outputs"], (v, -e.lanes)), y, a["y_row"])

        cover(e, target, 1, Grid(1, a["rows"], a["vectors"]), tile)
        if activation == "softmax":
            with e.each(a["rows"]) as row:
                _softmax(e, e.add(a["y"], (row, a["y_row"])), a)
    return e.text()


def _emit_finish(e: Emitter, activation: str) -> None:
    """The activation over the sums of a tile: (rows, vectors, sums, floats of y left, y, y's row stride)."""
    with e.function("finish", 6) as (rows, vectors, sums, left, y, y_row), e.each(rows) as m, e.each(vectors) as j:
        here = e.add(sums, (m, vectors, e.width), (j, e.width))
        value = mathematics.FUNCTIONS[activation](e, e.load(here))
        e.store(value, here)
        e.store_part(value, here, e.add(y, (m, y_row), (j, e.width)), e.add(left, (j, -e.lanes)))


def _softmax(e: Emitter, y: Value, a: dict[str, Value]) -> None:
    """e^(y - max) / sum in place, the sum taken from the first to the last. `line` has room for a row of whole vectors."""
    line, count, top, total = a["line"], a["outputs"], [e.constant(float("-inf"))], [e.constant(0)]
    with e.each(count, top) as k:
        top[0] = e.larger(e.load_all(y, (k, FLOAT)), top[0])
    e.copy(y, line, count)
    with e.each(a["vectors"]) as v:
        place = e.add(line, (v, e.width))
        fraction, scale = mathematics.exp(e, e.sub(e.load(place), top[0]))
        e.store(e.mul(fraction, scale), place)
    with e.each(count, total) as k:
        total[0] = e.plus(total[0], e.load_all(line, (k, FLOAT)))
    with e.each(a["vectors"]) as v:
        place = e.add(line, (v, e.width))
        e.store(e.div(e.load(place), total[0]), place)
    e.copy(line, y, count)
