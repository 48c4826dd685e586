"""Standardisation: each column less its mean, over its standard deviation."""

from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError


class Scaler(NamedTuple):
    """The mean and the standard deviation of each column, in the columns' units."""

    mean: Array  # (F,) float64
    scale: Array  # (F,) float64, above 0: 1 where a column never changes

    @classmethod
    def fit(cls, values: Array, weight: Array) -> "Scaler":
        """The scaler of `values` (N, F), weighted with `weight` (N,), from 0 up. Raises DataError for numbers too large."""
        values = values.astype(float)
        part = weight / weight.sum()
        with np.errstate(over="ignore", invalid="ignore"):
            mean = part @ values
            scale = np.sqrt(part @ np.square(values - mean))
        if not np.isfinite(scale).all():
            raise DataError("the numbers are too large to be standardised: their squares overflow")
        # Rounding alone makes a constant column differ from its mean.
        constant = scale <= 10 * np.finfo(float).eps * np.abs(mean)
        return cls(mean, np.where(constant, 1.0, scale))

    @classmethod
    def idle(cls, columns: int) -> "Scaler":
        """One that changes nothing."""
        return cls(np.zeros(columns), np.ones(columns))

    def forward(self, values: Array) -> Array:
        """Standardised values, (..., F) float64."""
        scaled: Array = (values - self.mean) / self.scale
        return scaled

    def inverse(self, values: Array) -> Array:
        """What `forward` was given."""
        given: Array = values * self.scale + self.mean
        return given
