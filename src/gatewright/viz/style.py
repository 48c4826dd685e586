"""One look for all pictures."""

from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, GRID, SHADE = "#1f2430", "#6b7280", "#e5e7eb", "#eef0f3"
OURS, BAND = "#c2410c", "#fdba74"
OTHERS = ("#2563eb", "#0d9488", "#9333ea", "#64748b")
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


def style() -> AbstractContextManager[None]:
    """Everything drawn and saved inside looks alike; what the user has set comes back after."""
    return mpl.rc_context({**mpl.rcParamsDefault, "backend": mpl.rcParams["backend"], **_STYLE})


def soften(axes: Axes) -> None:
    """Horizontal lines only, and no ticks on the vertical axis."""
    axes.grid(False, axis="x")
    axes.tick_params(axis="y", length=0)


def save(figure: Figure, path: Any) -> None:
    """Writes a PNG; the metadata say nothing of the machine, so that equal pictures are equal files."""
    figure.savefig(path, format="png", dpi=150, metadata={"Software": None})
