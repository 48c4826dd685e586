"""The border of a Model: lists in and out, and every bad input refused in one line that says what was got and wanted."""

import numpy as np
import pytest
from refusals import refused

import gatewright as gw
from gatewright.errors import DataError, OptionError, ShapeError

X = np.random.default_rng(0).standard_normal((2, 5, 3))
NAN = np.where(np.arange(30).reshape(2, 5, 3) == 25, np.nan, X)  # row 1, step 3
DEAD = np.arange(10).reshape(2, 5) != 8  # that step masked
LATE = np.array([5, 3])  # that step after the end
WORDS = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
ROWS = [X[0], X[1, :2]]


def recurrent(final=None, **options):
    return gw.Model(gw.Sequential(gw.LSTM(3, 4, **options), gw.Dense(4, 2, final)), seed=0, dtype="float64")


def words_model(**options):
    return gw.Model(gw.Sequential(gw.Embedding(6, 3, **options), gw.GRU(3, 4)), seed=0)


def everywhere(model, x, y, **steps):
    """The calls that take x, each of which must refuse it."""
    return {
        "predict": lambda: model.predict(x, **steps),
        "call": lambda: model(x, **steps),
        "run": lambda: model.run(x, **steps),
        "evaluate": lambda: model.evaluate(x, y, **steps),
        "gradients": lambda: model.gradients(x, y, **steps),
        "gradcheck": lambda: model.gradcheck(x, y, **steps),
        "fit": lambda: model.fit(x, y, verbose=False, **steps),
    }


BAD_X = {
    "two axes": (X[0], {}, ShapeError, ["(5, 3)", "wanted (batch, time, 3)"]),
    "four axes": (X[None], {}, ShapeError, ["(1, 2, 5, 3)", "wanted (batch, time, 3)"]),
    "a number": (3.0, {}, ShapeError, ["the number 3.0", "wanted an array"]),
    "features": (X[..., :2], {}, ShapeError, ["(2, 5, 2)", "wanted (batch, time, 3)"]),
    "ragged": ([[1.0, 2.0], [3.0]], {}, DataError, ["x: got rows of unequal lengths", "wanted"]),
    "ragged inside": ([[[1.0, 2.0], [3.0]], X[0]], {}, DataError, ["x[0]: got rows of unequal lengths"]),
    "numbers": ([1, 2, 3], {}, ShapeError, ["(3,)", "wanted (batch, time, 3)"]),
    "nothing": ([], {}, DataError, ["x is an empty list", "wanted at least one"]),
    "features differ": ([X[0], X[1, :, :2]], {}, ShapeError, ["(3,) in row 0, (2,) in row 1", "wanted one"]),
    "text": (np.full((2, 5, 3), "1.5"), {}, DataError, ["x: got <U3 values", "wanted numbers"]),
    "objects": (X.astype(object), {}, DataError, ["x: got object values", "wanted numbers"]),
    "None": (None, {}, DataError, ["x: got object values", "wanted numbers"]),
    "complex": (X + 1j, {}, DataError, ["x: got complex128 values", "wanted numbers"]),
    "NaN": (NAN, {}, DataError, ["x: got nan in row 1, step 3", "wanted finite float64 numbers"]),
    "infinity": (np.where(np.isnan(NAN), -np.inf, X), {}, DataError, ["x: got -inf in row 1, step 3"]),
    "NaN, another masked": (NAN, {"mask": ~DEAD}, DataError, ["row 1, step 3"]),
    "NaN in a list": ([X[0], NAN[1]], {}, DataError, ["row 1, step 3"]),
    "lengths of a list": (ROWS, {"lengths": [5, 2]}, OptionError, ["lengths", "leave it out"]),
    "too long": (X, {"lengths": [5, 6]}, DataError, ["lengths: got 6 in row 1", "wanted 0 … 5"]),
    "negative": (X, {"lengths": [-1, 5]}, DataError, ["lengths: got -1 in row 0", "wanted 0 … 5"]),
    "too few": (X, {"lengths": [5]}, ShapeError, ["lengths: got shape (1,)", "wanted (2,)"]),
    "lengths as text": (X, {"lengths": ["5", "5"]}, DataError, ["lengths: got <U1 values", "wanted numbers"]),
    "lengths None": (X, {"lengths": [None, 5]}, DataError, ["lengths: got object values", "wanted numbers"]),
    "half": (X, {"lengths": [2.5, 5]}, DataError, ["lengths", "wanted whole numbers"]),
    "mask": (X, {"mask": np.ones((2, 4), bool)}, ShapeError, ["mask: got shape (2, 4)", "wanted (2, 5)"]),
    "mask of floats": (X, {"mask": np.full((2, 5), 0.5)}, DataError, ["mask: wanted bools", "float64"]),
    "mask of text": (X, {"mask": np.full((2, 5), "yes")}, DataError, ["mask: got <U3 values"]),
    "ragged mask": (X, {"mask": [[True], [True, False]]}, DataError, ["mask: got rows of unequal lengths"]),
    "starts": (X, {"starts": np.ones((5, 2), bool)}, ShapeError, ["starts: got shape (5, 2)", "wanted (2, 5)"]),
    "starts of numbers": (X, {"starts": np.arange(10).reshape(2, 5)}, DataError, ["starts: wanted bools"]),
}


