"""The border: what users hand to a Model, checked, dense and in its dtype. One line says what was got and what was wanted."""

from typing import Any, NamedTuple

import numpy as np

from gatewright import layers, steps
from gatewright.arrays import Array
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.layers import Layer, Sequential
from gatewright.steps import Steps


class Batch(NamedTuple):
    """Checked input: dense, in the model's dtype, with its live steps; `lengths` where it came as a list."""

    x: Array  # (B, T, F) or (B, T) indices
    steps: Steps | None
    lengths: Array | None  # (B,) of a list of sequences: the output is a list too


def numbers(values: Any, name: str) -> Array:
    """An array of real numbers; DataError for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{name}: the rows have unequal lengths; give a list of arrays, or pad them and pass lengths") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: got {array.dtype} values, wanted numbers")
    return array


def batch(layer: Layer, x: Any, given: Steps, dtype: Any) -> Batch:
    """Checked input of a layer: an array (B, T, F), (B, T) indices, or a list of sequences.

    Raises ShapeError for a wrong rank, feature count or length, DataError for values that can't be, with row and step.
    """
    lengths = None
    if isinstance(x, list | tuple):
        if given.lengths is not None:
            raise OptionError("lengths: a list of sequences has its own; leave it out, or give x as one array")
        x, lengths = steps.ragged([numbers(row, f"x[{i}]") for i, row in enumerate(x)])
        given = given._replace(lengths=lengths)
    x = numbers(x, "x")
    if layer.takes_indices and x.dtype.kind not in "iu":
        raise DataError(f"x: got {x.dtype}, wanted whole numbers: this network begins with an Embedding")
    layer.shape_out(x.shape)
    if not _has_time(layer, x):
        if any(item is not None for item in given):
            raise ShapeError(f"lengths, mask and starts need a time axis, and x has shape {x.shape}")
        live = None
    else:
        live = steps.checked(given, *x.shape[:2])
    _check_values(layer, x, live)
    return Batch(x.astype(np.intp if layer.takes_indices else dtype, copy=False), live, lengths)


def _has_time(layer: Layer, x: Array) -> bool:
    return x.ndim >= (2 if layer.takes_indices else 3)


def _check_values(layer: Layer, x: Array, live: Steps | None) -> None:
    """Refuses NaN, infinity, or an index outside the Embedding, at a live step."""
    embedding = next((part for part in layers.leaves(layer) if isinstance(part, layers.Embedding)), None)
    wrong = (x < 0) | (x >= embedding.count) if embedding else ~np.isfinite(x)
    timed = _has_time(layer, x)
    if wrong.any() and timed:
        said = layer.steps_in(x, live)
        read = None if said is None else steps.live_or_none(said, *x.shape[:2])
        wrong = wrong if read is None else wrong & read.reshape(read.shape + (1,) * (x.ndim - 2))
    if wrong.any():
        where = np.argwhere(wrong)[0]
        place = f"row {where[0]}" + (f", step {where[1]}" if timed else "")
        wanted = f"an index in 0 … {embedding.count - 1}" if embedding else "finite numbers at live steps"
        raise DataError(f"x: got {x[tuple(where)]} in {place}; wanted {wanted}")


def as_given(y: Any, batch: Batch) -> Any:
    """The output in the form of the input: a list of sequences for a list."""
    if batch.lengths is None or (y[0] if isinstance(y, tuple) else y).ndim < 3:
        return y
    if isinstance(y, tuple):
        return type(y)(*(steps.unragged(array, batch.lengths) for array in y))
    return steps.unragged(y, batch.lengths)


def targets(network: Sequential, y: Any, batch: Batch) -> Array:
    """y as one array: padded where x is a list of sequences and every step has a target."""
    if getattr(network.layers[-1], "return_state_sequence", False):
        raise OptionError("the network's output is states (return_state_sequence=True), which no loss takes; leave it out")
    if batch.lengths is None or len(network.shape_out(batch.x.shape)) < 3:
        return numbers(y, "y")
    if not isinstance(y, list | tuple) or len(y) != len(batch.lengths):
        raise ShapeError(f"y: got {type(y).__name__} of {len(y)}, wanted a list of {len(batch.lengths)} sequences, as x is")
    dense, got = steps.ragged([numbers(row, f"y[{i}]") for i, row in enumerate(y)])
    for i in np.flatnonzero(got != batch.lengths)[:1]:
        raise ShapeError(f"y[{i}]: got {got[i]} steps, wanted {batch.lengths[i]}, as x[{i}] has")
    return dense
