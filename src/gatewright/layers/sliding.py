"""Windows that slide over time: what convolution and pooling have in common.

Every row is laid into an array with room around it, so that window t begins at step `t * stride` there, whatever the padding
and the length of the row. A row of n steps is laid as it would be alone.
"""

from typing import Any, NamedTuple

import numpy as np

from gatewright import checks
from gatewright.arrays import Array
from gatewright.errors import OptionError, ShapeError, one_of
from gatewright.layers.base import Shape
from gatewright.steps import Steps, live_or_none


class Window(NamedTuple):
    """The steps that one step of the output reads: `size` of them, every `dilation`-th; the next window is `stride` further.

    padding: "valid" (none: a window lies within the row), "same" (Keras' rule: ceil(n / stride) windows, the zeros shared
    between both ends, the odd one at the end) or "causal" (zeros before the row, so that no window reads ahead).
    """

    size: int
    stride: int
    padding: str
    dilation: int = 1

    def check(self, size: str, paddings: tuple[str, ...]) -> None:
        """Raises OptionError for impossible values; `size` is the option's name."""
        for name, got in ((size, self.size), ("stride", self.stride), ("dilation", self.dilation)):
            checks.whole_number(name, got)
        if self.padding not in paddings:
            raise one_of("padding", self.padding, paddings)

    @property
    def reach(self) -> int:
        """The steps from a window's first to its last."""
        return (self.size - 1) * self.dilation + 1

    def count(self, lengths: Any) -> Any:
        """The windows over rows of so many steps, an int or an array of them."""
        if self.padding == "valid":
            return np.maximum((lengths - self.reach) // self.stride + 1, 0)
        return -(-lengths // self.stride)

    def before(self, lengths: Any) -> Any:
        """The zeros before rows of so many steps."""
        if self.padding == "causal":
            return 0 * lengths + self.reach - 1
        missing = (self.count(lengths) - 1) * self.stride + self.reach - lengths
        return 0 * lengths if self.padding == "valid" else np.maximum(missing, 0) // 2

    def time_out(self, shape: Shape) -> int:
        """The steps that come out for an input of `shape` (B, T, F). Raises ShapeError for another, and for too few steps."""
        if len(shape) != 3:
            raise ShapeError(f"got x of shape {shape}, wanted (batch, time, features)")
        if self.padding == "valid" and shape[1] < self.reach:
            raise ShapeError(f"got x of {shape[1]} steps, wanted at least {self.reach}, a whole window: padding='valid'")
        return int(self.count(shape[1]))


def lengths(layer: object, steps: Steps | None, batch: int, time: int) -> Array | None:
    """(B,) the live steps of every row, which stand at its beginning; None where all of them live.

    Raises OptionError for a start or a hole: what a window over them means nobody has said.
    """
    if steps is not None and steps.starts is not None and steps.starts.any():
        raise OptionError(f"{type(layer).__name__}: starts are for recurrent layers; give every sequence as a row of its own")
    live = live_or_none(steps, batch, time)
    if live is None:
        return None
    found = live.sum(axis=1)
    for row in np.flatnonzero((live != (np.arange(time) < found[:, None])).any(axis=1))[:1]:
        raise OptionError(f"{type(layer).__name__}: the mask of row {row} has a hole; wanted rows that are padded at their end")
    return np.asarray(found)


def steps_out(layer: object, window: Window, x: Array, steps: Steps | None) -> Steps | None:
    """The steps behind a layer with such windows, for x (B, T, F)."""
    found = lengths(layer, steps, *x.shape[:2])
    return None if found is None else Steps(window.count(found))


class Layout(NamedTuple):
    """A batch laid out for its windows."""

    window: Window
    shape: Shape  # (B, T, F) of x
    lengths: Array | None  # (B,)

    @property
    def time(self) -> int:
        """T', the windows of a row."""
        return int(self.window.count(self.shape[1]))

    @property
    def live(self) -> Array | None:
        """(B, T') bool: the windows that the rows have; None where all of them have all."""
        return None if self.lengths is None else np.arange(self.time) < self.window.count(self.lengths)[:, None]

    @property
    def laid(self) -> Shape:
        """(B, L, F): what the batch is laid into."""
        batch, time, features = self.shape
        return batch, self.window.reach + max(time, self.time * self.window.stride), features

    def _places(self) -> tuple[Any, Any, Any]:
        """The rows and steps of x, and the steps to which they are laid: slices, or indices of the live ones."""
        if self.lengths is None:
            first = int(self.window.before(self.shape[1]))
            return slice(None), slice(None), slice(first, first + self.shape[1])
        row, step = np.nonzero(np.arange(self.shape[1]) < self.lengths[:, None])
        return row, step, step + self.window.before(self.lengths)[row]

    def lay(self, x: Array, fill: float = 0.0) -> Array:
        """x (B, T, F) laid out, (B, L, F), with `fill` around it."""
        laid = np.full(self.laid, fill, x.dtype)
        row, step, place = self._places()
        laid[row, place] = x[row, step]
        return laid

    def d_lay(self, dlaid: Array) -> Array:
        """Undoes `lay`: (B, L, F) -> (B, T, F), zero at dead steps."""
        dx = np.zeros(self.shape, dlaid.dtype)
        row, step, place = self._places()
        dx[row, step] = dlaid[row, place]
        return dx

    def taps(self, laid: Array) -> list[Array]:
        """For each of a window's K steps a view (B, T', F) of `laid`: what the windows have there."""
        _, stride, _, dilation = self.window
        starts = (k * dilation for k in range(self.window.size))
        return [laid[:, start : start + self.time * stride : stride] for start in starts]

    def d_taps(self, dtaps: Any) -> Array:
        """Undoes `taps`: (B, L, F) from K gradients (B, T', F)."""
        dlaid = np.zeros(self.laid, dtaps[0].dtype)
        for place, dtap in zip(self.taps(dlaid), dtaps, strict=True):
            place += dtap
        return dlaid
