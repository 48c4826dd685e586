"""masked_output="repeat": a dead step shows the output of the last live one."""

import numpy as np

from gatewright.arrays import Array
from gatewright.layers.base import zero_dead
from gatewright.steps import Steps, live_or_none


def latest(steps: Steps | None, batch: int, time: int) -> Array | None:
    """(B, T) int: at every step the last live one of its segment so far, -1 before the first; None where all steps live."""
    live = live_or_none(steps, batch, time)
    if steps is None or live is None:
        return None
    now = np.arange(time)
    last = np.maximum.accumulate(np.where(live, now, -1), axis=1)
    begin = 0 if steps.starts is None else np.maximum.accumulate(np.where(steps.starts, now, 0), axis=1)
    return np.where(last >= begin, last, -1)


def forward(y: Array, latest: Array) -> Array:
    """Keras' rule: a dead step repeats the output of the last live one, zero before the first."""
    return zero_dead(np.take_along_axis(y, np.maximum(latest, 0)[..., None], axis=1), latest >= 0)


def backward(dy: Array, latest: Array) -> Array:
    """Undoes `forward`: what the repeated outputs got goes to the live step that they repeat."""
    total = np.zeros_like(dy)
    rows, times = np.nonzero(latest >= 0)
    np.add.at(total, (rows, latest[rows, times]), dy[rows, times])
    return total
