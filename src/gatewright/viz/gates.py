"""What happens inside the recurrent layers on one sequence: gates and states of every step, and the loss's gradients there."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError
from gatewright.layers import Bidirectional, Embedding, Layer, Recurrent, Sequential, Shared
from gatewright.layers import recurrent as recurrent_layers
from gatewright.layers.scan import Scan
from gatewright.parameters import Parameters
from gatewright.training.batches import Batch, weigh
from gatewright.training.objective import Objective


class Inside(NamedTuple):
    """One recurrent layer and direction, aligned with the sequence it reads: steps T, units H. Dead steps are zero."""

    name: str  # of its parameters' scope, as "0.layer1.forward"
    kind: str  # LSTM, GRU or RNN
    layer: Recurrent  # as its direction computes it
    arrays: dict[str, Array]  # (T, H) by letter: gates and states; h has fewer columns where it is projected
    gradient: Array  # (T, H) of the loss with respect to h after every step, through all later steps
    live: Array  # (T,) bool


class Seen(NamedTuple):
    """One sequence of T steps through a network, there and back."""

    inside: tuple[Inside, ...]
    output: Array  # (T, O) or (O,), before the final activation where the loss has that inside
    loss: float
    step_loss: Array | None  # (T,) the loss of every step, NaN where a step has none; None of one output a row
    saliency: Array | None  # (T, F) of the loss with respect to the input, or to what an Embedding made of it


class _Place(NamedTuple):
    """A recurrent layer in a network."""

    prefix: str
    layer: Recurrent
    turned: bool  # it reads the sequence from its end


class _Recorder:
    """The cell's way back as a kernel that goes one step at a time, and keeps the gradient of every h."""

    def __init__(self, cell: ModuleType, options: Any) -> None:
        self._cell, self._options = cell, options
        self.forward = cell.forward  # never called: what is recorded has already run
        self.dh: list[Array] = []  # (B, H), the last step first

    def source(self, weights: Any) -> Any:
        """The weights, as they are."""
        return weights

    pack = source

    def backward(self, weights: Any, cache: Any, dsteps: Any, dstate: Any, wants_dx: bool) -> Any:
        """Gradients of the input and of the initial state, without those of the weights."""
        dx, state = np.empty_like(cache.x), type(dstate)
        for t in reversed(range(len(cache.x))):
            step = state(*(None if a is None else a[t : t + 1] for a in dsteps))
            self.dh.append(dstate.h + step.h[0])
            part = self._cell.backward(_one_step(cache, t), weights, self._options, step, dstate)
            dx[t], dstate = part.x[0], part.state
        return part._replace(x=dx, weights=None, state=dstate)


def _one_step(cache: Any, t: int) -> Any:
    """The cache of a cell (T steps, without dropout) as if step t had run alone; states have T + 1 steps."""
    steps = len(cache.x)
    return type(cache)(*(None if a is None else a[t : t + 1 + (len(a) > steps)] for a in cache))


def observe(goal: Objective, params: Parameters, batch: Batch) -> Seen:
    """Runs one row (1, T, …) forward and back, in NumPy; params: a copy, on which the recorders leave their marks."""
    assert isinstance(goal.layer, Sequential)
    grads, steps, x, done = params.zeros_like(), batch.steps, batch.x, []
    parts = list(_chain(goal.layer))
    for path, layer in parts:
        y, _, cache = layer.forward(_at(params, path), x, steps=steps, kernel="numpy")
        done.append(cache)
        x, steps = y, layer.steps_out(x, steps)
    places = [place for path, layer in parts for place in _recurrent(layer, path)]
    caches = [found for cache in done for found in _caches(cache)]
    recorders = [
        [_Recorder(place.layer.cell, way.options) for _ in range(place.layer.num_layers) for way in place.layer.ways]
        for place in places
    ]
    swap = dict(zip(map(id, caches), recorders, strict=True))
    value, dy = weigh(goal.loss, x, batch, batch.total)
    saliency = None
    for (path, layer), cache in zip(reversed(parts), reversed(done), strict=True):
        if isinstance(layer.layer if isinstance(layer, Shared) else layer, Embedding):
            saliency = dy  # an index has no gradient
        dy, _ = layer.backward(_at(params, path), _at(grads, path), _recorded(cache, swap), dy)
    inside = [part for of in zip(places, caches, recorders, strict=True) for part in _inside(*of)]
    seen = saliency if parts[0][1].takes_indices else dy
    return Seen(tuple(inside), x[0], float(value), _step_loss(goal, x, batch), None if seen is None else seen[0])


