"""How a network sees a series beside a linear path, and what it is to say.

Of each row t it sees the values (of a column with a trend: its last increments), flags where they were missing, where the path
goes from here, and the values to come of the columns whose future is known. What it says is its own forecast, as increments
from here in units of the path's errors; the committee then decides how much of the way from the path's forecast to the
network's it goes.
"""

from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.forecasting import windows
from gatewright.forecasting.mixture import Path
from gatewright.forecasting.windows import View


class Reading(NamedTuple):
    """A series as a network sees it."""

    inputs: Array  # (W - 1 + T, F), with W - 1 rows before row 0
    base: Array  # (T, H) the path's scaled forecasts
    filled: Array  # (T, C) scaled values without gaps


def features(columns: int, known: int, horizon: int) -> int:
    """F, the inputs of a network."""
    return 2 * columns + len(_shown(horizon)) + known * horizon


def read(rows: Array, path: Path, view: View, units: Array) -> Reading:
    """A series (T, C) with units (H,), scaled, NaN where missing."""
    missing, filled = np.isnan(rows), path.filled(rows)
    horizon, count = len(units), len(rows)
    base = path.forecasts(filled, horizon)
    ways = (base[:, _shown(horizon)] - filled[:, :1]) / units[_shown(horizon)]
    when = np.minimum(np.arange(count)[:, None] + np.arange(1, horizon + 1), count - 1)
    # A trend leaves what training had: what counts is how far it goes from here.
    coming = filled[when] - np.where(view.trending, filled, 0.0)[:, None]
    more = np.concatenate([ways, coming[:, :, path.known].reshape(count, -1)], axis=1)
    seen = windows.inputs(filled, missing, view)
    return Reading(np.concatenate([seen, windows.padded(more, view.length, 0.0)], axis=1), base, filled)


def _shown(horizon: int) -> list[int]:
    """The steps, less 1, at which the path's forecasts are seen: the first and the last."""
    return sorted({0, horizon - 1})
