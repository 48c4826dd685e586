"""The gradient check itself: what it measures, what it prints, what it refuses, and that each of its options matters."""

import math

import numpy as np
import pytest
from refusals import refused

import gatewright as gw
from gatewright.checking import Problem, Report, Row, choices, compare, random_parameters
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.layers.recurrent import Recurrent

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 5, 3))
A = RNG.standard_normal((4, 6))
B = RNG.standard_normal(6)


def problem(spoil=lambda dA, db: None):
    """sum(tanh(A b)) of a matrix A and a vector b; `spoil` may change their gradients in place."""

    def gradients(now):
        s = 1 - np.tanh(now["A"] @ now["b"]) ** 2
        found = {"A": np.outer(s, now["b"]), "b": s @ now["A"]}
        spoil(found["A"], found["b"])
        return found

    return Problem({"A": A, "b": B}, lambda now: np.tanh(now["A"] @ now["b"]).sum(), gradients, {})


def report_of(spoil=lambda dA, db: None, method="complex", directions=3, elements=8, tolerance=None, seed=0):
    how = choices(method, directions, elements, tolerance)
    return compare(problem(spoil), how, np.random.default_rng(seed), "a problem")


# ------------------------------------------------------------------------------------------------ what is measured


@pytest.mark.parametrize(("method", "below"), [("complex", 1e-14), ("differences", 1e-8)])
def test_right_gradients_pass(method, below):
    report = report_of(method=method)
    assert report.ok
    assert report.worst.error < below
    assert report.tolerance == {"complex": 1e-10, "differences": 1e-7}[method]
    assert [(row.name, row.shape) for row in report.rows] == [("A", (4, 6)), ("b", (6,))]
    assert all(row.expected != 0 for row in report.rows)


@pytest.mark.parametrize("method", ["complex", "differences"])
def test_the_error_is_relative_to_the_tensors_largest_gradient(method):
    """One element off by 1 % of the largest: that is the error, as one element, and less along a direction."""
    largest = np.abs(problem().gradients({"A": A, "b": B})["A"]).max()

    def spoil(dA, db):
        dA[1, 2] += 0.01 * largest * (1 if abs(dA[1, 2] + 0.01 * largest) <= largest else -1)

    report = report_of(spoil, method, directions=0, elements=24)
    assert not report.ok
    assert report.worst.name == "A"
    assert report.worst.where == "[1,2]"
    assert report.worst.error == pytest.approx(0.01, rel=1e-6)
    assert abs(report.worst.expected - report.worst.actual) == pytest.approx(0.01 * largest, rel=1e-6)
    along = report_of(spoil, method, directions=3, elements=0)
    assert along.worst.where.startswith("direction ")
    assert 1e-5 < along.worst.error < 0.01
    assert [row.name for row in along.rows if row.error >= along.tolerance] == ["A"]


def test_directions_see_every_element_and_elements_those_that_they_hit():
    def spoil(dA, db):
        dA[3, 5] *= 1.5

    assert not report_of(spoil, directions=1, elements=0).ok
    hits = [not report_of(spoil, directions=0, elements=6, seed=seed).ok for seed in range(40)]
    assert 0 < sum(hits) < 40  # 6 of 24 elements
    assert not report_of(spoil, directions=0, elements=24).ok
    assert not report_of(spoil, directions=0, elements=999).ok


def test_a_gradient_of_zero_is_wrong_where_the_derivative_is_not():
    def spoil(dA, db):
        db[...] = 0

    report = report_of(spoil)
    assert [row.error >= report.tolerance for row in report.rows] == [False, True]
    assert report.worst.actual == 0
    assert report.worst.error == pytest.approx(1)
    assert "WRONG" in str(report)


def test_nan_is_wrong():
    def spoil(dA, db):
        db[2] = np.nan

    report = report_of(spoil)
    assert not report.ok
    assert report.worst.name == "b"
    assert math.isnan(report.worst.error)
    assert "nan  WRONG" in str(report)


def test_the_complex_step_is_right_where_differences_are_not():
    """A gradient off by 1e-9 of itself: only the complex step can tell."""

    def spoil(dA, db):
        dA *= 1 + 1e-9

    assert not report_of(spoil).ok
    assert report_of(spoil, "differences").ok
    a, b = report_of(), report_of(method="differences")
    for one, two in zip(a.rows, b.rows, strict=True):
        assert one.where == two.where or abs(one.error - two.error) < 1e-7


