"""SequenceClassifier: what it learns, and that every parameter does what it says."""

import pickle

import numpy as np
import pytest
from refusals import refused
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import gatewright as gw
from gatewright.errors import DataError, OptionError, ShapeError

RNG = np.random.default_rng(0)


def waves(count=60, classes=("slow", "fast", "noise")):
    """Lists of unequal sequences (T_i, 2), which their order in time tells apart, and their labels."""
    labels = np.array([classes[i % len(classes)] for i in range(count)])
    rows = []
    for label in labels:
        time = np.arange(RNG.integers(12, 20))[:, None]
        pace = {"slow": 0.3, "fast": 1.5, "noise": 0}[label]
        wave = np.sin(pace * time + RNG.uniform(0, 6, size=2)) if pace else RNG.normal(size=(len(time), 2)) * 0.7
        rows.append(wave + 0.1 * RNG.normal(size=wave.shape))
    return rows, labels


ROWS, LABELS = waves()
TEST_ROWS, TEST_LABELS = waves()
TABLE = np.array([row[:12, 0] for row in ROWS])


def small(**options):
    return gw.SequenceClassifier(**{"hidden_size": 4, "epochs": 3, "random_state": 0} | options)


def test_it_learns_what_only_the_order_tells():
    fitted = gw.SequenceClassifier(hidden_size=16, epochs=30, random_state=0).fit(ROWS, LABELS)
    assert fitted.classes_.tolist() == ["fast", "noise", "slow"]
    assert fitted.score(TEST_ROWS, TEST_LABELS) > 0.9
    proba = fitted.predict_proba(TEST_ROWS)
    assert proba.shape == (60, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(TEST_ROWS))
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(TEST_ROWS)), proba, rtol=1e-5)
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 30
    assert fitted.loss_curve_[-1] < 0.5 * fitted.loss_curve_[0]
    assert fitted.validation_scores_ is None


def test_the_network_is_the_one_asked_for():
    fitted = small(
        cell="lstm",
        hidden_size=5,
        num_layers=2,
        bidirectional=True,
        pooling="mean",
        dropout=0.2,
        dtype="float64",
        kernel="numpy",
    ).fit(ROWS, LABELS)
    recurrent = gw.LSTM(2, 5, num_layers=2, bidirectional=True, dropout=0.2)
    head = (gw.GlobalAveragePooling1D(), gw.Dropout(0.2), gw.Dense(10, 3, "softmax"))
    assert fitted.model_.layer == gw.Sequential(recurrent, *head)
    assert fitted.model_.dtype == np.float64
    assert {row.path for row in fitted.model_.kernels()} == {"numpy"}
    last = small(cell="rnn", pooling="last").fit(ROWS, LABELS)
    assert last.model_.layer == gw.Sequential(gw.RNN(2, 4, return_sequences=False), gw.Dense(4, 3, "softmax"))


def test_the_features_are_standardised_over_live_steps():
    fitted = small().fit(ROWS, LABELS)
    values = np.concatenate(ROWS)
    np.testing.assert_allclose(fitted.mean_, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.scale_, values.std(axis=0), rtol=1e-12)
    first = [(row - fitted.mean_) / fitted.scale_ for row in ROWS[:1]]
    np.testing.assert_allclose(fitted.model_.predict(first), fitted.predict_proba(ROWS[:1]), rtol=1e-6)
    moved = small().fit([1e4 + 7 * row for row in ROWS], LABELS)
    np.testing.assert_allclose(moved.predict_proba([1e4 + 7 * row for row in ROWS]), fitted.predict_proba(ROWS), rtol=1e-3)
    raw = small(standardize=False).fit(ROWS, LABELS)
    assert (raw.mean_.tolist(), raw.scale_.tolist()) == ([0, 0], [1, 1])
    np.testing.assert_array_equal(raw.model_.predict([ROWS[0].astype(np.float32)]), raw.predict_proba(ROWS[:1]))


@pytest.mark.parametrize(
    "option",
    [
        {"optimizer": "sgd"}, {"optimizer": "rmsprop"}, {"learning_rate": 0.1}, {"schedule": "constant"}, {"batch_size": 5},
        {"clip_norm": 1e-3}, {"dropout": 0.5}, {"random_state": 1}, {"class_weight": {"slow": 9}}, {"pooling": "last"},
        {"standardize": False}, {"num_layers": 2}, {"cell": "rnn"}, {"bidirectional": True}, {"dtype": "float64"},
    ],
    ids=str,
)  # fmt: skip
def test_an_option_changes_what_is_learned(option):
    usual, other = (small(**more).fit(ROWS, LABELS).predict_proba(ROWS) for more in ({}, option))
    assert not np.array_equal(usual, other)


