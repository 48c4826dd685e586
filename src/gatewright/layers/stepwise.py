"""Layers that treat every step by itself, or make steps: Activate, BatchNorm, RepeatVector."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gatewright import activations, checks
from gatewright.activations import Activation, ActivationLike
from gatewright.arrays import Array, rows
from gatewright.errors import ShapeError
from gatewright.layers import dispatch
from gatewright.layers.base import Layer, Result, Rng, Shape, Step, live_steps, spread, zero_dead
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps


class ActivateCache(NamedTuple):
    x: Array  # (…, F), zero at dead steps
    y: Array  # (…, F)
    live: Array | None  # (B, T)


@dataclass(frozen=True, init=False, repr=False)
class Activate(Layer):
    """y = activation(x), of any shape: a name ("softmax" too, over the last axis), a gw.Activation, or None for y = x.

    As a branch of a gw.Parallel, None hands x on. Raises OptionError for an unknown activation.
    """

    activation: Activation

    def __init__(self, activation: ActivationLike) -> None:
        object.__setattr__(self, "activation", activations.get(activation))

    def init(self, rng: np.random.Generator) -> Parameters:
        """No parameters."""
        return Parameters({})

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y of the shape of x."""
        live = live_steps(x, steps)
        x = zero_dead(x, live)
        y = self.activation.forward(x)
        return zero_dead(y, live), None, ActivateCache(x, y, live)

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        y = np.empty_like(x)
        return Step((lambda: np.copyto(y, self.activation.forward(x)),), y)

    def backward(self, params: Scope, grads: Scope, cache: ActivateCache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx of the shape of dy."""
        return self.activation.backward(cache.x, cache.y, zero_dead(dy, cache.live)), None

    def shape_out(self, shape: Shape) -> Shape:
        return shape

    @property
    def analytic(self) -> bool:
        return self.activation.analytic


class BatchNormCache(NamedTuple):
    centred: Array  # (N, size) the live rows of x, without the mean
    live: Array | None  # (B, T)
    shape: Shape  # of x


@dataclass(frozen=True, init=False, repr=False)
class BatchNorm(Layer):
    """Batch normalisation (Ioffe & Szegedy 2015) as inference does it: y = gain (x - mean) / sqrt(var + epsilon) + shift.

    (…, size) -> (…, size), each (size,). mean and var are what training found elsewhere: they are used as they are, in training
    too, and never trained. So a network that has them can be run and fine-tuned; no statistics of a batch are ever taken.
    epsilon keeps a constant feature from a division by zero. Raises OptionError for impossible options.
    """

    size: int
    epsilon: float
    trainable: bool

    def __init__(self, size: int, *, epsilon: float = 1e-3, trainable: bool = True) -> None:
        self._store(locals())
        checks.whole_number("size", size)
        checks.true_or_false("trainable", trainable)
        checks.positive("epsilon", epsilon)

    def shapes(self) -> dict[str, Shape]:
        return dict.fromkeys(("gain", "shift", "mean", "var"), (self.size,))

    def init(self, rng: np.random.Generator) -> Parameters:
        """gain and var (size,), ones, shift and mean (size,), zeros."""
        arrays = {name: np.full(self.size, float(name in ("gain", "var"))) for name in self.shapes()}
        return Parameters.of(arrays, ("mean", "var") if self.trainable else arrays, float)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (…, size) for x (…, size)."""
        live = live_steps(x, steps)
        centred = rows(x if live is None else x[live]) - params["mean"]
        y = centred * (params["gain"] * self._scale(params)) + params["shift"]
        return spread(y, live, x.shape), None, BatchNormCache(centred, live, x.shape)

    def _scale(self, params: Scope) -> Array:
        """1 / sqrt(var + epsilon), (size,)."""
        return np.asarray(1 / np.sqrt(params["var"] + params["var"].dtype.type(self.epsilon)))

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        y = np.empty_like(x)
        lines: tuple[Any, ...] = (
            (np.subtract, x, params["mean"]),
            (np.multiply, y, params["gain"] * self._scale(params)),
            (np.add, y, params["shift"]),
        )
        return Step(tuple(partial(*line, out=y) for line in lines), y)

    def backward(self, params: Scope, grads: Scope, cache: BatchNormCache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (…, size) from dy (…, size). The gradients of mean and var are there too, for who wants to see them."""
        centred, live, shape = cache
        scale, dflat = self._scale(params), rows(dy if live is None else dy[live])
        grads.add("shift", dflat.sum(axis=0))
        dscaled = (dflat * centred).sum(axis=0)  # y = centred gain scale + shift
        grads.add("gain", dscaled * scale)
        grads.add("var", dscaled * params["gain"] * (-0.5 * scale**3))  # scale = 1 / sqrt(var + epsilon)
        dcentred = dflat * (params["gain"] * scale)
        grads.add("mean", -dcentred.sum(axis=0))  # centred = x - mean
        return spread(dcentred, live, shape), None

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) < 2 or shape[-1] != self.size:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, …, {self.size})")
        return shape

    @property
    def features_in(self) -> int | None:
        return self.size


@dataclass(frozen=True, init=False, repr=False)
class RepeatVector(Layer):
    """Every row `count` times, as the steps of a sequence: (B, F) -> (B, count, F), all of them live.

    Raises OptionError for a count below 1.
    """

    count: int

    def __init__(self, count: int) -> None:
        self._store(locals())
        checks.whole_number("count", count)

    def init(self, rng: np.random.Generator) -> Parameters:
        """No parameters."""
        return Parameters({})

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (B, count, F) for x (B, F)."""
        return np.repeat(x[:, None], self.count, axis=1), None, None

    choice = dispatch.copies

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (B, F), the sum over the steps of dy (B, count, F)."""
        return dy.sum(axis=1), None

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, features), as return_sequences=False gives")
        return (shape[0], self.count, shape[1])

    def lengths_out(self, lengths: Array) -> Array:
        return np.full_like(lengths, self.count)

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """None: every step lives."""
        return None

    @property
    def chunk_problem(self) -> str | None:
        return "RepeatVector makes a whole sequence of one row"
