"""Layers that leave numbers or steps out: Dropout, Masking."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewright import checks
from gatewright.arrays import Array
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import dispatch
from gatewright.layers.base import Layer, Result, Rng, Shape, Step, dropout_mask, live_steps, zero_dead
from gatewright.layers.dispatch import Choice
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps, with_mask


@dataclass(frozen=True, init=False, repr=False)
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014) in training: each number is 0 with probability `rate`, else / (1 - rate).

    Any shape; outside training x goes through. Raises OptionError for a rate outside [0, 1).
    """

    rate: float

    def __init__(self, rate: float) -> None:
        self._store(locals())
        checks.fraction("rate", rate)

    def init(self, rng: np.random.Generator) -> Parameters:
        """No parameters."""
        return Parameters({})

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        return Step((), x, None)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """x with numbers dropped, in training."""
        live = live_steps(x, steps)
        keep = dropout_mask(x, self.rate, rng) if training and self.rate else None
        y = zero_dead(x, live)
        return y if keep is None else y * keep, None, (keep, live)

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx of the shape of dy."""
        keep, live = cache
        return zero_dead(dy if keep is None else dy * keep, live), None

    def choice(self, dtype: Any, kernel: str, training: bool = False) -> Choice:
        return dispatch.copies(kernel)

    def shape_out(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True, init=False, repr=False)
class Masking(Layer):
    """Steps whose features are all equal to `value` are dead (Keras' rule; NaN is a value too): (B, T, F) -> (B, T, F)."""

    value: float

    def __init__(self, value: float = 0.0) -> None:
        self._store(locals())
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise OptionError(f"value: got {value!r}, wanted a number")

    def init(self, rng: np.random.Generator) -> Parameters:
        """No parameters."""
        return Parameters({})

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """x with zeros at dead steps."""
        live = live_steps(x, self.steps_out(x, steps))
        return zero_dead(x, live), None, live

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx of the shape of dy, zero at dead steps."""
        return zero_dead(dy, cache), None

    def choice(self, dtype: Any, kernel: str, training: bool = False) -> Choice:
        return dispatch.copies(kernel)

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, time, features)")
        return shape

    def steps_in(self, x: Array, steps: Steps | None) -> Steps | None:
        return self.steps_out(x, steps)

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """A step is live if one of its features differs from `value`."""
        differs: Array = np.logical_not(np.isnan(x)) if math.isnan(self.value) else np.not_equal(x, x.dtype.type(self.value))
        return with_mask(steps, np.asarray(differs.any(axis=-1)))
