"""A committee of networks: each learns all of the training rows but one block, and is judged on that block.

Leaving a different block out of each member's loss (Krogh & Vedelsby 1995) gives three things for one price: members that
differ, the number of epochs that forecasts unseen years best, and residuals of unseen years for the intervals (the CV+ of
Barber, Candès, Ramdas & Tibshirani 2021).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.forecasting import windows
from gatewright.forecasting.settings import MOST_EPOCHS, Settings
from gatewright.model import Model
from gatewright.training.callbacks import Info
from gatewright.training.optimizers import Adam

BLOCKS = 5  # at least: a committee of one or two leaves out a fifth of the training rows, not all or half of them
EVERY = 10  # epochs from one judgement on its block to the next
ROUNDS = 4  # times that the fills of missing values are made anew while a member learns
BATCH = 64  # windows to an update
CLIP = 1.0  # the largest norm of a gradient
SETTLING = 3  # a third of every window only brings the state into swing: no loss there
OVERLAP = 6  # a window begins every W / 6 rows
PREDICT = 2048  # windows to a prediction

Watch = Callable[[int, int, float], bool]  # (member from 1, epoch from 1, loss) -> whether to stop


class Task(NamedTuple):
    """What a committee learns."""

    values: Array  # (T, C) scaled training rows, NaN where missing
    units: Array  # (O,) of the outputs
    view: windows.View
    settings: Settings


class Check(NamedTuple):
    """A member on the block that it does not learn, after an epoch."""

    epoch: int
    errors: Array  # (N, H) in units of the outputs, NaN where a target is missing or outside the block
    weights: Array  # the member's flat parameters


class Member(NamedTuple):
    """A trained network and how it came about."""

    model: Model
    losses: list[float]  # of every epoch
    checks: list[Check]


class Committee(NamedTuple):
    """Members that have all learned for the same number of epochs."""

    models: tuple[Model, ...]
    epoch: int
    residuals: Array  # (N, H) true minus forecast on the blocks, in units of the outputs, NaN where there is none
    losses: list[list[float]]  # a list a member, one number an epoch
    checks: list[list[tuple[int, float]]]  # a list a member of (epoch, score on its block)
    pooled: list[tuple[int, float]]  # (epoch, score of all members on their blocks)
    interrupted: bool = False


def at_last(model: Model, x: Array) -> Array:
    """(B, O): the outputs at the last step of windows (B, W, F)."""
    last: Array = model.predict(x.astype(np.float32), batch_size=PREDICT)[:, -1].astype(float)
    return last


def train(task: Task, watch: Watch) -> Committee:
    """Trains the members one after the other and brings them together.

    If `watch` says stop, the members that are finished are the committee, or, if none is, the one at hand at its best.
    """
    members: list[Member] = []
    for number in range(task.settings.ensemble):
        member, stopped = train_member(task, number, watch)
        if not stopped or not members:
            members.append(member)
        if stopped:
            return together(members, None)._replace(interrupted=True)
    return together(members, task.settings.epochs)


def mean_square(errors: Array) -> float:
    """The mean square of errors, NaN left out: 1 is persistence's; infinite where there is none."""
    known = errors[~np.isnan(errors)]
    return float(known @ known) / len(known) if len(known) else np.inf


def together(members: list[Member], epochs: int | None) -> Committee:
    """The committee of these members after some epochs; None: as many as forecast their blocks best."""
    checks = list(zip(*(member.checks for member in members), strict=False))  # those that every member has
    pooled = [mean_square(np.concatenate([check.errors for check in each])) for each in checks]
    best = int(np.argmin(pooled)) if epochs is None else [each[0].epoch for each in checks].index(epochs)
    for member in members:
        with member.model.parameters.edit() as flat:
            flat[:] = member.checks[best].weights
    return Committee(
        tuple(member.model for member in members),
        members[0].checks[best].epoch,
        -np.concatenate([member.checks[best].errors for member in members]),
        [member.losses for member in members],
        [[(check.epoch, mean_square(check.errors)) for check in member.checks] for member in members],
        [(check.epoch, score) for (check, *_), score in zip(checks, pooled, strict=True)],
    )


def _block(rows: int, number: int, members: int) -> tuple[int, int]:
    """The rows [from, to) that a member leaves out: the last block first."""
    blocks = max(members, BLOCKS)
    edges = np.linspace(1, rows, blocks + 1).astype(int)
    place = blocks - 1 - number
    return int(edges[place]), int(edges[place + 1])


