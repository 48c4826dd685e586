"""What the tasks print and keep: a table each, in results/NAME.json, and all of them in README.md.

`python benchmarks/tasks/tables.py` writes README.md anew from what is in results/.
"""

import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
RESULTS, PAGE = HERE / "results", HERE / "README.md"
PACKAGES = ("gatewright", "numpy", "llvmlite", "torch", "scikit-learn", "statsmodels")
HEAD = """# Tasks on real data, and the experiments of 1997

Written by `make tasks`, which measures everything anew on one core, in a quarter of an hour; a single one is
`python benchmarks/tasks/NAME.py`. Settings come from the `select_*.py` beside the scripts, which never read a test part. Where
others do better, their row says so.
"""


class Table(NamedTuple):
    """A table of results."""

    name: str  # of the script that made it
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]  # text, or numbers already rounded
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        cells = [[str(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join([self.title, "", lines[0], "─" * (sum(widths) + 2 * len(widths) - 2), *lines[1:], "", *self.notes])

    def markdown(self) -> str:
        """The table as a section of the page."""
        rows = [self.columns, ["---"] * len(self.columns), *self.rows]
        lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
        return "\n".join([f"## {self.title}", "", *lines, "", *(f"{note}\n" for note in self.notes)])


def publish(table: Table, keep: bool, details: Any = None) -> None:
    """Prints a table; `keep`: writes it to results/ too, with the versions that made it and the details that it sums up."""
    print(table, flush=True)
    if keep:
        RESULTS.mkdir(exist_ok=True)
        described = {**table._asdict(), "details": details, "made with": versions()}
        text = json.dumps(described, ensure_ascii=False, indent=1)
        (RESULTS / f"{table.name}.json").write_text(text + "\n", encoding="utf-8")


def versions() -> str:
    """Python, the packages that are installed, and the processors."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, {', '.join(found)}; {platform.machine()}, {os.cpu_count()} processors"


def one_core() -> None:
    """Begins this process anew on one processor, with one thread for its libraries, which read their number once."""
    libraries = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    if any(os.environ.get(name) != "1" for name in libraries):
        os.environ.update(dict.fromkeys(libraries, "1"))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def main() -> None:
    """Writes the page."""
    sections, made = [], set()
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        made.add(found.pop("made with"))
        del found["details"]
        sections.append(Table(**found).markdown())
    told = "".join(f"Measured with {each}.\n" for each in sorted(made))
    PAGE.write_text("\n".join([HEAD, *sections, told]), encoding="utf-8")


if __name__ == "__main__":
    main()