def test_the_tolerance_decides():
    def spoil(dA, db):
        dA *= 1.001

    error = report_of(spoil).worst.error
    assert 1e-4 < error < 1e-2
    assert report_of(spoil, tolerance=1.01 * error).ok
    assert not report_of(spoil, tolerance=0.99 * error).ok
    assert report_of(spoil, tolerance=1.01 * error).tolerance == 1.01 * error


# ------------------------------------------------------------------------------------------------ what is printed


def test_the_table():
    rows = (
        Row("parameter 0.W", (3, 16), "direction 2", 1.25, 1.25, 2e-16),
        Row("input x", (2, 5, 3), "[1,0,2]", -0.5, 0.75, 1.0),
    )
    report = Report("LSTM(3, 4), x of shape (2, 5, 3)", "complex", 1e-10, rows)
    assert str(report).splitlines() == [
        "gradient check of LSTM(3, 4), x of shape (2, 5, 3)",
        "tensor         shape    worst at     expected (complex step)  actual (backward)       error",
        "parameter 0.W  (3,16)   direction 2   1.250000000000000e+00    1.250000000000000e+00  2.0e-16",
        "input x        (2,5,3)  [1,0,2]      -5.000000000000000e-01    7.500000000000000e-01  1.0e+00  WRONG",
        "1 of 2 gradients are WRONG; the worst is input x: 1.0e+00",
    ]
    assert not report.ok
    assert report.worst is rows[1]
    right = Report("b", "differences", 1e-7, rows[:1])
    assert right.ok
    assert "expected (central differences)" in str(right)
    assert str(right).splitlines()[-1] == "all 1 gradients are right: the worst error is 2.0e-16, below 1e-07"
    exactly = Report("b", "complex", 1.0, rows[1:])
    assert not exactly.ok  # an error of the tolerance is none below it
    assert "WRONG" in str(exactly)


def test_a_report_of_a_network():
    net = gw.Sequential(gw.LSTM(3, 4, num_layers=2, bidirectional=True), gw.Dense(8, 2))
    report = gw.gradcheck(net, X)
    assert report.ok, report
    names = [f"0.layer{k}.{d}.{n}" for k in (0, 1) for d in ("forward", "backward") for n in ("W", "U", "b")] + ["1.W", "1.b"]
    wanted = [*(f"parameter {name}" for name in names), "input x", "initial state[0].h", "initial state[0].c"]
    assert [row.name for row in report.rows] == wanted
    assert [row.shape for row in report.rows[-3:]] == [(2, 5, 3), (4, 2, 4), (4, 2, 4)]
    assert report.title == f"{net}, x of shape (2, 5, 3)"
    assert str(report).splitlines()[-1].startswith("all 17 gradients are right")
    assert report == gw.gradcheck(net, X)
    assert report != gw.gradcheck(net, X, seed=1)


# ------------------------------------------------------------------------------------------------ what is refused

LSTM, DENSE = gw.LSTM(3, 4), gw.Dense(3, 2)
SHORT = {
    "two steps": (X[:, :2], {}, "2 steps"),
    "one": (X[:, :1], {}, "1 steps"),
    "none": (X[:, :0], {}, "0 steps"),
    "no rows": (X[:0], {}, "0 steps"),
    "lengths": (X, {"lengths": [2, 1]}, "2 steps"),
    "mask": (X, {"mask": np.tile([True, False, True, False, False], (2, 1))}, "2 steps"),
    "starts": (X, {"starts": np.tile([False, False, True, False, True], (2, 1))}, "2 steps"),
}


@pytest.mark.parametrize("case", SHORT)
def test_few_steps_are_refused(case):
    """What counts is the longest run of live steps without a start."""
    x, steps, words = SHORT[case]
    for net in (LSTM, gw.Sequential(DENSE, gw.Residual(gw.GRU(2, 2)))):
        with refused(gw.UninformativeError, f"the longest sequence has {words}", "from 3 on"):
            gw.gradcheck(net, x, **steps)
    if x.size:  # without a single step a loss is refused for itself
        with refused(gw.UninformativeError, words):
            gw.Model(LSTM, seed=0).gradcheck(x, np.zeros((*x.shape[:2], 4)), **steps)
    assert gw.gradcheck(LSTM, X, lengths=[3, 0]).ok


