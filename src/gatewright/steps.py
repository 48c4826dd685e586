"""Which steps are live: lengths, masks and fresh starts, and the one mechanism that turns them into dense scans.

A *segment* is what a recurrent scan runs over without a break: the live steps of one row from one start to the next. Segments
do not depend on each other, so each becomes a row of its own, its dead steps squeezed out. Sorted by length, longest first,
they form a staircase that a few dense rectangles cover, each taking over the state where the one before it stopped.
Lengths, holes, starts and reversal are thus a permutation of the data; no cell ever sees a mask.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.arrays import Array, numbers
from gatewright.errors import DataError, OptionError, ShapeError


class Steps(NamedTuple):
    """The live steps of a batch of `B` rows and `T` steps; None says nothing.

    A step is live if it stands before its row's length and its mask is True.
    """

    lengths: Array | None = None  # (B,) int: steps at and after a row's length are dead
    mask: Array | None = None  # (B, T) bool: True = live
    starts: Array | None = None  # (B, T) bool: True = a new sequence begins here, from a fresh state

    @property
    def silent(self) -> bool:
        """Whether this says nothing."""
        return self.lengths is None and self.mask is None and self.starts is None

    def live(self, batch: int, time: int) -> Array:
        """(B, T) bool: the live steps."""
        live = np.ones((batch, time), bool)
        if self.lengths is not None:
            live &= np.arange(time) < self.lengths[:, None]
        if self.mask is not None:
            live &= self.mask
        return live

    def rows(self, index: Any) -> "Steps":
        """The steps of the rows that `index` (an index, slice or index array of the batch axis) picks."""
        return Steps(*(None if array is None else array[index] for array in self))

    def window(self, start: int, stop: int) -> "Steps":
        """The steps from time `start` to `stop`."""
        lengths = None if self.lengths is None else np.clip(self.lengths - start, 0, stop - start)
        mask, starts = (None if array is None else array[:, start:stop] for array in (self.mask, self.starts))
        return Steps(lengths, mask, starts)


def live_or_none(steps: Steps | None, batch: int, time: int) -> Array | None:
    """(B, T) bool: the live steps, or None where all of them are."""
    if steps is None or (steps.lengths is None and steps.mask is None):
        return None
    live = steps.live(batch, time)
    return None if live.all() else live


def with_mask(steps: Steps | None, mask: Array) -> Steps:
    """`steps` in which a step is live only if `mask` (B, T) says so too."""
    if steps is None:
        return Steps(mask=mask)
    return steps._replace(mask=mask if steps.mask is None else steps.mask & mask)


class Whole(NamedTuple):
    """The packing of a batch in which every step is live and no row begins anew: one rectangle, nothing to move."""

    batch: int
    time: int

    def pack(self, x: Array) -> Array:
        """(B, T, F) -> (T, B, F), a view."""
        return x.swapaxes(0, 1)

    def unpack(self, packed: Array, time: int) -> Array:
        """(T, B, F) -> (B, T, F), a view: undoes `pack`."""
        return packed.swapaxes(0, 1)

    def flip(self, packed: Array) -> Array:
        """The same steps in reverse, (T, B, F) -> (T, B, F); undoes itself."""
        return packed[::-1]

    def rectangles(self) -> list[tuple[int, int, int]]:
        """(start, stop, n): the first n columns are live in the lines start … stop - 1."""
        return [(0, self.time, self.batch)]

    def enter(self, state: Array, fresh: Array) -> Array:
        """The state (B, H) with which each column begins."""
        return state

    def d_enter(self, dcolumns: Array) -> tuple[Array, Array]:
        """Undoes `enter`: (B, H) -> the gradients of `state` (B, H) and of `fresh` (H,)."""
        return dcolumns, np.zeros(dcolumns.shape[1:], dcolumns.dtype)

    def leave(self, columns: Array) -> Array:
        """The state (B, H) that each row hands out."""
        return columns

    def d_leave(self, dstate: Array) -> Array:
        """Undoes `leave`."""
        return dstate


class Plan(NamedTuple):
    """The packing of unequal rows: S segments as columns, the longest first, their n-th live step in line n."""

    row: Array  # (N,) the batch row of every live step
    time: Array  # (N,) its time
    line: Array  # (N,) its line in the packed array: 0 … the longest length - 1
    column: Array  # (N,) its column: the segment
    lengths: Array  # (S,) the length of every segment, falling
    segment_row: Array  # (S,) the batch row of every segment
    first: Array  # (S,) bool: the segment takes the state handed in; the others begin fresh
    last: Array  # (B,) the column of every row's last segment, whose state is handed out

    @property
    def depth(self) -> int:
        """The length of the longest segment."""
        return int(self.lengths[0]) if len(self.lengths) else 0

    def pack(self, x: Array) -> Array:
        """(B, T, F) -> (depth, S, F), zero below the staircase; only live steps are read."""
        packed = np.zeros((self.depth, len(self.lengths), *x.shape[2:]), x.dtype)
        packed[self.line, self.column] = x[self.row, self.time]
        return packed

    def unpack(self, packed: Array, time: int) -> Array:
        """(depth, S, F) -> (B, T, F), zero at dead steps: undoes `pack`."""
        x = np.zeros((len(self.last), time, *packed.shape[2:]), packed.dtype)
        x[self.row, self.time] = packed[self.line, self.column]
        return x

    def flip(self, packed: Array) -> Array:
        """Every segment in reverse, (depth, S, F) -> (depth, S, F); undoes itself."""
        flipped = np.zeros_like(packed)
        flipped[self.lengths[self.column] - 1 - self.line, self.column] = packed[self.line, self.column]
        return flipped

    def rectangles(self) -> list[tuple[int, int, int]]:
        """(start, stop, n): the first n columns are live in the lines start … stop - 1."""
        stops = np.unique(self.lengths[self.lengths > 0]).tolist()
        counts = [int((self.lengths >= stop).sum()) for stop in stops]
        return list(zip([0, *stops[:-1]], stops, counts, strict=True)) if stops else []

    def enter(self, state: Array, fresh: Array) -> Array:
        """The state (S, H) with which each column begins: `state` (B, H) or, after a start, `fresh` (H,)."""
        return np.where(self.first[:, None], state[self.segment_row], fresh)

    def d_enter(self, dcolumns: Array) -> tuple[Array, Array]:
        """Undoes `enter`: (S, H) -> the gradients of `state` (B, H) and of `fresh` (H,)."""
        dstate = np.zeros((len(self.last), *dcolumns.shape[1:]), dcolumns.dtype)
        dstate[self.segment_row[self.first]] = dcolumns[self.first]  # every row has just one such column
        return dstate, dcolumns[~self.first].sum(axis=0)

    def leave(self, columns: Array) -> Array:
        """The state (B, H) that each row hands out: (S, H) of its last segment."""
        return columns[self.last]

    def d_leave(self, dstate: Array) -> Array:
        """Undoes `leave`: (B, H) -> (S, H)."""
        dcolumns = np.zeros((len(self.lengths), *dstate.shape[1:]), dstate.dtype)
        dcolumns[self.last] = dstate
        return dcolumns


Packing: TypeAlias = Whole | Plan


def packing(steps: Steps | None, batch: int, time: int) -> Packing:
    """How to pack a batch of `batch` rows and `time` steps."""
    fresh = steps is not None and steps.starts is not None and bool(steps.starts.any())
    if steps is None or (not fresh and live_or_none(steps, batch, time) is None):
        return Whole(batch, time)
    return plan(steps, batch, time)


def plan(steps: Steps, batch: int, time: int) -> Plan:
    """The packing of the live steps of a batch of `batch` rows and `time` steps."""
    live = steps.live(batch, time)
    # Segment 0 of a row takes the state handed in, up to the row's first start; each start opens the next one.
    # A start at a dead step counts: what follows it begins fresh.
    number = np.zeros((batch, time), int) if steps.starts is None else np.cumsum(steps.starts, axis=1)
    count = 1 + (number[:, -1] if time else np.zeros(batch, int))
    offset = np.cumsum(count) - count
    row, at = np.nonzero(live)
    segment = offset[row] + number[row, at]
    lengths = np.bincount(segment, minlength=count.sum())
    # nonzero lists the live steps row by row, so those of one segment stand together, in order of time.
    line = np.arange(len(row)) - (np.cumsum(lengths) - lengths)[segment]
    order = np.argsort(-lengths, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    segment_row = np.repeat(np.arange(batch), count)
    first = np.zeros(len(order), bool)
    first[offset] = True
    return Plan(row, at, line, rank[segment], lengths[order], segment_row[order], first[order], rank[offset + count - 1])


def in_order(plan: Plan, steps: Steps, time: int) -> tuple[Plan, Steps]:
    """A plan that puts each row's steps at its front in the order of processing, and the Steps that say so.

    This is what `go_backwards` returns: the segments of a row one after the other, each in the order in which it was run.
    """
    batch = len(plan.last)
    live = steps.live(batch, time)
    # A segment begins in the output where the live steps of the earlier segments of its row end.
    earliest = np.full(len(plan.lengths), time)
    np.minimum.at(earliest, plan.column, plan.time)
    before = np.concatenate([np.zeros((batch, 1), int), np.cumsum(live, axis=1)], axis=1)
    begin = before[plan.segment_row, earliest]
    starts = None
    if steps.starts is not None:
        starts = np.zeros((batch, time), bool)
        fresh = ~plan.first & (plan.lengths > 0)
        starts[plan.segment_row[fresh], begin[fresh]] = True
    return plan._replace(time=begin[plan.column] + plan.line), Steps(live.sum(axis=1), None, starts)


def ragged(rows: Sequence[Array]) -> tuple[Array, Array]:
    """A list of `(T_i, F)` as one array `(B, max T_i, F)`, zero after each row's end, and the lengths `(B,)`."""
    lengths = np.array([len(row) for row in rows], int)
    if not rows:
        raise DataError("x is an empty list; wanted at least one sequence of shape (T, F)")
    shapes = [np.shape(row)[1:] for row in rows]
    for i in (i for i, shape in enumerate(shapes) if shape != shapes[0]):
        both = f"steps of shape {shapes[0]} in row 0, {shapes[i]} in row {i}"
        raise ShapeError(f"the sequences differ in more than their length: got {both}; wanted one, and the time before it")
    filled = [row.dtype for row in rows if row.size] or [row.dtype for row in rows]
    dense = np.zeros((len(rows), int(lengths.max()), *shapes[0]), np.result_type(*filled))
    for i, row in enumerate(rows):
        dense[i, : len(row)] = row
    return dense, lengths


