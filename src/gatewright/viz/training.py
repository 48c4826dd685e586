"""training.png: how the members learned, and how the number of epochs was chosen."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gatewright.forecasting.committee import Committee
from gatewright.viz.style import INK, OTHERS, OURS, SOFT, save, soften, style


def draw_training(committee: Committee, path: Any) -> None:
    """Writes training.png for a committee to `path`."""
    with style():
        figure = Figure(figsize=(12, 4.4), layout="constrained")
        learned, judged = figure.subplots(1, 2)
        for losses in committee.losses:
            learned.plot(np.arange(1, len(losses) + 1), losses, color=OTHERS[0], linewidth=0.9, alpha=0.6)
        _finish(learned, committee, "Loss on the rows that a member learns from")
        for member in committee.checks:
            judged.plot(*np.array(member).T, color=OTHERS[1], linewidth=0.9, alpha=0.6)
        pooled = committee.pooled
        judged.plot(*np.array(pooled).T, color=INK, linewidth=2, label="all members together")
        judged.plot([], [], color=OTHERS[1], linewidth=0.9, label="one member")
        _finish(judged, committee, "Error on the block of rows that a member never learns")
        judged.legend(loc="lower left", labelcolor=INK)
        save(figure, path)


def _finish(axes: Axes, committee: Committee, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("epoch")
    nothing = "persistence" if committee.owners is None else "the linear path, on rows to come"
    axes.set_ylabel(f"mean squared error; 1 = {nothing}")
    axes.axhline(1, color=SOFT, linewidth=0.9, linestyle=(0, (1, 1.2)), label=nothing)
    axes.axvline(committee.epoch, color=OURS, linewidth=1.2, label=f"epoch {committee.epoch}, the one that is used")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, steps=[1, 2, 5, 10]))
    soften(axes)
