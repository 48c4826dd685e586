"""The script that chose the demo's settings: it reads the training years alone, and what it chose is what it would choose."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gatewright.data.series import sunspot_settings, sunspots

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "tasks" / "select_sunspots.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("select_sunspots", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_sees_the_training_years_only(script):
    np.testing.assert_array_equal(script.training_years(), sunspots().values[:221])
    assert max(script.ENDS) + script.SPAN == 1920


def test_a_fold_is_scored_on_the_years_after_it(script, monkeypatch):
    candidate = dataclasses.replace(script.CANDIDATES[0], epochs=20, ensemble=2)
    monkeypatch.setattr(script, "EPOCHS", (10, 20, None))
    scores = script.fold_scores(candidate, 1820)
    assert set(scores) == {10, 20, None}
    assert scores[None] in (scores[10], scores[20])
    changed = script.training_years().copy()
    changed[1840 - 1700 + 1 :] = 0  # what comes after the fold
    monkeypatch.setattr(script, "training_years", lambda: changed)
    assert script.fold_scores(candidate, 1820) == scores


def test_what_the_demo_uses_is_a_candidate(script):
    found = sunspot_settings()
    settings = dataclasses.replace(script.CANDIDATES[0], **found["settings"])
    assert dataclasses.replace(settings, epochs=script.MOST) in script.CANDIDATES
    assert settings.epochs in script.EPOCHS
    assert found["candidates"] == len(script.CANDIDATES) * len(script.EPOCHS)
    assert found["seeds"] == list(script.SEEDS)


def test_the_autoregressions_on_the_folds(script):
    told = sunspot_settings()["autoregressions on the same folds"]
    assert {name: round(script.autoregression_score(int(name[3:-1])), 4) for name in told} == told
