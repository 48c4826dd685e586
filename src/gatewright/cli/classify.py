"""`gatewright classify`: learn which class sequences are of, and judge by others how well."""

import argparse
import csv
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewright import checks
from gatewright.cli import output
from gatewright.cli.progress import Learner
from gatewright.data.labelled import Columns, Labelled, read_long
from gatewright.data.tables import read_table
from gatewright.data.ts import read_ts
from gatewright.errors import OptionError, shortened
from gatewright.training.callbacks import counted

if TYPE_CHECKING:  # at run time inside the functions: scikit-learn takes a second to load, and may not be there
    from gatewright.estimators.classifier import SequenceClassifier
    from gatewright.estimators.job import Job, Judged, Outcome

INTERRUPTED = 130  # after Ctrl-C, as shells have it
TEST_FRACTION = 0.2
FILES = ("predictions.csv", "report.json", "model.safetensors", "confusion.png", "training.png")
MOST_CLASSES = 60  # that a picture shows


def _anything(option: str, got: Any) -> None:
    """For what argparse has checked, or what is checked where it is read."""


def _seed(option: str, got: int) -> None:
    if not 0 <= got < 2**32:
        raise OptionError(f"{option}: got {got}, wanted a whole number from 0 to {2**32 - 1}")


def _share(option: str, got: float) -> None:
    checks.fraction(option, got)
    checks.positive(option, got)


# flag, the parameter of gw.SequenceClassifier that it is, what argparse does with it, its check, what the help says.
Check = Callable[[str, Any], None]
OPTIONS: tuple[tuple[str, str, dict[str, Any], Check, str], ...] = (
    ("--cell", "cell", {"choices": ("gru", "lstm", "rnn")}, _anything, "of the network (default gru)"),
    ("--hidden", "hidden_size", {"type": int, "metavar": "N"}, checks.whole_number, "units a layer and direction (default 64)"),
    ("--layers", "num_layers", {"type": int, "metavar": "N"}, checks.whole_number, "recurrent layers (default 1)"),
    ("--bidirectional", "bidirectional", {"action": argparse.BooleanOptionalAction}, _anything,
     "read backwards too (default: yes)"),
    ("--pooling", "pooling", {"choices": ("last", "mean", "max")}, _anything,
     "what of the steps' outputs the decision sees (default max)"),
    ("--dropout", "dropout", {"type": float, "metavar": "X"}, checks.fraction, "rate, in training (default 0)"),
    ("--epochs", "epochs", {"type": int, "metavar": "N"}, checks.whole_number,
     "times that all sequences are seen, at most (default 100)"),
    ("--batch", "batch_size", {"type": int, "metavar": "N"}, checks.whole_number,
     "sequences an update (default: a thirty-second of them all, from 8 to 64)"),
    ("--learning-rate", "learning_rate", {"type": float, "metavar": "X"}, checks.positive, "of Adam (default 0.01)"),
    ("--class-weight", "class_weight", {"metavar": "WEIGHTS"}, _anything,
     "`balanced`: all classes weigh the same; or `A=2,B=0.5`: factors, 1 for a class that is not named"),
    ("--early-stopping", "early_stopping", {"action": argparse.BooleanOptionalAction}, _anything,
     "set a share of what is learned from aside, and stop when its loss has not improved for --patience epochs "
     "(default: from 1000 sequences on)"),
    ("--validation-fraction", "validation_fraction", {"type": float, "metavar": "X"}, _share,
     "that share, and --early-stopping (default 0.1)"),
    ("--patience", "patience", {"type": int, "metavar": "N"}, checks.whole_number,
     "those epochs, and --early-stopping (default 10)"),
    ("--seed", "random_state", {"type": int, "metavar": "N"}, _seed,
     "of every random number (default 0)"),
)  # fmt: skip


