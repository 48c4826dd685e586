"""Scaling, there and back."""

import numpy as np
import pytest
from refusals import refused

from gatewright.errors import DataError, OptionError
from gatewright.forecasting.scaling import SCALES, Scaler, check_size, scaled

Y = np.array([4.0, 9.0, np.nan, 1.0, 25.0])


@pytest.mark.parametrize("kind", SCALES)
def test_there_and_back(kind):
    scaler = Scaler.fit(kind, Y, "y")
    np.testing.assert_allclose(scaler.inverse(scaler.forward(Y)), Y)


@pytest.mark.parametrize(("kind", "bend"), [("standard", lambda y: y), ("sqrt", np.sqrt), ("log", np.log)])
def test_scaled_training_values_have_mean_0_and_deviation_1(kind, bend):
    z = Scaler.fit(kind, Y, "y").forward(Y)
    assert np.nanmean(z) == pytest.approx(0, abs=1e-12)
    assert np.nanstd(z) == pytest.approx(1)
    known = bend(Y[~np.isnan(Y)])
    np.testing.assert_allclose(z[~np.isnan(Y)], (known - known.mean()) / known.std())


@pytest.mark.parametrize("unit", [1e-90, 1e-15, 1e15, 1e90])
def test_the_unit_makes_no_difference(unit):
    np.testing.assert_allclose(
        Scaler.fit("standard", Y * unit, "y").forward(Y * unit), Scaler.fit("standard", Y, "y").forward(Y)
    )


def test_none_changes_nothing():
    np.testing.assert_array_equal(Scaler.fit("none", Y, "y").forward(Y), Y)


def test_a_square_root_has_no_negative_values():
    scaler = Scaler.fit("sqrt", Y, "y")
    assert scaler.inverse(np.array([-100.0]))[0] == 0


def test_a_constant_column_keeps_its_unit():
    np.testing.assert_allclose(Scaler.fit("standard", np.full(5, 3.0), "x").forward(np.array([3.0, 5.0])), [0, 2])


def test_refusals():
    with pytest.raises(OptionError, match="scale='cube' is unknown; known: 'standard', 'sqrt', 'log', 'none'"):
        Scaler.fit("cube", Y, "y")
    with pytest.raises(DataError, match="column 'y' has -1, and scale 'sqrt' wants numbers from 0 up"):
        Scaler.fit("sqrt", np.array([1.0, -1.0]), "y")
    with pytest.raises(DataError, match="column 'y' has 0, and scale 'log' wants numbers above 0"):
        Scaler.fit("log", np.array([1.0, 0.0]), "y")
    with refused(DataError, "column 'y' has no numbers in the rows to train on"):
        Scaler.fit("standard", np.array([np.nan, np.nan]), "y")


@pytest.mark.parametrize("largest", [1.001e100, 1e300, np.inf, 0.999e-100, 5e-324])
def test_numbers_that_can_not_be_scored_are_refused(largest):
    for y in ([0, largest], [-largest, np.nan]):
        with refused(DataError, "column 'y': got numbers of up to", "from 1e-100 to 1e+100"):
            check_size(np.array(y), "y")


def test_numbers_that_can_be_scored_are_not():
    for y in ([0, 1e100], [1e-100], [0, np.nan], [np.nan], [], [1e-200, 1]):
        check_size(np.array(y, float), "y")


def test_numbers_that_leave_float32_after_scaling_are_refused():
    scalers = (Scaler("standard", 1.0, 2.0), Scaler("none"))
    values = np.array([[3.0, np.nan], [1.0, 9e29]])
    np.testing.assert_array_equal(scaled(values, ("y", "x"), scalers), [[1, np.nan], [0, 9e29]])
    with refused(DataError, "column 'x': got 9e+31, which scale 'none' makes 9e+31"):
        scaled(values * [1, 100], ("y", "x"), scalers)
    with refused(DataError, "column 'y': got 3e+31, which scale 'standard' makes 1.5e+31"):
        scaled(values * [1e31, 1], ("y", "x"), scalers)
