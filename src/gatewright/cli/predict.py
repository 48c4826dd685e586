"""`gatewright predict`: what comes after the last row of a file, by a model that `gatewright forecast` made."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gatewright import files
from gatewright.cli import output
from gatewright.data.series import read_series
from gatewright.errors import DataError
from gatewright.forecasting import forecaster
from gatewright.forecasting.forecaster import Forecasts


def add_to(commands: Any) -> None:
    """Adds the command to the others."""
    command = commands.add_parser(
        "predict",
        help="forecast on with a model that `forecast` made",
        description="Forecasts what comes after the last row of a CSV file that has the columns the model was trained on.",
    )
    command.add_argument("model", metavar="MODEL", help="model.safetensors, as `gatewright forecast` writes it")
    command.add_argument("file", metavar="FILE.csv")
    command.add_argument("-o", dest="output", metavar="OUT.csv", help="write here (default: the standard output)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does it."""
    model = forecaster.load(args.model)
    series = read_series(args.file, model.names[0], model.date, model.names[1:])
    rows, window = len(series.target), model.settings.window
    if rows < window:
        raise DataError(f"{args.file}: rows: got {rows}, wanted at least {window}, the window of the model")
    made = model.forecasts(series.values, np.array([rows - 1]))
    text = output.prediction_csv(series, Forecasts(*(part[0] for part in made)))
    if args.output is None:
        sys.stdout.write(text)
    else:
        files.write_bytes(Path(args.output), text.encode())
        print(f"{args.output}: {model.settings.horizon} forecasts of {series.name} after {series.labels()[-1]}")
    return 0
