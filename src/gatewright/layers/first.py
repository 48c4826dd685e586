"""Layers that stand first, for they read the network's own input: Embedding, Masking."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gatewright import checks, initializers
from gatewright.arrays import Array, rows
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import dispatch
from gatewright.layers.base import Layer, Result, Rng, Shape, Step, live_steps, spread, zero_dead
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps, with_mask


@dataclass(frozen=True, init=False, repr=False)
class Embedding(Layer):
    """A vector for every index: (…) whole numbers in 0 … count - 1 -> (…, size).

    E is (count, size). mask_zero: index 0 is padding; its steps are dead, for the layers behind this one too.
    embeddings_initializer: by name. trainable: False freezes E. Raises OptionError for impossible options.
    """

    count: int
    size: int
    mask_zero: bool
    embeddings_initializer: str
    trainable: bool

    def __init__(
        self,
        count: int,
        size: int,
        *,
        mask_zero: bool = False,
        embeddings_initializer: str = "random_uniform",
        trainable: bool = True,
    ) -> None:
        self._store(locals())
        checks.whole_number("count", count)
        checks.whole_number("size", size)
        checks.true_or_false("mask_zero", mask_zero)
        checks.true_or_false("trainable", trainable)
        initializers.initializer("embeddings_initializer", embeddings_initializer)

    def shapes(self) -> dict[str, Shape]:
        return {"E": (self.count, self.size)}

    def init(self, rng: np.random.Generator) -> Parameters:
        """E (count, size)."""
        draw = initializers.initializer("embeddings_initializer", self.embeddings_initializer)
        arrays = {"E": draw(rng, (self.count, self.size))}
        return Parameters.of(arrays, () if self.trainable else arrays, float)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """The rows of E that x names, (…, size)."""
        live = live_steps(x, self.steps_out(x, steps))
        flat = x.ravel() if live is None else x[live]
        return spread(params["E"][flat], live, (*x.shape, self.size)), None, (flat, live, x.shape)

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        if self.mask_zero:
            return None
        y = np.empty((*x.shape, self.size), params["E"].dtype)  # the indices are in range, and "clip" is faster than to ask
        return Step((partial(np.take, params["E"], x, axis=0, out=y, mode="clip"),), y)

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """Adds dy (…, size) to the rows of E that x named. An index has no gradient: dx (…) is zero."""
        flat, live, shape = cache
        dE = np.zeros(params["E"].shape, dy.dtype)
        np.add.at(dE, flat, rows(dy) if live is None else dy[live])
        grads.add("E", dE)
        return np.zeros(shape, dy.dtype), None

    choice = dispatch.copies

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, time), a whole number a step")
        return (*shape, self.size)

    def steps_in(self, x: Array, steps: Steps | None) -> Steps | None:
        return self.steps_out(x, steps)

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """With mask_zero the steps of index 0 are dead."""
        return with_mask(steps, x != 0) if self.mask_zero else steps

    @property
    def takes_indices(self) -> bool:
        return True


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
        """x (B, T, F) with zeros at dead steps."""
        live = live_steps(x, self.steps_out(x, steps))
        return zero_dead(x, live), None, live

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx of the shape of dy, zero at dead steps."""
        return zero_dead(dy, cache), None

    choice = dispatch.copies

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
