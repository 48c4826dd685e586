"""A series as a learning problem: windows in, scaled increments out.

A row t of a series has C columns: the target, then the inputs. What a network sees at t are the C scaled values (of a column
with a trend: its last increments, which stay where training had them when the values have long left) and C flags, 1 where the
value was missing. What it says at t are increments: of the target over 1 … H steps, z[t + h] - z[t], and of each
input over one step; so an output of zero is persistence. Each output has a unit, the root mean square of its increments in
training; so a squared error of 1 is persistence's.

A missing value does not stop time: it becomes the model's own one-step forecast, with its flag up (`fill`). Rows before the
beginning of the series are missing too, with the value 0, the training mean.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array

SETTLED = 1e-6  # scaled units: fills that move less are final

TREND = 0.5  # a column has a trend if a straight line explains more than this share of its variance


class View(NamedTuple):
    """How a network sees a series."""

    length: int  # W, the rows of a window
    steps: Array  # (C,) the units of the one-step increments
    trending: Array  # (C,) bool: which columns are seen as increments
    gaps: Array  # (C,) bool: which columns had gaps in training; elsewhere no flag is raised, as none was learned
    known: Array  # (C,) bool: which columns' future is known


Predict = Callable[[Array], Array]  # (B, W, 2 C) windows -> (B, O) outputs at their last step


def windows(rows: Array, ends: Array, length: int) -> Array:
    """(B, W, …): the `length` rows of `rows` (W - 1 + T, …) up to each row t in `ends` (B,), with W - 1 rows before row 0."""
    return rows[ends[:, None] + np.arange(length)]


def padded(rows: Array, length: int, value: float) -> Array:
    """`rows` (T, …) with `length` - 1 rows of `value` before it."""
    return np.concatenate([np.full((length - 1, *rows.shape[1:]), value, rows.dtype), rows])


def inputs(filled: Array, missing: Array, view: View) -> Array:
    """(W - 1 + T, 2 C): what the network sees, from scaled values without gaps and bools where there was one, both (T, C)."""
    last = np.diff(filled, axis=0, prepend=filled[:1]) / view.steps
    seen = np.where(view.trending, last, filled)
    flags = (missing & view.gaps).astype(filled.dtype)
    return np.concatenate([padded(seen, view.length, 0.0), padded(flags, view.length, 1.0)], axis=1)


def trends(values: Array) -> Array:
    """(C,) bool: which columns of `values` (T, C) have a trend."""
    time = np.arange(len(values), dtype=float)
    found = []
    for column in values.T:
        known = ~np.isnan(column)
        varies = known.sum() > 2 and np.ptp(column[known]) > 0
        found.append(bool(varies) and float(np.corrcoef(time[known], column[known])[0, 1]) ** 2 > TREND)
    return np.array(found)


def increments(values: Array, filled: Array, horizon: int) -> Array:
    """(T, H + C - 1): the increments that the outputs of row t are to be, NaN where the value is missing or not there yet."""
    columns = [(0, step) for step in range(1, horizon + 1)] + [(column, 1) for column in range(1, values.shape[1])]
    out = np.full((len(values), len(columns)), np.nan)
    for k, (column, step) in enumerate(columns):
        out[:-step, k] = values[step:, column] - filled[:-step, column]
    return out


def units(values: Array, horizon: int) -> Array:
    """(H + C - 1): the root mean square of each output's increments between known values; 1 where nothing ever changes."""
    squares = np.square(increments(values, values, horizon))
    known = ~np.isnan(squares)
    size = np.sqrt(np.where(known, squares, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    return np.where(size > 0, size, 1.0)


def begun(values: Array) -> Array:
    """`values` (T, C) with the last known value in place of each missing one, 0 before the first: where `fill` begins."""
    known = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(known, axis=0)
    return np.where(last < 0, 0.0, np.take_along_axis(values, np.maximum(last, 0), axis=0))


def fill(values: Array, filled: Array, view: View, predict: Predict) -> Array:
    """`filled` (T, C) after one more sweep: every missing value is the forecast of the row before, made from `filled`.

    Each sweep settles at least the first gap that is not yet settled.
    """
    missing = np.isnan(values)
    rows = np.flatnonzero(missing[1:].any(axis=1))  # the rows before those with gaps
    if not len(rows):
        return filled
    outputs = predict(windows(inputs(filled, missing, view), rows, view.length))
    others = len(view.steps) - 1  # the one-step forecasts of the inputs stand last
    one_step = np.concatenate([outputs[:, :1], outputs[:, outputs.shape[1] - others :]], axis=1)
    swept = filled.copy()
    swept[rows + 1] = np.where(missing[rows + 1], filled[rows] + one_step * view.steps, filled[rows + 1])
    return swept


def settle(values: Array, view: View, predict: Predict) -> Array:
    """(T, C): `values` with every gap filled by the model's own forecasts, in the order of time."""
    filled = begun(values)
    for _ in range(int(np.isnan(values).any(axis=1).sum())):
        before, filled = filled, fill(values, filled, view, predict)
        if np.abs(filled - before).max() < SETTLED:
            break
    return filled
