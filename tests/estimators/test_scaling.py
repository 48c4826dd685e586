"""Standardisation."""

import numpy as np
from refusals import refused

from gatewright.errors import DataError
from gatewright.estimators.scaling import Scaler

RNG = np.random.default_rng(0)


def test_columns_become_standard_and_come_back():
    values = RNG.normal(size=(50, 3)) * [1, 1e-3, 1e5] + [0, 1, 1e7]
    scaler = Scaler.fit(values, np.ones(50))
    z = scaler.forward(values)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(scaler.inverse(z), values, rtol=1e-12)


def test_a_weight_of_two_is_a_row_twice():
    values, weight = RNG.normal(size=(20, 2)), RNG.integers(0, 4, size=20)
    for weighted, repeated in zip(
        Scaler.fit(values, weight), Scaler.fit(values.repeat(weight, axis=0), np.ones(weight.sum())), strict=True
    ):
        np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


def test_a_column_that_never_changes_is_only_moved():
    scaler = Scaler.fit(np.full((7, 1), 0.1), np.ones(7))
    assert scaler.scale.tolist() == [1]
    np.testing.assert_allclose(scaler.forward(np.array([[0.1]])), 0, atol=1e-15)


def test_numbers_too_large_are_refused():
    with refused(DataError, "too large"):
        Scaler.fit(np.array([[1e300], [-1e300]]), np.ones(2))
