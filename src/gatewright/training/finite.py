"""NaN and infinity: found at once, and traced to the layer, the step and the row where they began."""

import math
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.layers import Layer, Sequential
from gatewright.parameters import Scope
from gatewright.training.batches import Batch, spread, weigh
from gatewright.training.gradients import Run


def all_finite(array: Array) -> bool:
    """Whether `array` (N,) holds neither NaN nor infinity; to be asked where np.errstate is silent."""
    # A finite sum of squares shows it at half the cost; one that overflows shows nothing.
    return math.isfinite(np.dot(array, array)) or bool(np.isfinite(array).all())


class Link(NamedTuple):
    """One layer of a network, with what it needs to run."""

    name: str
    layer: Layer
    params: Scope
    grads: Scope
    state: Any


def _links(layer: Layer, params: Scope, grads: Scope, state: Any, name: str = "") -> list[Link]:
    """The layers that run one after the other, Sequentials inside of Sequentials opened."""
    if not isinstance(layer, Sequential):
        return [Link(name, layer, params, grads, state)]
    links = []
    for index, (key, child) in enumerate(layer.children.items()):
        inner = None if state is None else state[index]
        links += _links(child, params.scope(key), grads.scope(key), inner, f"{name}.{key}" if name else key)
    return links


def _place(array: Array, origin: int | None, last: bool = False) -> tuple[str, int] | None:
    """What is not finite in `array` (B, T, …) at the first (or last) such step, in words, and its row; None if all is finite.

    `origin` is the number of the first step in the user's data, None where there is no time axis.
    """
    bad = np.argwhere(~np.isfinite(array))
    if not len(bad):
        return None
    if origin is None or array.ndim < 2:
        return f"{array[tuple(bad[0])]}", int(bad[0][0])
    at = bad[np.argsort(bad[:, 1], kind="stable")[-1 if last else 0]]
    return f"{array[tuple(at)]} at step {origin + at[1]}", int(at[0])


def trace(run: Run, batch: Batch, state: Any, total: float, origin: int) -> tuple[str, int | None]:
    """Runs a batch again, layer by layer, up to the first value that is not finite: what it is, and in which row of the batch.

    run.rng must be in the state that it had before. `origin` is the number of the batch's first step in the data. Adds to
    the gradients, which are of no use any more.
    """
    x, steps, trail = batch.x, batch.steps, []
    for link in _links(run.goal.layer, run.params, run.grads, state):
        y, _, cache = link.layer.forward(
            link.params, x, link.state, steps=steps, training=run.training, rng=run.rng, kernel=run.kernel
        )
        who = f"layer {link.name} ({type(link.layer).__name__})" if link.name else f"the {type(link.layer).__name__} layer"
        if place := _place(y, origin if y.ndim > 2 else None):
            return f"{who} gave {place[0]}", place[1]
        steps = link.layer.steps_out(x, steps)
        trail.append((link, who, cache))
        x = y
    values, _ = run.goal.loss(x, batch.y)
    seen = values if batch.weight is None else np.where(spread(batch.weight > 0, values.ndim), values, 0)
    if place := _place(seen, origin if batch.timed else None):
        return f"the loss {run.goal.loss} gave {place[0]}", place[1]
    _, dy = weigh(run.goal.loss, x, batch, total)
    if place := _place(dy, origin if batch.timed else None):
        return f"the loss {run.goal.loss} gave a gradient of {place[0]}", place[1]
    for link, who, cache in reversed(trail):
        dy, _ = link.layer.backward(link.params, link.grads, cache, dy)
        if place := _place(dy, origin if dy.ndim > 2 else None, last=True):
            return f"the gradient of {who} became {place[0]}", place[1]
        for name, gradient in link.grads.items():
            if place := _place(gradient, None):
                return f"the gradient of {name} in {who}, summed over all rows, became {place[0]}", None
    return "the sum of finite numbers overflowed", None