def test_adamw_decays():
    decayed, plain = (small(optimizer=name, epochs=20).fit(ROWS, LABELS) for name in ("adamw", "adam"))
    assert np.linalg.norm(decayed.model_.parameters.flat) < np.linalg.norm(plain.model_.parameters.flat)


def test_the_batch_grows_with_the_data():
    updates = []
    for count, size in ((60, 8), (640, 20), (5000, 64)):
        fitted = small(early_stopping=False, epochs=1, optimizer="sgd", hidden_size=1)
        same = clone(fitted).set_params(batch_size=size)
        x, y = np.resize(TABLE, (count, 12)), np.resize(LABELS, count)
        updates.append(np.array_equal(fitted.fit(x, y).predict_proba(x), same.fit(x, y).predict_proba(x)))
    assert updates == [True] * 3


def test_the_same_seed_gives_the_same_bits_and_a_pickle_too():
    fitted, again = (small(dropout=0.3).fit(ROWS, LABELS) for _ in range(2))
    back = pickle.loads(pickle.dumps(fitted))
    for other in (again, back, clone(fitted).fit(ROWS, LABELS)):
        np.testing.assert_array_equal(fitted.predict_proba(ROWS), other.predict_proba(ROWS))
    state = np.random.RandomState(5)
    assert not np.array_equal(*(small(random_state=state).fit(ROWS, LABELS).predict_proba(ROWS) for _ in range(2)))


def test_early_stopping_keeps_the_best_weights():
    options = {"early_stopping": True, "validation_fraction": 0.3, "patience": 2, "schedule": "constant", "learning_rate": 0.1}
    stopped = small(epochs=200, **options).fit(ROWS, LABELS)
    assert 3 <= stopped.n_iter_ == len(stopped.loss_curve_) == len(stopped.validation_scores_) < 200
    assert all(0 <= score <= 1 for score in stopped.validation_scores_)
    best = small(epochs=stopped.n_iter_ - 2, **options).fit(ROWS, LABELS)  # its last epoch is its best
    np.testing.assert_array_equal(stopped.predict_proba(ROWS), best.predict_proba(ROWS))


def test_early_stopping_is_automatic_from_a_thousand_sequences():
    for count, scored in ((999, None), (1000, 2)):
        x, y = np.resize(TABLE, (count, 12)), np.resize(LABELS, count)
        scores = small(epochs=2, hidden_size=1).fit(x, y).validation_scores_
        assert (scores if scores is None else len(scores)) == scored
    assert small(epochs=2, hidden_size=1, early_stopping=False).fit(x, y).validation_scores_ is None


def test_weights_count_as_rows_do():
    whole = {"batch_size": 256, "dtype": "float64", "epochs": 5}
    weight = RNG.integers(0, 3, size=60)
    twice = [row for row, w in zip(ROWS, weight, strict=True) for _ in range(w)]
    weighted = small(**whole).fit(ROWS, LABELS, sample_weight=weight)
    repeated = small(**whole).fit(twice, np.repeat(LABELS, weight))
    np.testing.assert_allclose(weighted.predict_proba(ROWS), repeated.predict_proba(ROWS), rtol=1e-8)
    factors = small(**whole, class_weight={"slow": 3, "noise": 0.5}).fit(ROWS, LABELS)
    same = small(**whole).fit(ROWS, LABELS, sample_weight=np.select([LABELS == "slow", LABELS == "noise"], [3, 0.5], 1))
    np.testing.assert_array_equal(factors.predict_proba(ROWS), same.predict_proba(ROWS))


def test_balanced_classes_weigh_the_same():
    few = [*range(60), *(np.flatnonzero(LABELS == "slow").tolist() * 3)]
    x, y = [ROWS[i] for i in few], LABELS[few]
    whole = {"batch_size": 256, "dtype": "float64", "epochs": 5}
    balanced = small(**whole, class_weight="balanced").fit(x, y)
    by_hand = small(**whole, class_weight={"slow": 120 / 3 / 80, "fast": 2, "noise": 2}).fit(x, y)
    np.testing.assert_allclose(balanced.predict_proba(x), by_hand.predict_proba(x), rtol=1e-8)


