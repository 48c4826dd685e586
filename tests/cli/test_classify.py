"""`gatewright classify`, and `gatewright predict` of what it made: what they write and say, and what they say to bad input."""

import csv
import inspect
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from commands import read, run
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

import gatewright as gw
from gatewright import files
from gatewright.cli import classify
from gatewright.cli.progress import Learner
from gatewright.data.labelled import Named
from gatewright.estimators import job, report, store
from gatewright.estimators.job import Judged
from gatewright.estimators.network import CELLS, POOLINGS
from gatewright.training.callbacks import History

FAST = ["--hidden", "6", "--epochs", "12"]
CLASSES = ("slow", "fast", "noise")


def sequences(count, seed=0):
    """[(name, class, (T_i, 2))] that the order of their steps tells apart."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(count):
        label = CLASSES[i % 3]
        time = np.arange(rng.integers(8, 14))[:, None]
        pace = {"slow": 0.3, "fast": 1.5, "noise": 0}[label]
        wave = np.sin(pace * time + rng.uniform(0, 6, size=2)) if pace else rng.normal(size=(len(time), 2)) * 0.7
        rows.append((f"s{i}", label, np.round(wave + 0.1 * rng.normal(size=wave.shape), 4)))
    return rows


def write_csv(path, rows, names=("ax", "ay"), seed=None):
    """The long form: name, step, class, note, features; its lines shuffled if there is a seed, after one a sequence."""
    lines = [[name, t, label, "said", *step] for name, label, values in rows for t, step in enumerate(values.tolist())]
    if seed is not None:
        first, others = ([line for line in lines if (line[1] == 3) is there] for there in (True, False))
        lines = [*first, *(others[k] for k in np.random.default_rng(seed).permutation(len(others)))]
    text = [["seq", "t", "class", "note", *names], *lines]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in text))
    return path


def write_ts(path, rows):
    lines = [":".join([*(",".join(map(repr, column)) for column in values.T.tolist()), label]) for _, label, values in rows]
    head = f"@univariate false\n@equalLength false\n@classLabel true {' '.join(CLASSES)}\n@data\n"
    path.write_text(head + "\n".join(lines) + "\n")
    return path


TRAIN, TEST = sequences(36), sequences(18, seed=1)
OF_CSV = ("--label", "class", "--id", "seq")


@pytest.fixture
def train(tmp_path):
    return write_csv(tmp_path / "train.csv", TRAIN)


@pytest.fixture
def test(tmp_path):
    return write_csv(tmp_path / "test.csv", TEST)


@pytest.fixture
def model(capsys, tmp_path, train, test):
    assert run(capsys, "classify", train, *OF_CSV, "--test", test, "-o", tmp_path / "out", *FAST)[0] == 0
    return tmp_path / "out" / "model.safetensors"


def test_from_tables_to_classes(capsys, tmp_path, train, test):
    out = tmp_path / "out"
    argv = ["classify", train, *OF_CSV, "--test", test, "-o", out, *FAST]
    code, said, told = run(capsys, *argv)
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == f"{train}: 36 sequences to learn from, 18 to judge by, from {test}"
    assert lines[1] == "3 classes, 8 to 13 steps each, 3 features: t, ax, ay"
    assert lines[2] == "left out, because there are no numbers or no name: note"
    assert told.splitlines()[0].startswith("epoch 1 of 12: loss ")
    assert told.splitlines()[-1].startswith("epoch 12 of 12: loss ")
    assert "sequences a second, " in told
    assert told.endswith("0.0 minutes left\n")
    assert lines[-5:] == [str(out / name) for name in classify.FILES]
    assert sorted(os.listdir(out)) == sorted(classify.FILES)
    assert all((out / name).read_bytes()[:4] == b"\x89PNG" for name in ("confusion.png", "training.png"))

    # the estimator itself says the same
    fitted = gw.SequenceClassifier(hidden_size=6, epochs=12, random_state=0)
    x, y = ([np.column_stack([np.arange(len(v)), v]) for _, _, v in TRAIN], [label for _, label, _ in TRAIN])
    xt, yt = ([np.column_stack([np.arange(len(v)), v]) for _, _, v in TEST], [label for _, label, _ in TEST])
    fitted.fit(x, y)
    predicted = fitted.predict(xt)
    rows = read(out / "predictions.csv")
    assert [row["id"] for row in rows] == [name for name, _, _ in TEST]
    assert [row["true"] for row in rows] == yt
    assert [row["predicted"] for row in rows] == predicted.tolist()
    shown = [[float(row[f"P({name})"]) for name in sorted(CLASSES)] for row in rows]
    np.testing.assert_allclose(shown, fitted.predict_proba(xt), rtol=1e-5)

    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["accuracy"] == accuracy_score(yt, predicted)
    assert report["confusion matrix"]["counts"] == confusion_matrix(yt, predicted, labels=sorted(CLASSES)).tolist()
    measures = precision_recall_fscore_support(yt, predicted, labels=["slow"], zero_division=np.nan)
    got = report["by class"]["slow"]
    assert [got[key] for key in ("recall", "f1-score", "support")] == [float(part[0]) for part in measures[1:]]
    assert report["trained on"] == {"file": "train.csv", "sequences": 36, "by class": {"fast": 12, "noise": 12, "slow": 12}}
    assert report["features"] == ["t", "ax", "ay"]
    assert report["options"]["hidden_size"] == 6
    assert report["history"]["loss"] == fitted.loss_curve_
    right = int(np.sum(predicted == yt))
    assert f"accuracy {right / 18:.4f} ({right} of 18); the most frequent class alone: 0.3333" in said
    assert f"{got['f1-score']:.3f}" in said
    back = gw.SequenceClassifier.load(out / "model.safetensors")
    assert back.feature_names_in_.tolist() == ["t", "ax", "ay"]
    np.testing.assert_array_equal(back.predict_proba(xt), fitted.predict_proba(xt))


def test_rows_in_any_order_and_columns_that_are_chosen(capsys, tmp_path, test):
    shuffled = write_csv(tmp_path / "shuffled.csv", TRAIN, seed=3)
    plain = write_csv(tmp_path / "plain.csv", TRAIN)
    for path, name in ((shuffled, "a"), (plain, "b")):
        argv = ["classify", path, *OF_CSV, "--time", "t", "--features", "ay, ax", "--test", test, "-o", tmp_path / name]
        code, said, _ = run(capsys, *argv, *FAST)
        assert code == 0
        assert "2 features: ay, ax\n" in said
        assert "left out" not in said
    model = gw.SequenceClassifier.load(tmp_path / "a" / "model.safetensors")
    assert model.feature_names_in_.tolist() == ["ay", "ax"]
    assert (tmp_path / "a" / "predictions.csv").read_bytes() == (tmp_path / "b" / "predictions.csv").read_bytes()


def test_ts_files_give_what_tables_give(capsys, tmp_path, test):
    for part, rows in (("train", TRAIN), ("test", TEST)):
        write_ts(tmp_path / f"{part}.ts", rows)
        write_csv(tmp_path / f"{part}.csv", rows)
    argv = ["classify", tmp_path / "train.ts", "--test", tmp_path / "test.TS", "-o", tmp_path / "a", *FAST]
    os.rename(tmp_path / "test.ts", tmp_path / "test.TS")
    code, said, _ = run(capsys, *argv)
    assert (code, "left out" in said) == (0, False)
    table = ["classify", tmp_path / "train.csv", *OF_CSV, "--test", test, "--features", "ax,ay", "-o", tmp_path / "b", *FAST]
    assert run(capsys, *table)[0] == 0
    ours, theirs = (read(tmp_path / name / "predictions.csv") for name in "ab")
    assert [row.pop("id") for row in ours] == [str(k + 1) for k in range(18)]
    assert ours == [{key: value for key, value in row.items() if key != "id"} for row in theirs]


def test_a_share_is_held_out_of_every_class_alike(capsys, tmp_path, train):
    out = tmp_path / "out"
    code, said, _ = run(capsys, "classify", train, *OF_CSV, "-o", out, *FAST, "--test-fraction", "0.25")
    assert code == 0
    assert said.splitlines()[0] == f"{train}: 27 sequences to learn from, 9 to judge by, of every class alike"
    rows = read(out / "predictions.csv")
    assert sorted(row["true"] for row in rows) == sorted(CLASSES * 3)
    known = {name: label for name, label, _ in TRAIN}
    assert all(known[row["id"]] == row["true"] for row in rows)
    report = json.loads((out / "report.json").read_text())
    assert report["trained on"]["by class"] == {"fast": 9, "noise": 9, "slow": 9}
    for seed, same in ((0, True), (1, False)):
        argv = ["classify", train, *OF_CSV, "-o", tmp_path / "other", *FAST, "--test-fraction", "0.25", "--seed", seed]
        assert run(capsys, *argv)[0] == 0
        again = [row["id"] for row in read(tmp_path / "other" / "predictions.csv")]
        assert (again == [row["id"] for row in rows]) is same
    assert "29 sequences to learn from, 7 to judge by" in run(capsys, "classify", train, *OF_CSV, "-o", out, *FAST)[1]


OPTIONS = [
    ("--cell", "lstm", "cell", "lstm"),
    ("--hidden", "3", "hidden_size", 3),
    ("--layers", "2", "num_layers", 2),
    ("--no-bidirectional", None, "bidirectional", False),
    ("--bidirectional", None, "bidirectional", True),
    ("--pooling", "last", "pooling", "last"),
    ("--dropout", "0.25", "dropout", 0.25),
    ("--epochs", "2", "epochs", 2),
    ("--batch", "7", "batch_size", 7),
    ("--learning-rate", "0.5", "learning_rate", 0.5),
    ("--class-weight", "balanced", "class_weight", "balanced"),
    ("--class-weight", '"slow"=2, fast=0.5', "class_weight", {"slow": 2.0, "fast": 0.5}),
    ("--early-stopping", None, "early_stopping", True),
    ("--no-early-stopping", None, "early_stopping", False),
    ("--validation-fraction", "0.3", "validation_fraction", 0.3),
    ("--patience", "4", "patience", 4),
    ("--seed", "9", "random_state", 9),
]


@pytest.mark.parametrize(("flag", "given", "name", "wanted"), OPTIONS)
def test_every_option_arrives(capsys, tmp_path, train, monkeypatch, flag, given, name, wanted):
    def look(todo, watch):
        stops = {"early_stopping": True} if name in ("patience", "validation_fraction") else {}
        assert todo.classifier.get_params() == gw.SequenceClassifier(**{"random_state": 0, name: wanted, **stops}).get_params()
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "run", look)
    value = [] if given is None else [given]
    assert run(capsys, "classify", train, *OF_CSV, "-o", tmp_path / "out", flag, *value)[0] == 130
    assert not (tmp_path / "out").exists()


def test_the_help_says_the_defaults_and_no_option_is_forgotten():
    parameters = inspect.signature(gw.SequenceClassifier).parameters
    assert {flag for flag, *_ in OPTIONS} - {"--no-bidirectional", "--no-early-stopping"} == {
        row[0] for row in classify.OPTIONS
    }
    for flag, name, how, _, text in classify.OPTIONS:
        default = parameters[name].default
        if isinstance(default, str) and default != "auto":
            assert f"(default {default})" in text, flag
        elif isinstance(default, int | float) and not isinstance(default, bool):
            assert f"(default {default:g})" in text, flag
        if "choices" in how:
            assert set(how["choices"]) == set({"cell": CELLS, "pooling": POOLINGS}[name])
    assert (parameters["bidirectional"].default, parameters["early_stopping"].default) == (True, "auto")


def test_early_stopping_is_told_and_drawn(capsys, tmp_path, train, test):
    argv = ["classify", train, *OF_CSV, "--test", test, "-o", tmp_path / "out", "--hidden", "6"]
    code, _, told = run(capsys, *argv, "--epochs", "300", "--early-stopping", "--patience", "2", "--learning-rate", "0.05")
    assert code == 0
    assert " right of those set aside, " in told.splitlines()[0]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["epochs"] < 300
    assert len(report["history"]["val_loss"]) == len(report["validation scores"]) == report["epochs"]


def test_the_report_is_in_the_order_of_numbers(capsys, tmp_path):
    rows = [(name, {"slow": "10", "fast": "9", "noise": "x"}[label], values) for name, label, values in TRAIN]
    path = write_csv(tmp_path / "numbers.csv", rows)
    code, said, _ = run(capsys, "classify", path, *OF_CSV, "-o", tmp_path / "out", *FAST)
    assert code == 0
    assert list(read(tmp_path / "out" / "predictions.csv")[0]) == ["id", "true", "predicted", "P(9)", "P(10)", "P(x)"]
    matrix = said[said.index("A row a class") :].splitlines()
    assert [line.split()[0] for line in matrix[2:5]] == matrix[1].split() == ["9", "10", "x"]
    found = json.loads((tmp_path / "out" / "report.json").read_text())["confusion matrix"]
    shown = [[0 if cell == "·" else int(cell) for cell in line.split()[1:]] for line in matrix[2:5]]
    assert (shown, found["classes"]) == (found["counts"], ["9", "10", "x"])


def test_a_class_that_is_never_predicted_has_a_dash(tmp_path):
    judged = Judged(("1", "2"), ("a", "nan"), ("a", "nan"), ("a", "a"), np.array([[0.9, 0.1]] * 2))
    rows = {line.split()[0]: line.split()[1:] for line in report.table(judged).splitlines() if line}
    assert rows["a"] == ["0.500", "1.000", "0.667", "1"]
    assert rows["nan"] == ["–", "0.000", "0.000", "1"]


def test_many_classes(capsys, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [(f"s{i}", f"class {i % 40}", rng.normal(size=(3, 1))) for i in range(160)]
    path = write_csv(tmp_path / "many.csv", rows, names=("x",))
    monkeypatch.setattr(classify, "MOST_CLASSES", 39)
    code, said, _ = run(capsys, "classify", path, *OF_CSV, "-o", tmp_path / "out", "--epochs", "1", "--test-fraction", "0.5")
    assert code == 0
    assert "The confusion matrix of 40 classes is in report.json." in said
    assert said.splitlines()[-1] == "no confusion.png: it shows 39 classes at most, and report.json has them all"
    assert "–" in said  # most classes are never predicted
    assert not (tmp_path / "out" / "confusion.png").exists()
    assert None in {row["precision"] for row in json.loads((tmp_path / "out" / "report.json").read_text())["by class"].values()}


def test_names_that_no_font_has_are_told_of(capsys, tmp_path):
    rows = [(name, {"slow": "$\\foo$", "fast": "貓", "noise": 'x, "y"'}[label], values) for name, label, values in TRAIN]
    path = write_ts(tmp_path / "odd.ts", [(name, label.replace(" ", "_"), values) for name, label, values in rows])
    path.write_text(path.read_text().replace("slow fast noise", '$\\foo$ 貓 x,_"y"'), encoding="utf-8")
    code, said, _ = run(capsys, "classify", path, "-o", tmp_path / "out", *FAST)
    assert code == 0
    assert said.splitlines()[-1].startswith("confusion.png: Glyph 35987")
    assert {row["true"] for row in read(tmp_path / "out" / "predictions.csv")} == {"$\\foo$", "貓", 'x,_"y"'}


# --- predict


def test_predict_tells_classes(capsys, tmp_path, model, test):
    whole = (tmp_path / "out" / "predictions.csv").read_text()
    assert run(capsys, "predict", model, test) == (0, whole, "")
    code, said, _ = run(capsys, "predict", model, test, "-o", tmp_path / "p.csv")
    accuracy = json.loads((tmp_path / "out" / "report.json").read_text())["accuracy"]
    assert code == 0
    assert said.startswith(f"{tmp_path / 'p.csv'}: classes of 18 sequences; accuracy {accuracy:.4f} (")
    assert (tmp_path / "p.csv").read_text() == whole


def test_predict_finds_its_columns_by_name(capsys, tmp_path, model):
    rows = [(name, label, values[:, ::-1]) for name, label, values in TEST]
    other = write_csv(tmp_path / "other.csv", rows, names=("ay", "ax"))
    text = other.read_text().replace("class", "klass").replace("seq,", "case,")
    other.write_text(text)
    code, said, _ = run(capsys, "predict", model, other, "--id", "case")
    whole = read(tmp_path / "out" / "predictions.csv")
    assert code == 0
    lines = list(csv.DictReader(said.splitlines()))
    assert [list(row.values()) for row in lines] == [[v for k, v in row.items() if k != "true"] for row in whole]
    assert run(capsys, "predict", model, other, "--id", "case", "-o", tmp_path / "p")[1].endswith("classes of 18 sequences\n")


def test_predict_takes_a_time_and_ts_files(capsys, tmp_path, train, test, model):
    shuffled = write_csv(tmp_path / "shuffled.csv", TEST, seed=5)
    code, said, err = run(capsys, "predict", model, shuffled, "--time", "t")
    assert code == 2
    assert "'t' is named twice" in err  # it is a feature of this model
    argv = ["classify", train, *OF_CSV, "--time", "t", "--test", test, "-o", tmp_path / "timed", *FAST]
    assert run(capsys, *argv)[0] == 0
    timed = tmp_path / "timed" / "model.safetensors"
    wanted = read(tmp_path / "timed" / "predictions.csv")
    code, said, _ = run(capsys, "predict", timed, shuffled)
    assert list(csv.DictReader(said.splitlines())) == wanted
    code, said, _ = run(capsys, "predict", timed, write_ts(tmp_path / "test.ts", TEST))
    assert code == 0
    assert [row["predicted"] for row in csv.DictReader(said.splitlines())] == [row["predicted"] for row in wanted]


def test_predict_of_a_classifier_that_python_made(capsys, tmp_path):
    x = [values.T for _, _, values in TRAIN]
    labels = [CLASSES.index(label) for _, label, _ in TRAIN]
    fitted = gw.SequenceClassifier(hidden_size=4, epochs=2, layout="nct", random_state=0).fit(x, labels)
    fitted.save(tmp_path / "made")
    rows = [(name, str(CLASSES.index(label)), values) for name, label, values in TRAIN]
    path = write_csv(tmp_path / "new.csv", rows)
    path.write_text(path.read_text().replace(",class,", ",kind,"))
    code, _, err = run(capsys, "predict", tmp_path / "made", path)
    assert (code, "--id COLUMN is missing" in err) == (2, True)
    code, _, err = run(capsys, "predict", tmp_path / "made", path, "--id", "seq")
    assert (code, err.endswith("new.csv: features: got 4, wanted 2, as in training\n")) == (2, True)
    code, said, _ = run(capsys, "predict", tmp_path / "made", write_ts(tmp_path / "t.ts", TRAIN))
    assert code == 0
    assert [int(row["predicted"]) for row in csv.DictReader(said.splitlines())] == fitted.predict(x).tolist()


def test_inspect_and_explore_say_what_it_is(capsys, tmp_path, model, test):
    code, said, _ = run(capsys, "inspect", model)
    assert code == 0
    assert "a sequence classifier, with " in said
    assert "`gatewright predict` takes it" in said
    code, _, err = run(capsys, "explore", model, test, "-o", tmp_path / "page.html")
    assert (code, err.count("\n")) == (2, 1)
    assert "a sequence classifier, which is more than a model" in err
    assert not (tmp_path / "page.html").exists()


# --- bad input

CSV = ("classify", "train.csv", *OF_CSV)


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A folder with good files and bad ones."""
    folder = tmp_path_factory.mktemp("bad")
    write_csv(folder / "train.csv", TRAIN)
    write_ts(folder / "train.ts", TRAIN)
    write_csv(folder / "narrow.csv", [(name, label, values[:, :1]) for name, label, values in TRAIN], names=("ax",))
    write_csv(folder / "alike.csv", [(name, "slow", values) for name, _, values in TRAIN])
    write_csv(folder / "once.csv", [*TRAIN, ("extra", "once", TRAIN[0][2])])
    gap = (folder / "train.csv").read_text().splitlines()
    cells = gap[2].split(",")
    gap[2] = ",".join([*cells[:4], "", *cells[5:]])
    (folder / "gap.csv").write_text("\n".join(gap) + "\n")
    (folder / "unlabelled.ts").write_text("@classLabel false\n@data\n1,2:3,4\n")
    (folder / "broken.ts").write_text("@classLabel true a b\n@data\n1,2:3:a\n")
    named = [Named(np.column_stack([np.arange(len(values)), values]), ("t", "ax", "ay")) for _, _, values in TRAIN]
    fitted = gw.SequenceClassifier(hidden_size=2, epochs=1, random_state=0).fit(named, [label for _, label, _ in TRAIN])
    store.save(fitted, folder / "model", {"table": {"id": "seq", "label": "class", "time": None}})
    store.save(fitted, folder / "odd", {"table": {"id": 3, "label": "class", "time": None}})
    gw.Model(gw.LSTM(1, 2)).save(folder / "plain")
    return folder


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("classify",), "the following arguments are required: FILE"),
        (("classify", "none.csv", *OF_CSV), "none.csv: there is no such file"),
        (("classify", "none.ts"), "none.ts: there is no such file"),
        (("classify", "train.csv"), "--label COLUMN is missing: which column of train.csv holds the classes?"),
        (("classify", "train.csv", "--label", "class"), "--id COLUMN is missing"),
        (("classify", "train.ts", "--label", "class"), "--label names columns of a CSV file, and train.ts is a .ts file"),
        (("classify", "train.ts", "--features", "ax"), "--features names columns of a CSV file"),
        (("classify", "train.ts", "--test", "train.csv"), "train.ts and train.csv: one is a .ts file and one is none"),
        (("classify", "train.ts", "--test", "unlabelled.ts"), "unlabelled.ts: its sequences have no labels"),
        (("classify", "unlabelled.ts"), "unlabelled.ts: its sequences have no labels"),
        (("classify", "broken.ts"), "broken.ts, line 3"),
        (("classify", "train.csv", "--label", "klass", "--id", "seq"), "train.csv has no column 'klass'"),
        (("classify", "train.csv", "--label", "class", "--id", "class"), "column 'class' is named twice"),
        (("classify", "train.csv", "--label", "t", "--id", "seq"), "train.csv, line 3: sequence 's0' has two labels"),
        ((*CSV, "--features", "ax,"), "--features: got 'ax,', wanted names with commas"),
        ((*CSV, "--features", ""), "--features: got '', wanted names with commas"),
        ((*CSV, "--features", "note"), "'said' in column 'note'; wanted a number"),
        ((*CSV, "--features", "az"), "train.csv has no column 'az'"),
        ((*CSV, "--time", "note"), "line 2: 'said' in column 'note'"),
        (("classify", "gap.csv", *OF_CSV), "gap.csv, line 3: nothing in column 'ax'"),
        (("classify", "once.csv", *OF_CSV), "once.csv: class 'once' has one sequence"),
        (("classify", "alike.csv", *OF_CSV), "alike.csv: every sequence is of class 'slow'; wanted at least two"),
        (("classify", "alike.csv", *OF_CSV, "--test", "alike.csv"), "every sequence is of class 'slow'"),
        ((*CSV, "--test", "none.csv"), "none.csv: there is no such file"),
        ((*CSV, "--test", "once.csv"), "once.csv: sequence 'extra' is of class 'once', of which train.csv has none"),
        ((*CSV, "--test", "narrow.csv"), "narrow.csv has no column 'ay'"),
        ((*CSV, "--test", "train.csv", "--test-fraction", "0.5"), "--test names other ones: give one"),
        ((*CSV, "--test-fraction", "0"), "--test-fraction: got 0.0, wanted a number above 0"),
        ((*CSV, "--test-fraction", "1"), "--test-fraction: got 1.0, wanted a number from 0 up"),
        ((*CSV, "--test-fraction", "0.01"), "0 of 36 sequences would be held out, and of 3 classes"),
        ((*CSV, "--test-fraction", "0.99"), "36 of 36 sequences would be held out"),
        ((*CSV, "--cell", "gruu"), "invalid choice: 'gruu'"),
        ((*CSV, "--hidden", "0"), "--hidden: got 0, wanted a whole number of at least 1"),
        ((*CSV, "--layers", "x"), "invalid int value: 'x'"),
        ((*CSV, "--dropout", "1"), "--dropout: got 1.0"),
        ((*CSV, "--epochs", "-1"), "--epochs: got -1"),
        ((*CSV, "--batch", "0"), "--batch: got 0"),
        ((*CSV, "--learning-rate", "nan"), "--learning-rate: got nan, wanted a number above 0"),
        ((*CSV, "--seed", "-1"), "--seed: got -1, wanted a whole number from 0 to 4294967295"),
        ((*CSV, "--seed", str(2**32)), "--seed: got 4294967296"),
        ((*CSV, "--class-weight", "equal"), "--class-weight: got 'equal', wanted `balanced`"),
        ((*CSV, "--class-weight", "slow=-1"), "--class-weight: got 'slow=-1'"),
        ((*CSV, "--class-weight", "slow=nan"), "--class-weight: got 'slow=nan'"),
        ((*CSV, "--class-weight", "slow=1,slow=2"), "--class-weight: 'slow' stands there twice"),
        ((*CSV, "--class-weight", "slw=2"), "--class-weight: 'slw' is no class of train.csv"),
        ((*CSV, "--patience", "3", "--no-early-stopping"), "--patience says how to stop early"),
        ((*CSV, "--validation-fraction", "0"), "--validation-fraction: got 0.0"),
        ((*CSV, "-o", "train.csv"), "train.csv is a file; wanted a folder"),
        (("predict", "model", "none.csv"), "none.csv: there is no such file"),
        (("predict", "model", "narrow.csv"), "narrow.csv has no column 'ay'"),
        (("predict", "model", "train.csv", "--id", "case"), "train.csv has no column 'case'"),
        (("predict", "model", "gap.csv"), "gap.csv, line 3: nothing in column 'ax'"),
        (("predict", "model", "train.ts"), "train.ts: features: got 2, wanted 3, as in training"),
        (("predict", "model", "train.ts", "--id", "seq"), "--id names a column of a CSV file"),
        (("predict", "model", "train.csv", "-o", "no/p.csv"), "no/p.csv: there is no folder no"),
        (("predict", "plain", "train.csv", "--id", "seq"), "--id is for models of `gatewright classify`"),
        (("predict", "plain", "train.csv"), "plain: a model, but not a forecaster"),
        (("predict", "odd", "train.csv"), "odd: the names of its columns can't be read"),
        (("predict", "train.csv", "train.csv"), "train.csv: not a whole safetensors file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(capsys, bad, monkeypatch, argv, said):
    monkeypatch.chdir(bad)
    there = {name: (bad / name).read_bytes() for name in os.listdir(bad)}
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert {name: (bad / name).read_bytes() for name in os.listdir(bad)} == there


def test_a_folder_that_can_not_be_written_is_refused_before_training(capsys, tmp_path, train, monkeypatch):
    monkeypatch.setattr(job, "run", lambda *_: pytest.fail("it trained"))
    (tmp_path / "out" / "confusion.png").mkdir(parents=True)
    code, _, err = run(capsys, "classify", train, *OF_CSV, "-o", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "confusion.png is a folder" in err


# --- Ctrl-C, progress, and a bare install


def python(source, folder):
    """A process on a system whose encoding is not UTF-8."""
    argv, env = [sys.executable, "-W", "error", "-c", source], {**os.environ, "PYTHONIOENCODING": "ascii"}
    return subprocess.Popen(
        argv, cwd=folder, env=env, text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_ctrl_c_keeps_the_best_so_far(tmp_path, train, test):
    argv = ["classify", "train.csv", *OF_CSV, "--test", "test.csv", "--hidden", "6", "--epochs", "1000000", "-o", "out"]
    process = python(f"import sys\nfrom gatewright.cli import main\nsys.exit(main({argv!r}))", tmp_path)
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert first.startswith("epoch 1 of 1000000: ")
    assert process.returncode == 130, err
    assert "stopping, the best so far is kept" in err
    assert "the best weights so far, those of epoch " in err
    assert err.splitlines()[-1].startswith("interrupted: the best model so far, of ")
    assert "accuracy" in out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["interrupted"] is True
    model = gw.SequenceClassifier.load(tmp_path / "out" / "model.safetensors")
    assert model.n_iter_ == report["epochs"]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(classify.FILES)


def test_ctrl_c_before_the_first_epoch_ends(capsys, tmp_path, train, monkeypatch):
    monkeypatch.setattr(Learner, "stopped", property(lambda self: True))
    code, said, err = run(capsys, "classify", train, *OF_CSV, "-o", tmp_path / "out", *FAST)
    assert code == 130
    assert err.splitlines()[-1].startswith("interrupted: the best model so far, of 0 epochs, is in ")
    assert said.splitlines()[-1] == "no training.png: no epoch was finished"
    assert (tmp_path / "out" / "confusion.png").exists()


def test_a_second_ctrl_c_keeps_nothing(capsys, tmp_path, train, monkeypatch):
    def interrupted(self, stage):
        raise KeyboardInterrupt

    monkeypatch.setattr(Learner, "__call__", interrupted)
    code, _, err = run(capsys, "classify", train, *OF_CSV, "-o", tmp_path / "out", *FAST)
    assert (code, err.splitlines()[-1]) == (130, "gatewright: interrupted, nothing was written")
    assert not (tmp_path / "out").exists()


def stage(epoch, share, score=None, losses=()):
    return SimpleNamespace(
        epoch=epoch, epochs=25, share=share, sequences=1000, seconds=60.0, score=score, history=History({"loss": list(losses)})
    )


def test_lines_and_a_bar_where_someone_watches(capsys, monkeypatch):
    with Learner() as learner:
        assert learner(stage(0, 0.1)) is False
        for epoch in range(1, 26):
            learner(stage(epoch, epoch / 25, 0.5, [2.0, 0.25]))
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == [f"epoch {k} of 25" for k in (1, 3, 6, 9, 12, 15, 18, 21, 24, 25)]
    assert told[4].endswith(": loss 0.25, 0.5000 right of those set aside, 17 sequences a second, 1.1 minutes left")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Learner() as learner:
        task = learner._console.bar.tasks[0]
        assert learner(stage(0, 0.1)) is False
        assert (task.completed, task.fields["speed"], task.fields["score"]) == (0.1, "17 sequences a second", "epoch 0: ")
        learner(stage(2, 0.2, losses=[0.5]))
        assert (task.completed, task.fields["score"]) == (0.2, "epoch 2: loss 0.5")


BARE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
from gatewright.cli import main
sys.exit(main({argv!r}))
"""


def bare(tmp_path, hidden, *argv):
    process = python(BARE.format(hidden=hidden, argv=argv), tmp_path)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_without_matplotlib_and_rich_there_are_no_pictures(tmp_path, train):
    code, out, err = bare(tmp_path, ["matplotlib", "rich"], "classify", "train.csv", *OF_CSV, *FAST)
    assert code == 0, err
    assert "·" in out
    assert out.splitlines()[-1] == "no pictures: they need matplotlib, which pip install 'gatewright[plot]' brings"
    wanted = sorted(name for name in classify.FILES if not name.endswith(".png"))
    assert sorted(os.listdir(tmp_path / "gatewright-classify")) == wanted


def test_without_scikit_learn_one_line_names_the_extra(tmp_path, train):
    code, out, err = bare(tmp_path, ["sklearn"], "classify", "train.csv", *OF_CSV)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "pip install 'gatewright[sklearn]'" in err
    assert os.listdir(tmp_path) == ["train.csv"]


def test_the_command_line_loads_scikit_learn_only_where_it_is_used(tmp_path):
    process = python("import sys, gatewright.cli\nprint('sklearn' in sys.modules)", tmp_path)
    assert process.communicate(timeout=60)[0] == "False\n"


def test_a_file_says_which_columns_training_read(model):
    assert files.load(model)[1]["table"] == {"id": "seq", "label": "class", "time": None}
