"""Many series from one file, columns whose future is known, and the level of intervals, from the shell."""

import csv
import json
import os

import numpy as np
import pytest
from commands import read, run

import gatewright as gw
from gatewright.text.settings import TextSettings

FAST = ["--epochs", "4", "--ensemble", "2", "--hidden", "3"]
FILES = {"forecast.csv", "report.json", "model.safetensors", "forecast.png", "training.png"}
WEEKS = 8


@pytest.fixture
def sales(tmp_path):
    """Three shops, a row a day in any order; sales follow the week, the shop, and `sale`, known ahead."""
    random, lines = np.random.default_rng(0), []
    for k, shop in enumerate(("north", "south", "new")):
        days = 7 * WEEKS - (14 if shop == "new" else 0)
        for t in range(days + 3):  # the last three rows say of tomorrow whether there is a sale
            sale = int(random.random() < 0.3)
            units = f"{10 * (k + 1) + 6 * np.sin(2 * np.pi * t / 7) + 8 * sale + random.normal():.2f}" if t < days else ""
            lines.append((t, f"{np.datetime64('2024-01-01') + t},{shop},{units},{sale},{t % 4}"))
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["day,shop,units,sale,staff", *(line for _, line in sorted(lines))]) + "\n", encoding="utf-8")
    return path


SALES = ["--target", "units", "--date", "day", "--series", "shop", "--known", "sale", "--horizon", "3", *FAST]


def test_many_series_from_their_rows_to_their_forecasts(capsys, tmp_path, sales):
    folder = tmp_path / "out"
    code, out, err = run(capsys, "forecast", sales, *SALES, "--inputs", "staff", "--level", "0.8", "-o", folder)
    assert code == 0
    assert set(os.listdir(folder)) == FILES
    assert out.startswith("3 series, 154 rows; learning from all but the last 8 rows of each; season 7, scale ")
    assert "in 80% intervals" in out
    assert err.splitlines()[0].startswith("network 1 of 2: loss ")
    report = json.loads((folder / "report.json").read_text())
    assert report["series"] == {"north": 56, "south": 56, "new": 42}
    assert (report["known ahead"], report["inputs"]) == (["sale"], ["staff", "sale"])
    assert report["interval"]["level"] == 0.8
    # What is known of tomorrow is half of what there is to know; the classics don't look at it.
    scores = report["scores"]
    assert scores["Forecaster"]["mase"] < 0.75 * min(scores["autoregression"]["mase"], scores["seasonal naive"]["mase"])
    assert set(report["mase by series"]) == {"north", "south", "new"}
    rows = read(folder / "forecast.csv")
    assert list(rows[0])[:8] == ["shop", "made at", "day", "step", "observed", "forecast", "lower", "upper"]
    assert len(rows) == 3 * (6 * 3 + 3)  # six origins, three steps each, and the three to come
    assert [row["day"] for row in rows if row["shop"] == "new" and not row["observed"]] == [
        "2024-02-12", "2024-02-13", "2024-02-14",
    ]  # fmt: skip
    table = {(row["shop"], row["day"]): row["units"] for row in read(sales)}
    for row in rows:
        assert float(row["lower"]) <= float(row["forecast"]) <= float(row["upper"])
        if row["observed"]:
            assert float(row["observed"]) == float(table[row["shop"], row["day"]])


