"""Forecaster: series in, what comes next out, with intervals."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gatewright import checks, files
from gatewright.arrays import Array
from gatewright.errors import DataError, FormatError, GatewrightError, OptionError, one_of, shortened
from gatewright.estimators import panels
from gatewright.estimators.panels import Panel
from gatewright.forecasting import choices, forecaster, settings
from gatewright.forecasting.forecaster import Forecasts
from gatewright.forecasting.origins import Backtest, Folds, backtest
from gatewright.forecasting.settings import Settings

INTERVALS = ("conformal",)
SEEDS = 2**31 - 1


class Forecaster(BaseEstimator):  # type: ignore[misc]
    """Forecasts one series or many, as a scikit-learn estimator; needs scikit-learn (`gatewright[sklearn]`).

    It begins at a linear path, the weighted mean of autoregressions and exponential smoothing, and goes from there towards what
    a committee of recurrent networks says, as far as that serves blocks of the training rows that they have not learned. Many
    series share one model and have a scaler each.

    horizon: steps ahead, forecast all at once.

    What it sees. season: its period in rows, 1 for none; "auto": found in the training rows. scale: what is done to y first,
    "standard" (nothing but mean and deviation), "sqrt", "log" or "none"; "auto": log where all is above zero and within a
    factor of ten or the unrest grows with the level, else sqrt, and standard where there are negative values. window: the rows
    that a network sees; "auto": two seasons, within bounds.

    The networks. cell: "gru", "lstm" or "rnn". hidden_size: units a layer. num_layers: layers on top of each other. ensemble:
    networks, each of which leaves out another block of the rows. epochs: times that a network sees all rows; "auto": as many,
    up to 200, as forecast the left-out blocks best. learning_rate: of Adam. random_state: of the initial weights and of the
    order of what is learned.

    The rest. intervals: "conformal", from the errors on the blocks that a network has not learned (Barber, Candès, Ramdas &
    Tibshirani 2021). level: what share of the future the intervals are to hold. verbose: tell of every tenth epoch.

    Fitted: season_, scale_ and window_, what "auto" found; n_iter_, the epochs of the networks that are used (0: the linear
    path alone does better); share_, how far it goes towards the networks, from 0 to 1; loss_curve_, the training
    loss of each epoch, mean of the networks; series_, the names of the series; n_features_in_, the columns of X, and
    feature_names_in_, where X was a frame; forecaster_, the engine's forecaster.
    """

    def __init__(
        self,
        horizon: int = 12,
        *,
        season: int | str = "auto",
        scale: str = "auto",
        window: int | str = "auto",
        cell: str = "gru",
        hidden_size: int = 8,
        num_layers: int = 1,
        ensemble: int = 5,
        epochs: int | str = "auto",
        learning_rate: float = 0.01,
        intervals: str = "conformal",
        level: float = 0.9,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.horizon, self.season, self.scale, self.window = horizon, season, scale, window
        self.cell, self.hidden_size, self.num_layers, self.ensemble = cell, hidden_size, num_layers, ensemble
        self.epochs, self.learning_rate, self.intervals, self.level = epochs, learning_rate, intervals, level
        self.random_state, self.verbose = random_state, verbose

    def fit(self, y: Any, X: Any = None, *, ids: Any = None, known: Any = ()) -> Self:
        """Learns from the series y and the columns X beside it.

        y: (T,), NaN where a value is missing; {name: (T_i,)} or a list of (T_i,) for many series; or all of them in one column
        (N,), rows in the order of time, with ids (N,), the name of each row's series. X: exogenous columns (T, K), in the same
        form as y, frames too. known: those columns of X, by name or place, whose future is known when it comes to forecasts.

        On Ctrl-C it keeps the networks that are finished, or the one at hand, is fitted, and KeyboardInterrupt goes on. Raises
        ShapeError, DataError or OptionError, all ValueErrors.
        """
        self._check()
        panel = panels.read(y, X, ids)
        ahead = panels.places(known, panel.columns)
        self._fit(panel, ahead)
        return self

    def predict(self, y: Any = None, X: Any = None, *, ids: Any = None, future: Any = None) -> Array:
        """The forecasts of the next H steps, (H,), or (n, H) of many series; in a log or square root scale, their medians.

        y, X, ids: the series up to now, as in `fit`, of names that it knows; None: those of `fit`. future: the known columns
        in the next H steps, (H, K), by name or in the order of X; {name: (H, K)} or a list of them for many series, where one
        table serves all. Raises as `fit` does.
        """
        return self.predict_interval(y, X, ids=ids, future=future).mean

    def predict_interval(
        self, y: Any = None, X: Any = None, *, ids: Any = None, future: Any = None, level: float | None = None
    ) -> Forecasts:
        """(mean, lower, upper), each as `predict` gives it; between the bounds lies `level` of the future (None: as set).

        The rest is as in `predict`.
        """
        check_is_fitted(self, "forecaster_")
        level = self.level if level is None else level
        _check_level(level)
        panel = self._panel if y is None else self._read(y, X, ids)
        if y is None and X is not None:
            raise DataError("X: got columns without y; give both, the series up to now, or future for the steps to come")
        if y is None and ids is not None:
            raise DataError("ids: got names without y; give both, all series up to now in one column")
        coming = self._future(panel, future)
        told = [
            self.forecaster_.forecasts(np.concatenate([values, coming[name]]), np.array([len(values) - 1]), number, level)
            for name, values, number in ((name, panel.series[name], self._number(name)) for name in panel.series)
        ]
        parts = (np.concatenate(part) for part in zip(*told, strict=True))
        return Forecasts(*(part[0] if panel.alone else part for part in parts))

    def backtest(
        self,
        y: Any,
        X: Any = None,
        *,
        ids: Any = None,
        known: Any = (),
        folds: int = 5,
        step: int | None = None,
        refit: bool = True,
    ) -> Backtest:
        """How well it would have forecast the last rows: a new forecaster with these parameters, at rolling origins.

        y, X, ids, known: as in `fit`. folds: times that it learns, each time from all rows up to then. step: rows from one to
        the next (None: the horizon); forecasts are made at every one of them, from what was known at the time. refit=False
        learns only once, before the first. Raises as `fit` does.
        """
        self._check()
        panel = panels.read(y, X, ids)
        ahead = panels.places(known, panel.columns)
        step = self.horizon if step is None else step
        checks.whole_number("folds", folds)
        checks.whole_number("step", step)
        checks.true_or_false("refit", refit)

        def learn(series: dict[str, Array]) -> forecaster.SeriesForecaster:
            maker = type(self)(**self.get_params())
            maker._fit(panel._replace(series=series), ahead)
            made: forecaster.SeriesForecaster = maker.forecaster_
            return made

        return backtest(panel.series, learn, Folds(folds, step, self.horizon, refit), self.level)

    # --- files

    def save(self, path: Any) -> None:
        """Writes it, with the series that it has seen, into one safetensors file; `gw.Forecaster.load` reads it."""
        check_is_fitted(self, "forecaster_")
        given = {name: value for name, value in self.get_params().items() if name != "random_state"}
        told = {
            "parameters": given, "alone": self._panel.alone, "named": self._panel.named, "n_iter": self.n_iter_,
            "loss_curve": self.loss_curve_,
        }  # fmt: skip
        history = {f"history{k}": values for k, values in enumerate(self._panel.series.values())}
        self.forecaster_.save(path, history, {"estimator": json.loads(json.dumps(told, default=np.generic.item))})

    @classmethod
    def load(cls, path: Any) -> "Forecaster":
        """The forecaster in a file that `save` wrote; random_state is not kept.

        Raises MissingFileError, or FormatError for a file that is truncated, foreign, or a forecaster of another make.
        """
        made = forecaster.load(path)
        tensors, described = files.load(path)
        if made.beside is None or "estimator" not in described:
            raise FormatError(f"{path}: a forecaster, but not one that gw.Forecaster wrote: {files.MORE['forecaster']}")
        try:
            told = described["estimator"]
            read = cls(**told["parameters"])
            read._check()
            history = {name: tensors[f"history{k}"].astype(float) for k, name in enumerate(made.beside.series)}
            _check_history(history, made)
            panel = Panel(history, made.names[1:], bool(told["alone"]), bool(told["named"]))
            read._learned(panel, made, int(told["n_iter"]), [float(loss) for loss in told["loss_curve"]])
        except (GatewrightError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FormatError(f"{path}: the description of the forecaster makes no sense: {shortened(error)}") from None
        return read

    # --- the steps

    def _check(self) -> None:
        """Raises OptionError for impossible parameters."""
        for option, name in (("horizon", "horizon"), ("cell", "cell"), ("ensemble", "ensemble"), ("learning_rate",) * 2):
            settings.check(option, getattr(self, name))
        settings.check("hidden", self.hidden_size, "hidden_size")
        settings.check("layers", self.num_layers, "num_layers")
        for option in ("season", "scale", "window", "epochs"):
            got = getattr(self, option)
            if not isinstance(got, str) or got != "auto":
                settings.check(option, got if got is not None else "None", f"{option} (or 'auto')")
        if self.intervals not in INTERVALS:
            raise one_of("intervals", self.intervals, INTERVALS)
        _check_level(self.level)
        checks.true_or_false("verbose", self.verbose)

    def _fit(self, panel: Panel, ahead: tuple[int, ...]) -> None:
        series = {name: choices.begun(values) for name, values in panel.series.items()}
        names = (panels.target_among(panel.columns), *panel.columns)
        choices.check(series, names, self.horizon)
        chosen = self._settings(series)
        known = tuple(panel.columns[place] for place in ahead)
        with _interruptible(bool(self.verbose)) as watch:
            made, learned = forecaster.fit_many(series, names, known, chosen, watch)
        losses = [np.mean(each) for each in zip(*learned.losses, strict=False)]
        self._learned(panel._replace(series=series), made, learned.epoch, [float(loss) for loss in losses])
        if learned.interrupted:
            raise KeyboardInterrupt

    def _settings(self, series: dict[str, Array]) -> Settings:
        """The engine's settings for series; "auto" is decided here."""
        asked: list[Any] = [None if got == "auto" else got for got in (self.season, self.scale, self.window)]
        return Settings(
            cell=self.cell, hidden=self.hidden_size, layers=self.num_layers, horizon=self.horizon, ensemble=self.ensemble,
            epochs=None if self.epochs == "auto" else int(self.epochs), learning_rate=self.learning_rate, linear=True,
            seed=int(check_random_state(self.random_state).randint(SEEDS)),
            **choices.chosen([values[:, 0] for values in series.values()], *asked)._asdict(),
        )  # fmt: skip

    def _learned(self, panel: Panel, made: forecaster.SeriesForecaster, epochs: int, losses: list[float]) -> None:
        """What the estimator tells once it is fitted."""
        assert made.beside is not None
        self._panel, self.forecaster_ = panel, made
        self.season_, self.scale_, self.window_ = made.settings.season, made.settings.scale, made.settings.window
        self.series_, self.share_, self.n_iter_, self.loss_curve_ = list(panel.series), made.beside.share, epochs, losses
        self.n_features_in_ = len(panel.columns)
        if panel.named:
            self.feature_names_in_ = np.array(panel.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _read(self, y: Any, X: Any, ids: Any) -> Panel:
        """New data, which have to be of the columns of `fit`."""
        panel = panels.read(y, X, ids)
        if len(panel.columns) != self.n_features_in_:
            raise DataError(f"X: got {len(panel.columns)} columns, wanted the {self.n_features_in_} of fit")
        if panel.named and self._panel.named and panel.columns != self._panel.columns:
            raise DataError(
                f"X: got the columns {', '.join(panel.columns)}; wanted those of fit: {', '.join(self._panel.columns)}"
            )
        for name, values in panel.series.items():
            if np.isnan(values[:, 0]).all():
                raise DataError(f"y: series {name!r} has no numbers, only missing values")
        return panel._replace(series={name: choices.begun(values) for name, values in panel.series.items()})

    def _future(self, panel: Panel, given: Any) -> dict[str, Array]:
        """{name: (H, 1 + K)} the rows to come: NaN but for the known columns."""
        beside = self.forecaster_.beside
        assert beside is not None
        names = [name for name, known in zip(self.forecaster_.names, beside.known, strict=True) if known]
        coming = {name: np.full((self.forecaster_.settings.horizon, len(beside.known)), np.nan) for name in panel.series}
        if not names and given is not None:
            raise DataError("future: got rows to come, but fit was told of no known columns")
        if names:
            panel = panel._replace(named=self._panel.named)
            for name, table in panels.future(given, tuple(names), panel, self.forecaster_.settings.horizon).items():
                coming[name][:, beside.known] = table
        return coming

    def _number(self, name: str) -> int:
        """The place of a series among those that were learned; one alone is the one that was learned alone."""
        if name in self.series_:
            return self.series_.index(name)
        if name == panels.ALONE and len(self.series_) == 1:
            return 0
        known = ", ".join(self.series_[:5]) + (" …" if len(self.series_) > 5 else "")
        raise DataError(shortened(f"y: got the series {name!r}, which fit has not seen; it knows {known}"))


def _check_level(level: Any) -> None:
    """Raises OptionError unless level is a share between 0 and 1."""
    if not checks.is_number(level) or not 0 < level < 1:
        raise OptionError(f"level: got {level!r}, wanted a number between 0 and 1")


def _check_history(history: dict[str, Array], made: forecaster.SeriesForecaster) -> None:
    """Raises FormatError for series in a file that its forecaster can't have learned from."""
    if any(values.ndim != 2 or values.shape[1] != len(made.names) for values in history.values()):
        raise FormatError("its series don't fit its columns")
    if any(np.isnan(values[:, :1]).all() or np.isinf(values).any() for values in history.values()):
        raise FormatError("a series of it has no numbers, or infinity")
    longest = max(map(len, history.values()))
    if made.settings.window >= longest:
        raise FormatError(f"its window is {made.settings.window}, and its longest series has {longest} rows")


@contextmanager
def _interruptible(verbose: bool) -> Iterator[Any]:
    """A watch for the engine: it tells of every tenth epoch, and its first Ctrl-C ends the training after the epoch."""
    pressed: list[int] = []

    def stop(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def watch(member: int, epoch: int, loss: float) -> bool:
        if verbose and epoch % 10 == 0:
            print(f"network {member}, epoch {epoch}: loss {loss:.4g}", flush=True)
        return bool(pressed)

    ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, stop)
    try:
        yield watch
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
