"""Compiled scans on top of each other, prepared, in an order that threads can share."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.layers.base import Step
from gatewright.state import tree_map
from gatewright.threads import LEAST, allowed, shares, stretches, together

Scan = Callable[[slice], Any]  # the prepared call for a stretch of the time axis
Run = Callable[[], None]
ALL = slice(None)


def prepare(layer: Any, kernel: Any, weights: Sequence[Any], x: Array, state: Any) -> Step:
    """A Recurrent's scans for x, (B, F) or (B, T, F), that begin with a copy of `state`; packed weights in the state's order.

    Every direction of every layer writes into its part of one output, which the next layer reads: nothing is copied.
    """
    state, H, ways = tree_map(partial(np.array, order="C"), state), layer.hidden_size, len(layer.directions)
    one, x = x.ndim == 2, x[:, None] if x.ndim == 2 else x
    line = x.swapaxes(0, 1)[:: -1 if layer.go_backwards else 1]
    scans: list[list[Scan]] = []
    for k in range(layer.num_layers):
        y = np.empty((*x.shape[:2], ways * H), x.dtype)
        above = y.swapaxes(0, 1)
        scans.append([])
        for d in range(ways):
            index, turn = k * ways + d, -1 if d else 1
            now, out = type(state)(*(array[index] for array in state)), above[::turn, :, d * H : (d + 1) * H]
            scans[-1].append(kernel.scan(weights[index], line[::turn], out, now))
        line = above
    runs = order(scans, len(x), x.shape[1], kernel.operations(weights[-1], y))
    if layer.return_sequences:
        return Step(tuple(runs), y[:, 0] if one else y, state)
    last = np.empty((len(x), ways, H), x.dtype)
    runs.append(partial(np.copyto, last, state.h[-ways:].swapaxes(0, 1)))
    return Step(tuple(runs), last.reshape(len(x), ways * H), state)


def order(layers: Sequence[Sequence[Scan]], rows: int, steps: int, operations: float) -> list[Run]:
    """What is to be run, one after the other, for the scans of every layer, one or two directions each.

    operations: of one scan over all rows and steps. Threads share the rows, where they are many enough: that happens inside
    a scan. Else the two directions, or the layers: while one reads a stretch of time, the one below is a stretch ahead.
    """
    alone = len(shares(rows, operations)) > 1
    pieces = min(steps, int(2 * operations // LEAST))
    if not alone and len(layers[0]) > 1 and len(shares(2, 2 * operations)) > 1:
        return [partial(together, [scan(ALL).run for scan in layer], 2) for layer in layers]
    if alone or len(layers) < 2 or pieces < 2 or len(layers[0]) > 1 or len(shares(2, 2 * operations)) < 2:
        return [scan(ALL).run for layer in layers for scan in layer]
    parts = stretches(steps, pieces)
    at_once = ([(k, now - k) for k in range(len(layers)) if 0 <= now - k < pieces] for now in range(len(layers) + pieces - 1))
    return [partial(together, [layers[k][0](parts[j]).run for k, j in pairs], allowed()) for pairs in at_once]
