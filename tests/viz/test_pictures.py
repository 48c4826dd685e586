"""The pictures: they are drawn for every kind of series, show what they should, and leave no trace in matplotlib."""

import struct
from datetime import datetime, timedelta

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from gatewright.data.dates import Calendar, Step
from gatewright.data.series import Series
from gatewright.forecasting import job
from gatewright.forecasting.job import Job
from gatewright.forecasting.settings import Settings
from gatewright.viz import forecast, training

ROWS = 60


def yearly():
    return Calendar(tuple(datetime(1900 + k, 1, 1) for k in range(ROWS)), "year", Step(months=12))


def daily(start=datetime(2020, 1, 1)):
    return Calendar(tuple(start + timedelta(days=k) for k in range(ROWS)), "day", Step(seconds=86400))


def outcome(calendar=None, horizon=1, test_fraction=0.25):
    t = np.arange(ROWS)
    y = 10 + 4 * np.sin(2 * np.pi * t / 7) + np.cos(t * 1.7)
    y[8] = np.nan
    of = Series("births", y, np.zeros((ROWS, 0)), (), calendar)
    train, periods, variance = job.split(of, test_fraction)
    settings = Settings(hidden=2, window=6, ensemble=2, epochs=3, horizon=horizon)
    return job.run(Job(of, settings, train, periods, variance))


def figure_of(draw, *given, monkeypatch):
    """The figure that a picture is saved from."""
    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **more: kept.append(self))
    draw(*given)
    (figure,) = kept
    return figure


@pytest.mark.parametrize(
    ("calendar", "horizon", "fraction"),
    [
        (yearly(), 1, 0.25), (daily(), 3, 0.25), (None, 2, 0.25), (None, 1, 0.0),
        (daily(datetime(1, 1, 1)), 1, 0.25), (daily(datetime(9999, 12, 31) - timedelta(days=ROWS)), 1, 0.25),
    ],
)  # fmt: skip
def test_every_kind_of_series_is_drawn(tmp_path, calendar, horizon, fraction):
    done = outcome(calendar, horizon, fraction)
    forecast.draw_forecast(done, tmp_path / "forecast.png")
    training.draw_training(done.committee, tmp_path / "training.png")
    for name in ("forecast.png", "training.png"):
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", content[16:24])
        assert width == 1800
        assert height > 600


def test_the_forecast_shows_history_forecasts_interval_baselines_and_scores(monkeypatch):
    done = outcome(yearly())
    figure = figure_of(forecast.draw_forecast, done, None, monkeypatch=monkeypatch)
    history, zoom, foot = figure.axes
    np.testing.assert_array_equal(history.lines[0].get_xdata(), np.arange(1900, 1960))
    np.testing.assert_array_equal(history.lines[0].get_ydata(), done.job.series.target)
    shown = {line.get_label(): line for line in zoom.lines}
    ours = shown["GRU-2 × 2"]
    np.testing.assert_array_equal(ours.get_xdata(), np.arange(1945, 1961))  # every test year, and the one to come
    np.testing.assert_array_equal(ours.get_ydata(), done.forecasts.mean[44:, 0])
    assert {"observed", "persistence", "seasonal naive (7)"} < set(shown)
    assert any(name.startswith("AR(") for name in shown)
    band = zoom.collections[0]
    assert band.get_label() == "90% interval"
    assert band.get_datalim(zoom.transData).ymax == pytest.approx(done.forecasts.upper[44:].max())
    assert zoom.get_legend() is None  # it stands below, where it hides nothing
    assert "persistence" in foot.texts[0].get_text()
    assert len(foot.get_legend().get_texts()) == 1 + 1 + len(done.methods)


def test_several_steps_ahead_are_drawn_from_one_row_each(monkeypatch):
    done = outcome(None, horizon=4)
    figure = figure_of(forecast.draw_forecast, done, None, monkeypatch=monkeypatch)
    line = next(line for line in figure.axes[1].lines if line.get_label() == "GRU-2 × 2")
    x, y = (np.reshape(data, (-1, 5))[:, 1:] for data in line.get_data())
    np.testing.assert_array_equal(x[-1], [61, 62, 63, 64])
    origins = (x[:, 0] - 2).astype(int)
    assert (np.diff(origins) == 4).all()
    assert origins[0] >= done.job.train - 1
    np.testing.assert_array_equal(y, done.forecasts.mean[origins])


def test_the_training_shows_every_member_and_the_epoch_used(monkeypatch):
    learned = outcome().committee
    figure = figure_of(training.draw_training, learned, None, monkeypatch=monkeypatch)
    loss, judged = figure.axes
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), learned.losses[1])
    used = next(line for line in judged.lines if line.get_label() == f"epoch {learned.epoch}, the one that is used")
    assert set(used.get_xdata()) == {learned.epoch}
    together = next(line for line in judged.lines if line.get_label() == "all members together")
    np.testing.assert_array_equal(together.get_xydata(), learned.pooled)


def test_nothing_is_left_behind(tmp_path):
    before = dict(mpl.rcParams)
    training.draw_training(outcome().committee, tmp_path / "a.png")
    assert dict(mpl.rcParams) == before


def test_equal_outcomes_are_equal_files(tmp_path):
    for name in ("a.png", "b.png"):
        forecast.draw_forecast(outcome(yearly()), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
