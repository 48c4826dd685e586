"""The script that chose the forecaster's defaults: it reads first parts alone, and what it chose are the defaults."""

import importlib.util
import inspect
import json

import numpy as np
import pytest
from programs import TASKS, loaded

import gatewright as gw


@pytest.fixture
def script():
    """The module that chooses."""
    with loaded(TASKS, "packaged", "select_forecaster") as modules:
        yield modules["select_forecaster"]


@pytest.fixture
def comparison():
    """The module that compares."""
    with loaded(TASKS, "packaged", "tables", "forecasts") as modules:
        yield modules["forecasts"]


def test_the_defaults_are_what_it_chose(script):
    told = json.loads(script.RESULT.read_text(encoding="utf-8"))
    defaults = inspect.signature(gw.Forecaster).parameters
    chosen = told["best"]["settings"]
    assert {name: defaults[name].default for name in chosen} == chosen
    first, changed = told["start"], told["one change"]
    assert first["settings"] == script.START
    assert told["best"] == script.best_of(first, changed)
    wanted = [script.START | change for change in script.CHANGES]
    assert sorted(map(str, wanted)) == sorted(str(row["settings"]) for row in changed)
    assert told["seeds"] == list(script.SEEDS)


def test_a_change_has_to_gain_enough(script):
    first, little, much = ({"error": error} for error in (0.8, 0.795, 0.79))
    assert script.best_of(first, [little]) is first
    assert script.best_of(first, [much, little]) is much


def test_it_reads_first_parts_only(script, monkeypatch):
    t = np.arange(120.0)
    series = 50 + np.sin(2 * np.pi * t / 12) + 0.1 * np.random.default_rng(0).standard_normal(120)
    for name in ("sunspots", "co2", "airline"):
        monkeypatch.setattr(script.packaged, name, lambda: series)
    monkeypatch.setattr(script.packaged, "electricity", lambda: [series] * 4)
    monkeypatch.setattr(script.packaged, "yearly", lambda: [series, series[:60]])
    monkeypatch.setattr(script.packaged, "OTHERS", {name: lambda: series for name in script.packaged.OTHERS})
    found = script.cases()
    assert all(len(y) <= 90 for case in found.values() for y in case.series)
    assert len(found["electricity"].series) == 2
    assert [len(y) for y in found["yearly"].series] == [90, 45]
    small = {"hidden_size": 2, "ensemble": 1, "epochs": 1}
    assert 0 < script.error(small, "airline", 0) < 2


def test_packaged_series_are_read_as_they_are_written(script, monkeypatch, tmp_path):
    folder = tmp_path / "package" / "datasets"
    folder.mkdir(parents=True)
    (folder / "three.py").write_text("def load():\n    few = [1]\n    return array([1.5, -2, None])\n", encoding="utf-8")
    (folder / "table.csv").write_text("a,b\n1,\n2,3\n", encoding="utf-8")
    monkeypatch.setattr(script.packaged, "find_spec", lambda name: importlib.util.spec_from_file_location(
        name, tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path / "package")]))  # fmt: skip
    np.testing.assert_array_equal(script.packaged.literal("three"), [1.5, -2, np.nan])
    np.testing.assert_array_equal(script.packaged.column("package", "datasets/table.csv", "b"), [np.nan, 3])
    monkeypatch.setattr(script.packaged, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pmdarima"):
        script.packaged.literal("three")


def test_a_comparison_pools_its_seeds(comparison):
    pooled = comparison._pooled(
        [{"MASE": 1.0, "coverage": 0.9, "seconds": None}, {"MASE": 2.0, "coverage": 0.8, "seconds": None}]
    )
    assert pooled["seeds"] == 2
    assert pooled["MASE"] == 1.5
    assert pooled["MASE sd"] == pytest.approx(0.5**0.5)
    assert pooled["seconds"] is pooled["seconds sd"] is None
    row = {"dataset": "d", "method": "m", "RMSE": 3.0} | pooled
    assert comparison.cells(row) == ("d", "m", "1.500 ± 0.707", "3", "85.0%", "")
    assert "1.500 ± 0.707" in comparison.table([row]).markdown()


def test_gaps_are_bridged_for_methods_that_know_none(comparison):
    np.testing.assert_array_equal(comparison._bridged(np.array([1, np.nan, 3, np.nan])), [1, 2, 3, 3])
    assert comparison._harmonics(0, 9, 12) is None
    assert comparison._harmonics(3, 9, 52).shape == (6, 8)
