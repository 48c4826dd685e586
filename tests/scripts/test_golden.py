"""scripts/golden.py finds what differs between two golden files, and lets pass what may."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import save_file

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "golden.py"
GOLDEN = SCRIPT.parents[1] / "tests" / "golden"


@pytest.fixture
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("golden", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


X = np.array([1.0, -2.0, 1e-9])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (X, X + 1e-13, None),
        (X, X + 1e-11, "differs by"),
        (X.astype("f4"), X.astype("f4") + np.float32(1e-5), None),
        (X.astype("f4"), X.astype("f4") + np.float32(1e-4), "differs by"),
        (X, X.astype("f4"), "became float32"),
        (X, X[:2], "(2,)"),
        (np.array([1, 2]), np.array([1, 3]), "the values differ"),
        (np.array([1, 2]), np.array([1, 2]), None),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), None),
        (np.array([np.nan, 1.0]), np.array([0.0, 1.0]), "NaN"),
        (np.zeros(3), np.full(3, 1e-300), "differs by"),
        (np.zeros((0, 2)), np.zeros((0, 2)), None),
        ("a", "a", None),
        ("a", "b", "became"),
        (True, 1, "became"),
    ],
)
def test_what_counts_as_a_difference(script: ModuleType, old: object, new: object, said: str | None) -> None:
    found = script.difference(old, new)
    assert found is None if said is None else said in found


def save(path: Path, kind: str, values: np.ndarray, framework: str) -> Path:
    """A small golden file of one kind."""
    if kind == "safetensors":
        save_file({"case/y": values}, path, metadata={"framework": framework})
    elif kind == "npz":
        np.savez(path, framework=np.array(framework), y=values)
    else:
        path.write_text(json.dumps({"framework": framework, "cases": [{"y": values.tolist(), "name": "one"}]}))
    return path


@pytest.mark.parametrize("kind", ["safetensors", "npz", "json"])
def test_two_files(script: ModuleType, tmp_path: Path, kind: str) -> None:
    old = save(tmp_path / f"old.{kind}", kind, X, "torch 1")
    assert script.compare(old, save(tmp_path / f"same.{kind}", kind, X, "torch 1")) == ([], False)
    lines, bad = script.compare(old, save(tmp_path / f"newer.{kind}", kind, X, "torch 2"))
    assert not bad
    assert len(lines) == 1
    assert "framework" in lines[0]
    lines, bad = script.compare(old, save(tmp_path / f"other.{kind}", kind, X + 1e-3, "torch 1"))
    assert bad
    assert "y: differs by 1.00e-03" in lines[0]


def test_what_only_one_file_has(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"a": 1.5, "b": 2}')
    (tmp_path / "new.json").write_text('{"a": 1.5, "c": [[1], [2, 3]]}')
    lines, bad = script.compare(tmp_path / "old.json", tmp_path / "new.json")
    assert bad
    assert lines == ["  /b: only in the committed file", "  /c/0: only in the new file", "  /c/1: only in the new file"]


def test_the_recording_scripts_are_run_and_compared(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "GOLDEN", tmp_path)
    (tmp_path / "record_a.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('a.json').write_text('[1.0, 2.0]')",
    )
    assert script.main([]) == 1  # not committed
    (tmp_path / "a.json").write_text("[1.0, 2.0]")
    assert script.main([]) == 0
    (tmp_path / "b.json").write_text("[1]")
    assert script.main([]) == 1
    assert "b.json: no script records it" in capsys.readouterr().out
    assert script.main(["record_a"]) == 0
    (tmp_path / "a.json").write_text("[1.0, 2.5]")
    assert script.main(["record_a"]) == 1
    (tmp_path / "record_b.py").write_text("raise SystemExit(3)")
    assert script.main(["record_b"]) == 1
    assert (tmp_path / "a.json").read_text() == "[1.0, 2.5]"


def test_every_golden_file_can_be_read_and_names_its_framework(script: ModuleType) -> None:
    files = [p for p in GOLDEN.iterdir() if p.suffix in (".safetensors", ".npz", ".json")]
    assert files
    for path in files:
        found = script.leaves(path)
        assert any(name.rpartition("/")[2] in script.VERSIONS for name in found), path.name
        assert any(isinstance(leaf, np.ndarray) and leaf.size for leaf in found.values()), path.name
