"""Dates as files write them, the step between them, and the dates that come next."""

import re
from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from gatewright.errors import DataError

REGULAR = 0.9  # a step is the series' own if so large a share of all steps are of its length


@dataclass(frozen=True)
class Step:
    """The time from one row to the next: whole months (from the same day, or from last day to last day), or seconds.

    weekdays: from Monday to Friday day by day, and on to Monday.
    """

    months: int = 0
    seconds: float = 0.0
    month_end: bool = False
    weekdays: bool = False

    def after(self, date: datetime, count: int) -> datetime:
        """The date `count` steps after `date`."""
        if self.weekdays:
            weeks, day = divmod(date.weekday() + count, 5)
            return date + timedelta(days=7 * weeks + day - date.weekday())
        if not self.months:
            return date + timedelta(seconds=self.seconds * count)
        total = date.year * 12 + date.month - 1 + self.months * count
        year, month = total // 12, total % 12 + 1
        last = monthrange(year, month)[1]
        return date.replace(year=year, month=month, day=last if self.month_end else min(date.day, last))


@dataclass(frozen=True)
class Calendar:
    """The dates of a series' rows, rising."""

    dates: tuple[datetime, ...]
    precision: str  # "year", "month", "day" or "second"
    step: Step

    def label(self, date: datetime) -> str:
        """A date as text, as precisely as the file wrote them."""
        if self.precision == "year":
            return f"{date.year}"
        if self.precision == "month":
            return f"{date.year:04d}-{date.month:02d}"
        return date.date().isoformat() if self.precision == "day" else date.isoformat(sep=" ")

    def after(self, count: int) -> list[datetime]:
        """The `count` dates after the last one. Raises DataError where they would be beyond the year 9999."""
        last = self.dates[-1]
        try:
            return [self.step.after(last, k + 1) for k in range(count)]
        except (ValueError, OverflowError):
            steps = f"{count} step{'s' if count > 1 else ''}"
            raise DataError(f"{steps} after {self.label(last)} is beyond the year 9999, where dates end") from None


def _year(text: str) -> datetime:
    if not re.fullmatch(r"\d{1,4}(\.0*)?", text):
        raise ValueError
    return datetime(int(text.partition(".")[0]), 1, 1)


def _quarter(text: str) -> datetime:
    found = re.fullmatch(r"(\d{4})\s*-?\s*[Qq]([1-4])", text)
    if not found:
        raise ValueError
    return datetime(int(found[1]), 3 * int(found[2]) - 2, 1)


def iso(text: str) -> datetime:
    """A date as in YYYY-MM-DD, with or without a time; one with a zone becomes UTC. Raises ValueError for anything else."""
    date = datetime.fromisoformat(text)
    return date if date.tzinfo is None else date.astimezone(UTC).replace(tzinfo=None)


def _pattern(pattern: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, pattern)


