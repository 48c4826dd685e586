"""The .ts files of the time series archive, which aeon, sktime and tsml write: a header, then a sequence a line."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.data.labelled import Labelled, settled
from gatewright.data.tables import PLAIN, text_of
from gatewright.errors import DataError, shortened

FLAGS = ("timestamps", "missing", "univariate", "equallength", "targetlabel")
COUNTS = {"dimensions": "dimensions", "dimension": "dimensions", "serieslength": "serieslength"}
TAGS = ("problemname", "classlabel", *FLAGS, *COUNTS)


@dataclass
class Header:
    """What stands before @data, the tags in lower case."""

    flags: dict[str, bool] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None  # those that there are; empty: the sequences have none


def read_ts(path: Any) -> Labelled:
    """The sequences in a .ts file; their names are their numbers, from 1.

    A line is `1.5,2,?:4,5,?:label`: dimensions with colons between them, then the label. "?" or "NaN" is a missing number, of
    which there may be some in all dimensions at the end of a sequence. Lines that begin with # or % are comments.

    Raises MissingFileError, or DataError, with the line, for a file that is malformed or contradicts its header, and for what
    is not read: timestamps, and numbers to predict (@targetLabel).
    """
    path = Path(path)
    lines = [(k, line.strip()) for k, line in enumerate(text_of(path, ".ts").split("\n"), 1)]
    lines = [(k, line) for k, line in lines if line and line[0] not in "#%"]
    start = next((i for i, (_, line) in enumerate(lines) if line.lower() == "@data"), None)
    if start is None:
        raise DataError(f"{path}: there is no line @data; wanted a .ts file of the time series archive")
    header = _header(path, lines[:start])
    values, labels = [], []
    for k, line in lines[start + 1 :]:
        where = f"{path}, line {k}"
        dimensions = line.split(":")
        if header.labels:
            labels.append(_label(dimensions.pop().strip(), header.labels, where))
        values.append(_sequence(dimensions, header, where))
    if not values:
        raise DataError(f"{path}: no sequence comes after @data")
    ids = tuple(str(k + 1) for k in range(len(values)))
    return Labelled(path, ids, tuple(values), tuple(labels) if header.labels else None)


def _header(path: Path, lines: list[tuple[int, str]]) -> Header:
    """What the lines before @data say, checked."""
    header, seen = Header(), set()
    for k, line in lines:
        where, (tag, *words) = f"{path}, line {k}", line.split()
        name = tag[1:].lower()
        if tag[0] != "@" or name not in TAGS:
            raise DataError(f"{where}: {shortened(tag)!r} is unknown; known before @data: {', '.join('@' + t for t in TAGS)}")
        if name in seen and name != "problemname":  # of which some files of the archive have two
            raise DataError(f"{where}: {tag} stands there twice")
        seen.add(name)
        if name in FLAGS:
            header.flags[name] = _flag(words, f"{where}: {tag}")
        elif name in COUNTS:
            count = _count(words, f"{where}: {tag}")
            if header.counts.setdefault(COUNTS[name], count) != count:
                raise DataError(f"{where}: {tag} says {count}, and a line before something other")
        elif name == "classlabel":
            header.labels = _classes(words, f"{where}: {tag}")
    if header.flags.get("timestamps"):
        raise DataError(f"{path}: @timestamps true: sequences with times are not read; wanted numbers alone")
    if header.flags.get("targetlabel"):
        raise DataError(f"{path}: @targetlabel true: it holds numbers to predict; wanted classes, @classLabel")
    if header.labels is None:
        raise DataError(f"{path}: the header has no @classLabel; wanted `@classLabel true` and the labels, or false")
    if header.flags.get("univariate") and header.counts.setdefault("dimensions", 1) != 1:
        raise DataError(f"{path}: @univariate true, but {header.counts['dimensions']} dimensions")
    return header


def _flag(words: list[str], what: str) -> bool:
    """What a tag says that is true or false."""
    if [word.lower() for word in words] not in (["true"], ["false"]):
        raise DataError(f"{what}: got {shortened(' '.join(words)) or 'nothing'}, wanted true or false")
    return words[0].lower() == "true"


def _count(words: list[str], what: str) -> int:
    if len(words) != 1 or not re.fullmatch("0*[1-9][0-9]{0,9}", words[0]):
        raise DataError(f"{what}: got {shortened(' '.join(words)) or 'nothing'}, wanted a whole number of at least 1")
    return int(words[0])


def _classes(words: list[str], what: str) -> tuple[str, ...]:
    """The labels; none where the sequences have none."""
    if len(words) > 1 and words[0].lower() == "true":
        return tuple(words[1:])
    if _flag(words, what):
        raise DataError(f"{what}: got true, wanted the labels after it")
    return ()


def _label(text: str, known: tuple[str, ...], where: str) -> str:
    if text not in known:
        listed = ", ".join(known)
        raise DataError(f"{where}: {shortened(repr(text))} is none of the labels in @classLabel: {shortened(listed)}")
    return text


def _sequence(dimensions: list[str], header: Header, where: str) -> Array:
    """(T, F) of a line without its label; the first line says what the header doesn't."""
    if not dimensions:
        raise DataError(f"{where}: a label alone; wanted numbers before it")
    got, wanted = len(dimensions), header.counts.setdefault("dimensions", len(dimensions))
    if got != wanted:
        raise DataError(f"{where}: dimensions: got {got}, wanted {wanted}, as in the header or the lines before")
    columns = [_numbers(text, f"{where}, dimension {d}") for d, text in enumerate(dimensions, 1)]
    lengths = list(map(len, columns))
    for d, length in enumerate(lengths, 1):
        if length != lengths[0]:
            raise DataError(f"{where}: dimension {d} has {length} numbers, and dimension 1 has {lengths[0]}")
    if header.flags.get("equallength") and lengths[0] != header.counts.setdefault("serieslength", lengths[0]):
        wanted = header.counts["serieslength"]
        raise DataError(f"{where}: got {lengths[0]} steps, wanted {wanted}, for the header says @equalLength true")
    return settled(
        np.column_stack(columns), lambda step, d: f"{where}: no number at step {step + 1} of dimension {d + 1}", where
    )


def _numbers(text: str, where: str) -> Array:
    """(T,) float64, NaN where a number is missing."""
    cells = text.split(",")
    values = np.array([_number(cell.strip()) for cell in cells])
    for i in np.flatnonzero(np.isinf(values))[:1]:
        raise DataError(f"{where}: {shortened(repr(cells[i]))}; wanted a number, or ? where one is missing")
    return values


def _number(cell: str) -> float:
    """What a cell says; infinity where that is no number, or one that is too large."""
    if cell.lower() in ("?", "nan"):
        return np.nan
    return float(cell) if PLAIN.fullmatch(cell) else np.inf
