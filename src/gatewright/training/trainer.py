"""The trainer: batches in, better parameters out."""

import math
import sys
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn

import numpy as np

from gatewright.arrays import Array, keep_memory
from gatewright.checks import is_number
from gatewright.errors import NotFiniteError, OptionError
from gatewright.inputs import ROWS
from gatewright.layers import Layer
from gatewright.parameters import Parameters
from gatewright.state import tree_fill, tree_items
from gatewright.training import callbacks, checkpoint, metrics, optimizers, schedules
from gatewright.training.batches import Batch, Data, Window, prepare, windows
from gatewright.training.callbacks import History, Info, counted
from gatewright.training.finite import all_finite, trace
from gatewright.training.gradients import (
    Learned,
    Run,
    Scorer,
    Tally,
    evaluate,
    learn,
    loss_and_gradients,
)
from gatewright.training.objective import objective
from gatewright.training.options import FitOptions
from gatewright.training.progress import Progress
from gatewright.training.schedules import Clock

__all__ = ["Data", "FitOptions", "History", "evaluate", "fit", "loss_and_gradients"]


@dataclass
class Position:
    """Where training stands: what a checkpoint keeps beside parameters, optimizer, history, callbacks and generator."""

    epoch: int = 0  # epochs finished
    row: int = 0  # rows of this epoch finished
    order: Array | None = None  # (B,) the rows in this epoch's order; None between epochs
    tally: Tally = field(default_factory=Tally)  # of this epoch
    carried: Any = None  # the state after the last batch, with stateful=True
    best: float = math.inf  # the least val_loss (or loss) so far
    best_epoch: int = 0  # from 1; 0: none yet
    best_weights: Array | None = None  # (N,)
    saved: int = 0  # updates made when the last checkpoint was written
    rate: float = 0.0  # the learning rate of the last update


def fit(layer: Layer, params: Parameters, data: Data, options: FitOptions) -> History:
    """Trains `params` in place and tells how it went.

    Raises OptionError, ShapeError or DataError for impossible values, before anything is changed; NotFiniteError where NaN or
    infinity turns up, with the parameters as they were before that update. On KeyboardInterrupt the parameters become the
    best so far (least val_loss, or loss), a line says so, and the exception goes on.
    """
    keep_memory()
    training = _Training(layer, params, data, options)
    training.begin()
    with Progress(options.verbose, options.epochs, len(data.x)) as progress:
        try:
            training.train(progress)
        except KeyboardInterrupt:
            print(training.interrupted(), file=sys.stderr)
            raise
    return training.history


