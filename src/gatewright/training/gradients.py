"""The loss of a network and its gradients: one batch, or one window of time, forward and back."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.checks import whole_number
from gatewright.inputs import ROWS
from gatewright.layers import Layer
from gatewright.parameters import Parameters
from gatewright.training import metrics
from gatewright.training.batches import Batch, ClassWeight, Data, Window, prepare, weigh
from gatewright.training.losses import LossLike
from gatewright.training.metrics import Metric, MetricLike
from gatewright.training.objective import Objective, objective


class Run(NamedTuple):
    """A network in training, and how it is run."""

    goal: Objective
    params: Parameters
    grads: Parameters  # where gradients are added
    rng: np.random.Generator  # for dropout
    kernel: str
    training: bool = True


class Learned(NamedTuple):
    """What one window of a batch gave; its gradients were added where they belong."""

    value: float  # the loss: the window's part of the update's
    output: Array  # (B, T, O) of the window, or (B, O)
    batch: Batch  # the window's part of the batch
    state: Any  # at the beginning of the next window


def learn(run: Run, batch: Batch, window: Window, state: Any, total: float) -> Learned:
    """Runs a window forward from `state` and, where it has a finite loss, back; `total` is the weight of the whole update."""
    start, handoff, stop, fresh = window
    pieces = [(a, b) for a, b in ((start, handoff), (handoff, stop)) if b > a] or [(start, stop)]
    layer, params = run.goal.layer, run.params
    outputs, caches, handed = [], [], state
    for a, b in pieces:
        piece = batch.window(a, b)
        output, state, cache = layer.forward(
            params, piece.x, state, steps=piece.steps, training=run.training, rng=run.rng, kernel=run.kernel
        )
        handed = state if b == handoff else handed
        outputs.append(output)
        caches.append(cache)
    output = outputs[0] if len(pieces) == 1 else np.concatenate(outputs, axis=1)
    seen = batch.window(start, stop).without_loss_before(fresh - start)
    if not total:
        return Learned(0.0, output, seen, handed)
    value, doutput = weigh(run.goal.loss, output, seen, total)
    learned = Learned(float(value), output, seen, handed)
    if not math.isfinite(value):
        return learned
    dstate = None
    for (a, b), cache in zip(reversed(pieces), reversed(caches), strict=True):
        part = doutput if len(pieces) == 1 else doutput[:, a - start : b - start]
        dstate = layer.finish(params, run.grads, cache, part, dstate)
    return learned


def _prepared(
    layer: Layer, params: Parameters, data: Data, loss: LossLike, class_weight: ClassWeight | None
) -> tuple[Objective, Batch]:
    goal = objective(layer, loss)
    return goal, prepare(goal, data, params.flat.real.dtype, class_weight)


def loss_and_gradients(
    layer: Layer, params: Parameters, data: Data, loss: LossLike, class_weight: ClassWeight | None = None, kernel: str = "auto"
) -> tuple[float, Parameters]:
    """The loss and its gradients, without dropout; for all parameters, frozen or not."""
    goal, batch = _prepared(layer, params, data, loss, class_weight)
    grads = params.zeros_like()
    output, _, cache = goal.layer.forward(params, batch.x, steps=batch.steps, kernel=kernel)
    value, doutput = weigh(goal.loss, output, batch, batch.total)
    goal.layer.finish(params, grads, cache, doutput)
    return float(value.real), grads


@dataclass
class Tally:
    """Running weighted means of the loss and of some metrics."""

    weight: float = 0.0
    sums: list[float] = field(default_factory=list)

    def add(self, goal: Objective, watched: list[Metric], value: float, output: Array, batch: Batch) -> None:
        """Adds a batch: its loss `value`, the sum over its outputs, and the metrics of its predictions."""
        total = batch.total
        if not total:
            return
        new = [value]
        if watched:
            pred, weight = goal.prediction(output), np.ones(batch.lead) if batch.weight is None else batch.weight
            new += [total * metric.of(pred, batch.y, weight) for metric in watched]
        self.sums = [a + b for a, b in zip(self.sums or [0.0] * len(new), new, strict=True)]
        self.weight += total

    @property
    def loss(self) -> float:
        """The mean loss so far."""
        return self.sums[0] / self.weight if self.weight else math.nan

    def means(self, watched: list[Metric]) -> dict[str, float]:
        """{"loss": …, metric: …}."""
        loss, *others = (total / self.weight for total in self.sums)
        return {"loss": loss} | {m.name: m.finished(value) for m, value in zip(watched, others, strict=True)}


class Scorer(NamedTuple):
    """What `evaluate` needs beside parameters and data."""

    goal: Objective
    watched: list[Metric]
    batch_size: int
    kernel: str

    def score(self, params: Parameters, batch: Batch) -> dict[str, float]:
        """{"loss": …, metric: …}, without dropout."""
        tally = Tally()
        for start in range(0, len(batch.x), self.batch_size):
            part = batch.rows(slice(start, start + self.batch_size))
            output = self.goal.layer.forward(params, part.x, steps=part.steps, kernel=self.kernel)[0]
            value = float(weigh(self.goal.loss, output, part, 1.0)[0].real)
            tally.add(self.goal, self.watched, value, output, part)
        return tally.means(self.watched)


def evaluate(
    layer: Layer,
    params: Parameters,
    data: Data,
    loss: LossLike,
    watched: MetricLike | Iterable[MetricLike] | None = (),
    batch_size: int = ROWS,
    kernel: str = "auto",
) -> dict[str, float]:
    """{"loss": …, metric: …} over all of `data`, in batches of `batch_size` rows."""
    whole_number("batch_size", batch_size)
    goal, batch = _prepared(layer, params, data, loss, None)
    return Scorer(goal, metrics.resolve(watched, goal), batch_size, kernel).score(params, batch)
