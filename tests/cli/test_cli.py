"""The command: what it writes, what it says to bad input, and that it never writes over anything then."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import read, run
from refusals import refused

from gatewright import cli
from gatewright.cli import forecast, output
from gatewright.cli.progress import Watch
from gatewright.errors import OptionError
from gatewright.forecasting import forecaster

FAST = ["--epochs", "4", "--ensemble", "2", "--hidden", "3", "--window", "8"]
FILES = {"forecast.csv", "report.json", "model.safetensors", "forecast.png", "training.png"}


@pytest.fixture
def table(tmp_path):
    """A monthly series with a decimal comma, an input column and a gap; what no line explains decides where it goes."""
    t, x = np.arange(72), [0.3]
    for _ in t[1:]:
        x.append(3.8 * x[-1] * (1 - x[-1]))
    y = 20 + np.sin(2 * np.pi * t / 12) + 8 * np.array(x)
    cells = [f"{v:.4f}".replace(".", ",") for v in y]
    cells[30] = ""
    lines = [f"{2000 + k // 12}-{k % 12 + 1:02d};{cell};{k % 5}" for k, cell in enumerate(cells)]
    path = tmp_path / "gäste.csv"
    path.write_bytes("\n".join(["Monat;Gäste;x", *lines]).encode("latin-1"))
    return path


def test_a_file_from_its_columns_to_its_forecast(capsys, tmp_path, table):
    folder = tmp_path / "a" / "b"
    options = ["--target", "Gäste", "--date", "Monat", "--inputs", "x", "--horizon", "3", "--season", "12", "--repeat", "1"]
    code, out, err = run(capsys, "forecast", table, *options, *FAST, "-o", folder)
    assert code == 0
    assert set(os.listdir(folder)) == FILES
    assert out.startswith("Gäste: 72 rows, 2000-01 – 2005-12; learning from the first 58, up to 2004-10")
    assert all(word in out for word in ("RMSE +3", "seasonal naive (12)", "persistence", "mean of 1 other seed", "interval"))
    assert [line for line in out.splitlines() if line.startswith(str(folder))] == [
        str(folder / name) for name in ("forecast.csv", "report.json", "model.safetensors", "forecast.png", "training.png")
    ]
    assert err.splitlines()[0].startswith("seed 1 of 2, network 1 of 2: loss ")
    report = json.loads((folder / "report.json").read_text())
    assert report["settings"]["horizon"] == 3
    assert report["missing"] == 1
    assert report["season"] == 12
    rows = read(folder / "forecast.csv")
    assert list(rows[0])[:7] == ["made at", "Monat", "step", "observed", "forecast", "lower", "upper"]
    assert len(rows) == 3 * (72 - 57)
    assert [row["Monat"] for row in rows[-3:]] == ["2006-01", "2006-02", "2006-03"]
    assert {row["observed"] for row in rows[-3:]} == {""}
    assert (rows[0]["made at"], rows[0]["Monat"]) == ("2004-10", "2004-11")
    (line,) = [line for line in table.read_bytes().decode("latin-1").splitlines() if line.startswith("2004-11")]
    assert float(rows[0]["observed"]) == pytest.approx(float(line.split(";")[1].replace(",", ".")), abs=1e-3)
    assert all(float(row["lower"]) <= float(row["forecast"]) <= float(row["upper"]) for row in rows)


def test_predict_goes_on_from_a_saved_model(capsys, tmp_path, table):
    options = ["--target", "Gäste", "--date", "Monat", "--inputs", "x", "--horizon", "2"]
    assert run(capsys, "forecast", table, *options, *FAST, "-o", tmp_path)[0] == 0
    model = tmp_path / "model.safetensors"
    code, out, _ = run(capsys, "predict", model, table)
    assert code == 0
    said = list(csv.reader(out.splitlines()))
    assert said[0] == ["Monat", "step", "forecast", "lower", "upper"]
    ahead = read(tmp_path / "forecast.csv")[-2:]
    assert said[1:] == [[row[name] for name in ("Monat", "step", "forecast", "lower", "upper")] for row in ahead]
    code, out, _ = run(capsys, "predict", model, table, "-o", tmp_path / "next.csv")
    assert code == 0
    assert [list(row.values()) for row in read(tmp_path / "next.csv")] == said[1:]
    lines = table.read_bytes().splitlines()
    table.write_bytes(b"\n".join(lines[:-1]))
    assert run(capsys, "predict", model, table)[1] != out
    table.write_bytes(b"\n".join(lines[:8]))
    assert run(capsys, "predict", model, table)[2].endswith("rows: got 7, wanted at least 8, the window of the model\n")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--horizon", 2), ("--cell", "lstm"), ("--hidden", 4), ("--layers", 2), ("--ensemble", 3), ("--window", 9),
        ("--scale", "none"), ("--epochs", 5), ("--learning-rate", 0.05), ("--seed", 1), ("--test-fraction", 0.3),
        ("--inputs", "x"), ("--season", 6), ("--repeat", 1),
    ],
)  # fmt: skip
def test_every_option_changes_what_comes_out(capsys, tmp_path, monkeypatch, table, option, value):
    monkeypatch.setattr(output, "_pictures", lambda outcome: {})
    base = ["forecast", table, "--target", "Gäste", "--date", "Monat", *FAST]
    assert run(capsys, *base, "-o", tmp_path / "a")[0] == 0
    assert run(capsys, *base, option, value, "-o", tmp_path / "b")[0] == 0
    first, second = (json.loads((tmp_path / name / "report.json").read_text()) for name in "ab")
    learned = [forecaster.load(tmp_path / name / "model.safetensors").members[0].parameters.flat for name in "ab"]
    changed = not np.array_equal(*learned)  # what few epochs taught may be worth nothing beside the linear path
    assert changed or first["scores"] != second["scores"] or first["other seeds"] != second["other seeds"]


def test_the_same_command_gives_the_same_files(capsys, tmp_path, table):
    for name in "ab":
        assert run(capsys, "forecast", table, "--target", "Gäste", *FAST, "-o", tmp_path / name)[0] == 0
    for name in FILES - {"report.json"}:  # which tells how long it took
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_without_a_file_it_is_the_sunspots(capsys, tmp_path):
    code, out, _ = run(capsys, "forecast", *FAST, "-o", tmp_path)
    assert code == 0
    assert out.startswith("sunspots: 309 rows, 1700 – 2008; learning from the first 221, up to 1920")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["settings"] | {"cell": "gru", "hidden": 3, "scale": "sqrt"} == report["settings"]
    assert report["settings chosen by"] is None  # others than these were chosen
    assert report["scores"]["AR(12)"]["1921–55"]["arv"][0] == pytest.approx(0.126, abs=0.002)
    assert report["scores"]["AR(12)"]["1956–79"]["arv"][0] == pytest.approx(0.358, abs=0.002)
    code, out, _ = run(capsys, "forecast", *FAST, "--test-fraction", "0.1", "-o", tmp_path)
    assert code == 0
    assert "learning from the first 278, up to 1977" in out


def test_the_demo_ends_with_the_scores_and_the_pictures(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "DEMO_SEEDS", 1)
    code, out, _ = run(capsys, "demo", "-o", tmp_path)
    assert code == 0
    assert "all 6 gradients are right" in out
    assert out.rstrip().endswith(str(tmp_path / "training.png"))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["settings chosen by"] == "benchmarks/tasks/select_sunspots.py"
    ours, regression = report["scores"]["GRU-8 × 5"], report["scores"]["AR(12)"]
    assert ours["1921–55"]["arv"][0] <= 0.10
    assert ours["1956–79"]["arv"][0] <= regression["1956–79"]["arv"][0]
    assert report["other seeds"]["seeds"] == [1]
    assert set(os.listdir(tmp_path)) == FILES


# --- check


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_check_proves_gradients(capsys, cell):
    code, out, err = run(capsys, "check", cell, "--layers", "2", "--bidirectional", "--steps", "7")
    assert (code, err) == (0, "")
    assert "complex step" in out
    assert "layer1.backward" in out
    assert "are right" in out


def test_check_fails_on_a_wrong_gradient(capsys, monkeypatch):
    from gatewright.cells import gru

    monkeypatch.setattr(gru, "backward", lambda *given, right=gru.backward, **named: wrong(right(*given, **named)))
    code, out, _ = run(capsys, "check", "gru")
    assert code == 1
    assert "1 of 6 gradients are WRONG; the worst is input x" in out


def wrong(gradients):
    """Gradients with the first array half as large as it should be."""
    gradients[0][...] *= 0.5
    return gradients


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--activation", "relu"], "central differences"),
        (["--method", "differences", "--batch", "1", "--features", "2", "--hidden", "2"], "central differences"),
    ],
)
def test_check_takes_other_ways(capsys, options, said):
    code, out, _ = run(capsys, "check", "gru", *options)
    assert code == 0
    assert said in out


# --- bad input

LINES = [(f"{year}", f"{year % 11}", "7") for year in range(1900, 1960)]


def write(path, lines, head=("year", "y", "x")):
    path.write_text("\n".join(",".join(line) for line in (head, *lines)) + "\n")
    return path


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("frob",), "invalid choice: 'frob'"),
        (("check", "lsm"), "invalid choice: 'lsm'"),
        (("check", "gru", "--layers", 0), "--layers: got 0, wanted a whole number of at least 1"),
        (("check", "gru", "--seed", -1), "--seed: got -1, wanted a whole number of at least 0"),
        (("check", "gru", "--steps", 2), "the longest sequence has 2 steps"),
        (("forecast", "--target", "y"), "--target is for the columns of a file"),
        (("forecast", "none.csv", "--target", "y"), "none.csv: there is no such file"),
        (("forecast", "FILE"), "--target COLUMN is missing"),
        (("forecast", "FILE", "--target", "z"), "has no column 'z'; its columns: year, y, x"),
        (("forecast", "FILE", "--target", "y", "--date", "when"), "has no column 'when'"),
        (("forecast", "FILE", "--target", "y", "--inputs", "x,q"), "has no column 'q'"),
        (("forecast", "FILE", "--target", "y", "--inputs", "x,y"), "column 'y' is named twice"),
        (("forecast", "FILE", "--target", "y", "--date", "x"), "does not come after"),
        (("forecast", "FILE", "--target", "x"), "column 'x' never changes"),
        (("forecast", "FILE", "--target", "y", "--cell", "gruu"), "invalid choice: 'gruu'"),
        (("forecast", "FILE", "--target", "y", "--scale", "cube"), "invalid choice: 'cube'"),
        (("forecast", "FILE", "--target", "y", "--scale", "log"), "scale 'log' wants numbers above 0"),
        (("forecast", "FILE", "--target", "y", "--hidden", "x"), "invalid int value: 'x'"),
        (("forecast", "FILE", "--target", "y", "--horizon", 0), "--horizon: got 0, wanted a whole number of at least 1"),
        (("forecast", "FILE", "--target", "y", "--window", 50), "window: got 50, wanted fewer rows than the 48 to learn from"),
        (("forecast", "FILE", "--target", "y", "--learning-rate", 0), "--learning-rate: got 0.0, wanted a number above 0"),
        (("forecast", "--window", 1), "--window: got 1, wanted a whole number of at least 2"),
        (("forecast", "FILE", "--target", "y", "--season", 99), "season: got 99, wanted fewer rows than the 48 to learn from"),
        (("forecast", "FILE", "--target", "y", "--season", 0), "--season: got 0, wanted a whole number of at least 1"),
        (("forecast", "FILE", "--target", "y", "--repeat", -1), "--repeat: got -1, wanted a whole number of at least 0"),
        (("forecast", "FILE", "--target", "y", "--test-fraction", 1), "--test-fraction: got 1.0, wanted a number from 0 up to"),
        (("forecast", "FILE", "--target", "y", "-o", "FILE"), "is a file; wanted a folder"),
        (("predict", "none", "FILE"), "none: there is no such file"),
        (("predict", "FILE", "FILE"), "not a whole safetensors file"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line_and_exit_2(capsys, tmp_path, monkeypatch, argv, said):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "some.csv", LINES)
    before = path.read_bytes()
    code, out, err = run(capsys, *(path if arg == "FILE" else arg for arg in argv))
    assert (code, out.count("Traceback")) == (2, 0)
    assert said in err
    assert err.count("\n") == 1
    assert os.listdir(tmp_path) == ["some.csv"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("year,y\n", "no rows"),
        ("year,y\n1900,1\n", "rows to train on: got 1 of 1 (test fraction 0.2), wanted at least 2"),
        ("year,y\n1900,1\n1901,x\n", "line 3: 'x' in column 'y'"),
        ("year,y\n1900,1\n1901\n", "line 3: cells: got 1, wanted 2"),
    ],
)
def test_bad_files_get_one_line_too(capsys, tmp_path, content, said):
    path = tmp_path / "some.csv"
    path.write_text(content)
    code, _, err = run(capsys, "forecast", path, "--target", "y", "-o", tmp_path / "out")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("factor", "first", "said"),
    [
        ("e301", 1900, "column 'y': got numbers of up to 1e+302, wanted the largest to be from 1e-100 to 1e+100"),
        ("e151", 1900, "column 'y': got numbers of up to 1e+152"),
        ("e-199", 1900, "column 'y': got numbers of up to 1e-198"),
        ("", 9940, "1 step after 9999 is beyond the year 9999"),
    ],
)
def test_what_can_not_be_forecast_is_refused_before_it_is_learned(capsys, tmp_path, monkeypatch, factor, first, said):
    for fit in ("fit", "fit_many"):
        monkeypatch.setattr(f"gatewright.forecasting.forecaster.{fit}", lambda *_: pytest.fail("it trained"))
    path = write(tmp_path / "some.csv", [(f"{first + k}", f"{k % 11}{factor}", "7") for k in range(60)])
    code, _, err = run(capsys, "forecast", path, "--target", "y", "--date", "year", *FAST, "-o", tmp_path / "out")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def table_of(out):
    """The lines of the scores."""
    first = next(at for at, line in enumerate(out.splitlines()) if "RMSE" in line)
    return out.splitlines()[first : first + 8]


@pytest.mark.parametrize("factor", ["e99", "e31", "e9", "e-9", "e-31", "e-99"])
def test_large_and_small_numbers_are_forecast_and_told_shortly(capsys, tmp_path, factor):
    scores = []
    for exponent in ("", factor):
        lines = [(f"{year}", f"{year * year % 11}.5{exponent}", "7") for year in range(1900, 1960)]
        path = write(tmp_path / "some.csv", lines)
        code, out, _ = run(capsys, "forecast", path, "--target", "y", *FAST, "-o", tmp_path)
        assert code == 0
        assert max(map(len, table_of(out))) < 60
        report = json.loads((tmp_path / "report.json").read_text())
        scores.append([period["arv"] for method in report["scores"].values() for period in method.values()])
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-12)  # the unit makes no difference


def test_a_failure_while_writing_leaves_the_old_files(capsys, tmp_path, monkeypatch, table):
    base = ["forecast", table, "--target", "Gäste", *FAST, "-o", tmp_path / "out"]
    assert run(capsys, *base)[0] == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}

    def fail(*given):
        raise OSError("the disk is full")

    monkeypatch.setattr("gatewright.viz.training.draw_training", fail)
    code, out, err = run(capsys, *base, "--seed", 1)
    assert (code, err.splitlines()[-1]) == (2, "gatewright: the disk is full")
    assert "persistence" not in out
    assert {name: (tmp_path / "out" / name).read_bytes() for name in os.listdir(tmp_path / "out")} == before


def refusal(capsys, monkeypatch, *argv):
    """What is said of a command that must be refused in one line before anything is trained."""
    for fit in ("fit", "fit_many"):
        monkeypatch.setattr(f"gatewright.forecasting.forecaster.{fit}", lambda *_: pytest.fail("it trained"))
    code, _, err = run(capsys, *argv)
    assert code == 2
    assert err.count("\n") == 1
    return err


def test_a_folder_that_can_not_be_written_is_refused_before_training(capsys, tmp_path, monkeypatch, table):
    base = ["forecast", table, "--target", "Gäste", *FAST, "-o"]
    (tmp_path / "out" / "report.json").mkdir(parents=True)
    (tmp_path / "out" / "forecast.csv").write_text("old")
    said = refusal(capsys, monkeypatch, *base, tmp_path / "out")
    assert "report.json is a folder; wanted a place for a file" in said
    assert (tmp_path / "out" / "forecast.csv").read_text() == "old"
    said = refusal(capsys, monkeypatch, *base, tmp_path / ("x" * 300))
    assert "can't be written to" in said

    def deny(*given, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", deny)
    said = refusal(capsys, monkeypatch, *base, tmp_path / "a" / "b")
    assert said.endswith("b can't be written to (Permission denied)\n")
    assert sorted(os.listdir(tmp_path)) == ["gäste.csv", "out"]


def test_a_folder_is_checked_without_a_trace(tmp_path):
    output.check_folder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path) == []
    (tmp_path / "a").mkdir()
    output.check_folder(tmp_path / "a" / "b")
    output.check_folder(tmp_path / "a")
    assert os.listdir(tmp_path / "a") == []


def test_a_folder_in_the_place_of_a_file_is_refused_before_any_is_replaced(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    with refused(OptionError, "b is a folder"):
        output.write_all(tmp_path, {name: lambda path: path.write_text("new") for name in "ab"})
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("inputs", [",", "", " ", "x,", "x\ny"])
def test_inputs_without_a_name_are_refused(capsys, tmp_path, monkeypatch, inputs):
    path = write(tmp_path / "some.csv", LINES)
    said = refusal(capsys, monkeypatch, "forecast", path, "--target", "y", "--inputs", inputs)
    assert said == f"gatewright: --inputs: got {inputs!r}, wanted names of columns with commas between them\n"


def test_inputs_may_have_spaces_around_them(capsys, tmp_path):
    path = write(tmp_path / "some.csv", [(year, y, f"{int(year) % 5}") for year, y, _ in LINES], ("year", "y", "x, of z"))
    argv = ["forecast", path, "--target", "y", "--inputs", ' year , "x, of z" ', *FAST, "-o", tmp_path / "out"]
    path.write_text(path.read_text().replace("x, of z", '"x, of z"'))
    assert run(capsys, *argv)[0] == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["inputs"] == ["year", "x, of z"]


def test_files_are_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError):
        output.write_all(tmp_path, {"a": lambda path: path.write_text("new"), "b": lambda path: 1 / 0})
    assert (os.listdir(tmp_path), (tmp_path / "a").read_text()) == (["a"], "old")
    assert output.write_all(tmp_path, {"a": lambda path: path.write_text("new")}) == [tmp_path / "a"]
    assert (os.listdir(tmp_path), (tmp_path / "a").read_text()) == (["a"], "new")


def test_version_and_help(capsys):
    assert run(capsys, "--version")[:2] == (0, f"gatewright {cli.version()}\n")
    for command in ("forecast", "predict", "demo", "check"):
        assert command in run(capsys, "--help")[1]
        assert run(capsys, command, "--help")[0] == 0


# --- Ctrl-C, and a bare install


def python(source, folder, **more):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def test_ctrl_c_keeps_the_best_so_far(tmp_path):
    source = "import sys\nfrom gatewright.cli import main\nsys.exit(main(['forecast', '--epochs', '20', '--ensemble', '500']))"
    process = python(source, tmp_path)
    first = process.stderr.readline()  # one member is finished
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert first.startswith("network 1 of 500")
    assert process.returncode == 130
    assert "stopping, the best so far is kept" in err
    kept = err.splitlines()[-1]
    assert kept.startswith("interrupted: the best model so far (")
    assert kept.endswith(os.path.join("gatewright-forecast", "model.safetensors"))
    assert "persistence" in out
    model = forecaster.load(tmp_path / "gatewright-forecast" / "model.safetensors")
    assert 1 <= len(model.members) < 500
    assert json.loads((tmp_path / "gatewright-forecast" / "report.json").read_text())["interrupted"] is True


def test_ctrl_c_twice_stops_at_once(capsys, tmp_path, monkeypatch, table):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("gatewright.forecasting.job.run", interrupted)
    code, _, err = run(capsys, "forecast", table, "--target", "Gäste", *FAST, "-o", tmp_path / "out")
    assert (code, err) == (130, "gatewright: interrupted, nothing was written\n")
    assert not (tmp_path / "out").exists()


def test_the_watch_gives_the_signal_back(capsys):
    before = signal.getsignal(signal.SIGINT)
    with Watch(1, 1, 9) as watch:
        assert watch(1, 1, 0.5) is False
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            if watch.stopped:
                break
            time.sleep(0.01)
        assert watch(1, 2, 0.5) is True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again" in capsys.readouterr().err


def test_a_bar_where_someone_watches(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Watch(2, 2, 3) as watch:
        for run_, member, epoch in [(r, m, e) for r in (1, 2) for m in (1, 2) for e in (1, 2, 3)]:
            assert watch(member, epoch, 0.25) is False
            assert watch._bar.tasks[0].completed == ((run_ - 1) * 2 + member - 1) * 3 + epoch
        assert watch._bar.tasks[0].description == "seed 2 of 2, network 2 of 2"


BARE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("matplotlib", "rich", "threadpoolctl"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
from gatewright.cli import main
sys.exit(main(["forecast", "--epochs", "3", "--ensemble", "2"]))
"""


def test_a_bare_install_forecasts_and_says_how_to_get_pictures(tmp_path):
    process = python(BARE, tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "pip install 'gatewright[plot]'" in out.splitlines()[-1]
    assert set(os.listdir(tmp_path / "gatewright-forecast")) == {"forecast.csv", "report.json", "model.safetensors"}
