"""The forecaster: scalers, a committee of networks and intervals in one value that can be saved."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from gatewright import files, importers
from gatewright.arrays import Array
from gatewright.checks import is_number
from gatewright.errors import DataError, FormatError, GatewrightError, ShapeError, shortened
from gatewright.forecasting import committee, mixture, reading, windows
from gatewright.forecasting.beside import Beside, distinct
from gatewright.forecasting.committee import Committee, Task, Watch
from gatewright.forecasting.scaling import SCALES, Scaler, scaled
from gatewright.forecasting.settings import Settings
from gatewright.model import Model

LEVEL = 0.9  # what share of the future the intervals are to hold
KIND = "forecaster"
SOME = 0.5  # of many series, in which a column has a trend: then it has one


class Forecasts(NamedTuple):
    """What is to come after some rows of a series, in the target's units; all (N, H)."""

    mean: Array
    lower: Array  # with `upper` an interval that is to hold LEVEL of the future
    upper: Array


@dataclasses.dataclass(frozen=True, eq=False)
class SeriesForecaster:
    """Forecasts a target 1 … H steps ahead from its past and that of other columns; `fit` makes one, `load` reads one.

    One series, or many that share the networks: these have a scaler of the target each.
    """

    settings: Settings
    names: tuple[str, ...]  # (C) of the columns: the target, then the inputs
    scalers: tuple[Scaler, ...]  # (C); (S C) for S series, one series after the other
    units: Array  # (O,) of the outputs
    trending: Array  # (C,) bool: which columns have a trend
    gaps: Array  # (C,) bool: which columns had gaps in training
    spread: Array  # (2, H) what the interval adds to the scaled forecast, below and above
    members: tuple[Model, ...]
    date: str | None = None  # the column of dates in the file that it was trained on
    beside: Beside | None = None
    group: str | None = None  # the column of that file that says which series a row is of; None: there was one
    level: float = LEVEL  # what share of the future its intervals are to hold, if nobody says otherwise

    def forecasts(self, values: Array, rows: Array | None = None, series: int = 0, level: float | None = None) -> Forecasts:
        """The forecasts made at the given rows (N,) of `values` (T, C), in the columns' units, NaN where missing.

        rows: all of them if None. series: the number of the one that it is. level: what share of the future the intervals are
        to hold (None: its own); other than LEVEL only beside a linear path. Of a column whose future is known, rows after the
        one that a forecast is made at are read; what is not there stays as it was last. Raises ShapeError or DataError for
        values that don't fit.
        """
        columns = len(self.names)
        if values.ndim != 2 or values.shape[1] != columns:
            raise ShapeError(f"values: got shape {values.shape}, wanted (T, {columns}): {', '.join(self.names)}")
        scalers = self.scalers[series * columns : (series + 1) * columns]
        z = scaled(values, self.names, scalers)
        rows = np.arange(len(z)) if rows is None else np.asarray(rows)
        mean = np.mean([self._member(number, z, rows) for number in range(len(self.members))], axis=0)
        spread = self._spread_of(series, self.level if level is None else level)
        return Forecasts(*(scalers[0].inverse(mean + shift) for shift in (0.0, spread[0], spread[1])))

    def _spread_of(self, series: int, level: float) -> Array:
        """(2, H): what the interval of a series adds to its scaled forecast."""
        if self.beside is None:
            return self.spread
        spread: Array = _spread(self.beside.residuals, level) * self.units * self.beside.sizes[series]
        return spread

    def _member(self, number: int, z: Array, rows: Array) -> Array:
        """(N, H): one member's scaled forecasts."""
        horizon, member = self.settings.horizon, self.members[number]
        if self.beside is None:
            view = _view(self.settings, self.units, self.trending, self.gaps)
            filled = windows.settle(z, view, lambda x: committee.at_last(member, x))
            x = windows.inputs(filled, np.isnan(z), view)
        else:
            view = windows.View(self.settings.window, self.beside.steps, self.trending, self.gaps, self.beside.known)
            x, base, filled = reading.read(z, self.beside.path, view, self.units)
        outputs = [
            committee.at_last(member, windows.windows(x, part, self.settings.window))
            for part in np.array_split(rows, max(1, math.ceil(len(rows) / committee.PREDICT)))
        ]
        own: Array = filled[rows, :1] + np.concatenate(outputs)[:, :horizon] * self.units[:horizon]
        if self.beside is not None:
            own = base[rows] + self.beside.share * (own - base[rows])
        return own

    def save(self, path: Any, more: dict[str, Array] | None = None, told: dict[str, Any] | None = None) -> None:
        """Writes everything into one safetensors file: the networks as `memberK.…`, the rest as JSON in its metadata.

        more, told: arrays and descriptions that who made the forecaster adds, for himself.
        """
        tensors = {f"member{k}.{name}": a for k, m in enumerate(self.members) for name, a in m.parameters.items()}
        described = {
            "kind": KIND, "settings": dataclasses.asdict(self.settings), "columns": list(self.names), "date": self.date,
            "group": self.group, "level": self.level,
            "scalers": [dataclasses.asdict(scaler) for scaler in self.scalers], "units": self.units.tolist(),
            "trending": self.trending.tolist(), "gaps": self.gaps.tolist(), "spread": self.spread.tolist(),
            "members": len(self.members),
            **self.members[0].describe(),
        }  # fmt: skip
        if self.beside is not None:
            tensors |= self.beside.tensors()
            described["beside"] = self.beside.describe()
        files.save(path, tensors | (more or {}), described | (told or {}))


