"""Forecasts beside the classics: python benchmarks/tasks/forecasts.py [--keep] [--json PATH] [--seeds N] [NAME …]

Real series out of installed packages (packaged.py), the last rows of each at rolling origins: gw.Forecaster with its defaults,
the seasonal naive forecast, a least-squares autoregression (order up to two seasons by AIC, on the scale that the forecaster
chose), and from statsmodels ETS (additive, with and without a damped trend, by AIC) and ARIMA (a few orders, by AIC; where a
season has more than 12 rows, on 4 harmonics of it), both on that scale too. Everyone learns anew at each fold and forecasts
from every row of it, from what was known at the time. MASE is over the seasonal naive forecast's error in the first training
rows; coverage is that of 90 % intervals; seconds are those of one fit to all rows before the last fold. Mean and standard
deviation are over the seeds. Defaults were chosen by select_forecaster.py. Less than 10 minutes on one core.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import packaged
import tables

import gatewright as gw
from gatewright.forecasting.origins import NAIVE, OURS, REGRESSION, Backtest
from gatewright.forecasting.scaling import Scaler

LEVEL = 0.9
HARMONICS = 4
SEASONAL = [((0, 1, 1), (0, 1, 1)), ((1, 1, 1), (0, 1, 1)), ((1, 0, 0), (0, 1, 1)), ((2, 0, 0), (1, 0, 0))]
PLAIN = [((2, 0, 0), (0, 0, 0)), ((9, 0, 0), (0, 0, 0)), ((2, 0, 2), (0, 0, 0)), ((1, 1, 1), (0, 0, 0))]
LONG = [((1, 1, 1), (0, 0, 0)), ((2, 0, 1), (0, 0, 0))]


NOTES = (
    "MASE is the mean absolute error over that of the seasonal naive forecast in the first training rows; ± is over seeds.",
    "The autoregression, ETS and ARIMA work on the scale (logarithm, square root or none) that the forecaster found.",
)


class Task(NamedTuple):
    """Series and how they are forecast."""

    series: list[np.ndarray]
    horizon: int
    folds: int
    step: int
    periodic: bool = True  # whether the season is the calendar's, which ARIMA takes for granted


TASKS = {
    "sunspots, 1 year": lambda: Task([packaged.sunspots()], 1, 4, 20, False),
    "sunspots, 5 years": lambda: Task([packaged.sunspots()], 5, 4, 20, False),
    "CO2, 4 weeks": lambda: Task([packaged.co2()], 4, 3, 52),
    "CO2, 13 weeks": lambda: Task([packaged.co2()], 13, 3, 52),
    "airline, 12 months": lambda: Task([packaged.airline()], 12, 4, 12),
    "electricity, 7 days": lambda: Task(packaged.electricity(), 7, 3, 7),
}


class Told(NamedTuple):
    """What a classic says at the origins of a back-test, (N, H) each."""

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    seconds: float  # to learn, a fold


def ets(y: np.ndarray, season: int) -> object:
    """The best of four exponential smoothings of y (T,), as a function from a longer series to a prediction."""
    import pandas as pd
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    def model(values: np.ndarray, trend: bool, seasonal: bool) -> ETSModel:
        how = {"seasonal": "add", "seasonal_periods": season} if seasonal else {}
        trended = {"trend": "add", "damped_trend": True} if trend else {}
        return ETSModel(
            pd.Series(_bridged(values)),
            error="add",
            initialization_method="estimated" if season <= 12 else "heuristic",
            **trended,
            **how,
        )

    kinds = [(trend, seasonal) for trend in (False, True) for seasonal in ({season > 1, False})]
    fits = [(model(y, *kind).fit(disp=False), kind) for kind in kinds]
    best, kind = min(fits, key=lambda each: each[0].aic)

    def ahead(values: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        told = model(values, *kind).smooth(best.params).get_prediction(len(values), len(values) + horizon - 1)
        bounds = told.summary_frame(alpha=1 - LEVEL)
        return np.asarray(told.predicted_mean), bounds["pi_lower"].to_numpy(), bounds["pi_upper"].to_numpy()

    return ahead


def arima(y: np.ndarray, season: int) -> object:
    """The best of some ARIMA models of y (T,), NaN where missing, in the form of `ets`."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    orders = PLAIN if season == 1 else LONG if season > 12 else SEASONAL
    start = len(y) if season <= 12 else min(len(y), 12 * season)

    def fitted(order: tuple, seasonal: tuple) -> object:
        trend = "c" if order[1] + seasonal[1] == 0 else "n"
        last = y[-start:]
        waves = _harmonics(len(y) - start, len(y), season)
        span = (*seasonal, season if any(seasonal) else 0)
        return SARIMAX(last, exog=waves, order=order, seasonal_order=span, trend=trend).fit(disp=False, maxiter=100)

    best = min((fitted(*order) for order in orders), key=lambda each: each.aic)

    def ahead(values: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        known, rows = len(y), len(values)
        went = best.append(values[known:], exog=_harmonics(known, rows, season)) if rows > known else best
        told = went.get_forecast(horizon, exog=_harmonics(rows, rows + horizon, season))
        bounds = np.asarray(told.conf_int(alpha=1 - LEVEL))
        return np.asarray(told.predicted_mean), bounds[:, 0], bounds[:, 1]

    return ahead


def _bridged(y: np.ndarray) -> np.ndarray:
    """y with its gaps bridged by straight lines: ETS knows no missing values."""
    known = np.flatnonzero(~np.isnan(y))
    return np.interp(np.arange(len(y)), known, y[known])


def _harmonics(start: int, stop: int, season: int) -> np.ndarray | None:
    """The sines and cosines of a long season; None for a short one."""
    if season <= 12:
        return None
    angle = 2 * np.pi * np.arange(start, stop)[:, None] * np.arange(1, HARMONICS + 1) / (365.25 / 7)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def classic(kind: object, task: Task, told: Backtest, scale: str) -> Told:
    """What ETS or ARIMA say at the origins of a back-test."""
    season = told.season if task.periodic else 1
    parts, seconds = [], 0.0
    for fold in range(task.folds):
        for number, y in enumerate(task.series):
            first = len(y) - task.horizon - (task.folds - fold) * task.step
            scaler = Scaler.fit(scale, y[: first + 1], "y")
            begin = time.perf_counter()
            ahead = kind(scaler.forward(y[: first + 1]), season)
            seconds += time.perf_counter() - begin
            for origin in range(first, first + task.step):
                said = ahead(scaler.forward(y[: origin + 1]), task.horizon)
                parts.append((fold, number, [scaler.inverse(part) for part in said]))
    whole = np.array([said for _, _, said in parts])
    return Told(whole[:, 0], whole[:, 1], whole[:, 2], seconds / task.folds)


def measures(told: Backtest, mean: np.ndarray, bounds: tuple[np.ndarray, np.ndarray] | None) -> dict:
    """MASE, RMSE and coverage of forecasts at the origins of a back-test."""
    error = mean - told.actual
    known = ~np.isnan(error)
    inside = None if bounds is None else float(((bounds[0] <= told.actual) & (told.actual <= bounds[1]))[known].mean())
    return {
        "MASE": float(np.nanmean(np.abs(error) / told.scale[:, None])), "RMSE": float(np.sqrt(np.nanmean(error**2))),
        "coverage": inside,
    }  # fmt: skip


def compare(name: str, task: Task, seeds: range) -> list[dict]:
    """A row a method."""
    found: dict[str, list[dict]] = {}
    for seed in seeds:
        forecaster = gw.Forecaster(task.horizon, random_state=seed)
        told = forecaster.backtest(task.series, folds=task.folds, step=task.step)
        begin = time.perf_counter()
        forecaster.fit([y[: len(y) - task.horizon - task.step + 1] for y in task.series])
        seconds = time.perf_counter() - begin
        ours = measures(told, told.forecasts[OURS], (told.lower, told.upper)) | {"seconds": seconds}
        found.setdefault("gw.Forecaster", []).append(ours)
    for method in (NAIVE, REGRESSION):
        found[method] = [measures(told, told.forecasts[method], None) | {"seconds": None}]
    for label, kind in (("ETS (statsmodels)", ets), ("ARIMA (statsmodels)", arima)):
        said = classic(kind, task, told, forecaster.scale_)
        found[label] = [measures(told, said.mean, (said.lower, said.upper)) | {"seconds": said.seconds}]
    return [{"dataset": name, "horizon": task.horizon, "method": label} | _pooled(each) for label, each in found.items()]


def _pooled(each: list[dict]) -> dict:
    """{measure: mean, "measure sd": over the seeds}."""
    pooled: dict = {"seeds": len(each)}
    for measure in each[0]:
        values = [row[measure] for row in each]
        missing = values[0] is None
        pooled[measure] = None if missing else float(np.mean(values))
        pooled[f"{measure} sd"] = None if missing or len(values) < 2 else float(np.std(values, ddof=1))
    return pooled


def cells(row: dict) -> tuple[str, ...]:
    """A row as text."""
    mase = f"{row['MASE']:.3f}" + (f" ± {row['MASE sd']:.3f}" if row["MASE sd"] is not None else "")
    cover = "" if row["coverage"] is None else f"{row['coverage']:.1%}"
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
    return row["dataset"], row["method"], mase, f"{row['RMSE']:.4g}", cover, seconds


def table(rows: list[dict]) -> tables.Table:
    """The rows for people."""
    title = "Forecasts of the last rows at rolling origins: gw.Forecaster's defaults beside the classics"
    columns = ("", "method", "MASE", "RMSE", "in 90 % intervals", "a fit, s")
    return tables.Table("forecasts", title, columns, [cells(row) for row in rows], NOTES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TASKS)}; all if none")
    parser.add_argument("--keep", action="store_true", help="write results/forecasts.json")
    parser.add_argument("--json", metavar="PATH", help="write the rows there")
    parser.add_argument("--seeds", type=int, default=3, help="of ours (default %(default)s)")
    args = parser.parse_args()
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of statsmodels' optimisers, which would have liked more steps
        for name in args.names or TASKS:
            for row in compare(name, TASKS[name](), range(args.seeds)):
                rows.append(row)
                print("  ".join(cells(row)), flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    tables.publish(table(rows), args.keep, rows)


if __name__ == "__main__":
    tables.one_core()
    main()
