"""How a network sees a series beside a linear path: what the path could not know, and where it goes.

Of each row t it sees the values (of a column with a trend: its last increments), flags where they were missing, how far off the
path's forecast of this row was, the difference to the season before, where the path goes from here, and the values to come of
the columns whose future is known. What it says are corrections of the path's forecasts, in units of the path's errors; so an
output of zero is the path's forecast.
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
    base: Array  # (T, H) scaled forecasts that the outputs correct
    filled: Array  # (T, C) scaled values without gaps


def features(columns: int, known: int, horizon: int) -> int:
    """F, the inputs of a network."""
    return 2 * columns + 2 + min(horizon, 2) + known * horizon


def read(rows: Array, path: Path, view: View, units: Array, season: int) -> Reading:
    """A series (T, C) with units (H,), scaled, NaN where missing."""
    missing, filled = np.isnan(rows), path.filled(rows)
    horizon, length, count = len(units), view.length, len(rows)
    base = path.forecasts(filled, horizon)
    target = filled[:, :1]
    surprise = np.zeros((count, 1))
    surprise[1:, 0] = (target[1:, 0] - base[:-1, 0]) / units[0]
    seasonal = np.zeros((count, 1))
    seasonal[season:] = (target[season:] - target[:-season]) / units[-1] if count > season else 0
    ways = (base[:, sorted({0, horizon - 1})] - target) / units[sorted({0, horizon - 1})]
    when = np.minimum(np.arange(count)[:, None] + np.arange(1, horizon + 1), count - 1)
    coming = filled[when][:, :, path.known].reshape(count, -1)
    if view.trending[path.known].any():  # a trend leaves what training had: what counts is how far it goes from here
        coming = coming - np.tile(np.where(view.trending[path.known], filled[:, path.known], 0), horizon)
    more = np.concatenate([surprise, seasonal, ways, coming], axis=1)
    seen = windows.inputs(filled, missing, view)
    return Reading(np.concatenate([seen, windows.padded(more, length, 0.0)], axis=1), base, filled)
