"""What `gatewright classify` does: hold sequences out, learn from the others, judge by those that were held out."""

import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from gatewright.arrays import Array
from gatewright.checks import fraction, positive
from gatewright.data.labelled import Labelled
from gatewright.data.tables import PLAIN
from gatewright.errors import DataError, ShapeError, shortened
from gatewright.estimators.classifier import SequenceClassifier
from gatewright.estimators.watching import Stage
from gatewright.training.callbacks import History


class Judged(NamedTuple):
    """What a classifier says of some sequences."""

    ids: tuple[str, ...]  # (N,)
    classes: tuple[str, ...]  # (C,) in the order of their numbers, where they are numbers
    true: tuple[str, ...] | None  # (N,)
    predicted: tuple[str, ...]  # (N,)
    proba: Array  # (N, C) the probability of each class


@dataclass(frozen=True, eq=False)
class Job:
    """What to learn from, and what to judge by. Raises DataError or ShapeError for sequences that don't go together."""

    classifier: SequenceClassifier
    train: Labelled
    test: Labelled

    def __post_init__(self) -> None:
        train, test, known = self.train, self.test, set(labels_of(self.train))
        if len(known) < 2:
            raise DataError(
                f"{train.path}: every sequence is of class {shortened(repr(min(known)))}; wanted at least two classes"
            )
        for name, label in zip(test.ids, labels_of(test), strict=True):
            if label not in known:
                what = shortened(f"sequence {name!r} is of class {label!r}")
                raise DataError(f"{test.path}: {what}, of which {train.path} has none")
        wanted, got = (data.values[0].shape[1] for data in (train, test))
        if got != wanted:
            raise ShapeError(f"{test.path}: features: got {got}, wanted {wanted}, as in {train.path}")


class Outcome(NamedTuple):
    """What came of a job."""

    job: Job
    judged: Judged
    history: History
    seconds: float  # to learn
    interrupted: bool


def hold_out(data: Labelled, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """(what to learn from, what to judge by): a share of the sequences is held out, of every class alike.

    Raises DataError, with the class, where there are too few sequences for that.
    """
    fraction("test_fraction", share)
    positive("test_fraction", share)
    labels, count = labels_of(data), len(data.ids)
    held, classes = round(count * share), Counter(labels)
    for label, number in classes.items():
        if number < 2:
            raise DataError(
                f"{data.path}: class {shortened(repr(label))} has one sequence, and a share of each is held out to test"
            )
    if not len(classes) <= held <= count - len(classes):
        what = f"{held} of {count} sequences would be held out"
        raise DataError(f"{data.path}: {what}, and of {len(classes)} classes some have to stand on either side")
    learn, test = train_test_split(np.arange(count), test_size=held, random_state=seed, stratify=np.array(labels, object))
    return data.rows(learn.tolist()), data.rows(test.tolist())


def run(job: Job, watch: Callable[[Stage], bool] = lambda _: False) -> Outcome:
    """Learns and judges; the watch is called after every update, and True ends the training with the best weights so far."""
    last: list[Stage] = []
    stopped = False

    def ask(stage: Stage) -> bool:
        nonlocal stopped
        last[:] = [stage]
        stopped = watch(stage)
        return stopped

    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():  # half as many classes as sequences can't be a mistake in a column of text
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            job.classifier._fit(job.train.sequences, np.array(labels_of(job.train), object), None, ask)
    except KeyboardInterrupt:
        if not stopped:  # a second Ctrl-C, which wants nothing
            raise
    seconds = time.perf_counter() - begin
    return Outcome(job, judge(job.classifier, job.test), last[0].history, seconds, stopped)


def judge(classifier: SequenceClassifier, data: Labelled) -> Judged:
    """What a classifier says of sequences. Raises as `predict_proba` does."""
    proba, names = classifier.predict_proba(data.sequences), [str(label) for label in classifier.classes_.tolist()]
    order = sorted(range(len(names)), key=lambda k: _by_number(names[k]))
    proba, classes = proba[:, order], tuple(names[k] for k in order)
    return Judged(data.ids, classes, data.labels, tuple(classes[k] for k in proba.argmax(axis=1)), proba)


def feature_names(classifier: SequenceClassifier) -> tuple[str, ...] | None:
    """(F,) of the features that a fitted classifier reads, where the sequences that it learned from had names."""
    return classifier._form.names


def _by_number(label: str) -> tuple[bool, float, str]:
    """What sorts 2 before 10, and numbers before words."""
    number = bool(PLAIN.fullmatch(label))
    return not number, float(label) if number else 0.0, label


def labels_of(data: Labelled) -> tuple[str, ...]:
    """(N,) the labels. Raises DataError where there are none."""
    if data.labels is None:
        raise DataError(f"{data.path}: its sequences have no labels; wanted one each")
    return data.labels
