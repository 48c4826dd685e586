"""Compiled scans on top of each other, in an order that threads can share."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gatewright.threads import LEAST, shares, stretches, together

Scan = Callable[[slice], Any]  # the prepared call for a stretch of the time axis
Run = Callable[[], None]
ALL = slice(None)


def order(layers: Sequence[Sequence[Scan]], rows: int, steps: int, operations: float) -> list[Run]:
    """What is to be run, one after the other, for the scans of every layer, one or two directions each.

    operations: of one scan over all rows and steps. Threads share the rows, where they are many enough: that happens inside
    a scan. Else the two directions, or the layers: while one reads a stretch of time, the one below is a stretch ahead.
    """
    alone = len(shares(rows, operations)) > 1
    pieces = min(steps, int(2 * operations // LEAST))
    if not alone and len(layers[0]) > 1 and len(shares(2, 2 * operations)) > 1:
        return [partial(together, [scan(ALL).run for scan in layer]) for layer in layers]
    if alone or len(layers) < 2 or pieces < 2 or len(layers[0]) > 1 or len(shares(2, 2 * operations)) < 2:
        return [scan(ALL).run for layer in layers for scan in layer]
    parts = stretches(steps, pieces)
    at_once = ([(k, now - k) for k in range(len(layers)) if 0 <= now - k < pieces] for now in range(len(layers) + pieces - 1))
    return [partial(together, [layers[k][0](parts[j]).run for k, j in pairs]) for pairs in at_once]
