"""The sequences of the time series archive that come inside the package aeon, read without importing it."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from gatewright.data.ts import read_ts


def read(name: str, part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """The sequences, each (T_i, features), and their labels (n,), text as in the file; part: "TRAIN" or "TEST".

    Raises SystemExit where aeon is not installed: `pip install --no-deps aeon` is enough, for only its files are read.
    """
    package = find_spec("aeon")
    if package is None:
        raise SystemExit("the data come with the package aeon: pip install --no-deps aeon")
    found = read_ts(Path(package.submodule_search_locations[0]) / "datasets" / "data" / name / f"{name}_{part}.ts")
    return list(found.values), np.array(found.labels)
