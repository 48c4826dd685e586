"""The linear path: regressions against their own equations, known columns, gaps, and weights."""

import numpy as np
import pytest

from gatewright.forecasting import linear, mixture
from gatewright.forecasting.linear import Panel, Recipe

ALONE = np.array([False])


def panel(*series, known=ALONE):
    return Panel(series, [np.ones(len(rows), bool) for rows in series], known)


def autoregressive(rows=400, seed=0):
    """(T, 1): z[t] = 0.2 + 0.5 z[t - 1] - 0.3 z[t - 2] + little noise."""
    rng = np.random.default_rng(seed)
    z = np.zeros(rows)
    for t in range(2, rows):
        z[t] = 0.2 + 0.5 * z[t - 1] - 0.3 * z[t - 2] + 0.01 * rng.standard_normal()
    return z[:, None]


def test_least_squares_finds_the_coefficients_and_the_order():
    made = linear.fit(panel(autoregressive()), Recipe((), 12, None))
    np.testing.assert_allclose(made.constant, [0.2], atol=0.02)
    np.testing.assert_allclose(made.lags[:2, 0, 0], [0.5, -0.3], atol=0.06)
    assert len(made.lags) <= 4


def test_a_penalty_keeps_all_lags_and_makes_them_small():
    z = autoregressive()
    little, much = (linear.fit(panel(z), Recipe((), 6, ridge)).lags for ridge in (1e-9, 10.0))
    assert len(little) == len(much) == 6
    np.testing.assert_allclose(little[:2, 0, 0], [0.5, -0.3], atol=0.1)
    assert np.abs(much).sum() < 0.2 * np.abs(little).sum()


def test_forecasts_go_on_from_their_own_one_step_at_a_time():
    z = autoregressive(60)
    made = linear.fit(panel(z), Recipe((1,), 3, None))
    ahead = made.forecasts(z, ALONE, 4)[30, :, 0]
    going = z[:31].copy()
    for h in range(4):
        step = made.one_step(np.concatenate([going, [[np.nan]]]), ALONE, len(going))
        np.testing.assert_allclose(step, ahead[h], rtol=1e-12)
        going = np.concatenate([going, step[None]])


@pytest.mark.parametrize(
    ("differences", "wanted"),
    [((1,), [9.0, 9.0, 9.0]), ((4,), [6.0, 7.0, 8.0]), ((1, 4), [10.0, 11.0, 12.0]), ((1, 1), [10.0, 11.0, 12.0])],
)
def test_differences_alone_are_the_naive_forecasts(differences, wanted):
    z = np.arange(10.0)[:, None]
    made = linear.fit(panel(z), Recipe(differences, 0, None))
    np.testing.assert_allclose(made.forecasts(z, ALONE, 3)[-1, :, 0], wanted, atol=1e-12)


def test_many_series_share_one_regression():
    parts = [autoregressive(60, seed)[20:] for seed in range(10)]
    made = linear.fit(panel(*parts), Recipe((), 12, None))
    np.testing.assert_allclose(made.lags[:2, 0, 0], [0.5, -0.3], atol=0.06)


def test_rows_that_are_not_usable_are_no_equations():
    z = autoregressive(400)
    spoiled = z.copy()
    spoiled[60] = 50.0
    usable = np.ones(400, bool)
    usable[60:75] = False  # neither as the target nor as one of the 12 lags before one
    made = linear.fit(Panel([spoiled], [usable], ALONE), Recipe((), 12, None))
    np.testing.assert_allclose(made.lags[:2, 0, 0], [0.5, -0.3], atol=0.1)


def test_a_known_column_is_taken_out_and_put_in_again():
    rng = np.random.default_rng(0)
    price, z = rng.standard_normal(300), autoregressive(300)[:, 0]
    rows, known = np.column_stack([z + 2 * price, price]), np.array([False, True])
    made = linear.fit(panel(rows, known=known), Recipe((), 6, None))
    np.testing.assert_allclose(made.effect, [[2]], atol=0.01)
    ahead = made.forecasts(rows, known, 2)
    plain = linear.fit(panel(z[:, None]), Recipe((), 6, None)).forecasts(z[:, None], ALONE, 2)
    np.testing.assert_allclose(ahead[100, :, 0] - 2 * price[101:103], plain[100, :, 0], atol=0.05)
    np.testing.assert_allclose(made.one_step(rows, known, 101), ahead[100, 0], rtol=1e-12)


def test_columns_of_the_past_drive_the_target():
    rng = np.random.default_rng(0)
    push = rng.standard_normal(300)
    rows = np.column_stack([np.r_[0, 3 * push[:-1]], push])
    made = linear.fit(panel(rows, known=np.zeros(2, bool)), Recipe((), 6, None))
    ahead = made.forecasts(rows, np.zeros(2, bool), 2)[:, :, 0]
    np.testing.assert_allclose(ahead[50:299, 0], 3 * push[50:299], atol=0.05)
    assert np.abs(ahead[50:, 1]).max() < 0.5  # the next push is not known


