"""A series: one target column over time, columns that help to forecast it, and dates."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.data.dates import Calendar, places, read_dates
from gatewright.data.tables import Table, read_table
from gatewright.errors import DataError, OptionError

SUNSPOT_VARIANCE = 1535.0  # of the series, by which the literature divides squared errors (Weigend, Huberman & Rumelhart 1990)


@dataclass(frozen=True, eq=False)
class Series:
    """One row a time step; NaN where a value is missing."""

    name: str
    target: Array  # (T,) float64
    inputs: Array  # (T, K) float64: the other columns
    input_names: tuple[str, ...] = ()
    calendar: Calendar | None = None  # None: rows are only numbered
    date: str | None = None  # the column that the dates came from
    inserted: int = 0  # rows that the file left out and that were put in, all missing

    @property
    def values(self) -> Array:
        """(T, 1 + K): the target, then the inputs."""
        return np.column_stack([self.target, self.inputs])

    def labels(self) -> list[str]:
        """The date of every row as text, or its number."""
        if self.calendar is None:
            return [str(row) for row in range(1, len(self.target) + 1)]
        return [self.calendar.label(date) for date in self.calendar.dates]

    def labels_after(self, count: int) -> list[str]:
        """The same for the `count` steps after the last row."""
        if self.calendar is None:
            return [str(len(self.target) + k + 1) for k in range(count)]
        return [self.calendar.label(date) for date in self.calendar.after(count)]


def read_series(path: Any, target: str, date: str | None = None, inputs: tuple[str, ...] = ()) -> Series:
    """The series in columns of a CSV file.

    Where dates have a regular step, rows that the file left out are put in as missing, so that time goes on. Raises
    MissingFileError, DataError for a file that does not hold such a series, OptionError for columns that are named twice.
    """
    chosen = [target, *inputs, *([date] if date else [])]
    for name in chosen:
        if chosen.count(name) > 1:
            raise OptionError(f"column {name!r} is named twice among target, inputs and date")
    return _series(read_table(path), target, date, inputs)


def _series(table: Table, target: str, date: str | None, inputs: tuple[str, ...]) -> Series:
    columns = [table.numbers(name) for name in (target, *inputs)]
    values = np.column_stack(columns)
    calendar, inserted = None, 0
    if date:
        calendar = read_dates(table.texts(date), lambda i: f"{table.path}, line {table.lines[i]}")
        at = places(calendar)
        whole = np.full((at[-1] + 1, values.shape[1]), np.nan)
        whole[at] = values
        inserted = len(whole) - len(values)
        if inserted:
            known = dict(zip(at, calendar.dates, strict=True))
            dates = [known.get(k) or calendar.step.after(calendar.dates[0], k) for k in range(len(whole))]
            calendar = Calendar(tuple(dates), calendar.precision, calendar.step)
        values = whole
    for name, column in zip((target, *inputs), values.T, strict=True):
        if np.isnan(column).all():
            raise DataError(f"{table.path}: column {name!r} has no numbers, only missing values")
    return Series(target, values[:, 0], values[:, 1:], inputs, calendar, date, inserted)


def sunspots() -> Series:
    """The yearly sunspot numbers 1700–2008, 309 of them, none missing; see SOURCES.md beside this file."""
    with resources.as_file(resources.files("gatewright.data") / "sunspots.csv") as path:
        return read_series(path, "sunspots", "year")


def sunspot_settings() -> dict[str, Any]:
    """What the demo uses: {"script": the script that chose, "settings": {…}, "folds": how they scored}."""
    text = (resources.files("gatewright.data") / "sunspots.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
