"""The forecaster: it learns, it never looks ahead, inputs and gaps count, and a file brings all of it back."""

import json
import re

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from gatewright.errors import DataError, FormatError, MissingFileError, ShapeError
from gatewright.forecasting import forecaster
from gatewright.forecasting.settings import Settings
from gatewright.layers import Dense
from gatewright.model import Model

SMALL = {"hidden": 6, "window": 10, "ensemble": 2, "epochs": 80}


def wave(rows=160):
    """(T,): a wave whose height swells and falls."""
    t = np.arange(rows)
    return 50 + (20 + 4 * np.sin(t / 17)) * np.sin(2 * np.pi * t / 11)


def driven(rows=200, seed=0):
    """(T, 2): a target that is nothing but noise and the other column of the row before."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(rows)
    return np.column_stack([np.r_[0, 3 * x[:-1]] + 0.1 * rng.standard_normal(rows), x])


def fit(values, names=("y",), **settings):
    return forecaster.fit(values, names, Settings(**(SMALL | settings)))[0]


def rmse(values, ahead, rows, step=1):
    return float(np.sqrt(np.mean((values[rows + step, 0] - ahead[rows, step - 1]) ** 2)))


@pytest.fixture(scope="module")
def fitted():
    return fit(wave()[:120, None], horizon=3)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_it_learns_what_persistence_can_not_know(cell):
    values = wave()[:, None]
    made = fit(values[:120], cell=cell).forecasts(values).mean
    rows = np.arange(119, 159)
    assert rmse(values, made, rows) < 0.35 * np.sqrt(np.mean(np.diff(values[119:, 0]) ** 2))


def test_each_step_ahead_is_its_own_forecast(fitted):
    values = wave()[:, None]
    made = fitted.forecasts(values).mean
    rows = np.arange(119, 157)
    for step in (1, 2, 3):
        persistence = np.sqrt(np.mean((values[rows + step, 0] - values[rows, 0]) ** 2))
        assert rmse(values, made, rows, step) < 0.5 * persistence


def test_a_forecast_knows_nothing_of_what_comes_after(fitted):
    values = wave()[:, None]
    values[[30, 100, 131]] = np.nan
    changed = values.copy()
    changed[140:] = 5 * values[::-1][:20]
    for before, after in zip(fitted.forecasts(values), fitted.forecasts(changed), strict=True):
        np.testing.assert_array_equal(before[:140], after[:140])
        assert not np.allclose(before[140:], after[140:])


def test_it_sees_its_window_and_no_more(fitted):
    values = wave()[:, None]
    last = np.array([159])
    whole = fitted.forecasts(values, last).mean
    np.testing.assert_allclose(fitted.forecasts(values[-10:], np.array([9])).mean, whole, rtol=1e-6)
    values[149] += 1
    np.testing.assert_array_equal(fitted.forecasts(values, last).mean, whole)
    values[150] += 1
    assert (fitted.forecasts(values, last).mean != whole).all()


def test_given_rows_are_the_same_as_all_rows(fitted):
    values = wave()[:, None]
    rows = np.array([3, 77, 150])
    for some, every in zip(fitted.forecasts(values, rows), fitted.forecasts(values), strict=True):
        np.testing.assert_allclose(some, every[rows], rtol=1e-6)


def test_the_interval_lies_around_the_forecast(fitted):
    made = fitted.forecasts(wave()[:, None])
    assert (made.lower < made.mean).all()
    assert (made.mean < made.upper).all()


def test_an_input_that_drives_the_target_is_used():
    values = driven()
    rows = np.arange(150, 199)
    alone = rmse(values, fit(values[:150, :1]).forecasts(values[:, :1]).mean, rows)
    helped = rmse(values, fit(values[:150], ("y", "x")).forecasts(values).mean, rows)
    assert helped < 0.5 * alone


def test_a_missing_target_is_forecast_over_and_time_goes_on():
    values = wave()[:, None]
    values[np.random.default_rng(0).choice(np.arange(5, 115), 12, replace=False)] = np.nan
    made = fit(values[:120]).forecasts(values).mean
    rows = np.arange(119, 159)
    assert np.isfinite(made).all()
    assert rmse(wave()[:, None], made, rows) < 0.4 * np.sqrt(np.mean(np.diff(wave()[119:]) ** 2))


def test_a_gap_is_bridged_by_the_models_own_forecast_not_by_the_last_value(fitted):
    values = wave()[:, None]
    whole = fitted.forecasts(values).mean[:, 0]
    gap, held = values.copy(), values.copy()
    gap[140] = np.nan
    held[140] = values[139]
    bridged, persisted = (abs(fitted.forecasts(v).mean[140, 0] - whole[140]) for v in (gap, held))
    assert 0 < bridged < 0.5 * persisted


def test_a_missing_input_is_forecast_too():
    t = np.arange(160)
    values = np.column_stack([np.roll(wave(), 1), wave()])
    made = fit(values[:120], ("y", "x"), epochs=100)
    gap = values.copy()
    gap[140, 1] = np.nan
    held = gap.copy()
    held[140, 1] = gap[139, 1]
    whole = made.forecasts(values).mean[t == 140]
    assert abs(made.forecasts(gap).mean[t == 140] - whole) < abs(made.forecasts(held).mean[t == 140] - whole)


def test_a_trend_is_followed_beyond_what_training_had():
    t = np.arange(200.0)
    values = (3 * t + 10 * np.sin(2 * np.pi * t / 12))[:, None]
    made = fit(values[:120], epochs=100).forecasts(values).mean
    rows = np.arange(160, 199)
    assert rmse(values, made, rows) < 0.3 * np.sqrt(np.mean(np.diff(values[160:, 0]) ** 2))


def test_a_square_root_keeps_forecasts_and_intervals_above_zero():
    values = (wave() - 40)[:, None].clip(0)
    made = fit(values[:120], scale="sqrt").forecasts(values)
    assert all((part >= 0).all() for part in made)
    assert (fit(values[:120]).forecasts(values).lower < 0).any()


def test_the_spread_holds_its_share_of_the_residuals_and_the_next_one():
    residuals = np.column_stack([np.arange(-49.0, 50), np.r_[np.full(94, np.nan), 2, -2, -1, 1, 0]])
    np.testing.assert_array_equal(forecaster._spread(residuals), [[-45, -2], [45, 2]])  # 90 of the 100 gaps of -49 … 49
    np.testing.assert_array_equal(forecaster._spread(residuals + 47), [[0, 0], [92, 49]])  # the forecast is never outside
    np.testing.assert_array_equal(forecaster._spread(np.full((3, 1), np.nan)), [[0], [0]])


def test_intervals_hold_about_nine_tenths_of_noise():
    rng = np.random.default_rng(4)
    values = rng.standard_normal((700, 1))
    made = fit(values[:400], epochs=20).forecasts(values)
    inside = (made.lower[399:-1, 0] <= values[400:, 0]) & (values[400:, 0] <= made.upper[399:-1, 0])
    assert 0.85 < inside.mean() < 0.95


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.arange(11.0), "rows to train on: got 11, wanted at least 12 for a window of 10 with horizon 1"),
        (np.full(50, 3.0), "'y' never changes"),
        (np.full(50, np.nan), "'y' never changes"),
    ],
)
def test_what_can_not_be_learned(values, said):
    with pytest.raises(DataError, match=said):
        fit(values[:, None])


def test_values_of_another_shape_are_refused(fitted):
    with pytest.raises(ShapeError, match=re.escape("values: got shape (160, 2), wanted (T, 1): y")):
        fitted.forecasts(np.zeros((160, 2)))


# --- files


@pytest.fixture
def saved(fitted, tmp_path):
    path = tmp_path / "model.safetensors"
    fitted.save(path)
    return path


def test_a_file_brings_it_all_back(fitted, saved):
    again = forecaster.load(saved)
    assert (again.settings, again.names, again.scalers, again.date) == (
        fitted.settings,
        fitted.names,
        fitted.scalers,
        fitted.date,
    )
    values = wave()[:, None]
    for before, after in zip(fitted.forecasts(values), again.forecasts(values), strict=True):
        np.testing.assert_array_equal(before, after)


def rewrite(path, change):
    """Changes the description in a file."""
    with safe_open(path, framework="numpy") as file:
        described = json.loads(file.metadata()["gatewright"])
    tensors = load_file(path)
    change(described, tensors)
    save_file(tensors, path, {"gatewright": json.dumps(described)})


@pytest.mark.parametrize(
    "change",
    [
        lambda d, t: d.pop("scalers"),
        lambda d, t: d.update(scalers=d["scalers"] * 2),
        lambda d, t: d.update(units=[1.0]),
        lambda d, t: d.update(spread="wide"),
        lambda d, t: d.update(columns=["y", "x"]),
        lambda d, t: d.update(members=0),
        lambda d, t: d.update(members=3),
        lambda d, t: d.update(settings={**d["settings"], "horizon": 2}),
        lambda d, t: d.update(settings={**d["settings"], "cell": "gruu"}),
        lambda d, t: d.update(settings={**d["settings"], "colour": "red"}),
        lambda d, t: d.update(format=99),
        lambda d, t: d.update(kind="poem"),
        lambda d, t: d.update(layer=None),
        lambda d, t: t.pop("member1.0.U"),
        lambda d, t: d.update(settings={**d["settings"], "window": 1 << 40}),
        lambda d, t: d["scalers"][0].update(std=0),
        lambda d, t: d["scalers"][0].update(mean=10**400),
        lambda d, t: d["scalers"][0].update(kind="cube"),
        lambda d, t: d.update(units=[-1.0] * len(d["units"])),
        lambda d, t: d.update(columns=[*d["columns"], d["columns"][0]]),
        lambda d, t: d.update(columns="y"),
        lambda d, t: d.update(date=7),
        lambda d, t: d.update(group=7),
        lambda d, t: d.update(level=90),
        lambda d, t: t.update({"member0.0.U": np.zeros((2, 2), np.float32)}),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(saved, change):
    rewrite(saved, change)
    with pytest.raises(FormatError, match=re.escape(str(saved))) as error:
        forecaster.load(saved)
    assert "\n" not in str(error.value)


def test_other_files_are_refused(tmp_path, saved):
    with pytest.raises(MissingFileError):
        forecaster.load(tmp_path / "none")
    Model(Dense(1, 1)).save(tmp_path / "model")
    with pytest.raises(FormatError, match="not a forecaster"):
        forecaster.load(tmp_path / "model")
    content = saved.read_bytes()
    for stop in (0, 7, 100, len(content) - 1):
        saved.write_bytes(content[:stop])
        with pytest.raises(FormatError):
            forecaster.load(saved)
