"""What an estimator tells while it learns, and how it is asked to stop."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from gatewright.training.callbacks import Callback, History, Info


class Stage(NamedTuple):
    """How far the training is."""

    epoch: int  # epochs finished
    epochs: int  # that there are at most
    share: float  # of them all, from 0 to 1
    sequences: int  # learned from so far, each as often as it was seen
    seconds: float
    score: float | None  # after the last epoch, on what was set aside to stop by
    history: History  # the losses of the epochs that are finished


Watch = Callable[[Stage], bool]  # called after every update and epoch; True: stop


class Watched(Callback):
    """Calls a watch, and stops the training as Ctrl-C does: the best weights so far come back."""

    def __init__(self, watch: Watch, scores: list[float] | None, rows: int, batch_size: int) -> None:
        """scores: one an epoch, or None; rows: sequences in an epoch."""
        self.watch, self.scores, self.rows, self.batch_size = watch, scores, rows, batch_size
        self.begin = time.perf_counter()

    def on_update_end(self, info: Info) -> None:
        self._tell(info)

    def on_epoch_end(self, info: Info) -> None:
        self._tell(info)

    def _tell(self, info: Info) -> None:
        done = info.update - info.epoch * math.ceil(self.rows / self.batch_size)  # updates in this epoch
        seen = info.epoch * self.rows + min(done * self.batch_size, self.rows)
        score, seconds = self.scores[-1] if self.scores else None, time.perf_counter() - self.begin
        share = seen / (info.epochs * self.rows)
        if self.watch(Stage(info.epoch, info.epochs, share, seen, seconds, score, info.history)):
            raise KeyboardInterrupt
