"""The border: what users hand to a Model, checked, dense and in its dtype. One line says what was got and what was wanted."""

from typing import Any, NamedTuple

import numpy as np

from gatewright import layers, steps
from gatewright.arrays import Array, numbers
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.layers import Layer, Recurrent, Sequential
from gatewright.state import tree_map
from gatewright.steps import Steps

ROWS = 256  # that run forward at once unless told otherwise: enough for BLAS, little memory
STATEFUL = (
    "this network was made to carry its state from call to call (stateful=True), and predict begins anew each time: "
    "use run, which takes the state and gives it, or stream"
)


class Batch(NamedTuple):
    """Checked input: dense, in the model's dtype, with its live steps; `lengths` where it came as a list."""

    x: Array  # (B, T, F) or (B, T) indices
    steps: Steps | None
    lengths: Array | None  # (B,) of the output, where x came as a list of sequences: then the output is one too


def batch(layer: Layer, x: Any, given: Steps, dtype: Any) -> Batch:
    """Checked input of a layer: an array (B, T, F), (B, T) indices, or a list of sequences.

    Raises ShapeError for a wrong rank, feature count or length, DataError for impossible values, with row and step.
    """
    rank = _step_rank(layer)
    dense, said = steps.from_lists(x, given, rank)
    lengths = None if said is given else said.lengths
    if lengths is not None and any(_turns_dead_steps(part) for part in layers.leaves(layer)):
        raise OptionError("x: go_backwards=True with masked_output='repeat' takes one array and lengths, not a list")
    layer.shape_out(dense.shape)
    live = steps.checked_for(said, dense.shape, rank)
    return Batch(values(layer, dense, live, dtype), live, None if lengths is None else layer.lengths_out(lengths))


def _step_rank(layer: Layer) -> int:
    """How many axes one sequence has, at least: (T,) indices or (T, F)."""
    return 1 if layer.takes_indices else 2


def _turns_dead_steps(layer: Layer) -> bool:
    """Whether the output's live steps stand at the end, so that lengths no longer tell where they are."""
    return isinstance(layer, Recurrent) and layer.go_backwards and layer.masked_output == "repeat"


def values(layer: Layer, x: Array, live: Steps | None, dtype: Any) -> Array:
    """x in the dtype that the layer reads; x itself where it has that dtype.

    Raises DataError for NaN, infinity, or an index outside the Embedding, at a live step, and names its row and step.
    """
    if layer.takes_indices:
        if x.dtype.kind not in "iu" and x.size:
            raise DataError(f"x: got {x.dtype}, wanted whole numbers: this network begins with an Embedding")
        ours, fine = x.astype(np.intp, copy=False), (x >= 0) & (x < _count(layer))
    elif x.dtype == dtype:
        ours, fine = x, np.isfinite(x)
    else:
        with np.errstate(over="ignore"):  # what has no place in float32 becomes infinity, and is refused
            ours = x.astype(dtype)
        fine = np.isfinite(ours)
    if not fine.all():
        _refuse_live(layer, x, ours, live, ~fine)
    return ours


def _count(layer: Layer) -> int:
    """The number of indices that every Embedding of a network has."""
    return min(part.count for part in layers.leaves(layer) if isinstance(part, layers.Embedding))


def _refuse_live(layer: Layer, x: Array, ours: Array, live: Steps | None, wrong: Array) -> None:
    """Raises DataError that names the first wrong value of x which is read, if there is one."""
    timed = x.ndim > _step_rank(layer)
    said = layer.steps_in(ours, live) if timed else None
    read = None if said is None else steps.live_or_none(said, *x.shape[:2])
    wrong = wrong if read is None else wrong & read.reshape(read.shape + (1,) * (x.ndim - 2))
    if wrong.any():
        where = np.argwhere(wrong)[0]
        place = f"row {where[0]}" + (f", step {where[1]}" if timed else "")
        indices = f"an index in 0 … {_count(layer) - 1}" if layer.takes_indices else None
        wanted = indices or f"finite {ours.dtype} numbers at live steps"
        raise DataError(f"x: got {x[tuple(where)]} in {place}; wanted {wanted}")


def own(y: Any, batch: Batch) -> Any:
    """An output that is the caller's alone: a copy where it may be a part of the input or stands in another order."""
    return tree_map(lambda a: a if a.flags.c_contiguous and not np.may_share_memory(a, batch.x) else np.array(a), y)


def as_given(y: Any, batch: Batch) -> Any:
    """The output in the form of the input: a list of sequences for a list."""
    if batch.lengths is None or (y[0] if isinstance(y, tuple) else y).ndim < 3:
        return y
    if isinstance(y, tuple):
        return type(y)(*(steps.unragged(array, batch.lengths) for array in y))
    return steps.unragged(y, batch.lengths)


def targets(network: Sequential, y: Any, batch: Batch) -> Array:
    """y as one array: padded where x is a list of sequences and every step has a target."""
    if network.gives_states:
        raise OptionError("the network's output is states (return_state_sequence=True), which no loss takes; leave it out")
    if batch.lengths is None or len(network.shape_out(batch.x.shape)) < 3:
        return numbers(y, "y")
    wanted = f"a list of {len(batch.lengths)} sequences, as x is"
    if not isinstance(y, list | tuple):
        raise ShapeError(f"y: got {type(y).__name__}, wanted {wanted}")
    if len(y) != len(batch.lengths):
        raise ShapeError(f"y: got a list of {len(y)}, wanted {wanted}")
    rows = [numbers(row, f"y[{i}]") for i, row in enumerate(y)]
    for i, row in enumerate(rows):
        if not row.ndim:
            raise ShapeError(
                f"y[{i}]: got the number {row}, wanted a value for each of the {batch.lengths[i]} steps of x[{i}]'s output"
            )
    dense, got = steps.ragged(rows)
    for i in np.flatnonzero(got != batch.lengths)[:1]:
        raise ShapeError(f"y[{i}]: got {got[i]} steps, wanted {batch.lengths[i]}, as x[{i}]'s output has")
    return dense


def validation(given: Any) -> tuple[Any, Any, Steps, Any]:
    """x, y, steps and sample weights of what `fit` takes: (x, y), or (x, y, {...}). Raises OptionError for anything else."""
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise OptionError("validation: wanted (x, y), or (x, y, {'lengths': …, 'sample_weight': …})")
    more = given[2] if len(given) == 3 else {}
    if not isinstance(more, dict):
        raise OptionError(f"validation: got {type(more).__name__} in third place, wanted a dict such as {{'lengths': …}}")
    unknown = set(more) - {"lengths", "mask", "starts", "sample_weight"}
    if unknown:
        raise OptionError(f"validation: {unknown.pop()!r} is unknown; known: lengths, mask, starts, sample_weight")
    return given[0], given[1], Steps(*map(more.get, ("lengths", "mask", "starts"))), more.get("sample_weight")
