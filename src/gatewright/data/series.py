"""A series: one target column over time, columns that help to forecast it, and dates."""

import json
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.data.dates import Calendar, even, places, read_dates
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

    @property
    def uneven(self) -> bool:
        """Whether it has dates that are not equally far apart, and are taken one after the other."""
        return self.calendar is not None and not even(self.calendar)

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


class Columns(NamedTuple):
    """What the columns of a file are."""

    target: str
    date: str | None = None
    inputs: tuple[str, ...] = ()
    group: str | None = None  # says which series a row is of; None: there is one

    def check(self) -> None:
        """Raises OptionError for a column that is named twice."""
        named = [name for name in (self.target, *self.inputs, self.date, self.group) if name]
        for name in named:
            if named.count(name) > 1:
                raise OptionError(f"column {name!r} is named twice among target, inputs, date and series")


def read_series(path: Any, target: str, date: str | None = None, inputs: tuple[str, ...] = ()) -> Series:
    """The series in columns of a CSV file.

    Where dates have a regular step, rows that the file left out are put in as missing, so that time goes on. Raises
    MissingFileError, DataError for a file that does not hold such a series, OptionError for columns that are named twice.
    """
    columns = Columns(target, date, inputs)
    columns.check()
    table = read_table(path)
    return _series(table, columns, np.arange(len(table.rows)), _values(table, columns))


def read_many(path: Any, columns: Columns) -> dict[str, Series]:
    """{name: series} from a CSV file in which a column says which series a row is of; else as `read_series`."""
    columns.check()
    assert columns.group is not None
    table = read_table(path)
    names, values = table.texts(columns.group), _values(table, columns)
    rows: dict[str, list[int]] = {}
    for row, (name, line) in enumerate(zip(names, table.lines, strict=True)):
        if not name:
            raise DataError(f"{table.path}, line {line}: nothing in column {columns.group!r}")
        rows.setdefault(name, []).append(row)
    return {name: _series(table, columns, np.array(own), values, f" of series {name!r}") for name, own in rows.items()}


def _values(table: Table, columns: Columns) -> Array:
    """(N, 1 + K): the target and the inputs in every row of a file."""
    return np.column_stack([table.numbers(name) for name in (columns.target, *columns.inputs)])


def _series(table: Table, columns: Columns, rows: Array, values: Array, of: str = "") -> Series:
    """The series in some rows (T,) of a file; `of` names it in messages."""
    values, calendar, inserted = values[rows], None, 0
    if columns.date:
        texts = table.texts(columns.date)
        calendar = read_dates([texts[row] for row in rows], lambda i: f"{table.path}, line {table.lines[rows[i]]}")
        at = places(calendar)
        whole = np.full((at[-1] + 1, values.shape[1]), np.nan)
        whole[at] = values
        inserted = len(whole) - len(values)
        if inserted:
            known = dict(zip(at, calendar.dates, strict=True))
            dates = [known.get(k) or calendar.step.after(calendar.dates[0], k) for k in range(len(whole))]
            calendar = Calendar(tuple(dates), calendar.precision, calendar.step)
        values = whole
    for name, column in zip((columns.target, *columns.inputs), values.T, strict=True):
        if np.isnan(column).all():
            raise DataError(f"{table.path}: column {name!r}{of} has no numbers, only missing values")
    return Series(columns.target, values[:, 0], values[:, 1:], columns.inputs, calendar, columns.date, inserted)


def begun(series: Series) -> Series:
    """The series from the first row on that has the target."""
    first = int((~np.isnan(series.target)).argmax())
    calendar = series.calendar and replace(series.calendar, dates=series.calendar.dates[first:])
    return replace(series, target=series.target[first:], inputs=series.inputs[first:], calendar=calendar)


def split_known(series: Series, known: tuple[str, ...], horizon: int, of: str = "") -> tuple[Series, Array]:
    """(the series up to its last known target, (H, 1 + K) the rows that come: NaN but for the columns `known`).

    These stand in the rows after the last target, where a file goes on; `of` names the series in messages. Raises DataError
    where they are too few.
    """
    coming = np.full((horizon, series.values.shape[1]), np.nan)
    if not known:
        return series, coming
    rows = int(np.flatnonzero(~np.isnan(series.target))[-1]) + 1
    places = [1 + series.input_names.index(name) for name in known]
    ahead = series.values[rows : rows + horizon]
    for place, name in zip(places, known, strict=True):
        got = int((~np.isnan(ahead[:, place])).sum())
        if got < horizon:
            last = series.labels()[rows - 1]
            raise DataError(
                f"column {name!r}, known ahead{of}: got {got} values after {last}, the last row with {series.name!r}, wanted "
                f"{horizon}: add rows that have them, and nothing in {series.name!r}"
            )
    coming[:, places] = ahead[:, places]
    calendar = series.calendar and replace(series.calendar, dates=series.calendar.dates[:rows])
    return replace(series, target=series.target[:rows], inputs=series.inputs[:rows], calendar=calendar), coming


def sunspots() -> Series:
    """The yearly sunspot numbers 1700–2008, 309 of them, none missing; see SOURCES.md beside this file."""
    with resources.as_file(resources.files("gatewright.data") / "sunspots.csv") as path:
        return read_series(path, "sunspots", "year")


def sunspot_settings() -> dict[str, Any]:
    """What the demo uses: {"script": the script that chose, "settings": {…}, "folds": how they scored}."""
    text = (resources.files("gatewright.data") / "sunspots.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