def _masked_squares(pred: Array, target: Array) -> tuple[Array, Array]:
    """Weighted squared errors and their gradient; target is (B, W, 2 O): the values, then their weights (0: no loss)."""
    value, weight = np.split(target, 2, axis=-1)
    d = pred - value
    return weight * d * d, 2 * weight * d


class _Lesson(NamedTuple):
    """What a member learns from, and what it is judged by."""

    ends: Array  # (B,) the last rows of the windows that it learns from
    weight: Array  # (T, O) 1 where a target is known and not left out
    held: Array  # (N,) the last rows of the windows that end before a target in its block
    judged: Array  # (N, H) bool: whether that target is in the block, and known


def _lesson(task: Task, number: int) -> _Lesson:
    rows, length, horizon = len(task.values), task.settings.window, task.settings.horizon
    known = ~np.isnan(windows.increments(task.values, np.zeros_like(task.values), horizon))
    ahead = np.ones(known.shape[1], int)
    ahead[:horizon] = np.arange(1, horizon + 1)
    when = np.arange(rows)[:, None] + ahead  # (T, O) the row of each target
    start, stop = _block(rows, number, task.settings.ensemble)
    left_out = (when >= start) & (when < stop)
    judged = (known & left_out)[:, :horizon]
    held = np.flatnonzero(judged.any(axis=1))
    ends = np.arange(rows - 2, -1, -max(1, length // OVERLAP))[::-1]
    return _Lesson(ends, (known & ~left_out).astype(float), held, judged[held])


def train_member(task: Task, number: int, watch: Watch) -> tuple[Member, bool]:
    """(the member of a number from 0, whether it was stopped)."""
    settings, lesson = task.settings, _lesson(task, number)
    columns = task.values.shape[1]
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    model = Model(settings.network(2 * columns, len(task.units)), seed=seed)
    member = Member(model, [], [])
    epochs = settings.epochs or MOST_EPOCHS
    gaps = bool(np.isnan(task.values).any())
    filled = windows.begun(task.values)
    for part in np.array_split(np.arange(epochs), min(ROUNDS, epochs) if gaps else 1):
        if gaps:
            filled = windows.fill(task.values, filled, task.view, lambda x: at_last(model, x))
        if _learn(task, lesson, member, filled, (number, len(part), watch)):
            return member, True
    return member, False


def _learn(task: Task, lesson: _Lesson, member: Member, filled: Array, how: tuple[int, int, Watch]) -> bool:
    """Some epochs with gaps filled in one way; whether the watch said stop."""
    settings, length = task.settings, task.view.length
    number, epochs, watch = how
    x = windows.inputs(filled, np.isnan(task.values), task.view)
    y = windows.increments(task.values, filled, settings.horizon) / task.units
    targets, held = _targets(y, lesson, length), windows.windows(x, lesson.held, length)
    first = len(member.losses)

    def after(info: Info) -> None:
        epoch = first + info.epoch
        member.losses.append(info.logs["loss"])
        stop = watch(number + 1, epoch, member.losses[-1])
        if epoch % EVERY == 0 or stop or epoch == (settings.epochs or MOST_EPOCHS):
            errors = at_last(member.model, held)[:, : settings.horizon] - y[lesson.held, : settings.horizon]
            errors[~lesson.judged] = np.nan
            member.checks.append(Check(epoch, errors, member.model.parameters.flat.copy()))
        if stop:
            info.stop("interrupted")

    history = member.model.fit(
        windows.windows(x, lesson.ends, length).astype(np.float32), targets, loss=_masked_squares, epochs=epochs,
        optimizer=Adam(settings.learning_rate), batch_size=BATCH, clip_norm=CLIP, callbacks=[after], verbose=False,
    )  # fmt: skip
    return history.stopped is not None


def _targets(y: Array, lesson: _Lesson, length: int) -> Array:
    """(B, W, 2 O) float32: targets and weights, the weights with mean 1 so that the loss is the mean over what is learned."""
    weight = windows.windows(windows.padded(lesson.weight, length, 0.0), lesson.ends, length)
    weight[:, : length // SETTLING] = 0
    weight *= weight.size / max(float(weight.sum()), 1.0)
    value = windows.windows(windows.padded(np.where(lesson.weight > 0, y, 0), length, 0.0), lesson.ends, length)
    return np.concatenate([value, weight], axis=-1).astype(np.float32)