def fit(
    values: Array, names: tuple[str, ...], settings: Settings, watch: Watch = lambda *_: False
) -> tuple[SeriesForecaster, Committee]:
    """A forecaster trained on `values` (T, C), NaN where missing, with the committee's own account of its training.

    names: (C,) of the columns, the target first. watch: called after every epoch with (member, epoch, loss), both counted
    from 1; True ends the training with what there is by then. Raises DataError for a series that is too short or constant.
    """
    scalers, task = prepare(values, names, settings)
    learned = committee.train(task, watch)
    return assemble(names, scalers, task, learned), learned


def fit_many(
    series: dict[str, Array], names: tuple[str, ...], known: tuple[str, ...], settings: Settings, watch: Watch
) -> tuple[SeriesForecaster, Committee]:
    """One forecaster for many series beside a linear path, with settings.linear; a single one is many too.

    series: {name: values (T_i, C)}, NaN where missing, rows of the known columns alone not included. known: those of the
    columns whose future is known. The rest is as in `fit`.
    """
    scalers, task = prepare_many(series, names, known, settings)
    learned = committee.train(task, watch)
    beside = Beside.of(tuple(series), task, learned)
    spread = _spread(beside.residuals, LEVEL) * task.units
    made = SeriesForecaster(settings, names, scalers, task.units, task.view.trending, task.view.gaps, spread, learned.models)
    return dataclasses.replace(made, beside=beside), learned


def prepare_many(
    series: dict[str, Array], names: tuple[str, ...], known: tuple[str, ...], settings: Settings
) -> tuple[tuple[Scaler, ...], Task]:
    """The scalers of all columns of all series, and what a committee is to learn; see `fit_many`."""
    every = np.concatenate(list(series.values()))
    shared = tuple(Scaler.fit("standard", every[:, k], names[k]) for k in range(1, len(names)))
    scalers: tuple[Scaler, ...] = ()
    targets = {name: values[:, 0] for name, values in series.items()}
    if all(np.isnan(target).all() or np.nanmin(target) == np.nanmax(target) for target in targets.values()):
        raise DataError(f"column {names[0]!r} never changes in the rows to train on: there is nothing to learn")
    for name, target in targets.items():
        scalers += (Scaler.fit(settings.scale, target, f"{names[0]} of {name}" if len(series) > 1 else names[0]), *shared)
    width = len(names)
    z = tuple(scaled(v, names, scalers[k * width : (k + 1) * width]) for k, v in enumerate(series.values()))
    steps = np.sqrt(np.mean([np.square(windows.units(each, 1)) for each in z], axis=0))
    trending = np.mean([windows.trends(each) for each in z], axis=0) > SOME
    trending[0] |= len(z) > 1  # each has its own scaler: their levels are not alike, their increments are
    gaps = np.any([np.isnan(each).any(axis=0) for each in z], axis=0)
    view = windows.View(settings.window, steps, trending, gaps, np.isin(names, known))
    plan = mixture.plan(list(z), view.known, settings.season, settings.horizon)
    return scalers, Task(z, plan.units, view, settings, plan)


def prepare(values: Array, names: tuple[str, ...], settings: Settings) -> tuple[tuple[Scaler, ...], Task]:
    """The scalers of the columns and what a committee is to learn; see `fit`."""
    least = settings.window + settings.horizon + 1
    if len(values) < least:
        raise DataError(
            f"rows to train on: got {len(values)}, wanted at least {least} for a window of {settings.window} with horizon "
            f"{settings.horizon}: make the window shorter, or give more rows"
        )
    target = values[:, 0]
    if np.isnan(target).all() or np.nanmin(target) == np.nanmax(target):
        raise DataError(f"column {names[0]!r} never changes in the rows to train on: there is nothing to learn")
    kinds = [settings.scale] + ["none" if settings.scale == "none" else "standard"] * (len(names) - 1)
    scalers = tuple(Scaler.fit(kind, values[:, k], names[k]) for k, kind in enumerate(kinds))
    z = scaled(values, names, scalers)
    units = windows.units(z, settings.horizon)
    gaps = np.array([np.isnan(column).any() for column in z.T])
    return scalers, Task((z,), units, _view(settings, units, windows.trends(z), gaps), settings)


