"""Labelled sequences: what a file of them holds, and the long form, a CSV file with a row a step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.data.dates import iso
from gatewright.data.tables import Table
from gatewright.errors import DataError, OptionError, shortened

MOST = 1 << 28  # numbers in a rectangle that holds all sequences of a file: 2 GB


@dataclass(frozen=True, eq=False)
class Named:
    """A sequence whose features have names: an array with columns, as a frame is one."""

    values: Array  # (T, F)
    columns: tuple[str, ...]  # (F,)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True, eq=False)
class Labelled:
    """The sequences in a file, each with a name and, where the file has them, a label."""

    path: Path
    ids: tuple[str, ...]  # (N,)
    values: tuple[Array, ...]  # (N,) of (T_i, F), finite, T_i from 1
    labels: tuple[str, ...] | None  # (N,)
    names: tuple[str, ...] | None = None  # (F,) of the features
    left_out: tuple[str, ...] = ()  # columns of the file that are none, because they hold text, or have no name

    def __post_init__(self) -> None:
        count, longest = len(self.values), max(map(len, self.values))
        if count * longest * self.values[0].shape[1] > MOST:
            shape = f"{count:,} x {longest:,} x {self.values[0].shape[1]:,}"
            raise DataError(
                f"{self.path}: got a rectangle of {shape} numbers, the most is {MOST:,}: split the longest sequence"
            )

    @property
    def sequences(self) -> list[Array | Named]:
        """As the estimators take them: with the names of the features, where there are any."""
        return [row if self.names is None else Named(row, self.names) for row in self.values]

    def rows(self, index: Sequence[int]) -> "Labelled":
        """Those that `index` lists."""
        labels = None if self.labels is None else tuple(self.labels[i] for i in index)
        ids, values = tuple(self.ids[i] for i in index), tuple(self.values[i] for i in index)
        return replace(self, ids=ids, values=values, labels=labels)


class Columns(NamedTuple):
    """What the columns of a table in long form are."""

    id: str  # says which sequence a row belongs to
    label: str | None = None
    time: str | None = None  # by which the rows of a sequence are sorted; None: they are in order
    features: tuple[str, ...] | None = None  # None: every other column that holds numbers

    def check(self) -> None:
        """Raises OptionError for a column that is named twice."""
        named = [name for name in (self.id, self.label, self.time, *(self.features or ())) if name is not None]
        for name in named:
            if named.count(name) > 1:
                raise OptionError(f"column {name!r} is named twice among id, label, time and features")


def settled(values: Array, where: Callable[[int, int], str], name: str) -> Array:
    """A sequence (T, F) without the steps at its end at which every number is missing (NaN).

    where(step, feature) says where a number is missing elsewhere, which raises DataError; name: of the sequence.
    """
    there = ~np.isnan(values)
    steps = np.flatnonzero(there.any(axis=1))
    if not len(steps):
        raise DataError(f"{name}: no step has a number; wanted at least one")
    for step, feature in np.argwhere(~there[: steps[-1] + 1])[:1]:
        raise DataError(f"{where(step, feature)}; numbers may only be missing in all columns at the end of a sequence")
    return values[: steps[-1] + 1]


def read_long(table: Table, columns: Columns) -> Labelled:
    """The sequences in a table with a row a step: in order of first appearance, their rows anywhere.

    Steps at a sequence's end without any number are none. Raises DataError, with the line, for a number that is missing
    elsewhere, for a sequence with two labels, or with two rows of one time; OptionError for columns that are named twice.
    """
    columns.check()
    number, ids = _numbered(table, columns.id)
    names, left_out = (columns.features, ()) if columns.features is not None else _features(table, columns)
    values = np.column_stack([table.numbers(name) for name in names])
    labels = None if columns.label is None else _labels(table, columns, number, ids)
    time = np.arange(len(number)) if columns.time is None else _times(table, columns.time)
    order = np.lexsort((time, number))
    parts = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    rows = []
    for part, name in zip(parts, ids, strict=True):
        for i in np.flatnonzero(time[part][1:] == time[part][:-1])[:1]:
            lines = " and ".join(map(str, sorted(table.lines[row] for row in part[i : i + 2])))
            raise DataError(f"{table.path}, lines {lines}: sequence {shortened(repr(name))} has one {columns.time} twice")

        def where(step: int, feature: int, part: Array = part) -> str:
            return f"{table.path}, line {table.lines[part[step]]}: nothing in column {names[feature]!r}"

        rows.append(settled(values[part], where, f"{table.path}: sequence {shortened(repr(name))}"))
    return Labelled(table.path, ids, tuple(rows), labels, names, left_out)


def _numbered(table: Table, column: str) -> tuple[Array, tuple[str, ...]]:
    """(the number of the sequence that each row belongs to, (N,) names of the sequences)."""
    known: dict[str, int] = {}
    number = np.array([known.setdefault(text, len(known)) for text in _filled(table, column)])
    return number, tuple(known)


def _filled(table: Table, column: str) -> list[str]:
    """The cells of a column. Raises DataError, with the line, where one is empty."""
    texts = table.texts(column)
    for text, line in zip(texts, table.lines, strict=True):
        if not text:
            raise DataError(f"{table.path}, line {line}: nothing in column {column!r}")
    return texts


def _features(table: Table, columns: Columns) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the columns that hold numbers and are nothing else, those that are left out: texts, and an index without a name)."""
    others = [name for name in table.names if name not in (columns.id, columns.label, columns.time)]
    text = tuple(name for name in others if not name or table.is_text(name))
    names = tuple(name for name in others if name not in text)
    if not names:
        raise DataError(f"{table.path}: no column is left for the features; its columns: {', '.join(table.names)}")
    return names, text


def _labels(table: Table, columns: Columns, number: Array, ids: tuple[str, ...]) -> tuple[str, ...]:
    """(N,) the sequences' labels."""
    assert columns.label is not None
    found: dict[int, str] = {}
    for k, label, line in zip(number.tolist(), _filled(table, columns.label), table.lines, strict=True):
        if found.setdefault(k, label) != label:
            which, said = shortened(repr(ids[k])), shortened(f"{label!r} here and {found[k]!r} before")
            raise DataError(f"{table.path}, line {line}: sequence {which} has two labels: {said}")
    return tuple(found[k] for k in range(len(ids)))


def _times(table: Table, column: str) -> Array:
    """What orders the rows: the numbers in a column, or the dates. Raises DataError, with the line, for anything else."""
    texts = _filled(table, column)
    if _date(texts[0]) is None:
        values = table.numbers(column)
        for i in np.flatnonzero(np.isnan(values))[:1]:
            raise DataError(f"{table.path}, line {table.lines[i]}: nothing in column {column!r}")
        return values
    dates = [_date(text) for text in texts]
    for date, text, line in zip(dates, texts, table.lines, strict=True):
        if date is None:
            raise DataError(f"{table.path}, line {line}: {text!r} in column {column!r} is not a date; wanted YYYY-MM-DD")
    return np.array(dates, "datetime64[us]")


def _date(text: str) -> datetime | None:
    """What a cell says where it is a date with hyphens, else None."""
    try:
        return iso(text) if "-" in text[1:] else None
    except (ValueError, OverflowError):
        return None