def _step_loss(goal: Objective, output: Array, batch: Batch) -> Array | None:
    """(T,) the mean over the outputs of a step, NaN where no loss is."""
    if not batch.timed:
        return None
    values = goal.loss(output, batch.y)[0][0]
    values = values.reshape(len(values), -1).mean(axis=1).astype(float)
    return values if batch.weight is None else np.where(batch.weight[0] > 0, values, np.nan)


def _chain(layer: Layer, path: str = "") -> Iterator[tuple[str, Layer]]:
    """The layers of nested Sequentials, one after the other, with the scopes of their parameters."""
    if not isinstance(layer, Sequential):
        yield path, layer
        return
    for name, child in layer.children.items():
        yield from _chain(child, f"{path}.{name}" if path else name)


def _at(params: Any, path: str) -> Any:
    for name in path.split("."):
        params = params.scope(name)
    return params


def _recurrent(layer: Layer, path: str, turned: bool = False) -> Iterator[_Place]:
    """The recurrent layers in the order in which caches hold theirs."""
    if isinstance(layer, Recurrent):
        yield _Place(path, layer, turned != layer.go_backwards)
    for name, child in layer.children.items():
        inner = path if not name else f"{path}.{name}"
        yield from _recurrent(child, inner, turned != (isinstance(layer, Bidirectional) and name == "backward"))


def _caches(cache: Any) -> Iterator[recurrent_layers.Cache]:
    """The caches of recurrent layers inside a layer's cache, in their order."""
    if isinstance(cache, recurrent_layers.Cache):
        yield cache
    elif isinstance(cache, tuple | list):
        for part in cache:
            yield from _caches(part)


def _recorded(cache: Any, swap: dict[int, list[_Recorder]]) -> Any:
    """The cache, with a recorder in the place of each kernel that ran."""
    if isinstance(cache, recurrent_layers.Cache):
        pairs = zip(cache.scans, swap[id(cache)], strict=True)
        return cache._replace(scans=tuple(scan._replace(kernel=new) for scan, new in pairs if isinstance(scan, Scan)))
    if isinstance(cache, tuple | list):
        parts = [_recorded(part, swap) for part in cache]
        return type(cache)(*parts) if hasattr(cache, "_fields") else type(cache)(parts)
    return cache


def _inside(place: _Place, cache: recurrent_layers.Cache, recorders: list[_Recorder]) -> Iterator[Inside]:
    """Every layer and direction of a stack, its packed steps put back where x has them."""
    packed, layer = cache.packing, place.layer
    for index, (scan, recorder) in enumerate(zip(cache.scans, recorders, strict=True)):
        assert isinstance(scan, Scan)
        name = ".".join(part for part in (place.prefix, layer.prefixes[index]) if part)
        if not scan.caches:
            raise DataError(f"explore: layer {name} has no live step")
        kept, way = scan.caches[0], layer.ways[index % len(layer.directions)]
        turned = place.turned != (index % len(layer.directions) == 1)
        letters = layer.cell.GATES if hasattr(kept, "gates") else ""
        arrays = dict(zip(letters, np.split(kept.gates, len(letters), axis=-1), strict=True)) if letters else {}
        arrays |= {name: states[1:] for name, states in reversed(kept.states._asdict().items())}  # c, then h
        arrays |= {"dh": np.stack(recorder.dh[::-1]), "live": np.ones((len(recorder.dh), 1, 1))}
        found = {name: np.array(packed.unpack(packed.flip(a) if turned else a, cache.time)[0]) for name, a in arrays.items()}
        gradient, live = found.pop("dh"), found.pop("live")[:, 0] > 0
        yield Inside(name, type(layer).__name__, way, found, gradient, live)
