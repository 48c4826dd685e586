"""What the training rows say: season, scale, window."""

import numpy as np
import pytest
from refusals import refused

from gatewright.data.series import sunspots
from gatewright.errors import DataError
from gatewright.forecasting import choices

T = np.arange(144)
RNG = np.random.default_rng(0)


def test_a_season_is_found_in_levels_or_in_increments():
    wave = np.sin(2 * np.pi * T / 12) + 0.1 * RNG.standard_normal(144)
    assert choices.season_of([wave]) == 12
    assert choices.season_of([wave + 0.1 * T]) == 12
    assert choices.season_of([wave + 0.2 * np.cumsum(RNG.standard_normal(144))]) == 12
    assert choices.season_of([np.cumsum(RNG.standard_normal(144))]) == 1
    assert choices.season_of([RNG.standard_normal(144)]) == 1
    assert choices.season_of([sunspots().target]) in (10, 11)


def test_many_series_agree_on_a_season():
    weeks = [np.sin(2 * np.pi * (T + k) / 7) + 0.3 * RNG.standard_normal(144) for k in range(9)]
    assert choices.season_of([*weeks, RNG.standard_normal(144)]) == 7


def test_gaps_do_not_hide_a_season():
    wave = np.sin(2 * np.pi * T / 12)
    wave[[5, 30, 31, 77]] = np.nan
    assert choices.season_of([wave]) == 12


@pytest.mark.parametrize(("power", "wanted"), [(0, "sqrt"), (0.2, "sqrt"), (1, "log")])
def test_a_logarithm_is_for_unrest_that_grows_with_the_level(power, wanted):
    level = 20 * np.exp(np.arange(400) / 100)
    y = level + level**power * 0.1 * np.random.default_rng(1).standard_normal(400)
    assert choices.scale_of([y], 1) == wanted
    season = np.sin(2 * np.pi * np.arange(400) / 12) + 0.3 * np.random.default_rng(2).standard_normal(400)
    level = np.linspace(20, 600, 400)
    assert choices.scale_of([level + level**power * 0.5 * season], 12) == wanted


def test_what_stays_above_zero_within_a_factor_of_ten_gets_a_logarithm():
    assert choices.scale_of([100 + RNG.standard_normal(400)], 1) == "log"
    wide = np.r_[1.0, 100 + RNG.standard_normal(400)]
    assert choices.scale_of([wide], 1) == "sqrt"
    assert choices.scale_of([100 + RNG.standard_normal(400), wide], 1) == "sqrt"


def test_what_has_no_logarithm_gets_another_scale():
    level = 20 * np.exp(np.arange(400) / 100)
    y = level * (1 + 0.3 * np.random.default_rng(1).standard_normal(400))
    assert choices.scale_of([y.clip(0.1)], 1) == "log"
    y[3] = 0
    assert choices.scale_of([y.clip(0)], 1) == "sqrt"
    assert choices.scale_of([y - 50], 1) == "standard"
    assert choices.scale_of([RNG.standard_normal(400)], 1) == "standard"
    assert choices.scale_of([np.full(9, np.nan)], 1) == "standard"
    assert choices.scale_of([np.array([1.0, 2, 4, 8, 16])], 1) == "sqrt"  # too few to see how the unrest grows


def test_windows_are_two_seasons_within_bounds():
    assert [choices.window_of(300, season) for season in (1, 7, 12, 52)] == [12, 14, 24, 40]
    assert choices.window_of(24, 12) == 8
    assert choices.window_of(4, 1) == 2


def test_a_series_begins_with_its_first_value():
    values = np.array([[np.nan, 1], [2, np.nan], [np.nan, 3]])
    np.testing.assert_array_equal(choices.begun(values), values[1:])
    missing = np.full((3, 2), np.nan)
    np.testing.assert_array_equal(choices.begun(missing), missing)


def test_too_few_values_are_refused():
    choices.check({"y": np.ones((10, 1))}, ["y"], 8)
    with refused(DataError, "got 10 values, wanted at least 11"):
        choices.check({"y": np.ones((10, 1))}, ["y"], 9)
    with refused(DataError, "column 'y'", "take another unit"):
        choices.check({"y": np.full((10, 1), 1e200)}, ["y"], 1)
