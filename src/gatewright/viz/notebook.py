"""Pictures for notebooks and papers: how training went, what the gates do, forecasts, which classes are taken for which."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gatewright.arrays import Array, numbers
from gatewright.checks import is_number
from gatewright.errors import DataError, OptionError, ShapeError, one_of
from gatewright.viz import explore
from gatewright.viz.explore import Asked
from gatewright.viz.gates import Inside
from gatewright.viz.style import BAND, INK, OTHERS, OURS, SOFT, soften, style

if TYPE_CHECKING:
    from gatewright.model import Model
    from gatewright.training.callbacks import History

MOST_CLASSES = 200
LONGEST_NAME = 24  # characters of a class's name that are shown
# The colours of the gate explorer on white: of 0 … 1, and of what has a sign.
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "gatewright-gate", ["#f5f3ee", "#cfe1dd", "#8ec1c0", "#489199", "#1d5f6e", "#0a3142"]
)
DIVERGING = LinearSegmentedColormap.from_list(
    "gatewright-state", ["#12397a", "#3b70b8", "#9fbfe3", "#f7f5f1", "#f4b98f", "#d66a2c", "#862a04"]
)
FAN = LinearSegmentedColormap.from_list("gatewright-fan", ["#fff7ed", BAND, "#f08c3a"])
NAMES = {"i": "input gate", "f": "forget gate", "o": "output gate", "c": "cell state", "h": "hidden state"}
NAMES |= {"g": "candidate", "n": "candidate", "z": "update gate", "r": "reset gate"}


def learning_curve(history: "History") -> Figure:
    """The loss of every epoch, that of the validation data too where there was some, and the best epoch."""
    if not history.epochs:
        raise DataError("learning_curve: the history has no finished epoch")
    with style():
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.subplots()
        for name, label, colour in (("loss", "training", OTHERS[0]), ("val_loss", "validation", OURS)):
            if name in history.history:
                axes.plot(history.epochs, history.history[name], color=colour, linewidth=1.8, label=label)
        best = history.best_epoch or 1
        axes.axvline(best, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), label=f"best: epoch {best}")
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        shown = [value for name in ("loss", "val_loss") for value in history.history.get(name, ())]
        if 0 < 100 * min(shown) < max(shown):  # else all that comes after the first epochs lies on the axis
            axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(labelcolor=INK)
        soften(axes)
    return figure


def gate_maps(
    model: "Model", x: Any, layer: str | None = None, *, letters: str | None = None, y: Any = None, loss: Any = None
) -> Figure:
    """Heat maps of a layer's gates and states over time, units downwards, and the norm of the loss's gradient at every step.

    x, y and loss are as in `model.explore`. layer: by name, as "0.layer1.forward" (None: the first recurrent one). letters:
    which to draw, as "fc" (None: all). Raises OptionError for an unknown layer or letter, and as `model.explore` does.
    """
    inside = {part.name: part for part in explore.observed(model, Asked(x, y=y, loss=loss)).seen.inside}
    if layer is not None and layer not in inside:
        raise one_of("layer", layer, inside)
    shown = inside[layer or next(iter(inside))]
    for letter in letters or ():
        if letter not in shown.arrays:
            raise one_of("letters", letter, shown.arrays)
    return _gate_maps(shown, [letter for letter in shown.arrays if letters is None or letter in letters])


def _gate_maps(shown: Inside, letters: Sequence[str]) -> Figure:
    with style():
        figure = Figure(figsize=(9, 1.3 * len(letters) + 1.6), layout="constrained")
        figure.suptitle(f"{shown.kind} {shown.name}", x=0.01, ha="left", fontweight="bold", color=INK)
        panels = figure.subplots(len(letters) + 1, 1, sharex=True)
        for letter, axes in zip(letters, panels[:-1], strict=True):
            values = shown.arrays[letter].T
            unit = explore.reach(shown, letter) == "unit"
            most = 1.0 if unit else float(np.abs(values).max()) or 1.0
            image = axes.imshow(
                values, aspect="auto", interpolation="nearest", cmap=SEQUENTIAL if unit else DIVERGING,
                vmin=0 if unit else -most, vmax=most,
            )  # fmt: skip
            axes.set_ylabel(letter, rotation=0, ha="right", va="center", fontweight="bold")
            axes.set_title(NAMES[letter], fontsize=8.5, fontweight="normal", color=SOFT, pad=2)
            axes.grid(False)
            axes.set_yticks([])
            figure.colorbar(image, ax=axes, pad=0.01, aspect=9)
        _gradient(panels[-1], np.linalg.norm(shown.gradient, axis=1))
    return figure


def _gradient(axes: Axes, norms: Array) -> None:
    axes.plot(np.arange(len(norms)), np.where(norms > 0, norms, np.nan), color=OURS, linewidth=1.3)
    if (norms > 0).any():
        axes.set_yscale("log")
    axes.set_title("norm of ∂loss/∂h", fontsize=8.5, fontweight="normal", color=SOFT, pad=2)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    soften(axes)


def forecast_fan(y: Any, forecasts: Any, *, actual: Any = None, at: Any = None) -> Figure:
    """A series, its forecasts, and their intervals, one in the other, the narrow ones darker.

    y: (T,) what was known; NaN where nothing was. forecasts: (mean, lower, upper), each (H,), as `Forecaster.predict_interval`
    gives them, or a dict of such from level to level, {0.5: …, 0.9: …}. actual: (H,) what came (None: nobody knows yet). at:
    (T + H,) the times of the rows and then of the steps ahead, numbers or dates (None: rows count from 1).

    Raises ShapeError for arrays that don't fit together, OptionError for levels that are no shares.
    """
    known = _line(y, "y")
    for level in forecasts if isinstance(forecasts, Mapping) else ():
        if not is_number(level) or not 0 < level < 1:
            raise OptionError(f"forecast_fan: forecasts: got the level {level!r}, wanted a number between 0 and 1")
    levels = dict(sorted(forecasts.items(), reverse=True)) if isinstance(forecasts, Mapping) else {None: forecasts}
    bands = {level: _band(each) for level, each in levels.items()}
    if not bands:
        raise DataError("forecast_fan: forecasts: got none")
    steps = len(next(iter(bands.values()))[0])
    came = None if actual is None else _line(actual, "actual", steps)
    times = np.arange(1, len(known) + steps + 1) if at is None else np.asarray(at)
    if times.shape != (len(known) + steps,):
        raise ShapeError(f"forecast_fan: at: got shape {times.shape}, wanted ({len(known) + steps},): {len(known)} + {steps}")
    with style():
        figure = Figure(figsize=(9, 4), layout="constrained")
        axes = figure.subplots()
        past, ahead = times[: len(known)], times[len(known) :]
        axes.plot(past, known, color=INK, linewidth=1.2, label="observed")
        for depth, (level, (mean, lower, upper)) in enumerate(bands.items()):
            if len(mean) != steps:
                raise ShapeError(f"forecast_fan: forecasts: got {len(mean)} steps, wanted {steps} as in the others")
            label = "interval" if level is None else f"{level:.0%} interval"
            colour = FAN((depth + 1) / (len(bands) + 1))
            axes.fill_between(ahead, lower, upper, color=colour, linewidth=0, label=label)
        axes.plot(ahead, mean, color=OURS, linewidth=1.9, marker="o" if steps == 1 else "", label="forecast")
        if came is not None:
            axes.plot(ahead, came, color=INK, linewidth=1.0, marker="o", markersize=3, label="what came")
        figure.legend(labelcolor=INK, loc="outside right upper")
        axes.margins(x=0.01)
        soften(axes)
    return figure


def _line(given: Any, name: str, length: int | None = None) -> Array:
    """(T,) float64."""
    line = numbers(given, name).astype(float)
    if line.ndim != 1 or not len(line) or (length is not None and len(line) != length):
        raise ShapeError(f"forecast_fan: {name}: got shape {line.shape}, wanted ({'T' if length is None else length},)")
    return line


def _band(given: Any) -> tuple[Array, Array, Array]:
    """(mean, lower, upper), each (H,)."""
    got = f"{len(given)} arrays" if hasattr(given, "__len__") else f"a {type(given).__name__}"
    if got != "3 arrays":
        raise ShapeError(f"forecast_fan: forecasts: got {got}, wanted three: mean, lower and upper")
    mean = _line(given[0], "mean")
    return mean, _line(given[1], "lower", len(mean)), _line(given[2], "upper", len(mean))


def confusion_matrix(true: Any, predicted: Any, labels: Sequence[str] | None = None) -> Figure:
    """How often each class (a row) was taken for each (a column): counts, coloured by the share of the row.

    true, predicted: (N,) class numbers from 0; labels: the names of the classes (None: their numbers).
    """
    counts = _counts(true, predicted)
    names = list(map(str, range(len(counts)))) if labels is None else list(labels)
    if len(names) < len(counts):
        raise DataError(f"confusion_matrix: got {len(names)} labels, wanted {len(counts)}, one a class")
    counts = np.pad(counts, (0, len(names) - len(counts)))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with style():
        size = min(12.0, 2.2 + 0.5 * len(names))
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=1)
        for row, column in np.argwhere(counts):
            colour = "white" if share[row, column] > 0.5 else INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
        ticks = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]
        axes.set_xticks(range(len(names)), ticks, rotation=45 if max(map(len, names)) > 3 else 0, parse_math=False)
        axes.set_yticks(range(len(names)), ticks, parse_math=False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(f"{np.trace(counts) / counts.sum():.1%} of {counts.sum():,} are right")
        axes.grid(False)
        axes.spines[:].set_visible(False)
    return figure


def _counts(true: Any, predicted: Any) -> Array:
    """(K, K): how often each class was taken for each."""
    pair = [numbers(given, name) for given, name in ((true, "true"), (predicted, "predicted"))]
    if pair[0].ndim != 1 or pair[0].shape != pair[1].shape or not len(pair[0]):
        raise ShapeError(f"confusion_matrix: got {pair[0].shape} and {pair[1].shape}, wanted as many of both, (N,)")
    for given, name in zip(pair, ("true", "predicted"), strict=True):
        if given.dtype.kind not in "iu" or (given < 0).any():
            raise DataError(f"confusion_matrix: {name}: wanted the numbers of the classes, from 0")
        if given.max() >= MOST_CLASSES:
            raise DataError(
                f"confusion_matrix: {name}: got class {given.max()}, and a picture shows at most {MOST_CLASSES} classes"
            )
    counts = np.zeros((int(max(map(np.max, pair))) + 1,) * 2, int)
    np.add.at(counts, tuple(pair), 1)
    return counts
