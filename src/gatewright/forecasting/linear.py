"""Linear forecasts of one or many series: autoregressions of differenced columns and exponential smoothing, which is one too.

A panel is a list of series (T_i, C), scaled and without gaps, that share one regression. Of its columns some are *known* ahead
(holidays, prices): what they do to the others is taken out first, by least squares, and put in again with their values to come.
The others, the target first, go on together as a vector autoregression: differenced values from the last ones, one step, and
several steps by going on from its own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array

FEWEST = 4  # equations to a lag, at least
DECAYS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)  # of exponential smoothing, from one row or season to the one before
NUMBERS = 1 << 22  # that are made at once to forecast from many rows
LITTLE = 1e-12  # of the variance: what an equation leaves unexplained is no smaller, for the logarithm's sake


class Recipe(NamedTuple):
    """How a regression is fitted."""

    differences: tuple[int, ...]  # lags that are differenced, one after the other: (1, 12) for months with a trend
    most: int  # lags at most; 0: differences alone
    ridge: float | None = None  # penalty, as a share of each column's power, on all `most` lags; None: so many as AIC says
    smoothing: int = 0  # season of exponential smoothing, with `most` lags at most; 0: an autoregression


class Panel(NamedTuple):
    """What regressions are fitted to."""

    series: Sequence[Array]  # (T_i, C) each, no gaps
    usable: Sequence[Array]  # (T_i,) bool each: rows whose target may be learned: known, not left out
    known: Array  # (C,) bool: columns whose future is known

    def until(self, share: float, least: int) -> "Panel":
        """The first rows of each series."""
        stops = [max(round(len(rows) * share), min(least, len(rows))) for rows in self.series]
        series = [rows[:stop] for rows, stop in zip(self.series, stops, strict=True)]
        return Panel(series, [rows[:stop] for rows, stop in zip(self.usable, stops, strict=True)], self.known)


class Regression(NamedTuple):
    """e[t] = constant + sum over k of e[t - 1 - k] lags[k], where e = columns that are not known - known columns @ effect."""

    constant: Array  # (E,)
    lags: Array  # (P, E, E), P at least 1
    effect: Array  # (K, E)

    def forecasts(self, rows: Array, known: Array, horizon: int) -> Array:
        """(T, H, E): the columns that are not known, 1 … H steps after each row of a series without gaps (T, C).

        known: (C,) bool. Where a known column has no row left, it stays as it was last; before row 0 all is as in row 0.
        """
        ahead = self._effects(rows, known)  # (T, E)
        rest = rows[:, ~known] - ahead
        past, count = len(self.lags), len(rows)
        path = np.concatenate([np.repeat(rest[:1], past, axis=0), rest])
        last = np.lib.stride_tricks.sliding_window_view(path, past, axis=0)[1:]  # (T, E, P), the latest last
        weights = self.lags[::-1].reshape(-1, rest.shape[1])
        when = np.minimum(np.arange(count)[:, None] + np.arange(1, horizon + 1), count - 1)
        out: Array = ahead[when]
        size = max(1, NUMBERS // ((past + horizon) * rest.shape[1]))
        for some in (slice(start, start + size) for start in range(0, count, size)):
            part = last[some].swapaxes(1, 2)
            going = np.concatenate([part, np.empty((len(part), horizon, rest.shape[1]))], axis=1)
            for h in range(horizon):
                going[:, past + h] = self.constant + going[:, h : past + h].reshape(len(part), -1) @ weights
            out[some] += going[:, past:]
        return out

    def one_step(self, rows: Array, known: Array, t: int) -> Array:
        """(E,): row t from the rows before it; t from 1."""
        past = len(self.lags)
        ahead = self._effects(rows[max(t - past, 0) : t + 1], known)
        rest = rows[max(t - past, 0) : t, ~known] - ahead[:-1]
        rest = np.concatenate([np.repeat(rest[:1], past - len(rest), axis=0), rest])
        value: Array = self.constant + rest[::-1].ravel() @ self.lags.reshape(-1, rest.shape[1]) + ahead[-1]
        return value

    def _effects(self, rows: Array, known: Array) -> Array:
        effects: Array = rows[:, known] @ self.effect
        return effects


def fit(panel: Panel, recipe: Recipe) -> Regression:
    """The regression of a recipe on a panel."""
    operator = _operator(recipe.differences)
    differenced = [_applied(operator, rows) for rows in panel.series]
    usable = [rows[len(operator) - 1 :] for rows in panel.usable]
    effect = _effect(differenced, usable, panel.known)
    series = [rows[:, ~panel.known] - rows[:, panel.known] @ effect for rows in differenced]
    width = int((~panel.known).sum())
    most = min(recipe.most, sum(map(len, series)) // (FEWEST * width), max(map(len, series), default=0) // 2)
    if recipe.smoothing:
        constant, lags = np.zeros(width), _smoothed(series, usable, recipe)
    elif most == 0:
        constant, lags = np.zeros(width), np.zeros((0, width, width))
    else:
        x, y = _equations(series, usable, most)
        chosen = _penalised(x, y, recipe.ridge) if recipe.ridge is not None else _shortest(x, y)
        constant, lags = chosen[0], chosen[1:].reshape(-1, width, width)
    return Regression(constant, _unfolded(lags, operator, width), effect)


def _operator(differences: tuple[int, ...]) -> Array:
    """(P + 1,): what a series is convolved with to be differenced."""
    operator = np.ones(1)
    for lag in differences:
        factor = np.zeros(lag + 1)
        factor[0], factor[lag] = 1, -1
        operator = np.convolve(operator, factor)
    return operator


def _applied(operator: Array, rows: Array) -> Array:
    """(T - P, C): the differenced columns of rows (T, C); none where they are too few."""
    past = len(operator) - 1
    if len(rows) <= past:
        return np.zeros((0, rows.shape[1]))
    out = np.zeros((len(rows) - past, rows.shape[1]))
    for lag in np.flatnonzero(operator):
        out += operator[lag] * rows[past - lag : len(rows) - lag]
    return out


def _unfolded(lags: Array, operator: Array, width: int) -> Array:
    """(P, E, E): the lags of the values, from those of the differenced values."""
    polynomial = np.concatenate([np.eye(width)[None], -lags])
    full = np.zeros((len(polynomial) + len(operator) - 1, width, width))
    for lag in np.flatnonzero(operator):
        full[lag : lag + len(polynomial)] += operator[lag] * polynomial
    return -full[1:] if len(full) > 1 else np.zeros((1, width, width))


def _effect(series: list[Array], usable: list[Array], known: Array) -> Array:
    """(K, E): what the known columns do to the others, by least squares over all usable rows."""
    rows = np.concatenate([part[use] for part, use in zip(series, usable, strict=True)])
    if not known.any() or len(rows) <= FEWEST * int(known.sum()):
        return np.zeros((int(known.sum()), int((~known).sum())))
    x = rows[:, known]
    effect: Array = np.linalg.lstsq(x - x.mean(axis=0), rows[:, ~known] - rows[:, ~known].mean(axis=0), rcond=None)[0]
    return effect


def _equations(series: list[Array], usable: list[Array], most: int) -> tuple[Array, Array]:
    """(x (N, 1 + most E): one, then the latest row first; y (N, E)) of every usable row that has so many before it."""
    x, y = [], []
    for rows, use in zip(series, usable, strict=True):
        if len(rows) > most:
            at = np.flatnonzero(use[most:]) + most
            x.append(rows[at[:, None] - np.arange(1, most + 1)].reshape(len(at), most * rows.shape[1]))
            y.append(rows[at])
    lagged = np.concatenate(x)
    return np.column_stack([np.ones(len(lagged)), lagged]), np.concatenate(y)


def _smoothed(series: list[Array], usable: list[Array], recipe: Recipe) -> Array:
    """(P, E, E): exponential smoothing of level and season, as the autoregression that it is; each column on its own.

    The errors of differenced values are a moving average (1 - a B)(1 - b B^s) (Box & Jenkins 1970); a and b are those of a grid
    that leave the least squares, one step ahead.
    """
    width = series[0].shape[1]
    most = min(recipe.most, max(map(len, series), default=0))
    lags = np.zeros((most, width, width))
    if not most:
        return lags
    pairs = [(a, b) for a in DECAYS for b in DECAYS] if recipe.differences[1:] else [(a, 0.0) for a in DECAYS]
    for column in range(width):
        left = []
        for pair in pairs:
            inverse = _inverse(*pair, recipe.smoothing, most + 1)
            parts = [(rows[:, column], use) for rows, use in zip(series, usable, strict=True) if len(rows)]
            errors = [np.convolve(rows, inverse)[: len(rows)][use] for rows, use in parts]
            left.append(sum(float(error @ error) for error in errors))
        lags[:, column, column] = -_inverse(*pairs[int(np.argmin(left))], recipe.smoothing, most + 1)[1:]
    return lags


def _inverse(a: float, b: float, season: int, length: int) -> Array:
    """(length,): the first coefficients of 1 / ((1 - a B)(1 - b B^season))."""
    seasonal = np.zeros(length)
    seasonal[::season] = b ** np.arange(len(seasonal[::season]))
    inverse: Array = np.convolve(a ** np.arange(length), seasonal)[:length]
    return inverse


def _shortest(x: Array, y: Array) -> Array:
    """(1 + p E, E): least squares with the order p that the corrected AIC of the target chooses (Hurvich & Tsai 1989)."""
    count, width = y.shape
    sizes = np.arange(1, x.shape[1] + 1, width)
    sizes = sizes[sizes < max(count // 2, 2)]
    if not count:
        return np.zeros((1, width))
    r: Any = np.linalg.qr(np.column_stack([x[:, : sizes[-1]], y[:, 0]]), mode="r")  # its last column is y in the basis of x
    power = float(y[:, 0] @ y[:, 0])
    left = power - np.cumsum(np.square(r[: sizes[-1], -1]))[sizes - 1]
    aic = count * np.log(np.maximum(left, LITTLE * power + 1e-300)) + 2 * sizes * count / np.maximum(count - sizes - 1, 1)
    size = int(sizes[np.argmin(aic)])
    solution: Array = np.linalg.lstsq(x[:, :size], y, rcond=None)[0]
    return solution


def _penalised(x: Array, y: Array, ridge: float) -> Array:
    """(1 + p E, E): all lags, each with its penalty (Hoerl & Kennard 1970); the constant has none."""
    gram = x.T @ x
    penalty = ridge * np.diag(gram) + LITTLE * (np.trace(gram) + 1)
    penalty[0] = LITTLE
    solution: Array = np.linalg.solve(gram + np.diag(penalty), x.T @ y)
    return solution
