"""Rolling origins: a forecaster that learns again and again, beside the classics, on rows that none of them has seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError
from gatewright.forecasting.baselines import AR_MOST, Autoregression, SeasonalNaive
from gatewright.forecasting.forecaster import SeriesForecaster

OURS, NAIVE, REGRESSION = "Forecaster", "seasonal naive", "autoregression"
SEASONS = 2  # that the autoregression may look back over
SHOWN = 6  # steps ahead that the table shows

Learn = Callable[[dict[str, Array]], SeriesForecaster]


class Folds(NamedTuple):
    """Where forecasts are made."""

    times: int  # that it learns
    step: int  # rows from one to the next, each of them an origin
    horizon: int
    refit: bool  # False: it learns only once, before the first origin

    def origins(self, rows: int, fold: int) -> Array:
        """(S,) the rows at which a fold's forecasts are made: the last one that is known."""
        first = rows - self.horizon - (self.times - fold) * self.step
        return np.arange(first, first + self.step)


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts of rows that nobody had seen, and how far off they were; `print` shows a table.

    mae, rmse, mase: {method: over all forecasts}; by_horizon: {method: {"mae", "rmse", "mase": (H,)}}. MASE is the mean
    absolute error over that of the seasonal naive forecast, one step ahead in the rows before the first origin (Hyndman &
    Koehler 2006). coverage: the share of the values in their intervals; coverage_by_horizon (H,). forecasts: {method: (N, H)};
    lower, upper and actual (N, H), NaN where missing; series (N,) the names of the series, origins (N,) the last known rows.
    """

    level: float  # what share the intervals were to hold
    season: int  # of the seasonal naive forecast, in rows
    series: list[str]
    origins: Array
    forecasts: dict[str, Array]
    lower: Array
    upper: Array
    actual: Array
    scale: Array  # (N,) what MASE divides by

    @property
    def by_horizon(self) -> dict[str, dict[str, Array]]:
        """{method: {measure: (H,)}}."""
        return {name: self._measures(ahead, 0) for name, ahead in self.forecasts.items()}

    @property
    def mae(self) -> dict[str, float]:
        """{method: mean absolute error}."""
        return self._overall("mae")

    @property
    def rmse(self) -> dict[str, float]:
        """{method: root mean squared error}."""
        return self._overall("rmse")

    @property
    def mase(self) -> dict[str, float]:
        """{method: mean absolute scaled error}."""
        return self._overall("mase")

    @property
    def coverage_by_horizon(self) -> Array:
        """(H,): the share of the values that lie in their intervals."""
        return _mean(self._inside(), 0)

    @property
    def coverage(self) -> float:
        """The share of all values that lie in their intervals."""
        return float(_mean(self._inside(), None))

    def _inside(self) -> Array:
        """(N, H): 1 where a value lies in its interval, 0 where not, NaN where it is missing."""
        inside = (self.lower <= self.actual) & (self.actual <= self.upper)
        return np.where(np.isnan(self.actual), np.nan, inside)

    def _overall(self, measure: str) -> dict[str, float]:
        return {name: float(self._measures(ahead, None)[measure]) for name, ahead in self.forecasts.items()}

    def _measures(self, ahead: Array, axis: int | None) -> dict[str, Array]:
        error = np.abs(ahead - self.actual)
        return {
            "mae": _mean(error, axis), "rmse": np.sqrt(_mean(np.square(error), axis)),
            "mase": _mean(error / self.scale[:, None], axis),
        }  # fmt: skip

    def __repr__(self) -> str:
        horizon = self.actual.shape[1]
        steps = sorted({round(h) for h in np.linspace(1, horizon, min(horizon, SHOWN))})
        count = len(set(self.series))
        many = f" of {count} series" if count > 1 else ""
        head = [f"{'':<20}", *(f"{name:>9}" for name in ("MASE", "RMSE", "MAE")), *(f"{f'MAE +{h}':>10}" for h in steps)]
        lines = [f"{len(self.origins)} origins{many}, {horizon} steps ahead", "".join(head)]
        for name in self.forecasts:
            each = [f"{measure[name]:>9.4g}" for measure in (self.mase, self.rmse, self.mae)]
            mae = self.by_horizon[name]["mae"]
            lines.append("".join([f"{self._label(name):<20}", *each, *(f"{mae[h - 1]:>10.4g}" for h in steps)]))
        covered = " ".join(f"{self.coverage_by_horizon[h - 1]:>9.0%}" for h in steps)
        lines.append(f"{f'in {self.level:.0%} intervals':<20}{self.coverage:>9.1%}{'':>18} {covered}")
        return "\n".join(lines)

    def _label(self, name: str) -> str:
        return f"{name} ({self.season})" if name == NAIVE else name


def backtest(series: dict[str, Array], learn: Learn, folds: Folds, level: float) -> Backtest:
    """The back-test of what `learn` makes of the first rows of series (T_i, C), NaN where missing; see `Backtest`."""
    for name, values in series.items():
        first = len(values) - folds.horizon - folds.times * folds.step
        if first < folds.horizon + 1:
            of = f" of series {name!r}" if len(series) > 1 else ""
            wanted = folds.times * folds.step + 2 * folds.horizon + 1
            raise DataError(
                f"y: got {len(values)} rows{of}, wanted at least {wanted} for {folds.times} folds of {folds.step} rows"
            )
    if all(np.isnan(values[folds.origins(len(values), 0)[0] + 1 :, 0]).all() for values in series.values()):
        raise DataError("y: got no values in the rows that are to be forecast, only missing ones")
    told: dict[str, list[Array]] = {}
    made: SeriesForecaster | None = None
    season, names = 1, list[str]()
    for fold in range(folds.times):
        if made is None or folds.refit:
            made = learn({name: values[: folds.origins(len(values), fold)[0] + 1] for name, values in series.items()})
            season = made.settings.season if fold == 0 else season
        for number, (name, values) in enumerate(series.items()):
            at, first = folds.origins(len(values), fold), int(folds.origins(len(values), 0)[0])
            names += [name] * len(at)
            known = int(at[0]) if folds.refit else first
            parts = _fold(made, values, at, _How(number, season, level, known + 1))
            for key, part in (parts | {"scale": np.full(len(at), _scale(values[: first + 1, 0], season))}).items():
                told.setdefault(key, []).append(part)
    whole = {key: np.concatenate(parts) for key, parts in told.items()}
    methods = {name: whole[name] for name in (OURS, NAIVE, REGRESSION)}
    bounds = (whole["lower"], whole["upper"], whole["actual"], whole["scale"])
    return Backtest(level, season, names, whole["origins"], methods, *bounds)


class _How(NamedTuple):
    """How the forecasts of a fold are made."""

    number: int  # of the series
    season: int
    level: float
    train: int  # rows that the classics learn from


def _fold(made: SeriesForecaster, values: Array, at: Array, how: _How) -> dict[str, Array]:
    """What all methods say at the origins of a fold, and what came.

    The autoregression's order is AIC's choice among up to two seasons, and it works on the scaled values: its strongest form.
    """
    horizon, y = made.settings.horizon, values[:, 0]
    ours = made.forecasts(values[: at[-1] + horizon + 1], at, how.number, how.level)
    scaler = made.scalers[how.number * len(made.names)]
    z = scaler.forward(y)
    regression = Autoregression.chosen(z[: how.train], max(AR_MOST, SEASONS * how.season))
    return {
        OURS: ours.mean, NAIVE: SeasonalNaive(how.season).forecasts(y, horizon)[at],
        REGRESSION: scaler.inverse(regression.forecasts(z, horizon)[at]), "lower": ours.lower, "upper": ours.upper,
        "actual": y[at[:, None] + np.arange(1, horizon + 1)], "origins": at,
    }  # fmt: skip


def _mean(values: Array, axis: int | None) -> Array:
    """The mean along an axis, or of all, without NaN; NaN where there is nothing else."""
    count = (~np.isnan(values)).sum(axis=axis)
    mean: Array = np.where(count > 0, np.nansum(values, axis=axis) / np.maximum(count, 1), np.nan)
    return mean


def _scale(y: Array, season: int) -> float:
    """The mean absolute change of y (T,) over a season."""
    change = np.abs(y[season:] - y[:-season])
    known = change[~np.isnan(change)]
    return float(known.mean()) if len(known) and known.mean() > 0 else 1.0
