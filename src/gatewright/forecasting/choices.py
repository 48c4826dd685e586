"""What the training rows say about themselves: their season, the scale that evens out their noise, a window that fits."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError, OptionError
from gatewright.forecasting import baselines, scaling

FEWEST = 8  # rows of a stretch whose level and unrest are compared
LEAST = 10  # values of a series that is learned from
STRETCHES = 5  # at least, or nothing is said about the scale
TENFOLD = 10.0  # between the least and the largest value: less is taken as a logarithm without asking further
GROWS = 0.4  # exponent of the level, as far as noise lets it be seen, from which the unrest grows with it
WINDOWS = (12, 40)  # the shortest and the longest window
THIRD = 3  # of the rows: the longest window and the longest season of increments
WANDERING = 2.0  # times as much change over a period as over a row is no season
ALIKE = 1.2  # standard deviations of the values that they change by over a season, at most; noise changes by 1.4
SHORTEST = 3  # season of increments: those of noise alternate
PEAK = 0.4  # autocorrelation of the increments, from which a season is believed


class Chosen(NamedTuple):
    """What a forecaster has to know of its series; the names are those of Settings."""

    season: int
    scale: str
    window: int


def chosen(series: Sequence[Array], season: int | None, scale: str | None, window: int | None) -> Chosen:
    """What was given, and for None what the series (T_i,) say.

    Raises OptionError for a season, or a window, longer than all of them.
    """
    longest = max(map(len, series))
    season = season_of([y for y in series if _moves(y)] or series) if season is None else season
    for name, rows in (("season", season), ("window", 0 if window is None else window)):
        if rows >= longest:
            raise OptionError(f"{name}: got {rows}, wanted fewer rows than the {longest} to learn from")
    scale = scale_of(series, season) if scale is None else scale
    return Chosen(season, scale, window_of(longest, season) if window is None else window)


def _moves(y: Array) -> bool:
    """Whether a series (T,) ever changes: one that doesn't has no say in what the others' season is."""
    return not np.isnan(y).all() and float(np.nanmin(y)) < float(np.nanmax(y))


def season_of(series: Sequence[Array]) -> int:
    """The period of one or many series (T_i,), NaN where missing; 1 where none stands out.

    What their increments agree on, for levels that wander seem to have periods; else the median of what the levels show, if
    they change hardly more over a period than over a row.
    """
    found = _season_of_increments([np.diff(y) for y in series])
    if found == 1:
        found = int(np.median([baselines.season_of(y) for y in series]))
        found = found if np.mean([_repeats(y, found) for y in series]) > 0.5 else 1
    return found


def _repeats(y: Array, season: int) -> bool:
    """Whether y (T,) is alike after a season, and hardly changes more over one than over a row, as what wanders does."""
    change, once = (part[~np.isnan(part)] for part in (y[season:] - y[:-season], np.diff(y)))
    if min(len(change), len(once)) < 2:
        return False
    return bool(change.std() < min(WANDERING * once.std(), ALIKE * np.nanstd(y)))


def _season_of_increments(series: Sequence[Array]) -> int:
    """The highest peak of the mean autocorrelation, if it is high, and the autocorrelation has been low before; else 1."""
    most = min(map(len, series)) // THIRD
    r = np.zeros(max(most + 1, 1))
    for y in series:
        rest = np.where(np.isnan(y), 0, y - np.nanmean(y)) if not np.isnan(y).all() else np.zeros(len(y))
        power = float(rest @ rest)
        if power > 0:
            r += [float(rest[lag:] @ rest[: len(y) - lag]) / power / len(series) for lag in range(len(r))]
    peaks = [
        lag for lag in range(SHORTEST, most) if r[lag - 1] < r[lag] >= r[lag + 1] and r[lag] > max(PEAK, 2 * r[1:lag].min())
    ]
    return max(peaks, key=lambda lag: float(r[lag]), default=1)


def scale_of(series: Sequence[Array], season: int) -> str:
    """ "standard", "sqrt" or "log", of series (T_i,).

    What is above zero and stays within a factor of ten changes by shares more than by amounts, and where it does not, a
    logarithm is nearly straight: "log". Other values from 0 up are "log" if their unrest grows with the level, as far as can be
    seen, else "sqrt", as counts are. Unrest is the standard deviation of seasonal differences (of increments, without a season)
    in stretches of a season or more; the slope of its logarithm over the level's decides, over all series together (after
    Guerrero 1993).
    """
    least = min((float(np.nanmin(y)) for y in series if not np.isnan(y).all()), default=-1.0)
    if least < 0:
        return "standard"
    if least > 0 and all(np.nanmax(y) < TENFOLD * np.nanmin(y) for y in series if not np.isnan(y).all()):
        return "log"
    levels, unrests = [np.zeros(0)], [np.zeros(0)]
    for y in series if least > 0 else ():
        level, unrest = _stretches(y, season)
        if len(level) > 1:
            levels.append(level - level.mean())
            unrests.append(unrest - unrest.mean())
    x, y = np.concatenate(levels), np.concatenate(unrests)
    return "log" if len(x) >= STRETCHES and float(x @ y) > GROWS * float(x @ x) else "sqrt"


def _stretches(y: Array, season: int) -> tuple[Array, Array]:
    """The logarithms of the level and of the unrest of each stretch of a series."""
    change = y[season:] - y[:-season]
    length = season * -(-FEWEST // season)
    level, unrest = [], []
    for start in range(0, len(change) - length + 1, length):
        middle = np.concatenate([y[start : start + length], y[start + season : start + season + length]])
        part = change[start : start + length]
        if (~np.isnan(part)).sum() > FEWEST // 2 and np.nanmean(middle) > 0 and np.nanstd(part) > 0:
            level.append(np.log(np.nanmean(middle)))
            unrest.append(np.log(np.nanstd(part)))
    return np.array(level), np.array(unrest)


def window_of(rows: int, season: int) -> int:
    """Two seasons, within bounds, and no more than a third of the rows."""
    least, most = WINDOWS
    return max(2, min(max(2 * season, least), most, rows // THIRD))


def begun(values: Array) -> Array:
    """`values` (T, C) from the first row on in which the target is known; all of them if it never is."""
    known = np.flatnonzero(~np.isnan(values[:, 0]))
    return values[known[0] :] if len(known) else values


def check(series: dict[str, Array], names: Sequence[str], horizon: int) -> None:
    """Raises DataError where a series (T_i, C) is too short, or numbers of its columns are too large or small to be squared."""
    for name, values in series.items():
        of = f" of series {name!r}" if len(series) > 1 else ""
        count, least = int((~np.isnan(values[:, 0])).sum()), max(LEAST, horizon + 2)
        if count < least:
            raise DataError(f"y: got {count} values{of}, wanted at least {least} to learn from with a horizon of {horizon}")
        for column, title in zip(values.T, names, strict=True):
            scaling.check_size(column, title)
