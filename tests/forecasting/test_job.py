"""The main job: the same rows for everyone, scores that are what they say, and the sunspots within their bar."""

import dataclasses
import json
import math
from datetime import datetime

import numpy as np
import pytest
from refusals import refused

from gatewright.data.dates import Calendar, Step
from gatewright.data.series import Series, sunspots
from gatewright.errors import DataError, OptionError
from gatewright.forecasting import classic, job, report
from gatewright.forecasting.backtest import Method, Period, coverage, score, scored_rows
from gatewright.forecasting.job import Job
from gatewright.forecasting.report import as_json, table
from gatewright.forecasting.settings import Settings

NAN = math.nan


def series(rows=100, name="y", gaps=()):
    t = np.arange(rows)
    y = 10 + 4 * np.sin(2 * np.pi * t / 7) + np.cos(t * 1.7)
    y[list(gaps)] = np.nan
    return Series(name, y, np.zeros((rows, 0)))


def small_job(of=None, **more):
    of = of or series()
    settings = Settings(hidden=3, window=8, ensemble=2, epochs=6, **more.pop("settings", {}))
    train, periods, variance = job.split(of, more.pop("test_fraction", 0.2))
    return Job(of, settings, train, periods, variance, **more)


def test_scored_rows_are_those_that_all_methods_forecast_after_training():
    y = np.array([0, 1, 2, 3, 4, NAN, 6, 7.0])
    whole, late = np.zeros((8, 2)), np.zeros((8, 2))
    late[3, 0] = NAN  # one step ahead of row 3: row 4
    rows = scored_rows(y, [Method("a", whole), Method("b", late)], Period("test", 3, 7), train=3)
    assert [at.tolist() for at in rows] == [[3, 6, 7], [4, 6, 7]]  # two steps ahead, row 3 would be forecast in training


def test_scores_are_what_they_say():
    y = np.array([1.0, 2, 4, 8])
    ahead = np.array([[1.0, 1], [2, 2], [4, 4], [8, 8]])
    found = score(y, Method("persistence", ahead), [np.array([1, 2, 3]), np.array([2, 3])], variance=4.0)
    np.testing.assert_allclose(found.mae, [(1 + 2 + 4) / 3, (3 + 6) / 2])
    np.testing.assert_allclose(found.rmse, [math.sqrt(21 / 3), math.sqrt(45 / 2)])
    np.testing.assert_allclose(found.arv, [21 / 3 / 4, 45 / 2 / 4])
    held = coverage(y, ahead - 2, ahead + 2, [np.array([1, 2, 3]), np.array([2, 3])])
    np.testing.assert_allclose(held, [2 / 3, 0])


def test_nothing_to_score_is_nan():
    nothing = [np.array([], int)]
    assert np.isnan(score(np.ones(3), Method("m", np.ones((3, 1))), nothing, 1.0)).all()
    assert np.isnan(coverage(np.ones(3), np.ones((3, 1)), np.ones((3, 1)), nothing)).all()


def test_split():
    train, (period,), variance = job.split(series(50, gaps=(3,)), 0.2)
    assert (train, period) == (40, Period("41 – 50", 40, 49))
    assert variance == pytest.approx(np.nanvar(series(50, gaps=(3,)).target[:40]))
    assert job.split(series(50), 0.0)[:2] == (50, ())
    with pytest.raises(OptionError, match=r"test_fraction: got 1\.0, wanted a number from 0 up to"):
        job.split(series(50), 1.0)
    with pytest.raises(OptionError, match="test_fraction: got 'x'"):
        job.split(series(50), "x")
    with pytest.raises(DataError, match=r"rows to train on: got 1 of 1 \(test fraction 0.5\), wanted at least 2"):
        job.split(series(1), 0.5)


def test_every_method_is_scored_on_the_same_rows():
    outcome = job.run(small_job(series(gaps=(85, 86)), settings={"horizon": 2}, repeat=2))
    y = outcome.job.series.target
    rows = [t for t in range(80, 100) if t not in (85, 86)]
    for method in outcome.methods:
        errors = [y[t] - method.ahead[t - 1, 0] for t in rows]
        assert outcome.scores[method.name][0].mae[0] == pytest.approx(np.mean(np.abs(errors)))
    assert [m.name.split("(")[0] for m in outcome.methods] == ["GRU-3 × 2", "AR", "seasonal naive ", "persistence"]
    assert outcome.season == 7
    assert list(outcome.seeds) == [1, 2]
    assert len({scores[0].rmse[0] for scores in outcome.seeds.values()}) == 2
    assert outcome.forecaster.settings.seed == 0


def test_seasons_and_orders_can_be_given():
    outcome = job.run(small_job(season=5, orders=(2, 1)))
    assert [m.name for m in outcome.methods[1:]] == ["AR(2)", "AR(1)", "seasonal naive (5)", "persistence"]
    for season, wanted in ((0, "a whole number"), (2.5, "a whole number"), (80, "fewer rows than the 80 to train on")):
        with pytest.raises(OptionError, match=f"season: got {season}, wanted {wanted}"):
            job.run(small_job(season=season))
    with pytest.raises(OptionError, match="repeat: got -1, wanted a whole number of at least 0"):
        job.run(small_job(repeat=-1))


def test_a_scale_that_the_test_rows_can_not_take_is_refused_before_training():
    below = series()
    below.target[90] = -1
    with pytest.raises(DataError, match="column 'y' has -1, and scale 'sqrt'"):
        job.run(small_job(below, settings={"scale": "sqrt"}), lambda *_: pytest.fail("it trained"))


