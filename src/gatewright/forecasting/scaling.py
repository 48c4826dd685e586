"""From a column's units to numbers of order one, and back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError, one_of

LARGEST = 1e100  # squares of larger numbers, and of such as are smaller than 1 / LARGEST, soon leave float64
LARGEST_SCALED = 1e30  # networks count in float32
SCALES = ("standard", "sqrt", "log", "none")
_BENDS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sqrt": (np.sqrt, lambda z: np.square(np.maximum(z, 0))),
    "log": (np.log, np.exp),
}


@dataclass(frozen=True)
class Scaler:
    """z = (f(y) - mean) / std, where f is the square root, the logarithm or nothing.

    The square root evens out the noise of counts, the logarithm that of growth (Box & Cox 1964).
    """

    kind: str
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def fit(cls, kind: str, y: Array, name: str) -> "Scaler":
        """The scaler of a column from its training values `(T,)`; NaN is left out. `name` is for messages.

        Raises OptionError for an unknown kind, DataError for values that it can't take.
        """
        if kind not in SCALES:
            raise one_of("scale", kind, SCALES)
        scaler = cls(kind)
        scaler.check(y, name)
        known = scaler._bend(y[~np.isnan(y)])
        if not len(known):
            raise DataError(f"column {name!r} has no numbers in the rows to train on, only missing values")
        if kind == "none":
            return scaler
        spread = float(known.std())
        # A column that never changes in training gets no unit of its own: it may change later.
        return cls(kind, float(known.mean()), spread if spread > 1e-12 * float(np.abs(known).max()) else 1.0)

    def check(self, y: Array, name: str) -> None:
        """Raises DataError where y `(T,)` is too large or small, or has a value that has no square root or logarithm."""
        check_size(y, name)
        wrong = y < 0 if self.kind == "sqrt" else y <= 0 if self.kind == "log" else np.zeros(y.shape, bool)
        if wrong.any():
            wanted = "from 0 up" if self.kind == "sqrt" else "above 0"
            raise DataError(f"column {name!r} has {y[wrong][0]:g}, and scale {self.kind!r} wants numbers {wanted}")

    def forward(self, y: Array) -> Array:
        """The scaled values, of the shape of y."""
        return (self._bend(y) - self.mean) / self.std

    def inverse(self, z: Array) -> Array:
        """The values in the column's units, of the shape of z."""
        value = z * self.std + self.mean
        return _BENDS[self.kind][1](value) if self.kind in _BENDS else value

    def _bend(self, y: Array) -> Array:
        return _BENDS[self.kind][0](y) if self.kind in _BENDS else y


def check_size(y: Array, name: str) -> None:
    """Raises DataError where the squares of a column `(T,)` can't be told in float64; one of zeros is fine."""
    largest = _largest(y)
    if largest and not 1 / LARGEST <= largest <= LARGEST:
        wanted = f"the largest to be from {1 / LARGEST:g} to {LARGEST:g}"
        raise DataError(f"column {name!r}: got numbers of up to {largest:g}, wanted {wanted}: take another unit")


def scaled(values: Array, names: tuple[str, ...], scalers: tuple[Scaler, ...]) -> Array:
    """The columns of `values` (T, C) by their scalers. Raises DataError where they can't take them, or the network can't."""
    columns = []
    for y, name, scaler in zip(values.T, names, scalers, strict=True):
        scaler.check(y, name)
        z = scaler.forward(y)
        if _largest(z) > LARGEST_SCALED:
            said = f"column {name!r}: got {_largest(y):g}, which scale {scaler.kind!r} makes {_largest(z):g}"
            raise DataError(f"{said}; wanted numbers that stay below {LARGEST_SCALED:g}")
        columns.append(z)
    return np.column_stack(columns)


def _largest(y: Array) -> float:
    return float(np.abs(y).max(initial=0.0, where=~np.isnan(y)))