def add_to(commands: Any) -> None:
    """Adds the command to the others."""
    command = commands.add_parser(
        "classify",
        help="learn classes of sequences from a file",
        description="Learns which class sequences are of, from a CSV file with a row a step or from a .ts file, and judges by "
        "other sequences how well. `gatewright predict` then tells the classes of new ones. Ctrl-C keeps the best so far.",
    )
    command.add_argument("file", metavar="FILE", help="a CSV file with a row a step, or a .ts file of the time series archive")
    command.add_argument("--test", metavar="FILE", help="judge by these sequences, of the same form")
    share = f"without --test: of the sequences, of every class alike (default {TEST_FRACTION})"
    command.add_argument("--test-fraction", type=float, metavar="X", help=share)
    group = command.add_argument_group("of CSV files")
    group.add_argument("--label", metavar="COLUMN", help="the classes")
    group.add_argument("--id", metavar="COLUMN", help="says which sequence a row belongs to")
    group.add_argument("--time", metavar="COLUMN", help="numbers or dates that order the rows (default: as they stand)")
    group.add_argument("--features", metavar="COLUMNS", help="with commas between (default: all others that hold numbers)")
    group = command.add_argument_group("of the network and its training")
    for flag, name, how, _, text in OPTIONS:
        group.add_argument(flag, dest=name, help=text, **how)
    command.add_argument("-o", dest="output", metavar="DIR", default="gatewright-classify", help="folder (default %(default)s)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does it: 0, or 130 after Ctrl-C, with the best model so far written in both cases."""
    from gatewright.estimators import job, report

    folder = Path(args.output)
    todo = _job(args)
    output.check_folder(folder, FILES)
    output.speak_utf8()
    print(_introduction(todo, args.test is None), flush=True)
    with Learner() as learner:
        outcome = job.run(todo, learner)
        files, notes = _writers(outcome, args)
        paths = output.write_all(folder, files)
    print(f"\n{report.verdict(outcome.judged)}\n\n{report.table(outcome.judged)}\n\n{report.matrix(outcome.judged)}\n")
    for line in (*paths, *notes):
        print(line)
    if not outcome.interrupted:
        return 0
    epochs = counted(todo.classifier.n_iter_, "epoch")
    print(f"interrupted: the best model so far, of {epochs}, is in {folder / 'model.safetensors'}", file=sys.stderr)
    return INTERRUPTED


# --- what is asked for


def _job(args: argparse.Namespace) -> "Job":
    """What the user wants, all of it read and checked."""
    from gatewright.estimators import job

    options = {name: _chosen(flag, getattr(args, name), check) for flag, name, _, check, _ in OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}
    if args.test is not None and args.test_fraction is not None:
        raise OptionError("--test-fraction holds a share of the sequences out, and --test names other ones: give one")
    if args.test_fraction is not None:
        _share("--test-fraction", args.test_fraction)
    for name in ("patience", "validation_fraction"):
        if name in options and not options.setdefault("early_stopping", True):
            raise OptionError(f"--{name.replace('_', '-')} says how to stop early, and --no-early-stopping not to")
    columns = _columns(args)
    train = read(args.file, columns)
    classifier = _classifier(options, train)
    if args.test is None:
        share = TEST_FRACTION if args.test_fraction is None else args.test_fraction
        return job.Job(classifier, *job.hold_out(train, share, classifier.random_state))
    if columns is not None:
        columns = columns._replace(features=train.names)
    return job.Job(classifier, train, read(args.test, columns))


def _chosen(flag: str, got: Any, check: Check) -> Any:
    """An option's value, checked; None where it is not given."""
    if got is not None:
        check(flag, got)
    return got


def _classifier(options: dict[str, Any], train: Labelled) -> "SequenceClassifier":
    from gatewright.estimators.classifier import SequenceClassifier

    if options.get("class_weight") not in (None, "balanced"):
        options["class_weight"] = _weights(options["class_weight"], train)
    return SequenceClassifier(**{"random_state": 0, **options})


def _weights(text: str, train: Labelled) -> dict[str, float]:
    """A=2,B=0.5 as {label: weight}."""
    weights: dict[str, float] = {}
    for entry in names("--class-weight", text):
        label, _, number = entry.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if not label or not 0 <= weight < float("inf"):
            raise OptionError(f"--class-weight: got {entry!r}, wanted `balanced`, or LABEL=X with X from 0 up")
        if label in weights or label not in (train.labels or ()):
            what = "stands there twice" if label in weights else f"is no class of {train.path}"
            raise OptionError(f"--class-weight: {label!r} {what}")
        weights[label] = weight
    return weights


def names(option: str, text: str) -> tuple[str, ...]:
    """What the user listed with commas between; what has a comma itself stands in quotes."""
    try:
        found = tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True)))
    except (csv.Error, StopIteration):
        found = ()
    if not found or "" in found:
        raise OptionError(f"{option}: got {text!r}, wanted names with commas between them")
    return found


def is_ts(path: str) -> bool:
    """Whether a file is one of the time series archive, by its name."""
    return Path(path).suffix.lower() == ".ts"


