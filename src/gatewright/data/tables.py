"""CSV files as people have them: commas, semicolons or tabs, decimal commas, a BOM, UTF-8, UTF-16 or Latin-1."""

import csv
import functools
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError, MissingFileError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?", "."})
DELIMITERS = (",", "|", "\t", ";")  # where two of them fit, the later one is meant
SAMPLE = 30  # lines by which the delimiter is told

PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# By decimal mark. The other mark may stand before every three digits: 1.234,5 or 1,234.5.
_MARKED = {
    mark: re.compile(rf"[+-]?([1-9]\d{{0,2}}(\{other}\d{{3}})+(\{mark}\d*)?|(\d+\{mark}?\d*|\{mark}\d+)([eE][+-]?\d+)?)")
    for mark, other in ((",", "."), (".", ","))
}


@dataclass(frozen=True)
class Table:
    """The cells of a CSV file, all of them text."""

    path: Path
    names: tuple[str, ...]  # of the columns
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]  # where in the file each row ends, from 1
    delimiter: str

    def texts(self, name: str) -> list[str]:
        """The cells of a column. Raises DataError, listing the columns, where there is none of that name, or two."""
        count = self.names.count(name)
        if count != 1:
            found = "no column" if count == 0 else f"{count} columns"
            raise DataError(f"{self.path} has {found} {name!r}; its columns: {', '.join(self.names)}")
        at = self.names.index(name)
        return [row[at] for row in self.rows]

    def numbers(self, name: str) -> Array:
        """A column as float64 `(T,)`, NaN where a cell is empty or says NA. Raises DataError, with the line, for text."""
        texts, values = self.texts(name), np.full(len(self.rows), np.nan)
        for i, text in enumerate(map(_plain, texts)):
            if text.lower() not in MISSING:
                values[i] = self._number(text, f"{self.path}, line {self.lines[i]}: {text!r} in column {name!r}")
        return values

    def is_text(self, name: str) -> bool:
        """Whether a column says something, and nowhere a number: one that is a number makes all others mistakes."""
        texts = [text for text in map(_plain, self.texts(name)) if text.lower() not in MISSING]
        return bool(texts) and not any(number.fullmatch(text) for text in texts for number in _MARKED.values())

    def _number(self, text: str, where: str) -> float:
        """What a cell says. Raises DataError where it is not a number, or could be two."""
        mark, example = self._decimal
        if not mark and re.search("[.,]", text) and _MARKED["."].fullmatch(text):
            whole, decimal = re.sub("[.,]", "", text), text.replace(",", ".")
            raise DataError(f"{where} may be {whole} or {decimal}; write thousands without a mark, or decimals as {decimal}0")
        if not (PLAIN if self.delimiter == "," else _MARKED[mark or "."]).fullmatch(text):
            wanted = f"a number with a decimal comma, as {example}" if mark == "," else "a number"
            raise DataError(f"{where}; wanted {wanted}, or nothing")
        value = float(text.replace(".", "").replace(",", ".") if mark == "," else text.replace(",", ""))
        if not np.isfinite(value):
            raise DataError(f"{where} is too large a number")
        return value

    @functools.cached_property
    def _decimal(self) -> tuple[str, str]:
        """(the decimal mark of the whole file, a cell that shows it); no mark where every cell with one could be thousands.

        A comma beside commas that separate columns is not a decimal comma. Programs that put tabs or bars between columns write
        decimal points; semicolons stand there because of decimal commas, so that a point beside them may mean thousands.
        """
        if self.delimiter == "," or (self.delimiter != ";" and not any("," in text for row in self.rows for text in row)):
            return ".", ""
        shown: dict[str, str] = {}
        for row, line in zip(self.rows, self.lines, strict=True):
            for text in filter(re.compile("[.,]").search, map(_plain, row)):
                marks = [mark for mark, number in _MARKED.items() if number.fullmatch(text)]
                if len(marks) == 1:
                    shown.setdefault(marks[0], f"{text!r} in line {line}")
        return next(((mark, shown[mark]) for mark in ",." if mark in shown), ("", ""))


def _plain(text: str) -> str:
    return text.strip().replace("\N{MINUS SIGN}", "-")


def read_table(path: Any) -> Table:
    """The table in a CSV file with a header line.

    Raises MissingFileError, or DataError for a file that is empty, is not text, has no rows, or has rows of unequal length.
    """
    path = Path(path)
    text = text_of(path, "CSV")
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        found = [(tuple(cell.strip() for cell in row), reader.line_num) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: can't be read as CSV ({error})") from None
    while found and not any(found[-1][0]):  # blank lines at the end say nothing
        found.pop()
    if not found:
        raise DataError(f"{path} is empty; wanted a header line and one row a time step")
    (names, _), *found = found
    if not found:
        raise DataError(f"{path} has a header line but no rows: {', '.join(names)}")
    # In a file with one column a blank line is a missing value, so that time goes on.
    rows = [(row or ("",) if len(names) == 1 else row, line) for row, line in found]
    for row, line in rows:
        if len(row) != len(names):
            raise DataError(f"{path}, line {line}: cells: got {len(row)}, wanted {len(names)}, as in the header")
    return Table(path, names, tuple(row for row, _ in rows), tuple(line for _, line in rows), delimiter)


def text_of(path: Path, kind: str) -> str:
    """The text of a file: UTF-16 if its first two bytes say so, else UTF-8 with or without a BOM, else Latin-1.

    kind: what is wanted, for the messages. Raises MissingFileError, or DataError for what is not text.
    """
    if path.is_dir():
        raise MissingFileError(f"{path} is a folder; wanted a {kind} file")
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    content = path.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise DataError(f"{path} is not a text file; wanted {kind}")
    return text


def _delimiter(text: str) -> str:
    """The delimiter that stands in the header line and gives most rows as many cells as the header."""
    lines = text.splitlines()[:SAMPLE]

    def fit(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        equal = sum(width == widths[0] for width in widths) / len(widths) if widths else 0.0
        return (equal, widths[0]) if widths and widths[0] > 1 else (0.0, 0)

    best, found = max(((fit(delimiter), at) for at, delimiter in enumerate(DELIMITERS)))
    return DELIMITERS[found] if best[1] else ";"  # one column: any delimiter that is not a decimal comma
