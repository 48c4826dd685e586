"""The script that chose the classifier's defaults: it reads training parts alone, and what it chose are the defaults."""

import importlib.util
import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import gatewright as gw

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "tasks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("select_classifier", FOLDER / "select_classifier.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("archive", None)


def test_the_defaults_are_what_it_chose(script):
    told = json.loads(script.RESULT.read_text(encoding="utf-8"))
    defaults = inspect.signature(gw.SequenceClassifier).parameters
    chosen = told["best"]["settings"]
    assert {name: defaults[name].default for name in chosen} == chosen
    same = inspect.signature(gw.SequenceRegressor).parameters
    assert {name: same[name].default for name in chosen} == chosen
    first, changed = told["ten best of the grid"][0], told["one change"]
    assert told["best"] == script.best_of(first, changed)
    assert all(row["settings"] in script.GRID for row in told["ten best of the grid"])
    wanted = [first["settings"] | change for change in script.CHANGES]
    assert sorted(map(str, wanted)) == sorted(str(row["settings"]) for row in changed)
    assert told["seeds"] == list(script.SEEDS)
    assert told["folds"] == script.FOLDS


def test_a_change_has_to_gain_enough(script):
    first, little, much = ({"accuracy": accuracy} for accuracy in (0.8, 0.804, 0.806))
    assert script.best_of(first, [little]) is first
    assert script.best_of(first, [much, little]) is much


def test_it_reads_the_training_parts_only(script, monkeypatch):
    rng, asked = np.random.default_rng(0), []

    def read(name, part):
        asked.append((name, part))
        return [np.full((3, 1), k % 2) + 0.1 * rng.normal(size=(3, 1)) for k in range(12)], np.array(["a", "b"] * 6)

    monkeypatch.setattr(script.archive, "read", read)
    row = script.row({"hidden_size": 4, "epochs": 20, "learning_rate": 0.05})
    assert asked == [(name, "TRAIN") for name in script.NAMES]
    assert row["accuracy"] == 1
    assert set(row["by data set"]) == set(script.NAMES)


def test_the_archive_is_read_as_it_is_written(script, monkeypatch, tmp_path):
    folder = tmp_path / "aeon" / "datasets" / "data" / "Two"
    folder.mkdir(parents=True)
    text = "# a comment\n@dimensions 2\n@classLabel true 1 2\n@data\n1,2,3:4,5,6:1\n7,8:9,-1.5:2\n\n"
    (folder / "Two_TRAIN.ts").write_text(text, encoding="utf-8")
    (tmp_path / "aeon" / "__init__.py").touch()
    monkeypatch.setattr(script.archive, "find_spec", lambda name: importlib.util.spec_from_file_location(
        name, tmp_path / name / "__init__.py", submodule_search_locations=[str(tmp_path / name)]))  # fmt: skip
    rows, labels = script.archive.read("Two", "TRAIN")
    assert [row.tolist() for row in rows] == [[[1, 4], [2, 5], [3, 6]], [[7, 9], [8, -1.5]]]
    assert labels.tolist() == ["1", "2"]
    monkeypatch.setattr(script.archive, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="aeon"):
        script.archive.read("Two", "TRAIN")