def test_too_few_rows_give_the_differences_alone():
    for rows in (1, 2, 5):
        z = np.arange(float(rows))[:, None]
        for recipe in mixture.recipes(12, pooled=False):
            made = linear.fit(panel(z), recipe)
            assert np.isfinite(made.forecasts(z, ALONE, 3)).all()


def test_exponential_smoothing_is_the_autoregression_that_it_is():
    rng = np.random.default_rng(0)
    errors = rng.standard_normal(600)
    z = np.cumsum(errors - 0.6 * np.r_[0, errors[:-1]])[:, None]  # whose best forecast is smoothing with 1 - 0.6
    made = linear.fit(panel(z), Recipe((1,), 50, smoothing=1))
    np.testing.assert_allclose(made.lags[:10, 0, 0], 0.4 * 0.6 ** np.arange(10), atol=1e-12)
    level = z[0, 0]
    for value in z[:, 0]:
        level += 0.4 * (value - level)
    np.testing.assert_allclose(made.forecasts(z, ALONE, 2)[-1, :, 0], level, rtol=1e-9)


def test_seasonal_smoothing_finds_both_decays():
    rng, season = np.random.default_rng(1), 4
    errors = rng.standard_normal(900)
    moved = np.convolve(errors, np.convolve([1, -0.4], [1, 0, 0, 0, -0.8]))[:900]
    z = np.zeros(900)
    for t in range(5, 900):
        z[t] = z[t - 1] + z[t - 4] - z[t - 5] + moved[t]
    made = linear.fit(panel(z[:, None]), Recipe((1, season), 300, smoothing=season))
    off = z[401:] - made.forecasts(z[:, None], ALONE, 1)[400:-1, 0, 0]
    np.testing.assert_allclose(off, errors[401:], atol=1e-6)


# --- the mixture


def seasonal(rows=120, seed=0):
    t, rng = np.arange(rows), np.random.default_rng(seed)
    return (np.sin(2 * np.pi * t / 12) + 0.05 * rng.standard_normal(rows))[:, None]


def test_weights_go_to_what_has_forecast_well():
    rng = np.random.default_rng(0)
    wandering = np.cumsum(rng.standard_normal(300))[:, None]
    made = mixture.plan([wandering], ALONE, 1, 3)
    share = dict.fromkeys({recipe.differences for recipe in made.recipes}, 0.0)
    for recipe, weight in zip(made.recipes, made.weights, strict=True):
        share[recipe.differences] += weight
    assert made.weights.sum() == pytest.approx(1)
    assert share[1,] > 2 * share[1, 1]
    np.testing.assert_allclose(made.units, np.sqrt([1, 2, 3]), rtol=0.35)


def test_a_path_forecasts_a_season_and_fills_gaps_with_its_own_forecasts():
    z = seasonal()
    truth = z.copy()
    z[[50, 51, 90]] = np.nan
    made = mixture.fit([z], [np.zeros(120, bool)], ALONE, mixture.plan([z], ALONE, 12, 6))
    filled = made.filled(z)
    np.testing.assert_array_equal(filled[~np.isnan(z)], z[~np.isnan(z)])
    assert np.abs(filled - truth)[[50, 51, 90]].max() < 0.35
    ahead = made.forecasts(filled, 6)
    when = np.arange(60, 110)[:, None] + np.arange(1, 7)
    assert np.sqrt(np.mean((ahead[60:110] - truth[when, 0]) ** 2)) < 0.2


def test_what_is_left_out_is_not_learned():
    z = seasonal()
    spoiled = z.copy()
    spoiled[100:] = 40.0
    out = np.arange(120) >= 100
    made = mixture.plan([z], ALONE, 12, 2)
    whole, without = mixture.fit([z], [out], ALONE, made), mixture.fit([spoiled], [out], ALONE, made)
    for part, other in zip(whole.parts, without.parts, strict=True):
        np.testing.assert_array_equal(part.lags, other.lags)


def test_gaps_before_the_first_value_and_in_known_columns_stay_what_they_were():
    rows = np.column_stack([seasonal()[:, 0], np.arange(120.0)])
    rows[:3, 0] = np.nan
    rows[60, 1] = np.nan
    known = np.array([False, True])
    held = mixture.held(rows)
    assert (held[:3, 0] == 0).all()
    assert held[60, 1] == 59
    made = mixture.fit([rows], [np.zeros(120, bool)], known, mixture.plan([rows], known, 12, 2))
    assert made.filled(rows)[60, 1] == 59


def test_series_too_short_to_be_judged_weigh_all_alike():
    made = mixture.plan([np.array([[1.0], [3.0]])], ALONE, 1, 5)
    assert len(set(made.weights)) == 1
    np.testing.assert_array_equal(made.units, 1)
