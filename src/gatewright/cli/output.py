"""What the commands write: every file whole, and none before all are ready."""

import contextlib
import csv
import io
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.data.series import Series
from gatewright.errors import OptionError, shortened
from gatewright.forecasting.backtest import Method
from gatewright.forecasting.forecaster import Forecasts
from gatewright.forecasting.job import Outcome
from gatewright.forecasting.report import as_json

FILES = ("forecast.csv", "report.json", "model.safetensors", "forecast.png", "training.png")
STAGE = ".writing-"  # where files stand until all are whole
Writer = Callable[[Path], None]


def check_folder(folder: Path, files: Iterable[str] = FILES) -> None:
    """Raises OptionError where files of these names can't be written to `folder`: tries it, and leaves no trace."""
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        there = folder.parents[len(made) - 1] if made else folder
        if not there.is_dir():
            raise OptionError(f"-o {folder}: {there} is a file; wanted a folder")
        _check_places(folder, files)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.rmdir(tempfile.mkdtemp(prefix=STAGE, dir=folder))
        finally:
            for place in made:
                with contextlib.suppress(OSError):
                    place.rmdir()
    except OSError as error:
        raise OptionError(f"-o {folder} can't be written to ({error.strerror})") from None


def _check_places(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if (folder / name).is_dir():
            raise OptionError(f"{folder / name} is a folder; wanted a place for a file")


def write_all(folder: Path, writers: Mapping[str, Writer]) -> list[Path]:
    """Writes the files of these names into a folder: beside their places first, then, when all are whole, renamed."""
    _check_places(folder, writers)
    folder.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=folder))
    try:
        for name, write in writers.items():
            write(stage / name)
        for name in writers:
            os.replace(stage / name, folder / name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return [folder / name for name in writers]


def write_told(folder: Path, writers: Mapping[str, Writer]) -> tuple[list[Path], list[str]]:
    """As `write_all`, and a line for every character that the pictures' font doesn't have."""
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", "Glyph ")
        paths = write_all(folder, writers)
    return paths, [f"pictures: {line}" for line in dict.fromkeys(shortened(warning.message) for warning in said)]


def writers(outcome: Outcome) -> dict[str, Writer]:
    """The files of a forecast; without the pictures where matplotlib is not installed."""
    text = json.dumps(as_json(outcome), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    files: dict[str, Writer] = {
        "forecast.csv": lambda path: write_text(path, forecast_csv(outcome)),
        "report.json": lambda path: write_text(path, text),
        "model.safetensors": outcome.forecaster.save,
    }
    return files | _pictures(outcome)


def _pictures(outcome: Outcome) -> dict[str, Writer]:
    try:
        from gatewright.viz.forecast import draw_forecast
        from gatewright.viz.training import draw_training
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        return {}
    return {
        "forecast.png": lambda path: draw_forecast(outcome, path),
        "training.png": lambda path: draw_training(outcome.committee, path),
    }


def write_text(path: Path, text: str) -> None:
    """UTF-8 with plain line ends on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def forecast_csv(outcome: Outcome) -> str:
    """Every forecast of the test rows and of what comes after the last row, one a line."""
    series, train = outcome.job.series, outcome.job.train
    horizon, rows = outcome.job.settings.horizon, len(outcome.job.series.target)
    labels = [*series.labels(), *series.labels_after(horizon)]
    observed = np.concatenate([series.target, np.full(horizon, np.nan)])
    methods = [Method("lower", outcome.forecasts.lower), Method("upper", outcome.forecasts.upper), *outcome.methods[1:]]
    head = ["made at", series.date or "row", "step", "observed", "forecast", *(method.name for method in methods)]
    columns = [outcome.forecasts.mean, *(method.ahead for method in methods)]
    made = range(train - 1, rows)
    lines = (
        [labels[t], labels[t + step], step, *map(cell, (observed[t + step], *(column[t, step - 1] for column in columns)))]
        for t in made
        for step in range(1, horizon + 1)
    )
    return as_csv(head, lines)


def prediction_csv(series: Series, future: Forecasts) -> str:
    """The forecasts (H,) of what comes after the last row of a series."""
    labels = series.labels_after(len(future.mean))
    lines = ([label, k + 1, *map(cell, row)] for k, (label, *row) in enumerate(zip(labels, *future, strict=True)))
    return as_csv([series.date or "row", "step", "forecast", "lower", "upper"], lines)


def as_csv(head: list[str], lines: Iterable[list[Any]]) -> str:
    """The text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue()


def cell(value: float) -> str:
    """A number, or nothing."""
    return "" if np.isnan(value) else f"{value:.6g}"


def speak_utf8() -> None:
    """Texts of any script go out as they come in, whatever the system's encoding is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
