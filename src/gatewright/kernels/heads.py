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

        def tile(shape: tuple[int, int], row: Value, v: Value) -> None:
            weights = e.add(a["weights"], (v, a["features"], e.width))
            source = Source(e.add(a["x"], (row, a["x_row"])), a["x_row"], weights, a["features"])
            call_tile(e, PRODUCT, shape, (e.add(a["bias"], (v, e.width)), e.n(0), a["sums"], e.n(shape[1] * e.width)), [source])
            y = e.add(a["y"], (row, a["y_row"]), (v, e.width))
            e.call("finish", *shape, a["sums"], e.add(a["outputs"], (v, -e.lanes)), y, a["y_row"])

        cover(e, target, 1, Grid(a["rows"], a["vectors"]), tile)
        if activation == "softmax":
            e.each(a["rows"], lambda row: _softmax(e, e.add(a["y"], (row, a["y_row"])), a))
    return e.text()


def _emit_finish(e: Emitter, activation: str) -> None:
    """The activation over the sums of a tile: (rows, vectors, sums, floats of y left, y, y's row stride)."""
    with e.function("finish", 6) as (rows, vectors, sums, left, y, y_row):

        def one(m: Value, j: Value) -> None:
            here = e.add(sums, (m, vectors, e.width), (j, e.width))
            value = mathematics.FUNCTIONS[activation](e, e.load(here))
            e.store(value, here)
            e.store_part(value, here, e.add(y, (m, y_row), (j, e.width)), e.add(left, (j, -e.lanes)))

        e.each(rows, lambda m: e.each(vectors, lambda j: one(m, j)))


def _softmax(e: Emitter, y: Value, a: dict[str, Value]) -> None:
    """e^(y - max) / sum in place, the sum taken from the first to the last. `line` has room for a row of whole vectors."""
    line, count = a["line"], a["outputs"]
    (top,) = e.loop(count, [e.constant(float("-inf"))], lambda k, now: [e.larger(e.load_all(y, (k, FLOAT)), now[0])])
    e.copy(y, line, count)

    def grown(v: Value) -> None:
        place = e.add(line, (v, e.width))
        fraction, scale = mathematics.exp(e, e.sub(e.load(place), top))
        e.store(e.mul(fraction, scale), place)

    e.each(a["vectors"], grown)
    (total,) = e.loop(count, [e.constant(0)], lambda k, now: [e.b.fadd(now[0], e.load_all(line, (k, FLOAT)))])
    e.each(a["vectors"], lambda v: e.store(e.div(e.load(line, (v, e.width)), total), line, (v, e.width)))
    e.copy(line, y, count)
