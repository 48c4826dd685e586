"""SequenceRegressor: numbers, one or several, in their units."""

import pickle

import numpy as np
import pytest
from refusals import refused
from sklearn.model_selection import cross_val_score

import gatewright as gw
from gatewright.errors import OptionError, ShapeError

RNG = np.random.default_rng(0)
ROWS = [RNG.normal(size=(RNG.integers(5, 9), 2)) for _ in range(120)]
Y = np.array([[1e6 + 50 * row[:, 0].max(), row[0, 1]] for row in ROWS])


def small(**options):
    return gw.SequenceRegressor(**{"hidden_size": 4, "epochs": 3, "random_state": 0} | options)


def test_it_learns_numbers_in_their_units():
    fitted = small(hidden_size=16, epochs=60, learning_rate=0.02, bidirectional=True).fit(ROWS, Y)
    assert fitted.n_outputs_ == 2
    told = fitted.predict(ROWS)
    assert told.shape == (120, 2)
    assert told.dtype == np.float64
    assert fitted.score(ROWS, Y) > 0.8
    np.testing.assert_allclose(fitted.target_mean_, Y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.target_scale_, Y.std(axis=0), rtol=1e-9)


def test_predictions_are_shaped_as_targets_were():
    flat, column = (small().fit(ROWS, y).predict(ROWS) for y in (Y[:, 0], Y[:, :1]))
    assert flat.shape == (120,)
    np.testing.assert_array_equal(flat[:, None], column)


@pytest.mark.parametrize("loss", ["mae", "huber"])
def test_the_loss_is_the_one_asked_for(loss):
    usual, other = (small(loss=name, batch_size=256).fit(ROWS, Y[:, 0]) for name in ("mse", loss))
    z = (Y[:, 0] - Y[:, 0].mean()) / Y[:, 0].std()
    begun = small(loss=loss, batch_size=256, epochs=1, learning_rate=1e-12).fit(ROWS, Y[:, 0])
    off = np.abs(z - (begun.predict(ROWS) - Y[:, 0].mean()) / Y[:, 0].std())
    wanted = off.mean() if loss == "mae" else np.where(off < 1, off**2 / 2, off - 0.5).mean()
    assert begun.loss_curve_[0] == pytest.approx(wanted, rel=1e-5)
    assert not np.array_equal(usual.predict(ROWS), other.predict(ROWS))


def test_a_target_that_never_changes_is_learned():
    np.testing.assert_allclose(small(epochs=40).fit(ROWS, np.full(120, 7.0)).predict(ROWS), 7, atol=0.3)


def test_without_standardisation_the_network_gives_the_targets():
    fitted = small(standardize=False).fit(ROWS, Y[:, 1])
    assert (fitted.target_mean_.tolist(), fitted.target_scale_.tolist()) == ([0], [1])
    np.testing.assert_array_equal(fitted.predict(ROWS[:1]), fitted.model_.predict([ROWS[0].astype(np.float32)])[:, 0])


def test_scores_on_what_was_set_aside():
    fitted = small(early_stopping=True, epochs=30, hidden_size=16, learning_rate=0.02).fit(ROWS, Y[:, 0])
    assert len(fitted.validation_scores_) == fitted.n_iter_
    assert max(fitted.validation_scores_) > fitted.validation_scores_[0]
    assert max(fitted.validation_scores_) <= 1


def test_partial_fit_and_pickles():
    model = small()
    for _ in range(2):
        model.partial_fit(ROWS, Y)
    assert model.n_iter_ == 2
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(ROWS), model.predict(ROWS))
    with refused(ShapeError, "2 outputs"):
        model.partial_fit(ROWS, Y[:, 0])


def test_weights_count_as_rows_do():
    whole = {"batch_size": 512, "dtype": "float64", "epochs": 5}
    weight = RNG.integers(0, 3, size=120)
    twice = [row for row, w in zip(ROWS, weight, strict=True) for _ in range(w)]
    weighted, repeated = small(**whole).fit(ROWS, Y, weight), small(**whole).fit(twice, np.repeat(Y, weight, axis=0))
    np.testing.assert_allclose(weighted.predict(ROWS), repeated.predict(ROWS), rtol=1e-9, atol=1e-9)


def test_cross_validation():
    assert cross_val_score(small(), ROWS, Y, cv=3).shape == (3,)


def test_impossible_targets_and_options_are_refused():
    with refused(OptionError, "loss", "'huber'"):
        small(loss="cross_entropy").fit(ROWS, Y)
    with refused(ShapeError, "119", "120"):
        small().fit(ROWS, Y[:-1])
    with pytest.raises(ValueError, match="NaN"):
        small().fit(ROWS, np.full(120, np.nan))
    with pytest.raises(ValueError, match=r"dim|shape"):
        small().fit(ROWS, np.zeros((120, 2, 2)))
