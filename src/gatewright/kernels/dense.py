"""Dense: packed weights, prepared argument blocks, the compiled product."""

import functools
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import code
from gatewright.kernels.call import Call, RowKernel, address
from gatewright.kernels.packing import aligned, panels
from gatewright.kernels.target import Target


class Packed(NamedTuple):
    """The weights of one Dense, packed for one width."""

    weights: Array  # (vectors, F, 1, lanes)
    bias: Array  # (vectors, 1, 1, lanes)
    outputs: int


@functools.cache
def compiled(activation: str, target: Target) -> "Kernel":
    """The kernel of an activation, compiled once a process."""
    return Kernel(activation, target)


class Kernel(RowKernel):
    """A compiled Dense."""

    def __init__(self, activation: str, target: Target) -> None:
        self.target = target
        self.code = code.compiled(f"dense_{activation}", target)

    def pack(self, W: Array, b: Array | None) -> Packed:
        """W (F, O) and b (O,) or None, float32, in the order in which tiles read them."""
        bias = np.zeros(W.shape[1], np.float32) if b is None else b
        return Packed(panels([W], self.target.lanes), panels([bias[None]], self.target.lanes), W.shape[1])

    def through(self, packed: Packed, dz: Array, size: int) -> Array:
        """The gradient (N, size) of the input, from dz (N, O) of the sums and W packed transposed."""
        return compiled("linear", self.target).infer(packed, np.asarray(dz, np.float32), size)

    def call(self, packed: Packed, x: Array, y: Array) -> Call:
        vectors, features, _, lanes = packed.weights.shape
        room = self.target.registers * lanes
        work, begin = aligned(room + vectors * lanes)
        work[room:] = 0
        places = (address(x), x.strides[0], address(y), y.strides[0], begin, begin + work.itemsize * room)
        sizes = (len(x), features, packed.outputs, vectors)
        numbers = [*sizes, *places, address(packed.bias), address(packed.weights)]
        return Call(self.code, numbers, (packed, x, y, work))