def test_layers_without_memory_need_no_steps():
    for layer, x in ((DENSE, X[:, :1]), (DENSE, X[0]), (gw.Sequential(gw.LayerNorm(3), DENSE), X[:1, :1])):
        assert gw.gradcheck(layer, x).ok


def test_zero_states_are_refused():
    h, zero = np.ones((1, 2, 4)), np.zeros((1, 2, 4))
    for state, name in (((zero, h), "state.h"), ((h, zero), "state.c")):
        with refused(gw.UninformativeError, f"{name} is zero", "give a random state, or none"):
            gw.gradcheck(LSTM, X, state)
    with refused(gw.UninformativeError, "state[0].h is zero"):
        gw.Model(gw.Sequential(LSTM)).gradcheck(X, np.ones((2, 5, 4)), state=((zero, h),))
    assert gw.gradcheck(LSTM, X, (h, 0.5 * h)).ok


def test_vanishing_gradients_are_refused():
    with refused(gw.UninformativeError, "the gradient of", "it vanishes", "use larger weights or inputs"):
        gw.gradcheck(gw.GRU(3, 4), 1e4 * X)
    dead = gw.Parameters.of({"W": np.ones((3, 2)), "b": np.full(2, -50.0)})
    with refused(gw.UninformativeError, "the gradient of parameter W is at most 0.0e+00"):
        gw.gradcheck(gw.Dense(3, 2, "relu"), X, params=dead)
    with refused(gw.UninformativeError, "vanishes"):  # nothing at all
        gw.gradcheck(DENSE, X[:0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gw.gradcheck(LSTM, X, method="fd"), OptionError, ["method='fd'", "known: 'auto', 'complex', 'differences'"]),
        (lambda: gw.gradcheck(gw.Dense(3, 2, "relu"), X, method="complex"), OptionError, ["kinks", "use method='differences'"]),
        (lambda: gw.Model(DENSE).gradcheck(X, X[..., :2], "mae", method="complex"), OptionError, ["the loss has kinks"]),
        (lambda: gw.gradcheck(LSTM, X, directions=-1), OptionError, ["directions: got -1", "a whole number of at least 0"]),
        (lambda: gw.gradcheck(LSTM, X, elements=2.5), OptionError, ["elements: got 2.5"]),
        (lambda: gw.gradcheck(LSTM, X, elements=True), OptionError, ["elements: got True"]),
        (lambda: gw.gradcheck(LSTM, X, directions=0, elements=0), OptionError, ["nothing would be checked"]),
        (lambda: gw.gradcheck(LSTM, X, tolerance=0), OptionError, ["tolerance: got 0", "wanted a number above 0"]),
        (lambda: gw.gradcheck(LSTM, X, tolerance=math.nan), OptionError, ["tolerance: got nan"]),
        (lambda: gw.gradcheck(LSTM, X, tolerance="1e-3"), OptionError, ["tolerance: got '1e-3'"]),
        (lambda: gw.gradcheck(LSTM, X, seed=-1), OptionError, ["seed: got -1", "a whole number of at least 0"]),
        (lambda: gw.Model(DENSE).gradcheck(X, X[..., :2], seed=None), OptionError, ["seed: got None"]),
        (lambda: gw.gradcheck("LSTM", X), OptionError, ["gradcheck: got 'LSTM'", "wanted a layer or a Model"]),
        (lambda: gw.gradcheck(LSTM, X[..., :2]), ShapeError, ["(2, 5, 2)", "wanted (batch, time, 3)"]),
        (lambda: gw.gradcheck(DENSE, X[0], lengths=[1] * 5), ShapeError, ["lengths", "need a time axis", "(5, 3)"]),
        (lambda: gw.gradcheck(gw.Dropout(0.5), 1.0), ShapeError, ["x: got the number 1.0"]),
        (lambda: gw.gradcheck(LSTM, "X"), DataError, ["x: got <U1 values"]),
        (lambda: gw.gradcheck(LSTM, X, np.ones((1, 2, 4))), ShapeError, ["state: got ndarray", "wanted 2 entries"]),
        (lambda: gw.gradcheck(LSTM, X, (np.ones((1, 3, 4)),) * 2), ShapeError, ["state.h: got shape (1, 3, 4)", "(1, 2, 4)"]),
        (lambda: gw.gradcheck(gw.Model(LSTM), X, (X,)), ShapeError, ["state: got 1", "wanted 2 entries"]),
        (lambda: gw.gradcheck(LSTM, X, lengths=[9, 9]), DataError, ["lengths: got 9 in row 0"]),
        (lambda: gw.gradcheck(LSTM, np.where(X > 1, np.nan, X)), DataError, ["NaN or infinite", "x at a live step"]),
        (lambda: gw.gradcheck(gw.Embedding(3, 2), [[0.5, 1]]), DataError, ["x: got float64", "wanted whole numbers"]),
    ],
)  # fmt: skip
def test_bad_arguments(call, error, words):
    with refused(error, *words):
        call()