# Tried in this order; the first that reads every row is taken, if no other order of day and month does so too.
FORMATS: tuple[tuple[str, str, Callable[[str], datetime]], ...] = (
    ("YYYY", "year", _year),
    ("YYYY-MM-DD", "day", iso),
    ("YYYYQn", "month", _quarter),
    *((name, "month", _pattern(p)) for name, p in (("YYYY-MM", "%Y-%m"), ("YYYY/MM", "%Y/%m"), ("MM/YYYY", "%m/%Y"))),
    *(("Mon YYYY", "month", _pattern(p)) for p in ("%b %Y", "%B %Y", "%b-%Y")),
    *(("YYYY/MM/DD", "day", _pattern(p)) for p in ("%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S")),
    *(("DD.MM.YYYY", "day", _pattern(p)) for p in ("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S")),
    *(("DD/MM/YYYY", "day", _pattern(p)) for p in ("%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y")),
    *(("MM/DD/YYYY", "day", _pattern(p)) for p in ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m-%d-%Y")),
    *(("DD Mon YYYY", "day", _pattern(p)) for p in ("%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y")),
)


def read_dates(texts: Sequence[str], where: Callable[[int], str]) -> Calendar:
    """The dates in a column's cells; `where(i)` names row i in messages.

    Raises DataError for a cell that is not a date, for days and months that could be either, and for dates that don't rise.
    """
    texts = [text.strip() for text in texts]
    readings = [(name, kind, dates) for name, kind, parse in FORMATS if (dates := _parsed(texts, parse))]
    if not readings:
        bad = max(_reach(texts, parse) for _, _, parse in FORMATS)
        raise DataError(
            f"{where(bad)}: {texts[bad]!r} is not a date; wanted YYYY-MM-DD, YYYY-MM, YYYY or the like, the same way"
        )
    rising = [reading for reading in readings if all(a < b for a, b in pairwise(reading[2]))]
    if {"DD/MM/YYYY", "MM/DD/YYYY"} <= {name for name, _, _ in rising}:
        raise DataError(f"{where(0)}: {texts[0]!r} may begin with the day or the month; write dates as YYYY-MM-DD")
    if not rising:
        dates = readings[0][2]
        bad = next(i for i, (a, b) in enumerate(pairwise(dates), 1) if a >= b)
        cure = "keep one row a date, or say which column tells series apart" if dates[bad] in dates[:bad] else "sort the rows"
        raise DataError(f"{where(bad)}: {texts[bad]!r} does not come after {texts[bad - 1]!r} in the row before; {cure}")
    _, kind, dates = rising[0]
    if kind == "day" and any(date.time() != dates[0].time() for date in dates):
        kind = "second"
    return Calendar(tuple(dates), kind, _step(dates))


def _parsed(texts: Sequence[str], parse: Callable[[str], datetime]) -> list[datetime] | None:
    try:
        return [parse(text) for text in texts]
    except (ValueError, OverflowError):
        return None


def _reach(texts: Sequence[str], parse: Callable[[str], datetime]) -> int:
    """The first row that is not a date in this format."""
    return next(i for i in range(len(texts)) if _parsed(texts[i : i + 1], parse) is None)


def _step(dates: Sequence[datetime]) -> Step:
    """The step that most neighbouring dates have."""
    if len(dates) < 2:
        return Step(seconds=86400.0)
    ends = all(date.day == monthrange(date.year, date.month)[1] for date in dates)
    count = [date.year * 12 + date.month for date in dates]
    same_day = ends or len({date.day for date in dates}) == 1
    if same_day and len({date.time() for date in dates}) == 1 and all(a < b for a, b in pairwise(count)):
        return Step(months=Counter(b - a for a, b in pairwise(count)).most_common(1)[0][0], month_end=ends)
    if _on_weekdays(dates):
        return Step(seconds=86400.0, weekdays=True)
    return Step(seconds=Counter((b - a).total_seconds() for a, b in pairwise(dates)).most_common(1)[0][0])


def _on_weekdays(dates: Sequence[datetime]) -> bool:
    """Whether the dates go from weekday to weekday, over a weekend or more, without a Saturday or Sunday."""
    if any(date.weekday() > 4 or date.time() != dates[0].time() for date in dates):
        return False
    steps = Counter(b - a for a, b in pairwise(map(_weekday_number, dates)))
    weekends = (dates[-1] - dates[0]).days > _weekday_number(dates[-1]) - _weekday_number(dates[0])
    return weekends and steps.most_common(1)[0][0] == 1


def _weekday_number(date: datetime) -> int:
    """The days from Monday to Friday between 0001-01-01, a Monday, and a day that is one of them."""
    weeks, day = divmod(date.toordinal() - 1, 7)
    return 5 * weeks + day


def places(calendar: Calendar) -> list[int]:
    """The place of every row in time, counted in steps from the first: 0, 1, 2, … where no row is left out.

    A series with other gaps than a few left-out rows has no clock of its own: then too it is 0, 1, 2, …
    """
    dates, ratios = calendar.dates, _steps(calendar)
    single = sum(b - a == 1 for a, b in pairwise(ratios))
    regular = all(ratio.is_integer() for ratio in ratios) and single >= REGULAR * (len(dates) - 1)
    if not regular or ratios[-1] >= 2 * len(dates):
        return list(range(len(dates)))
    return [round(ratio) for ratio in ratios]


def even(calendar: Calendar) -> bool:
    """Whether every row is a step after the one before."""
    return all(b - a == 1 for a, b in pairwise(_steps(calendar)))


def _steps(calendar: Calendar) -> list[float]:
    """The steps from the first row to each."""
    dates, step = calendar.dates, calendar.step
    if step.months:
        counts = [(date.year - dates[0].year) * 12 + date.month - dates[0].month for date in dates]
        return [count / step.months for count in counts]
    if step.weekdays:
        return [float(_weekday_number(date) - _weekday_number(dates[0])) for date in dates]
    return [(date - dates[0]).total_seconds() / step.seconds for date in dates]
