"""Pooling: the largest or the mean of some steps, or of all."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import dispatch, sliding
from gatewright.layers.base import Layer, Result, Rng, Shape, live_steps, zero_dead
from gatewright.layers.sliding import Layout, Window
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps


@dataclass(frozen=True, init=False, repr=False)
class Pooling(Layer):
    """What the layers have in common that pool windows: (B, T, F) -> (B, T', F), each feature by itself."""

    size: int
    stride: int | None
    padding: str

    def __init__(self, size: int, *, stride: int | None = None, padding: str = "valid") -> None:
        self._store(locals())
        self.window.check("size", ("valid", "same"))

    @cached_property
    def window(self) -> Window:
        """The steps that one step of the output reads."""
        return Window(self.size, self.size if self.stride is None else self.stride, self.padding)

    def layout(self, x: Array, steps: Steps | None) -> Layout:
        """How x (B, T, F) is laid out."""
        return Layout(self.window, x.shape, sliding.lengths(self, steps, *x.shape[:2]))

    def init(self, rng: np.random.Generator) -> Parameters:
        """No parameters."""
        return Parameters({})

    def shape_out(self, shape: Shape) -> Shape:
        return (shape[0], self.window.time_out(shape), shape[2])

    def lengths_out(self, lengths: Array) -> Array:
        return np.asarray(self.window.count(lengths))

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """Every row has as many live steps as windows."""
        return sliding.steps_out(self, self.window, x, steps)

    @property
    def chunk_problem(self) -> str | None:
        if self.size == self.window.stride == 1:
            return None
        return f"{type(self).__name__} makes one step of several, which a chunk may cut"


class MaxCache(NamedTuple):
    layout: Layout
    at: Array  # (B, T', F) which of a window's steps is the largest


@dataclass(frozen=True, init=False, repr=False)
class MaxPooling1D(Pooling):
    """The largest number of every `size` steps, each feature by itself: (B, T, F) -> (B, T', F).

    stride: how much further the next window is (None: size). padding: "valid", or "same", where the first and last windows have
    fewer steps. The gradient goes to the first of equal ones. Raises OptionError for impossible options.
    """

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (B, T', F) for x (B, T, F)."""
        layout = self.layout(x, steps)
        taps = np.stack(layout.taps(layout.lay(x, -np.inf)))
        at = taps.real.argmax(axis=0)
        y = np.take_along_axis(taps, at[None], axis=0)[0]
        return zero_dead(y, layout.live), None, MaxCache(layout, at)

    choice = dispatch.copies

    def backward(self, params: Scope, grads: Scope, cache: MaxCache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (B, T, F) from dy (B, T', F): each goes where the number came from."""
        layout, at = cache
        dtaps = np.zeros((self.size, *dy.shape), dy.dtype)
        np.put_along_axis(dtaps, at[None], zero_dead(dy, layout.live)[None], axis=0)
        return layout.d_lay(layout.d_taps(dtaps)), None


class AverageCache(NamedTuple):
    layout: Layout
    number: Array  # (B, T', 1) how many steps of the row a window has


@dataclass(frozen=True, init=False, repr=False)
class AveragePooling1D(Pooling):
    """The mean of every `size` steps, each feature by itself: (B, T, F) -> (B, T', F).

    stride: how much further the next window is (None: size). padding: "valid", or "same", where the first and last windows have
    fewer steps, and the mean is over those. Raises OptionError for impossible options.
    """

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (B, T', F) for x (B, T, F)."""
        layout = self.layout(x, steps)
        # Python's sum: one step after the other, so that the bits don't depend on the batch.
        ones = layout._replace(shape=(*x.shape[:2], 1)).lay(np.ones((*x.shape[:2], 1), x.real.dtype))
        number = np.maximum(np.asarray(sum(layout.taps(ones))), 1)
        y = np.asarray(sum(layout.taps(layout.lay(x)))) / number
        return zero_dead(y, layout.live), None, AverageCache(layout, number)

    def backward(self, params: Scope, grads: Scope, cache: AverageCache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (B, T, F) from dy (B, T', F)."""
        layout, number = cache
        dtap = zero_dead(dy, layout.live) / number
        return layout.d_lay(layout.d_taps([dtap] * self.size)), None


@dataclass(frozen=True, repr=False)
class GlobalPooling(Layer):
    """What the layers have in common that pool all live steps of a row: (B, T, F) -> (B, F)."""

    def init(self, rng: np.random.Generator) -> Parameters:
        """No parameters."""
        return Parameters({})

    def live(self, x: Array, steps: Steps | None) -> Array | None:
        """(B, T) bool: the live steps, or None where all of them are. Raises OptionError for starts."""
        if steps is not None and steps.starts is not None and steps.starts.any():
            raise OptionError(f"{type(self).__name__}: starts are for recurrent layers; it would pool several sequences as one")
        return live_steps(x, steps)

    def shape_out(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, time, features)")
        return (shape[0], shape[2])

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """None: one output a row."""
        return None

    @property
    def chunk_problem(self) -> str | None:
        return f"{type(self).__name__} pools the whole sequence"


class GlobalMaxCache(NamedTuple):
    shape: Shape  # of x
    at: Array  # (B, F) the step that is the largest
    some: Array  # (B, 1) bool: the row has a live step


@dataclass(frozen=True, repr=False)
class GlobalMaxPooling1D(GlobalPooling):
    """The largest number of all live steps of a row, each feature by itself, zero if there is none: (B, T, F) -> (B, F)."""

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (B, F) for x (B, T, F)."""
        live = self.live(x, steps)
        live = np.ones(x.shape[:2], bool) if live is None else live
        if not x.shape[1]:  # of nothing there is no largest
            y, at = np.zeros((len(x), x.shape[2]), x.dtype), np.zeros((len(x), x.shape[2]), int)
        else:
            at = np.where(live[..., None], x.real, -np.inf).argmax(axis=1)
            y = np.take_along_axis(x, at[:, None], axis=1)[:, 0]
        some = np.asarray(live.any(axis=1))[:, None]
        return np.where(some, y, y.dtype.type(0)), None, GlobalMaxCache(x.shape, at, some)

    choice = dispatch.copies

    def backward(self, params: Scope, grads: Scope, cache: GlobalMaxCache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (B, T, F) from dy (B, F): each goes where the number came from."""
        dx = np.zeros(cache.shape, dy.dtype)
        if dx.size:
            np.put_along_axis(dx, cache.at[:, None], np.where(cache.some, dy, dy.dtype.type(0))[:, None], axis=1)
        return dx, None


class GlobalAverageCache(NamedTuple):
    shape: Shape  # of x
    live: Array | None  # (B, T)
    number: Array  # (B, 1) the live steps, at least 1


@dataclass(frozen=True, repr=False)
class GlobalAveragePooling1D(GlobalPooling):
    """The mean of all live steps of a row, each feature by itself, zero if there is none: (B, T, F) -> (B, F)."""

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """y (B, F) for x (B, T, F)."""
        live = self.live(x, steps)
        lengths = np.full(len(x), x.shape[1]) if live is None else live.sum(axis=1)
        number = np.maximum(lengths, 1)[:, None].astype(x.real.dtype)
        # A running sum adds one step after the other, so that the bits don't depend on the batch or on what is behind a row.
        total = zero_dead(x, live).cumsum(axis=1)[:, -1] if x.shape[1] else np.zeros((len(x), x.shape[2]), x.dtype)
        return total / number, None, GlobalAverageCache(x.shape, live, number)

    def backward(
        self, params: Scope, grads: Scope, cache: GlobalAverageCache, dy: Array, dstate: Any = None
    ) -> tuple[Array, Any]:
        """dx (B, T, F) from dy (B, F): every live step has its share."""
        return zero_dead(np.repeat((dy / cache.number)[:, None], cache.shape[1], axis=1), cache.live), None