@pytest.mark.parametrize("case", BAD_X)
def test_bad_inputs_are_refused_by_every_call(case):
    x, steps, error, words = BAD_X[case]
    model, y = recurrent(), [row[:, :2] for row in ROWS] if isinstance(x, list) else X[..., :2]
    before = model.parameters.flat.copy()
    for call in everywhere(model, x, y, **steps).values():
        with refused(error, *words):
            call()
    assert np.array_equal(model.parameters.flat, before)


BAD_WORDS = {
    "floats": (WORDS.astype(float), DataError, ["x: got float64", "wanted whole numbers"]),
    "bools": (WORDS > 0, DataError, ["x: got bool", "wanted whole numbers"]),
    "three axes": (WORDS[..., None], ShapeError, ["(2, 4, 1)", "wanted (batch, time)"]),
    "above": (WORDS + 2, DataError, ["x: got 6 in row 1, step 0", "wanted an index in 0 … 5"]),
    "below": (WORDS - 1, DataError, ["x: got -1 in row 0, step 3", "wanted an index in 0 … 5"]),
    "far above": (WORDS.astype(np.uint64) + np.uint64(2**63), DataError, ["row 0, step 0", "wanted an index in 0 … 5"]),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_bad_indices_are_refused(case):
    x, error, words = BAD_WORDS[case]
    for call in (words_model().predict, words_model().run, words_model().stream(2).run):
        with refused(error, *words):
            call(x)


def test_the_smallest_embedding_counts():
    """Two embeddings side by side read the same indices."""
    model = gw.Model(gw.Parallel([gw.Embedding(9, 2), gw.Embedding(5, 2), gw.Embedding(7, 2)]), seed=0)
    assert model.predict(WORDS).shape == (2, 4, 6)
    with refused(DataError, "x: got 5 in row 0, step 2", "wanted an index in 0 … 4"):
        model.predict(WORDS + 2)


def test_what_float32_can_not_hold_is_refused():
    model = gw.Model(gw.Sequential(gw.GRU(3, 2), gw.Dense(2, 1)), seed=0)
    x = np.where(np.isnan(NAN), 1e39, X)
    with refused(DataError, "x: got 1e+39 in row 1, step 3", "finite float32"):
        model.predict(x)
    assert np.isfinite(model.predict(x, mask=DEAD)).all()
    with refused(DataError, "y: got inf in row 0, step 0"):
        model.evaluate(X, np.full((2, 5, 1), 1e39))
    with refused(DataError, "state[0].h", "finite float32"):
        model.run(X, (type(model.run(X)[1][0])(np.full((1, 2, 2), 1e39)), None))


@pytest.mark.parametrize("steps", [{"mask": DEAD}, {"lengths": LATE}])
def test_nan_at_dead_steps_is_legal_everywhere(steps):
    """x and y at dead steps are not read: the results are those of zeros there."""
    model = recurrent()
    y = X[..., :2].copy()
    there = np.isnan(NAN).any(-1)
    y[there] = np.inf
    zero_x, zero_y = np.where(there[..., None], 0, X), np.where(there[..., None], 0, y)
    assert np.array_equal(model.predict(NAN, **steps), model.predict(zero_x, **steps))
    for given in (lambda m, a, b: m.evaluate(a, b, **steps)["loss"], lambda m, a, b: m.gradients(a, b, **steps)[1].flat.sum()):
        assert given(model, NAN, y) == given(model, zero_x, zero_y)
    assert model.gradcheck(NAN, y, **steps).ok
    twin = model.copy()
    for one, a, b in ((model, NAN, y), (twin, zero_x, zero_y)):
        one.fit(a, b, epochs=2, verbose=False, shuffle=False, **steps)
    assert np.array_equal(model.parameters.flat, twin.parameters.flat)


def test_the_layers_own_masks_make_nan_legal():
    masked = gw.Model(gw.Sequential(gw.Masking(float("nan")), gw.GRU(3, 2)), seed=0)
    blank = np.where(np.isnan(NAN).any(-1, keepdims=True), np.nan, X)
    assert np.isfinite(masked.predict(blank)).all()
    with refused(DataError, "x: got nan in row 1, step 3"):
        masked.predict(NAN)  # only one of the three features is NaN there
    tenth = gw.Model(gw.Sequential(gw.Masking(0.1), gw.GRU(3, 2)), seed=0)  # 0.1 has another value in float32
    assert not tenth.predict(np.where(DEAD[..., None], X, 0.1))[1, 3].any()
    padded = words_model(mask_zero=True)
    assert not padded.predict(WORDS)[0, 3].any()
    assert padded.predict(WORDS)[0, 2].any()


BAD_Y = {
    "one axis less": ("mse", None, X[..., 0], ShapeError, ["y: got shape (2, 5)", "wanted (2, 5, 2)"]),
    "broadcasts": ("mse", None, X[..., :1], ShapeError, ["y: got shape (2, 5, 1)", "wanted (2, 5, 2)"]),
    "rows": ("mse", None, X[:1, :, :2], ShapeError, ["y: got shape (1, 5, 2)", "wanted (2, 5, 2)"]),
    "NaN": ("mse", None, NAN[..., 1:], DataError, ["y: got nan in row 1, step 3", "wanted a finite number"]),
    "text": ("mse", None, np.full((2, 5, 2), "a"), DataError, ["y: got <U1 values", "wanted numbers"]),
    "objects": ("mse", None, X[..., :2].astype(object), DataError, ["y: got object values"]),
    "None": ("mse", None, None, DataError, ["y: got object values", "wanted numbers"]),
    "ragged": ("mse", None, [[1, 2], [3]], DataError, ["y: got rows of unequal lengths"]),
    "classes of floats": ("cross_entropy", "softmax", np.ones((2, 5)), DataError, ["y: got float64", "as integers"]),
    "one-hot": ("cross_entropy", "softmax", np.ones((2, 5, 2), int), ShapeError, ["y: got shape (2, 5, 2)", "wanted (2, 5)"]),
    "class": ("cross_entropy", None, np.eye(2, 5, 1, int) * 2, DataError, ["y: got 2 in row 0, step 1", "a class 0 … 1"]),
    "below": ("cross_entropy", None, -np.eye(2, 5, 1, int), DataError, ["y: got -1 in row 0, step 1", "a class 0 … 1"]),
    "bits": ("binary_cross_entropy", "sigmoid", X[..., :2], DataError, ["wanted a number from 0 to 1"]),
}


@pytest.mark.parametrize("case", BAD_Y)
def test_bad_targets_are_refused_by_every_call(case):
    loss, final, y, error, words = BAD_Y[case]
    model = recurrent(final)
    before = model.parameters.flat.copy()
    for call in (model.evaluate, model.gradients, model.gradcheck):
        with refused(error, *words):
            call(X, y, loss)
    with refused(error, *words):
        model.fit(X, y, loss=loss, verbose=False)
    with refused(error, *words):
        model.fit(X, np.zeros((2, 5), int) if "cross" in loss and "binary" not in loss else 0 * X[..., :2], loss=loss,
                  verbose=False, validation=(X, y))  # fmt: skip
    assert np.array_equal(model.parameters.flat, before)


def test_a_loss_wants_columns():
    with refused(ShapeError, "the output has shape (5,)", "wants (B, O) or (B, T, O)"):
        gw.Model(gw.Dropout(0.5)).evaluate(X[0, :, 0], np.array(0), "cross_entropy")


def test_one_column_too_many_is_never_broadcast():
    """(B, T) against an output of (B, T, 1), and the other way round."""
    model = gw.Model(gw.Sequential(gw.GRU(3, 2), gw.Dense(2, 1)), seed=0)
    with refused(ShapeError, "y: got shape (2, 5)", "wanted (2, 5, 1)"):
        model.fit(X, X[..., 0], verbose=False)
    last = gw.Model(gw.Sequential(gw.GRU(3, 2, return_sequences=False), gw.Dense(2, 1)), seed=0)
    with refused(ShapeError, "y: got shape (2,)", "wanted (2, 1)"):
        last.fit(X, X[:, 0, 0], verbose=False)


BAD_LISTS = {
    "an array": (X[..., :2], ShapeError, ["y: got ndarray", "wanted a list of 2 sequences"]),
    "None": (None, ShapeError, ["y: got NoneType", "wanted a list of 2 sequences"]),
    "too few": ([X[0, :, :2]], ShapeError, ["y: got a list of 1", "wanted a list of 2 sequences"]),
    "too long": ([X[0, :, :2], X[1, :3, :2]], ShapeError, ["y[1]: got 3 steps", "wanted 2"]),
    "numbers": ([1.0, 2.0], ShapeError, ["y[0]: got the number 1.0", "5 steps of x[0]"]),
    "text": ([X[0, :, :2], ["a", "b"]], DataError, ["y[1]: got <U1 values"]),
    "columns": ([X[0], X[1, :2]], ShapeError, ["y: got shape (2, 5, 3)", "wanted (2, 5, 2)"]),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_bad_lists_of_targets(case):
    y, error, words = BAD_LISTS[case]
    with refused(error, *words):
        recurrent().evaluate(ROWS, y)


def test_targets_of_a_list_may_be_one_array_where_each_row_has_one():
    model = gw.Model(gw.Sequential(gw.LSTM(3, 4, return_sequences=False), gw.Dense(4, 2)), seed=0, dtype="float64")
    y = X[:, 0, :2]
    p = model.predict(ROWS)
    assert p.shape == (2, 2)
    assert model.evaluate(ROWS, y)["loss"] == pytest.approx(((p - y) ** 2).mean(), rel=1e-13)


def test_lists_train_as_their_rows_padded_do():
    """Targets and validation data too; what stands behind a row's end is not read."""
    y = [row[:, :2] for row in ROWS]
    dense = np.full((2, 5, 3), np.nan)
    dense[0], dense[1, :2] = ROWS
    steps = {"lengths": [5, 2]}
    lists, padded = recurrent(), recurrent()
    one = lists.fit(ROWS, y, epochs=3, verbose=False, validation=(ROWS[:1], y[:1]))
    two = padded.fit(dense, dense[..., :2], epochs=3, verbose=False, validation=(X[:1], X[:1, :, :2]), **steps)
    assert np.array_equal(lists.parameters.flat, padded.parameters.flat)
    assert one.history == two.history
    assert lists.evaluate(ROWS, y) == padded.evaluate(dense, dense[..., :2], **steps)
    assert lists.gradcheck(ROWS, y).ok


def test_a_list_gives_a_list():
    model = recurrent()
    y = model.predict(ROWS)
    assert [row.shape for row in y] == [(5, 2), (2, 2)]
    dense = np.zeros((2, 5, 3))
    dense[0], dense[1, :2] = ROWS
    whole = model.predict(dense, lengths=[5, 2])
    assert np.array_equal(y[0], whole[0])
    assert np.array_equal(y[1], whole[1, :2])
    again, state = model.run(tuple(ROWS))
    assert all(np.array_equal(a, b) for a, b in zip(again, y, strict=True))
    np.testing.assert_allclose(state[0].h[0, 1], model.run(ROWS[1][None])[1][0].h[0, 0], rtol=0, atol=1e-15)
    mask = np.ones((2, 5), bool)
    mask[0, 1] = False
    holes = model.predict(ROWS, mask=mask)
    assert not holes[0][1].any()
    assert [row.shape for row in holes] == [(5, 2), (2, 2)]
    states = gw.Model(gw.LSTM(3, 4, return_state_sequence=True), seed=0).predict(ROWS)
    assert [row.shape for row in states.h] == [row.shape for row in states.c] == [(5, 4), (2, 4)]


def test_nested_lists_are_arrays_or_sequences():
    model = recurrent()
    np.testing.assert_array_equal(np.stack(model.predict(X.tolist())), model.predict(X))
    flat = gw.Model(gw.Dense(3, 2), seed=0, dtype="float64")
    np.testing.assert_array_equal(flat.predict(X[0].tolist()), flat.predict(X[0]))
    with refused(ShapeError, "lengths", "need a time axis", "(5, 3)"):
        flat.predict(X[0], lengths=[1] * 5)
    words = words_model()
    short = words.predict([[1, 2, 3], [], [4]])
    assert [row.shape for row in short] == [(3, 4), (0, 4), (1, 4)]
    np.testing.assert_allclose(short[2][0], words.predict(np.array([[4]]))[0, 0], rtol=1e-6)
    assert [row.shape for row in words.predict([[], []])] == [(0, 4), (0, 4)]


def test_no_step_at_all_is_legal():
    """Every row of length 0, in an array without a time step: the initial state is the output, and can be trained."""
    model = gw.Model(gw.Sequential(gw.GRU(3, 4, return_sequences=False, learn_initial_state=True), gw.Dense(4, 2)), seed=0)
    assert model.predict(X[:, :0]).shape == (2, 2)
    before = model.parameters["1.b"].copy()
    model.fit(X[:, :0], X[:, 0, :2], verbose=False)
    assert not np.array_equal(model.parameters["1.b"], before)
    with refused(DataError, "no loss to compute: no row, no live step"):
        recurrent().fit(X[:, :0], X[:, :0, :2])


def test_a_list_would_be_cut_at_the_wrong_end():
    """Keras' go_backwards with repeated outputs puts a short row's steps last: a list could not say which they are."""
    model = gw.Model(gw.GRU(3, 2, go_backwards=True, masked_output="repeat"), seed=0)
    with refused(OptionError, "masked_output='repeat'", "not a list"):
        model.predict(ROWS)
    assert model.predict(X, lengths=[5, 2])[1, 3:].all()
    plain = gw.Model(gw.GRU(3, 2, go_backwards=True), seed=0)
    np.testing.assert_allclose(plain.predict(ROWS)[1], plain.predict(ROWS[1][None])[0], rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda layer: layer,
        lambda layer: gw.Shared(layer, "cell"),
        lambda layer: gw.Sequential(gw.Dense(3, 3), gw.Sequential(layer)),
    ],
)
def test_states_are_no_predictions(make):
    model = gw.Model(make(gw.LSTM(3, 4, return_state_sequence=True)), seed=0)
    assert model.predict(X).c.shape == (2, 5, 4)
    with refused(OptionError, "output is states", "leave it out"):
        model.evaluate(X, np.zeros((2, 5, 4)))


def test_states_have_no_layer_behind_or_around_them():
    states = gw.Shared(gw.LSTM(3, 3, return_state_sequence=True), "cell")
    with refused(OptionError, "layer 0 gives states", "put it last"):
        gw.Sequential(states, gw.Dense(3, 1))
    with refused(OptionError, "layer 1 gives states"):
        gw.Parallel([gw.Dense(3, 3), gw.Sequential(states)])
    with refused(OptionError, "Residual", "gives states"):
        gw.Residual(states)


def test_inputs_are_never_modified():
    """Nor kept: what was given may change afterwards."""
    x, y, mask = X.copy(), X[..., :2].copy(), DEAD.copy()
    starts, lengths, weight = np.eye(2, 5, 2, bool), np.array([5, 4]), np.array([1.0, 2.0])
    given = {"x": x, "y": y, "mask": mask, "starts": starts, "lengths": lengths, "weight": weight}
    copies = {name: array.copy() for name, array in given.items()}
    for array in given.values():
        array.flags.writeable = False
    steps = {"lengths": lengths, "mask": mask, "starts": starts}
    for dtype in ("float32", "float64"):
        model = gw.Model(gw.Sequential(gw.Masking(0.0), gw.LSTM(3, 4, num_layers=2), gw.Dense(4, 2)), seed=0, dtype=dtype)
        model.fit(x, y, verbose=False, sample_weight=weight, validation=(x, y, steps), **steps)
        model.gradcheck(x, y, **steps)
        _, state = model.run(x, **steps)
        kept = state[1].h.copy()
        state[1].h.flags.writeable = False
        model.run(x, state)
        assert np.array_equal(state[1].h, kept)
    assert all(np.array_equal(array, copies[name]) for name, array in given.items())


BAD_OPTIONS = {
    "loss": (lambda m: m.evaluate(X, X[..., :2], "mes"), ["loss='mes'", "known", "'mse'", "'cross_entropy'"]),
    "metric": (lambda m: m.evaluate(X, X[..., :2], metrics=["mea"]), ["'mea'", "known", "'mae'"]),
    "optimizer": (lambda m: m.fit(X, X[..., :2], optimizer="adma"), ["'adma'", "known", "'adam'"]),
    "kernel": (lambda m: gw.Model(m.layer, kernel="fast"), ["kernel='fast'", "known: 'auto', 'numpy', 'compiled'"]),
    "kernel of no recurrent layer": (lambda m: gw.Model(gw.Dense(1, 1), kernel="fast"), ["kernel='fast'", "known"]),
    "compiled": (lambda m: gw.Model(m.layer, dtype="float64", kernel="compiled"), ["float32 is compiled", "use kernel='auto'"]),
    "compiled Dense": (lambda m: gw.Model(gw.Dense(1, 1, "gelu"), kernel="compiled"), ["'gelu'", "are compiled"]),
    "dtype": (lambda m: gw.Model(m.layer, dtype="float16"), ["dtype='float16'", "known: 'float32', 'float64'"]),
    "dtype None": (lambda m: gw.Model(m.layer, dtype=None), ["dtype=None", "known: 'float32', 'float64'"]),
    "seed": (lambda m: gw.Model(m.layer, seed=-1), ["seed: got -1", "wanted a whole number of at least 0"]),
    "seed as text": (lambda m: gw.Model(m.layer, seed="1"), ["seed: got '1'"]),
    "threads": (lambda m: gw.Model(m.layer, threads=0), ["threads: got 0", "at least 1"]),
    "threads True": (lambda m: gw.Model(m.layer, threads=True), ["threads: got True"]),
    "no layer": (lambda m: gw.Model(gw.LSTM), ["wanted a layer"]),
    "parameters": (lambda m: gw.Model(m.layer, parameters={}), ["parameters: got dict", "wanted gw.Parameters"]),
    "batch_size": (lambda m: m.predict(X, batch_size=0), ["batch_size: got 0", "at least 1"]),
    "batch_size of evaluate": (lambda m: m.evaluate(X, X[..., :2], batch_size=2.0), ["batch_size: got 2.0"]),
    "groups": (lambda m: gw.Adam(groups=[{"lr": 1}]), ["Adam: groups: got [{'lr': 1}]", "wanted a dict such as"]),
    "a group": (lambda m: gw.SGD(groups={"0": 0.1}), ["SGD: groups: got {'0': 0.1}", "wanted a dict such as"]),
    "epochs": (lambda m: m.fit(X, X[..., :2], epochs=-1), ["epochs", "-1"]),
    "freeze": (lambda m: m.freeze("2"), ["no parameter matches '2'", "0.W"]),
    "freeze a number": (lambda m: m.freeze(0), ["got [0]", "wanted names"]),
    "unfreeze": (lambda m: m.unfreeze(["0", "w"]), ["no parameter matches 'w'"]),
    "validation": (lambda m: m.fit(X, X[..., :2], validation=X), ["validation: wanted (x, y)"]),
    "validation's third": (lambda m: m.fit(X, X[..., :2], validation=(X, X, 3)), ["got int", "wanted a dict"]),
    "validation's names": (
        lambda m: m.fit(X, X[..., :2], validation=(X, X, {"length": 1})),
        ["'length' is unknown; known: lengths, mask, starts, sample_weight"],
    ),
    "method": (lambda m: m.gradcheck(X, X[..., :2], method="fd"), ["method='fd'", "'auto', 'complex', 'differences'"]),
    "stream": (lambda m: m.stream(0), ["batch_size: got 0"]),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_unknown_option_values_are_refused(case):
    call, words = BAD_OPTIONS[case]
    with refused(OptionError, *words):
        call(recurrent())


def test_lists_of_sequences_take_lists_of_steps() -> None:
    rng = np.random.default_rng(0)
    model = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 1)), seed=0, dtype="float64")
    x, y = [rng.standard_normal((n, 2)) for n in (5, 3)], [rng.standard_normal((n, 1)) for n in (5, 3)]
    mask, weight = [rng.random(n) > 0.3 for n in (5, 3)], [rng.random(n) for n in (5, 3)]
    dense_mask, dense_weight = np.zeros((2, 5), bool), np.zeros((2, 5))
    for i, n in enumerate((5, 3)):
        dense_mask[i, :n], dense_weight[i, :n] = mask[i], weight[i]
    for ours, theirs in zip(model.predict(x, mask=mask), model.predict(x, mask=dense_mask), strict=True):
        assert np.array_equal(ours, theirs)
    given = model.gradients(x, y, mask=mask, sample_weight=weight)
    assert given[0] == model.gradients(x, y, mask=dense_mask, sample_weight=dense_weight)[0]
    with refused(ShapeError, "mask[1]: got 4 values, wanted 3, one for every step of x[1]"):
        model.predict(x, mask=[mask[0], np.ones(4, bool)])


