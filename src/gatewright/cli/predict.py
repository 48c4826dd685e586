"""`gatewright predict`: what a model says of a new file: what comes next, or which classes its sequences are of.

One command for all that `forecast` and `classify` made: the file of the model says what it is, and which columns it reads, so
that there is nothing to choose but the names of columns that are called otherwise in the new file.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gatewright import files
from gatewright.cli import classify, many, output
from gatewright.data.labelled import Columns, Labelled, read_long
from gatewright.data.series import Columns as SeriesColumns
from gatewright.data.series import Series, read_many, read_series, split_known
from gatewright.data.tables import Table, read_table
from gatewright.errors import DataError, FormatError, OptionError, ShapeError, shortened
from gatewright.forecasting import forecaster
from gatewright.forecasting.forecaster import Forecasts, SeriesForecaster

CLASSIFIER = "sequence classifier"  # as its files say it


def add_to(commands: Any) -> None:
    """Adds the command to the others."""
    command = commands.add_parser(
        "predict",
        help="forecast on, or tell classes, with a model that `forecast` or `classify` made",
        description="Forecasts what comes after the last row of a CSV file that has the columns the model was trained on; or "
        "tells the classes of the sequences in a CSV or .ts file, with their probabilities.",
    )
    command.add_argument("model", metavar="MODEL", help="model.safetensors, as `gatewright forecast` or `classify` writes it")
    command.add_argument("file", metavar="FILE", help="CSV, or for a classifier .ts")
    command.add_argument("-o", dest="output", metavar="OUT.csv", help="write here (default: the standard output)")
    group = command.add_argument_group("of a classifier and CSV files (default: as in training)")
    group.add_argument("--id", metavar="COLUMN", help="says which sequence a row belongs to")
    group.add_argument("--time", metavar="COLUMN", help="numbers or dates that order the rows")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does it."""
    described = files.load(args.model)[1]
    if described.get("kind") == forecaster.KIND and "estimator" in described:
        raise FormatError(f"{args.model}: {files.other(described, 'which knows no columns of a file')}")
    if described.get("kind") == CLASSIFIER:
        text, said = _classes(args, described.get("table"))
    else:
        text, said = _forecast(args)
    output.speak_utf8()
    if args.output is None:
        sys.stdout.write(text)
    else:
        files.write_bytes(Path(args.output), text.encode())
        print(f"{args.output}: {said}")
    return 0


def _forecast(args: argparse.Namespace) -> tuple[str, str]:
    """(a CSV file of forecasts, what it is)."""
    for option in ("id", "time"):
        if getattr(args, option) is not None:
            raise OptionError(f"--{option} is for models of `gatewright classify`, and {args.model} is none")
    model = forecaster.load(args.model)
    known = () if model.beside is None else tuple(np.array(model.names)[model.beside.known].tolist())
    if model.group is not None:
        return _forecast_many(args, model, model.group, known)
    series = read_series(args.file, model.names[0], model.date, model.names[1:])
    series, future = _ahead(args, model, series, known, 0)
    said = f"{model.settings.horizon} forecasts of {series.name} after {series.labels()[-1]}"
    return output.prediction_csv(series, future), said


def _forecast_many(args: argparse.Namespace, model: SeriesForecaster, group: str, known: tuple[str, ...]) -> tuple[str, str]:
    """The same of every series in a file."""
    assert model.beside is not None
    found = read_many(args.file, SeriesColumns(model.names[0], model.date, model.names[1:], group))
    numbers = {name: number for number, name in enumerate(model.beside.series)}
    for name in found:
        if name not in numbers:
            raise DataError(f"{args.file}: series {name!r} is new to {args.model}; it knows {shortened(', '.join(numbers))}")
    told = {name: _ahead(args, model, series, known, numbers[name]) for name, series in found.items()}
    said = f"{model.settings.horizon} forecasts of each of {len(told)} series"
    return many.predictions_csv(group, told), said


def _ahead(
    args: argparse.Namespace, model: SeriesForecaster, series: Series, known: tuple[str, ...], number: int
) -> tuple[Series, Forecasts]:
    """(the series up to its last row, (H,) each: what comes after it)."""
    of = "" if model.beside is None or model.group is None else f" of series {model.beside.series[number]!r}"
    series, coming = split_known(series, known, model.settings.horizon, of)
    rows, window = len(series.target), model.settings.window
    if rows < window:
        raise DataError(f"{args.file}: rows: got {rows}, wanted at least {window}, the window of the model")
    made = model.forecasts(np.concatenate([series.values, coming]), np.array([rows - 1]), number)
    return series, Forecasts(*(part[0] for part in made))


def _classes(args: argparse.Namespace, stored: Any) -> tuple[str, str]:
    """(a CSV file of classes, what it is); stored: the columns that training read."""
    from gatewright.estimators import job, report
    from gatewright.estimators.classifier import SequenceClassifier

    model = SequenceClassifier.load(args.model).set_params(layout="ntc")  # which files have, whatever it was trained on
    if classify.is_ts(args.file):
        for option in ("id", "time"):
            if getattr(args, option) is not None:
                raise OptionError(f"--{option} names a column of a CSV file, and {args.file} is a .ts file")
        data = classify.read(args.file, None)
    else:
        data = _long(args, stored, job.feature_names(model))
    got, wanted = data.values[0].shape[1], model.model_.layer.features_in
    if got != wanted:
        raise ShapeError(f"{args.file}: features: got {got}, wanted {wanted}, as in training")
    judged = job.judge(model, data)
    said = f"classes of {len(data.ids)} sequences"
    return classify.predictions_csv(judged), said if data.labels is None else f"{said}; {report.verdict(judged)}"


def _long(args: argparse.Namespace, stored: Any, features: tuple[str, ...] | None) -> Labelled:
    """The sequences of a CSV file; with their labels where it has the column that training learned them from."""
    columns = _stored(args, stored)
    table = read_table(args.file)
    for option in ("id", "time"):
        if getattr(args, option) is not None:
            columns = columns._replace(**{option: getattr(args, option)})
    return read_long(table, columns._replace(label=_there(table, columns.label), features=features))


def _there(table: Table, column: str | None) -> str | None:
    return column if column in table.names else None


def _stored(args: argparse.Namespace, stored: Any) -> Columns:
    """The columns that training read, as the model's file says. Raises OptionError where it can't."""
    if stored is None:
        if args.id is None:
            raise OptionError(f"--id COLUMN is missing: {args.model} was not trained on a CSV file and knows no columns")
        return Columns(args.id, None, args.time)
    names = [stored.get(name) for name in ("id", "label", "time")] if isinstance(stored, dict) else [None]
    if not all(isinstance(name, str) for name in names[:2]) or not isinstance(names[-1], str | None):
        raise FormatError(f"{args.model}: the names of its columns can't be read")
    return Columns(*names)
