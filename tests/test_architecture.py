"""Imports point one way, heavy packages stay where they are used, nothing from a file is run, and the library stays small.

The rules themselves are in architecture.py; ARCHITECTURE.md says why they are so.
"""

import ast
import graphlib
from pathlib import Path

import pytest
from architecture import (
    BODY_LIMIT,
    CORE,
    CORE_LIMIT,
    EVERYONE,
    FILE_LIMIT,
    OUTSIDE,
    PACKAGE,
    call_complaints,
    code_lines,
    core_lines,
    files,
    graph,
    import_complaints,
    imports,
    module_of,
    size_complaints,
    unit_of,
)

SOURCES = {module_of(path): path.read_text(encoding="utf-8") for path in files()}
EVERY_FILE = pytest.mark.parametrize("module", SOURCES)


@EVERY_FILE
def test_imports_point_one_way(module: str) -> None:
    assert import_complaints(module, SOURCES[module]) == []


@EVERY_FILE
def test_nothing_from_a_file_is_run(module: str) -> None:
    assert call_complaints(module, SOURCES[module]) == []


@EVERY_FILE
def test_files_and_bodies_are_short(module: str) -> None:
    assert size_complaints(module, SOURCES[module]) == []


def test_no_import_goes_round_in_a_circle() -> None:
    list(graphlib.TopologicalSorter(graph(SOURCES)).static_order())


def test_the_kernels_are_looked_up_in_one_place() -> None:
    found = [
        f"{module}:{each.line}"
        for module, source in SOURCES.items()
        if unit_of(module) != "kernels"
        for each in imports(ast.parse(source))
        if f"{each.name}.".startswith("gatewright.kernels.")
    ]
    assert len(found) <= 1, found


def test_the_library_stays_small() -> None:
    lines = core_lines()
    assert lines["arrays"], "nothing was counted"
    assert sum(lines.values()) < CORE_LIMIT, lines


def test_the_files_are_the_librarys() -> None:
    assert {"__init__", "arrays", "layers.base"} <= set(SOURCES)
    assert module_of(PACKAGE / "layers" / "__init__.py") == "layers"
    assert set(CORE) <= set(EVERYONE)
    assert {unit for allowed, _ in OUTSIDE.values() for unit in allowed} <= {*EVERYONE, "__init__", "__main__"}