def from_lists(x: Any, given: Steps, rank: int) -> tuple[Array, Steps]:
    """x and its steps with a list of sequences, each of `rank` axes or more, made one array with lengths.

    Raises OptionError if the list comes with lengths, which it has itself, ShapeError for lists that don't go together.
    """
    if isinstance(x, list | tuple):
        rows = [numbers(row, f"x[{i}]") for i, row in enumerate(x)]
        few = [i for i, row in enumerate(rows) if row.ndim < rank]
        if len(few) < len(rows) or not rows:  # else one array, written as nested lists
            if few:
                wanted = "(T, F)" if rank > 1 else "(T,)"
                raise ShapeError(f"x[{few[0]}]: got shape {rows[few[0]].shape}, wanted {wanted}, as the others have")
            if given.lengths is not None:
                raise OptionError("lengths: a list of sequences has its own; leave it out, or give x as one array")
            x, lengths = ragged(rows)
            given = Steps(lengths, *(padded(getattr(given, name), lengths, name) for name in ("mask", "starts")))
    x = numbers(x, "x")
    if not x.ndim:
        raise ShapeError(f"x: got the number {x}, wanted an array of rows")
    return x, given


def padded(values: Any, lengths: Array | None, name: str) -> Any:
    """A list with a value for every step of every sequence of x as one array `(B, max T)`; anything else as it is.

    Raises ShapeError for a list whose lengths are not those of x.
    """
    if lengths is None or not isinstance(values, list | tuple):
        return values
    rows = [numbers(row, f"{name}[{i}]") for i, row in enumerate(values)]
    if any(row.ndim != 1 for row in rows) or len(rows) != len(lengths) or all(len(row) == lengths.max() for row in rows):
        return values  # one array, written as nested lists
    for i, (row, length) in enumerate(zip(rows, lengths.tolist(), strict=True)):
        if len(row) != length:
            raise ShapeError(f"{name}[{i}]: got {len(row)} values, wanted {length}, one for every step of x[{i}]")
    return ragged(rows)[0]


