"""Windows, increments and the filling of gaps, against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.forecasting import windows
from gatewright.forecasting.windows import View

NAN = np.nan


def view(columns, length=3, trending=False):
    return View(
        length, np.linspace(0.5, 1.5, columns), np.full(columns, trending), np.ones(columns, bool), np.zeros(columns, bool)
    )


def test_a_window_is_the_rows_up_to_its_end():
    rows = np.arange(10.0)[:, None]
    seen = windows.windows(windows.padded(rows, 4, -1.0), np.array([0, 2, 9]), 4)
    np.testing.assert_array_equal(seen[..., 0], [[-1, -1, -1, 0], [-1, 0, 1, 2], [6, 7, 8, 9]])


def test_inputs_are_values_and_flags_and_increments_where_there_is_a_trend():
    filled = np.array([[1.0, 10.0], [3.0, 40.0], [2.0, 20.0]])
    missing = np.array([[False, False], [True, False], [False, True]])
    seen = View(2, np.array([0.5, 10.0]), np.array([False, True]), np.array([True, True]), np.zeros(2, bool))
    expected = np.array([[0, 0, 1, 1], [1, 0, 0, 0], [3, 3, 1, 0], [2, -2, 0, 1]])
    np.testing.assert_array_equal(windows.inputs(filled, missing, seen), expected)
    unflagged = seen._replace(gaps=np.array([True, False]))  # a flag that training never raised says nothing
    expected[3, 3] = 0
    np.testing.assert_array_equal(windows.inputs(filled, missing, unflagged), expected)


@given(st.integers(1, 8), st.integers(1, 3), st.integers(1, 4), st.randoms(use_true_random=False))
def test_increments(rows, columns, horizon, random):
    values = np.array([[random.choice([NAN, random.random()]) for _ in range(columns)] for _ in range(rows)])
    filled = np.nan_to_num(values, nan=0.5)
    got = windows.increments(values, filled, horizon)
    for t in range(rows):
        wanted = [values[t + h, 0] - filled[t, 0] if t + h < rows else NAN for h in range(1, horizon + 1)]
        wanted += [values[t + 1, k] - filled[t, k] if t + 1 < rows else NAN for k in range(1, columns)]
        np.testing.assert_array_equal(got[t], wanted)


def test_units_are_the_error_of_persistence():
    values = np.array([[0.0], [3.0], [NAN], [1.0], [5.0]])
    np.testing.assert_allclose(windows.units(values, 2), [np.sqrt((9 + 16) / 2), 2.0])  # 3 and 4; then -2 alone
    np.testing.assert_array_equal(windows.units(np.ones((5, 2)), 1), [1, 1])


def test_begun_holds_the_last_known_value():
    values = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [3.0, 4.0]])
    np.testing.assert_array_equal(windows.begun(values), [[0, 1], [2, 1], [2, 1], [3, 4]])


def test_trends():
    t = np.arange(40.0)
    wave = np.sin(t)
    gap = t.copy()
    gap[3:9] = NAN
    columns = np.column_stack([t, wave, gap, wave + 0.2 * t, np.ones(40), np.full(40, NAN)])
    assert windows.trends(columns).tolist() == [True, False, True, True, False, False]


def predict(x):
    """Some function of whole windows (B, W, 2 C) that says 2 + C - 1 outputs: horizon 2."""
    columns = x.shape[2] // 2
    weight = np.linspace(0.2, 1, x.shape[1])[None, :, None]
    sums = np.tanh((x * weight).sum(axis=1))
    return np.column_stack([sums[:, 0] + sums[:, -1], sums[:, 0] * 0 + 99, *(sums[:, 1:columns].T)])


@pytest.mark.parametrize("trending", [False, True])
@given(random=st.randoms(use_true_random=False), rows=st.integers(1, 12), columns=st.integers(1, 3))
def test_gaps_become_the_models_own_forecasts_in_the_order_of_time(trending, random, rows, columns):
    values = np.array([[NAN if random.random() < 0.4 else random.uniform(-1, 1) for _ in range(columns)] for _ in range(rows)])
    seen = view(columns, trending=trending)
    expected = np.where(np.isnan(values[:1]), 0, values[:1])
    for t in range(1, rows):
        x = windows.inputs(expected, np.isnan(values[:t]), seen)
        said = predict(windows.windows(x, np.array([t - 1]), seen.length))[0]
        own = expected[-1] + said[[0, *range(2, columns + 1)]] * seen.steps
        expected = np.vstack([expected, np.where(np.isnan(values[t]), own, values[t])])
    np.testing.assert_allclose(windows.settle(values, seen, predict), expected, atol=2e-6)


def test_one_sweep_settles_the_first_gap():
    values = np.array([[0.5], [NAN], [NAN]])
    begun = windows.begun(values)
    swept = windows.fill(values, begun, view(1), predict)
    settled = windows.settle(values, view(1), predict)
    assert swept[1, 0] == settled[1, 0] != begun[1, 0]
    assert swept[2, 0] != settled[2, 0]
    np.testing.assert_array_equal(begun, [[0.5], [0.5], [0.5]])  # and nothing that was given is changed
