"""Layers side by side, and the ways to merge their outputs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatewright import checks
from gatewright.arrays import Array
from gatewright.errors import OptionError, ShapeError, one_of
from gatewright.layers.base import Layer, Result, Rng, Shape, init_children, shape_of_any_time, zero_dead
from gatewright.layers.containers import check_inner, check_shared, leaves
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Steps, live_or_none

MERGES = ("concat", "sum", "mul", "ave")


def merge(outputs: list[Array], how: str) -> Array:
    """The outputs (B, T, O_k), or (B, O_k), as one: joined on the last axis, summed, multiplied or averaged."""
    if how == "concat":
        return np.concatenate(outputs, axis=-1)
    if how == "mul":
        return np.asarray(np.prod(outputs, axis=0))
    total = np.sum(outputs, axis=0)
    return np.asarray(total if how == "sum" else total / len(outputs))


def d_merge(outputs: list[Array], how: str, dy: Array) -> list[Array]:
    """Undoes `merge`: the gradient of every output, of its shape, from dy of the merged one's."""
    if how == "concat":
        return np.split(dy, np.cumsum([output.shape[-1] for output in outputs])[:-1].tolist(), axis=-1)
    if how == "mul":  # not dy * y / output: an output may be zero
        return [dy * merge(outputs[:k] + outputs[k + 1 :], "mul") for k in range(len(outputs))]
    return [dy / (1 if how == "sum" else len(outputs))] * len(outputs)


def merged_shape(shapes: list[Shape], how: str) -> Shape:
    """The shape of what `merge` makes; ShapeError if the outputs don't go together."""
    if len({shape[:-1] for shape in shapes}) > 1 or (how != "concat" and len(set(shapes)) > 1):
        raise ShapeError(f"merge={how!r} can't join outputs of shapes {', '.join(map(str, shapes))}")
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes) if how == "concat" else shapes[0][-1])


@dataclass(frozen=True, init=False, repr=False)
class Parallel(Layer):
    """Layers side by side on the same x, their outputs merged: "concat" (last axis), "sum", "mul" or "ave".

    (B, T, F) -> (B, T, O), or (B, O) where all layers give one output a row. The state is a tuple, one entry a layer. A step of
    the output is live where it is live in every layer's. trainable: False freezes all of it. Raises ShapeError where outputs
    don't go together, OptionError for an impossible layer.
    """

    layers: tuple[Layer, ...]
    merge: str
    trainable: bool

    def __init__(self, layers: Iterable[Layer], merge: str = "concat", *, trainable: bool = True) -> None:
        if isinstance(layers, Layer) or not isinstance(layers, Iterable):
            raise OptionError(f"Parallel: got {layers!r}, wanted a list of layers")
        self._store({"layers": tuple(layers), "merge": merge, "trainable": trainable})
        checks.true_or_false("trainable", trainable)
        if merge not in MERGES:
            raise one_of("merge", merge, MERGES)
        if not self.layers:
            raise OptionError("Parallel: got no layers, wanted at least one")
        for index, layer in enumerate(self.layers):
            check_inner(f"Parallel: layer {index}", layer)
            if layer.gives_states:
                raise OptionError(f"layer {index} gives states (return_state_sequence=True), which can't be merged")
        if len({layer.takes_indices for layer in self.layers}) > 1:
            raise OptionError("Parallel: some layers take indices and some take numbers; all see the same x")
        wants = {layer.features_in for layer in self.layers if layer.features_in is not None}
        if len(wants) > 1:
            raise ShapeError(f"Parallel: the layers take {', '.join(map(str, sorted(wants)))} features; all see the same x")
        check_shared(self)
        if self.features_in or self.takes_indices:
            out = shape_of_any_time(self.shape_out, self.features_in)
            if len(out) == 3 and any(getattr(inner, "go_backwards", False) for inner in leaves(self)):
                raise OptionError("Parallel: go_backwards gives outputs in another order than the others; use Bidirectional")

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
        """The merged outputs (B, T, O) or (B, O), the states and the caches of all layers, for x (B, T, F) or (B, F)."""
        results = [
            layer.forward(
                params.scope(str(index)), x, None if state is None else state[index],
                steps=steps, training=training, rng=rng, kernel=kernel,
            )
            for index, layer in enumerate(self.layers)
        ]  # fmt: skip
        outputs = [y for y, _, _ in results]
        out = self.steps_out(x, steps)
        live = None if out is None or outputs[0].ndim < 3 else live_or_none(out, *outputs[0].shape[:2])
        y = zero_dead(merge(outputs, self.merge), live)
        return y, tuple(state for _, state, _ in results), (outputs, tuple(cache for _, _, cache in results), live)

    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx of the shape of x, summed over the layers, and the gradients of the initial states, from dy of the output's."""
        outputs, caches, live = cache
        douts = d_merge(outputs, self.merge, zero_dead(dy, live))
        results = [
            layer.backward(
                params.scope(str(index)), grads.scope(str(index)), caches[index], douts[index],
                None if dstate is None else dstate[index],
            )
            for index, layer in enumerate(self.layers)
        ]  # fmt: skip
        return np.asarray(np.sum([dx for dx, _ in results], axis=0)), tuple(state for _, state in results)

    def shape_out(self, shape: Shape) -> Shape:
        return merged_shape([layer.shape_out(shape) for layer in self.layers], self.merge)

    def state_shape(self, batch: int) -> Any:
        return tuple(layer.state_shape(batch) for layer in self.layers)

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """The steps that are live for every layer."""
        outs = [layer.steps_out(x, steps) for layer in self.layers]
        if all(out is outs[0] for out in outs):
            return outs[0]
        said = [out for out in outs if out is not None]  # None: every step is live
        live = np.logical_and.reduce([out.live(*self.shape_out(x.shape)[:2]) for out in said])
        return Steps(mask=live, starts=next((out.starts for out in said if out.starts is not None), None))

    def lengths_out(self, lengths: Array) -> Array:
        return self.layers[0].lengths_out(lengths)

    @property
    def features_in(self) -> int | None:
        return next((layer.features_in for layer in self.layers if layer.features_in), None)

    @property
    def takes_indices(self) -> bool:
        return self.layers[0].takes_indices
