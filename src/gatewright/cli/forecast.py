"""`gatewright forecast` and `gatewright demo`: train, forecast, compare with the classics, draw."""

import argparse
import csv
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.checking import gradcheck
from gatewright.checks import fraction, whole_number
from gatewright.cli import many as files_of_many
from gatewright.cli import output
from gatewright.cli.progress import Watch
from gatewright.data.series import Columns, Series, begun, read_many, read_series, split_known
from gatewright.errors import OptionError
from gatewright.forecasting import choices, classic, job, many
from gatewright.forecasting.committee import Committee
from gatewright.forecasting.forecaster import LEVEL, SeriesForecaster
from gatewright.forecasting.job import Job, Outcome
from gatewright.forecasting.many import Many, test_rows
from gatewright.forecasting.report import table
from gatewright.forecasting.scaling import SCALES
from gatewright.forecasting.settings import CELLS, MOST_EPOCHS, Settings, check
from gatewright.layers import GRU
from gatewright.training.callbacks import counted

TEST_FRACTION = 0.2
AUTO = "auto"
DEMO_SEEDS = 5  # other seeds that the demo tries, for the spread

# flag, what argparse does with it, what the help says; the names are those of Settings.
OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--horizon", {"type": int, "metavar": "N"}, "steps ahead"),
    ("--cell", {"choices": tuple(CELLS)}, "of the network"),
    ("--hidden", {"type": int, "metavar": "N"}, "units a layer"),
    ("--layers", {"type": int, "metavar": "N"}, "recurrent layers"),
    ("--ensemble", {"type": int, "metavar": "N"}, "networks whose mean is the forecast"),
    ("--window", {"type": int, "metavar": "N"}, "rows that a network looks back over (default: two seasons, within bounds)"),
    ("--scale", {"choices": (AUTO, *SCALES)}, "of the target, before it is learned (default auto: what evens out its noise)"),
    ("--epochs", {"type": int, "metavar": "N"}, f"for each network; default: at most {MOST_EPOCHS}, as held-out rows say"),
    ("--learning-rate", {"type": float, "metavar": "X"}, "of Adam"),
    ("--seed", {"type": int, "metavar": "N"}, "of every random number"),
)


def add_to(commands: Any) -> None:
    """Adds the two commands to the others."""
    command = commands.add_parser(
        "forecast",
        help="forecast a column of a CSV file",
        description="Trains on the first part of a series, forecasts the rest, and compares itself with the classics. "
        "Without FILE.csv: the yearly sunspot numbers, in the protocol of the literature, with settings chosen on its "
        "training years.",
    )
    command.add_argument("file", metavar="FILE.csv", nargs="?")
    command.add_argument("--target", metavar="COLUMN", help="what to forecast")
    command.add_argument("--date", metavar="COLUMN", help="the dates of the rows")
    command.add_argument("--series", metavar="COLUMN", help="which series a row is of: many of them share one model")
    command.add_argument("--inputs", metavar="COLUMNS", help="other columns that help, with commas between them")
    known = "more such columns, whose future is known and stands in rows after the last one that has the target"
    command.add_argument("--known", metavar="COLUMNS", help=known)
    defaults = Settings()
    for flag, how, text in OPTIONS:
        default = None if "default" in text else getattr(defaults, flag[2:].replace("-", "_"))
        command.add_argument(flag, help=text if default is None else f"{text} (default {default})", **how)
    command.add_argument("--season", type=int, metavar="N", help="rows (default: found)")
    level = f"share of the future that the intervals are to hold (default {LEVEL})"
    command.add_argument("--level", type=float, metavar="X", help=level)
    share = f"of the rows, the last ones (default {TEST_FRACTION}; sunspots: 1921 on)"
    command.add_argument("--test-fraction", type=float, metavar="X", help=share)
    command.add_argument("--repeat", type=int, default=0, metavar="N", help="other seeds to try too, for the spread")
    command.add_argument("-o", dest="output", metavar="DIR", default="gatewright-forecast", help="folder (default %(default)s)")
    command.set_defaults(run=run)
    demo = commands.add_parser(
        "demo",
        help="the sunspots, from data to picture, and a gradient check",
        description="Forecasts the sunspot numbers 1700–2008, compares with the classics, and proves a gradient.",
    )
    demo.add_argument("-o", dest="output", metavar="DIR", default="gatewright-demo", help="folder (default %(default)s)")
    demo.set_defaults(run=run_demo)


