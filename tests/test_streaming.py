"""Stream: a step or a chunk at a time, the numbers of the whole sequence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

import gatewright as gw
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.state import tree_items, tree_map

X = np.random.default_rng(0).standard_normal((3, 8, 2))
WORDS = np.random.default_rng(0).integers(0, 7, (3, 8))
NETS = {
    "bare GRU": gw.GRU(2, 3, reset_after=False),
    "bare LSTM": gw.LSTM(2, 3, num_layers=3, learn_initial_state=True),
    "states": gw.LSTM(2, 3, num_layers=2, return_state_sequence=True),
    "Dense alone": gw.Dense(2, 3, "softmax"),
    "stack": gw.Sequential(gw.Masking(9.0), gw.RNN(2, 3), gw.Dropout(0.5), gw.LayerNorm(3), gw.GRU(3, 2), gw.Dense(2, 1)),
    "containers": gw.Sequential(
        gw.Residual(gw.LSTM(2, 2)),
        gw.Parallel([gw.Shared(gw.GRU(2, 3), "a"), gw.Dense(2, 3)], merge="mul"),
        gw.Sequential(gw.RNN(3, 3, learn_initial_state=True)),
    ),
    "Embedding": gw.Sequential(gw.Embedding(7, 3), gw.LSTM(3, 4), gw.Dense(4, 2)),
    "Embedding, masked": gw.Sequential(gw.Embedding(7, 3, mask_zero=True), gw.GRU(3, 4)),
    "convolutions": gw.Sequential(
        gw.Conv1D(2, 4, 3, padding="causal", dilation=2, groups=2, activation="tanh"),
        gw.BatchNorm(4),
        gw.GRU(4, 3),
        gw.Parallel([gw.Activate(None), gw.Conv1D(3, 2, 2, padding="causal")]),
        gw.Activate("softmax"),
    ),
    "Masking": gw.Sequential(gw.Masking(0.0), gw.LSTM(2, 3)),
}


def build(name, dtype="float64"):
    """(model with nothing zero, x)."""
    model = gw.Model(NETS[name], seed=0, dtype=dtype)
    with model.parameters.edit() as flat:
        flat += 0.3 * np.random.default_rng(1).standard_normal(flat.shape)
    x = WORDS if model.layer.takes_indices else X.copy()
    if name == "Masking":
        x[1, 2:5] = 0
    return model, x


def arrays(y):
    return list(y) if isinstance(y, tuple) else [y]


def close(a, b, atol=1e-14):
    assert len(a) == len(b)
    for one, two in zip(a, b, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=atol)


def states(tree):
    return [array for _, array in tree_items(tree)]


@pytest.mark.parametrize("name", NETS)
@given(cuts=st.lists(st.integers(0, 8), max_size=3))
def test_chunks_and_steps_equal_the_sequence(name, cuts):
    """Cut anywhere, empty chunks too; the last chunk step by step."""
    model, x = build(name)
    whole, state = model.run(x)
    stream = model.stream(3)
    begin, parts = 0, []
    for cut in sorted(cuts):
        parts.append(arrays(stream.run(x[:, begin:cut])))
        begin = cut
    parts += [[a[:, None] for a in arrays(stream.step(x[:, t]))] for t in range(begin, 8)]
    close([np.concatenate(pieces, axis=1) for pieces in zip(*parts, strict=True)] if parts else arrays(whole), arrays(whole))
    close(states(stream.state), states(state))


def test_the_last_output_alone_is_that_of_the_step():
    """With return_sequences=False a stream gives one output a call."""
    model = gw.Model(gw.Sequential(gw.GRU(2, 3, return_sequences=False), gw.Dense(3, 2)), seed=0, dtype="float64")
    stream = model.stream(3)
    for t in range(4):
        y = stream.step(X[:, t])
        assert y.shape == (3, 2)
        close([y], [model.predict(X[:, : t + 1])])
    close([stream.run(X[:, 4:])], [model.predict(X)])


@pytest.mark.parametrize("name", NETS)
def test_one_row_needs_no_batch_axis(name):
    model, x = build(name)
    alone, batched = model.stream(), model.stream(1)
    for t in range(3):
        y, wanted = arrays(alone.step(x[0, t])), arrays(batched.step(x[:1, t]))
        assert all(a.ndim == 1 for a in y)
        close(y, [a[0] for a in wanted])
    close(states(alone.state), states(batched.state))
    if name.startswith("Embedding"):
        assert alone.step(3).shape == alone.step(np.int8(3)).shape == batched.step([3])[0].shape


def test_state_may_be_read_set_and_shared_with_run():
    """What comes out is a copy, and so is what goes in."""
    model, x = build("bare LSTM")
    stream = model.stream(3)
    stream.run(x[:, :4])
    state = stream.state
    y = stream.step(x[:, 4])
    tree_map(lambda array: array.fill(7), stream.state)
    assert not (stream.state.h == 7).any()
    stream.state = state
    assert np.array_equal(stream.step(x[:, 4]), y)
    tree_map(lambda array: array.fill(7), state)
    assert not (stream.state.h == 7).any()
    between = model.run(x[:, :4])[1]
    stream.state = between
    tree_map(lambda array: array.fill(7), between)
    close([stream.step(x[:, 4])], [y])
    y[...] = 7  # nor are outputs recycled
    assert not (stream.step(x[:, 5]) == 7).any()
    close([model.run(x[:, 6:], stream.state)[0]], [model.predict(x)[:, 6:]])
    stream.state = None
    close([stream.run(x)], [model.predict(x)])
    with refused(ShapeError, "state.h: got shape (3, 1, 3)", "wanted (3, 3, 3)"):
        stream.state = model.run(x[:1])[1]
    with refused(ShapeError, "state: got ndarray", "wanted 2 entries: state.h, state.c"):
        stream.state = np.zeros((3, 3, 3))


def test_a_learned_state_begins_every_stream():
    model, x = build("bare LSTM")
    stream = model.stream(3)
    assert np.array_equal(stream.state.h[1], np.tile(model.parameters["0.layer1.h0"], (3, 1)))
    assert np.array_equal(stream.state.c[2], np.tile(model.parameters["0.layer2.c0"], (3, 1)))
    close([stream.run(x)], [model.predict(x)])


@pytest.mark.parametrize(
    ("rows", "fresh"),
    [(None, [0, 1, 2]), (1, [1]), (-1, [2]), ([0, 2], [0, 2]), ([], []), (slice(1, 3), [1, 2]),
     (np.array([True, False, True]), [0, 2])],
)  # fmt: skip
@pytest.mark.parametrize("name", ["bare LSTM", "containers", "Embedding"])
def test_reset_begins_anew_in_those_rows(name, rows, fresh):
    model, x = build(name)
    stream = model.stream(3)
    stream.run(x[:, :4])
    stream.reset(rows)
    y = stream.run(x[:, 4:])
    anew, on = model.predict(x[:, 4:]), model.predict(x)[:, 4:]
    for row in range(3):
        close([y[row]], [(anew if row in fresh else on)[row]])


@pytest.mark.parametrize("rows", [3, -4, [0, 3], [True, False], "x", 1.5, [[0], [0, 1]]])
def test_rows_that_are_not_there(rows):
    stream = build("bare GRU")[0].stream(3)
    stream.run(X)
    before = states(stream.state)
    with refused(DataError, "rows: got", "wanted indices of the 3 rows"):
        stream.reset(rows)
    assert all(np.array_equal(a, b) for a, b in zip(states(stream.state), before, strict=True))


def test_a_stream_sees_later_training():
    model, x = build("stack")
    stream = model.stream(3)
    stream.run(x)
    model.fit(x, np.zeros((3, 8, 1)), optimizer=gw.SGD(0.5), verbose=False)
    stream.reset()
    close([stream.run(x)], [model.predict(x)])
    learned, _ = build("bare LSTM")
    begun = learned.stream(3)
    learned.fit(X, np.zeros((3, 8, 3)), optimizer=gw.SGD(0.5), verbose=False)
    begun.reset()
    close([begun.run(X)], [learned.predict(X)])


def test_two_streams_share_nothing():
    model, x = build("containers")
    one, two = model.stream(3), model.stream(3)
    one.run(x)
    close([two.run(x)], [model.predict(x)])


def test_dtypes_stay():
    model, x = build("stack", "float32")
    stream = model.stream(3)
    assert stream.step(x[:, 0]).dtype == stream.run((10 * x).astype(int)).dtype == np.float32
    assert {array.dtype for array in states(stream.state)} == {np.dtype("float32")}
    kept = x.copy()
    stream.run(x)
    assert np.array_equal(x, kept)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (gw.LSTM(2, 3, bidirectional=True), "LSTM(bidirectional=True) reads the sequence from its end too"),
        (gw.Sequential(gw.Dense(2, 2), gw.Bidirectional(gw.GRU(2, 3))), "Bidirectional reads the sequence from its end too"),
        (gw.RNN(2, 3, go_backwards=True), "RNN(go_backwards=True) begins at the end"),
        (gw.Parallel([gw.Dense(2, 2), gw.Residual(gw.Bidirectional(gw.RNN(2, 1)))]), "Bidirectional reads"),
    ],
)
def test_what_reads_from_the_end_is_refused(layer, reason):
    with refused(OptionError, "this network can't be streamed", reason):
        gw.Model(layer).stream()


@pytest.mark.parametrize("given", [list, np.float64, np.float16, np.int8], ids=["list", "float64", "float16", "int8"])
def test_other_numbers_take_the_prepared_step_too(given, monkeypatch):
    """A list has the bits of its float32 array, without the general way, which takes fifty times as long."""
    model = gw.Model(gw.Sequential(gw.GRU(2, 3), gw.Dense(3, 1)), seed=0, kernel="compiled")
    x = np.array([[1, -2], [3, 0], [-1, 2]], np.float32)
    wanted, stream = model.stream(), model.stream()
    monkeypatch.setattr(stream, "_forward", None)
    for x_t in x:
        y = stream.step(x_t.tolist() if given is list else x_t.astype(given))
        assert y.dtype == np.float32
        assert np.array_equal(y, wanted.step(x_t))


def test_a_number_too_large_for_float32_is_refused_and_changes_nothing():
    stream = gw.Model(gw.GRU(2, 3), seed=0).stream()
    stream.step([1, 2])
    before = stream.state.h
    with refused(DataError, "x: got 1e+300 in row 0, step 0", "wanted finite float32"):
        stream.step([1e300, 1])
    assert np.array_equal(stream.state.h, before)


@pytest.mark.parametrize(
    ("name", "rows", "call", "error", "words"),
    [
        ("bare GRU", 3, lambda s: s.step(X[:, 0, :1]), ShapeError, ["stream.step: got x of shape (3, 1)", "wanted (3, 2)"]),
        ("bare GRU", 3, lambda s: s.step(X[:2, 0]), ShapeError, ["got x of shape (2, 2)", "wanted (3, 2)"]),
        ("bare GRU", 3, lambda s: s.step(X), ShapeError, ["got x of shape (3, 8, 2)", "wanted (3, 2)", "see stream.run"]),
        ("bare GRU", 3, lambda s: s.step(X[0, 0]), ShapeError, ["got x of shape (2,)", "wanted (3, 2)"]),
        ("bare GRU", 1, lambda s: s.step(1.0), ShapeError, ["got x of shape ()", "wanted (1, 2)"]),
        ("bare GRU", 1, lambda s: s.step([1.0]), ShapeError, ["got x of shape (1,)", "wanted (1, 2)"]),
        ("bare GRU", 3, lambda s: s.run(X[:2]), ShapeError, ["stream.run: got x of shape (2, 8, 2)", "wanted 3 rows"]),
        ("bare GRU", 3, lambda s: s.run(X[:, 0]), ShapeError, ["got x of shape (3, 2)", "wanted (batch, time, 2)"]),
        ("bare GRU", 3, lambda s: s.run(X[..., :1]), ShapeError, ["got x of shape (3, 8, 1)", "wanted (batch, time, 2)"]),
        ("bare GRU", 3, lambda s: s.run(2.0), ShapeError, ["got x of shape ()", "wanted 3 rows"]),
        ("bare GRU", 1, lambda s: s.step(["1", "2"]), DataError, ["x: got <U1 values", "wanted numbers"]),
        ("bare GRU", 1, lambda s: s.step([None, 1]), DataError, ["x: got object values"]),
        ("bare GRU", 3, lambda s: s.run([[[1, 2]], [[1]], [[1]]]), DataError, ["x: got rows of unequal lengths"]),
        ("bare GRU", 1, lambda s: s.step([1, np.nan]), DataError, ["x: got nan in row 0, step 0", "wanted finite"]),
        ("bare GRU", 3, lambda s: s.run(np.where(X[1, 5, 0] == X, -np.inf, X)), DataError, ["got -inf in row 1, step 5"]),
        ("Embedding", 1, lambda s: s.step(7), DataError, ["x: got 7 in row 0, step 0", "wanted an index in 0 … 6"]),
        ("Embedding", 1, lambda s: s.step(-1), DataError, ["x: got -1 in row 0", "wanted an index in 0 … 6"]),
        ("Embedding", 1, lambda s: s.step(1.0), DataError, ["x: got float64", "wanted whole numbers"]),
        ("Embedding", 3, lambda s: s.step([1, 2]), ShapeError, ["got x of shape (2,)", "wanted (3,)"]),
        ("Embedding", 3, lambda s: s.step([[1], [2], [3]]), ShapeError, ["got x of shape (3, 1)", "wanted (3,)"]),
        ("Embedding", 3, lambda s: s.run([1, 2, 3]), ShapeError, ["got x of shape (3,)", "wanted (batch, time)"]),
    ],
)  # fmt: skip
def test_bad_steps_are_refused_and_change_nothing(name, rows, call, error, words):
    model, x = build(name)
    stream = model.stream(rows)
    stream.run(x[:rows])
    before = states(stream.state)
    with refused(error, *words):
        call(stream)
    assert all(np.array_equal(a, b) for a, b in zip(states(stream.state), before, strict=True))


def test_a_masked_step_may_hold_anything():
    """Masking by NaN: such a step is dead in a stream too, the state goes through it."""
    model = gw.Model(gw.Sequential(gw.Masking(float("nan")), gw.GRU(2, 3)), seed=0)
    stream = model.stream()
    stream.run(X[:1])
    before = stream.state[1].h
    assert not stream.step([np.nan, np.nan]).any()
    assert np.array_equal(stream.state[1].h, before)


def test_repr():
    assert repr(build("bare GRU")[0].stream(3)) == "Stream(GRU(2, 3, reset_after=False), batch_size=3)"
