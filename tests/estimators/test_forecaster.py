"""Forecaster: one series or many, columns whose future is known, intervals, back-tests, files, and refusals."""

import os
import pickle
import signal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from refusals import refused
from sklearn.base import clone
from sklearn.utils import estimator_checks as sk

import gatewright as gw
from gatewright.errors import DataError, FormatError, OptionError, ShapeError

SMALL = {"hidden_size": 3, "ensemble": 2, "epochs": 6, "random_state": 0}


def months(rows=96, seed=0, level=100.0):
    """(T,): a season of 12 and noise on a straight line."""
    t, rng = np.arange(rows), np.random.default_rng(seed)
    return level + 0.5 * t + 10 * np.sin(2 * np.pi * t / 12) + rng.standard_normal(rows)


def small(horizon=3, **options):
    return gw.Forecaster(horizon, **SMALL | options)


@pytest.fixture(scope="module")
def fitted():
    return small().fit(months())


@pytest.fixture(scope="module")
def many():
    return small().fit({"a": months(), "b": months(90, 1, 1000.0)})


# --- one series


def test_it_forecasts_what_comes(fitted):
    truth = 100 + 0.5 * np.arange(96, 99) + 10 * np.sin(2 * np.pi * np.arange(96, 99) / 12)
    told = fitted.predict()
    assert told.shape == (3,)
    np.testing.assert_allclose(told, truth, atol=3)
    assert (fitted.season_, fitted.scale_, fitted.window_) == (12, "log", 24)
    assert fitted.series_ == ["y"]
    assert fitted.n_iter_ == 6
    assert len(fitted.loss_curve_) == 6
    assert 0 <= fitted.share_ <= 1


def test_intervals_hold_the_forecast_and_widen_with_their_level(fitted):
    mean, lower, upper = fitted.predict_interval()
    np.testing.assert_array_equal(mean, fitted.predict())
    assert (lower < mean).all()
    assert (mean < upper).all()
    middle, narrow = fitted.predict_interval(level=0.75), fitted.predict_interval(level=0.5)
    assert (upper - lower > middle.upper - middle.lower).all()
    assert (middle.upper - middle.lower > narrow.upper - narrow.lower).all()
    np.testing.assert_array_equal(fitted.predict_interval(level=0.9).upper, upper)


def test_new_data_are_forecast_with_what_was_learned(fitted):
    y = months()
    np.testing.assert_array_equal(fitted.predict(y), fitted.predict())
    longer = months(110)
    assert not np.allclose(fitted.predict(longer), fitted.predict())
    np.testing.assert_allclose(fitted.predict(longer)[0], 100 + 0.5 * 110 + 10 * np.sin(2 * np.pi * 110 / 12), atol=4)
    np.testing.assert_array_equal(fitted.predict(y + 7) != fitted.predict(y), True)


@pytest.mark.parametrize(
    "form", [pd.Series, pl.Series, list, lambda y: pd.Series(y, dtype="Float64"), lambda y: y[:, None][:, 0]]
)
def test_a_series_may_be_of_any_kind(fitted, form):
    np.testing.assert_array_equal(fitted.predict(form(months())), fitted.predict())


