"""The linear path: several linear forecasts, weighted by how well they have forecast what came next.

No one way of differencing serves all series, and a choice among them is noisy; the weighted mean of them all is hardly ever
far from the best (Bates & Granger 1969). The weights are the inverse cubes of mean squared errors over rolling origins.
"""

from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.forecasting import linear
from gatewright.forecasting.linear import Panel, Recipe, Regression

SHARES = (0.6, 0.7, 0.8, 0.9)  # of the rows, up to which a regression learns before it forecasts the next tenth
RIDGE = 0.05
POWER = 3  # of the inverse mean squared errors
SHORT = 12  # lags at most where there is no season
MEMORY, LONG = 4, 50  # seasons, and rows at least, that exponential smoothing looks back over
ROUNDS = 2  # times that gaps are filled and the path is fitted again


class Plan(NamedTuple):
    """What a linear path is to be made of."""

    season: int  # rows; 1: none
    recipes: tuple[Recipe, ...]
    weights: Array  # (R,) sum 1
    units: Array  # (H,) root mean square error of the mixture over the rolling origins; 1 where there is none


class Path(NamedTuple):
    """Linear forecasts and their weights."""

    parts: tuple[Regression, ...]
    weights: Array  # (R,)
    known: Array  # (C,) bool: columns whose future is known

    def forecasts(self, rows: Array, horizon: int) -> Array:
        """(T, H): the target 1 … H steps after each row of a series (T, C) without gaps."""
        out = np.zeros((len(rows), horizon))
        for part, weight in zip(self.parts, self.weights, strict=True):
            out += weight * part.forecasts(rows, self.known, horizon)[:, :, 0]
        return out

    def filled(self, rows: Array) -> Array:
        """(T, C): the rows with the path's own one-step forecast in place of each missing value, in the order of time.

        Known columns stay as they were; before the first value of a column there is zero, the training mean. No fill is further
        from the known values than these are from each other: where most are missing, a path can lose its way.
        """
        out = held(rows)
        missing = np.isnan(rows[:, ~self.known])
        places = np.flatnonzero(~self.known)
        low, high = _bounds(out[:, places])
        for t in np.flatnonzero(missing.any(axis=1)):
            if t > 0:
                mean = sum(w * part.one_step(out, self.known, int(t)) for part, w in zip(self.parts, self.weights, strict=True))
                out[t, places[missing[t]]] = np.clip(mean, low, high)[missing[t]]
        return out


def held(rows: Array) -> Array:
    """(T, C): the last known value in place of each missing one, 0 before the first."""
    last = np.maximum.accumulate(np.where(np.isnan(rows), -1, np.arange(len(rows))[:, None]), axis=0)
    return np.where(last < 0, 0.0, np.take_along_axis(rows, np.maximum(last, 0), axis=0))


def _bounds(held: Array) -> tuple[Array, Array]:
    """(E,) twice: what lies as far below and above the values (T, E) as they reach, and no less than a standard deviation."""
    low, high = held.min(axis=0), held.max(axis=0)
    reach = np.maximum(high - low, 1.0)
    return low - reach, high + reach


def recipes(season: int, pooled: bool) -> tuple[Recipe, ...]:
    """What is tried: levels, increments, seasonal differences and both, short by AIC and long with a penalty, and smoothing.

    Levels pull a series back to its training mean, which a pool of many, each with its own mean, can't learn (Nickell 1981).
    """
    most = max(2 * season + 2, SHORT)
    differences: list[tuple[int, ...]] = [(1,), (season,), (1, season)] if season > 1 else [(1,), (1, 1)]
    if not pooled:
        differences.insert(0, ())
    tried = [Recipe(each, most, ridge) for each in differences for ridge in (None, RIDGE)]
    smoothed = [(1, season)] if season > 1 else [(1,), (1, 1)]
    tried += [Recipe(each, max(MEMORY * season, LONG), smoothing=season) for each in smoothed]
    return (*tried, Recipe((season,), 0))


def plan(series: list[Array], known: Array, season: int, horizon: int) -> Plan:
    """What the linear path of series (T_i, C), NaN where missing, is to be made of; all weights alike where they are short."""
    tried = recipes(season, len(series) > 1)
    even = Plan(season, tried, np.full(len(tried), 1 / len(tried)), np.ones(horizon))
    whole = [np.zeros(len(rows), bool) for rows in series]
    gaps = any(np.isnan(rows).any() for rows in series)
    path = fit(series, whole, known, even)
    filled = [path.filled(rows) for rows in series] if gaps else series
    return _weighed(Panel(filled, [~np.isnan(rows[:, 0]) for rows in series], known), even)


def _weighed(panel: Panel, even: Plan) -> Plan:
    """The plan with the weights that rolling origins give, and the errors that the mixture makes there."""
    season, tried, horizon = even.season, even.recipes, len(even.units)
    errors = []
    for share in SHARES:
        part = panel.until(share, max(season, 3) + 3)
        fitted = [linear.fit(part, recipe) for recipe in tried]
        for rows, usable, seen in zip(panel.series, panel.usable, part.series, strict=True):
            at = np.arange(len(seen) - 1, min(max(round(len(rows) * (share + 0.1)), len(seen)), len(rows) - 1))
            if len(at):
                off = np.stack([_at(each, rows, panel.known, at, horizon) for each in fitted])
                errors.append(off - _ahead(rows, usable, at, horizon))
    if not errors:
        return even
    every = np.concatenate(errors, axis=1)  # (R, N, H)
    there = ~np.isnan(every[0])
    squares = np.where(there, np.square(every), 0).sum(axis=1)
    count = np.maximum(there.sum(axis=0), 1)
    relative = (squares / np.maximum(squares.mean(axis=0), 1e-300))[:, there.any(axis=0)].mean(axis=1)
    weights = np.maximum(relative, 1e-6) ** -POWER
    weights /= weights.sum()
    mixed = np.tensordot(weights, np.where(there, every, 0), axes=1)
    units = np.sqrt(np.square(mixed).sum(axis=0) / count)
    return Plan(season, tried, weights, np.where(units > 0, units, 1.0))


def _at(part: Regression, rows: Array, known: Array, at: Array, horizon: int) -> Array:
    """(N, H): a part's forecasts of the target at consecutive rows, made from as many rows as it looks back over."""
    first = max(int(at[0]) + 1 - len(part.lags), 0)
    some = rows[first : int(at[-1]) + horizon + 1]
    ahead: Array = part.forecasts(some, known, horizon)[at - first, :, 0]
    return ahead


def _ahead(rows: Array, usable: Array, at: Array, horizon: int) -> Array:
    """(N, H): the target after each of the rows `at`, NaN where it is missing or not there."""
    when = at[:, None] + np.arange(1, horizon + 1)
    inside = np.minimum(when, len(rows) - 1)
    return np.where((when < len(rows)) & usable[inside], rows[inside, 0], np.nan)


def fit(series: list[Array], left_out: list[Array], known: Array, made: Plan) -> Path:
    """The path of a plan on series (T_i, C), NaN where missing, without learning the target's rows in left_out (T_i,) bool."""
    usable = [~np.isnan(rows[:, 0]) & ~out for rows, out in zip(series, left_out, strict=True)]
    gaps = any(np.isnan(rows).any() for rows in series)
    filled = [held(rows) for rows in series]
    for _ in range(ROUNDS if gaps else 1):
        panel = Panel(filled, usable, known)
        path = Path(tuple(linear.fit(panel, recipe) for recipe in made.recipes), made.weights, known)
        filled = [path.filled(rows) for rows in series] if gaps else filled
    return path
