"""Schedules: how the learning rate changes while training goes on.

A schedule is called with the base learning rate (that of the optimizer, or of a group) and a `Clock`, and gives the rate
to use; it remembers nothing. Your own schedule is any function `(learning_rate, clock) -> learning_rate`; it is asked
before each update.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from gatewright.checks import fraction, not_negative, positive, whole_number
from gatewright.errors import OptionError, one_of


class Clock(NamedTuple):
    """What a schedule may look at."""

    update: int  # updates made before this one
    epoch: int  # epochs finished
    history: Mapping[str, Sequence[float]]  # History.history so far: one number for each finished epoch


ScheduleLike: TypeAlias = Callable[[float, Clock], float]

PER = ("epoch", "update")
SMALLEST_CHANGE = 1e-8  # of a learning rate; eps of torch.optim.lr_scheduler.ReduceLROnPlateau


@dataclass(frozen=True)
class Schedule(ABC):
    """A schedule of its own unit of time: `per="epoch"` counts finished epochs, `per="update"` finished updates."""

    per: str = field(default="epoch", kw_only=True)

    def __post_init__(self) -> None:
        if self.per not in PER:
            raise one_of(f"{type(self).__name__}: per", self.per, PER)

    def __call__(self, learning_rate: float, clock: Clock) -> float:
        """The learning rate to use, from the base `learning_rate`, at the time that `clock` shows."""
        return self.at(learning_rate, clock.epoch if self.per == "epoch" else clock.update, clock)

    @abstractmethod
    def at(self, learning_rate: float, t: int, clock: Clock) -> float:
        """The learning rate at time t of the schedule's own unit."""