# ---------------------------------------------------------------------------------------------- what a network is checked with


def test_methods_agree():
    for layer in (LSTM, gw.GRU(3, 4, reset_after=False), gw.RNN(3, 4, activation="softplus", bidirectional=True)):
        by = {method: gw.gradcheck(layer, X, method=method, directions=1, elements=0) for method in ("complex", "differences")}
        assert all(report.ok for report in by.values())
        assert gw.gradcheck(layer, X).method == "complex"
        for one, two in zip(by["complex"].rows, by["differences"].rows, strict=True):
            assert one.actual == two.actual  # the same directions
            assert one.expected != two.expected
            assert one.expected == pytest.approx(two.expected, rel=1e-5, abs=1e-7)
    assert gw.gradcheck(gw.GRU(3, 4, activation="elu"), X).method == "differences"


def test_options_choose_the_probes():
    assert {row.where for row in gw.gradcheck(LSTM, X, directions=1, elements=0).rows} == {"direction 1"}
    assert all(row.where.startswith("[") for row in gw.gradcheck(LSTM, X, directions=0, elements=1).rows)


@pytest.mark.parametrize("starts", [False, True])
def test_learned_initial_states(monkeypatch, starts):
    """They are rows of their own, right with and without starts; a backward pass that forgets them is caught."""
    layer = gw.LSTM(3, 4, num_layers=2, learn_initial_state=True)
    steps = {"starts": np.tile([False, True, False, False, False], (2, 1))} if starts else {}
    report = gw.gradcheck(layer, X, **steps)
    assert report.ok, report
    learned = [f"parameter layer{k}.{name}" for k in (0, 1) for name in ("h0", "c0")]
    assert [row.name for row in report.rows[-4:]] == learned
    assert "initial state.c" in [row.name for row in report.rows]
    right = Recurrent._d_initial

    def forgets(self, grads, dcolumns, cache):
        before = {name: array.copy() for name, array in grads.items()}
        dstate = right(self, grads, dcolumns, cache)
        for name, array in before.items():
            grads.add(name, array - grads[name])
        return dstate

    monkeypatch.setattr(Recurrent, "_d_initial", forgets)
    report = gw.gradcheck(layer, X, **steps)
    assert [row.name for row in report.rows if not row.error < report.tolerance] == learned


def test_indices_have_no_gradient():
    """E is checked, x is not; dead steps may hold any index."""
    words = RNG.integers(1, 7, (2, 6))
    net = gw.Sequential(gw.Embedding(7, 3, mask_zero=True), gw.GRU(3, 4))
    report = gw.gradcheck(net, words)
    assert report.ok, report
    assert [row.name for row in report.rows] == [f"parameter {n}" for n in ("0.E", "1.W", "1.U", "1.b", "1.bn")] + [
        "initial state[1].h"
    ]
    words[1, 4] = 7
    with refused(DataError, "x: got 7 in row 1, step 4", "wanted an index in 0 … 6"):
        gw.gradcheck(net, words)
    assert gw.gradcheck(net, words, lengths=[6, 4]).ok
    words[0, 2] = -1
    with refused(DataError, "x: got -1 in row 0, step 2", "wanted an index in 0 … 6"):
        gw.gradcheck(gw.Model(net), words, lengths=[6, 4])
    words[:, 2:] = 0
    with refused(gw.UninformativeError, "2 steps"):
        gw.gradcheck(net, words)