def test_what_can_not_be_forecast_is_refused_before_training():
    late = Calendar(tuple(datetime(9900 + k, 1, 1) for k in range(100)), "year", Step(months=12))
    with refused(DataError, "1 step after 9999 is beyond the year 9999"):
        job.run(small_job(dataclasses.replace(series(), calendar=late)), lambda *_: pytest.fail("it trained"))
    for unit in (1e151, 1e-199):
        vast = dataclasses.replace(series(), target=series().target * unit)
        with refused(DataError, "column 'y': got numbers of up to"):
            job.split(vast, 0.2)
        with refused(DataError, "column 'y': got numbers of up to"):
            job.run(Job(vast, Settings(), 80, (), 1.0), lambda *_: pytest.fail("it trained"))
    unknown = dataclasses.replace(series(), inputs=np.where(np.arange(100) < 90, NAN, 1.0)[:, None], input_names=("x",))
    with refused(DataError, "column 'x' has no numbers in the rows to train on"):
        job.run(small_job(unknown), lambda *_: pytest.fail("it trained"))


@pytest.mark.parametrize(
    ("value", "best", "said"),
    [
        (0.00123456, 0.00123456, "0.00123"), (4.5, 0.01, "4.500"), (123.456, 123.456, "123.5"), (1e9 - 1, 1234, "999999999"),
        (1e9, 1234, "1e+09"), (0.0001, 0.0001, "0.000100"), (1.2345e31, 1.0, "1.23e+31"),
        (2.5e-15, 2.5e-15, "2.5e-15"), (3.14159, 2.5e-15, "3.14"),
        (0.0, 0.0, "0.000"), (math.inf, 1.0, "–"), (math.inf, math.inf, "–"), (NAN, 1.0, "–"),
    ],
)  # fmt: skip
def test_numbers_are_short_at_any_size(value, best, said):
    assert report._number(value, best) == said


def test_an_interrupted_job_tries_no_other_seeds():
    outcome = job.run(small_job(repeat=3), lambda member, epoch, loss: (member, epoch) == (2, 2))
    assert outcome.committee.interrupted
    assert outcome.seeds == {}
    calls = []
    outcome = job.run(small_job(repeat=3), lambda member, epoch, loss: calls.append(member) or len(calls) == 30)
    assert outcome.committee.interrupted
    assert list(outcome.seeds) == [1]


def test_the_report_is_json_without_nan():
    outcome = job.run(small_job(series(gaps=(2,)), settings={"horizon": 25}, test_fraction=0.1, repeat=1))
    said = as_json(outcome)
    json.dumps(said, allow_nan=False)
    period = said["scores"]["persistence"]["91 – 100"]
    assert period["rmse"][10:] == [None] * 15  # 10 test rows: none lies further than 10 steps after training
    assert None not in period["rmse"][:10]
    assert said["missing"] == 1
    assert said["other seeds"]["seeds"] == [1]
    assert said["other seeds"]["91 – 100"]["standard deviation"] is None
    assert "–" in table(outcome)


def test_the_report_of_a_gatewright_that_is_not_installed(monkeypatch):
    def missing(name):
        raise report.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(report.metadata, "version", missing)
    assert as_json(job.run(small_job()))["versions"]["gatewright"] == "not installed"


@pytest.mark.parametrize(
    ("more", "head"),
    [
        ({}, ["RMSE", "MAE", "ARV"]),
        ({"settings": {"horizon": 2}}, ["RMSE", "+1", "RMSE", "+2"]),
        ({"settings": {"horizon": 9}}, ["RMSE", "+1", "RMSE", "+3", "RMSE", "+5", "RMSE", "+7", "RMSE", "+9"]),
    ],
)
def test_the_table_is_aligned_and_stars_the_best(more, head):
    outcome = job.run(small_job(**more))
    lines = table(outcome).splitlines()
    assert lines[0].split() == head
    body = list(lines[2:-2])
    assert len(body) == 4
    assert sum(line.count("*") for line in body) == len([word for word in head if word in ("RMSE", "MAE", "ARV")])
    assert {len(line.rstrip("* ")) for line in body} == {len(lines[0])}
    assert lines[-1].startswith("90% interval holds")


def test_without_a_test_there_is_no_table():
    outcome = job.run(small_job(test_fraction=0.0))
    assert table(outcome) == "no rows to test on (test fraction 0)"
    assert as_json(outcome)["coverage"] == {}
    assert np.isfinite(outcome.future.mean).all()


def test_the_sunspots_come_out_within_their_bar():
    todo = classic.job(classic.settings())
    outcome = job.run(todo)
    ours, regression = outcome.scores[todo.settings.name], outcome.scores["AR(12)"]
    assert ours[0].arv[0] <= 0.10
    assert ours[1].arv[0] <= regression[1].arv[0]
    assert outcome.season == 11
    assert all(0.8 <= share[0] <= 1 for share in outcome.coverage)


def test_the_protocol_of_the_sunspots():
    labels = sunspots().labels()
    assert labels[classic.TRAIN - 1] == "1920"
    assert [f"{labels[p.first]}–{labels[p.last]}" for p in classic.PERIODS] == ["1921–1955", "1956–1979", "1980–2008"]
    assert [period.name for period in classic.PERIODS] == ["1921–55", "1956–79", "1980–2008"]
    assert classic.job(classic.settings(seed=7)).script == "benchmarks/tasks/select_sunspots.py"
    assert classic.job(classic.settings(hidden=3)).script is None
