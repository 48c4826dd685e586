"""A cell run over packed steps: one dense rectangle after the other, the state handed on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.steps import Packing, Whole


class Pair(NamedTuple):
    """A cell's two functions over a rectangle, in NumPy or compiled, with its weights and options already given."""

    forward: Callable[..., Any]  # (x, state=) -> cache; in NumPy also keep=
    backward: Callable[..., Any]  # (cache, dsteps=, dstate=) -> gradients


class Masks(NamedTuple):
    """What dropout multiplies by in training, the same at every step (Gal & Ghahramani 2016); None: it is not there."""

    x: Array | None = None  # (S, F) the input
    h: Array | None = None  # (S, G * H) the hidden state on its way to U, gate by gate; see cells/dropped.py

    def input(self, x: Any) -> Any:
        """x (depth, S, F), or its gradient, times its mask; None stays None."""
        return x if x is None or self.x is None else x * self.x

    def state(self, n: int) -> dict[str, Array]:
        """What the cell is told, of the first n columns."""
        return {} if self.h is None else {"keep": self.h[:n]}


class Scan(NamedTuple):
    """What a scan keeps for its backward pass."""

    shape: tuple[int, ...]  # of x: (depth, S, F)
    caches: tuple[Any, ...]  # the cell's, one a rectangle
    kernel: Any = None  # whose caches they are; None: the cell's own
    masks: Masks = Masks()


class Replay(NamedTuple):
    """What compiled inference keeps: enough to run the cell again when its backward pass is asked for."""

    shape: tuple[int, ...]  # of x: (depth, S, F)
    x: Array
    state: Any  # the initial one, (S, H)


def forward(pair: Pair, x: Array, state: Any, packing: Packing, masks: Masks) -> tuple[Any, Any, tuple[Any, ...]]:
    """The states after every step `(depth, S, H)`, the final state `(S, H)` and the caches, for x `(depth, S, F)`.

    The states may be views of what the caches hold.
    """
    State, x = type(state), masks.input(x)
    if isinstance(packing, Whole):
        cache = pair.forward(x, state=state, **masks.state(x.shape[1]))
        return State(*(a[1:] for a in cache.states)), State(*(a[-1] for a in cache.states)), (cache,)
    sequence = State(*(np.zeros((x.shape[0], *array.shape), array.dtype) for array in state))
    state = State(*(array.copy() for array in state))
    caches = []
    for start, stop, n in packing.rectangles():
        cache = pair.forward(x[start:stop, :n], state=State(*(array[:n] for array in state)), **masks.state(n))
        for whole, now, part in zip(sequence, state, cache.states, strict=True):
            whole[start:stop, :n], now[:n] = part[1:], part[-1]
        caches.append(cache)
    return sequence, state, tuple(caches)


def backward(pair: Pair, scan: Scan, dsequence: Any, dstate: Any, packing: Packing) -> tuple[Array | None, Any, Any]:
    """(dx, dweights, dstate): undoes `forward`, from the last rectangle to the first; dx is None if the pair leaves it out.

    `dsequence` is a State of `(depth, S, H)`, an unused one None; `dstate` a State of `(S, H)`.
    """
    if isinstance(packing, Whole):
        part = pair.backward(scan.caches[0], dsteps=dsequence, dstate=dstate)
        return scan.masks.input(part.x), part.weights, part.state
    State, dweights = type(dstate), None
    dx = np.zeros(scan.shape, dsequence[0].dtype)
    dstate = State(*(array.copy() for array in dstate))
    for (start, stop, n), cache in zip(reversed(packing.rectangles()), reversed(scan.caches), strict=True):
        dsteps = State(*(None if array is None else array[start:stop, :n] for array in dsequence))
        part = pair.backward(cache, dsteps=dsteps, dstate=State(*(array[:n] for array in dstate)))
        if part.x is not None:
            dx[start:stop, :n] = part.x
        for whole, now in zip(dstate, part.state, strict=True):
            whole[:n] = now
        dweights = part.weights if dweights is None else _sum(dweights, part.weights)
    return scan.masks.input(dx), dweights, dstate


def _sum(weights: Any, more: Any) -> Any:
    return type(weights)(*(None if a is None else a + b for a, b in zip(weights, more, strict=True)))
