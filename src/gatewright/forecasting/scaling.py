"""From a column's units to numbers of order one, and back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError, one_of

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
        if kind == "none":
            return scaler
        spread = float(known.std())
        # A column that never changes in training gets no unit of its own: it may change later.
        return cls(kind, float(known.mean()), spread if spread > 1e-12 * max(1.0, float(np.abs(known).max())) else 1.0)

    def check(self, y: Array, name: str) -> None:
        """Raises DataError where y `(T,)` has a value that has no square root or logarithm."""
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
