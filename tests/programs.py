"""Programs beside the package, which find each other by their plain names, as modules for the tests."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
TASKS = BENCHMARKS / "tasks"


@contextmanager
def loaded(folder: Path, *names: str) -> Iterator[dict[str, ModuleType]]:
    """{name: module} of the programs in a folder; nobody else finds them afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(folder))
        for name in {path.stem for path in folder.glob("*.py")} - before:
            sys.modules.pop(name, None)
