"""What users hand to an estimator as X: arrays, frames or lists of sequences, read into one dense array with lengths."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from gatewright.arrays import Array
from gatewright.errors import DataError, ShapeError, one_of
from gatewright.steps import ragged

LAYOUTS = ("ntc", "nct")


class Sequences(NamedTuple):
    """Sequences of unequal lengths, finite at every live step and zero after."""

    x: Array  # (B, T, F) float32 or float64
    lengths: Array  # (B,) from 1 to T

    @property
    def live(self) -> Array:
        """(B, T) bool: the live steps."""
        return np.arange(self.x.shape[1]) < self.lengths[:, None]

    def rows(self, index: Any) -> "Sequences":
        """The sequences that `index` (an index array or a bool a row) picks."""
        return Sequences(self.x[index], self.lengths[index])


class Form(NamedTuple):
    """What the sequences of one X have in common, and those of the next must have too."""

    features: int
    time: int | None  # the number of steps, where X was a table of one row a sequence, which fixes it
    names: tuple[str, ...] | None  # (F,) of the features, where X was a list of frames


def read(estimator: Any, x: Any, form: Form | None) -> tuple[Sequences, Form]:
    """The sequences of X, and their form.

    x: (B, T, F); (B, T), univariate, a frame too; or a list (or an array of objects) of (T_i, F) or (T_i,), of arrays, lists
    or frames. With layout="nct" (B, F, T) and (F, T_i) instead. Steps of NaN alone after a sequence's end are no steps.
    form: what the estimator was fitted on; None: it is being fitted, and n_features_in_ and feature_names_in_ are set.
    Raises ShapeError, DataError or OptionError, or what scikit-learn's own validation raises.
    """
    if estimator.layout not in LAYOUTS:
        raise one_of("layout", estimator.layout, LAYOUTS)
    turned = estimator.layout == "nct"
    rank = _rank(x)
    if rank is None:
        dense, lengths, names = _of_list(list(x), turned)
        found = Form(dense.shape[2], None, names)
    elif rank == 3:
        dense = check_array(x, dtype=[np.float64, np.float32], allow_nd=True, ensure_all_finite=False, estimator=estimator)
        dense = dense.swapaxes(1, 2) if turned else dense
        lengths, found = None, Form(dense.shape[2], None, None)
    else:
        dense, found = _of_table(estimator, x, form)
        lengths = None
    if form is None and found.time is None:
        _remember(estimator, found)
    elif form is not None:
        _compare(estimator, found, form)
    if not dense.shape[1] or not dense.shape[2]:
        raise DataError(f"X: got shape {dense.shape}, wanted at least one step and one feature: 0 feature(s) are too few")
    return _settled(dense, lengths), found


def _rank(x: Any) -> int | None:
    """The number of axes, of a frame or a sparse matrix too; None for a list of sequences.

    Lists of numbers, all of one length, are a table, as everywhere in scikit-learn.
    """
    if isinstance(x, list | tuple):
        flat = [isinstance(row, list | tuple) and not any(map(np.ndim, row)) for row in x]
        if all(map(np.isscalar, x)):
            return 1 if x else None
        return 2 if all(flat) and len({len(row) for row in x}) == 1 else None
    shape = x.shape if hasattr(x, "shape") else np.asarray(x).shape
    # A column of polars' lists says only as an array that it holds objects.
    return None if len(shape) == 1 and np.asarray(x).dtype == object else len(shape)


def _of_table(estimator: Any, x: Any, form: Form | None) -> tuple[Array, Form]:
    """(B, T, 1) of a table (B, T); anything of another rank is refused here, in scikit-learn's words."""
    kinds = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}
    if form is None or form.time is not None:
        table = validate_data(estimator, x, reset=form is None, **kinds)
    else:
        table = check_array(x, estimator=estimator, **kinds)
    return table[:, :, None], Form(1, table.shape[1], None)


def _of_list(rows: list[Any], turned: bool) -> tuple[Array, Array, tuple[str, ...] | None]:
    """The dense array (B, T, F), the lengths (B,), and the names that all frames have."""
    if not rows:
        raise DataError("X: got an empty list: 0 sample(s), wanted at least one sequence")
    names = {tuple(map(str, row.columns)) if hasattr(row, "columns") else None for row in rows}
    if len(names) > 1:
        raise DataError("X: got sequences whose columns have different names, or none; wanted the same in the same order")
    arrays = [_sequence(row, f"X[{i}]", turned) for i, row in enumerate(rows)]
    ranks = {array.ndim for array in arrays}
    if len(ranks) > 1:
        raise ShapeError("X: got sequences of both shapes, (T,) and (T, F); wanted one")
    dense, lengths = ragged(arrays)
    return dense if dense.ndim == 3 else dense[:, :, None], lengths, names.pop()


def _sequence(row: Any, name: str, turned: bool) -> Array:
    """One sequence, (T,) or (T, F)."""
    try:
        array = np.asarray(row)
        array = array.astype(float) if array.dtype.kind in "biuO" else array
    except (TypeError, ValueError):
        raise DataError(f"{name}: wanted an array of numbers, (T,) or (T, F)") from None
    if array.dtype.kind != "f":
        raise DataError(f"{name}: got {array.dtype} values, wanted numbers")
    if array.ndim not in (1, 2):
        wanted = "(F, T)" if turned else "(T, F)"
        raise ShapeError(f"{name}: got shape {array.shape}, wanted one sequence, (T,) or {wanted}")
    return array.T if turned else array


def _settled(dense: Array, lengths: Array | None) -> Sequences:
    """Finite numbers: padding of NaN becomes a length. Raises DataError for what else is not finite."""
    batch, time, _ = dense.shape
    lengths = np.full(batch, time) if lengths is None else lengths
    missing = np.isnan(dense).all(axis=2)
    if missing.any():
        there = ~missing & (np.arange(time) < lengths[:, None])
        lengths = np.where(there.any(axis=1), time - there[:, ::-1].argmax(axis=1), 0)
    live = np.arange(time) < lengths[:, None]
    for row in np.flatnonzero(lengths == 0)[:1]:
        raise DataError(f"X: the sequence in row {row} has no step; wanted at least one that is not NaN")
    wrong = ~np.isfinite(dense) & live[:, :, None]
    for row, step, feature in np.argwhere(wrong)[:1]:
        got = "NaN" if np.isnan(dense[row, step, feature]) else "infinity (inf)"
        raise DataError(
            f"X: got {got} in row {row}, step {step}, feature {feature}; NaN may only pad the steps after a sequence's end"
        )
    return Sequences(dense if live.all() else np.where(live[:, :, None], dense, dense.dtype.type(0)), lengths)


def _remember(estimator: Any, form: Form) -> None:
    """Sets what a fitted estimator tells about X, as scikit-learn's `validate_data` does for a table."""
    estimator.n_features_in_ = form.features
    if form.names is not None:
        estimator.feature_names_in_ = np.array(form.names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def _compare(estimator: Any, got: Form, fitted: Form) -> None:
    """Raises for sequences of another form than those that the estimator was fitted on."""
    if got.features != fitted.features:
        raise ShapeError(
            f"X has {got.features} features, but {type(estimator).__name__} is expecting {fitted.features} features as input"
        )
    if got.names is not None and fitted.names is not None and got.names != fitted.names:
        raise DataError(f"X: got the features {', '.join(got.names)}; wanted those of fit: {', '.join(fitted.names)}")
