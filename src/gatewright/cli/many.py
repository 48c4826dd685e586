"""What `gatewright forecast --series` writes: the forecasts of many series, the report, the model and a picture."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.cli import output
from gatewright.cli.output import Writer
from gatewright.data.series import Series
from gatewright.forecasting import report
from gatewright.forecasting.forecaster import Forecasts
from gatewright.forecasting.many import Told
from gatewright.forecasting.origins import OURS, Backtest


def writers(told: Told) -> dict[str, Writer]:
    """The files of a job; without the pictures where matplotlib is not installed."""
    text = json.dumps(as_json(told), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    files: dict[str, Writer] = {
        "forecast.csv": lambda path: output.write_text(path, forecast_csv(told)),
        "report.json": lambda path: output.write_text(path, text),
        "model.safetensors": told.forecaster.save,
    }
    try:
        from gatewright.viz.many import draw_many
        from gatewright.viz.training import draw_training
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        return files
    pictures: dict[str, Writer] = {
        "forecast.png": lambda path: draw_many(told, path),
        "training.png": lambda path: draw_training(told.committee, path),
    }
    return files | pictures


def forecast_csv(told: Told) -> str:
    """Every forecast of the test rows, and then of what comes after the last rows, one a line."""
    others = [name for name in told.backtest.forecasts if name != OURS] if told.backtest else []
    first = next(iter(told.job.series.values()))
    head = [told.job.group, "made at", first.date or "row", "step", "observed", "forecast", "lower", "upper", *others]
    lines = [*_tested(told.backtest, told.job.series, others), *_ahead(told.job.series, told.futures, others)]
    return output.as_csv(head, lines)


def _tested(judged: Backtest | None, series: dict[str, Series], others: list[str]) -> Iterator[list[Any]]:
    """The lines of the test rows."""
    if judged is None:
        return
    labels = {name: each.labels() for name, each in series.items()}
    columns = [judged.actual, judged.forecasts[OURS], judged.lower, judged.upper, *(judged.forecasts[name] for name in others)]
    for k, (name, origin) in enumerate(zip(judged.series, judged.origins.tolist(), strict=True)):
        for h in range(judged.actual.shape[1]):
            cells = (output.cell(column[k, h]) for column in columns)
            yield [name, labels[name][origin], labels[name][origin + h + 1], h + 1, *cells]


def _ahead(series: dict[str, Series], futures: dict[str, Forecasts], others: list[str]) -> Iterator[list[Any]]:
    """The lines of what is to come."""
    for name, future in futures.items():
        made, labels = series[name].labels()[-1], series[name].labels_after(len(future.mean))
        for h, (label, *numbers) in enumerate(zip(labels, *future, strict=True)):
            yield [name, made, label, h + 1, "", *map(output.cell, numbers), *("" for _ in others)]


def predictions_csv(group: str, told: dict[str, tuple[Series, Forecasts]]) -> str:
    """The forecasts of what comes after the last rows, alone; told: each series and its forecasts (H,)."""
    series, futures = {name: each for name, (each, _) in told.items()}, {name: each for name, (_, each) in told.items()}
    date = next(iter(series.values())).date or "row"
    lines = ([name, label, step, *numbers] for name, _, label, step, _, *numbers in _ahead(series, futures, []))
    return output.as_csv([group, date, "step", "forecast", "lower", "upper"], lines)


def as_json(told: Told) -> dict[str, Any]:
    """Everything that was printed, by series too, and how it came about; NaN is null."""
    job, judged, learned = told.job, told.backtest, told.committee
    first = next(iter(job.series.values()))
    found = {
        "target": first.name, "inputs": list(first.input_names), "known ahead": list(job.known),
        "series": {name: len(each.target) for name, each in job.series.items()}, "rows to test on": job.test,
        "settings": asdict(job.settings), "epochs used": learned.epoch, "share of the networks": learned.share,
        "interrupted": learned.interrupted, "seconds to train": round(told.seconds, 2), "versions": report.versions(),
    }  # fmt: skip
    if judged is not None:
        found["interval"] = {"level": job.level, "coverage": judged.coverage}
        found["scores"] = {
            name: {"mase": judged.mase[name], "rmse": judged.rmse[name], "mae": judged.mae[name]} for name in judged.forecasts
        }
        found["mase by series"] = _by_series(judged)
    return {key: report.plain(value) for key, value in found.items()}


def _by_series(judged: Backtest) -> dict[str, dict[str, float]]:
    """{series: {method: MASE}}."""
    names: Array = np.array(judged.series)
    scaled = {name: np.abs(ahead - judged.actual) / judged.scale[:, None] for name, ahead in judged.forecasts.items()}
    return {
        series: {name: _mean(error[names == series]) for name, error in scaled.items()}
        for series in dict.fromkeys(judged.series)
    }


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
