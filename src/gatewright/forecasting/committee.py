"""A committee of networks: each learns all of the training rows but one block, and is judged on that block.

Leaving a different block out of each member's loss (Krogh & Vedelsby 1995) gives three things for one price: members that
differ, the number of epochs that forecasts unseen years best, and residuals of unseen years for the intervals (the CV+ of
Barber, Candès, Ramdas & Tibshirani 2021).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.forecasting import mixture, reading, windows
from gatewright.forecasting.settings import MOST_EPOCHS, Settings
from gatewright.model import Model
from gatewright.training.callbacks import Info
from gatewright.training.optimizers import Adam

BLOCKS = 5  # at least: a committee of one or two leaves out a fifth of the training rows, not all or half of them
EVERY = 10  # epochs from one judgement on its block to the next
TRENDING = 0.5  # of the share, where the target has a trend
ROUNDS = 4  # times that the fills of missing values are made anew while a member learns
BATCH = 64  # windows to an update
CLIP = 1.0  # the largest norm of a gradient
SETTLING = 3  # a third of every window only brings the state into swing: no loss there
PATIENCE = 8  # checks without a better one, after which a member beside a linear path stops
OVERLAP = 6  # a window begins every W / 6 rows
PREDICT = 2048  # windows to a prediction

Watch = Callable[[int, int, float], bool]  # (member from 1, epoch from 1, loss) -> whether to stop


class Task(NamedTuple):
    """What a committee learns."""

    series: tuple[Array, ...]  # (T_i, C) each: scaled training rows, NaN where missing
    units: Array  # (O,) of the outputs
    view: windows.View
    settings: Settings
    plan: mixture.Plan | None = None  # of the linear path beside the networks; None: there is none


class Check(NamedTuple):
    """A member on the block that it does not learn, after an epoch."""

    epoch: int
    told: Array  # (N, H) what it says before its block, less what a linear path says, in units of the outputs
    errors: Array  # (N, H) in units of the outputs, NaN where a target is missing or outside the block
    weights: Array  # the member's flat parameters


class Member(NamedTuple):
    """A trained network and how it came about."""

    model: Model
    losses: list[float]  # of every epoch
    checks: list[Check]
    path: mixture.Path | None = None
    owners: Array | None = None  # (N,) the number of the series that an error is of


class Committee(NamedTuple):
    """Members that have all learned for the same number of epochs."""

    models: tuple[Model, ...]
    epoch: int
    residuals: Array  # (N, H) true minus forecast on the blocks, in units of the outputs, NaN where there is none
    losses: list[list[float]]  # a list a member, one number an epoch
    checks: list[list[tuple[int, float]]]  # a list a member of (epoch, score on its block)
    pooled: list[tuple[int, float]]  # (epoch, score of all members on their blocks)
    share: float = 1.0  # of the way from the path's forecast to the networks'
    owners: Array | None = None  # (N,) the number of the series that a residual is of
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
    trending = task.plan is not None and bool(task.view.trending[0])
    for number in range(task.settings.ensemble):
        member, stopped = train_member(task, number, watch)
        if not stopped or not members:
            members.append(member)
        if stopped:
            return together(members, None, trending)._replace(interrupted=True)
    return together(members, task.settings.epochs, trending)


def mean_square(errors: Array) -> float:
    """The mean square of errors, NaN left out: 1 is persistence's; infinite where there is none."""
    known = errors[~np.isnan(errors)]
    return float(known @ known) / len(known) if len(known) else np.inf


def together(members: list[Member], epochs: int | None, trending: bool = False) -> Committee:
    """The committee of these members after some epochs; None: as many as forecast their blocks best.

    Beside a linear path the forecast goes only that share of the way to the networks' which serves the blocks best, none at all
    included; half as far where the target has a trend, for between learned rows that is followed too easily.
    """
    checks = list(zip(*(member.checks for member in members), strict=False))  # those that every member has
    shares = [1.0 if members[0].path is None else _share(each) for each in checks]
    shares = [TRENDING * share for share in shares] if trending else shares
    pooled = [mean_square(_errors(each, share)) for each, share in zip(checks, shares, strict=True)]
    best = int(np.argmin(pooled)) if epochs is None else [each[0].epoch for each in checks].index(epochs)
    for member in members:
        with member.model.parameters.edit() as flat:
            flat[:] = member.checks[best].weights
    return Committee(
        tuple(member.model for member in members),
        members[0].checks[best].epoch,
        -_errors(checks[best], shares[best]),
        [member.losses for member in members],
        [[(check.epoch, mean_square(check.errors)) for check in member.checks] for member in members],
        [(check.epoch, score) for (check, *_), score in zip(checks, pooled, strict=True)],
        shares[best],
        None
        if members[0].owners is None
        else np.concatenate([member.owners for member in members if member.owners is not None]),
    )