def run(args: argparse.Namespace) -> int:
    """The command `forecast`."""
    whole_number("--repeat", args.repeat, 0)
    if args.season is not None:
        whole_number("--season", args.season)
    if args.test_fraction is not None:
        fraction("--test-fraction", args.test_fraction)
    if args.level is not None and not 0 < args.level < 1:
        raise OptionError(f"--level: got {args.level}, wanted a number above 0 and below 1: 0.9, not 90")
    folder = Path(args.output)
    if args.file is None:
        return _do(_sunspot_job(args), folder)
    if args.target is None:
        raise OptionError("--target COLUMN is missing: which column of the file is to be forecast?")
    return _do(_file_job(args), folder) if args.series is None else _do_many(_many_job(args), folder)


def run_demo(args: argparse.Namespace) -> int:
    """The command `demo`."""
    x = np.random.default_rng(0).standard_normal((2, 7, 3))
    print("First, are the gradients right? The derivative by complex step beside what the backward pass says:\n")
    print(gradcheck(GRU(3, 4), x), "\n")
    return _do(classic.job(classic.settings(), repeat=DEMO_SEEDS), Path(args.output))


def _chosen(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that the user gave, checked by the names of their flags; what is to be found out is not among them."""
    names = [field.name for field in fields(Settings)]
    chosen = {name: getattr(args, name) for name in names if getattr(args, name, None) not in (None, AUTO)}
    for name, got in chosen.items():
        check(name, got, f"--{name.replace('_', '-')}")
    return chosen


def _settings(args: argparse.Namespace, series: list[Array]) -> Settings:
    """The settings for the training rows of series (T_i,): what the user did not say is found out."""
    chosen = _chosen(args)
    asked = [chosen.pop(name, None) for name in ("season", "scale", "window")]
    return Settings(**chosen, **choices.chosen(series, *asked)._asdict(), linear=True)


def _columns(args: argparse.Namespace) -> tuple[Columns, tuple[str, ...]]:
    """(the columns of the file, those whose future is known)."""
    inputs, known = (_names(getattr(args, flag), flag) for flag in ("inputs", "known"))
    columns = Columns(args.target, args.date, (*inputs, *known), args.series)
    columns.check()
    return columns, known


def _file_job(args: argparse.Namespace) -> Job:
    columns, known = _columns(args)
    horizon = Settings(**_chosen(args)).horizon
    series, coming = split_known(read_series(args.file, columns.target, columns.date, columns.inputs), known, horizon)
    train, periods, variance = job.split(series, TEST_FRACTION if args.test_fraction is None else args.test_fraction)
    target = choices.begun(series.values[:train])
    choices.check({series.name: target}, (series.name, *series.input_names), horizon)
    settings = _settings(args, [target[:, 0]])
    return Job(
        series, settings, train, periods, variance, season=settings.season, repeat=args.repeat,
        level=LEVEL if args.level is None else args.level, known=known, coming=coming,
    )  # fmt: skip


def _many_job(args: argparse.Namespace) -> Many:
    if args.repeat:
        raise OptionError("--repeat tries other seeds on one series; with --series give --seed instead")
    columns, known = _columns(args)
    horizon = Settings(**_chosen(args)).horizon
    found = read_many(args.file, columns)
    both = {name: split_known(begun(each), known, horizon, f" of series {name!r}") for name, each in found.items()}
    series = {name: history for name, (history, _) in both.items()}
    test = test_rows(series, TEST_FRACTION if args.test_fraction is None else args.test_fraction, horizon)
    train = {name: each.values[: len(each.values) - test] for name, each in series.items()}
    choices.check(train, (columns.target, *columns.inputs), horizon)
    settings = _settings(args, [values[:, 0] for values in train.values()])
    level = LEVEL if args.level is None else args.level
    return Many(series, {name: coming for name, (_, coming) in both.items()}, settings, test, level, known, args.series)


def _names(inputs: str | None, flag: str) -> tuple[str, ...]:
    """The columns that the user named; one whose name has a comma stands in quotes."""
    if inputs is None:
        return ()
    try:
        names = tuple(name.strip() for name in next(csv.reader([inputs], skipinitialspace=True)))
    except csv.Error:
        names = ()
    if not names or "" in names:
        raise OptionError(f"--{flag}: got {inputs!r}, wanted names of columns with commas between them")
    return names


def _sunspot_job(args: argparse.Namespace) -> Job:
    for option in ("target", "date", "inputs", "known", "series", "level"):
        if getattr(args, option) is not None:
            raise OptionError(f"--{option} is for the columns of a file: say which FILE.csv")
    if args.scale == AUTO:
        raise OptionError("--scale auto is for the columns of a file: without one, the scale has been chosen")
    todo = classic.job(classic.settings(**_chosen(args)), args.season, args.repeat)
    if args.test_fraction is None:
        return todo
    train, periods, variance = job.split(todo.series, args.test_fraction)
    return replace(todo, train=train, periods=periods, variance=variance)


def _do(todo: Job, folder: Path) -> int:
    """Does a job, says how it went and writes its files."""
    output.check_folder(folder)
    labels, ensemble = todo.series.labels(), todo.settings.ensemble
    learned = f"learning from the first {todo.train}, up to {labels[todo.train - 1]}"
    found = f"; {_found(todo.settings)}" if todo.settings.linear else ""
    print(f"{todo.series.name}: {_rows([todo.series])}, {labels[0]} – {labels[-1]}; {learned}{found}\n", flush=True)
    with Watch(1 + todo.repeat, ensemble, todo.settings.epochs or MOST_EPOCHS) as watch:
        outcome = job.run(todo, watch)
        paths, notes = output.write_told(folder, output.writers(outcome))
    print(f"\n{table(outcome)}\n\n{_note(outcome)}\n")
    _say(paths, notes)
    return _end(watch.stopped, outcome.forecaster, outcome.committee, folder)


def _say(paths: list[Path], notes: list[str]) -> None:
    """Which files there are, and what is to be said of them."""
    for line in (*paths, *notes):
        print(line)
    if not any(path.suffix == ".png" for path in paths):
        print("no pictures: they need matplotlib, which pip install 'gatewright[plot]' brings")


def _end(stopped: bool, made: SeriesForecaster, learned: Committee, folder: Path) -> int:
    """Says so, and how, where not all was done that was asked for."""
    if not stopped:
        return 0
    kept = f"{len(made.members)} of {made.settings.ensemble} networks, after {counted(learned.epoch, 'epoch')}"
    print(f"interrupted: the best model so far ({kept}) is in {folder / 'model.safetensors'}", file=sys.stderr)
    return 130


def _do_many(todo: Many, folder: Path) -> int:
    """Does a job of many series, says how it went and writes its files."""
    output.check_folder(folder)
    count, settings = len(todo.series), todo.settings
    what = f"learning from all but the last {todo.test} rows of each" if todo.test else "learning from all rows"
    print(f"{count} series, {_rows(list(todo.series.values()))}; {what}; {_found(settings)}\n", flush=True)
    with Watch(1, settings.ensemble, settings.epochs or MOST_EPOCHS) as watch:
        told = many.run(todo, watch)
        paths, notes = output.write_told(folder, files_of_many.writers(told))
    if told.backtest:
        print(f"\n{told.backtest}\n\nMASE = mean absolute error / that of the seasonal naive one step ahead in training.\n")
    _say(paths, notes)
    return _end(watch.stopped, told.forecaster, told.committee, folder)


def _rows(series: list[Series]) -> str:
    """How many rows there are, and what was done about their dates."""
    rows, put_in = sum(len(each.target) for each in series), sum(each.inserted for each in series)
    uneven = sum(each.uneven for each in series)
    said = f"{rows:,} rows" + (f", {put_in:,} of them put in where dates are left out" if put_in else "")
    if not uneven:
        return said
    return f"{said}, at uneven dates{f' in {uneven} series' if len(series) > 1 else ''}, taken one after the other"


def _found(settings: Settings) -> str:
    """What was found out, or given."""
    season = "no season" if settings.season == 1 else f"season {settings.season}"
    return f"{season}, scale {settings.scale}, window {settings.window}"


def _note(outcome: Outcome) -> str:
    """What the numbers mean."""
    ahead, variance = outcome.job.settings.horizon, outcome.job.variance
    what = "one step ahead" if ahead == 1 else f"up to {ahead} steps ahead (+1, +2 … steps)"
    measure = f"ARV = mean squared error / {variance:.4g}"
    return f"Forecast {what}, from what was known at the time. Lower is better, * is best. {measure}."
