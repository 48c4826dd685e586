"""What a forecaster has more whose networks correct a linear path, and how a file holds it."""

from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError, shortened
from gatewright.forecasting import mixture
from gatewright.forecasting.committee import Committee, Task
from gatewright.forecasting.linear import Regression
from gatewright.forecasting.mixture import Path
from gatewright.forecasting.settings import Settings

ENOUGH = 10  # rows that are as much evidence of a series' own spread as all the others are
PARTS = ("constant", "lags", "effect")


class Beside(NamedTuple):
    """The linear path and what is common to all series."""

    series: tuple[str, ...]  # (S) names of the series that it learned from
    known: Array  # (C,) bool: columns whose future is known
    path: Path  # learned from all rows
    share: float  # of what the networks say, that is believed
    sizes: Array  # (S,) of each series' residuals, about 1
    residuals: Array  # (N, H) of blocks that a member did not learn, over their series' size, in units of the outputs
    steps: Array  # (C,) the units of the one-step increments

    @classmethod
    def of(cls, series: tuple[str, ...], task: Task, learned: Committee) -> "Beside":
        """What a committee learned of some series."""
        assert learned.owners is not None
        sizes = _sizes(learned.residuals, learned.owners, len(series))
        between = learned.pooled[0][1]  # the path's mean square on blocks between learned rows; what comes after them has 1
        wider = max(1.0, between**-0.5) if 0 < between < np.inf else 1.0
        residuals = wider * learned.residuals / sizes[learned.owners][:, None]
        assert task.plan is not None
        left_out = [np.zeros(len(values), bool) for values in task.series]  # nothing: the paths of the members have judged
        path = mixture.fit(list(task.series), left_out, task.view.known, task.plan)
        return cls(series, task.view.known, path, learned.share, sizes, residuals, task.view.steps)

    def tensors(self) -> dict[str, Array]:
        """The arrays by the names that they have in a file."""
        arrays = {"residuals": self.residuals, "weights": self.path.weights}
        for k, part in enumerate(self.path.parts):
            arrays |= {f"path{k}.{name}": array for name, array in part._asdict().items()}
        return arrays

    def describe(self) -> dict[str, Any]:
        """The rest, for JSON."""
        return {
            "series": list(self.series), "known": self.known.tolist(), "share": self.share, "sizes": self.sizes.tolist(),
            "steps": self.steps.tolist(),
        }  # fmt: skip

    @classmethod
    def read(cls, tensors: dict[str, Array], described: dict[str, Any], columns: int, settings: Settings) -> "Beside":
        """What `tensors` and `describe` told of, checked. Raises DataError, KeyError, TypeError or ValueError."""
        known, series = np.array(described["known"], bool), distinct(described["series"])
        sizes, steps = (np.array(described[name], float) for name in ("sizes", "steps"))
        weights, residuals = tensors["weights"].astype(float), tensors["residuals"].astype(float)
        shapes = (known.shape, steps.shape, sizes.shape, weights.ndim, residuals.shape[1:])
        if not series or shapes != ((columns,), (columns,), (len(series),), 1, (settings.horizon,)) or known[0]:
            raise DataError("its series, columns and residuals don't fit each other")
        positive = np.concatenate([sizes, steps])
        if not 0 <= float(described["share"]) <= 1 or not (np.isfinite(positive) & (positive > 0)).all():
            raise DataError("its share, sizes or steps are impossible")
        if not np.isfinite(weights).all() or np.isinf(residuals).any():
            raise DataError("its weights or residuals are not finite")
        return cls(series, known, _path(tensors, weights, known), float(described["share"]), sizes, residuals, steps)


def distinct(names: Any) -> tuple[str, ...]:
    """Names of columns or series in a file. Raises DataError for what are none, or where two are the same."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"got {shortened(repr(names))}, wanted a list of names, none twice")
    return tuple(names)


def _path(tensors: dict[str, Array], weights: Array, known: Array) -> Path:
    """The linear path."""
    parts = []
    for k in range(len(weights)):
        part = Regression(*(tensors[f"path{k}.{name}"].astype(float) for name in PARTS))
        width, ahead = int((~known).sum()), int(known.sum())
        wanted = ((width,), (len(part.lags), width, width), (ahead, width))
        if tuple(array.shape for array in part) != wanted or not len(part.lags):
            raise DataError(f"part {k} of the linear path does not fit its columns")
        if not all(np.isfinite(array).all() for array in part):
            raise DataError(f"part {k} of the linear path has numbers that are not finite")
        parts.append(part)
    return Path(tuple(parts), weights, known)


def _sizes(residuals: Array, owners: Array, count: int) -> Array:
    """(S,): the root mean square residual of each series over that of all, drawn to 1 where there are few."""
    squares = np.square(residuals)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = squares / np.nansum(squares, axis=0) * (~np.isnan(squares)).sum(axis=0)
    there = ~np.isnan(relative)
    rows = np.bincount(owners, there.mean(axis=1), count)
    power = np.bincount(owners, np.where(there, relative, 0).mean(axis=1), count)
    sizes: Array = np.sqrt((power + ENOUGH) / (rows + ENOUGH))
    return sizes
