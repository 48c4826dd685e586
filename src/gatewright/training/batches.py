"""Training data: checked against a network and a loss once, then cut into batches of rows and windows of time."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.arrays import Array, numbers, readonly
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.steps import Steps
from gatewright.training.losses import Loss, Own
from gatewright.training.objective import Objective

ClassWeight: TypeAlias = Mapping[int, float] | Sequence[float] | Array


class Data(NamedTuple):
    """Inputs and targets as the user gave them; x and steps are checked and dense."""

    x: Array  # (B, T, F), (B, F) or, for an Embedding, (B, T)
    y: Array  # of the shape that the loss wants for the output
    steps: Steps | None = None
    sample_weight: Array | None = None  # (B,) or (B, T)


class Batch(NamedTuple):
    """Rows to learn from. Targets without weight were not even read; they are zero here."""

    x: Array
    y: Array
    steps: Steps | None
    weight: Array | None  # (B,), (B, T) or of the shape of class targets, float64, zero at dead steps; None: all 1
    timed: bool  # the output has a time axis

    @property
    def lead(self) -> tuple[int, ...]:
        """(B, T), or (B,) for one output a row: the axes of everything that has a loss."""
        return self.y.shape[: 1 + self.timed]

    @property
    def total(self) -> float:
        """The sum of the weights: what the sum of the losses is divided by."""
        return float(math.prod(self.lead)) if self.weight is None else float(self.weight.sum())

    def rows(self, index: Any) -> "Batch":
        """The rows that `index` (a slice or an index array) picks."""
        x, y, steps, weight, timed = self
        return Batch(
            x[index], y[index], None if steps is None else steps.rows(index), None if weight is None else weight[index], timed
        )

    def window(self, start: int, stop: int) -> "Batch":
        """The steps from `start` to `stop`."""
        x, y, steps, weight, timed = self
        if (start, stop) == (0, x.shape[1] if x.ndim > 1 else 0):
            return self
        cut = None if steps is None else steps.window(start, stop)
        return Batch(x[:, start:stop], y[:, start:stop], cut, None if weight is None else weight[:, start:stop], timed)

    def without_loss_before(self, time: int) -> "Batch":
        """The same steps, but those before `time` have no loss."""
        if not time:
            return self
        weight = np.ones(self.lead) if self.weight is None else self.weight.copy()
        weight[:, :time] = 0
        return self._replace(weight=weight)


def spread(weight: Array, ndim: int) -> Array:
    """`weight` with axes of length 1 behind its own, so that it multiplies an array of `ndim` axes."""
    return weight.reshape(weight.shape + (1,) * (ndim - weight.ndim))


def prepare(objective: Objective, data: Data, dtype: Any, class_weight: ClassWeight | None = None) -> Batch:
    """`data` with its targets checked and its weights joined; `dtype` is that of float targets.

    Raises ShapeError for y or weights of another shape than wanted, DataError for impossible values (naming row and
    step) and where nothing has a weight, OptionError for class weights that don't fit.
    """
    x, steps, loss = data.x, data.steps, objective.loss
    shape = objective.layer.shape_out(x.shape)
    if len(shape) < 2:
        raise ShapeError(f"the output has shape {shape}; a loss wants (B, O) or (B, T, O)")
    timed = len(shape) > 2
    y = _typed(loss, _shaped(loss, np.asarray(data.y), shape), dtype)
    lead = shape[:2] if timed else shape[:1]
    out = objective.layer.steps_out(x, steps) if timed else None
    weight = np.ones(lead) if out is None else out.live(*lead).astype(float)
    if data.sample_weight is not None:
        weight = weight * spread(_sample_weight(data.sample_weight, lead), len(lead))
    read = spread(weight > 0, y.ndim)
    wrong, wanted = loss.wrong(y, shape[-1])
    wrong = wrong & read
    if wrong.any():
        bad = np.argwhere(wrong)
        place = f"row {bad[0][0]}" + (f", step {bad[0][1]}" if timed else "")
        raise DataError(f"y: got {y[tuple(bad[0])]} in {place}; wanted {wanted} (what is masked is not read)")
    y = np.where(read, y, y.dtype.type(0)) if not read.all() else y
    if class_weight is not None:
        weight = spread(weight, y.ndim) * _class_weights(loss, class_weight, shape[-1])[y]
    if not weight.any():
        raise DataError("no loss to compute: no row, no live step, or every weight is zero")
    # Batches of rows in their order are views of what the user gave: nobody may write there.
    return Batch(readonly(x), readonly(y), steps, None if (weight == 1).all() else weight, timed)


def _shaped(loss: Loss, y: Array, shape: tuple[int, ...]) -> Array:
    if isinstance(loss, Own):  # only its author knows the rest of the shape
        lead = shape[: min(2, len(shape) - 1)]
        if y.shape[: len(lead)] != lead:
            raise ShapeError(f"y: got shape {y.shape}, wanted one that begins with {lead}, as the output {shape} does")
    elif y.shape != (wanted := loss.target_shape(shape)):
        raise ShapeError(f"y: got shape {y.shape}, wanted {wanted} for the output {shape} and the loss {loss}")
    return y


def _typed(loss: Loss, y: Array, dtype: Any) -> Array:
    if loss.classes:
        if y.dtype.kind not in "iu":
            raise DataError(f"y: got {y.dtype}, wanted the numbers of the classes, as integers; try y.astype(int)")
        return y
    if y.dtype.kind not in "fiub":
        raise DataError(f"y: got {y.dtype}, wanted numbers")
    with np.errstate(over="ignore"):  # what has no place in float32 becomes infinity, and is refused
        return y if isinstance(loss, Own) and y.dtype.kind != "f" else y.astype(dtype, copy=False)


def _sample_weight(weight: Any, lead: tuple[int, ...]) -> Array:
    got = numbers(weight, "sample_weight")
    if got.shape not in (lead, lead[:1]):
        wanted = " or ".join(str(shape) for shape in dict.fromkeys((lead[:1], lead)))
        raise ShapeError(f"sample_weight: got shape {got.shape}, wanted {wanted}")
    return _not_negative("sample_weight", got)


def _not_negative(name: str, weights: Array) -> Array:
    wrong = weights[~(np.isfinite(weights) & (weights >= 0))]
    if len(wrong):
        raise DataError(f"{name}: got {wrong[0]}, wanted finite numbers from 0 up")
    return weights.astype(float)


def _class_weights(loss: Loss, given: ClassWeight, classes: int) -> Array:
    if not loss.classes:
        raise OptionError(f"class_weight: the targets of {loss} are not classes; use sample_weight")
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in range(classes)]
        if unknown:
            raise OptionError(f"class_weight: got the class {unknown[0]!r}, wanted a class 0 … {classes - 1}")
        given = [given.get(number, 1.0) for number in range(classes)]
    weights = numbers(given, "class_weight")
    if weights.shape != (classes,):
        raise OptionError(f"class_weight: got shape {weights.shape}, wanted ({classes},), a weight a class")
    return _not_negative("class_weight", weights)


def weigh(loss: Loss, output: Array, batch: Batch, total: float) -> tuple[Any, Array]:
    """The loss of a batch, a number of the output's kind (complex too), and its gradient, of the shape of `output`.

    It is the sum over the outputs of weight times loss, divided by the number of outputs a step and by `total`, the sum of
    all weights of the update that the batch is part of.
    """
    values, doutput = loss(output, batch.y)
    if batch.weight is None:
        scale = 1 / (total * (values.size / math.prod(batch.lead)))
        return values.sum(dtype=np.result_type(values, float)) * scale, doutput * scale
    weight = batch.weight / (total * (values.size / batch.weight.size))
    w = spread(weight, values.ndim)
    value = (np.where(w > 0, values, 0) * w).sum()
    # Class targets may have weights of their own for each of several outputs a step; the columns of one share a weight.
    w = spread(weight, doutput.ndim).astype(doutput.real.dtype)
    return value, np.where(w > 0, doutput, doutput.dtype.type(0)) * w


class Window(NamedTuple):
    """A stretch of time that one update of truncated back-propagation sees."""

    start: int  # back-propagation reaches to here
    handoff: int  # where the next window begins: its state is taken from here
    stop: int
    fresh: int  # steps before this one had their loss in an earlier window


def windows(time: int, tbptt: tuple[int, int] | None) -> Iterator[Window]:
    """The windows over `time` steps: an update every k1 steps, each back through the last k2 steps (Williams & Peng 1990).

    Without `tbptt` one window with everything.
    """
    k1, k2 = tbptt or (time, time)
    start = fresh = 0
    for stop in [*range(k1, time, max(k1, 1)), time]:
        handoff = stop if stop == time else max(0, min(stop + k1, time) - k2)
        yield Window(start, handoff, stop, fresh)
        start, fresh = handoff, stop