def _errors(checks: tuple[Check, ...], share: float) -> Array:
    """(N, H): the errors of all members on their blocks if a share of what they say is believed."""
    return np.concatenate([check.errors if share == 1 else check.errors - (1 - share) * check.told for check in checks])


def _share(checks: tuple[Check, ...]) -> float:
    """The share of what the members say that makes the mean square of their errors least, from 0 to 1."""
    errors, told = np.concatenate([check.errors for check in checks]), np.concatenate([check.told for check in checks])
    there = ~np.isnan(errors)
    power = float(told[there] @ told[there])
    return min(max(1 - float(errors[there] @ told[there]) / power, 0.0), 1.0) if power > 0 else 0.0


class _Lesson(NamedTuple):
    """What a member learns from a series, and what it is judged by."""

    ends: Array  # (B,) the last rows of the windows that it learns from
    weight: Array  # (T, O) 1 where a target is known and not left out
    held: Array  # (N,) the last rows of the windows that end before a target in its block
    judged: Array  # (N, H) bool: whether that target is in the block, and known


class _Scene(NamedTuple):
    """A series as a member sees it now."""

    x: Array  # (W - 1 + T, F) inputs
    y: Array  # (T, O) targets
    lesson: _Lesson
    base: Array  # (T, H) what would be said without the network: the linear path's increments, or none


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