@dataclass(frozen=True)
class StepDecay(Schedule):
    """η = η₀ f^⌊t / n⌋ at time t: times `factor` after each `every` epochs (or updates); every=1: exponential.

    As `torch.optim.lr_scheduler.StepLR`. every: n, a whole number from 1 up. factor: f, above 0. per: the unit of t. Raises
    OptionError for an impossible value.
    """

    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("StepDecay: every", self.every)
        positive("StepDecay: factor", self.factor)

    def at(self, learning_rate: float, t: int, clock: Clock) -> float:
        return float(learning_rate * self.factor ** (t // self.every))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the base rate down to `minimum` in `total` epochs (or updates); stays there afterwards.

    η = m + ½ (η₀ - m) (1 + cos(π t / n)) (Loshchilov & Hutter 2017, eq. 5), as
    `torch.optim.lr_scheduler.CosineAnnealingLR` up to `total`. total: n, a whole number from 1 up. minimum: m, from 0 up.
    per: the unit of t. Raises OptionError for an impossible value.
    """

    total: int
    minimum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("Cosine: total", self.total)
        not_negative("Cosine: minimum", self.minimum)

    def at(self, learning_rate: float, t: int, clock: Clock) -> float:
        part = min(t, self.total) / self.total
        return self.minimum + (learning_rate - self.minimum) * (1 + math.cos(math.pi * part)) / 2


@dataclass(frozen=True)
class Warmup(Schedule):
    """A straight rise from `start` times the base rate to all of it in `length` updates (or epochs), and `then` the next.

    η = η₀ (s + (1 - s) t / n) until t = n (Goyal et al. 2017), as `torch.optim.lr_scheduler.LinearLR`. length: n, a
    whole number from 1 up. start: s, from 0 to below 1. per: the unit of t. then: a schedule, or a function of (rate, clock);
    its clock begins where the warm-up ends, in the warm-up's unit. Raises OptionError for an impossible value.
    """

    length: int
    then: ScheduleLike | None = None
    start: float = 1 / 3
    per: str = field(default="update", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("Warmup: length", self.length)
        fraction("Warmup: start", self.start)
        if self.then is not None and not callable(self.then):
            raise OptionError(f"Warmup: then: got {self.then!r}, wanted a schedule")

    def at(self, learning_rate: float, t: int, clock: Clock) -> float:
        if t < self.length:
            return learning_rate * (self.start + (1 - self.start) * t / self.length)
        if self.then is None:
            return learning_rate
        later = clock._replace(epoch=t - self.length) if self.per == "epoch" else clock._replace(update=t - self.length)
        return self.then(learning_rate, later)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """η ← max(f η, minimum) whenever `monitor` did not improve for more than `patience` epochs; f is `factor`.

    As `torch.optim.lr_scheduler.ReduceLROnPlateau`: a rate is never raised, and stays where the change would be 1e-8 or less;
    an improvement is one by more than `threshold`, relative to the best; after a reduction, `cooldown` epochs are not
    counted. Unlike torch, a negative best is to be passed too: by threshold |best|, where torch's limit, best
    (1 - threshold), lies on the wrong side of it and a loss that stands still would improve for ever.
    `monitor` is a key of the history, by default "val_loss" where there is validation, else "loss"; `mode` says whether it is
    to fall ("min"), to rise ("max"), or by its name ("auto").
    Per epoch always: it reads the finished epochs, so that it needs no memory of its own. Raises OptionError for an
    impossible value, and where `fit` begins if the history has no key `monitor`.
    """

    factor: float = 0.1
    patience: int = 10
    monitor: str | None = None
    mode: str = "auto"
    threshold: float = 1e-4
    cooldown: int = 0
    minimum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per != "epoch":
            raise OptionError("ReduceOnPlateau: per='update'; what it monitors is measured once an epoch: wanted per='epoch'")
        fraction("ReduceOnPlateau: factor", self.factor)
        whole_number("ReduceOnPlateau: patience", self.patience, 0)
        whole_number("ReduceOnPlateau: cooldown", self.cooldown, 0)
        not_negative("ReduceOnPlateau: threshold", self.threshold)
        not_negative("ReduceOnPlateau: minimum", self.minimum)
        rises(self.monitor or "loss", self.mode)

    def at(self, learning_rate: float, t: int, clock: Clock) -> float:
        key, values = monitored(clock.history, self.monitor)
        sign = -1.0 if rises(key, self.mode) else 1.0
        best, bad, cooldown = math.inf, 0, 0
        for value in values:
            limit = best * (1 - math.copysign(self.threshold, best)) if math.isfinite(best) else best
            if sign * value < limit:
                best, bad = sign * value, 0
            else:
                bad += 1
            if cooldown > 0:
                cooldown, bad = cooldown - 1, 0
            if bad > self.patience:
                lower = max(learning_rate * self.factor, self.minimum)
                learning_rate = lower if learning_rate - lower > SMALLEST_CHANGE else learning_rate
                cooldown, bad = self.cooldown, 0
        return learning_rate


def monitored(history: Mapping[str, Sequence[float]], monitor: str | None) -> tuple[str, Sequence[float]]:
    """The key and the values that `monitor` means; None is "val_loss" where there is validation, else "loss".

    Raises OptionError for a key that the history does not have.
    """
    if monitor is None:
        monitor = "val_loss" if "val_loss" in history else "loss"
    if history and monitor not in history:
        raise one_of("monitor", monitor, history)
    return monitor, history.get(monitor, ())


def rises(key: str, mode: str) -> bool:
    """Whether a better `key` is a larger one: said by `mode` "max" or "min", or by the key itself ("auto")."""
    if mode not in ("auto", "min", "max"):
        raise one_of("mode", mode, ("auto", "min", "max"))
    return mode == "max" or (mode == "auto" and key.endswith("accuracy"))


def check(schedule: Any) -> ScheduleLike | None:
    """`schedule` itself, if it is None or can be called. Raises OptionError."""
    if schedule is not None and (isinstance(schedule, type) or not callable(schedule)):
        raise OptionError(
            f"schedule: got {schedule!r}, wanted a schedule such as gw.Cosine(20), or a function of (rate, clock)"
        )
    result: ScheduleLike | None = schedule
    return result