def test_what_would_be_lost_is_refused() -> None:
    model = gw.Model(gw.LSTM(2, 3), seed=0)
    with refused(DataError, "x: got a masked array", "mask=…"):
        model.predict(np.ma.masked_array(np.ones((1, 4, 2)), np.zeros((1, 4, 2), bool)))
    with refused(ShapeError, "x[1]: got shape (0,), wanted (T, F)"):
        model.predict([np.ones((3, 2)), []])
    for layer in (gw.RNN, gw.LSTM, gw.GRU, gw.Dense):
        with refused(OptionError, "bias_initializer: got 'ones', but bias=False"):
            layer(1, 2, bias=False, bias_initializer="ones")
    with refused(OptionError, "the backward layer is 0"):
        gw.Bidirectional(gw.LSTM(1, 2), backward_layer=0)
    assert repr(gw.LSTM(1, 2, bias=False)) == "LSTM(1, 2, bias=False)"


def test_one_metric_or_callback_needs_no_list() -> None:
    model = gw.Model(gw.Dense(2, 1), seed=0)
    x, y = np.ones((4, 3, 2)), np.ones((4, 3, 1))
    history = model.fit(x, y, epochs=3, metrics="mae", callbacks=gw.EarlyStopping("loss", patience=1), verbose=False)
    assert set(model.evaluate(x, y, metrics="mae")) == {"loss", "mae"}
    assert set(history.history) == {"loss", "mae", "learning_rate"}
    assert set(model.fit(x, y, metrics=None, callbacks=None, verbose=False).history) == {"loss", "learning_rate"}