def checked_for(given: Steps, shape: tuple[int, ...], rank: int) -> Steps | None:
    """The checked steps of an x of `shape`, whose sequences have `rank` axes or more: None where it has no time axis."""
    if len(shape) > rank:
        return checked(given, *shape[:2])
    if any(item is not None for item in given):
        raise ShapeError(f"lengths, mask and starts need a time axis, and x has shape {shape}")
    return None


def unragged(dense: Array, lengths: Array) -> list[Array]:
    """`(B, T, F)` and lengths `(B,)` as a list of `(T_i, F)`, each a copy: undoes `ragged`."""
    return [row[:length].copy() for row, length in zip(dense, lengths.tolist(), strict=True)]


def checked(steps: Steps, batch: int, time: int) -> Steps | None:
    """`steps` with the right shapes and dtypes, or None if it says nothing.

    Raises ShapeError for a wrong shape, DataError for a length outside 0 … T or values that are no bools.
    """
    lengths = steps.lengths
    if lengths is not None:
        lengths = numbers(lengths, "lengths")
        if lengths.shape != (batch,):
            raise ShapeError(f"lengths: got shape {lengths.shape}, wanted ({batch},), one number a row")
        if lengths.dtype.kind not in "iu" and not (lengths.size == 0 or np.array_equal(lengths, np.floor(lengths))):
            raise DataError("lengths: wanted whole numbers")
        bad = np.flatnonzero((lengths < 0) | (lengths > time))
        if len(bad):
            raise DataError(f"lengths: got {lengths[bad[0]]} in row {bad[0]}, wanted 0 … {time}, the number of steps of x")
        lengths = lengths.astype(int)
    masks = []
    for name, array in (("mask", steps.mask), ("starts", steps.starts)):
        if array is not None:
            array = numbers(array, name)
            if array.shape != (batch, time):
                raise ShapeError(f"{name}: got shape {array.shape}, wanted ({batch}, {time}), a bool for every step of x")
            if array.dtype != bool:
                if not np.isin(array, (0, 1)).all():
                    raise DataError(f"{name}: wanted bools; got {array.dtype} with values other than 0 and 1")
                array = array.astype(bool)
        masks.append(array)
    found = Steps(lengths, *masks)
    return None if found.silent else found
