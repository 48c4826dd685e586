"""A cell run over packed steps: one dense rectangle after the other, the state handed on."""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.steps import Packing


class Scan(NamedTuple):
    """What a scan keeps for its backward pass."""

    shape: tuple[int, ...]  # of x: (depth, S, F)
    caches: tuple[Any, ...]  # the cell's, one a rectangle


def forward(cell: ModuleType, weights: Any, options: Any, x: Array, state: Any, packing: Packing) -> tuple[Any, Any, Scan]:
    """The states after every step `(depth, S, H)`, the final state `(S, H)` and the cache, for x `(depth, S, F)`."""
    rectangles = packing.rectangles()
    sequence = cell.State(*(np.zeros((x.shape[0], *array.shape), array.dtype) for array in state))
    state = cell.State(*(array.copy() for array in state))
    caches = []
    for start, stop, n in rectangles:
        cache = cell.forward(x[start:stop, :n], weights, cell.State(*(array[:n] for array in state)), options)
        for whole, now, part in zip(sequence, state, cache.states, strict=True):
            whole[start:stop, :n], now[:n] = part[1:], part[-1]
        caches.append(cache)
    return sequence, state, Scan(x.shape, tuple(caches))


class Replay(NamedTuple):
    """What compiled code keeps: enough to run the cell again when its backward pass is asked for."""

    shape: tuple[int, ...]  # of x: (depth, S, F)
    x: Array
    state: Any  # the initial one, (S, H)


def backward(
    cell: ModuleType, weights: Any, options: Any, scan: Scan | Replay, dsequence: Any, dstate: Any, packing: Packing
) -> tuple[Array, Any, Any]:
    """(dx, dweights, dstate): undoes `forward`, from the last rectangle to the first.

    `dsequence` is a State of `(depth, S, H)`, an unused one None; `dstate` a State of `(S, H)`.
    """
    if isinstance(scan, Replay):
        scan = forward(cell, weights, options, scan.x, scan.state, packing)[2]
    dx = np.zeros(scan.shape, dsequence[0].dtype)
    dweights = cell.Weights(*(None if array is None else np.zeros_like(array) for array in weights))
    dstate = cell.State(*(array.copy() for array in dstate))
    for (start, stop, n), cache in zip(reversed(packing.rectangles()), reversed(scan.caches), strict=True):
        dsteps = cell.State(*(None if array is None else array[start:stop, :n] for array in dsequence))
        part = cell.backward(cache, weights, options, dsteps, cell.State(*(array[:n] for array in dstate)))
        dx[start:stop, :n] = part.x
        for whole, now in zip(dstate, part.state, strict=True):
            whole[:n] = now
        for total, more in zip(dweights, part.weights, strict=True):
            if total is not None:
                total += more
    return dx, dweights, dstate
