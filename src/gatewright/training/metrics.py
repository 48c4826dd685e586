"""Metrics: what is watched beside the loss, on what `predict` gives."""

import math
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import OptionError, one_of
from gatewright.training.batches import spread
from gatewright.training.losses import BinaryCrossEntropy, CrossEntropy
from gatewright.training.objective import Objective


class Metric(NamedTuple):
    """A function (pred, target, weight) -> float, and what is done with its mean over all batches.

    `weight` is (B,) or (B, T), sample and class weights together, zero at dead steps; `pred` is what `predict` gives and
    `target` as y was given, zero where the weight is. Batches are joined by the mean of their values, weighted with the sum
    of each batch's weights: exact for every weighted mean and, with `finish`, for every function of one (the root of the
    mean squared error). The arrays are copies. OptionError where either function gives something that is not a number.
    """

    name: str
    function: Callable[[Array, Array, Array], float]
    finish: Callable[[float], float] = float

    def of(self, pred: Array, target: Array, weight: Array) -> float:
        """The value for a batch."""
        return self._number(self.function(pred.copy(), target.copy(), weight.copy()))

    def finished(self, value: float) -> float:
        """What is told, from the mean over all batches."""
        return self._number(self.finish(value))

    def _number(self, got: Any) -> float:
        plain = got.item() if isinstance(got, np.ndarray | np.generic) and got.ndim == 0 else got
        if not isinstance(plain, Real):
            raise OptionError(f"metric {self.name!r}: got {type(got).__name__}, wanted a number")
        return float(plain)


MetricLike: TypeAlias = str | Metric | Callable[[Array, Array, Array], float]


def mean(values: Array, weight: Array) -> float:
    """The weighted mean of values `(B, ...)` or `(B, T, ...)`; what has no weight is not read."""
    w = spread(weight, values.ndim)
    per_step = values.size / weight.size
    return float((np.where(w > 0, values, 0) * w).sum(dtype=float) / (weight.sum() * per_step))


def _compared(name: str, difference: Callable[[Array], Array]) -> Callable[[Array, Array, Array], float]:
    def function(pred: Array, target: Array, weight: Array) -> float:
        if pred.shape != target.shape:
            raise OptionError(
                f"metric {name!r} compares y {target.shape} with the output {pred.shape}; write a function instead"
            )
        return mean(difference(pred - target), weight)

    return function


def _accuracy(objective: Objective) -> Metric:
    def of_classes(pred: Array, target: Array, weight: Array) -> float:
        return mean(pred.argmax(axis=-1) == target, weight)

    threshold = 0.0 if objective.final is None else 0.5  # of logits, of probabilities

    def of_bits(pred: Array, target: Array, weight: Array) -> float:
        return mean((pred > threshold) == (target > 0.5), weight)

    if not objective.loss.classes and not isinstance(objective.loss, BinaryCrossEntropy):
        raise OptionError(f"metric 'accuracy' is for cross_entropy and binary_cross_entropy, not for the loss {objective.loss}")
    return Metric("accuracy", of_classes if objective.loss.classes else of_bits)


def _perplexity(objective: Objective) -> Metric:
    if not objective.loss.classes:
        raise OptionError(f"metric 'perplexity' is for cross_entropy, not for the loss {objective.loss}")

    def surprise(pred: Array, target: Array, weight: Array) -> float:
        # The logarithms of probabilities are logits too: their softmax is what they came from.
        logits = pred if objective.final is None else np.log(np.maximum(pred, np.finfo(pred.dtype).tiny))
        return mean(CrossEntropy()(logits, target)[0], weight)

    return Metric("perplexity", surprise, lambda value: float(np.exp(value)))


_BY_NAME: dict[str, Callable[[Objective], Metric]] = {
    "accuracy": _accuracy,
    "mae": lambda objective: Metric("mae", _compared("mae", np.abs)),
    "mse": lambda objective: Metric("mse", _compared("mse", np.square)),
    "rmse": lambda objective: Metric("rmse", _compared("rmse", np.square), math.sqrt),
    "perplexity": _perplexity,
}


def get(metric: Any, objective: Objective) -> Metric:
    """The metric that is meant, for a network and its loss: a name, a Metric or a function (pred, target, weight) -> float.

    Raises OptionError for an unknown name, or a metric that does not fit the loss.
    """
    if isinstance(metric, Metric):
        if not (isinstance(metric.name, str) and callable(metric.function) and callable(metric.finish)):
            raise OptionError(f"gw.Metric: got {tuple(metric)!r}, wanted gw.Metric(name, function) or (name, function, finish)")
        return metric
    if isinstance(metric, str) and metric in _BY_NAME:
        return _BY_NAME[metric](objective)
    if isinstance(metric, str) or not callable(metric):
        raise one_of("metric", metric, _BY_NAME)
    return Metric(getattr(metric, "__name__", type(metric).__name__), metric)


def several(given: Any) -> tuple[Any, ...]:
    """What is meant where several metrics or callbacks may be given: None is none, and one needs no list."""
    if given is None:
        return ()
    # A Metric is a tuple, and a name is a sequence, but each is one.
    one = isinstance(given, str | Metric) or callable(given) or not isinstance(given, Iterable)
    return (given,) if one else tuple(given)


def resolve(metrics: MetricLike | Iterable[MetricLike] | None, objective: Objective) -> list[Metric]:
    """The metrics that are meant, each of a name of its own. Raises OptionError."""
    found = [get(metric, objective) for metric in several(metrics)]
    names = ["loss", *(metric.name for metric in found)]
    if len(set(names)) < len(names):
        raise OptionError(f"metrics: two of {', '.join(map(repr, names))} share a name; give gw.Metric(name, function)")
    return found
