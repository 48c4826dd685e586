"""The classics, against loops that say what they mean, and against the figures of the literature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.data.series import SUNSPOT_VARIANCE, sunspots
from gatewright.forecasting.baselines import Autoregression, Persistence, SeasonalNaive, season_of

VALUES = st.lists(st.one_of(st.none(), st.integers(0, 99)), min_size=1, max_size=20)


def series(values):
    return np.array([np.nan if value is None else value for value in values], float)


@pytest.mark.parametrize(("order", "scores"), [(12, (0.126, 0.358, 0.193)), (9, (0.123, 0.342, 0.170))])
def test_autoregressions_of_the_sunspots_come_out_as_published(order, scores):
    y = sunspots().target
    said = Autoregression.fit(y[:221], order).forecasts(y, 1)[:-1, 0]
    error = np.square(y[1:] - said) / SUNSPOT_VARIANCE
    got = [error[first - 1 : last].mean() for first, last in ((221, 255), (256, 279), (280, 308))]
    np.testing.assert_allclose(got, scores, atol=0.002)


def test_an_autoregression_finds_its_own_coefficients():
    y = np.zeros(60)
    y[:2] = 3, -1
    for t in range(2, 60):
        y[t] = 0.7 + 1.6 * y[t - 1] - 0.95 * y[t - 2]
    fitted = Autoregression.fit(y, 2)
    np.testing.assert_allclose(fitted.coefficients, (0.7, 1.6, -0.95), atol=1e-8)
    ahead = fitted.forecasts(y, 4)
    for step in range(1, 5):
        np.testing.assert_allclose(ahead[1:-step, step - 1], y[1 + step :], atol=1e-6)
    assert np.isnan(ahead[0]).all()


@pytest.mark.parametrize("unit", [2.0**-300, 2.0**-40, 2.0**60, 2.0**300])
def test_the_unit_makes_no_difference_to_an_autoregression(unit):
    y = sunspots().target[:120]
    intercept, *weights = Autoregression.fit(y, 3).coefficients
    assert Autoregression.fit(y * unit, 3).coefficients == (intercept * unit, *weights)
    assert Autoregression.chosen(y * unit).order == Autoregression.chosen(y).order


def test_an_autoregression_goes_on_over_a_gap():
    fitted = Autoregression((1.0, 0.5, 0.25))
    y = np.array([1.0, 2.0, np.nan, np.nan, 3.0])
    third = 1 + 0.5 * 2 + 0.25 * 1
    fourth = 1 + 0.5 * third + 0.25 * 2
    ahead = fitted.forecasts(y, 2)
    assert ahead[1, 0] == third
    assert ahead[1, 1] == fourth
    assert ahead[3, 0] == 1 + 0.5 * fourth + 0.25 * third
    assert ahead[4, 0] == 1 + 0.5 * 3 + 0.25 * fourth


def test_equations_with_a_missing_value_are_left_out():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(50)
    whole = Autoregression.fit(y[:40], 2).coefficients
    y[40] = np.nan  # the equations of rows 40, 41 and 42 go; those of 43 … 49 stay
    rows = [t for t in range(2, 50) if t not in (40, 41, 42)]
    x = np.column_stack([np.ones(len(rows)), y[[t - 1 for t in rows]], y[[t - 2 for t in rows]]])
    expected = np.linalg.lstsq(x, y[rows], rcond=None)[0]
    np.testing.assert_allclose(Autoregression.fit(y, 2).coefficients, expected)
    assert not np.allclose(expected, whole)


def test_aic_finds_the_order():
    rng = np.random.default_rng(1)
    y = np.zeros(600)
    for t in range(3, 600):
        y[t] = 0.5 * y[t - 1] - 0.6 * y[t - 3] + rng.standard_normal()
    assert Autoregression.chosen(y).order in (3, 4)
    assert Autoregression.chosen(y[:5]).order == 1


@given(VALUES, st.integers(1, 4))
def test_persistence(values, horizon):
    y = series(values)
    ahead = Persistence().forecasts(y, horizon)
    for t in range(len(y)):
        known = y[: t + 1][~np.isnan(y[: t + 1])]
        np.testing.assert_array_equal(ahead[t], [known[-1] if len(known) else np.nan] * horizon)


@given(VALUES, st.integers(1, 5), st.integers(1, 7))
def test_seasonal_naive(values, season, horizon):
    y = series(values)
    ahead = SeasonalNaive(season).forecasts(y, horizon)
    for t in range(len(y)):
        for step in range(1, horizon + 1):
            place = t + step - season
            while place > t or (place >= 0 and np.isnan(y[place])):
                place -= season
            np.testing.assert_array_equal(ahead[t, step - 1], y[place] if place >= 0 else np.nan)


@pytest.mark.parametrize("season", [4, 7, 12])
def test_the_season_is_found_through_trend_noise_and_gaps(season):
    t = np.arange(20 * season)
    y = 0.3 * t + 5 * np.sin(2 * np.pi * t / season) + np.random.default_rng(2).standard_normal(len(t))
    y[[5, 17, 18]] = np.nan
    assert season_of(y) == season


def test_no_season_where_there_is_none():
    assert season_of(np.arange(50.0)) == 1
    assert season_of(np.ones(40)) == 1
    assert season_of(np.array([1.0, 2.0, 4.0])) == 1
    assert season_of(sunspots().target[:221]) == 11
