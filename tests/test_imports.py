"""What `import gatewright` loads, and that a bare install works: NumPy and safetensors, nothing else from outside."""

import subprocess
import sys

import pytest

OUTSIDE = ("numpy", "safetensors")
OPTIONAL = ("matplotlib", "rich", "sklearn", "h5py", "onnx", "llvmlite", "pandas", "threadpoolctl", "scipy", "torch", "keras")

# Run before anything else: the optional packages are not there.
HIDE = f"""
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
"""


def python(source: str) -> str:
    """What a new Python prints that runs `source`, with warnings as errors."""
    run = subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def loaded(source: str) -> set[str]:
    """The packages from outside the standard library that `source` loads, beyond those that any Python here starts with."""
    # Cython leaves modules without a spec behind, which nobody imported.
    names = "{name.partition('.')[0] for name, module in sys.modules.items() if getattr(module, '__spec__', None)}"
    before, after = f"import sys\nbefore = {names}", f"print(*({names} - before - sys.stdlib_module_names))"
    return set(python(f"{before}\n{source}\n{after}").split())


def test_only_numpy_and_safetensors_are_loaded() -> None:
    assert loaded("import gatewright") == {"gatewright", *OUTSIDE}


def test_what_is_loaded_is_seen() -> None:
    assert "hypothesis" in loaded("import hypothesis")


@pytest.mark.parametrize("module", ["gatewright", "gatewright.cli"])
def test_a_bare_install_is_enough(module: str) -> None:
    python(f"{HIDE}\nimport {module}")


def test_the_hidden_packages_are_hidden() -> None:
    assert python(f"{HIDE}\ntry:\n    import rich.table\nexcept ImportError as error:\n    print(error)").startswith(
        "No module"
    )


def test_the_command_says_what_it_does_on_a_bare_install() -> None:
    source = "from gatewright.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit as end:\n    sys.exit(end.code)"
    assert "forecast" in python(f"{HIDE}\n{source}")


def test_running_a_model_loads_nothing_that_only_training_needs() -> None:
    source = "import gatewright as gw\ngw.Model(gw.LSTM(1, 2)).predict([[[1.0]]])\nprint(*sys.modules)"
    names = set(python(f"{HIDE}\n{source}").split())
    assert "gatewright.model" in names
    assert not {name for name in names if name.startswith("gatewright.training")} | (names & {"tempfile", "csv"})


def test_the_gate_explorer_needs_nothing_from_outside() -> None:
    source = "import gatewright as gw\nprint(len(gw.Model(gw.LSTM(1, 2)).explore([[1.0]]).html) > 9)"
    assert python(f"{HIDE}\n{source}") == "True\n"


def test_pictures_without_matplotlib_name_the_extra() -> None:
    source = "import gatewright as gw\ntry:\n    gw.viz.gate_maps\nexcept gw.MissingExtraError as error:\n    print(error)"
    assert python(f"{HIDE}\n{source}") == "gw.viz.gate_maps needs matplotlib: pip install 'gatewright[plot]'\n"


def test_an_estimator_without_scikit_learn_names_the_extra() -> None:
    source = "import gatewright as gw\ntry:\n    gw.SequenceClassifier\nexcept gw.MissingExtraError as error:\n    print(error)"
    assert "gatewright[sklearn]" in python(f"{HIDE}\n{source}")


def test_estimators_load_scikit_learn_with_their_first_use() -> None:
    there = "print('sklearn' in sys.modules)"
    assert python(f"import sys, gatewright as gw\n{there}\ngw.SequenceRegressor\n{there}").split() == ["False", "True"]


def test_all_names_at_once_need_no_extra() -> None:
    assert python(f"{HIDE}\nfrom gatewright import *\nprint(LSTM(1, 2))") == "LSTM(1, 2)\n"
