"""`gatewright explore`: a page that shows what every gate of a model does on one sequence."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from gatewright import files
from gatewright.arrays import Array
from gatewright.checks import whole_number
from gatewright.cli import models
from gatewright.data.tables import Table, read_table
from gatewright.errors import DataError, FormatError, MissingFileError, OptionError
from gatewright.files import write_bytes
from gatewright.interop import formats
from gatewright.model import Model
from gatewright.text.model import KIND, TextModel
from gatewright.viz.explore import MOST_STEPS, Page

LARGEST = 64 * 2**20  # bytes of a text that are read


def add_to(commands: Any) -> None:
    """Adds the command to the others."""
    command = commands.add_parser(
        "explore",
        help="a page that shows what every gate does on one sequence",
        description="Runs a model over one sequence and writes an HTML file of its own: gates and states over time, unit by "
        "unit, saturation, gradients, saliency, and for a text what the model expects next. A browser shows it.",
    )
    command.add_argument("model", metavar="MODEL", help="of gatewright, `gatewright text`, Keras, PyTorch, ONNX or RTNeural")
    command.add_argument(
        "input", metavar="INPUT",
        help="CSV with a header line and a row a step; for a model that begins with an Embedding a text file: whole numbers "
        "with spaces between them, or with --vocabulary or --characters text; a model of `gatewright text` reads text",
    )  # fmt: skip
    command.add_argument("-o", dest="page", metavar="PAGE.html", required=True, help="write here")
    command.add_argument("--vocabulary", metavar="FILE.json", help="a JSON list of the symbols, in the order of their indices")
    command.add_argument("--characters", metavar="ABC…", help="the same, where every symbol is one character")
    command.add_argument("--target", metavar="A,B,…", help="columns that the model is to tell: the loss is their squared error")
    command.add_argument("--first", type=int, default=0, metavar="N", help="the step to begin with, from 0 (default 0)")
    command.add_argument("--steps", type=int, metavar="N", help=f"how many steps (default all; at most {MOST_STEPS})")
    command.add_argument("--title", help="of the page (default: the names of both files)")
    models.add_reading_options(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does it."""
    whole_number("--first", args.first, 0)
    if args.steps is not None:
        whole_number("--steps", args.steps)
    page, notes = _page(args)
    content = page.html.encode()
    write_bytes(Path(args.page), content)
    for note in notes:
        print(f"note: {note}")
    print(f"{args.page}: {len(content):,} bytes; open it in a browser")
    return 0


def _page(args: argparse.Namespace) -> tuple[Page, list[str]]:
    """The page, and what the model's reader warned of."""
    if formats.recognise(args.model) == "gatewright" and files.load(args.model)[1].get("kind") == KIND:
        return _of_a_text_model(args), []
    found = models.read(args.model, args)
    of = _of_symbols if found.model.layer.takes_indices else _of_numbers
    return of(found.model, args), found.notes


def _of_a_text_model(args: argparse.Namespace) -> Page:
    """The page for a model that `gatewright text` made, which knows its symbols."""
    for option in ("vocabulary", "characters", "target", *models.OPTIONS):
        if getattr(args, option) is not None:
            raise OptionError(f"--{option}: {args.model} is a {KIND}, which knows its symbols itself")
    made = TextModel.load(args.model)
    x = _part(made.vocabulary.encode(_text(args.input), args.input), args)
    if made.vocabulary.characters is None:
        symbols = [chr(byte) if byte == 10 or 32 <= byte < 127 else f"{byte:02x}" for byte in range(256)]
    else:
        symbols = [*made.vocabulary.characters, *(["\N{REPLACEMENT CHARACTER}"] if made.vocabulary.unknown else [])]
    page: Page = made.model.explore(x, vocabulary=symbols, title=_title(args))
    return page


def _title(args: argparse.Namespace) -> str:
    return str(args.title or f"{Path(args.model).name} reads {Path(args.input).name}")


def _part(steps: Any, args: argparse.Namespace) -> Any:
    """The steps that are asked for. Raises DataError where there is none."""
    part = steps[args.first :] if args.steps is None else steps[args.first : args.first + args.steps]
    if not len(part):
        raise DataError(f"{args.input}: {len(steps)} steps; --first {args.first} leaves none")
    if len(part) > MOST_STEPS:
        raise DataError(
            f"{args.input}: {len(part)} steps, and a page shows at most {MOST_STEPS}: choose with --first and --steps"
        )
    return part


