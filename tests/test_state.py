"""States as values: trees of NamedTuples, tuples and None, built, walked and checked."""

from collections import namedtuple

import numpy as np
import pytest
from refusals import refused

from gatewright.errors import DataError, ShapeError
from gatewright.state import checked, tree_fill, tree_from, tree_items, tree_map

HC, H = namedtuple("HC", "h c"), namedtuple("H", "h")
SHAPES = (HC((1, 2, 3), (1, 2, 4)), None, (H((2, 2, 1)), ()), (None, H((5,))))


def filled(value=0.0):
    numbers = iter(range(1, 99))
    return tree_fill(SHAPES, lambda shape: np.full(shape, value + next(numbers)))


def test_fill_keeps_the_form():
    tree = filled()
    assert type(tree[0]) is HC
    assert type(tree[2][0]) is H
    assert tree[1] is tree[3][0] is None
    assert tree[2][1] == ()
    assert tree_map(np.shape, tree) == SHAPES
    assert [array.flat[0] for _, array in tree_items(tree)] == [1, 2, 3, 4]
    assert tree_fill(None, np.zeros) is None
    assert tree_fill((2, 3), np.zeros).shape == (2, 3)


def test_items_have_the_names_that_errors_use():
    assert [name for name, _ in tree_items(filled())] == ["state[0].h", "state[0].c", "state[2][0].h", "state[3][1].h"]
    assert list(tree_items(None)) == []
    assert [name for name, _ in tree_items(np.ones(1), "here")] == ["here"]


def test_map_takes_the_same_places():
    one, two = filled(), filled(10)
    added = tree_map(np.add, one, two)
    assert [array.flat[0] for _, array in tree_items(added)] == [12, 14, 16, 18]
    assert type(added[0]) is HC
    assert added[1] is None
    with pytest.raises(ValueError, match="zip"):
        tree_map(np.add, one, two[:2])


def test_checked_takes_what_fits():
    """Lists too, tuples for NamedTuples, None at any place; in the dtype asked for, an array of that dtype as it is."""
    tree = filled()
    assert tree_map(np.shape, checked(tree, SHAPES, float)) == SHAPES
    assert checked(tree, SHAPES, float)[0].h is tree[0].h
    assert checked(tree, SHAPES, np.float32)[0].h.dtype == np.float32
    plain = [[tree[0].h.tolist(), tree[0].c], None, [[tree[2][0].h], []], (None, (tree[3][1].h.astype(int),))]
    again = checked(plain, SHAPES, float)
    assert type(again[0]) is HC
    for (_, a), (_, b) in zip(tree_items(again), tree_items(tree), strict=True):
        assert np.array_equal(a, b)
        assert a.dtype == float
    assert checked(None, SHAPES, float) is None
    assert checked((None, None, None, None), SHAPES, float) == (None,) * 4
    assert checked(np.ones((2, 3)), (2, 3), float).shape == (2, 3)


def but(index, value):
    return tuple(value if k == index else part for k, part in enumerate(filled()))


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (np.ones(3), ShapeError, ["state: got ndarray", "wanted 4 entries: state[0], state[1], state[2], state[3]"]),
        ({"h": 1}, ShapeError, ["state: got dict"]),
        (filled()[:3], ShapeError, ["state: got 3", "wanted 4 entries"]),
        (but(0, HC(*np.ones((2, 1, 2, 3)))), ShapeError, ["state[0].c: got shape (1, 2, 3)", "wanted (1, 2, 4)"]),
        (but(0, np.ones((2, 1, 2, 3))), ShapeError, ["state[0]: got ndarray", "wanted 2 entries: state[0].h, state[0].c"]),
        (but(0, HC(np.ones((1, 2, 3)), None)), ShapeError, ["state[0]: one of .h, .c is None", "None for the whole"]),
        (but(1, np.ones(2)), ShapeError, ["state[1]: got ndarray", "wanted None", "no state at this place"]),
        (but(2, (H(np.ones((2, 2, 1))), (np.ones(1),))), ShapeError, ["state[2][1]: got 1", "wanted 0 entries"]),
        (but(3, (None, H("text"))), DataError, ["state[3][1].h: got <U4 values", "wanted numbers"]),
        (but(3, (None, H([[1], [2, 3]]))), DataError, ["state[3][1].h: got rows of unequal lengths"]),
        (but(3, (None, H([1, 2, np.nan, 4, 5]))), DataError, ["state[3][1].h: got NaN or infinity", "wanted finite float64"]),
    ],
)  # fmt: skip
def test_checked_names_the_place(state, error, words):
    with refused(error, *words):
        checked(state, SHAPES, float)


def test_what_float32_can_not_hold():
    with refused(DataError, "state: got NaN or infinity", "finite float32"):
        checked(np.full(2, 1e39), (2,), np.float32)
    assert checked(np.full(2, 1e39), (2,), float).tolist() == [1e39] * 2


def test_a_tree_is_built_again_from_its_arrays() -> None:
    tree = ((np.array([1.0]), None), (np.array([2.0]), np.array([3.0])))
    again = tree_from(tree, (2 * array for _, array in tree_items(tree)))
    assert again == ((np.array([2.0]), None), (np.array([4.0]), np.array([6.0])))
