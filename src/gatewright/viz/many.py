"""forecast.png of many series: a few of them, what was forecast of the test rows, and what is to come."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gatewright.forecasting.many import Told
from gatewright.forecasting.origins import OURS
from gatewright.viz.style import BAND, INK, SHADE, SOFT, save, soften, style
from gatewright.viz.style import OURS as COLOUR

MOST = 6  # series in a picture
BEFORE = 3  # times as many rows before the test as in it


def draw_many(told: Told, path: Any) -> None:
    """Writes forecast.png to `path`: the first series of the file, each from some rows before the test on."""
    names = list(told.job.series)[:MOST]
    with style():
        rows = -(-len(names) // 2)
        figure = Figure(figsize=(12, 2.5 * rows + 0.9), layout="constrained")
        panels = figure.subplots(rows, 2, squeeze=False).ravel()
        which = f"the first {len(names)} of {len(told.job.series)} series" if len(told.job.series) > MOST else "all series"
        steps, target = told.job.settings.horizon, told.job.series[names[0]].name
        title = f"{target}, forecast {steps} step{'s' if steps > 1 else ''} ahead by {told.job.settings.name}: {which}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
        for name, axes in zip(names, panels, strict=False):
            _draw(axes, told, name)
        for axes in panels[len(names) :]:
            axes.axis("off")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, labelcolor=INK)
        save(figure, path)


def _draw(axes: Axes, told: Told, name: str) -> None:
    """One series; rows count from 1."""
    y, steps, test = told.job.series[name].target, told.job.settings.horizon, told.job.test
    mark = "o" if steps == 1 else ""
    first = max(0, len(y) - (BEFORE + 1) * max(test, 2 * steps))
    axes.plot(np.arange(first, len(y)) + 1, y[first:], color=INK, linewidth=1.0, label="observed")
    if told.backtest is not None:
        judged = told.backtest
        own = np.flatnonzero(np.array(judged.series) == name)[::-1][::steps][::-1]  # forecasts that touch, the last one whole
        for k in own:
            at = judged.origins[k] + 2 + np.arange(steps)
            axes.fill_between(at, judged.lower[k], judged.upper[k], color=BAND, alpha=0.45, linewidth=0)
            axes.plot(at, judged.forecasts[OURS][k], color=COLOUR, linewidth=1.5, marker=mark, markersize=2.5)
    at, future = len(y) + 1 + np.arange(steps), told.futures[name]
    axes.axvspan(len(y) + 0.5, len(y) + steps + 0.5, color=SHADE, linewidth=0, label="to come")
    interval = f"{told.job.level:.0%} interval"
    axes.fill_between(at, future.lower, future.upper, color=BAND, alpha=0.45, linewidth=0, label=interval)
    axes.plot(at, future.mean, color=COLOUR, linewidth=1.5, label="forecast", marker=mark, markersize=2.5)
    axes.set_title(name, fontsize=9.5, color=SOFT)
    axes.margins(x=0.01)
    soften(axes)
