"""Scaling, there and back."""

import numpy as np
import pytest

from gatewright.errors import DataError, OptionError
from gatewright.forecasting.scaling import SCALES, Scaler

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
