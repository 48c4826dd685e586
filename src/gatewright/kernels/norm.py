"""Inference of LayerNorm: row by row, its sums taken from the first number to the last."""

import functools
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import code
from gatewright.kernels.call import Call, RowKernel, address
from gatewright.kernels.emitter import FLOAT, Emitter, Value
from gatewright.kernels.packing import aligned, panels
from gatewright.kernels.target import Target

NAME = "norm"
FIELDS = ("rows", "size", "vectors", "x", "x_row", "y", "y_row", "line", "gain", "shift", "constants")


def text(target: Target) -> str:
    """The module as LLVM's text: one function of an argument block."""
    e = Emitter(target.lanes)
    with e.function(NAME, 1, public=True) as (block,):
        a = {name: e.field(block, index) for index, name in enumerate(FIELDS)}
        with e.each(a["rows"]) as row:
            _row(e, e.add(a["x"], (row, a["x_row"])), e.add(a["y"], (row, a["y_row"])), a)
    return e.text()


def _row(e: Emitter, x: Value, y: Value, a: dict[str, Value]) -> None:
    """y = gain (x - mean) / sqrt(var + epsilon) + shift; `line` has room for a row of whole vectors."""
    line, count, epsilon = a["line"], e.load_all(a["constants"]), e.load_all(a["constants"], FLOAT)
    total, squares = [e.constant(0)], [e.constant(0)]
    with e.each(a["size"], total) as k:
        total[0] = e.plus(total[0], e.load_all(x, (k, FLOAT)))
    mean = e.div(total[0], count)
    with e.each(a["size"], squares) as k:
        centred = e.sub(e.load_all(x, (k, FLOAT)), mean)
        squares[0] = e.fma(centred, centred, squares[0])
    scale = e.div(e.constant(1), e.intrinsic("sqrt", e.plus(e.div(squares[0], count), epsilon)))
    e.copy(x, line, a["size"])
    with e.each(a["vectors"]) as v:
        place = (v, e.width)
        normal = e.mul(e.sub(e.load(line, place), mean), scale)
        value = e.fma(normal, e.load(a["gain"], place), e.load(a["shift"], place))
        e.store(value, line, place)
        e.store_part(value, e.add(line, place), e.add(y, place), e.add(a["size"], (v, -e.lanes)))


class Packed(NamedTuple):
    """The parameters of one LayerNorm, padded to whole vectors."""

    gain: Array
    shift: Array
    constants: Array  # (2,) the size and epsilon


@functools.cache
def compiled(target: Target) -> "Kernel":
    """The kernel, compiled once a process."""
    return Kernel(target)


class Kernel(RowKernel):
    """A compiled LayerNorm."""

    def __init__(self, target: Target) -> None:
        self.target, self.code = target, code.compiled("norm", target)

    def pack(self, gain: Array, shift: Array, epsilon: float) -> Packed:
        """gain and shift (size,), float32."""
        gains, shifts = (panels([array[None]], self.target.lanes) for array in (gain, shift))
        return Packed(gains, shifts, np.array([len(gain), epsilon], np.float32))

    def call(self, packed: Packed, x: Array, y: Array) -> Call:
        (N, size), vectors = x.shape, len(packed.gain)
        work, begin = aligned(vectors * self.target.lanes)
        work[:] = 0
        places = (address(x), x.strides[0], address(y), y.strides[0], begin)
        return Call(self.code, [N, size, vectors, *places, *map(address, packed)], (packed, x, y, work))
