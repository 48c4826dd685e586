"""Many series, one model: train on the first part of each, forecast the rest, compare with the classics."""

import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.data.series import Series
from gatewright.errors import DataError
from gatewright.forecasting import choices, forecaster
from gatewright.forecasting.committee import Committee, Watch
from gatewright.forecasting.forecaster import Forecasts, SeriesForecaster
from gatewright.forecasting.origins import Backtest, Folds, backtest
from gatewright.forecasting.settings import Settings


@dataclass(frozen=True, eq=False)
class Many:
    """What to forecast."""

    series: dict[str, Series]  # of the same columns; each begins with a known target
    coming: dict[str, Array]  # (H, C) the rows after the last one: NaN but for the known columns
    settings: Settings
    test: int  # the last rows of each series, which nothing is learned from; 0 or at least H
    level: float  # what share of the future the intervals are to hold
    known: tuple[str, ...]  # columns whose future is known
    group: str  # the column of the file that says which series a row is of


class Told(NamedTuple):
    """What came of it."""

    job: Many
    forecaster: SeriesForecaster
    committee: Committee
    backtest: Backtest | None  # on the test rows; None: there are none
    futures: dict[str, Forecasts]  # (H,) each: what comes after the last rows
    seconds: float  # to train


def test_rows(series: dict[str, Series], fraction: float, horizon: int) -> int:
    """A fraction of the shortest series, and no fewer than the horizon; 0 of 0. Raises DataError where nothing is left."""
    name, shortest = min(series.items(), key=lambda item: len(item[1].target))
    rows = len(shortest.target)
    test = max(round(fraction * rows), horizon) if fraction else 0
    if test and rows - test < horizon + 2:
        raise DataError(
            f"series {name!r}: got {rows} rows, wanted at least {test + horizon + 2}: {test} to test on, and {horizon + 2} to "
            f"learn from with a horizon of {horizon}"
        )
    return test


def run(job: Many, watch: Watch = lambda *_: False) -> Told:
    """Does it; see `forecaster.fit` for `watch` and the errors."""
    learned: list[tuple[SeriesForecaster, Committee, float]] = []
    columns, horizon = next(iter(job.series.values())), job.settings.horizon
    names = (columns.name, *columns.input_names)
    for series in job.series.values():  # what the dates to come can't be, is refused before anything is trained
        series.labels_after(horizon)

    def learn(values: dict[str, Array]) -> SeriesForecaster:
        begin = time.perf_counter()
        choices.check(values, names, horizon)
        made, committee = forecaster.fit_many(values, names, job.known, job.settings, watch)
        learned.append((made, committee, time.perf_counter() - begin))
        return made

    whole = {name: series.values for name, series in job.series.items()}
    folds = Folds(1, job.test - horizon + 1, horizon, refit=False)
    judged = backtest(whole, learn, folds, job.level) if job.test else None
    if judged is None:
        learn(whole)
    made, committee, seconds = learned[0]
    made = replace(made, date=columns.date, group=job.group, level=job.level)
    futures = {}
    for number, (name, values) in enumerate(whole.items()):
        said = made.forecasts(np.concatenate([values, job.coming[name]]), np.array([len(values) - 1]), number, job.level)
        futures[name] = Forecasts(*(part[0] for part in said))
    return Told(job, made, committee, judged, futures, seconds)