def test_the_same_seed_gives_the_same_forecasts_and_another_others():
    first, again, other = (small(random_state=seed).fit(months()).predict() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_gaps_and_a_late_beginning_are_no_obstacle():
    y = months()
    y[[20, 50, 51, 52, 94, 95]] = np.nan
    made = small().fit(y)
    np.testing.assert_allclose(made.predict(), small().fit(months()).predict(), atol=4)
    late = np.concatenate([np.full(13, np.nan), y])
    np.testing.assert_array_equal(small().fit(late).predict(), made.predict())


@pytest.mark.parametrize("every", [2, 4, 5, 6])
def test_where_most_is_missing_the_fills_stay_among_what_is_known(every):
    y = np.where(np.arange(96) % every == 0, months(), np.nan)
    made = small(epochs=1).fit(y)
    assert np.isfinite(made.predict_interval()).all()
    path = made.forecaster_.beside.path
    filled = path.filled(made.forecaster_.scalers[0].forward(y)[:, None])
    known = filled[~np.isnan(y)]
    assert filled.max() <= known.max() + np.ptp(known)
    assert filled.min() >= known.min() - np.ptp(known)


def test_what_is_given_is_what_is_used():
    made = small(season=6, scale="log", window=9).fit(months())
    assert (made.season_, made.scale_, made.window_) == (6, "log", 9)


def test_auto_epochs_choose_among_many():
    made = small(epochs="auto").fit(months())
    assert made.n_iter_ % 10 == 0
    assert made.n_iter_ <= len(made.loss_curve_) <= 200


# --- columns


def pushed(rows=120, seed=0):
    """(y (T,), X (T, 2)): the second column acts on y at once, the first on the row after."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 2))
    return 50 + np.r_[0, 3 * x[:-1, 0]] + 5 * x[:, 1] + 0.2 * rng.standard_normal(rows), x


def test_a_column_of_the_past_and_one_of_the_future_help():
    y, x = pushed()
    made = small().fit(y[:110], x[:110], known=[1])
    rows = np.arange(80, 117)
    told = made.forecaster_.forecasts(np.column_stack([y, x]), rows).mean
    off = np.abs(told - y[rows[:, None] + np.arange(1, 4)]).mean(axis=0)
    assert off[0] < 0.7  # both columns count: without the first it is 2.4, without the second 4
    assert off[2] < 2.7  # the first column's pushes to come are unknown
    told = made.predict(future=x[110:113, 1:])
    other = made.predict(future=x[110:113, 1:] + np.array([[0], [1], [0]]))
    np.testing.assert_allclose(other - told, [0, 5, 0], atol=0.8)
    assert not np.array_equal(made.predict(y[:110], x[:110] + 1, future=x[110:113, 1:]), told)


def test_columns_of_frames_keep_their_names():
    y, x = pushed()
    frame = pd.DataFrame(x[:110], columns=["push", "price"])
    made = small().fit(y[:110], frame, known=["price"])
    assert made.n_features_in_ == 2
    assert made.feature_names_in_.tolist() == ["push", "price"]
    coming = pd.DataFrame(x[110:113], columns=["push", "price"])
    plain = small().fit(y[:110], x[:110], known=[1])
    told = plain.predict(future=x[110:113, 1:])
    np.testing.assert_array_equal(made.predict(future=coming), told)
    np.testing.assert_array_equal(made.predict(future=pl.DataFrame({"price": x[110:113, 1]})), told)
    np.testing.assert_array_equal(plain.predict(future=x[110:113, 1:].tolist()), told)
    np.testing.assert_array_equal(made.predict(pd.Series(y[:110]), frame, future=coming), told)
    assert not hasattr(plain, "feature_names_in_")
    assert not hasattr(made.fit(y), "feature_names_in_")
    with refused(DataError, "future", "price", "cost"):
        small().fit(y[:110], frame, known=["price"]).predict(future=pl.DataFrame({"cost": x[110:113, 1]}))


def test_a_column_may_be_called_as_the_target_is(tmp_path):
    y, x = pushed()
    made, other = (small().fit(y[:110], pd.DataFrame(x[:110], columns=[name, "b"]), known=[name]) for name in ("y", "a"))
    coming = x[110:113, :1].tolist()
    np.testing.assert_array_equal(made.predict(future=coming), other.predict(future=coming))
    made.save(tmp_path / "f")
    np.testing.assert_array_equal(gw.Forecaster.load(tmp_path / "f").predict(future=coming), other.predict(future=coming))


def test_the_future_may_be_rows_in_a_list_and_needs_no_names_that_fit_had_not():
    y, x = pushed()
    made = small().fit(y[:110], x[:110], known=[0, 1])
    told = made.predict(future=x[110:113])
    np.testing.assert_array_equal(made.predict(future=x[110:113].tolist()), told)
    np.testing.assert_array_equal(made.predict(future=pd.DataFrame(x[110:113], columns=["p", "q"])), told)


def test_forecasts_know_nothing_of_columns_to_come_that_are_not_known():
    y, x = pushed()
    x[60, 0] = np.nan
    made = small().fit(y[:110], x[:110]).forecaster_
    values = np.column_stack([y, x])
    changed = values.copy()
    changed[101:] += 100
    rows = np.arange(80, 101)
    np.testing.assert_array_equal(made.forecasts(values, rows).mean, made.forecasts(changed, rows).mean)


# --- many series


def test_many_series_share_one_model(many):
    assert many.series_ == ["a", "b"]
    told = many.predict()
    assert told.shape == (2, 3)
    assert (abs(told[0] - 148) < 20).all()
    assert (abs(told[1] - 1045) < 20).all()
    assert len(many.forecaster_.members) == 2
    assert [part.shape for part in many.predict_interval()] == [(2, 3)] * 3


def test_a_list_and_the_long_form_are_the_same_series(many):
    a, b = months(), months(90, 1, 1000.0)
    np.testing.assert_array_equal(small().fit([a, b]).predict(), many.predict())
    rows = np.argsort(np.r_[np.arange(96), np.arange(90)], kind="stable")  # in the order of time, series mixed
    ids = np.array(["a"] * 96 + ["b"] * 90)[rows]
    long = small().fit(np.r_[a, b][rows], ids=ids)
    np.testing.assert_array_equal(long.predict(), many.predict())
    np.testing.assert_array_equal(long.predict(np.r_[a, b][rows], ids=pd.Series(ids)), many.predict())


def test_some_of_the_series_can_be_forecast_alone(many):
    np.testing.assert_array_equal(many.predict({"b": months(90, 1, 1000.0)}), many.predict()[1:])
    with refused(DataError, "'c'", "which fit has not seen"):
        many.predict({"c": months()})


def test_series_too_short_for_every_regression_are_no_obstacle():
    series = [months(), months(40, 1), months(12, 2)]
    assert np.isfinite(small(epochs=1).fit(series).predict()).all()


def test_each_series_has_its_own_spread():
    rng = np.random.default_rng(0)
    calm, wild = (np.cumsum(np.where(rng.random(120) < share, rng.standard_normal(120), 0)) for share in (0.05, 1.0))
    interval = small(scale="none").fit([calm, wild]).predict_interval()
    width = interval.upper - interval.lower
    assert (width[1] > 2 * width[0]).all()


def test_columns_of_many_series():
    (y, x), (z, w) = pushed(), pushed(seed=1)
    made = small().fit({"a": y[:110], "b": z[:110]}, {"a": x[:110], "b": w[:110]}, known=(1,))
    coming = {"a": x[110:113, 1], "b": w[110:113, 1]}
    told = made.predict(future=coming)
    assert np.abs(told[:, 0] - [y[110], z[110]]).max() < 2
    np.testing.assert_array_equal(made.predict(future=x[110:113, 1])[0], told[0])
    ids = np.repeat(["a", "b"], 110)
    frame = pd.DataFrame(np.concatenate([x[:110], w[:110]]), columns=["x0", "x1"])
    long = small().fit(np.r_[y[:110], z[:110]], frame, ids=ids, known=["x1"])
    np.testing.assert_array_equal(long.predict(future=coming), told)


# --- back-tests


def test_a_backtest_learns_nothing_of_what_it_forecasts():
    y = months()
    told = small().backtest(y, folds=2, step=4)
    assert told.origins.tolist() == list(range(85, 93))
    np.testing.assert_array_equal(told.actual[0], y[86:89])
    first = small().fit(y[:86])
    np.testing.assert_array_equal(told.forecasts["Forecaster"][0], first.predict())
    np.testing.assert_allclose(told.forecasts["Forecaster"][3], first.predict(y[:89]), rtol=1e-6)
    np.testing.assert_array_equal(told.forecasts["Forecaster"][4], small().fit(y[:90]).predict())
    np.testing.assert_array_equal(told.forecasts["seasonal naive"][0], y[74:77])
    once = small().backtest(y, folds=2, step=4, refit=False)
    np.testing.assert_allclose(once.forecasts["Forecaster"][4], first.predict(y[:90]), rtol=1e-6)
    changed = y.copy()
    changed[89:] = 500
    again = small().backtest(changed, folds=2, step=4)
    for name, ahead in told.forecasts.items():
        np.testing.assert_array_equal(ahead[:4], again.forecasts[name][:4])


def test_a_backtest_of_rows_that_are_missing():
    y = np.where(np.arange(96) == 95, np.nan, months())
    told = small(epochs=1).backtest(y, folds=1, step=1)
    assert np.isnan(told.by_horizon["Forecaster"]["mae"]).tolist() == [False, False, True]
    assert np.isnan(told.coverage_by_horizon).tolist() == [False, False, True]
    assert "nan" in repr(told)
    assert 0 <= told.coverage <= 1
    with refused(DataError, "got no values in the rows that are to be forecast"):
        small().backtest(np.where(np.arange(96) > 60, np.nan, months()), folds=2)


def test_a_backtest_says_how_far_off_it_was():
    y = months()
    y[90] = np.nan
    told = small().backtest(y, folds=2)
    error = np.abs(told.forecasts["Forecaster"] - told.actual)
    assert np.isnan(error).sum() == 3
    assert told.mae["Forecaster"] == pytest.approx(np.nanmean(error))
    assert told.rmse["Forecaster"] == pytest.approx(np.sqrt(np.nanmean(error**2)))
    assert told.mase["Forecaster"] == pytest.approx(told.mae["Forecaster"] / np.abs(y[12:88] - y[:76]).mean())
    np.testing.assert_allclose(told.by_horizon["Forecaster"]["mae"], np.nanmean(error, axis=0))
    inside = (told.lower <= told.actual) & (told.actual <= told.upper)
    assert told.coverage == pytest.approx(inside[~np.isnan(told.actual)].mean())
    assert told.coverage_by_horizon.shape == (3,)
    assert set(told.mase) == {"Forecaster", "seasonal naive", "autoregression"}
    lines = repr(told).splitlines()
    assert lines[0] == "6 origins, 3 steps ahead"
    assert [line.split()[0] for line in lines[2:]] == ["Forecaster", "seasonal", "autoregression", "in"]
    assert "seasonal naive (12)" in lines[3]


def test_a_backtest_of_many_series_with_columns():
    (y, x), (z, w) = pushed(), pushed(100, seed=1)
    told = small().backtest([y, z], [x, w], known=[1], folds=2)
    assert told.series == ["0"] * 3 + ["1"] * 3 + ["0"] * 3 + ["1"] * 3
    assert told.mae["Forecaster"] < 0.7 * told.mae["autoregression"]
    assert repr(told).startswith("12 origins of 2 series")
    with refused(DataError, "got 10 rows", "wanted at least 13"):
        small().backtest(months(10), folds=2)


# --- files, pickles, scikit-learn


def test_a_file_brings_it_all_back(many, tmp_path):
    many.save(tmp_path / "model")
    again = gw.Forecaster.load(tmp_path / "model")
    for before, after in zip(many.predict_interval(), again.predict_interval(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert again.get_params() == many.get_params() | {"random_state": None}
    for name in ("series_", "season_", "scale_", "window_", "n_iter_", "loss_curve_", "share_", "n_features_in_"):
        assert getattr(again, name) == getattr(many, name)


def test_a_file_keeps_numbers_of_numpys(tmp_path):
    given = {"horizon": np.int64(3), "epochs": np.int32(2), "ensemble": np.int64(1), "level": np.float32(0.5)}
    gw.Forecaster(**given, verbose=np.bool_(False), learning_rate=np.float64(0.01)).fit(months()).save(tmp_path / "f")
    read = gw.Forecaster.load(tmp_path / "f").get_params()
    assert {name: read[name] for name in given} == given
    assert read["verbose"] is False


def test_a_file_keeps_columns_and_what_is_known(tmp_path):
    y, x = pushed()
    made = small().fit(y, pd.DataFrame(x, columns=["push", "price"]), known=["price"])
    made.save(tmp_path / "model")
    again = gw.Forecaster.load(tmp_path / "model")
    assert again.feature_names_in_.tolist() == ["push", "price"]
    np.testing.assert_array_equal(again.predict(future=x[:3, 1]), made.predict(future=x[:3, 1]))


def test_a_pickle_brings_it_all_back(fitted):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(), fitted.predict())


# Those of scikit-learn's checks that ask nothing of X and y but to exist.
CHECKS = (
    sk.check_estimator_cloneable,
    sk.check_estimator_repr,
    sk.check_estimator_tags_renamed,
    sk.check_get_params_invariance,
    sk.check_no_attributes_set_in_init,
    sk.check_parameters_default_constructible,
    sk.check_set_params,
    sk.check_valid_tag_types,
    sk.check_do_not_raise_errors_in_init_or_set_params,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_checks_of_scikit_learn_that_apply_pass(check):
    check("Forecaster", gw.Forecaster())


def test_it_clones_and_shows_itself(fitted):
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "forecaster_")
    assert "Forecaster" in fitted._repr_html_()
    assert repr(small()) == "Forecaster(ensemble=2, epochs=6, hidden_size=3, horizon=3, random_state=0)"


def test_verbose_tells_of_every_tenth_epoch(capsys):
    small(verbose=True, epochs=10).fit(months())
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["network 1, epoch 10", "network 2, epoch 10"]


def test_ctrl_c_leaves_a_usable_model(monkeypatch):
    from gatewright.forecasting import committee

    original = committee.at_last

    def press(model, x):
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # the first Ctrl-C alone
            os.kill(os.getpid(), signal.SIGINT)
        return original(model, x)

    made = small(epochs="auto")
    monkeypatch.setattr(committee, "at_last", press)
    with pytest.raises(KeyboardInterrupt):
        made.fit(months())
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(made.forecaster_.members) == 1
    assert np.isfinite(made.predict()).all()


# --- refusals


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"horizon": 0}, "horizon: got 0"),
        ({"cell": "gruu"}, "cell='gruu' is unknown"),
        ({"hidden_size": 0}, "hidden_size: got 0"),
        ({"num_layers": 1.5}, "num_layers: got 1.5"),
        ({"ensemble": 0}, "ensemble: got 0"),
        ({"season": "year"}, "season (or 'auto'): got 'year'"),
        ({"season": 96}, "season: got 96, wanted fewer rows than the 96"),
        ({"scale": "cube"}, "'cube' is unknown"),
        ({"window": 1}, "window (or 'auto'): got 1"),
        ({"epochs": 0}, "epochs (or 'auto'): got 0"),
        ({"epochs": None}, "epochs (or 'auto'): got 'None'"),
        ({"learning_rate": 0}, "learning_rate: got 0"),
        ({"intervals": "gauss"}, "intervals='gauss' is unknown; known: 'conformal'"),
        ({"level": 1}, "level: got 1, wanted a number between 0 and 1"),
        ({"verbose": 2}, "verbose: got 2"),
    ],
)
def test_parameters_that_can_not_be(options, said):
    with refused(OptionError, said):
        small(**options).fit(months())


@pytest.mark.parametrize(
    ("error", "said", "given"),
    [
        (DataError, "got 7 values, wanted at least 10 to learn from with a horizon of 3", {"y": months(7)}),
        (DataError, "got 4 values of series '1'", {"y": [months(), months(4)]}),
        (DataError, "never changes", {"y": np.ones(50)}),
        (DataError, "got 0 values", {"y": np.full(50, np.nan)}),
        (DataError, "column 'y': got numbers of up to 1e+200", {"y": np.r_[months(), 1e200]}),
        (DataError, "y: got no rows", {"y": []}),
        (DataError, "y['a']: got no rows", {"y": {"a": [], "b": months()}}),
        (DataError, "y: got dates, wanted numbers", {"y": pd.date_range("2024-01-01", periods=96)}),
        (DataError, "X: got dates", {"y": months(), "X": pd.DataFrame({"day": pd.date_range("2024-01-01", periods=96)})}),
        (DataError, "ids: got None in row 95", {"y": months(), "ids": ["a"] * 95 + [None]}),
        (DataError, "ids: got nan in row 95", {"y": months(), "ids": ["a"] * 95 + [float("nan")]}),
        (DataError, "ids: got <NA> in row 95", {"y": months(), "ids": pd.Series(["a"] * 95 + [None], dtype="string")}),
        (DataError, "got infinity", {"y": np.r_[months(), np.inf]}),
        (DataError, "wanted numbers", {"y": ["a"] * 50}),
        (ShapeError, "got shape (10, 2), wanted (T,)", {"y": np.zeros((10, 2))}),
        (DataError, "got no series", {"y": {}}),
        (ShapeError, "ids: got shape (2,) for the 96 rows", {"y": months(), "ids": ["a", "b"]}),
        (DataError, "ids: y is a dict or list", {"y": [months()], "ids": ["a"]}),
        (ShapeError, "X: got 95 rows for the 96 of y", {"y": months(), "X": np.zeros((95, 1))}),
        (ShapeError, "wanted (T, K)", {"y": months(), "X": np.zeros((96, 1, 1))}),
        (DataError, "one table for many series", {"y": [months()] * 2, "X": np.zeros((96, 1))}),
        (DataError, "the odd ones: b", {"y": {"a": months()}, "X": {"a": np.zeros((96, 1)), "b": np.zeros((96, 1))}}),
        (DataError, "columns differ", {"y": [months()] * 2, "X": [np.zeros((96, 1)), np.zeros((96, 2))]}),
        (OptionError, "known: got 2, wanted columns of X", {"y": months(), "X": np.ones((96, 2)), "known": [2]}),
        (OptionError, "there is no X", {"y": months(), "known": ["x0"]}),
        (OptionError, "known: got 'x0', wanted a list", {"y": months(), "X": np.ones((96, 1)), "known": "x0"}),
        (OptionError, "named twice", {"y": months(), "X": np.ones((96, 1)), "known": [0, "x0"]}),
        (DataError, "masked", {"y": np.ma.masked_array(months())}),
        (DataError, "same name", {"y": {1: months(), "1": months()}}),
    ],
)  # fmt: skip
def test_data_that_can_not_be_learned(error, said, given):
    with refused(error, said):
        small().fit(**given)


def test_forecasts_that_can_not_be_made(fitted):
    y, x = pushed()
    made = small().fit(y, x, known=[1])
    with refused(DataError, "future: wanted the 3 rows to come of the known columns x1"):
        made.predict()
    with refused(ShapeError, "future: got shape (2, 1), wanted (3, 1): x1"):
        made.predict(future=x[:2, 1])
    with refused(ShapeError, "future: got shape (1, 3, 1), wanted (T, K)"):
        made.predict(future=[[[1], [1], [1]]])
    with refused(DataError, "future: wanted a table for each series", "the odd ones: 2"):
        small().fit([y, y], [x, x], known=[1]).predict(future=[x[:3, 1]] * 3)
    with refused(DataError, "future: got NaN"):
        made.predict(future=[np.nan, 1, 1])
    with refused(DataError, "X: got 0 columns, wanted the 2 of fit"):
        made.predict(y, future=x[:3, 1])
    with refused(DataError, "got columns without y"):
        made.predict(X=x, future=x[:3, 1])
    with refused(DataError, "ids: got names without y"):
        made.predict(ids=["y"], future=x[:3, 1])
    with refused(DataError, "future: got rows to come, but fit was told of no known columns"):
        fitted.predict(future=x[:3, 1])
    with refused(OptionError, "level: got 0, wanted a number between 0 and 1"):
        fitted.predict_interval(level=0)
    with refused(DataError, "has no numbers"):
        fitted.predict(np.full(20, np.nan))
    with refused(DataError, "y: got the series 'ccc", "…"):
        fitted.predict({"c" * 3000: months()})
    frame = pd.DataFrame(x, columns=["a", "b"])
    with refused(DataError, "got the columns b, a; wanted those of fit: a, b"):
        small().fit(y, frame).predict(y, frame[["b", "a"]])


def test_other_files_are_refused(tmp_path, fitted):
    from gatewright.forecasting import forecaster
    from gatewright.forecasting.settings import Settings

    forecaster.fit(months()[:, None], ("y",), Settings(hidden=2, window=5, ensemble=1, epochs=1))[0].save(tmp_path / "plain")
    with refused(FormatError, "not one that gw.Forecaster wrote: `gatewright predict` takes it"):
        gw.Forecaster.load(tmp_path / "plain")
    fitted.save(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    (tmp_path / "model").write_bytes(content[: len(content) // 2])
    with refused(FormatError, "model"):
        gw.Forecaster.load(tmp_path / "model")


def test_a_constant_series_among_many_stays_as_it_is_and_does_the_others_no_harm():
    y = {"a": months(), "dead": np.full(96, 7.0), "none": np.zeros(96), "b": 3 * months(seed=1)}
    made = small(season="auto").fit(y)
    told = made.predict_interval()
    np.testing.assert_allclose(told.mean[[1, 2]], [[7.0] * 3, [0.0] * 3], atol=0.2)
    alone = small(season="auto", scale=made.scale_).fit({name: y[name] for name in "ab"})
    assert made.season_ == alone.season_ == 12
    np.testing.assert_allclose(told.mean[[0, 3]], alone.predict(), rtol=0.1)
    with refused(DataError, "never changes"):
        small().fit({"dead": np.full(96, 7.0), "none": np.zeros(96)})