class _Training:
    """One call of `fit`."""

    def __init__(self, layer: Layer, params: Parameters, data: Data, options: FitOptions) -> None:
        goal = objective(layer, options.loss)
        self.options, self.params, self.rng = options, params, options.rng
        self.watched = metrics.resolve(options.metrics, goal)
        self.data = prepare(goal, data, params.dtype, options.class_weight)
        self.validation = None if options.validation is None else prepare(goal, options.validation, params.dtype)
        self.windows = list(windows(self.data.x.shape[1] if self.data.x.ndim > 1 else 0, self.options.truncation))
        self.optimizer = optimizers.get(options.optimizer or "adam")
        self.memory = self.optimizer.init(params, options.kernel)
        self.schedule = schedules.check(options.schedule)
        self.callbacks = [callbacks.get(each) for each in options.callbacks]
        self.checkpoint = checkpoint.get(options.checkpoint)
        self.run = Run(goal, params, params.zeros_like(), options.rng, options.kernel)
        self.before = params.flat.copy()  # what an update that fails goes back to
        self.at = Position()
        keys = ["loss", *(metric.name for metric in self.watched)]
        keys += [f"val_{key}" for key in keys] if self.validation else []
        self.history = History({key: [] for key in [*keys, "learning_rate"]})
        self.info = Info(params, self.history, options.epochs)
        self.setup = checkpoint.setup(layer, params, (data, options.validation)) | options.told() if self.checkpoint else {}
        self._check()

    def _check(self) -> None:
        """Raises for options that contradict the network or the data."""
        options, problem = self.options, self.run.goal.layer.chunk_problem
        for option in ("tbptt", "stateful"):
            if getattr(options, option) and problem:
                raise OptionError(f"{option} runs a sequence piece by piece, but {problem}")
        if options.tbptt and not self.data.timed:
            raise OptionError("tbptt needs a loss at every step, but this network gives one output a row")
        if options.stateful and len(self.data.x) % options.batch_size:
            rows, size = len(self.data.x), options.batch_size
            raise OptionError(f"stateful=True needs batches of one size: {rows} rows can't be divided by batch_size={size}")
        if not self.memory.segments:
            raise OptionError("every parameter is frozen, there is nothing to train; model.unfreeze(names) frees some")
        if not np.isfinite(self.params.flat).all():
            raise NotFiniteError("the parameters hold NaN or infinity before the first update")
        self._rate(self.optimizer.learning_rate)  # raises where the schedule monitors what is not measured

    def begin(self) -> None:
        """Resets the callbacks, and takes everything from the checkpoint if one is to go on from."""
        for callback in self.callbacks:
            callback.on_fit_begin(self.info)
        if self.checkpoint is None:
            return
        self.checkpoint.prepare(self.options.resume)
        if self.checkpoint.path.exists():
            self._restore(*self.checkpoint.load(self.setup))

    def train(self, progress: Progress) -> None:
        """All epochs that are left."""
        while self.at.epoch < self.options.epochs and not self.history.stopped:
            self._epoch(progress)
        if self.history.stopped:
            progress.say(f"stopped: {self.history.stopped}")
        for callback in self.callbacks:
            callback.on_fit_end(self.info)

    # --- an epoch

    def _epoch(self, progress: Progress) -> None:
        at, rows = self.at, len(self.data.x)
        if not at.row:
            at.order = self.rng.permutation(rows) if self.options.shuffle else np.arange(rows)
        # NaN and infinity are looked for, and raise an error that says more.
        with np.errstate(all="ignore"), self.run.grads.edit() as gradient:
            while at.row < rows:
                stop = min(at.row + self.options.batch_size * self.options.accumulate, rows)
                self._learn(at.row, stop, gradient)
                at.row = stop
                if stop < rows:
                    self._save_if_due()
                progress.rows(at.epoch + 1, stop, at.tally.loss)
        self._end_epoch()
        progress.epoch(self.info.epoch, self.info.logs)

    def _end_epoch(self) -> None:
        at, history = self.at, self.history.history
        logs = at.tally.means(self.watched) | self._validate() | {"learning_rate": at.rate}
        for key, value in logs.items():
            history[key].append(value)
        self.at = at = Position(at.epoch + 1, best=at.best, best_epoch=at.best_epoch, best_weights=at.best_weights)
        at.saved = self.memory.count
        if logs[self.history.monitor] < at.best or not at.best_epoch:
            at.best, at.best_epoch, at.best_weights = logs[self.history.monitor], at.epoch, self.params.flat.copy()
        self.info.epoch = at.epoch
        for callback in self.callbacks:
            callback.on_epoch_end(self.info)
        last = at.epoch == self.options.epochs or self.history.stopped
        if self.checkpoint and (last or at.epoch % self.checkpoint.every_epochs == 0):
            self._save()

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        scorer = Scorer(self.run.goal, self.watched, max(self.options.batch_size, ROWS), self.options.kernel)
        with np.errstate(all="ignore"):
            scores = scorer.score(self.params, self.validation)
            if not math.isfinite(scores["loss"]):
                what, row = trace(self.run._replace(training=False), self.validation, None, 1.0, 0)
                self._fail(f"in the validation data {what}", row)
        return {f"val_{key}": value for key, value in scores.items()}

    # --- an update

    def _learn(self, start: int, stop: int, gradient: Array) -> None:
        """The rows from `start` to `stop` of this epoch: an update, or one a window of time; `gradient`: all of run.grads."""
        size, order = self.options.batch_size, self.at.order
        assert order is not None
        slices = [slice(first, min(first + size, stop)) for first in range(start, stop, size)]
        parts = [(order[rows], self.data.rows(order[rows] if self.options.shuffle else rows)) for rows in slices]
        states = [self.at.carried] * len(parts)
        for window in self.windows:
            total = sum(part.window(window.fresh, window.stop).total for _, part in parts)
            gradient.fill(0)
            for k, (rows, part) in enumerate(parts):
                # Stateful parts are one stretch of time after the other: each begins where the one before it ended.
                state = states[k - 1] if self.options.stateful and k else states[k]
                learned = self._add(rows, part, window, (state, total), gradient)
                states[k] = learned.state
            if total:
                self._step(gradient)
            self.info.update = self.memory.count
            for callback in self.callbacks:
                callback.on_update_end(self.info)
        self.at.carried = states[-1] if self.options.stateful else None

    def _add(self, rows: Array, part: Batch, window: Window, start: tuple[Any, float], gradient: Array) -> Learned:
        """Adds the gradients of a window of some rows; `start` is its state, and the total weight of the update."""
        generator = self.rng.bit_generator.state
        learned = learn(self.run, part, window, *start)
        if not math.isfinite(learned.value) or not all_finite(gradient):
            self.rng.bit_generator.state = generator
            what, row = trace(self.run, learned.batch, *start, window.start)
            self._fail(what, None if row is None else rows[row])
        self.at.tally.add(self.run.goal, self.watched, learned.value * start[1], learned.output, learned.batch)
        return learned

    def _rate(self, base: float) -> float:
        """The learning rate of the next update, for a base rate."""
        if self.schedule is None:
            return base
        rate = self.schedule(base, Clock(self.memory.count, self.at.epoch, self.history.history))
        if not is_number(rate) or rate < 0:
            name = getattr(self.schedule, "__qualname__", self.schedule)
            raise OptionError(f"the schedule {name}: got {rate!r}, wanted a number from 0 up, the learning rate")
        return float(rate)

    def _step(self, gradient: Array) -> None:
        """Clips the gradient and moves the parameters, or leaves them as they were."""
        if self.options.clip_value is not None:
            optimizers.clip_value(gradient, self.options.clip_value)
        if self.options.clip_norm is not None:
            optimizers.clip_norm(gradient, self.memory.segments, self.options.clip_norm)
        self.at.rate = self._rate(self.optimizer.learning_rate)
        with self.params.edit() as flat:
            np.copyto(self.before, flat)
            try:
                self.optimizer.update(flat, gradient, self.memory, self._rate)
                if not all_finite(flat):
                    self._fail(f"the step itself overflowed, with a learning rate of {self.at.rate:g}")
            except BaseException:  # Ctrl-C too
                flat[:] = self.before
                raise

    def _fail(self, what: str, row: Any = None) -> NoReturn:
        place = f"epoch {self.at.epoch + 1}, update {self.info.update + 1}: {what}" + ("" if row is None else f" in row {row}")
        cure = "the parameters are those before it; try a smaller learning rate, or clip_norm"
        raise NotFiniteError(f"{place}; {cure}")

    # --- what outlives the process

    def interrupted(self) -> str:
        """Brings the best parameters back, and says which they are and where."""
        at = self.at
        if at.best_weights is None:
            said = f"interrupted: no epoch was finished, the model has the weights after {counted(self.info.update, 'update')}"
        else:
            with self.params.edit() as flat:
                flat[:] = at.best_weights
            best = f"epoch {at.best_epoch} ({self.history.monitor} {at.best:.6g})"
            said = f"interrupted: the model has the best weights so far, those of {best}"
        if self.checkpoint and self.checkpoint.path.exists():
            said += f"; {self.checkpoint.path} is what resume=True goes on from"
        return said

    def _save_if_due(self) -> None:
        every = self.checkpoint and self.checkpoint.every_updates
        if every and self.memory.count - self.at.saved >= every:
            self._save()

    def _save(self) -> None:
        assert self.checkpoint is not None
        at = self.at
        at.saved = self.memory.count
        tensors = {"parameters": self.params.flat, "tally": np.array([at.tally.weight, *at.tally.sums])}
        tensors |= {f"optimizer.{name}": array for name, array in self.memory.slots.items()}
        tensors |= {f"history.{key}": np.array(values) for key, values in self.history.history.items()}
        tensors |= {f"carried.{k}": array for k, (_, array) in enumerate(tree_items(at.carried))}
        tensors |= {name: array for name in ("order", "best_weights") if (array := getattr(at, name)) is not None}
        kept = []
        for k, callback in enumerate(self.callbacks):
            state = callback.state()
            tensors |= {f"callback.{k}.{name}": value for name, value in state.items() if isinstance(value, np.ndarray)}
            kept.append({name: value for name, value in state.items() if not isinstance(value, np.ndarray)})
        self.checkpoint.save(tensors, {
            "epoch": at.epoch, "row": at.row, "updates": self.memory.count, "stopped": self.history.stopped,
            "best": at.best if at.best_epoch else None, "best_epoch": at.best_epoch, "rate": at.rate,
            "callbacks": kept, "generator": checkpoint.generator_state(self.rng),
        }, self.setup)  # fmt: skip

    def _restore(self, tensors: dict[str, Array], kept: dict[str, Any]) -> None:
        weight, *sums = tensors["tally"].tolist()
        best = math.inf if kept["best"] is None else kept["best"]
        self.at = Position(
            epoch=kept["epoch"], row=kept["row"], order=tensors.get("order"), tally=Tally(weight, sums), best=best,
            best_epoch=kept["best_epoch"], best_weights=tensors.get("best_weights"), saved=kept["updates"],
            rate=kept["rate"],
        )  # fmt: skip
        if self.options.stateful and kept["row"]:
            shapes, number = self.run.goal.layer.state_shape(self.options.batch_size), count()
            self.at.carried = tree_fill(shapes, lambda shape: tensors[f"carried.{next(number)}"])
        with self.params.edit() as flat:
            flat[:] = tensors["parameters"]
        self.memory.count = kept["updates"]
        self.memory.slots = {name: tensors[f"optimizer.{name}"].copy() for name in self.memory.slots}
        self.history.stopped = kept["stopped"]
        for key, values in self.history.history.items():
            values.extend(tensors[f"history.{key}"].tolist())
        self.info.epoch, self.info.update = kept["epoch"], kept["updates"]
        self.rng.bit_generator.state = kept["generator"]
        for k, (callback, state) in enumerate(zip(self.callbacks, kept["callbacks"], strict=True)):
            arrays = {name.split(".", 2)[2]: array for name, array in tensors.items() if name.startswith(f"callback.{k}.")}
            callback.load(state | arrays)