# The test of the test: each line is planted in a module where it must not stand, or may.
@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("cells.lstm", "from gatewright.layers import Dense", "imports layers, which stands higher"),
        ("cells.lstm", "from gatewright import layers", "imports layers, which stands higher"),
        ("cells.lstm", "import gatewright.layers.dense as dense", "imports layers, which stands higher"),
        ("steps", "def f():\n    from gatewright.model import Model", "imports model, which stands higher"),
        ("arrays", "if True:\n    from gatewright.steps import Steps", "imports steps, which stands higher"),
        ("steps", "import importlib\nimportlib.import_module('gatewright.model')", "imports model, which stands higher"),
        ("steps", "from importlib import import_module as _\nf.import_module(name)", "computed at run time"),
        ("layers.dense", "from .base import Layer", "write the full name"),
        ("layers.dense", "from . import base", "write the full name"),
        ("model", "from gatewright import Dense", "name the module that defines it"),
        ("model", "import gatewright", "name the module that defines it"),
        ("model", "from gatewright.novelty import x", "give a new one its place"),
        ("novelty", "x = 1", "novelty has no place: add it to LADDER"),
        ("layers.recurrent", "from gatewright.kernels import scan", "imports kernels unguarded"),
        ("layers.recurrent", "try:\n    pass\nexcept ImportError:\n    import gatewright.kernels", "imports kernels unguarded"),
        ("model", "def f():\n    from gatewright.kernels import scan", "only layers looks them up"),
        ("cells.lstm", "def f():\n    from gatewright.kernels import scan", "only layers looks them up"),
        ("model", "from gatewright.viz import explore", "imports viz at the top"),
        ("streaming", "def f():\n    from gatewright.viz import explore", "imports viz, which stands higher"),
        ("cells.lstm", "import llvmlite.ir", "imports llvmlite, which only kernels may"),
        ("model", "def f():\n    import h5py", "imports h5py, which only interop may"),
        ("interop.keras", "import h5py", "imports h5py at the top"),
        ("interop.onnx", "from onnx import helper", "imports onnx at the top"),
        ("forecasting", "def f():\n    import matplotlib.pyplot as plt", "imports matplotlib, which only viz may"),
        ("forecasting", "def f():\n    from sklearn.base import clone", "imports sklearn, which only estimators may"),
        ("cli", "import rich", "imports rich at the top"),
        ("arrays", "def f():\n    import scipy", "imports scipy, which is not in OUTSIDE"),
        ("interop.pytorch", "def f():\n    import pickle", "imports pickle: nothing is unpickled"),
        ("training.checkpoint", "from marshal import loads", "imports marshal: nothing is unpickled"),
    ],
)
def test_a_planted_import_is_caught(module: str, source: str, complaint: str) -> None:
    (said,) = import_complaints(module, source)
    assert complaint in said
    assert said.startswith(module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("arrays", "from gatewright.errors import OptionError"),
        ("layers.recurrent", "from gatewright.cells import lstm\nfrom gatewright.layers.base import Layer"),
        ("layers.recurrent", "try:\n    from gatewright import kernels\nexcept ImportError:\n    kernels = None"),
        ("layers.recurrent", "def f():\n    import gatewright.kernels"),
        ("kernels.lstm", "import llvmlite.ir\nfrom gatewright.kernels import build\nfrom gatewright.cells import lstm"),
        ("model", "def f():\n    from gatewright.viz import explore"),
        ("viz.gates", "import matplotlib\nimport numpy as np\nimport os.path"),
        ("training.trainer", "def f():\n    import rich.progress"),
        ("__init__", "from gatewright.model import Model\nfrom gatewright.training import losses"),
        ("__main__", "from gatewright.cli import main"),
    ],
)
def test_a_right_import_passes(module: str, source: str) -> None:
    assert import_complaints(module, source) == []


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def f(x):\n    return eval(x)", "m:2 calls eval"),
        ("exec('1')", "m:1 calls exec"),
        ("g = lambda s: compile(s, '', 'exec')", "m:1 calls compile"),
        ("__import__('os')", "m:1 calls __import__"),
        ("import builtins\nbuiltins.eval('1')", "m:2 calls eval"),
        ("np.load(f, allow_pickle=True)", "m:1 allows pickles"),
        ("np.load(f, allow_pickle=flag)", "m:1 allows pickles"),
    ],
)
def test_a_planted_call_is_caught(source: str, complaint: str) -> None:
    assert call_complaints("m", source) == [complaint]


def test_a_right_call_passes() -> None:
    assert call_complaints("m", "re.compile('x')\nmodel.eval()\nnp.load(f, allow_pickle=False)") == []


def test_a_planted_circle_is_caught() -> None:
    circle = graph({"training.trainer": "from gatewright.streaming import Stream", "streaming": "import gatewright.training"})
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter(circle).static_order())


def test_the_exception_makes_no_circle() -> None:
    assert graph({"model": "def f():\n    import gatewright.viz", "viz": "import gatewright.model"}) == {"viz": {"model"}}


def _function(lines: int, docstring: int = 0) -> str:
    note = '    """' + "doc\n" * docstring + '"""\n' if docstring else ""
    return "def f():\n" + note + "    x = 1\n" * lines


def test_a_planted_length_is_caught() -> None:
    assert size_complaints("m", _function(BODY_LIMIT)) == []
    assert size_complaints("m", _function(BODY_LIMIT, docstring=20)) == []
    (said,) = size_complaints("m", _function(BODY_LIMIT + 1))
    assert f"m:1 f: a body of {BODY_LIMIT + 1} lines" in said
    (said,) = size_complaints("m", "class A:\n    def g(self):\n" + "        x = 1\n" * (BODY_LIMIT + 1))
    assert "m:2 g" in said
    assert size_complaints("m", "x = 1\n" * FILE_LIMIT) == []
    (said,) = size_complaints("m", "x = 1\n" * (FILE_LIMIT + 1))
    assert f"{FILE_LIMIT + 1} lines" in said


def test_only_code_is_counted() -> None:
    source = '"""Two\nlines."""\n\nx = (\n    1,  # why\n)\n# a comment\ndef f():\n    """Doc."""\n    return 1\n'
    assert code_lines(source) == 5
    assert code_lines('x = """a\n\nb"""') == 3


def test_a_new_file_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "lstm.py").write_text("x = 1\n" * 7)
    (tmp_path / "viz.py").write_text("x = 1\n" * 5)
    monkeypatch.setattr("architecture.PACKAGE", tmp_path)
    assert sum(core_lines().values()) == core_lines()["cells"] == 7
