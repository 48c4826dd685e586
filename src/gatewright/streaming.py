"""Stream: a network and its state, fed a step or a chunk at a time."""

from typing import Any

import numpy as np
from numpy import ndarray

from gatewright import inputs
from gatewright.arrays import Array, numbers
from gatewright.checks import whole_number
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.layers import Layer
from gatewright.parameters import Scope
from gatewright.prepared import Prepared, prepared
from gatewright.state import checked, tree_map
from gatewright.threads import Threads


class Stream:
    """A network that keeps its state from call to call, for `batch_size` rows side by side.

    The numbers are those of the whole sequence at once, to rounding. Made by `model.stream(batch_size)`, whose later training
    it sees. Raises OptionError for a network that reads its sequence from the end, ShapeError or DataError for an impossible
    x or state. Where the network gives its last output alone (return_sequences=False), `run` gives that of the chunk.
    """

    def __init__(
        self,
        layer: Layer,
        params: Scope,
        dtype: Any,
        batch_size: int = 1,
        kernel: str = "auto",
        threads: Threads | None = None,
    ) -> None:
        whole_number("batch_size", batch_size)
        if layer.chunk_problem:
            raise OptionError(f"this network can't be streamed: {layer.chunk_problem}")
        self._layer, self._params, self._batch, self._kernel = layer, params, batch_size, kernel
        self._threads = threads or Threads(None)
        self._dtype = np.dtype(dtype)
        self._x_rank = 1 if layer.takes_indices else 2  # of one step
        self._fast: Prepared | None = None  # a step
        self._fast_version = -1  # of the parameters for which `_fast` was made, or found to be impossible
        features = layer.features_in or 1
        self._shapes = ((batch_size, features), *([(features,)] if batch_size == 1 else []))  # of one step
        self._state = self._beginning()

    def _beginning(self) -> Any:
        """The state before the first step, learned or zero: what a sequence of no steps leaves."""
        features = () if self._layer.takes_indices else (self._layer.features_in or 1,)
        nothing = np.zeros((self._batch, 0, *features), np.intp if self._layer.takes_indices else self._dtype)
        return self._layer.forward(self._params, nothing, None, kernel=self._kernel)[1]

    @property
    def state(self) -> Any:
        """The state (a copy), in the form that `model.run` takes and gives; may be set."""
        return tree_map(np.array, self._state)

    @state.setter
    def state(self, state: Any) -> None:
        new = checked(state, self._layer.state_shape(self._batch), self._dtype)
        self._set(self._beginning() if new is None else tree_map(np.array, new))

    def _set(self, state: Any) -> None:
        """Takes over a state, which nobody else may hold; what was prepared for the old one's arrays is prepared anew."""
        self._state, self._fast_version = state, -1

    def reset(self, rows: Any = None) -> None:
        """Begins anew: all rows, or those that an index, a list of indices or a bool array (B,) picks."""
        fresh = self._beginning()
        if rows is None:
            self._set(fresh)
            return
        chosen = np.zeros(self._batch, bool)
        try:
            chosen[rows] = True
        except (IndexError, ValueError):
            raise DataError(f"rows: got {rows!r}, wanted indices of the {self._batch} rows of this stream") from None
        self._set(tree_map(lambda old, new: np.where(chosen[:, None], new, old), self._state, fresh))

    def step(self, x: Any) -> Any:
        """One step: x (B, F) -> (B, O), or (F,) -> (O,) where batch_size is 1; with an Embedding indices, (B,) or one."""
        edits = self._params.edits  # here a property's call would be a twentieth of the step
        fast = self._fast if self._fast_version == edits.count and not edits.open else self._prepared()
        if fast is not None and type(x) is ndarray and x.dtype is self._dtype and x.shape in self._shapes and fast.run(x):
            return (fast.y if x.ndim == 2 else fast.y[0]).copy()
        x = numbers(x, "x")
        if fast is not None and x.shape in self._shapes:  # a list, or other numbers
            with np.errstate(over="ignore"):  # what has no place in float32 becomes infinity, and is refused below
                done = fast.run(x)
            if done:
                return (fast.y if x.ndim == 2 else fast.y[0]).copy()
        alone = self._batch == 1 and x.ndim == self._x_rank - 1
        rows, features = x[None] if alone else x, self._layer.features_in
        if rows.ndim != self._x_rank or len(rows) != self._batch or features not in (None, rows.shape[-1]):
            wanted = f"({self._batch},)" if self._layer.takes_indices else f"({self._batch}, {features or 'features'})"
            raise ShapeError(f"stream.step: got x of shape {x.shape}, wanted {wanted}, one step of every row; see stream.run")
        y = tree_map(lambda a: a[:, 0] if a.ndim == 3 else a, self._forward(rows[:, None]))
        return tree_map(lambda a: np.array(a[0] if alone else a), y)

    def run(self, x: Any) -> Any:
        """A chunk of steps: x (B, T, F) -> (B, T, O); with an Embedding indices (B, T)."""
        x = numbers(x, "x")
        if not x.ndim or len(x) != self._batch:
            raise ShapeError(f"stream.run: got x of shape {x.shape}, wanted {self._batch} rows, this stream's batch_size")
        self._layer.shape_out(x.shape)
        return tree_map(np.array, self._forward(x))

    def _forward(self, x: Array) -> Any:
        x = inputs.values(self._layer, x, None, self._dtype)
        with self._threads.limit():
            y, self._state, _ = self._layer.forward(self._params, x, self._state, kernel=self._kernel)
        if self._fast is not None:
            self._fast_version = -1  # it reads the old state's arrays
        return y

    def _prepared(self) -> Prepared | None:
        """A compiled step for the parameters and the state as they are now, or None."""
        self._fast, self._fast_version = None, self._params.version
        if not self._layer.takes_indices:
            x = np.zeros((self._batch, self._layer.features_in or 1), self._dtype)
            with self._threads.allow():
                self._fast = prepared(self._layer, self._params, x, self._state, self._kernel)
        if self._fast is not None:
            self._state = self._fast.state
        return self._fast

    def __repr__(self) -> str:
        return f"Stream({self._layer!r}, batch_size={self._batch})"