def test_predict_goes_on_with_every_series(capsys, tmp_path, sales):
    assert run(capsys, "forecast", sales, *SALES, "--level", "0.6", "-o", tmp_path)[0] == 0
    model = tmp_path / "model.safetensors"
    code, out, _ = run(capsys, "predict", model, sales)
    assert code == 0
    said = list(csv.DictReader(out.splitlines()))
    ahead = [row for row in read(tmp_path / "forecast.csv") if not row["observed"]]
    names = ("shop", "day", "step", "forecast", "lower", "upper")
    assert [[row[name] for name in names] for row in said] == [[row[name] for name in names] for row in ahead]
    text = sales.read_text(encoding="utf-8")
    flipped = "\n".join(
        line if ",," not in line else line.replace(",,0,", ",,X,").replace(",,1,", ",,0,").replace(",,X,", ",,1,")
        for line in text.splitlines()
    )
    sales.write_text(flipped, encoding="utf-8")
    other = list(csv.DictReader(run(capsys, "predict", model, sales)[1].splitlines()))
    moved = [float(b["forecast"]) - float(a["forecast"]) for a, b in zip(said, other, strict=True)]
    assert min(map(abs, moved)) > 2  # a sale is worth eight
    sales.write_text(text.replace(",north,", ",east,"), encoding="utf-8")
    code, out, err = run(capsys, "predict", model, sales)
    assert (code, out) == (2, "")
    assert "series 'east' is new to" in err


def test_one_series_with_a_column_that_is_known_ahead(capsys, tmp_path, sales):
    lines = sales.read_text(encoding="utf-8").splitlines()
    sales.write_text("\n".join([lines[0], *(line for line in lines if ",north," in line)]), encoding="utf-8")
    options = ["--target", "units", "--date", "day", "--horizon", "3", *FAST]
    assert run(capsys, "forecast", sales, *options, "--known", "sale", "-o", tmp_path / "a")[0] == 0
    ahead = [row for row in read(tmp_path / "a" / "forecast.csv") if not row["observed"]]
    assert [row["day"] for row in ahead][-3:] == ["2024-02-26", "2024-02-27", "2024-02-28"]
    said = list(csv.DictReader(run(capsys, "predict", tmp_path / "a" / "model.safetensors", sales)[1].splitlines()))
    assert [row["forecast"] for row in said] == [row["forecast"] for row in ahead[-3:]]
    for level in ("0.5", "0.9"):
        assert run(capsys, "forecast", sales, *options, "--known", "sale", "--level", level, "-o", tmp_path / level)[0] == 0
        said = list(csv.DictReader(run(capsys, "predict", tmp_path / level / "model.safetensors", sales)[1].splitlines()))
        assert [row["lower"] for row in said] == [row["lower"] for row in read(tmp_path / level / "forecast.csv")[-3:]]
    ahead = [read(tmp_path / level / "forecast.csv") for level in ("0.9", "0.5")]
    wide, narrow = ([float(row["upper"]) - float(row["lower"]) for row in rows] for rows in ahead)
    assert all(a > b for a, b in zip(wide, narrow, strict=True))
    sales.write_text(sales.read_text(encoding="utf-8").replace("2024-02-28,north,,", "2024-02-28,north,7,"), encoding="utf-8")
    code, _, err = run(capsys, "predict", tmp_path / "a" / "model.safetensors", sales)
    assert code == 2
    assert "column 'sale', known ahead: got 0 values after 2024-02-28, the last row with 'units', wanted 3" in err


def test_without_test_rows_it_learns_from_all(capsys, tmp_path, sales):
    code, out, _ = run(capsys, "forecast", sales, *SALES, "--test-fraction", "0", "-o", tmp_path)
    assert code == 0
    assert "learning from all rows" in out
    assert len(read(tmp_path / "forecast.csv")) == 3 * 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--series", "nowhere"], "has no column 'nowhere'"),
        (["--series", "units"], "column 'units' is named twice among target, inputs, date and series"),
        (["--known", "nothing"], "has no column 'nothing'"),
        (["--known", "sale,"], "--known: got 'sale,', wanted names of columns"),
        (["--inputs", "sale"], "column 'sale' is named twice"),
        (["--known", "staff", "--horizon", "5"], "column 'staff', known ahead of series 'new': got 3 values after 2024-02-11"),
        (["--level", "90"], "--level: got 90.0, wanted a number above 0 and below 1"),
        (["--level", "0"], "--level: got 0.0, wanted a number above 0 and below 1"),
        (["--repeat", "2"], "--repeat tries other seeds on one series"),
        (["--season", "60"], "season: got 60, wanted fewer rows than the 48"),
        (["--window", "60"], "window: got 60, wanted fewer rows than the 48"),
        (["--test-fraction", "0.9"], "series 'new': got 42 rows, wanted at least"),
        (["--scale", "cube"], "--scale"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, sales, options, said):
    folder = tmp_path / "out"
    code, _, err = run(capsys, "forecast", sales, *SALES, *options, "-o", folder)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not folder.exists()