def _lesson(values: Array, task: Task, number: int) -> _Lesson:
    """The lesson of the member of a number from 0 on a series (T, C)."""
    rows, length, horizon = len(values), task.settings.window, task.settings.horizon
    known = ~np.isnan(windows.increments(values, np.zeros_like(values), horizon))[:, : len(task.units)]
    if task.plan is not None:  # the path's first forecasts are made from rows that are not there
        known[: min(task.plan.season, rows // 4)] = False
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
    settings = task.settings
    lessons = [_lesson(values, task, number) for values in task.series]
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    epochs = settings.epochs or MOST_EPOCHS
    if task.plan is not None:
        member, scenes = _corrector(task, lessons, number, seed)
        return member, _learn(task, scenes, member, (number, epochs, watch))
    member = Member(Model(settings.network(2 * task.series[0].shape[1], len(task.units)), seed=seed), [], [])
    gaps = any(np.isnan(values).any() for values in task.series)
    filled = [windows.begun(values) for values in task.series]
    for part in np.array_split(np.arange(epochs), min(ROUNDS, epochs) if gaps else 1):
        if gaps:
            filled = [_filled(task, member.model, *each) for each in zip(task.series, filled, strict=True)]
        scenes = [_scene(task, *each) for each in zip(task.series, filled, lessons, strict=True)]
        if _learn(task, scenes, member, (number, len(part), watch)):
            return member, True
    return member, False


def _filled(task: Task, model: Model, values: Array, filled: Array) -> Array:
    """(T, C): one more sweep over the gaps of a series."""
    return windows.fill(values, filled, task.view, lambda x: at_last(model, x))


def _scene(task: Task, values: Array, filled: Array, lesson: _Lesson) -> _Scene:
    """A series whose gaps are filled in one way, and its increments."""
    x = windows.inputs(filled, np.isnan(values), task.view)
    y = windows.increments(values, filled, task.settings.horizon) / task.units
    return _Scene(x, y, lesson, np.zeros((len(values), task.settings.horizon)))


def _corrector(task: Task, lessons: list[_Lesson], number: int, seed: int) -> tuple[Member, list[_Scene]]:
    """A member that says nothing yet, beside its own linear path, which has not seen its block either; and what it learns."""
    settings, plan = task.settings, task.plan
    assert plan is not None
    blocks = [_block(len(values), number, settings.ensemble) for values in task.series]
    left_out = [np.isin(np.arange(len(values)), np.arange(*block)) for values, block in zip(task.series, blocks, strict=True)]
    path = mixture.fit(list(task.series), left_out, task.view.known, plan)
    scenes = []
    for values, lesson in zip(task.series, lessons, strict=True):
        seen = reading.read(values, path, task.view, task.units)
        wanted = windows.increments(values, seen.filled, settings.horizon)[:, : settings.horizon] / task.units
        scenes.append(_Scene(seen.inputs, wanted, lesson, (seen.base - seen.filled[:, :1]) / task.units))
    model = Model(settings.network(scenes[0].x.shape[1], settings.horizon), seed=seed)
    model.parameters.assign({name: np.zeros_like(model.parameters[name]) for name in ("1.W", "1.b")})
    off = np.concatenate([scene.base[scene.lesson.held] - scene.y[scene.lesson.held] for scene in scenes])
    errors = np.where(np.concatenate([lesson.judged for lesson in lessons]), off, np.nan)
    owners = np.repeat(np.arange(len(lessons)), [len(lesson.held) for lesson in lessons])
    first = Check(0, np.zeros_like(off), errors, model.parameters.flat.copy())  # as if it said what the path says
    return Member(model, [], [first], path, owners), scenes


def _learn(task: Task, scenes: list[_Scene], member: Member, how: tuple[int, int, Watch]) -> bool:
    """Some epochs with gaps filled in one way; whether the watch said stop."""
    settings, length = task.settings, task.view.length
    number, epochs, watch = how
    held = np.concatenate([windows.windows(scene.x, scene.lesson.held, length) for scene in scenes])
    wanted = np.concatenate([scene.y[scene.lesson.held, : settings.horizon] for scene in scenes])
    judged = np.concatenate([scene.lesson.judged for scene in scenes])
    base = np.concatenate([scene.base[scene.lesson.held] for scene in scenes])
    first = len(member.losses)

    def after(info: Info) -> None:
        epoch = first + info.epoch
        member.losses.append(info.logs["loss"])
        stop = watch(number + 1, epoch, member.losses[-1])
        if epoch % EVERY == 0 or stop or epoch == (settings.epochs or MOST_EPOCHS):
            says = at_last(member.model, held)[:, : settings.horizon]
            errors = np.where(judged, says - wanted, np.nan)
            member.checks.append(Check(epoch, says - base, errors, member.model.parameters.flat.copy()))
            if settings.epochs is None and member.path is not None and _past_best(member.checks):
                info.stop("no better")
        if stop:
            info.stop("interrupted")

    history = member.model.fit(
        np.concatenate([windows.windows(scene.x, scene.lesson.ends, length) for scene in scenes]).astype(np.float32),
        _targets(scenes, length), loss=_masked_squares, epochs=epochs, optimizer=Adam(settings.learning_rate),
        batch_size=BATCH, clip_norm=CLIP, callbacks=[after], verbose=False,
    )  # fmt: skip
    return history.stopped == "interrupted"


def _past_best(checks: list[Check]) -> bool:
    """Whether the best check lies PATIENCE checks back."""
    scores = [mean_square(check.errors) for check in checks]
    return len(scores) - 1 - int(np.argmin(scores)) >= PATIENCE


def _targets(scenes: list[_Scene], length: int) -> Array:
    """(B, W, 2 O) float32: targets and weights, the weights with mean 1 so that the loss is the mean over what is learned."""
    weights, values = [], []
    for _, y, lesson, _ in scenes:
        weights.append(windows.windows(windows.padded(lesson.weight, length, 0.0), lesson.ends, length))
        value = np.where(lesson.weight > 0, y, 0)
        values.append(windows.windows(windows.padded(value, length, 0.0), lesson.ends, length))
    weight = np.concatenate(weights)
    weight[:, : length // SETTLING] = 0
    weight *= weight.size / max(float(weight.sum()), 1.0)
    return np.concatenate([np.concatenate(values), weight], axis=-1).astype(np.float32)