def _of_numbers(model: Model, args: argparse.Namespace) -> Page:
    """The page for the columns of a CSV file."""
    for option in ("vocabulary", "characters"):
        if getattr(args, option) is not None:
            raise OptionError(f"--{option} is for models that begin with an Embedding, and {args.model} reads numbers")
    table = read_table(args.input)
    targets = [] if args.target is None else [name.strip() for name in args.target.split(",")]
    columns = [name for name in table.names if name not in targets]
    wanted = model.layer.features_in
    if not columns or (wanted is not None and len(columns) != wanted):
        raise DataError(f"{args.input}: columns: got {', '.join(columns) or 'none'}, wanted {wanted or 'some'} to read")
    y = _columns(table, targets, args) if targets else None
    page: Page = model.explore(_columns(table, columns, args), columns=columns, y=y, title=_title(args))
    return page


def _columns(table: Table, names: list[str], args: argparse.Namespace) -> Array:
    """Columns side by side, (T, F). Raises DataError, with the line, for a cell without a number."""
    values = np.stack([table.numbers(name) for name in names], axis=1)
    part: Array = _part(values, args)
    for step, column in np.argwhere(np.isnan(part))[:1]:
        line = table.lines[args.first + step]
        raise DataError(f"{table.path}, line {line}: nothing in column {names[column]!r}; wanted a number at every step")
    return part


def _of_symbols(model: Model, args: argparse.Namespace) -> Page:
    """The page for a text."""
    if args.target is not None:
        raise OptionError(f"--target is for tables of numbers, and {args.model} begins with an Embedding")
    symbols, text = _symbols(args), _text(args.input)
    if symbols is None:
        x, names = _part(_whole_numbers(text.split(), args.input), args), None
    else:
        parts: Any = text if all(len(symbol) == 1 for symbol in symbols) else text.split()
        names = list(_part(parts, args))
        x = _indices(names, symbols, args)
    page: Page = model.explore(np.array(x), text=names, vocabulary=symbols, title=_title(args))
    return page


def _symbols(args: argparse.Namespace) -> list[str] | None:
    """The symbols in the order of their indices; None where the input holds the indices themselves."""
    if args.vocabulary is not None and args.characters is not None:
        raise OptionError("--vocabulary and --characters say the same: give one")
    symbols: Any = args.characters and list(args.characters)
    if args.vocabulary is not None:
        listed = _text(args.vocabulary)
        try:
            symbols = json.loads(listed)
        except (ValueError, RecursionError):
            raise FormatError(f"{args.vocabulary}: is no JSON; wanted a list of symbols") from None
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) and symbol for symbol in symbols):
            raise FormatError(f"{args.vocabulary}: wanted a JSON list of strings, none of them empty")
    if symbols is not None and len(set(symbols)) != len(symbols):
        twice = next(symbol for symbol in symbols if symbols.count(symbol) > 1)
        raise DataError(f"{args.vocabulary or '--characters'}: {twice!r} stands there twice")
    return symbols or None


def _indices(names: list[str], symbols: list[str], args: argparse.Namespace) -> list[int]:
    known = {symbol: index for index, symbol in enumerate(symbols)}
    for step, name in enumerate(names):
        if name not in known:
            raise DataError(f"{args.input}: {name[:40]!r} at step {args.first + step} is not among the {len(known)} symbols")
    return [known[name] for name in names]


def _whole_numbers(words: list[str], path: str) -> list[int]:
    for step, word in enumerate(words):
        if not (word.isascii() and word.isdigit() and len(word) < 10):
            raise DataError(
                f"{path}: {word[:40]!r} at step {step}; wanted indices, or --vocabulary or --characters to read text"
            )
    return [int(word) for word in words]


def _text(path: str) -> str:
    """A file of UTF-8."""
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: there is no such file")
    if Path(path).stat().st_size > LARGEST:
        raise DataError(f"{path}: {Path(path).stat().st_size:,} bytes, and at most {LARGEST:,} are read")
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 at byte {error.start}") from None
