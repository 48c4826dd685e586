"""Training on several threads: each has some of the rows to itself, there and back; the weights' gradients are added up."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from gatewright.arrays import Array
from gatewright.threads import together

Made = TypeVar("Made")


class Caches(NamedTuple):
    """What a forward pass keeps: the cache of every thread's rows."""

    rows: list[slice]
    parts: list[Any]

    @property
    def states(self) -> Any:
        """The states (T + 1, B, H), the initial one first."""
        return _side_by_side([part.states for part in self.parts], 1)


def forward(one: Callable[..., Any], rows: list[slice], x: Array, state: Any) -> Caches:
    """`one(x, state)` for the rows of every thread."""
    return Caches(rows, _all(partial(one, x[:, part], type(state)(*(array[part] for array in state))) for part in rows))


def backward(one: Callable[..., Any], caches: Caches, dsteps: Any, dstate: Any) -> Any:
    """`one(cache, dsteps, dstate)` for the rows of every thread, put together: Gradients."""
    State = type(dstate)
    given = (
        (cache, State(*(a if a is None else a[:, part] for a in dsteps)), State(*(a[part] for a in dstate)))
        for part, cache in zip(*caches, strict=True)
    )
    found: list[Any] = _all(partial(one, *each) for each in given)
    each_weight = zip(*(part.weights for part in found), strict=True)
    weights = [None if arrays[0] is None else sum(arrays[1:], arrays[0]) for arrays in each_weight]
    dx = None if found[0].x is None else np.concatenate([part.x for part in found], axis=1)
    return type(found[0])(dx, type(found[0].weights)(*weights), _side_by_side([part.state for part in found], 0))


def _all(tasks: Sequence[Callable[[], Made]] | Any) -> list[Made]:
    """What every task gives, each on a thread."""
    tasks = list(tasks)
    found: list[Any] = [None] * len(tasks)

    def run(k: int) -> None:
        found[k] = tasks[k]()

    together([partial(run, k) for k in range(len(tasks))])
    return found


def _side_by_side(states: list[Any], axis: int) -> Any:
    """States of some rows each as the State of all."""
    return type(states[0])(*(np.concatenate(arrays, axis=axis) for arrays in zip(*states, strict=True)))
