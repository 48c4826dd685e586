"""Every form in which sequences come: the same numbers give the same predictions, and nonsense is refused."""

import numpy as np
import pandas as pd
import pytest
from refusals import refused
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency

import gatewright as gw
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.estimators.sequences import read

RNG = np.random.default_rng(0)
LENGTHS = np.array([7, 3, 5, 7, 4, 6, 2, 7])
ROWS = [RNG.normal(size=(length, 2)) for length in LENGTHS]
LABELS = np.array(list("abababab"))


def small(**options):
    return gw.SequenceClassifier(hidden_size=3, epochs=2, random_state=0, **options)


def padded(rows):
    """(n, T, F), NaN after each row's end."""
    x = np.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), np.nan)
    for i, row in enumerate(rows):
        x[i, : len(row)] = row
    return x


def as_objects(rows):
    x = np.empty(len(rows), object)
    x[:] = rows
    return x


@pytest.mark.parametrize(
    ("given", "layout"),
    [
        (padded(ROWS), "ntc"),
        (as_objects(ROWS), "ntc"),
        ([row.tolist() for row in ROWS], "ntc"),
        ([row.astype(object) for row in ROWS], "ntc"),
        (tuple(ROWS), "ntc"),
        (padded(ROWS).swapaxes(1, 2), "nct"),
        ([row.T for row in ROWS], "nct"),
        ([*padded(ROWS)], "ntc"),
    ],
    ids=["padded", "objects", "nested lists", "rows of objects", "tuple", "nct", "list nct", "padded list"],
)
def test_every_form_gives_the_same(given, layout):
    wanted, fitted = small().fit(ROWS, LABELS), small(layout=layout).fit(given, LABELS)
    np.testing.assert_array_equal(fitted.predict_proba(given), wanted.predict_proba(ROWS))
    assert fitted.loss_curve_ == wanted.loss_curve_
    assert fitted.n_features_in_ == 2


def test_univariate_forms_give_the_same():
    rows = [row[:, 0] for row in ROWS]
    wanted = small().fit([row[:, None] for row in rows], LABELS)
    for x in (rows, padded(rows), padded(rows)[:, :, None], [row.tolist() for row in rows], pd.DataFrame(padded(rows))):
        for fitted in (small().fit(x, LABELS), wanted):
            np.testing.assert_array_equal(fitted.predict_proba(x), wanted.predict_proba(rows))


def test_the_lengths_and_the_padding():
    sequences, form = read(small(), padded(ROWS), None)
    assert sequences.lengths.tolist() == LENGTHS.tolist()
    assert form == (2, None, None)
    assert not sequences.x[~sequences.live].any()
    np.testing.assert_array_equal(np.concatenate(ROWS), sequences.x[sequences.live])


def test_a_table_fixes_the_number_of_steps_and_others_do_not():
    table = RNG.normal(size=(8, 5))
    fitted = small().fit(table, LABELS)
    assert fitted.n_features_in_ == 5
    with pytest.raises(ValueError, match="X has 4 features, but SequenceClassifier is expecting 5 features as input"):
        fitted.predict(table[:, :4])
    np.testing.assert_array_equal(fitted.predict_proba(table[:, :, None]), fitted.predict_proba(table))
    assert fitted.predict([np.zeros(3), np.zeros(9)]).shape == (2,)
    other = small().fit(table[:, :, None], LABELS)
    assert other.n_features_in_ == 1
    assert other.predict(table[:, :4]).shape == other.predict(np.zeros((2, 30, 1))).repeat(4).shape


def test_frames_keep_their_names():
    frames = [pd.DataFrame(row, columns=["east", "north"]) for row in ROWS]
    fitted = small().fit(frames, LABELS)
    assert fitted.feature_names_in_.tolist() == ["east", "north"]
    np.testing.assert_array_equal(fitted.predict_proba(frames), fitted.predict_proba(ROWS))
    with refused(DataError, "north, east", "east, north"):
        fitted.predict([frame[["north", "east"]] for frame in frames])
    with refused(DataError, "different names"):
        fitted.predict([frames[0], ROWS[1]])
    assert not hasattr(fitted.fit(ROWS, LABELS), "feature_names_in_")


@pytest.mark.parametrize("kind", ["SequenceClassifier", "SequenceRegressor"])
def test_tables_keep_their_names_as_scikit_learn_wants_it(kind):
    check_dataframe_column_names_consistency(kind, getattr(gw, kind)(hidden_size=2, epochs=1))


def with_nan(*where, value=np.nan):
    x = padded(ROWS)
    x[where] = value
    return x


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (with_nan(0, 2), DataError, ["NaN", "row 0, step 2", "pad"]),
        (with_nan(3, 4, 1), DataError, ["NaN", "row 3, step 4, feature 1"]),
        (with_nan(3, 4, 1, value=np.inf), DataError, ["inf", "row 3, step 4, feature 1"]),
        (with_nan(5), DataError, ["row 5", "no step"]),
        ([ROWS[0], np.zeros((0, 2))] * 4, DataError, ["row 1", "no step"]),
        ([ROWS[0], np.full((3, 2), np.inf)] * 4, DataError, ["inf", "row 1, step 0"]),
        ([], DataError, ["empty"]),
        ([ROWS[0], ROWS[1][:, 0]] * 4, ShapeError, ["(T,) and (T, F)"]),
        ([ROWS[0], ROWS[1][:, :1]] * 4, ShapeError, ["differ in more than their length"]),
        ([ROWS[0], "text"] * 4, DataError, ["X[1]"]),
        ([ROWS[0], ROWS[1] + 1j] * 4, DataError, ["X[1]", "complex"]),
        ([ROWS[0], np.zeros((2, 2, 2))] * 4, ShapeError, ["X[1]", "(2, 2, 2)"]),
        (np.zeros((8, 0, 2)), DataError, ["(8, 0, 2)"]),
        (np.zeros((8, 3, 0)), DataError, ["(8, 3, 0)"]),
    ],
)
def test_nonsense_is_refused(x, error, words):
    with refused(error, *words):
        small().fit(x, LABELS)


@pytest.mark.parametrize("x", [np.zeros(8), np.zeros((8, 2, 2, 2)), [1.0, 2.0], 3.0])
def test_wrong_ranks_are_refused(x):
    with pytest.raises(ValueError, match=r"2D|dim|scalar"):
        small().fit(x, LABELS)


def test_other_features_than_in_fit_are_refused():
    fitted = small().fit(ROWS, LABELS)
    with refused(ShapeError, "3 features", "expecting 2 features"):
        fitted.predict(np.zeros((2, 4, 3)))
    with refused(ShapeError, "1 features", "expecting 2 features"):
        fitted.predict(np.zeros((2, 4)))


def test_the_layout_is_never_guessed():
    with refused(OptionError, "layout", "'nct'"):
        small(layout="tnc").fit(ROWS, LABELS)
    with refused(ShapeError, "differ"):
        small(layout="nct").fit(ROWS, LABELS)
