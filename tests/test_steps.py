"""Live steps, and their packing into dense rectangles, against a row-by-row reading."""

import numpy as np
import oracle
import pytest
from hypothesis import given
from strategies import as_lists, ragged_steps

from gatewright import steps as gs
from gatewright.errors import DataError, ShapeError
from gatewright.steps import Steps


def parts_of(batch, time, steps):
    """The times of every segment of every row, by the oracle."""
    words = as_lists(steps)
    live = oracle.live_steps(batch, time, words["lengths"], words["mask"])
    return live, [oracle.segments(live[b], words["starts"] and words["starts"][b]) for b in range(batch)]


@given(ragged_steps())
def test_live(case):
    batch, time, steps = case
    live, _ = parts_of(batch, time, steps)
    assert steps.live(batch, time).tolist() == live
    some = gs.live_or_none(steps, batch, time)
    assert (some is None) == all(all(row) for row in live)
    assert some is None or some.tolist() == live


@given(ragged_steps())
def test_packing_squeezes_out_dead_steps(case):
    """Every column is one segment, longest first; unpack and flip undo what they did; NaN at dead steps is not read."""
    batch, time, steps = case
    live, parts = parts_of(batch, time, steps)
    x = np.where(np.array(live).reshape(batch, time, 1), np.arange(1, 1 + batch * time * 2.0).reshape(batch, time, 2), np.nan)
    packing = gs.packing(steps, batch, time)
    packed = packing.pack(x)
    wanted = [x[b, times].tolist() for b in range(batch) for times in parts[b]]
    lengths = [len(column) for column in wanted]
    got = [packed[:, s].tolist() for s in range(packed.shape[1])]
    filled = [[step for step in column if step != [0, 0]] for column in got]
    assert sorted(filled) == sorted(wanted)
    assert [len(column) for column in filled] == sorted(lengths, reverse=True)
    np.testing.assert_array_equal(packing.unpack(packed, time), np.nan_to_num(x))
    flipped = packing.flip(packed)
    for s, column in enumerate(filled):
        assert flipped[: len(column), s].tolist() == column[::-1]
    np.testing.assert_array_equal(packing.flip(flipped), packed)


@given(ragged_steps())
def test_rectangles_cover_the_live_steps_once(case):
    batch, time, steps = case
    packing = gs.packing(steps, batch, time)
    live, _ = parts_of(batch, time, steps)
    ones = packing.pack(np.array(live, float).reshape(batch, time, 1))[..., 0]
    covered = np.zeros_like(ones)
    for start, stop, n in packing.rectangles():
        covered[start:stop, :n] += 1
    np.testing.assert_array_equal(covered, ones)


@given(ragged_steps())
def test_states_enter_and_leave(case):
    """The first segment of a row takes its state, the others the fresh one; the last one's goes out. Gradients undo that."""
    batch, time, steps = case
    _, parts = parts_of(batch, time, steps)
    packing, columns = gs.packing(steps, batch, time), sum(map(len, parts))
    state, fresh = np.arange(1.0, 1 + batch * 2).reshape(batch, 2), np.array([-1.0, -2.0])
    entered = packing.enter(state, fresh)
    wanted = [state[b].tolist() if k == 0 else fresh.tolist() for b in range(batch) for k in range(len(parts[b]))]
    assert sorted(entered.tolist()) == sorted(wanted)
    d = np.random.default_rng(0).standard_normal((columns, 2))
    dstate, dfresh = packing.d_enter(d)
    np.testing.assert_allclose((dstate * state).sum() + (dfresh * fresh).sum(), (d * entered).sum(), atol=1e-12)
    out, dout = packing.leave(d), np.random.default_rng(1).standard_normal((batch, 2))
    assert out.shape == (batch, 2)
    np.testing.assert_allclose((packing.d_leave(dout) * d).sum(), (dout * out).sum(), atol=1e-12)
    # Whose column leaves: mark every step by its time and the last live step of the last segment must come last in it.
    if time and columns and all(part[-1] for part in parts):
        times = np.tile(np.arange(1.0, time + 1), (batch, 1))[..., None]
        last = packing.flip(packing.pack(times))[0]
        assert packing.leave(last)[:, 0].tolist() == [part[-1][-1] + 1 for part in parts]