def _view(settings: Settings, units: Array, trending: Array, gaps: Array) -> windows.View:
    return windows.View(
        settings.window, np.concatenate([units[:1], units[settings.horizon :]]), trending, gaps, np.zeros(len(gaps), bool)
    )


def assemble(names: tuple[str, ...], scalers: tuple[Scaler, ...], task: Task, learned: Committee) -> SeriesForecaster:
    """The forecaster that a committee makes."""
    spread = _spread(learned.residuals) * task.units[: task.settings.horizon]
    view = task.view
    return SeriesForecaster(task.settings, names, scalers, task.units, view.trending, view.gaps, spread, learned.models)


def _spread(residuals: Array, level: float = LEVEL) -> Array:
    """(2, H): the quantiles of the residuals (N, H) between which a share of N + 1 of them is to lie, the next one included.

    The forecast itself, 0, is never outside.
    """
    bounds = np.zeros((2, residuals.shape[1]))
    for h in range(residuals.shape[1]):
        ordered = np.sort(residuals[~np.isnan(residuals[:, h]), h])
        count = len(ordered)
        if count:
            low = max(math.floor((count + 1) * (1 - level) / 2 + 1e-9) - 1, 0)  # 0.05 is not quite (1 - 0.9) / 2
            bounds[:, h] = min(ordered[low], 0.0), max(ordered[count - 1 - low], 0.0)
    return bounds


def load(path: Any) -> SeriesForecaster:
    """The forecaster in a file that `save` wrote.

    Raises MissingFileError, or FormatError for a file that is truncated, foreign, or a model without scaler and window.
    """
    tensors, description = files.load(path)
    if description.get("kind") != KIND:
        plain = "a model, but not a forecaster: it has no scaler and no window"
        raise FormatError(f"{path}: {files.other(description, 'but not a forecaster') or plain}")
    try:
        return _read(tensors, description, path)
    except FormatError:
        raise
    except (GatewrightError, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise FormatError(f"{path}: the description of the forecaster makes no sense: {shortened(error)}") from None


def _read(tensors: dict[str, Array], described: dict[str, Any], path: Any) -> SeriesForecaster:
    settings, names = Settings(**described["settings"]), distinct(described["columns"])
    if settings.window > files.MOST_STEPS:
        raise FormatError(f"{path}: window={settings.window}, the most is {files.MOST_STEPS}")
    scalers = tuple(Scaler(str(s["kind"]), float(s["mean"]), float(s["std"])) for s in described["scalers"])
    units, spread = (np.array(described[key], float) for key in ("units", "spread"))
    trending, gaps = (np.array(described[key], bool) for key in ("trending", "gaps"))
    outputs = settings.horizon + (0 if settings.linear else len(names) - 1)
    wrong = [
        scaler for scaler in scalers if scaler.kind not in SCALES or not np.isfinite(scaler.mean) or not 0 < scaler.std < np.inf
    ]
    if wrong or not np.isfinite(spread).all() or not (np.isfinite(units) & (units > 0)).all():
        raise FormatError(f"{path}: its scalers, units or intervals are impossible")
    beside = Beside.read(tensors, described["beside"], len(names), settings) if settings.linear else None
    count = 1 if beside is None else len(beside.series)
    sizes = (len(scalers), trending.shape, gaps.shape, units.shape, spread.shape)
    if sizes != (count * len(names), (len(names),), (len(names),), (outputs,), (2, settings.horizon)):
        raise FormatError(f"{path}: the description of the forecaster contradicts itself")
    members, network = [], {key: value for key, value in described.items() if key not in ("kind", "beside", "estimator")}
    for k in range(described["members"]):
        prefix = f"member{k}."
        own = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
        members.append(importers.build(own, network, path))
    seen = 2 * len(names) if beside is None else reading.features(len(names), int(beside.known.sum()), settings.horizon)
    if not members or not all(_made_by(settings, member, seen, outputs) for member in members):
        raise FormatError(f"{path}: its networks don't fit its settings, columns and horizon")
    made = SeriesForecaster(settings, names, scalers, units, trending, gaps, spread, tuple(members), described["date"])
    group = described.get("group")  # earlier files don't have it
    if not isinstance(made.date, str | None) or not isinstance(group, str | None) or (group is not None and beside is None):
        raise FormatError(f"{path}: the columns of its dates and series make no sense")
    level = described.get("level", LEVEL)
    if not is_number(level) or not 0 < level < 1:
        raise FormatError(f"{path}: got {shortened(repr(level))} as the level of its intervals")
    return dataclasses.replace(made, beside=beside, group=group, level=level)


def _made_by(settings: Settings, member: Model, seen: int, outputs: int) -> bool:
    """Whether a network is the one that the settings make; sizes first, for those of the settings are bounded by nothing."""
    first = member.network.children.get("0")
    sizes = (getattr(first, "hidden_size", None), getattr(first, "num_layers", None))
    return sizes == (settings.hidden, settings.layers) and member.network == settings.network(seen, outputs)
