"""A sequence read in both directions, by two layers of one's choice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gatewright import checks
from gatewright.arrays import Array
from gatewright.errors import OptionError, one_of
from gatewright.layers.base import Layer, Result, Rng, Shape, init_children
from gatewright.layers.parallel import MERGES, d_merge, merge, merged_shape
from gatewright.layers.recurrent import Recurrent
from gatewright.parameters import Parameters, Scope
from gatewright.steps import Packing, Steps, packing


class Cache(NamedTuple):
    """What one forward pass keeps."""

    packing: Packing
    outputs: list[Array]  # of both layers, aligned with x
    forward: Any
    backward: Any


@dataclass(frozen=True, init=False, repr=False)
class Bidirectional(Layer):
    """`layer` from the beginning and `backward_layer` (default: another of the same) from the end (Schuster & Paliwal 1997).

    (B, T, F) -> (B, T, O), the outputs aligned with x and merged: "concat" (last axis), "sum", "mul" or "ave". With
    return_sequences=False (B, O), each layer's last output: that of the first step for the one that runs backwards. The state
    is (forward, backward). trainable: False freezes both. Raises OptionError for layers that are not recurrent or that turn
    the sequence themselves, ShapeError where the outputs don't go together.
    """

    layer: Recurrent
    merge: str
    backward_layer: Recurrent
    trainable: bool

    def __init__(
        self, layer: Recurrent, merge: str = "concat", *, backward_layer: Recurrent | None = None, trainable: bool = True
    ) -> None:
        self._store(
            {
                "layer": layer,
                "merge": merge,
                "backward_layer": layer if backward_layer is None else backward_layer,
                "trainable": trainable,
            }
        )
        checks.true_or_false("trainable", trainable)
        if merge not in MERGES:
            raise one_of("merge", merge, MERGES)
        for name, inner in self.children.items():
            if not isinstance(inner, Recurrent):
                raise OptionError(f"Bidirectional: the {name} layer is {inner!r}, wanted gw.RNN, gw.LSTM or gw.GRU")
            for option, plain in (("bidirectional", False), ("go_backwards", False), ("return_state_sequence", False)):
                if getattr(inner, option) != plain:
                    raise OptionError(f"Bidirectional: {option}=True inside makes no sense; leave it out")
            if inner.masked_output != "zero":
                raise OptionError("Bidirectional: masked_output='repeat' inside; dead steps are zero here, in Keras too")
        self.shape_out((1, 1, layer.input_size))

    @property
    def children(self) -> Mapping[str, Layer]:
        return {"forward": self.layer, "backward": self.backward_layer}

    def init(self, rng: np.random.Generator) -> Parameters:
        """The parameters of both layers, named `forward.…` and `backward.…`."""
        return init_children(self, rng, self.trainable)

    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """The merged outputs, (forward state, backward state) and the cache, for x (B, T, F)."""
        packed = packing(steps, *x.shape[:2])
        before = state or (None, None)
        results = []
        for name, layer, start in zip(self.children, (self.layer, self.backward_layer), before, strict=True):
            there = x if name == "forward" else _flip(packed, x)
            y, after, cache = layer.forward(
                params.scope(name), there, start, steps=steps, training=training, rng=rng, kernel=kernel
            )
            results.append((y if name == "forward" or y.ndim < 3 else _flip(packed, y), after, cache))
        outputs, after, caches = (list(part) for part in zip(*results, strict=True))
        return merge(outputs, self.merge), tuple(after), Cache(packed, outputs, *caches)

    def backward(self, params: Scope, grads: Scope, cache: Cache, dy: Array, dstate: Any = None) -> tuple[Array, Any]:
        """dx (B, T, F) and the gradients of the initial states."""
        after = dstate or (None, None)
        dforward, dbackward = d_merge(cache.outputs, self.merge, dy)
        if dbackward.ndim == 3:
            dbackward = _flip(cache.packing, dbackward)
        scopes = [(params.scope(name), grads.scope(name)) for name in self.children]
        dx, before = self.layer.backward(*scopes[0], cache.forward, dforward, after[0])
        dx_back, before_back = self.backward_layer.backward(*scopes[1], cache.backward, dbackward, after[1])
        return dx + _flip(cache.packing, dx_back), (before, before_back)

    def shape_out(self, shape: Shape) -> Shape:
        return merged_shape([layer.shape_out(shape) for layer in self.children.values()], self.merge)

    def state_shape(self, batch: int) -> Any:
        return self.layer.state_shape(batch), self.backward_layer.state_shape(batch)

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        return self.layer.steps_out(x, steps)

    @property
    def features_in(self) -> int | None:
        return self.layer.features_in

    @property
    def chunk_problem(self) -> str | None:
        return "Bidirectional reads the sequence from its end too"


def _flip(packed: Packing, x: Array) -> Array:
    """Every segment of x (B, T, F) in reverse, in its own place; undoes itself."""
    return packed.unpack(packed.flip(packed.pack(x)), x.shape[1])
