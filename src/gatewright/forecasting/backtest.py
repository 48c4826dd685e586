"""Methods side by side: on the same rows, with what each knew at the time."""

from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array


class Period(NamedTuple):
    """Rows of a series that are to be forecast."""

    name: str
    first: int
    last: int  # included


class Method(NamedTuple):
    """A way to forecast and what it said: row t of `ahead` (T, H) is what it forecast at t for t + 1 … t + H."""

    name: str
    ahead: Array


class Score(NamedTuple):
    """How far off a method was in a period; (H,) each, NaN where there was nothing to score."""

    rmse: Array  # in the target's units
    mae: Array  # in the target's units
    arv: Array  # mean squared error over the job's variance: that of the training rows, or the literature's 1535


def scored_rows(y: Array, methods: list[Method], period: Period, train: int) -> list[Array]:
    """For each step ahead, the rows of the period that count.

    Those whose value y (T,) is known, which every method forecast, and which were forecast at the last of the `train` training
    rows or later.
    """
    rows = []
    for step in range(1, methods[0].ahead.shape[1] + 1):
        at = np.arange(max(period.first, train - 1 + step), min(period.last, len(y) - 1) + 1)
        known = ~np.isnan(y[at])
        for method in methods:
            known &= ~np.isnan(method.ahead[at - step, step - 1])
        rows.append(at[known])
    return rows


def score(y: Array, method: Method, rows: list[Array], variance: float) -> Score:
    """The score of a method on rows of y (T,), given for each step ahead."""
    numbers = np.full((3, len(rows)), np.nan)
    for h, at in enumerate(rows):
        if len(at):
            error = y[at] - method.ahead[at - h - 1, h]
            square = float(np.mean(error * error))
            numbers[:, h] = np.sqrt(square), np.mean(np.abs(error)), square / variance
    return Score(*numbers)


def coverage(y: Array, lower: Array, upper: Array, rows: list[Array]) -> Array:
    """(H,): the share of the rows whose value lies in its interval; lower and upper are (T, H)."""
    shares = np.full(len(rows), np.nan)
    for h, at in enumerate(rows):
        if len(at):
            shares[h] = np.mean((lower[at - h - 1, h] <= y[at]) & (y[at] <= upper[at - h - 1, h]))
    return shares
