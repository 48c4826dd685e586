"""What the classifier and the regressor have in common: reading, splitting, scaling, training, scoring."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gatewright.arrays import Array, float_dtype, numbers
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.estimators import network, store
from gatewright.estimators.scaling import Scaler
from gatewright.estimators.sequences import Form, Sequences, read
from gatewright.estimators.watching import Watch, Watched
from gatewright.model import Model
from gatewright.training.callbacks import Callback, EarlyStopping, Info
from gatewright.training.optimizers import Optimizer
from gatewright.training.schedules import Cosine, Schedule

ENOUGH = 1000  # sequences, from which on early_stopping="auto" sets some aside: fewer would tell little, and be missed


class Task(NamedTuple):
    """Sequences to learn from."""

    sequences: Sequences
    y: Array  # (B,) numbers of classes, or (B, O) targets in their units
    weight: Array  # (B,) float64, above 0

    def rows(self, index: Any) -> "Task":
        """Those that `index` picks."""
        return Task(self.sequences.rows(index), self.y[index], self.weight[index])


class Plan(NamedTuple):
    """How to train."""

    epochs: int
    optimizer: Optimizer
    schedule: Schedule | None = None
    watch: Watch | None = None


class SequenceEstimator(BaseEstimator, ABC):  # type: ignore[misc]
    """A recurrent network behind scikit-learn's interface; its kinds say what the targets are."""

    _kind: str  # what a file calls it
    _form: Form  # of the sequences that it was fitted on
    _scaler: Scaler  # of the features
    _made: dict[str, Any]  # the parameters that can't change while training goes on
    _optimizer: network.Resumed | None  # that of partial_fit

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains on the sequences X and their targets y.

        X: (n, time, features); (n, time), univariate, a frame too; or a list of (T_i, features) or (T_i,), of arrays or
        frames. NaN may pad the steps after a sequence's end, nothing else. sample_weight: (n,), from 0 up; what weighs
        nothing is left out. Where a validation share is set aside, the weights of its best epoch stay.

        Raises ShapeError, DataError or OptionError, all ValueErrors, and what scikit-learn's own validation raises.
        """
        return self._fit(X, y, sample_weight, None)

    def _fit(self, X: Any, y: Any, sample_weight: Any, watch: Watch | None) -> Self:
        """`fit`, watched. Raises KeyboardInterrupt, with the best weights so far in place, where the watch stops it."""
        network.check(self)
        goes_on = self.warm_start and hasattr(self, "model_")
        task = self._task(X, y, sample_weight, goes_on, goes_on)
        random = check_random_state(self.random_state)
        train, held = self._split(task, random)
        self._begin(train, random, goes_on)
        schedule = Cosine(int(self.epochs)) if self.schedule == "cosine" else None
        self._train(train, held, Plan(int(self.epochs), network.optimizer(self), schedule, watch))
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, known: bool) -> Self:
        """One epoch; the optimizer goes on where the call before stopped. known: what kind of targets there are, is."""
        network.check(self)
        if self.early_stopping is True:
            raise OptionError("partial_fit sees a part of the data and can't stop early: use early_stopping=False or 'auto'")
        goes_on = hasattr(self, "model_")
        task = self._task(X, y, sample_weight, goes_on, known)
        self._begin(task, check_random_state(self.random_state), goes_on)
        wanted = network.optimizer(self)
        if self._optimizer is None or self._optimizer.inner != wanted:
            self._optimizer = network.Resumed(wanted.learning_rate, wanted)
        self._train(task, None, Plan(1, self._optimizer))
        return self

    def save(self, path: Any) -> None:
        """Writes the fitted estimator into one safetensors file: network, standardisation, names, parameters.

        A random_state that is no number is not kept. Raises OptionError for parameters that were changed after `fit` and ask
        for another network, and for labels that a file can't hold.
        """
        store.save(self, path)

    @classmethod
    def load(cls, path: Any, *, kernel: str = "auto", threads: int | None = None) -> Self:
        """The fitted estimator in a file that `save` wrote; nothing in it is executed.

        kernel and threads: as in gw.Model. Raises MissingFileError, or FormatError for any other file.
        """
        return store.load(cls, path, kernel, threads)

    # --- what the kinds say

    @abstractmethod
    def _targets(self, y: Any, known: bool) -> Array:
        """y as `Task` has it, checked; sets what the estimator tells about y, or compares where that is known."""

    def _weights(self, y: Array, weight: Array, known: bool) -> Array:
        """The rows' weights (B,), class weights included."""
        return weight

    @abstractmethod
    def _learned(self, y: Array) -> Array:
        """What the network is to give for targets."""

    @abstractmethod
    def _told(self, outputs: Array) -> Array:
        """Targets as `Task` has them, from the network's outputs (B, O)."""

    @abstractmethod
    def _quality(self, y: Array, told: Array, weight: Array) -> float:
        """How good predicted targets are, as `score` measures it."""

    @abstractmethod
    def _prepare(self, train: Task) -> None:
        """Learns of the targets what the network must be told beforehand."""

    @abstractmethod
    def _ends(self) -> tuple[int, str | None, str]:
        """The network's outputs, its final activation and the loss."""

    @abstractmethod
    def _told_apart(self) -> dict[str, Any]:
        """What a file keeps of the targets, as JSON values."""

    @abstractmethod
    def _take(self, described: dict[str, Any]) -> None:
        """Takes back what `_told_apart` gave. Raises whatever, which becomes a FormatError, for what makes no sense."""

    # --- the steps

    def _task(self, X: Any, y: Any, sample_weight: Any, goes_on: bool, known: bool) -> Task:
        """Everything checked, what weighs nothing left out."""
        if y is None:
            raise DataError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        sequences, form = read(self, X, self._form if goes_on else None)
        self._form = self._form if goes_on else form
        targets, count = self._targets(y, known), len(sequences.x)
        if len(targets) != count:
            raise ShapeError(f"y: got inconsistent numbers of samples: {len(targets)} targets for {count} sequences")
        weight = _sample_weight(sample_weight, count)
        task = Task(sequences, targets, self._weights(targets, weight, known))
        if not task.weight.any():
            raise DataError("sample_weight: every weight is zero, there is nothing to learn from")
        return task if task.weight.all() else task.rows(task.weight > 0)

    def _split(self, task: Task, random: Any) -> tuple[Task, Task | None]:
        """What to train on, and what is set aside to stop by; classes in equal shares where there are enough of each."""
        count = len(task.y)
        if not self.early_stopping or (self.early_stopping == "auto" and count < ENOUGH):
            return task, None
        held = max(1, round(count * self.validation_fraction))
        if held >= count:
            raise DataError(f"early_stopping=True sets a share of the sequences aside, and there is {count} with weight")
        counts = np.unique(task.y, return_counts=True)[1] if task.y.ndim == 1 else np.ones(1)
        even = counts.min() > 1 and min(held, count - held) >= len(counts)
        rows = train_test_split(np.arange(count), test_size=held, random_state=random, stratify=task.y if even else None)
        return task.rows(rows[0]), task.rows(rows[1])

    def _begin(self, train: Task, random: Any, goes_on: bool) -> None:
        """A new network, and the scalers of what it is going to see; or the one that is there, if it is what is asked for."""
        made = {"network": self._build()} | {
            name: getattr(self, name) for name in ("dtype", "kernel", "threads", "standardize")
        }
        if goes_on:
            for name, wanted in made.items():
                if self._made[name] != wanted:
                    raise OptionError(
                        f"training goes on with {name} {self._made[name]}, but the parameters now ask for {wanted}"
                    )
            return
        live = train.sequences.live
        values = train.sequences.x[live]
        steps = np.repeat(train.weight, train.sequences.lengths)
        self._scaler = Scaler.fit(values, steps) if self.standardize else Scaler.idle(values.shape[1])
        self.mean_, self.scale_ = self._scaler
        self._prepare(train)
        seed, dtype = int(random.randint(2**31 - 1)), float_dtype(self.dtype)
        self.model_ = Model(made["network"], seed=seed, dtype=dtype, kernel=self.kernel, threads=self.threads)
        self._made, self._optimizer = made, None
        self.n_iter_, self.loss_curve_ = 0, list[float]()
        self.validation_scores_: list[float] | None = None

    def _build(self) -> Any:
        outputs, final, _ = self._ends()
        return network.build(self, self._form.features, outputs, final)

    def _train(self, train: Task, held: Task | None, plan: Plan) -> None:
        """Epochs of training; after each one the estimator tells of it, so that a training that is broken off does too."""
        x, lengths = self._scaled(train.sequences)
        size, validation, callbacks = network.batch_size(self, len(x)), None, list[Callback]()
        if held is not None:
            xv, kept = self._scaled(held.sequences)
            validation = (xv, self._learned(held.y), {"lengths": kept, "sample_weight": held.weight})
            callbacks.append(EarlyStopping(patience=int(self.patience)))
            self.validation_scores_ = self.validation_scores_ or []

        def tell(info: Info) -> None:
            self.n_iter_ += 1
            self.loss_curve_.append(info.logs["loss"])
            if held is not None and self.validation_scores_ is not None:
                told = self._told(self.model_.predict(xv, lengths=kept))
                self.validation_scores_.append(self._quality(held.y, told, held.weight))

        if plan.watch is not None:
            callbacks.append(Watched(plan.watch, None if held is None else self.validation_scores_, len(x), size))
        self.model_.fit(
            x, self._learned(train.y), loss=self._ends()[2], optimizer=plan.optimizer, epochs=plan.epochs,
            schedule=plan.schedule, batch_size=size, clip_norm=self.clip_norm, lengths=lengths, validation=validation,
            sample_weight=None if (train.weight == 1).all() else train.weight, callbacks=[tell, *callbacks],
            verbose=bool(self.verbose),
        )  # fmt: skip

    def _scaled(self, sequences: Sequences) -> tuple[Array, Array | None]:
        """Standardised x (B, T, F) in the network's dtype, and the lengths (B,) where they differ from T."""
        x = self._scaler.forward(sequences.x)
        with np.errstate(over="ignore"):  # what has no place in float32 becomes infinity, and the model refuses it
            x = x.astype(self.model_.dtype, copy=False)
        return x, None if (sequences.lengths == x.shape[1]).all() else sequences.lengths

    def _outputs(self, X: Any) -> Array:
        """(n, O): what the network says of X."""
        check_is_fitted(self, "model_")
        x, lengths = self._scaled(read(self, X, self._form)[0])
        outputs: Array = self.model_.predict(x, lengths=lengths)
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _sample_weight(given: Any, count: int) -> Array:
    """(B,) float64: ones if None."""
    if given is None:
        return np.ones(count)
    weight = numbers(given, "sample_weight")
    if weight.shape == ():
        weight = np.full(count, weight)
    if weight.shape != (count,):
        raise ShapeError(f"sample_weight: got shape {weight.shape}, wanted ({count},), a number a sequence")
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        raise DataError(f"sample_weight: got {weight[wrong][0]}, wanted finite numbers from 0 up")
    return weight.astype(float)