def test_warm_start_goes_on():
    model = small(warm_start=True, schedule="constant", optimizer="sgd", early_stopping=False)
    first = model.fit(ROWS, LABELS).model_
    before = model.predict_proba(ROWS)
    assert model.fit(ROWS, LABELS).model_ is first
    assert model.n_iter_ == len(model.loss_curve_) == 6
    assert not np.array_equal(model.predict_proba(ROWS), before)
    longer = small(epochs=6, schedule="constant", optimizer="sgd").fit(ROWS, LABELS)
    np.testing.assert_array_equal(model.predict_proba(ROWS), longer.predict_proba(ROWS))
    assert model.set_params(warm_start=False).fit(ROWS, LABELS).n_iter_ == 3
    np.testing.assert_array_equal(model.predict_proba(ROWS), before)


@pytest.mark.parametrize(
    "change", [{"hidden_size": 9}, {"dtype": "float64"}, {"kernel": "numpy"}, {"standardize": False}], ids=str
)
def test_warm_start_refuses_what_it_cannot_change(change):
    model = small(warm_start=True).fit(ROWS, LABELS)
    with refused(OptionError, "goes on with"):
        model.set_params(**change).fit(ROWS, LABELS)
    with refused(OptionError, "goes on with"):
        model.partial_fit(ROWS, LABELS)


def test_warm_start_refuses_other_data():
    model = small(warm_start=True).fit(ROWS, LABELS)
    with refused(DataError, "'new'", "'fast', 'noise', 'slow'"):
        model.fit(ROWS, np.where(LABELS == "slow", "new", LABELS))
    with refused(ShapeError, "1 features"):
        model.fit(TABLE, LABELS)


def test_partial_fit_is_an_epoch_and_the_optimizer_goes_on():
    parts = small(batch_size=256, optimizer="adam", dtype="float64")
    for _ in range(3):
        parts.partial_fit(ROWS, LABELS, classes=np.unique(LABELS))
    whole = small(batch_size=256, dtype="float64", schedule="constant").fit(ROWS, LABELS)
    np.testing.assert_allclose(parts.predict_proba(ROWS), whole.predict_proba(ROWS), rtol=1e-10)
    assert parts.n_iter_ == 3
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-10)
    back = pickle.loads(pickle.dumps(parts)).partial_fit(ROWS, LABELS)
    np.testing.assert_array_equal(back.predict_proba(ROWS), parts.partial_fit(ROWS, LABELS).predict_proba(ROWS))
    slower = pickle.loads(pickle.dumps(back)).set_params(learning_rate=1e-5).partial_fit(ROWS, LABELS)
    np.testing.assert_allclose(slower.predict_proba(ROWS), back.predict_proba(ROWS), rtol=1e-2)


def test_partial_fit_takes_parts_that_lack_classes():
    model = small()
    for label in np.unique(LABELS):
        model.partial_fit(
            [row for row, l in zip(ROWS, LABELS, strict=True) if l == label], [label] * 20, classes=np.unique(LABELS)
        )
    assert model.predict_proba(ROWS).shape == (60, 3)


@pytest.mark.parametrize(
    ("options", "arguments", "error", "words"),
    [
        ({}, {}, DataError, ["classes must be passed on the first call"]),
        ({}, {"classes": ["slow"]}, DataError, ["one class"]),
        ({}, {"classes": ["slow", "fast"]}, DataError, ["'noise'"]),
        ({"early_stopping": True}, {"classes": np.unique(LABELS)}, OptionError, ["early_stopping"]),
        ({"class_weight": "balanced"}, {"classes": np.unique(LABELS)}, OptionError, ["balanced"]),
    ],
)
def test_partial_fit_refuses(options, arguments, error, words):
    with refused(error, *words):
        small(**options).partial_fit(ROWS, LABELS, **arguments)
    with refused(DataError, "other than in the first call"):
        small().fit(ROWS, LABELS).partial_fit(ROWS, LABELS, classes=["a", "b"])


