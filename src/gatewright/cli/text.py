"""`gatewright text`: a language model of characters or bytes, trained on a file, sampled, asked how likely another file is."""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from gatewright.arrays import Array
from gatewright.checks import whole_number
from gatewright.cli import output
from gatewright.cli.progress import Reader
from gatewright.errors import DataError, MissingFileError, OptionError
from gatewright.text.lesson import EPOCHS
from gatewright.text.model import Score, TextModel
from gatewright.text.settings import CELLS, LEVELS, TextSettings, check
from gatewright.training.callbacks import counted

INTERRUPTED = 130  # after Ctrl-C, as shells have it

# flag, what argparse does with it, what the help says; the names are those of TextSettings.
OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--level", {"choices": LEVELS}, "of the symbols"),
    ("--cell", {"choices": tuple(CELLS)}, "of the network"),
    ("--hidden", {"type": int, "metavar": "N"}, "units a layer"),
    ("--layers", {"type": int, "metavar": "N"}, "recurrent layers"),
    ("--window", {"type": int, "metavar": "N"}, "steps that back-propagation reaches back; the state goes further"),
    ("--batch", {"type": int, "metavar": "N"}, "stretches of the text that are learned side by side"),
    ("--epochs", {"type": int, "metavar": "N"}, f"times that the text is read (default {EPOCHS}, more of short texts)"),
    ("--minutes", {"type": float, "metavar": "M"}, "to learn, at most"),
    ("--learning-rate", {"type": float, "metavar": "X"}, "of Adam, at the beginning"),
    ("--held-out", {"type": float, "metavar": "X"}, "share of the text, its end, that says which weights are best"),
    ("--min-count", {"type": int, "metavar": "K"}, "characters that are rarer become one unknown symbol"),
    ("--seed", {"type": int, "metavar": "N"}, "of every random number"),
)


def add_to(commands: Any) -> None:
    """Adds the command with its three parts to the others."""
    command = commands.add_parser(
        "text",
        help="a language model of characters: train, sample, score",
        description="Learns a text of any script, by characters or bytes, writes it on, and tells how likely another text is.",
    )
    parts = command.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_train(parts)
    _add_sample(parts)
    score = parts.add_parser(
        "score", help="bits a character of another text", description="Tells how well a text is predicted."
    )
    score.add_argument("model", metavar="MODEL")
    score.add_argument("file", metavar="FILE", help="a text in UTF-8")
    score.add_argument("--per-line", action="store_true", help="also every line: its number, its bits a character, its text")
    score.set_defaults(run=run_score)


def _add_train(parts: Any) -> None:
    train = parts.add_parser(
        "train",
        help="learn a text",
        description="Trains a recurrent network to predict each next character of a text. Ctrl-C keeps the best so far.",
    )
    train.add_argument("file", metavar="FILE", help="a text in UTF-8")
    train.add_argument("-o", dest="output", metavar="MODEL", default="model.safetensors", help="file (default %(default)s)")
    defaults = TextSettings()
    for flag, how, text in OPTIONS:
        default = getattr(defaults, flag[2:].replace("-", "_"))
        train.add_argument(flag, help=text if default is None else f"{text} (default {default})", **how)
    train.set_defaults(run=run_train)


def _add_sample(parts: Any) -> None:
    sample = parts.add_parser(
        "sample", help="write on", description="Draws one character after the other, and prints each at once."
    )
    sample.add_argument("model", metavar="MODEL", help="a file that `gatewright text train` made")
    sample.add_argument("--length", type=int, default=500, metavar="N", help="characters, at most (default %(default)s)")
    sample.add_argument("--prime", default="", metavar="TEXT", help="how the text begins")
    sample.add_argument(
        "--temperature", type=float, default=1.0, metavar="T", help="0: always the likeliest (default %(default)s)"
    )
    sample.add_argument("--top-k", type=int, metavar="K", help="draw from the K most likely symbols only")
    sample.add_argument(
        "--top-p", type=float, metavar="P", help="draw from the fewest symbols that have this probability together"
    )
    sample.add_argument(
        "--seed", type=int, metavar="S", help="the same one gives the same text (default: another text each time)"
    )
    sample.add_argument("--until", metavar="TEXT", help="end after this, as in --until '.'")
    sample.set_defaults(run=run_sample)


