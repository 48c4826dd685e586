"""Parameters: one flat vector, named views, versions, patterns, copies."""

import copy
import pickle

import numpy as np
import pytest

from gatewright.errors import OptionError, ShapeError
from gatewright.parameters import Parameters

ARRAYS = {
    "0.forward.W": np.arange(6.0).reshape(2, 3),
    "0.forward.b": np.array([10.0, 11.0]),
    "0.backward.b": np.array([12.0]),
    "01.b": np.array(13.0),
    "shared.tied.W": np.array([[14.0]]),
}


@pytest.fixture
def params():
    return Parameters.of(ARRAYS, frozen=["0.forward.b"])


def test_flat_is_the_arrays_in_order(params):
    assert params.flat.tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14]
    assert list(params) == list(ARRAYS)
    assert len(params) == 5
    assert params.shapes == {name: array.shape for name, array in ARRAYS.items()}
    for name, where in params.slices().items():
        assert params.flat[where].tolist() == ARRAYS[name].ravel().tolist()


def test_views_are_read_only_and_see_edits(params):
    view, flat = params["0.forward.W"], params.flat
    for array in (view, flat, dict(params.items())["01.b"], params.scope("0")["backward.b"]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    before = params.version
    with params.edit() as writable:
        writable += 1
    assert params.version > before
    assert view[0, 0] == 1
    assert flat[-1] == 15
    with pytest.raises(ValueError, match="read-only"):
        writable[0] = 7  # the block has ended


def test_an_edit_that_fails_is_an_edit_too(params):
    before = params.version
    with pytest.raises(ZeroDivisionError), params.edit() as flat:
        flat[0] = 1 / 0
    assert params.version > before


def test_of_copies_and_keeps_the_arrays():
    mine = {"a": np.ones(2)}
    params = Parameters.of(mine)
    with params.edit() as flat:
        flat += 1
    assert mine["a"].tolist() == [1, 1]
    assert Parameters.of({"a": np.ones(2, np.float32)}).dtype == np.float64
    assert Parameters.of({"a": np.ones(2)}, dtype=np.float32).dtype == np.float32
    assert Parameters.of({}).flat.shape == (0,)


def test_assign_writes_all_or_nothing(params):
    kept, version = params.flat.copy(), params.version
    with pytest.raises(ShapeError, match=r"'0.forward.b': got shape \(3,\), wanted \(2,\)"):
        params.assign({"01.b": np.array(0.0), "0.forward.b": np.zeros(3)})
    with pytest.raises(OptionError, match=r"there is no parameter 'nope'; there are: 0\.forward\.W"):
        params.assign({"01.b": np.array(0.0), "nope": np.zeros(3)})
    assert np.array_equal(params.flat, kept)
    assert params.version == version
    params.assign({"01.b": np.array(5.0)})
    assert params["01.b"] == 5
    assert params.version > version


def test_scopes_are_windows_on_the_same_numbers(params):
    inner = params.scope("0").scope("forward")
    assert list(inner) == ["W", "b", "shared.tied.W"]
    assert "01.b" not in params.scope("0")
    inner.add("b", np.array([1.0, 2.0]))
    assert params["0.forward.b"].tolist() == [11, 13]
    inner.add("shared.tied.W", np.array([[1.0]]))
    params.scope("01").add("shared.tied.W", np.array([[1.0]]))
    assert params["shared.tied.W"].item() == 16


def test_trainable(params):
    assert [name for name, on in params.trainable.items() if not on] == ["0.forward.b"]
    assert np.flatnonzero(~params.trainable_mask()).tolist() == [6, 7]
    assert params.set_trainable(["0", "*.b"], False) == [
        "0.forward.W",
        "0.forward.b",
        "0.backward.b",
        "0.forward.b",
        "0.backward.b",
        "01.b",
    ]
    assert [name for name, on in params.trainable.items() if on] == ["shared.tied.W"]
    params.set_trainable("0.forward", True)
    assert params.trainable_mask().tolist() == [True] * 8 + [False] * 2 + [True]
    params.trainable["01.b"] = True  # a copy
    assert not params.trainable["01.b"]


def test_patterns(params):
    assert params.matching("0") == ["0.forward.W", "0.forward.b", "0.backward.b"]  # a prefix ends at a dot: not 01.b
    assert params.matching("0.forward.W") == ["0.forward.W"]
    assert params.matching("*.b") == ["0.forward.b", "0.backward.b", "01.b"]
    with pytest.raises(OptionError, match="no parameter matches 'W'"):
        params.matching("W")
    with pytest.raises(OptionError, match="no parameter matches '2'"):
        params.set_trainable(["0", "2"], False)
    assert params.trainable["0.forward.W"]  # nothing was written before the refusal


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, Parameters.copy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_share_nothing(params, how):
    twin = how(params)
    assert list(twin) == list(params)
    assert np.array_equal(twin.flat, params.flat)
    assert twin.shapes == params.shapes
    assert twin.trainable == params.trainable
    with twin.edit() as flat:
        flat[:] = 0
    twin.set_trainable("0.forward.b", True)
    assert params.flat[-1] == 14
    assert not params.trainable["0.forward.b"]


def test_zeros_like_and_astype(params):
    zeros = params.zeros_like()
    assert zeros.flat.tolist() == [0] * 11
    assert zeros.trainable == params.trainable
    single = params.astype("float32")
    assert single.dtype == np.float32
    assert single["0.forward.W"].tolist() == params["0.forward.W"].tolist()
    assert params.astype(complex).dtype == complex
    assert repr(params.astype("float32")).startswith("Parameters(11 float32: 0.forward.W (2, 3), ")