def test_grid_search_and_pipelines_over_unequal_lengths():
    tail = FunctionTransformer(lambda rows: [row[-10:] for row in rows])
    pipeline = make_pipeline(tail, gw.SequenceClassifier(hidden_size=8, epochs=15, random_state=0))
    grid = {"sequenceclassifier__cell": ["gru", "lstm"], "sequenceclassifier__learning_rate": [1e-5, 0.02]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(ROWS, LABELS)
    assert search.best_params_["sequenceclassifier__learning_rate"] == 0.02
    assert search.score(TEST_ROWS, TEST_LABELS) > 0.7
    assert cross_val_score(small(), ROWS, LABELS, cv=3).shape == (3,)


def test_it_shows_itself():
    model = small(cell="lstm")
    assert repr(model) == "SequenceClassifier(cell='lstm', epochs=3, hidden_size=4, random_state=0)"
    assert "SequenceClassifier" in model._repr_html_()


def test_verbose_shows_progress(capsys):
    small().fit(ROWS, LABELS)
    assert capsys.readouterr() == ("", "")
    small(verbose=True).fit(ROWS, LABELS)
    assert "3/3" in "".join(capsys.readouterr())


def test_an_interrupt_leaves_a_usable_estimator(monkeypatch):
    model, fit = small(), gw.Model.fit

    def interrupted(self, *args, callbacks, **options):
        def stop(info):
            if info.epoch == 2:
                raise KeyboardInterrupt

        return fit(self, *args, callbacks=[*callbacks, stop], **options)

    monkeypatch.setattr(gw.Model, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(ROWS, LABELS)
    assert model.n_iter_ == 2
    assert model.predict(ROWS).shape == (60,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cell": "gruu"}, ["cell", "'gru'"]),
        ({"cell": None}, ["cell"]),
        ({"pooling": "mid"}, ["pooling"]),
        ({"optimizer": "lbfgs"}, ["optimizer"]),
        ({"schedule": None}, ["schedule", "'constant'"]),
        ({"hidden_size": 0}, ["hidden_size"]),
        ({"num_layers": 1.5}, ["num_layers"]),
        ({"epochs": 0}, ["epochs"]),
        ({"batch_size": "big"}, ["batch_size", "auto"]),
        ({"patience": 0}, ["patience"]),
        ({"learning_rate": 0}, ["learning_rate"]),
        ({"dropout": 1}, ["dropout"]),
        ({"validation_fraction": 0}, ["validation_fraction"]),
        ({"validation_fraction": 1}, ["validation_fraction"]),
        ({"early_stopping": "yes"}, ["early_stopping"]),
        ({"early_stopping": 1}, ["early_stopping"]),
        ({"bidirectional": "yes"}, ["bidirectional"]),
        ({"warm_start": 1}, ["warm_start"]),
        ({"standardize": None}, ["standardize"]),
        ({"verbose": 1}, ["verbose"]),
        ({"clip_norm": 0}, ["clip_norm"]),
        ({"dtype": "float16"}, ["dtype"]),
        ({"kernel": "fast"}, ["kernel"]),
        ({"threads": 0}, ["threads"]),
        ({"class_weight": {"slow": -1}}, ["class_weight"]),
        ({"class_weight": {"other": 1}}, ["class_weight", "'other'"]),
        ({"class_weight": "equal"}, ["class_weight", "'equal'"]),
    ],
    ids=str,
)
def test_impossible_parameters_are_refused(options, words):
    with refused(OptionError, *words):
        small(**options).fit(ROWS, LABELS)


@pytest.mark.parametrize(
    ("y", "weight", "error", "words"),
    [
        (None, None, DataError, ["requires y"]),
        (LABELS[:-1], None, ShapeError, ["59", "60"]),
        (["slow"] * 60, None, DataError, ["one class", "'slow'"]),
        (LABELS, np.ones((60, 2)), ShapeError, ["sample_weight", "(60, 2)"]),
        (LABELS, -np.ones(60), DataError, ["sample_weight", "-1"]),
        (LABELS, np.full(60, np.nan), DataError, ["sample_weight", "nan"]),
        (LABELS, np.zeros(60), DataError, ["sample_weight", "zero"]),
        (LABELS, LABELS == "slow", DataError, ["one class", "'slow'"]),
    ],
)
def test_impossible_targets_and_weights_are_refused(y, weight, error, words):
    with refused(error, *words):
        small().fit(ROWS, y, sample_weight=weight)


def test_too_little_to_set_aside():
    with refused(DataError, "early_stopping=True"):
        small(early_stopping=True, validation_fraction=0.9).fit(ROWS[:2], LABELS[:2])


def test_what_scikit_learn_says():
    with pytest.raises(NotFittedError):
        small().predict(ROWS)
    with pytest.warns(DataConversionWarning):
        small().fit(ROWS, LABELS[:, None])
    with pytest.raises(ValueError, match="Unknown label type"):
        small().fit(ROWS, RNG.normal(size=60))
    with pytest.raises(ValueError, match=r"1d|multilabel"):
        small().fit(ROWS, np.eye(60))
