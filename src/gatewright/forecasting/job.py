"""The main job: train on the first part of a series, forecast the rest, compare with the classics."""

import dataclasses
import time
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.checks import fraction, whole_number
from gatewright.data.series import Series
from gatewright.errors import DataError, OptionError
from gatewright.forecasting import choices, forecaster
from gatewright.forecasting.backtest import Method, Period, Score, coverage, score, scored_rows
from gatewright.forecasting.baselines import Autoregression, Baseline, Persistence, SeasonalNaive, season_of
from gatewright.forecasting.committee import Committee, Watch
from gatewright.forecasting.forecaster import LEVEL, Forecasts, SeriesForecaster
from gatewright.forecasting.scaling import Scaler, check_size
from gatewright.forecasting.settings import Settings


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What to forecast, and how it is judged."""

    series: Series
    settings: Settings
    train: int  # rows to learn from; the others are the test
    periods: tuple[Period, ...]  # of the test
    variance: float  # by which squared errors are divided
    orders: tuple[int, ...] = ()  # of the autoregressions; none: the one that AIC chooses
    season: int | None = None  # None: the one that the training rows show
    repeat: int = 0  # other seeds that are tried as well
    script: str | None = None  # what chose the settings
    level: float = LEVEL  # what share of the future the intervals are to hold
    known: tuple[str, ...] = ()  # columns whose future is known
    coming: Array | None = None  # (H, C) the rows after the last one: NaN but for the known columns


class Outcome(NamedTuple):
    """What came of a job."""

    job: Job
    forecaster: SeriesForecaster
    committee: Committee
    forecasts: Forecasts  # (T, H) each, made at every row
    methods: list[Method]  # ours first
    scores: dict[str, list[Score]]  # by method, one a period
    coverage: list[Array]  # (H,) a period
    season: int
    seeds: dict[int, list[Score]]  # of ours with other seeds
    seconds: float  # to train ours, once

    @property
    def future(self) -> Forecasts:
        """(H,) each: what comes after the last row."""
        return Forecasts(*(part[-1] for part in self.forecasts))


def split(series: Series, test_fraction: float) -> tuple[int, tuple[Period, ...], float]:
    """(training rows, the test as one period, the variance of the training rows) with the last `test_fraction` as the test."""
    fraction("test_fraction", test_fraction)
    rows = len(series.target)
    train = rows - round(rows * test_fraction)
    if train < 2:
        raise DataError(f"rows to train on: got {train} of {rows} (test fraction {test_fraction}), wanted at least 2")
    for name, column in zip((series.name, *series.input_names), series.values.T, strict=True):
        check_size(column, name)
    labels = series.labels()
    known = series.target[:train][~np.isnan(series.target[:train])]
    periods = (Period(f"{labels[train]} – {labels[-1]}", train, rows - 1),) if train < rows else ()
    return train, periods, float(known.var()) if len(known) else 1.0


def run(job: Job, watch: Watch = lambda *_: False) -> Outcome:
    """Does the job; see `forecaster.fit` for `watch` and the errors."""
    series, settings = job.series, job.settings
    # What the test rows and the dates to come can't be, too, is refused before anything is trained.
    Scaler(settings.scale).check(series.target, series.name)
    series.labels_after(settings.horizon)
    season = season_of(series.target[: job.train]) if job.season is None else job.season
    whole_number("season", season)
    if season >= job.train:
        raise OptionError(f"season: got {season}, wanted fewer rows than the {job.train} to train on")
    whole_number("repeat", job.repeat, 0)
    begin = time.perf_counter()
    fitted, learned = _fit(job, settings, watch)
    seconds = time.perf_counter() - begin
    fitted = dataclasses.replace(fitted, date=series.date, level=job.level)
    said = _said(job, fitted)
    methods = [Method(settings.name, said.mean)]
    methods += [Method(each.name, each.forecasts(series.target, settings.horizon)) for each in _baselines(job, season)]
    rows = [scored_rows(series.target, methods, period, job.train) for period in job.periods]
    scores = {m.name: [score(series.target, m, at, job.variance) for at in rows] for m in methods}
    seeds = {}
    for seed in range(settings.seed + 1, settings.seed + 1 + (0 if learned.interrupted else job.repeat)):
        other, again = _fit(job, dataclasses.replace(settings, seed=seed), watch)
        if again.interrupted:
            learned = learned._replace(interrupted=True)
            break
        method = Method(settings.name, _said(job, other).mean)
        seeds[seed] = [score(series.target, method, at, job.variance) for at in rows]
    covered = [coverage(series.target, said.lower, said.upper, at) for at in rows]
    return Outcome(job, fitted, learned, said, methods, scores, covered, season, seeds, seconds)


def _fit(job: Job, settings: Settings, watch: Watch) -> tuple[SeriesForecaster, Committee]:
    """A forecaster of the training rows, with the committee's account."""
    names, values = (job.series.name, *job.series.input_names), job.series.values[: job.train]
    if not settings.linear:
        return forecaster.fit(values, names, settings, watch)
    values = choices.begun(values)
    choices.check({job.series.name: values}, names, settings.horizon)
    return forecaster.fit_many({job.series.name: values}, names, job.known, settings, watch)


def _said(job: Job, fitted: SeriesForecaster) -> Forecasts:
    """(T, H) each: the forecasts made at every row."""
    values = job.series.values
    whole = values if job.coming is None else np.concatenate([values, job.coming])
    return fitted.forecasts(whole, np.arange(len(values)), level=job.level)


def _baselines(job: Job, season: int) -> list[Baseline]:
    y = job.series.target[: job.train]
    regressions = [Autoregression.fit(y, order) for order in job.orders] or [Autoregression.chosen(y)]
    return [*regressions, SeasonalNaive(season), Persistence()]
