"""Estimators in files: what is saved is what is loaded, and what makes no sense is refused in one line."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import gatewright as gw
from gatewright import files
from gatewright.errors import DataError, FormatError, MissingFileError, OptionError
from gatewright.estimators import store

RNG = np.random.default_rng(0)
ROWS = [RNG.normal(size=(RNG.integers(3, 9), 2)) for _ in range(24)]
LABELS = np.array(list("abc") * 8)
TABLE = np.array([row[:3, 0] for row in ROWS])


def small(**options):
    return gw.SequenceClassifier(**{"hidden_size": 4, "epochs": 3, "random_state": 0} | options)


def there_and_back(fitted, path, **options):
    fitted.save(path)
    return type(fitted).load(path, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "lstm", "num_layers": np.int64(2), "dropout": 0.2, "dtype": np.float64, "bidirectional": False},
        {"early_stopping": True, "validation_fraction": 0.3, "standardize": False, "clip_norm": None, "batch_size": 5},
        {"class_weight": {"a": 2, np.str_("b"): np.float32(0.5)}, "learning_rate": np.float32(0.5), "hidden_size": np.int32(3)},
        {"class_weight": "balanced", "pooling": "mean", "kernel": "numpy", "threads": 1, "optimizer": "sgd", "layout": "ntc"},
    ],
    ids=str,
)  # fmt: skip
def test_a_classifier_comes_back_as_it_was(tmp_path, options):
    fitted = small(**options).fit(ROWS, LABELS)
    machine = {"kernel": fitted.kernel, "threads": fitted.threads}
    back = there_and_back(fitted, tmp_path / "c", **machine)
    np.testing.assert_array_equal(back.predict_proba(ROWS), fitted.predict_proba(ROWS))
    np.testing.assert_array_equal(back.predict(ROWS), fitted.predict(ROWS))
    assert back.classes_.dtype == fitted.classes_.dtype
    for name in ("n_iter_", "loss_curve_", "validation_scores_", "n_features_in_"):
        assert getattr(back, name) == getattr(fitted, name)
    for name in ("mean_", "scale_", "classes_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(fitted, name))
    assert not hasattr(back, "feature_names_in_")
    wanted = fitted.get_params() | {"dtype": fitted.model_.dtype.name}
    assert back.get_params() == wanted
    np.testing.assert_array_equal(clone(back).fit(ROWS, LABELS).predict_proba(ROWS), fitted.predict_proba(ROWS))


def test_a_regressor_comes_back_as_it_was(tmp_path):
    y = np.array([[1e4 + 100 * row[0, 0], row[1, 1]] for row in ROWS])
    for target, more in ((y, {}), (y[:, 0], {"loss": "huber", "early_stopping": True}), (y[:, :1], {"standardize": False})):
        fitted = gw.SequenceRegressor(hidden_size=3, epochs=3, random_state=1, **more).fit(ROWS, target)
        back = there_and_back(fitted, tmp_path / "r")
        np.testing.assert_array_equal(back.predict(ROWS), fitted.predict(ROWS))
        assert back.predict(ROWS).shape == target.shape
        assert back.n_outputs_ == fitted.n_outputs_
        np.testing.assert_array_equal(back.target_scale_, fitted.target_scale_)
        assert back.get_params() == fitted.get_params()
    with refused(FormatError, "r: a sequence regressor, but no sequence classifier: gw.SequenceRegressor.load takes it"):
        gw.SequenceClassifier.load(tmp_path / "r")


@pytest.mark.parametrize(
    "labels",
    [
        LABELS == "a",
        np.array([3, -1, 7] * 8),
        np.array([3, 250, 7] * 8, np.uint8),
        np.array([0.5, 2.0, 1.0] * 8)[::-1].astype(int).astype(np.float32),
        LABELS.astype(object),
        pd.Series(LABELS),
        np.array(["größe", "貓", "long" * 99] * 8),
    ],
    ids=["bool", "int", "uint8", "float32", "object", "pandas", "unicode"],
)
def test_labels_keep_their_kind(tmp_path, labels):
    fitted = small().fit(ROWS, labels)
    back = there_and_back(fitted, tmp_path / "c")
    assert back.classes_.dtype == fitted.classes_.dtype
    assert back.classes_.tolist() == fitted.classes_.tolist()
    assert back.predict(ROWS).tolist() == fitted.predict(ROWS).tolist()
    assert back.score(ROWS, labels) == fitted.score(ROWS, labels)


def test_names_are_checked_as_before(tmp_path):
    frames = [pd.DataFrame(row, columns=["east", "north"]) for row in ROWS]
    back = there_and_back(small().fit(frames, LABELS), tmp_path / "c")
    assert back.feature_names_in_.tolist() == ["east", "north"]
    with refused(DataError, "north, east", "east, north"):
        back.predict([frame[["north", "east"]] for frame in frames])
    table = pd.DataFrame(TABLE, columns=["Mon", "Tue", "Wed"])
    back = there_and_back(small().fit(table, LABELS), tmp_path / "t")
    assert (back.feature_names_in_.tolist(), back.n_features_in_) == (["Mon", "Tue", "Wed"], 3)
    with pytest.raises(ValueError, match="feature names"):
        back.predict(table[["Wed", "Tue", "Mon"]])
    with pytest.raises(ValueError, match="feature names"):
        back.predict(table[["Mon", "Tue"]])


def test_what_is_loaded_learns_on(tmp_path):
    options = {"warm_start": True, "schedule": "constant", "optimizer": "sgd"}
    fitted = small(**options).fit(ROWS, LABELS)
    first, second = (there_and_back(fitted, tmp_path / "c") for _ in range(2))
    for back in (first, second):
        back.fit(ROWS, LABELS)
        assert (back.n_iter_, len(back.loss_curve_)) == (6, 6)
    np.testing.assert_array_equal(first.predict_proba(ROWS), second.predict_proba(ROWS))
    assert first.loss_curve_[-1] < fitted.loss_curve_[-1]
    first.partial_fit(ROWS, LABELS)
    assert first.n_iter_ == 7
    with refused(OptionError, "goes on with"):
        second.set_params(hidden_size=9).fit(ROWS, LABELS)


def test_what_can_not_be_saved_is_refused(tmp_path):
    path = tmp_path / "c"
    with pytest.raises(NotFittedError):
        small().save(path)
    for change in ({"hidden_size": 9}, {"dtype": "float64"}, {"standardize": False}):
        with refused(OptionError, "fit once more"):
            small().fit(ROWS, LABELS).set_params(**change).save(path)
    with refused(OptionError, "classes of datetime64[D]"):
        small().fit(ROWS, np.array(["2020-01-01", "2021-01-01"] * 12, "M8[D]")).save(path)
    assert not path.exists()
    state = np.random.RandomState(0)
    assert there_and_back(small(random_state=state).fit(ROWS, LABELS), path).random_state is None


def broken(path, change):
    """Changes the description in a file: {key: value}, a key with dots for what is inside."""
    tensors, described = files.load(path)
    for key, value in change.items():
        *way, last = key.split(".")
        inside = described
        for name in way:
            inside = inside[int(name) if isinstance(inside, list) else name]
        if value is None and last == "gone":
            del inside[next(iter(inside))]
        else:
            inside[int(last) if isinstance(inside, list) else last] = value
    text = json.dumps(described)
    files.write_bytes(path, files.to_bytes(tensors, {files.KEY: text}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "sequence regressor"}, ["but no sequence classifier"]),
        ({"kind": 7}, ["but no sequence classifier"]),
        ({"options": []}, ["makes no sense"]),
        ({"options.surprise": 1}, ["'surprise' is unknown"]),
        ({"options.kernel": "numpy"}, ["'kernel' is unknown"]),
        ({"options.cell": "gruu"}, ["cell='gruu'"]),
        ({"options.hidden_size": 10**12}, ["is not the one that its options describe"]),
        ({"options.num_layers": 10**12}, ["is not the one that its options describe"]),
        ({"options.pooling": "last"}, ["is not the one that its options describe"]),
        ({"options.cell": "lstm"}, ["is not the one that its options describe"]),
        ({"options.dtype": "float64"}, ["its options say float64"]),
        ({"options.layout": "tnc"}, ["layout='tnc'"]),
        ({"options.random_state": -1}, ["makes no sense"]),
        ({"options.class_weight": [[[], 1]]}, ["makes no sense"]),
        ({"layer": None}, ["makes no sense"]),
        ({"layer.gone": None}, ["makes no sense"]),
        ({"form": None}, ["makes no sense"]),
        ({"form.features": 3}, ["scaler: wanted 3"]),
        ({"form.features": 10**15}, ["scaler: wanted"]),
        ({"form.features": True}, ["form: got True"]),
        ({"form.time": 5}, ["form: it contradicts itself"]),
        ({"form.time": -5}, ["form: got -5"]),
        ({"form.names": ["east"]}, ["form: it contradicts itself"]),
        ({"form.names": ["east", 2]}, ["names that are texts"]),
        ({"scaler": [[0, 0]]}, ["makes no sense"]),
        ({"scaler.0": [0, "x"]}, ["makes no sense"]),
        ({"scaler.0": [0, float("nan")]}, ["finite"]),
        ({"scaler.1": [0, 1]}, ["above 0"]),
        ({"scaler.1": [1, 1e999]}, ["finite"]),
        ({"classes": ["a", "b"]}, ["is not the one that its options describe"]),
        ({"classes": ["a", "c", "b"]}, ["sorted"]),
        ({"classes": ["a", "a", "b"]}, ["none twice"]),
        ({"classes": ["a"]}, ["at least two"]),
        ({"classes": ["a", "b", 3]}, ["wanted a list of str"]),
        ({"classes": "abc"}, ["wanted a list of str"]),
        ({"classes": [1, 2, 3], "labels": "int8000"}, ["makes no sense"]),
        ({"classes": [1, 2, 300], "labels": "int8"}, ["makes no sense"]),
        ({"classes": [1.0, 2.0, float("nan")], "labels": "float64"}, ["sorted"]),
        ({"labels": []}, ["makes no sense"]),
        ({"loss_curve": [1, "x"]}, ["loss_curve"]),
        ({"loss_curve": 3}, ["loss_curve"]),
        ({"validation_scores": [1, "x"]}, ["validation_scores"]),
        ({"dtype": "float16"}, ["float16"]),
        ({"frozen": 3}, ["frozen"]),
    ],
    ids=str,
)  # fmt: skip
def test_files_that_make_no_sense_are_refused(tmp_path, change, words):
    path = tmp_path / "broken.safetensors"
    small().fit(ROWS, LABELS).save(path)
    broken(path, change)
    with refused(FormatError, "broken.safetensors: ", *words):
        gw.SequenceClassifier.load(path)


@pytest.mark.parametrize(
    "change",
    [{"options.loss": "mad"}, {"flat": 1}, {"flat": True}, {"targets": []}, {"targets.1": [0, 1]}, {"targets.0": 3}],
    ids=str,
)
def test_regressors_that_make_no_sense_are_refused(tmp_path, change):
    path = tmp_path / "broken.safetensors"
    gw.SequenceRegressor(hidden_size=2, epochs=1).fit(ROWS, np.array([row[0] for row in ROWS])).save(path)
    broken(path, change)
    with refused(FormatError, "broken.safetensors: "):
        gw.SequenceRegressor.load(path)


def test_labels_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    small().fit(ROWS, LABELS).save(tmp_path / "c")
    broken(tmp_path / "c", {"classes": ["a", "b", "c" * 1000]})
    monkeypatch.setattr(store, "CHARACTERS", 2999)
    with refused(FormatError, "c: ", "texts of more than 2,999 characters"):
        gw.SequenceClassifier.load(tmp_path / "c")


def test_every_part_of_a_description_may_be_missing_and_is_refused_then(tmp_path):
    path = tmp_path / "c"
    small().fit(ROWS, LABELS).save(path)
    tensors, described = files.load(path)
    for key in described.keys() - {"format"}:
        files.save(path, tensors, {name: value for name, value in described.items() if name not in (key, "format")})
        with refused(FormatError, "c: "):
            gw.SequenceClassifier.load(path)


JUNK = st.sampled_from([None, True, -1, 0, 3, 10**30, 0.5, float("inf"), "", "x", [], [[]], {}, ["a"], {"a": 1}, [None, 1]])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "c"
    frames = [pd.DataFrame(row, columns=["east", "north"]) for row in ROWS]
    small(early_stopping=True, validation_fraction=0.3, class_weight={"a": 2}, hidden_size=2).fit(frames, LABELS).save(path)
    return path, files.load(path)


@given(data=st.data())
def test_nothing_but_a_refusal_comes_of_any_description(saved, data):
    path, (tensors, described) = saved
    changed = json.loads(json.dumps(described))
    inside, key = changed, None
    while True:  # down to some depth, one value becomes another
        keys = sorted(inside) if isinstance(inside, dict) else range(len(inside))
        key = data.draw(st.sampled_from(list(keys)))
        if not isinstance(inside[key], dict | list) or not inside[key] or data.draw(st.booleans()):
            break
        inside = inside[key]
    inside[key] = data.draw(JUNK)
    other = path.with_name("other")
    files.write_bytes(other, files.to_bytes(tensors, {files.KEY: json.dumps(changed)}))
    found, said = None, ""
    try:
        found = gw.SequenceClassifier.load(other)
    except FormatError as error:
        said = str(error)
    if found is None:
        assert "other: " in said
        assert len(said) < 600
    else:
        assert found.predict_proba(ROWS).shape == (24, len(found.classes_))


def test_other_files_are_refused(tmp_path):
    gw.Model(gw.LSTM(1, 2)).save(tmp_path / "plain")
    with refused(FormatError, "plain: a file of gatewright's, but no sequence classifier"):
        gw.SequenceClassifier.load(tmp_path / "plain")
    with refused(MissingFileError, "none"):
        gw.SequenceClassifier.load(tmp_path / "none")
    small().fit(ROWS, LABELS).save(tmp_path / "c")
    with refused(FormatError, "c: a sequence classifier, which is more than a model", "`gatewright predict`"):
        gw.load(tmp_path / "c")
    with refused(FormatError, "c: a sequence classifier, but no text model", "gw.SequenceClassifier.load"):
        gw.TextModel.load(tmp_path / "c")
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:-9])
    with refused(FormatError, "not a whole safetensors file"):
        gw.SequenceClassifier.load(tmp_path / "c")