def run_train(args: argparse.Namespace) -> int:
    """Learns: 0, or 130 after Ctrl-C, with the best model so far written in both cases."""
    settings, path = _settings(args), Path(args.output)
    _check_output(path)
    text = _read(args.file)
    held = round(len(text) * settings.held_out)
    print(f"{args.file}: {len(text):,} characters, the last {held:,} of them held out", flush=True)
    with Reader(settings) as reader:
        with _about(args.file):
            model = TextModel.train(text, settings, reader)
        model.save(path)
    scores = reader.scores
    best = f": {min(scores) if held else scores[-1]:.3f} {reader.unit}" if scores else ""
    print(f"{path}: {settings.cell.upper()} of {settings.hidden}, {model.vocabulary.size:,} symbols{best}")
    if not reader.stopped:
        return 0
    print(f"interrupted: the best model so far, after {counted(reader.epoch, 'epoch')}, is in {path}", file=sys.stderr)
    return INTERRUPTED


def run_sample(args: argparse.Namespace) -> int:
    """Writes a text on, character by character."""
    model = TextModel.load(args.model)
    if args.until == "":
        raise OptionError("--until: got nothing, wanted a text")
    if args.seed is not None:
        whole_number("--seed", args.seed, 0)
    drawn = model.sample(
        args.length, prime=args.prime, temperature=args.temperature, top_k=args.top_k, top_p=args.top_p, seed=args.seed
    )
    output.speak_utf8()
    print(args.prime, end="", flush=True)
    tail, code = "", 0
    try:
        for character in drawn:
            print(character, end="", flush=True)
            tail = (tail + character)[-len(args.until or " ") :]
            if tail == args.until:
                break
    except KeyboardInterrupt:
        code = INTERRUPTED  # what is printed is the result
    print()
    return code


def run_score(args: argparse.Namespace) -> int:
    """Says how well a text is predicted, as a whole and line by line."""
    model, text = TextModel.load(args.model), _read(args.file)
    with _about(args.file):
        bits = model.bits(text)
    output.speak_utf8()
    if args.per_line:
        for number, line, mean in _lines(text, bits):
            print(f"{number}\t{mean:.3f}\t{line}")
    score = Score(float(bits.sum()), len(text), len(text.encode()))
    size = f"{score.characters:,} characters, {score.bytes:,} bytes"
    print(f"{args.file}: {score.per_character:.4f} bits a character, {score.per_byte:.4f} bits a byte ({size})")
    return 0


def _lines(text: str, bits: Array) -> Iterator[tuple[int, str, float]]:
    """(number, line, bits a character) of every line; its end is one of its characters."""
    start = 0
    for number, line in enumerate(text.split("\n"), start=1):
        part = bits[start : start + len(line) + 1]
        if len(part):  # after the last line's end there is none
            yield number, line, float(part.mean())
        start += len(line) + 1


def _settings(args: argparse.Namespace) -> TextSettings:
    """The settings that the user gave, checked by the names of their flags."""
    names = [field.name for field in fields(TextSettings)]
    chosen = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    for name, got in chosen.items():
        check(name, got, f"--{name.replace('_', '-')}")
    return TextSettings(**chosen)


def _check_output(path: Path) -> None:
    """Raises now, not after the training, where the model can't be written."""
    if path.is_dir() or not path.parent.is_dir():
        raise OptionError(f"-o {path}: wanted the name of a file, in a folder that is there")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OptionError(f"-o {path} can't be written to ({error.strerror})") from None


def _read(path: str) -> str:
    """A text file, exactly as it is, but for the byte order mark with which some editors begin one."""
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: there is no such file")
    try:
        text = Path(path).read_bytes().decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start + 1} is not UTF-8; wanted a text in UTF-8") from None
    if not text:
        raise DataError(f"{path}: the file is empty")
    return text


@contextlib.contextmanager
def _about(path: str) -> Iterator[None]:
    """Says which file has the text that is complained about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