def test_a_row_without_the_name_of_its_series(capsys, tmp_path, sales):
    sales.write_text(sales.read_text(encoding="utf-8").replace(",south,", ",,", 1), encoding="utf-8")
    code, _, err = run(capsys, "forecast", sales, *SALES, "-o", tmp_path / "out")
    assert code == 2
    assert "line 4: nothing in column 'shop'" in err


@pytest.mark.parametrize(("option", "value"), [("series", "s"), ("known", "x"), ("level", "0.5"), ("scale", "auto")])
def test_the_sunspots_have_no_columns(capsys, tmp_path, option, value):
    code, _, err = run(capsys, "forecast", f"--{option}", value, "-o", tmp_path / "out")
    assert code == 2
    assert f"--{option}" in err
    assert "is for the columns of a file" in err


def test_what_is_done_about_dates_is_said(capsys, tmp_path, sales):
    lines = sales.read_text(encoding="utf-8").splitlines()
    sales.write_text("\n".join(line for line in lines if "2024-01-09,north" not in line) + "\n", encoding="utf-8")
    out = run(capsys, "forecast", sales, *SALES, "-o", tmp_path / "a")[1]
    assert out.startswith("3 series, 154 rows, 1 of them put in where dates are left out; learning")
    days = [f"2024-01-{day:02d},{day % 4}" for day in range(1, 32) if day % 3]
    sales.write_text("\n".join(["day,units", *days, ""]), encoding="utf-8")
    out = run(capsys, "forecast", sales, "--target", "units", "--date", "day", *FAST, "-o", tmp_path / "b")[1]
    assert out.startswith("units: 21 rows, at uneven dates, taken one after the other, 2024-01-01 – 2024-01-31; learning")


def test_a_name_that_no_font_has_is_told_of_in_a_line(capsys, tmp_path, sales):
    sales.write_text(sales.read_text(encoding="utf-8").replace("north", "貓"), encoding="utf-8")
    code, out, _ = run(capsys, "forecast", sales, *SALES, "-o", tmp_path / "out")
    assert code == 0
    assert out.splitlines()[-1].startswith("pictures: Glyph 35987")
    assert {row["shop"] for row in read(tmp_path / "out" / "forecast.csv")} == {"貓", "south", "new"}


def test_predict_names_who_takes_the_files_that_it_does_not(capsys, tmp_path, sales):
    y = np.sin(np.arange(40) / 2)
    gw.Forecaster(2, hidden_size=2, ensemble=1, epochs=1).fit(y).save(tmp_path / "f")
    gw.SequenceRegressor(hidden_size=2, epochs=1).fit(y.reshape(4, 10), np.arange(4.0)).save(tmp_path / "r")
    gw.TextModel.train("a b " * 50, TextSettings(hidden=2, epochs=1)).save(tmp_path / "t")
    for name, said in (
        ("f", "f: a forecaster, which knows no columns of a file: gw.Forecaster.load takes it"),
        ("r", "r: a sequence regressor, but not a forecaster: gw.SequenceRegressor.load takes it"),
        ("t", "t: a text model, but not a forecaster: `gatewright text` takes it, or gw.TextModel.load"),
    ):
        assert run(capsys, "predict", tmp_path / name, sales) == (2, "", f"gatewright: {tmp_path / said}\n")
        code, out, _ = run(capsys, "inspect", tmp_path / name)
        assert code == 0
        assert said.rpartition(": ")[2] in out
