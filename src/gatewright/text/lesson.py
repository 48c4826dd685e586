"""Training a language model: stretches of the text side by side, the held-out end scored after every epoch."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.model import Model
from gatewright.text.settings import TextSettings
from gatewright.training.callbacks import Callback, Info
from gatewright.training.optimizers import Adam
from gatewright.training.schedules import Clock

EPOCHS, UPDATES = 10, 3000  # where the settings say neither epochs nor minutes: so many epochs, and so many updates at least
ENDLESS = 10**9  # epochs, where minutes alone end the training
STRETCH = 20  # windows of text that are read from one fresh state
CLIP = 1.0  # the largest norm of a gradient


class Status(NamedTuple):
    """How far a training is, after an update or an epoch."""

    epoch: int  # finished
    epochs: int | None  # in all; None where minutes alone end it
    share: float  # of the whole training, 0 to 1
    symbols: int  # learned from so far
    seconds: float  # since the beginning
    scores: tuple[
        float, ...
    ]  # one an epoch: bits a character of the held-out text; where there is none, bits a symbol of the training


Watch = Callable[[Status], bool]  # whether to stop; after that it is called once more, with the last score


class Enough(Exception):
    """Ends a training between two updates: its time is up, or the watch says stop."""


def stretches(symbols: Array, settings: TextSettings) -> tuple[Array, Array]:
    """(x, y), both (R, T): stretches of a text (N,), of STRETCH windows or less, and the symbols that come next.

    They cover the whole text: neighbours overlap where R doesn't divide N - 1. Within a stretch the state is carried from
    window to window; each begins with a fresh one, as every text will that is read later. Networks that were trained with a
    state handed on without end gave nonsense, up to 10 bits a character, after a fresh one.
    """
    count = len(symbols) - 1
    rows = -(-count // (STRETCH * settings.window))
    length = -(-count // rows)
    at = np.linspace(0, count - length, rows).astype(int)[:, None] + np.arange(length)
    return symbols[at], symbols[at + 1]


class Lesson(Callback):
    """Follows a training: scores it, keeps the best weights, ends it when time is up or the watch says stop."""

    def __init__(self, settings: TextSettings, symbols: Array, score: Callable[[], float] | None, watch: Watch) -> None:
        """symbols (N,): the text to learn. score: bits a character of the held-out text, None where there is none."""
        self.settings, self.score, self.watch = settings, score, watch
        self.x, self.y = stretches(symbols, settings)
        rows, length = self.x.shape
        self.per_epoch = -(-rows // settings.batch) * -(-length // settings.window)  # updates
        self.limit = None if settings.minutes is None else settings.minutes * 60
        self.epochs = settings.epochs or (max(EPOCHS, -(-UPDATES // self.per_epoch)) if self.limit is None else ENDLESS)
        self.epoch = self.updates = 0
        self.scores: tuple[float, ...] = ()
        self.best: Array | None = None
        self.begin = time.perf_counter()

    def learn(self, model: Model) -> None:
        """Trains the model, which then has the best weights."""
        self.begin = time.perf_counter()
        try:
            model.fit(
                self.x, self.y, loss="cross_entropy", optimizer=Adam(self.settings.learning_rate), epochs=self.epochs,
                batch_size=self.settings.batch, tbptt=self.settings.window, clip_norm=CLIP, schedule=self.rate,
                callbacks=[self], verbose=False,
            )  # fmt: skip
        except Enough:
            if self.score is not None and self.updates % self.per_epoch:
                self._judge(model.parameters.flat, self.score())
                self.watch(self.status)
        if self.best is not None:
            with model.parameters.edit() as flat:
                flat[:] = self.best

    def rate(self, base: float, clock: Clock) -> float:
        """The learning rate: half a cosine from the base down to zero at the end of the training."""
        return float(0.5 * base * (1 + np.cos(np.pi * self.status.share)))

    @property
    def status(self) -> Status:
        """How far it is."""
        seconds = time.perf_counter() - self.begin
        share = self.updates / (self.epochs * self.per_epoch)
        if self.limit is not None:
            share = max(share, seconds / self.limit)
        symbols = round(self.updates / self.per_epoch * self.x.size)
        epochs = None if self.epochs == ENDLESS else self.epochs
        return Status(self.epoch, epochs, min(share, 1.0), symbols, seconds, self.scores)

    def on_update_end(self, info: Info) -> None:
        """Asks whether to go on; after the last update of an epoch `on_epoch_end` does."""
        self.updates = info.update
        if self.updates % self.per_epoch:
            self._ask()

    def on_epoch_end(self, info: Info) -> None:
        """Scores the epoch; where nothing is held out, by its training."""
        self.epoch = info.epoch
        self._judge(info.params.flat, info.logs["loss"] / math.log(2) if self.score is None else self.score())
        self._ask()

    def _judge(self, weights: Array, score: float) -> None:
        if self.score is not None and score <= min(self.scores, default=score):
            self.best = weights.copy()
        self.scores += (score,)

    def _ask(self) -> None:
        now = self.status
        if self.watch(now) or (self.limit is not None and now.seconds >= self.limit):
            raise Enough