@pytest.mark.parametrize("steps", [{"lengths": [5, 3]}, {"mask": np.array([[1] * 5, [1, 0, 1, 0, 1]], bool)}])
def test_dead_steps_may_hold_nan(steps):
    net = gw.Sequential(gw.LSTM(3, 4, bidirectional=True), gw.LayerNorm(8), gw.Dense(8, 2))
    x = X.copy()
    x[1, 3] = np.nan
    report = gw.gradcheck(net, x, elements=30, **steps)
    assert report.ok, report
    assert report.rows == gw.gradcheck(net, X, elements=30, **steps).rows
    with refused(DataError, "NaN or infinite"):
        gw.gradcheck(net, x, lengths=[5, 4])


@pytest.mark.parametrize("value", [1.0, math.nan])
def test_what_masks_a_step_is_not_moved(value):
    """A masked step that is moved by 1e-30 is none any more: it stays, and all others are checked."""
    x = RNG.standard_normal((2, 7, 3))
    x[0, 2] = x[1, 5] = value
    for net in (gw.Masking(value), gw.Sequential(gw.Masking(value), gw.LSTM(3, 4), gw.Dense(4, 2))):
        for method in ("complex", "differences"):
            report = gw.gradcheck(net, x, method=method, elements=99)
            assert report.ok, report
    spots = {gw.gradcheck(gw.Masking(value), x, directions=0, elements=1, seed=seed).rows[0].where for seed in range(200)}
    assert {tuple(map(int, spot.strip("[]").split(",")))[:2] for spot in spots} == set(np.ndindex(2, 7)) - {(0, 2), (1, 5)}
    model = gw.Model(gw.Sequential(gw.Masking(value), gw.GRU(3, 2)), seed=0)
    assert model.gradcheck(x, np.ones((2, 7, 2))).ok


def test_lists_of_sequences():
    rows = [X[0], X[1, :3]]
    assert (
        gw.gradcheck(LSTM, rows).rows
        == gw.gradcheck(LSTM, np.stack([X[0], X[1] * (np.arange(5) < 3)[:, None]]), lengths=[5, 3]).rows
    )
    assert gw.gradcheck(gw.Sequential(gw.Embedding(7, 3), gw.GRU(3, 4)), [[1, 2, 3, 4], [5]]).ok
    with refused(OptionError, "lengths", "leave it out"):
        gw.gradcheck(LSTM, rows, lengths=[5, 3])


def test_a_models_own_numbers_are_checked_but_its_zeros_are_drawn():
    """A new bias is zero, which would hide wrong terms; the model itself stays as it is."""
    model = gw.Model(gw.LSTM(3, 4, forget_bias=0.0), seed=0)
    before = model.parameters.flat.copy()
    report = gw.gradcheck(model, X)
    assert report.ok, report
    assert [row.name for row in report.rows][:3] == ["parameter 0.W", "parameter 0.U", "parameter 0.b"]
    assert np.array_equal(model.parameters.flat, before)
    assert not model.parameters["0.b"].any()
    checked = random_parameters(model.network, np.random.default_rng(0), model.parameters)
    assert checked["0.b"].all()
    assert np.array_equal(checked["0.W"], model.parameters["0.W"].astype(float))
    same = gw.gradcheck(model.network, X, params=model.parameters)
    assert report.rows == same.rows
    other = gw.gradcheck(gw.Model(model.layer, seed=1), X)
    assert report.rows != other.rows
    state = model.run(X)[1]
    given = gw.gradcheck(model, X, state)
    assert given.ok
    assert given.rows != report.rows
    assert gw.gradcheck(model, X, [state.h.tolist(), state.c]).rows == given.rows


def test_nothing_is_modified_and_dropout_rests():
    net = gw.Sequential(gw.LSTM(3, 4, num_layers=2, dropout=0.5), gw.Dropout(0.5), gw.Dense(4, 2))
    x, state = X.copy(), (tuple(RNG.standard_normal((2, 2, 2, 4))), None, None)
    params = net.init(np.random.default_rng(0))
    kept = x.copy(), [array.copy() for array in state[0]], params.flat.copy()
    assert gw.gradcheck(net, x, state, params=params).ok
    assert np.array_equal(x, kept[0])
    assert all(np.array_equal(a, b) for a, b in zip(state[0], kept[1], strict=True))
    assert np.array_equal(params.flat, kept[2])
