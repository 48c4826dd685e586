"""Measures the kernels' tanh and sigmoid over float32 inputs: all 2^32 of them, or every STRIDE-th.

Each is run as it is compiled into the kernels, in blocks, and compared with NumPy's float64. It says, and its exit status
says, whether the promises hold: tanh within 2 ulp (one unit of the smallest below the normal range), never above 1, NaN for
NaN, the sign kept, never falling by more than 1 ulp; sigmoid within 1e-7. All inputs take minutes.

usage: python scripts/check_tanh.py [STRIDE]
"""

import sys
from collections.abc import Callable

import numpy as np

from gatewright.kernels import backend, mathematics, target
from gatewright.kernels.call import Call, address
from gatewright.kernels.emitter import Emitter

Function = Callable[[np.ndarray], np.ndarray]

BLOCK = 1 << 18
TINY = float(np.finfo(np.float32).smallest_normal)


def elementwise(name: str, lanes: int) -> Function:
    """A function of kernels/mathematics.py on float32 arrays (N,), compiled as a loop over vectors of `lanes`."""
    e = Emitter(lanes)
    with e.function("apply", 1, public=True) as (block,):
        x, y, vectors = (e.field(block, index) for index in range(3))
        with e.each(vectors) as k:
            e.store(mathematics.FUNCTIONS[name](e, e.load(x, (k, e.width))), y, (k, e.width))
    code = backend.in_memory(e.text())

    def function(x: np.ndarray) -> np.ndarray:
        vectors = -(-len(x) // lanes)
        wide = np.zeros(vectors * lanes, np.float32)
        wide[: len(x)] = x
        Call(code, [address(wide), address(wide), vectors], wide).run()
        return wide[: len(x)]

    return function


def ulps(y: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The error in units of the last place of the exact value; below the normal range in units of the smallest number."""
    unit = np.ldexp(1.0, np.maximum(np.frexp(exact)[1] - 24, -149))
    return np.abs(y.astype(float) - exact) / unit


class Worst:
    """The largest value so far of every measure, and where it was."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, float]] = {}

    def see(self, name: str, errors: np.ndarray, x: np.ndarray) -> None:
        k = int(np.argmax(errors))
        self.found[name] = max(self.found.get(name, (0.0, 0.0)), (float(errors[k]), float(x[k])))


def measure(tanh: Function, sigmoid: Function, stride: int) -> Worst:
    """The worst of all inputs; half the numbers are the others' negatives, and oddness is checked to the bit."""
    worst, before = Worst(), np.float32(0)
    for start in range(0, 1 << 31, BLOCK * stride):
        bits = np.arange(start, min(start + BLOCK * stride, 1 << 31), stride, dtype=np.uint32)
        x = bits.view(np.float32)
        y, mirrored = tanh(x), tanh(-x)
        worst.see("odd: wrong bits", (y.view(np.uint32) ^ mirrored.view(np.uint32)) != np.uint32(1 << 31), x)
        with np.errstate(invalid="ignore"):
            worst.see("NaN: lost or made", np.isnan(x) != np.isnan(y), x)
        live = ~np.isnan(x)
        x, y = x[live], y[live]
        if not len(x):
            continue
        exact = np.tanh(x.astype(float))
        errors, normal = ulps(y, exact), x >= TINY
        worst.see("tanh: ulp", errors * normal, x)
        worst.see("tanh: units of the smallest number", errors * ~normal, x)
        worst.see("tanh: above 1", np.maximum(y - 1.0, 0), x)
        top = np.maximum.accumulate(np.concatenate([[before], y]))
        before = top[-1]
        worst.see("tanh: falls, ulp", (top[1:] - y.astype(float)) / np.spacing(y), x)
        for side in (x, -x):
            with np.errstate(over="ignore"):
                exact = 1 / (1 + np.exp(-side.astype(float)))
            y = sigmoid(side)
            worst.see("sigmoid: absolute", np.abs(y - exact), side)
            normal = exact >= TINY
            worst.see("sigmoid: relative", np.abs(y - exact)[normal] / exact[normal] if normal.any() else np.zeros(1), side)
    return worst


LIMITS = {
    "odd: wrong bits": 0,
    "NaN: lost or made": 0,
    "tanh: ulp": 2,
    "tanh: units of the smallest number": 1,
    "tanh: above 1": 0,
    "tanh: falls, ulp": 1,
    "sigmoid: absolute": 1e-7,
    "sigmoid: relative": 3e-7,
}


def main(arguments: list[str]) -> int:
    stride = int(arguments[0]) if arguments else 1
    lanes = target.host().lanes
    found = measure(elementwise("tanh", lanes), elementwise("sigmoid", lanes), stride).found
    for name, (error, x) in found.items():
        print(f"{name:35} at most {error:.3g}, at {x!r}; allowed {LIMITS[name]:g}")
    return int(any(found[name][0] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
