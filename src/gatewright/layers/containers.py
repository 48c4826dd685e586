"""Layers made of layers: Sequential, Residual, Shared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gatewright import checks
from gatewright.arrays import Array
from gatewright.errors import OptionError, ShapeError
from gatewright.layers.base import Layer, Result, Rng, Shape, Step, init_children, shape_of_any_time, zero_dead
from gatewright.parameters import SHARED, Parameters, Scope
from gatewright.steps import Steps, live_or_none


def leaves(layer: Layer) -> list[Layer]:
    """The layer itself and all layers inside it, outermost first."""
    return [layer, *(inner for child in layer.children.values() for inner in leaves(child))]


def check_shared(layer: Layer) -> None:
    """Raises OptionError if one name of gw.Shared stands for two different layers."""
    seen: dict[str, Layer] = {}
    for shared in (inner for inner in leaves(layer) if isinstance(inner, Shared)):
        if seen.setdefault(shared.name, shared.layer) != shared.layer:
            raise OptionError(f"gw.Shared {shared.name!r} stands for two layers: {seen[shared.name]} and {shared.layer}")


def check_inner(where: str, layer: Any) -> None:
    """Raises OptionError unless `layer` is a layer that can stand inside another."""
    if not isinstance(layer, Layer):
        raise OptionError(f"{where}: got {layer!r}, wanted a layer such as gw.LSTM(1, 32)")


@dataclass(frozen=True, init=False, repr=False)
class Sequential(Layer):
    """Layers one after the other: gw.Sequential(gw.LSTM(1, 32), gw.Dense(32, 1)); the state is a tuple, one entry a layer.

    x is what the first layer takes, y what the last one gives. Shapes are checked when it is built: ShapeError says which layer
    can't follow which, OptionError which can't stand where. Parameter names begin with the layer's index. trainable=False
    freezes all of it.
    """

    layers: tuple[Layer, ...]
    trainable: bool

    def __init__(self, *layers: Layer | Iterable[Layer], trainable: bool = True) -> None:
        if len(layers) == 1 and not isinstance(layers[0], Layer) and isinstance(layers[0], Iterable):
            layers = tuple(layers[0])
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "trainable", trainable)
        checks.true_or_false("trainable", trainable)
        if not layers:
            raise OptionError("Sequential: got no layers, wanted at least one")
        for index, layer in enumerate(self.layers):
            check_inner(f"Sequential: layer {index}", layer)
            late = [type(inner).__name__ for inner in leaves(layer) if type(inner).__name__ in ("Masking", "Embedding")]
            if index and late:
                raise OptionError(f"{late[0]} reads the network's own input: put it first, not at {index}")
            if index < len(layers) - 1 and layer.gives_states:
                raise OptionError(f"layer {index} gives states (return_state_sequence=True): no layer takes them; put it last")
        check_shared(self)
        self._check_shapes()

    def _check_shapes(self) -> None:
        """Runs the shapes from the first layer that knows its input's through all that follow."""
        known = next((k for k, layer in enumerate(self.layers) if layer.takes_indices or layer.features_in), None)
        if known is not None:
            shape_of_any_time(partial(self._shapes, start=known), self.layers[known].features_in)

    def _shapes(self, shape: Shape, start: int = 0) -> Shape:
        for index, layer in enumerate(self.layers[start:], start):
            try:
                shape = layer.shape_out(shape)
            except ShapeError as error:
                raise ShapeError(f"layer {index}, {layer}{self._misfit(index, shape) or f': {error}'}") from None
        return shape

    def _misfit(self, index: int, shape: Shape) -> str | None:
        """Why a layer can't follow the one before it, which gives `shape`."""
        wants = self.layers[index].features_in
        if index and wants is not None and wants != shape[-1]:
            return f", takes {wants} features, and layer {index - 1} gives {shape[-1]}"
        if index and len(shape) == 2:
            return f", reads a sequence, but layer {index - 1} gives its last output alone: leave its return_sequences=True"
        return None

    def config(self) -> dict[str, Any]:
        return {"layers": self.layers, "trainable": self.trainable}

    def replace(self, **changes: Any) -> "Sequential":
        arguments = {**self.config(), **changes}
        return Sequential(*arguments.pop("layers"), **arguments)

    def __repr__(self) -> str:
        words = [*map(repr, self.layers), *([] if self.trainable else ["trainable=False"])]
        return f"Sequential({', '.join(words)})"

    @property
    def children(self) -> Mapping[str, Layer]:
        return {str(index): layer for index, layer in enumerate(self.layers)}

    def init(self, rng: np.random.Generator) -> Parameters:
        """The parameters of all layers, named `<index>.…`."""
        return init_children(self, rng, self.trainable)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """The last layer's output (B, T, O) or (B, O), the states and the caches of all, for an x that the first takes."""
        states, caches = [], []
        for index, layer in enumerate(self.layers):
            now = None if state is None else state[index]
            y, after, cache = layer.forward(
                params.scope(str(index)), x, now, steps=steps, training=training, rng=rng, kernel=kernel
            )
            steps = layer.steps_out(x, steps)
            x = y
            states.append(after)
            caches.append(cache)
        return x, tuple(states), tuple(caches)

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        parts: list[Step] = []
        for index, layer in enumerate(self.layers):
            now = None if state is None else state[index]
            part = layer.prepare(params.scope(str(index)), parts[-1].y if parts else x, now, kernel)
            if part is None:
                return None
            parts.append(part)
        return Step(tuple(run for part in parts for run in part.runs), parts[-1].y, tuple(part.state for part in parts))

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Any, dstate: Any = None) -> tuple[Array, Any]:
        """dx and the gradients of the initial states."""
        dx, dstates = self._down_to(0, params, grads, cache, dy, dstate)
        return dx, tuple(dstates)

    def finish(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> Any:
        dy, dstates = self._down_to(1, params, grads, cache, dy, dstate)
        after = None if dstate is None else dstate[0]
        return (self.layers[0].finish(params.scope("0"), grads.scope("0"), cache[0], dy, after), *dstates)

    def _down_to(self, lowest: int, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any) -> tuple[Array, list[Any]]:
        """`backward` of the layers from the last to the `lowest`."""
        dstates: list[Any] = []
        for index in reversed(range(lowest, len(self.layers))):
            scopes = params.scope(str(index)), grads.scope(str(index))
            after = None if dstate is None else dstate[index]
            dy, before = self.layers[index].backward(*scopes, cache[index], dy, after)
            dstates.insert(0, before)
        return dy, dstates

    def shape_out(self, shape: Shape) -> Shape:
        return self._shapes(shape)

    def state_shape(self, batch: int) -> Any:
        return tuple(layer.state_shape(batch) for layer in self.layers)

    def steps_in(self, x: Array, steps: Steps | None) -> Steps | None:
        return self.layers[0].steps_in(x, steps)

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """What the last layer hands on. Only the first layer looks at x; the others want to know its shape."""
        for layer in self.layers:
            steps = layer.steps_out(x, steps)
            x = np.broadcast_to(0.0, layer.shape_out(x.shape))
        return steps

    def lengths_out(self, lengths: Array) -> Array:
        for layer in self.layers:
            lengths = layer.lengths_out(lengths)
        return lengths

    @property
    def gives_states(self) -> bool:
        return self.layers[-1].gives_states

    @property
    def features_in(self) -> int | None:
        return next((layer.features_in for layer in self.layers if layer.features_in or layer.takes_indices), None)

    @property
    def takes_indices(self) -> bool:
        return self.layers[0].takes_indices


@dataclass(frozen=True, init=False, repr=False)
class Wrapper(Layer):
    """A layer around one other, whose state, steps and input are that one's."""

    layer: Layer

    def state_shape(self, batch: int) -> Any:
        return self.layer.state_shape(batch)

    def steps_in(self, x: Array, steps: Steps | None) -> Steps | None:
        return self.layer.steps_in(x, steps)

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        return self.layer.steps_out(x, steps)

    def lengths_out(self, lengths: Array) -> Array:
        return self.layer.lengths_out(lengths)

    @property
    def features_in(self) -> int | None:
        return self.layer.features_in

    @property
    def takes_indices(self) -> bool:
        return self.layer.takes_indices


@dataclass(frozen=True, init=False, repr=False)
class Residual(Wrapper):
    """y = x + layer(x), of one shape (B, T, F) or (B, F) (He et al. 2016); the state is the layer's.

    Raises ShapeError for a layer that changes the shape, OptionError for one that changes the order of the steps.
    """

    def __init__(self, layer: Layer) -> None:
        check_inner("Residual", layer)
        object.__setattr__(self, "layer", layer)
        if layer.takes_indices:
            raise OptionError(f"Residual: indices can't be added to what {type(layer).__name__} makes of them")
        if layer.gives_states:
            raise OptionError("Residual: the layer gives states (return_state_sequence=True), which can't be added to x")
        if any(getattr(inner, "go_backwards", False) for inner in leaves(layer)):
            raise OptionError("Residual: go_backwards gives outputs in another order than x, so they can't be added")
        if layer.features_in:
            shape_of_any_time(self.shape_out, layer.features_in)

    def init(self, rng: np.random.Generator) -> Parameters:
        """The layer's parameters, under its own names."""
        return self.layer.init(rng)

    @property
    def children(self) -> Mapping[str, Layer]:
        return {"": self.layer}

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """x + layer(x), zero at dead steps."""
        y, state, cache = self.layer.forward(params, x, state, steps=steps, training=training, rng=rng, kernel=kernel)
        out = self.layer.steps_out(x, steps)
        live = None if out is None else live_or_none(out, *x.shape[:2])
        return zero_dead(x, live) + zero_dead(y, live), state, (cache, live)

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx of the shape of dy."""
        inner, live = cache
        dy = zero_dead(dy, live)
        dx, dstate = self.layer.backward(params, grads, inner, dy, dstate)
        return dx + dy, dstate

    def shape_out(self, shape: Shape) -> Shape:
        out = self.layer.shape_out(shape)
        if len(out) < len(shape):
            raise ShapeError(f"Residual: {self.layer} gives its last output alone, which can't be added to a sequence")
        if out[:-1] != shape[:-1]:
            raise ShapeError(f"Residual: {self.layer} changes the number of steps; wanted as many, since x is added")
        if out != shape:
            raise ShapeError(
                f"Residual: {self.layer} makes {out[-1]} features of {shape[-1]}; wanted as many, since x is added"
            )
        return out


@dataclass(frozen=True, init=False, repr=False)
class Shared(Wrapper):
    """A layer whose parameters are kept once under `shared.<name>.…`, wherever in the network it is used.

    x, y and the state are the layer's, a state for every place. Raises OptionError where one name stands for two layers.
    """

    name: str

    def __init__(self, layer: Layer, name: str) -> None:
        check_inner("Shared", layer)
        if not isinstance(name, str) or not name or "." in name:
            raise OptionError(f"name: got {name!r}, wanted a word without dots")
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "name", name)

    @property
    def children(self) -> Mapping[str, Layer]:
        return {SHARED + self.name: self.layer}

    @property
    def gives_states(self) -> bool:
        return self.layer.gives_states

    def init(self, rng: np.random.Generator) -> Parameters:
        """The layer's parameters, named `shared.<name>.…`."""
        return init_children(self, rng, trainable=True)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """What the layer gives, for an x that it takes."""
        scope = params.scope(SHARED + self.name)
        return self.layer.forward(scope, x, state, steps=steps, training=training, rng=rng, kernel=kernel)

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Any, dstate: Any = None) -> tuple[Array, Any]:
        """What the layer gives; every use adds into the same gradients."""
        return self.layer.backward(params.scope(SHARED + self.name), grads.scope(SHARED + self.name), cache, dy, dstate)

    def shape_out(self, shape: Shape) -> Shape:
        return self.layer.shape_out(shape)
