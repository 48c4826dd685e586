"""Series: the one in the package, and those in files."""

from pathlib import Path

import numpy as np
import pytest

from gatewright.data.series import read_series, sunspot_settings, sunspots
from gatewright.errors import DataError, OptionError
from gatewright.forecasting.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_sunspots_are_the_literatures():
    series = sunspots()
    assert (len(series.target), series.name, series.date) == (309, "sunspots", "year")
    assert series.labels()[::308] == ["1700", "2008"]
    assert series.labels_after(2) == ["2009", "2010"]
    at = dict(zip(series.labels(), series.target, strict=True))
    assert (at["1700"], at["1778"], at["1957"], at["2008"]) == (5.0, 154.4, 190.2, 2.9)
    assert series.target.sum() == pytest.approx(15373.4)  # of all 309 figures of the source


def test_the_demos_settings_name_the_script_that_chose_them():
    found = sunspot_settings()
    assert (ROOT / found["script"]).is_file()
    Settings(**found["settings"])
    best = found["ten best, by the mean ARV of the folds"][0]
    assert {name: best[name] for name in found["settings"]} == found["settings"]
    assert all(int(fold[-4:]) <= 1920 for fold in found["folds"])


def test_rows_that_the_file_left_out_are_missing(tmp_path):
    path = tmp_path / "a.csv"
    years = [year for year in range(1900, 1930) if year not in (1910, 1911)]
    path.write_text("when,y,x\n" + "".join(f"{year},{year % 7},{year % 5}\n" for year in years))
    series = read_series(path, "y", "when", ("x",))
    assert series.inserted == 2
    assert series.labels()[9:13] == ["1909", "1910", "1911", "1912"]
    assert np.isnan(series.values[10:12]).all()
    assert not np.isnan(np.delete(series.values, [10, 11], axis=0)).any()
    np.testing.assert_array_equal(series.inputs[-1], [1929 % 5])


def test_weekdays_go_on_with_weekdays_and_a_holiday_is_missing(tmp_path):
    path = tmp_path / "a.csv"
    days = [day for day in range(1, 27) if day % 7 not in (6, 0) and day != 15]  # January 2024 begins with a Monday
    path.write_text("when,y\n" + "".join(f"2024-01-{day:02d},{day}\n" for day in days))
    series = read_series(path, "y", "when")
    assert series.labels()[9:12] == ["2024-01-12", "2024-01-15", "2024-01-16"]
    np.testing.assert_array_equal(series.target[9:12], [12, np.nan, 16])
    assert series.labels_after(3) == ["2024-01-29", "2024-01-30", "2024-01-31"]


def test_without_dates_rows_are_numbered(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y\n1\n2\n")
    series = read_series(path, "y")
    assert series.labels() + series.labels_after(2) == ["1", "2", "3", "4"]
    assert series.values.shape == (2, 1)


def test_refusals(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("y,x\n1,\n2,NA\n")
    with pytest.raises(DataError, match="column 'x' has no numbers"):
        read_series(path, "y", None, ("x",))
    with pytest.raises(OptionError, match="'y' is named twice"):
        read_series(path, "y", "y")
