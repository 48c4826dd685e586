"""Adam's step in one pass: the operations of training/optimizers.py in their order, so that the bits are NumPy's."""

import functools
import struct

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels import code
from gatewright.kernels.call import address
from gatewright.kernels.emitter import FLOAT, Emitter, Value
from gatewright.kernels.target import Target

NAME = "adam"
ARRAYS = ("p", "g", "mean", "square")
FIELDS = ("vectors", "left", *ARRAYS, "constants", "work")
CONSTANTS = ("1 - beta1", "beta2", "1 - beta2", "root", "eps", "rate")


def text(target: Target) -> str:
    """The module as LLVM's text: one function of the address of an argument block."""
    e = Emitter(target.lanes)
    _emit_vector(e)
    with e.function(NAME, 1, public=True) as (block,):
        a = {name: e.field(block, index) for index, name in enumerate(FIELDS)}
        with e.each(a["vectors"]) as v:
            e.call("vector", *(e.add(a[name], (v, e.width)) for name in ARRAYS), a["constants"])
        # The numbers beyond the last whole vector go by way of `work`.
        rest = {name: e.add(a[name], (a["vectors"], e.width)) for name in ARRAYS}
        work = {name: e.add(a["work"], k * e.width) for k, name in enumerate(ARRAYS)}
        for name in ARRAYS:
            e.copy(rest[name], work[name], a["left"])
        e.call("vector", *work.values(), a["constants"])
        for name in ARRAYS:
            e.copy(work[name], rest[name], a["left"])
    return e.text()


def _emit_vector(e: Emitter) -> None:
    """One vector of p, g, mean and square, at their addresses."""
    with e.function("vector", len(ARRAYS) + 1) as (*places, constants):
        p, g, mean, square = map(e.load, places)
        c: dict[str, Value] = {name: e.load_all(constants, FLOAT * k) for k, name in enumerate(CONSTANTS)}
        mean = e.plus(mean, e.mul(e.sub(g, mean), c["1 - beta1"]))
        square = e.plus(e.mul(square, c["beta2"]), e.mul(e.mul(g, g), c["1 - beta2"]))
        root = e.plus(e.div(e.intrinsic("sqrt", square), c["root"]), c["eps"])
        p = e.sub(p, e.mul(e.div(mean, root), c["rate"]))
        for value, place in ((p, places[0]), (mean, places[2]), (square, places[3])):
            e.store(value, place)


@functools.cache
def compiled(target: Target) -> "Kernel":
    """The kernel, compiled once a process."""
    return Kernel(target)


class Kernel:
    """A compiled Adam."""

    def __init__(self, target: Target) -> None:
        self.target, self.code = target, code.compiled("adam", target)

    def step(self, p: Array, g: Array, mean: Array, square: Array, constants: tuple[float, ...]) -> None:
        """Moves p (N,) against g (N,) and its means, in place, all float32; the constants are those of CONSTANTS."""
        lanes, count = self.target.lanes, len(CONSTANTS)
        room = np.zeros(count + len(ARRAYS) * lanes, np.float32)
        room[:count] = constants
        begin = address(room)
        places = *map(address, (p, g, mean, square)), begin, begin + FLOAT * count
        self.code.call(struct.pack(f"{len(FIELDS)}q", *divmod(len(p), lanes), *places))
