"""`gatewright forecast` and `gatewright demo`: train, forecast, compare with the classics, draw."""

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.checking import gradcheck
from gatewright.checks import fraction, whole_number
from gatewright.cli import output
from gatewright.cli.progress import Watch
from gatewright.data.series import read_series
from gatewright.errors import OptionError
from gatewright.forecasting import classic, job
from gatewright.forecasting.job import Job, Outcome
from gatewright.forecasting.report import table
from gatewright.forecasting.scaling import SCALES
from gatewright.forecasting.settings import CELLS, MOST_EPOCHS, Settings, check
from gatewright.layers import GRU
from gatewright.training.callbacks import counted

TEST_FRACTION = 0.2
DEMO_SEEDS = 5  # other seeds that the demo tries, for the spread

# flag, what argparse does with it, what the help says; the names are those of Settings.
OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--horizon", {"type": int, "metavar": "N"}, "steps ahead"),
    ("--cell", {"choices": tuple(CELLS)}, "of the network"),
    ("--hidden", {"type": int, "metavar": "N"}, "units a layer"),
    ("--layers", {"type": int, "metavar": "N"}, "recurrent layers"),
    ("--ensemble", {"type": int, "metavar": "N"}, "networks whose mean is the forecast"),
    ("--window", {"type": int, "metavar": "N"}, "rows that a network looks back over"),
    ("--scale", {"choices": SCALES}, "of the target, before it is learned"),
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
    command.add_argument("--inputs", metavar="COLUMNS", help="other columns that help, with commas between them")
    defaults = Settings()
    for flag, how, text in OPTIONS:
        default = getattr(defaults, flag[2:].replace("-", "_"))
        command.add_argument(flag, help=text if default is None else f"{text} (default {default})", **how)
    command.add_argument("--season", type=int, metavar="N", help="rows, for the seasonal naive forecast (default: found)")
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
    return _do(_sunspot_job(args) if args.file is None else _file_job(args), Path(args.output))


def run_demo(args: argparse.Namespace) -> int:
    """The command `demo`."""
    x = np.random.default_rng(0).standard_normal((2, 7, 3))
    print("First, are the gradients right? The derivative by complex step beside what the backward pass says:\n")
    print(gradcheck(GRU(3, 4), x), "\n")
    return _do(classic.job(classic.settings(), repeat=DEMO_SEEDS), Path(args.output))


def _chosen(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that the user gave, checked by the names of their flags."""
    names = [flag[2:].replace("-", "_") for flag, *_ in OPTIONS]
    chosen = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    for name, got in chosen.items():
        check(name, got, f"--{name.replace('_', '-')}")
    return chosen


def _file_job(args: argparse.Namespace) -> Job:
    if args.target is None:
        raise OptionError("--target COLUMN is missing: which column of the file is to be forecast?")
    inputs = () if args.inputs is None else _names(args.inputs)
    chosen = Settings(**_chosen(args))
    series = read_series(args.file, args.target, args.date, inputs)
    train, periods, variance = job.split(series, TEST_FRACTION if args.test_fraction is None else args.test_fraction)
    return Job(series, chosen, train, periods, variance, season=args.season, repeat=args.repeat)


def _names(inputs: str) -> tuple[str, ...]:
    """The columns that the user named; one whose name has a comma stands in quotes."""
    try:
        names = tuple(name.strip() for name in next(csv.reader([inputs], skipinitialspace=True)))
    except csv.Error:
        names = ()
    if not names or "" in names:
        raise OptionError(f"--inputs: got {inputs!r}, wanted names of columns with commas between them")
    return names


def _sunspot_job(args: argparse.Namespace) -> Job:
    for option in ("target", "date", "inputs"):
        if getattr(args, option) is not None:
            raise OptionError(f"--{option} names a column of a file: say which FILE.csv")
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
    print(f"{todo.series.name}: {len(labels)} rows, {labels[0]} – {labels[-1]}; {learned}\n", flush=True)
    with Watch(1 + todo.repeat, ensemble, todo.settings.epochs or MOST_EPOCHS) as watch:
        outcome = job.run(todo, watch)
        paths = output.write_all(folder, output.writers(outcome))
    print(f"\n{table(outcome)}\n\n{_note(outcome)}\n")
    for path in paths:
        print(path)
    if not any(path.suffix == ".png" for path in paths):
        print("no pictures: they need matplotlib, which pip install 'gatewright[plot]' brings")
    if not watch.stopped:
        return 0
    kept = f"{len(outcome.forecaster.members)} of {ensemble} networks, after {counted(outcome.committee.epoch, 'epoch')}"
    print(f"interrupted: the best model so far ({kept}) is in {folder / 'model.safetensors'}", file=sys.stderr)
    return 130


def _note(outcome: Outcome) -> str:
    """What the numbers mean."""
    ahead, variance = outcome.job.settings.horizon, outcome.job.variance
    what = "one step ahead" if ahead == 1 else f"up to {ahead} steps ahead (+1, +2 … steps)"
    measure = f"ARV = mean squared error / {variance:.4g}"
    return f"Forecast {what}, from what was known at the time. Lower is better, * is best. {measure}."
