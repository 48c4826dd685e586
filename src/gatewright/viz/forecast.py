"""forecast.png: the history, the forecasts with their intervals, the baselines, and the scores."""

from datetime import datetime
from typing import Any

import matplotlib.dates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gatewright.arrays import Array
from gatewright.forecasting.job import Outcome
from gatewright.forecasting.report import table
from gatewright.viz.style import BAND, INK, OTHERS, OURS, SHADE, SOFT, save, soften, style

_dates: Any = matplotlib.dates  # matplotlib has no types for it
ZOOM = 160  # rows of the large panel, at most
LEAD_IN = 0.15  # of them before the test


def draw_forecast(outcome: Outcome, path: Any) -> None:
    """Writes forecast.png for an outcome to `path`."""
    with style():
        figure = Figure(figsize=(12, 7.4), layout="constrained")
        history, zoom, foot = figure.subplots(3, 1, gridspec_kw={"height_ratios": [1.0, 3.2, 1.25]})
        at = _times(outcome)
        figure.suptitle(_title(outcome), x=0.01, ha="left", fontsize=14, fontweight="bold", color=INK)
        _draw_history(history, outcome, at)
        _draw_zoom(zoom, outcome, at)
        handles, labels = zoom.get_legend_handles_labels()
        foot.axis("off")
        foot.legend(handles[::-1], labels[::-1], loc="upper left", borderaxespad=0, labelcolor=INK, handlelength=2.6)
        text: dict[str, Any] = {"family": "monospace", "fontsize": 9.5, "color": INK, "va": "top", "linespacing": 1.35}
        foot.text(0.27, 1.0, table(outcome), transform=foot.transAxes, **text)
        save(figure, path)


def _title(outcome: Outcome) -> str:
    steps = outcome.job.settings.horizon
    ahead = "one step ahead" if steps == 1 else f"{steps} steps ahead"
    return f"{outcome.job.series.name}, forecast {ahead} by {outcome.job.settings.name}"


def _times(outcome: Outcome) -> Array:
    """(T + H,): where every row, and then every step after the last one, stands on the axis."""
    series, steps = outcome.job.series, outcome.job.settings.horizon
    if series.calendar is None:
        return np.arange(1, len(series.target) + steps + 1, dtype=float)
    if series.calendar.precision == "year":
        return np.array([date.year for date in (*series.calendar.dates, *series.calendar.after(steps))], float)
    return np.asarray(_dates.date2num([*series.calendar.dates, *series.calendar.after(steps)]), float)


def _time_axis(axes: Axes, outcome: Outcome) -> None:
    calendar = outcome.job.series.calendar
    if calendar is None or calendar.precision == "year":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlabel("" if calendar else "row")
    else:
        # The margins may lie where there are no dates.
        axes.set_xlim(*np.clip(axes.get_xlim(), *_dates.date2num([datetime.min, datetime.max])))
        locator = _dates.AutoDateLocator(minticks=4, maxticks=10)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(_dates.ConciseDateFormatter(locator))


def _draw_history(axes: Axes, outcome: Outcome, at: Array) -> None:
    y, train = outcome.job.series.target, outcome.job.train
    axes.plot(at[: len(y)], y, color=INK, linewidth=0.9)
    axes.axvspan(at[0], at[train - 1], color=SHADE, linewidth=0)
    axes.set_title("The whole series: shaded, what the networks learned from", fontsize=9, fontweight="normal", color=SOFT)
    axes.margins(x=0.01)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    soften(axes)
    _time_axis(axes, outcome)


def _first_shown(outcome: Outcome) -> int:
    """The first row of the large panel: a little before the test."""
    rows, train = len(outcome.job.series.target), outcome.job.train
    return max(0, train - max(12, int(LEAD_IN * (rows - train))), rows - ZOOM)


def _path(ahead: Array, at: Array, outcome: Outcome) -> tuple[Array, Array]:
    """(x, value) of forecasts (T, H) as one line: those made at every H-th row, a gap before each; the last is the future."""
    train, (rows, steps) = outcome.job.train, ahead.shape
    origins = np.arange(rows - 1, max(train - 2, _first_shown(outcome) - 1), -steps)[::-1]
    x = at[origins[:, None] + np.arange(1, steps + 1)]
    value = ahead[origins]
    if steps > 1:
        gap = np.full((len(origins), 1), np.nan)
        x, value = np.hstack([x[:, :1], x]), np.hstack([gap, value])
    return x.ravel(), value.ravel()


def _draw_zoom(axes: Axes, outcome: Outcome, at: Array) -> None:
    y, train, first = outcome.job.series.target, outcome.job.train, _first_shown(outcome)
    for k, method in enumerate(outcome.methods[1:]):
        last = k == len(outcome.methods) - 2
        look: dict[str, Any] = {"color": OTHERS[k % len(OTHERS)], "linewidth": 0.8, "linestyle": (0, (1, 1.2)) if last else "-"}
        axes.plot(*_path(method.ahead, at, outcome), alpha=0.8, label=method.name, **look)
    x, lower = _path(outcome.forecasts.lower, at, outcome)
    upper = _path(outcome.forecasts.upper, at, outcome)[1]
    axes.fill_between(x, lower, upper, color=BAND, alpha=0.45, linewidth=0, label=f"{outcome.job.level:.0%} interval")
    axes.plot(*_path(outcome.forecasts.mean, at, outcome), color=OURS, linewidth=1.9, label=outcome.methods[0].name)
    rows = len(y)
    axes.plot(at[first:rows], y[first:], color=INK, linewidth=1.0, marker="o", markersize=2.6, label="observed")
    for period in outcome.job.periods:
        if period.first > first:
            line: dict[str, Any] = (
                {"linewidth": 0.9, "linestyle": (0, (4, 3))} if period.first == train else {"linewidth": 0.6, "alpha": 0.5}
            )
            axes.axvline((at[period.first - 1] + at[period.first]) / 2, color=SOFT, **line)
    axes.set_ylabel(outcome.job.series.name)
    axes.margins(x=0.01)
    soften(axes)
    _time_axis(axes, outcome)