@given(ragged_steps())
def test_order_of_processing(case):
    """Live steps to the front, segment by segment, and starts where a segment begins."""
    batch, time, steps = case
    _, parts = parts_of(batch, time, steps)
    plan, new = gs.in_order(gs.plan(steps, batch, time), steps, time)
    x = np.arange(1.0, 1 + batch * time).reshape(batch, time, 1)
    y = plan.unpack(gs.plan(steps, batch, time).pack(x), time)
    for b, row in enumerate(parts):
        live = [x[b, t, 0] for times in row for t in times]
        assert y[b, :, 0].tolist() == live + [0] * (time - len(live))
        assert new.lengths[b] == len(live)
        if steps.starts is not None:
            heads, at = [], len(row[0])
            for times in row[1:]:
                heads += [at] if times else []
                at += len(times)
            assert np.flatnonzero(new.starts[b]).tolist() == heads


@given(ragged_steps())
def test_windows_and_rows(case):
    batch, time, steps = case
    live = steps.live(batch, time)
    for start, stop in ((0, time // 2), (time // 2, time)):
        part = steps.window(start, stop)
        np.testing.assert_array_equal(part.live(batch, stop - start), live[:, start:stop])
        assert steps.starts is None or np.array_equal(part.starts, steps.starts[:, start:stop])
    np.testing.assert_array_equal(steps.rows(slice(1, None)).live(max(batch - 1, 0), time), live[1:])


def test_with_mask():
    mask = np.array([[True, False]])
    assert gs.with_mask(None, mask).mask.tolist() == [[True, False]]
    both = gs.with_mask(Steps(lengths=np.array([1]), mask=np.array([[True, True]])), mask)
    assert both.mask.tolist() == [[True, False]]
    assert both.lengths.tolist() == [1]


def test_ragged_and_back():
    rows = [np.ones((2, 3)), np.zeros((0, 3)), np.full((4, 3), 2.0)]
    dense, lengths = gs.ragged(rows)
    assert dense.shape == (3, 4, 3)
    assert lengths.tolist() == [2, 0, 4]
    assert dense[0, 2:].tolist() == [[0, 0, 0]] * 2
    back = gs.unragged(dense, lengths)
    assert all(np.array_equal(a, b) for a, b in zip(rows, back, strict=True))
    back[0][:] = 7
    assert dense[0, 0, 0] == 1  # a copy
    with pytest.raises(DataError, match="x is an empty list; wanted at least one sequence"):
        gs.ragged([])
    with pytest.raises(ShapeError, match=r"steps of shape \(3,\) in row 0, \(2,\) in row 1; wanted one"):
        gs.ragged([np.ones((2, 3)), np.ones((2, 2))])


def test_checked_makes_the_dtypes_right():
    assert gs.checked(Steps(), 2, 3) is None
    got = gs.checked(Steps([2, 3.0], [[1, 0, 1], [1, 1, 1]], np.zeros((2, 3))), 2, 3)
    assert got.lengths.dtype.kind == "i"
    assert got.mask.dtype == got.starts.dtype == bool
    assert got.live(2, 3).tolist() == [[True, False, False], [True, True, True]]
    assert gs.checked(Steps(lengths=[]), 0, 3).lengths.shape == (0,)


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (Steps(lengths=[1]), ShapeError, r"lengths: got shape \(1,\), wanted \(2,\)"),
        (Steps(lengths=[1, 4]), DataError, "lengths: got 4 in row 1, wanted 0 … 3"),
        (Steps(lengths=[-1, 3]), DataError, "lengths: got -1 in row 0"),
        (Steps(lengths=[1.5, 3]), DataError, "lengths: wanted whole numbers"),
        (Steps(mask=np.ones((2, 4), bool)), ShapeError, r"mask: got shape \(2, 4\), wanted \(2, 3\)"),
        (Steps(mask=np.full((2, 3), 2)), DataError, "mask: wanted bools"),
        (Steps(starts=np.ones((3, 2), bool)), ShapeError, r"starts: got shape \(3, 2\), wanted \(2, 3\)"),
        (Steps(starts=np.full((2, 3), 0.5)), DataError, "starts: wanted bools"),
    ],
)
def test_checked_refuses(steps, error, message):
    with pytest.raises(error, match=message):
        gs.checked(steps, 2, 3)
