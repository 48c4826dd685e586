"""Dates as files write them."""

from datetime import datetime, timedelta

import pytest

from gatewright.data.dates import Step, places, read_dates
from gatewright.errors import DataError


def read(*texts):
    return read_dates(texts, lambda i: f"f.csv, line {i + 2}")


@pytest.mark.parametrize(
    ("texts", "last", "after", "precision"),
    [
        (("1700", "1701"), datetime(1701, 1, 1), "1702", "year"),
        (("1700.0", "1702.0"), datetime(1702, 1, 1), "1704", "year"),
        (("1999-11", "1999-12"), datetime(1999, 12, 1), "2000-01", "month"),
        (("1999/11", "1999/12"), datetime(1999, 12, 1), "2000-01", "month"),
        (("11/1999", "12/1999"), datetime(1999, 12, 1), "2000-01", "month"),
        (("Nov 1999", "Dec 1999"), datetime(1999, 12, 1), "2000-01", "month"),
        (("1999Q3", "1999-Q4"), datetime(1999, 10, 1), "2000-01", "month"),
        (("2020-01-31", "2020-02-29"), datetime(2020, 2, 29), "2020-03-31", "day"),
        (("2020-01-30", "2020-02-06"), datetime(2020, 2, 6), "2020-02-13", "day"),
        (("20200130", "20200131"), datetime(2020, 1, 31), "2020-02-01", "day"),
        (("2020/1/30", "2020/1/31"), datetime(2020, 1, 31), "2020-02-01", "day"),
        (("30.1.2020", "31.1.2020"), datetime(2020, 1, 31), "2020-02-01", "day"),
        (("30/01/2020", "31/01/2020"), datetime(2020, 1, 31), "2020-02-01", "day"),
        (("01/30/2020", "01/31/2020"), datetime(2020, 1, 31), "2020-02-01", "day"),
        (("30 Jan 2020", "31 Jan 2020"), datetime(2020, 1, 31), "2020-02-01", "day"),
        (("2020-01-31 22:00", "2020-01-31 23:00"), datetime(2020, 1, 31, 23), "2020-02-01 00:00:00", "second"),
        (("2020-01-31T22:00:00Z", "2020-01-31T23:00:00+00:00"), datetime(2020, 1, 31, 23), "2020-02-01 00:00:00", "second"),
        (("31.01.2020 22:00", "31.01.2020 23:00"), datetime(2020, 1, 31, 23), "2020-02-01 00:00:00", "second"),
    ],
)
def test_forms(texts, last, after, precision):
    calendar = read(*texts)
    assert calendar.dates[-1] == last
    assert calendar.precision == precision
    assert calendar.label(calendar.after(1)[0]) == after


def test_the_order_of_day_and_month_is_told_by_all_rows():
    assert read("01/02/2020", "13/02/2020").dates[0] == datetime(2020, 2, 1)
    assert read("01/02/2020", "01/13/2020").dates[0] == datetime(2020, 1, 2)
    assert read("10/11/2020", "01/12/2020").dates[0] == datetime(2020, 11, 10)  # the other order would fall


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("2020-01-01", "x"), "line 3: 'x' is not a date"),
        (("2020-01-01", ""), "line 3: '' is not a date"),
        (("2020-02-30",), "line 2: '2020-02-30' is not a date"),
        (
            ("2020-01-02", "2020-01-01"),
            "line 3: '2020-01-01' does not come after '2020-01-02' in the row before; sort the rows",
        ),
        (("2020-01-02", "2020-01-02"), "keep one row a date, or say which column tells series apart"),
        (("01/02/2020", "01/03/2020"), "may begin with the day or the month"),
    ],
)
def test_what_is_refused(texts, said):
    with pytest.raises(DataError, match=said):
        read(*texts)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([f"{y}" for y in range(1900, 1931) if y != 1907], [*range(7), *range(8, 31)]),
        ([f"2020-01-{d:02d}" for d in range(1, 32) if d not in (5, 6)], [*range(4), *range(6, 31)]),
        ([f"2020-06-{d:02d}" for d in range(1, 27) if d % 7 not in (6, 0)], None),  # weekends are no gaps
        (["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 02:30"], None),
        ([*(f"2020-01-{d:02d}" for d in range(1, 32)), "2023-01-01"], None),  # too much would be put in
        (["1990"], None),
    ],
)
def test_rows_that_were_left_out(texts, expected):
    assert places(read(*texts)) == (expected or list(range(len(texts))))


def weekdays(*skipped, first=datetime(2024, 1, 3), count=20):
    """The dates of Mondays to Fridays, as texts, but for those at some places."""
    dates = [first + timedelta(days=k) for k in range(2 * count)]
    return [f"{date:%Y-%m-%d}" for k, date in enumerate([d for d in dates if d.weekday() < 5][:count]) if k not in skipped]


@pytest.mark.parametrize(
    ("texts", "after"),
    [
        (weekdays(), ["2024-01-31", "2024-02-01", "2024-02-02", "2024-02-05", "2024-02-06"]),
        (weekdays(count=18), ["2024-01-29", "2024-01-30"]),  # the last one is a Friday
        (weekdays(4, 9, 10), ["2024-01-31", "2024-02-01", "2024-02-02", "2024-02-05"]),  # with holidays
        (["2024-01-05", "2024-01-08", "2024-01-09"], ["2024-01-10", "2024-01-11", "2024-01-12", "2024-01-15"]),
        (weekdays(first=datetime(2024, 1, 1), count=5), ["2024-01-06", "2024-01-07"]),  # one week shows no weekend
        ([*weekdays(), "2024-02-03"], ["2024-02-04"]),  # a Saturday
        (weekdays()[::5], ["2024-01-31", "2024-02-07"]),  # every Wednesday
        (weekdays(first=datetime(2024, 1, 5), count=6)[::5], ["2024-01-19"]),  # two Fridays
    ],
)
def test_a_series_of_weekdays_goes_on_with_weekdays(texts, after):
    calendar = read(*texts)
    assert [calendar.label(date) for date in calendar.after(len(after))] == after


def test_weekends_are_no_gaps_but_holidays_are():
    assert places(read(*weekdays())) == list(range(20))
    assert places(read(*weekdays(4))) == [*range(4), *range(5, 20)]
    assert places(read(*weekdays(first=datetime(2024, 1, 6), count=20))) == list(range(20))
    assert Step(seconds=86400, weekdays=True).after(datetime(2024, 1, 5), 6) == datetime(2024, 1, 15)


@pytest.mark.parametrize(
    "texts",
    [("9998", "9999"), ("9999-11", "9999-12"), ("9999-12-30", "9999-12-31"), ("9999-12-24", "9999-12-27", "9999-12-31")],
)
def test_no_date_comes_after_the_year_9999(texts):
    calendar = read(*texts)
    assert len(calendar.after(0)) == 0
    with pytest.raises(DataError, match=r"1 step after .* is beyond the year 9999, where dates end"):
        calendar.after(1)
    with pytest.raises(DataError, match="20 steps after "):
        calendar.after(20)


def test_steps_of_months_keep_the_day():
    assert Step(months=1).after(datetime(2020, 1, 31), 1) == datetime(2020, 2, 29)
    assert Step(months=3).after(datetime(2020, 11, 15), 2) == datetime(2021, 5, 15)
    assert Step(months=12).after(datetime(2020, 2, 29), 1) == datetime(2021, 2, 28)
