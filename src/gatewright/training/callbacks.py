"""Callbacks: what happens between epochs; and the History that they read.

Your own callback is a function of one `Info`, called after each epoch, or a subclass of Callback.
"""

import csv
import io
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from gatewright.checks import not_negative, true_or_false, whole_number
from gatewright.errors import OptionError
from gatewright.files import checked_path, write_bytes
from gatewright.parameters import Parameters
from gatewright.training.schedules import monitored, rises


def counted(number: int, noun: str) -> str:
    """A number of things: "1 epoch", "2 epochs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass
class History:
    """What training measured: `history["loss"]` or `.loss` is a list with one number an epoch.

    The keys are "loss" and the metrics (means over the epoch's batches, while the parameters changed and with dropout), the
    same after "val_" for the validation data (at the epoch's end, without dropout), and "learning_rate", that of the epoch's
    last update.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    stopped: str | None = None  # why training ended before its last epoch

    @property
    def epochs(self) -> list[int]:
        """The numbers of the finished epochs, from 1."""
        return list(range(1, len(self.history.get("loss", ())) + 1))

    @property
    def monitor(self) -> str:
        """What tells the best epoch: "val_loss" where there was validation, else "loss"."""
        return monitored(self.history, None)[0]

    @property
    def best_epoch(self) -> int | None:
        """The number of the epoch with the least val_loss (or loss), from 1; None before the first."""
        values = self.history.get(self.monitor)
        return int(np.argmin(values)) + 1 if values else None

    def __getitem__(self, name: str) -> list[float]:
        return list(self.history[name])

    def __getattr__(self, name: str) -> list[float]:
        try:
            return list(self.__dict__["history"][name])
        except KeyError:
            raise AttributeError(f"History has no {name!r}; it has: {', '.join(self.__dict__.get('history', ()))}") from None

    def __repr__(self) -> str:
        best = self.best_epoch
        if best is None:
            return "History(no epoch finished)"
        value = self.history[self.monitor][best - 1]
        ended = f", stopped: {self.stopped}" if self.stopped else ""
        return f"History({counted(len(self.epochs), 'epoch')}, best {self.monitor} {value:.6g} in epoch {best}{ended})"


@dataclass
class Info:
    """What a callback sees, and how it ends the training: `info.stop("reason")`."""

    params: Parameters
    history: History
    epochs: int  # epochs asked for
    epoch: int = 0  # epochs finished
    update: int = 0  # updates made

    @property
    def logs(self) -> dict[str, float]:
        """The numbers of the last finished epoch, by the keys of the history."""
        return {key: values[-1] for key, values in self.history.history.items() if values}

    def stop(self, reason: str) -> None:
        """Ends the training after this epoch."""
        self.history.stopped = reason


class Callback(ABC):
    """Something that happens after each epoch. What it remembers goes into the checkpoint by `state` and `load`."""

    def on_fit_begin(self, info: Info) -> None:
        """Before the first epoch, and before `load`: forget what an earlier training left."""
        return

    def on_update_end(self, info: Info) -> None:
        """After each update."""
        return

    @abstractmethod
    def on_epoch_end(self, info: Info) -> None:
        """After each epoch, its validation included."""

    def on_fit_end(self, info: Info) -> None:
        """After the last epoch, also one that ended the training early."""
        return

    def state(self) -> dict[str, Any]:
        """What to remember: JSON values and arrays, by name."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        return


CallbackLike: TypeAlias = Callback | Callable[[Info], Any]


class EachEpoch(Callback):
    """A function that the user wrote, called after each epoch."""

    def __init__(self, function: Callable[[Info], Any]) -> None:
        self.function = function

    def on_epoch_end(self, info: Info) -> None:
        self.function(info)


class EarlyStopping(Callback):
    """Ends the training when `monitor` did not improve by more than `min_delta` for `patience` epochs in a row.

    monitor: a key of the history; None is "val_loss" where there is validation, else "loss".
    mode: whether it is to fall ("min"), to rise ("max"), or by its name ("auto": accuracies rise).
    restore_best_weights: at the end, stopped early or not, the parameters of the best epoch come back.
    Raises OptionError for an impossible value, and where `fit` begins if the history has no key `monitor`.
    """

    def __init__(
        self,
        monitor: str | None = None,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best_weights: bool = True,
    ) -> None:
        whole_number("EarlyStopping: patience", patience)
        not_negative("EarlyStopping: min_delta", min_delta)
        true_or_false("EarlyStopping: restore_best_weights", restore_best_weights)
        rises(monitor or "loss", mode)
        self.monitor, self.patience, self.min_delta = monitor, patience, float(min_delta)
        self.mode, self.restore_best_weights = mode, restore_best_weights
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch, self.waited = 0, 0
        self.best_weights: Any = None

    def on_fit_begin(self, info: Info) -> None:
        self._forget()
        monitored(info.history.history, self.monitor)  # raises now, not after an epoch, where there is no such key

    def on_epoch_end(self, info: Info) -> None:
        key, values = monitored(info.history.history, self.monitor)
        value = -values[-1] if rises(key, self.mode) else values[-1]
        if self.best is None or value < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = value, info.epoch, 0
            if self.restore_best_weights:
                self.best_weights = info.params.flat.copy()
            return
        self.waited += 1
        if self.waited >= self.patience:
            waited = counted(self.waited, "epoch")
            info.stop(f"{key} was best in epoch {self.best_epoch} and has not improved in the {waited} since")

    def on_fit_end(self, info: Info) -> None:
        if self.best_weights is not None:
            with info.params.edit() as flat:
                flat[:] = self.best_weights

    def state(self) -> dict[str, Any]:
        kept = {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}
        return kept if self.best_weights is None else kept | {"best_weights": self.best_weights}

    def load(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
        self.best_weights = state.get("best_weights")

    def __repr__(self) -> str:
        options = (self.monitor, self.patience, self.min_delta, self.mode, self.restore_best_weights)
        return f"EarlyStopping{options!r}"


class CSVLogger(Callback):
    """Writes the history to a CSV file after each epoch: one line an epoch, the whole file at once, so it is never half.

    path: of the file, in a folder that is there; MissingFileError otherwise, or OSError, after the first epoch.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = checked_path(path)

    def on_epoch_end(self, info: Info) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *info.history.history])
        writer.writerows(zip(info.history.epochs, *info.history.history.values(), strict=True))
        write_bytes(self.path, text.getvalue().encode())


class JSONLogger(Callback):
    """Writes the history to a JSON file after each epoch: {"epoch": [1, …], "loss": […], …}, the whole file at once.

    A number that is not finite becomes null. path: of the file, in a folder that is there; MissingFileError otherwise, or
    OSError, after the first epoch.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = checked_path(path)

    def on_epoch_end(self, info: Info) -> None:
        columns = {k: [v if math.isfinite(v) else None for v in values] for k, values in info.history.history.items()}
        text = json.dumps({"epoch": info.history.epochs, **columns}, indent=1)
        write_bytes(self.path, text.encode())


def get(callback: Any) -> Callback:
    """The callback that is meant: a Callback, or a function of one Info. Raises OptionError for anything else."""
    if isinstance(callback, Callback):
        return callback
    if isinstance(callback, type) or not callable(callback):
        raise OptionError(f"callbacks: got {callback!r}, wanted a callback such as gw.EarlyStopping(), or a function of (info)")
    return EachEpoch(callback)
