"""A compiled network prepared for one shape of input: its calls in a row, and all the memory that they need."""

from typing import Any

import numpy as np
from numpy import vdot

from gatewright.arrays import Array
from gatewright.layers.base import Layer, Step
from gatewright.parameters import Scope
from gatewright.state import tree_items, tree_map
from gatewright.steps import Steps
from gatewright.threads import Threads

SMALL = 1 << 20  # bytes: copying more costs as much as it saves
MOST = 8  # shapes that are kept
FEW = 1 << 12  # numbers: one product with zeros shows NaN and infinity fastest


class Prepared:
    """What a compiled network makes of an x of one shape, every step live; run again and again, by one thread at a time.

    It allocates nothing, and serves the parameters as they were when it was made: `version`. x is (B, F), one step, or
    (B, T, F); y and the state belong to it, and are overwritten by the next run.
    """

    __slots__ = ("_arrays", "_begin", "_line", "_runs", "_zeros", "state", "version", "x", "y")

    def __init__(self, step: Step, x: Array, version: int) -> None:
        self._runs, self.y, self.state = step
        self.x, self.version, self._line = x, version, x.reshape(-1)
        self._zeros = np.zeros_like(self._line) if x.size <= FEW else None
        self._arrays = [array for _, array in tree_items(self.state)]
        self._begin = tree_map(np.copy, self.state)

    def begin(self, state: Any = None) -> None:
        """Sets the state: to that with which it was prepared, or, where it is not None, to the numbers of another."""
        for mine, (_, array) in zip(self._arrays, tree_items(_filled(state, self._begin)), strict=True):
            mine[...] = array

    def run(self, x: Array) -> bool:
        """Computes y and the state after x, of the shape of `self.x`; does nothing, and says False, if x is not finite."""
        self.x[...] = x
        if self._zeros is None:
            if not np.isfinite(self.x).all():
                return False
        elif vdot(self._line, self._zeros) != 0:  # NaN, where one is not finite
            return False
        for run in self._runs:
            run()
        return True

    def state_copy(self) -> Any:
        """The state, as the caller's own."""
        return tree_map(np.ndarray.copy, self.state)


def _filled(state: Any, begin: Any) -> Any:
    """`state` with what `begin` has wherever it has None."""
    if state is None or begin is None or not isinstance(state, tuple):
        return begin if state is None else state
    return tuple(map(_filled, state, begin))


def prepared(layer: Layer, params: Scope, x: Array, state: Any, kernel: str) -> Prepared | None:
    """What computes inputs of the shape of x from `state` (None: the learned one, or zero); None where NumPy must help."""
    step = layer.prepare(params, x, state, kernel)
    return None if step is None else Prepared(step, x, params.version)


def infer(layer: Layer, params: Scope, x: Array, start: tuple[Any, Steps | None], kernel: str) -> tuple[Any, Any]:
    """(y, state) for x from start: (state, live steps); compiled from end to end where that can be, y then being new."""
    state, live = start
    timed = x.ndim == (2 if layer.takes_indices else 3)
    step = layer.prepare(params, np.ascontiguousarray(x), state, kernel) if timed and live is None and x.size else None
    if step is None:
        return layer.forward(params, x, state, steps=live, kernel=kernel)[:2]
    for run in step.runs:
        run()
    return step.y, step.state


class Pool:
    """Prepared networks, by the shape of their input, each lent to one thread at a time; small inputs only.

    Around a small network's compiled code everything else would take longer than the code itself.
    """

    def __init__(self, layer: Layer, params: Scope, dtype: Any, kernel: str, threads: Threads) -> None:
        self._of = layer, params, dtype, kernel, threads
        self._free: dict[tuple[int, ...], list[Prepared]] = {}
        self._never: set[tuple[int, ...]] = set()  # shapes for which NumPy must help, or that don't fit

    def run(self, x: Any, state: Any = None) -> tuple[Any, Any] | None:
        """(y, state), both the caller's own, for x (B, T, F) from a checked state; None where another way must be gone."""
        layer, params, dtype, kernel, threads = self._of
        if type(x) is not np.ndarray or x.dtype != dtype or x.nbytes > SMALL or x.shape in self._never:
            return None
        try:
            network: Prepared | None = self._free[x.shape].pop()
        except (KeyError, IndexError):  # there is none, or other threads have them
            network = None
        if network is None or network.version != params.version:
            fits = x.ndim == 3 and x.size and layer.features_in in (None, x.shape[2])
            with threads.allow():
                network = prepared(layer, params, np.zeros(x.shape, dtype), None, kernel) if fits else None
            if network is None or network.y.nbytes > SMALL:
                self._never.add(x.shape)
                return None
        network.begin(state)
        found = (network.y.copy(), network.state_copy()) if network.run(x) else None
        if len(self._free) >= MOST and x.shape not in self._free:
            self._free.clear()
        self._free.setdefault(x.shape, []).append(network)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return Pool, self._of
