"""Frames of pandas and polars: the same numbers as arrays, and their names are kept and compared."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from refusals import refused

import gatewright as gw
from gatewright.errors import DataError

RNG = np.random.default_rng(0)
ROWS = [RNG.normal(size=(length, 2)) for length in (7, 3, 5, 7, 4, 6, 2, 7)]
TABLE = np.array([row[:2].ravel() for row in ROWS])
LABELS = np.array(list("abababab"))
NUMBERS = TABLE[:, 0] * 3
DAYS = ["Mon", "Tue", "Wed", "Thu"]


def frame_of_pandas(values, names):
    return pd.DataFrame(values, columns=names)


def frame_of_polars(values, names):
    return pl.DataFrame(values, schema=names)


FRAMES = pytest.mark.parametrize(
    ("frame", "series"), [(frame_of_pandas, pd.Series), (frame_of_polars, pl.Series)], ids=["pandas", "polars"]
)
KINDS = pytest.mark.parametrize(("kind", "y"), [("SequenceClassifier", LABELS), ("SequenceRegressor", NUMBERS)])


def small(kind):
    return getattr(gw, kind)(hidden_size=3, epochs=2, random_state=0)


@FRAMES
@KINDS
def test_lists_of_frames_keep_their_names(frame, series, kind, y):
    frames = [frame(row, ["east", "north"]) for row in ROWS]
    fitted, wanted = small(kind).fit(frames, series(y)), small(kind).fit(ROWS, y)
    assert fitted.feature_names_in_.tolist() == ["east", "north"]
    assert fitted.n_features_in_ == 2
    np.testing.assert_array_equal(fitted.predict(frames), wanted.predict(ROWS))
    np.testing.assert_array_equal(fitted.predict(ROWS), wanted.predict(ROWS))  # names are compared where there are some
    with refused(DataError, "north, east", "east, north"):
        fitted.predict([frame(row[:, ::-1], ["north", "east"]) for row in ROWS])
    with refused(DataError, "different names"):
        fitted.predict([frames[0], frame(ROWS[1], ["east", "south"])])
    fitted.partial_fit(frames, series(y))
    with refused(DataError, "x, y"):
        fitted.partial_fit([frame(row, ["x", "y"]) for row in ROWS], series(y))


@FRAMES
@KINDS
def test_tables_keep_their_names(frame, series, kind, y):
    fitted, wanted = small(kind).fit(frame(TABLE, DAYS), series(y)), small(kind).fit(TABLE, y)
    assert fitted.feature_names_in_.tolist() == DAYS
    np.testing.assert_array_equal(fitted.predict(frame(TABLE, DAYS)), wanted.predict(TABLE))
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(frame(TABLE[:, ::-1], DAYS[::-1]))
    with pytest.warns(UserWarning, match="valid feature names"):
        fitted.predict(TABLE)


@FRAMES
def test_weights_targets_and_single_features_may_be_columns(frame, series):
    weight = RNG.uniform(0.5, 2, size=8)
    one = small("SequenceClassifier").fit(ROWS, LABELS, weight).predict_proba(ROWS)
    np.testing.assert_array_equal(
        small("SequenceClassifier").fit(ROWS, series(LABELS), series(weight)).predict_proba(ROWS), one
    )
    targets = np.stack([NUMBERS, -NUMBERS], axis=1)
    several = small("SequenceRegressor").fit(ROWS, targets).predict(ROWS)
    told = small("SequenceRegressor").fit(ROWS, frame(targets, ["u", "v"])).predict(ROWS)
    np.testing.assert_allclose(told, several, rtol=1e-12)  # a frame's memory goes by columns, and BLAS sums another way
    single = [row[:, 0] for row in ROWS]
    wanted = small("SequenceClassifier").fit(single, LABELS).predict_proba(single)
    columns = [series(row) for row in single]
    nested = series(single) if frame is frame_of_polars else series(single, dtype=object)  # a cell a sequence
    for x in (columns, nested):
        np.testing.assert_array_equal(small("SequenceClassifier").fit(x, LABELS).predict_proba(x), wanted)


@FRAMES
def test_missing_cells_are_padding_at_the_end_and_refused_elsewhere(frame, series):
    frames = [frame(row, ["east", "north"]) for row in ROWS]
    longer = [frame(np.concatenate([row, np.full((2, 2), np.nan)]), ["east", "north"]) for row in ROWS]
    fitted = small("SequenceClassifier").fit(frames, LABELS)
    np.testing.assert_array_equal(fitted.predict_proba(longer), fitted.predict_proba(frames))
    holes = ROWS[2].copy()
    holes[1, 1] = np.nan
    with refused(DataError, "NaN in row 2, step 1, feature 1"):
        fitted.predict([*frames[:2], frame(holes, ["east", "north"]), *frames[3:]])
    with refused(DataError, "X[1]: wanted an array of numbers"):
        fitted.predict([frames[0], frame(np.array([["a", "b"], ["c", "d"]]), ["east", "north"])])


def test_nulls_of_polars_are_missing():
    frames = [pl.DataFrame(row, schema=["east", "north"]) for row in ROWS]
    fitted = small("SequenceClassifier").fit(frames, LABELS)
    padded = [pl.concat([one, pl.DataFrame({"east": [None], "north": [None]}, schema=one.schema)]) for one in frames]
    np.testing.assert_array_equal(fitted.predict_proba(padded), fitted.predict_proba(frames))
    with refused(DataError, "NaN in row 0, step 1, feature 0"):
        fitted.predict([pl.DataFrame({"east": [1, None, 3], "north": [1, 2, 3]})])