def _columns(args: argparse.Namespace) -> Columns | None:
    """What the columns of the files are; None of .ts files. Raises OptionError for options that don't fit the files."""
    files = [path for path in (args.file, args.test) if path is not None]
    if len({is_ts(path) for path in files}) > 1:
        raise OptionError(f"{' and '.join(files)}: one is a .ts file and one is none; wanted both of one form")
    if is_ts(args.file):
        for option in ("label", "id", "time", "features"):
            if getattr(args, option) is not None:
                raise OptionError(f"--{option} names columns of a CSV file, and {args.file} is a .ts file")
        return None
    for option, what in (("label", "holds the classes"), ("id", "says which sequence a row belongs to")):
        if getattr(args, option) is None:
            raise OptionError(f"--{option} COLUMN is missing: which column of {args.file} {what}?")
    features = None if args.features is None else names("--features", args.features)
    return Columns(args.id, args.label, args.time, features)


def read(path: str, columns: Columns | None) -> Labelled:
    """The sequences in a file; `columns` of a CSV file."""
    return read_ts(path) if columns is None else read_long(read_table(path), columns)


# --- what is said and written


def _introduction(todo: "Job", held_out: bool) -> str:
    """What is learned from, and what is judged by."""
    train, test = todo.train, todo.test
    lengths = [len(row) for row in (*train.values, *test.values)]
    features = counted(train.values[0].shape[1], "feature") + ("" if train.names is None else f": {', '.join(train.names)}")
    steps = f"{min(lengths)} to {max(lengths)} steps" if min(lengths) < max(lengths) else counted(lengths[0], "step")
    judged = "of every class alike" if held_out else f"from {test.path}"
    lines = [f"{train.path}: {counted(len(train.ids), 'sequence')} to learn from, {len(test.ids)} to judge by, {judged}"]
    lines.append(f"{len(set(train.labels or ()))} classes, {steps} each, {shortened(features)}")
    if train.left_out:
        left_out = ", ".join(name or "a column without a name" for name in train.left_out)
        lines.append(f"left out, because there are no numbers or no name: {shortened(left_out)}")
    return "\n".join(lines)


def _writers(outcome: "Outcome", args: argparse.Namespace) -> tuple[dict[str, output.Writer], list[str]]:
    """(the files, what there is to say of pictures that are not among them)."""
    from gatewright.estimators import report, store

    columns = {} if is_ts(args.file) else {"table": {"id": args.id, "label": args.label, "time": args.time}}
    text = json.dumps(report.as_json(outcome), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    pictures, notes = _pictures(outcome)
    return {
        "predictions.csv": lambda path: output.write_text(path, predictions_csv(outcome.judged)),
        "report.json": lambda path: output.write_text(path, text),
        "model.safetensors": lambda path: store.save(outcome.job.classifier, path, columns),
        **pictures,
    }, notes


def _pictures(outcome: "Outcome") -> tuple[dict[str, output.Writer], list[str]]:
    try:
        from gatewright.viz.notebook import confusion_matrix, learning_curve
        from gatewright.viz.style import save
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        return {}, ["no pictures: they need matplotlib, which pip install 'gatewright[plot]' brings"]
    judged, files, notes = outcome.judged, dict[str, output.Writer](), []
    number = {name: k for k, name in enumerate(judged.classes)}
    true, told = ([number[label] for label in labels] for labels in (judged.true or (), judged.predicted))
    if len(number) > MOST_CLASSES:
        notes.append(f"no confusion.png: it shows {MOST_CLASSES} classes at most, and report.json has them all")
    else:

        def draw(path: Path) -> None:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                save(confusion_matrix(true, told, judged.classes), path)
            if said:
                notes.append(f"confusion.png: {shortened(said[0].message)}")

        files["confusion.png"] = draw
    if not outcome.history.epochs:
        notes.append("no training.png: no epoch was finished")
    else:
        files["training.png"] = lambda path: save(learning_curve(outcome.history), path)
    return files, notes


def predictions_csv(judged: "Judged") -> str:
    """A line a sequence: its name, its label where it has one, what it is taken for, the probability of each class."""
    true = [] if judged.true is None else [judged.true]
    head = ["id", *(["true"] if true else []), "predicted", *(f"P({name})" for name in judged.classes)]
    rows = zip(judged.ids, *true, judged.predicted, judged.proba, strict=True)
    return output.as_csv(head, ([*texts, *(f"{p:.6g}" for p in proba)] for *texts, proba in rows))
