"""The core's peak: how many float32 operations a second it does with fused multiply-adds that touch registers alone.

The code is written with the kernels' own emitter: as many independent sums as a tile holds, so that neither the latency of
an addition nor memory is in the way.
"""

import time

import numpy as np

from gatewright.kernels import backend, target
from gatewright.kernels.call import Call, address
from gatewright.kernels.emitter import Emitter

TURNS, UNROLLED, LOOKS = 100_000, 4, 20


def gflops(lanes: int) -> float:
    """GFLOP/s of one core with vectors of so many lanes: the best of some looks of a few milliseconds each."""
    sums = target.TARGETS[lanes].registers
    run = call(lanes, sums, numbers(lanes, sums)).run
    best = min(_seconds(run) for _ in range(LOOKS))
    return 2 * lanes * sums * UNROLLED * TURNS / best / 1e9


def _seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def numbers(lanes: int, count: int) -> np.ndarray:
    """Where `count` sums begin: all 0.75, as are a and b, so that they soon are 3, neither large nor tiny."""
    return np.full(lanes * count, 0.75, np.float32)


def call(lanes: int, count: int, place: np.ndarray) -> Call:
    """A loop of s = s a + b on the `count` vectors in `place`; a and b are the first two of them."""
    e = Emitter(lanes)
    with e.function("peak", 1, public=True) as (block,):
        start, turns = e.field(block, 0), e.field(block, 1)
        a, b = e.load(start), e.load(start, e.width)
        sums = [e.load(start, k * e.width) for k in range(count)]
        with e.each(turns, sums):
            for _ in range(UNROLLED):
                sums[:] = [e.fma(s, a, b) for s in sums]
        for k, s in enumerate(sums):
            e.store(s, start, k * e.width)
    return Call(backend.in_memory(e.text()), [address(place), TURNS], place)
