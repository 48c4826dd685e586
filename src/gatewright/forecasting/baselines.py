"""The classics that a forecast has to be compared with: persistence, the season before, and a least-squares autoregression.

Each forecasts from every row of a series: `forecasts(y, horizon)` takes y (T,), NaN where missing, and gives (T, horizon); row
t holds the forecasts of y[t + 1] … y[t + horizon] from y[: t + 1] alone, NaN where the series has not begun long enough.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from gatewright.arrays import Array

AR_MOST = 30  # the longest autoregression that is tried
SAME_PEAK = 0.9  # a season's multiples peak about as high as the season itself: the first one so near the highest is it


class Baseline(ABC):
    """A forecast without a network."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For tables."""

    @abstractmethod
    def forecasts(self, y: Array, horizon: int) -> Array:
        """(T, horizon) forecasts from y (T,)."""


def _carried(y: Array) -> Array:
    """y (T,) with the last value known in place of each missing one; NaN before the first."""
    last = np.maximum.accumulate(np.where(np.isnan(y), -1, np.arange(len(y))))
    return np.where(last < 0, np.nan, y[last])


@dataclass(frozen=True)
class Persistence(Baseline):
    """Tomorrow is as today: y[t + h] = y[t]."""

    @property
    def name(self) -> str:
        return "persistence"

    def forecasts(self, y: Array, horizon: int) -> Array:
        return np.repeat(_carried(y)[:, None], horizon, axis=1)


@dataclass(frozen=True)
class SeasonalNaive(Baseline):
    """As one season before: y[t + h] = y[t + h - m s], with the smallest m whose row is known at t."""

    season: int

    @property
    def name(self) -> str:
        return f"seasonal naive ({self.season})"

    def forecasts(self, y: Array, horizon: int) -> Array:
        filled = y.copy()
        for t in range(self.season, len(y)):
            if np.isnan(filled[t]):
                filled[t] = filled[t - self.season]
        out = np.full((len(y), horizon), np.nan)
        for h in range(1, horizon + 1):
            lag = self.season * -(-h // self.season) - h  # rows before the last one that is known
            out[lag:, h - 1] = filled[: max(len(y) - lag, 0)]
        return out


@dataclass(frozen=True)
class Autoregression(Baseline):
    """y[t + 1] = c + a1 y[t] + … + ap y[t + 1 - p], fitted by least squares; several steps ahead by going on from its own."""

    coefficients: tuple[float, ...]  # c, a1 … ap

    @property
    def order(self) -> int:
        """p, the rows that it looks back."""
        return len(self.coefficients) - 1

    @property
    def name(self) -> str:
        return f"AR({self.order})"

    @classmethod
    def fit(cls, y: Array, order: int) -> "Autoregression":
        """By least squares on y (T,); equations with a missing value are left out."""
        unit = _unit(y)
        x, target = _equations(y / unit, order)
        intercept, *weights = np.linalg.lstsq(x, target, rcond=None)[0].tolist()
        return cls((intercept * unit, *weights))

    @classmethod
    def chosen(cls, y: Array, longest: int = AR_MOST) -> "Autoregression":
        """The order with the least AIC (Akaike 1974), all of them fitted to the same equations of y (T,)."""
        most = max(1, min(longest, int((~np.isnan(y)).sum()) // 4))
        x, target = _equations(y / _unit(y), most)

        def aic(order: int) -> float:
            columns = x[:, : order + 1]
            error = target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]
            return len(target) * float(np.log(max(float(error @ error), 1e-300))) + 2 * (order + 1)

        orders = [order for order in range(1, most + 1) if len(target) > 2 * (order + 1)] or [1]
        return cls.fit(y, min(orders, key=aic) if len(target) else 1)

    def forecasts(self, y: Array, horizon: int) -> Array:
        intercept, weights = self.coefficients[0], np.array(self.coefficients[1:])
        known = y.copy()
        for t in np.flatnonzero(np.isnan(y)):  # time goes on: what is missing becomes the model's own forecast
            if t >= self.order:
                known[t] = intercept + known[t - self.order : t][::-1] @ weights
        out = np.full((len(y), horizon), np.nan)
        if len(y) >= self.order:
            recent = np.lib.stride_tricks.sliding_window_view(known, self.order)[:, ::-1]  # (T - p + 1, p), latest first
            for h in range(horizon):
                ahead = intercept + recent @ weights
                out[self.order - 1 :, h] = ahead
                recent = np.column_stack([ahead, recent[:, :-1]])
        return out


def _equations(y: Array, order: int) -> tuple[Array, Array]:
    """(x (N, 1 + order): one, then the latest value first; target (N,)) of every row whose values are all known."""
    x = np.lib.stride_tricks.sliding_window_view(y[:-1], order)[:, ::-1] if len(y) > order else np.zeros((0, order))
    target = y[order:]
    whole = ~np.isnan(x).any(axis=1) & ~np.isnan(target)
    return np.column_stack([np.ones(int(whole.sum())), x[whole]]), target[whole]


def _unit(y: Array) -> float:
    """A power of 2 near the largest of y (T,): beside the intercept's ones, least squares would lose what is far from 1."""
    largest = float(np.abs(y).max(initial=0.0, where=~np.isnan(y)))
    return 2.0 ** round(np.log2(largest)) if largest else 1.0


def season_of(y: Array) -> int:
    """The period of y (T,): the first peak of its autocorrelation, without its straight trend, that is nearly the highest.

    1 if no peak stands out from noise.
    """
    t = np.arange(len(y))
    known = ~np.isnan(y)
    residual = np.zeros(len(y))  # zero where missing: no part in the sums
    residual[known] = y[known] - np.polyval(np.polyfit(t[known], y[known], 1), t[known])
    most = len(y) // 3
    power = float(residual @ residual)
    if most < 3 or power == 0:
        return 1
    r = [float(residual[lag:] @ residual[: len(y) - lag]) / power for lag in range(most + 1)]
    noise = 2 / np.sqrt(len(y))  # two standard errors of white noise (Bartlett 1946)
    peaks = [lag for lag in range(2, most) if r[lag - 1] < r[lag] >= r[lag + 1] and r[lag] > noise]
    highest = max((r[lag] for lag in peaks), default=0.0)
    return next((lag for lag in peaks if r[lag] >= SAME_PEAK * highest), 1)
