"""What RNN, LSTM and GRU layers have in common: arguments, parameters and shapes of cells on top of each other."""

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any, Self

import numpy as np

from gatewright import activations, checks, initializers
from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import OptionError, one_of
from gatewright.layers import base
from gatewright.layers.base import Layer, Shape
from gatewright.parameters import Parameters

INITS = ("keras", "pytorch", "chrono")
ACTIVATIONS = ("activation", "recurrent_activation", "cell_activation")
MASKED_OUTPUTS = ("zero", "repeat")


@dataclass(frozen=True, init=False, repr=False)
class Stack(Layer):
    """The description of a recurrent layer, whose mathematics is `cell`; gw.RNN tells of the arguments."""

    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    return_sequences: bool
    return_state_sequence: bool
    go_backwards: bool
    masked_output: str
    activation: Activation | tuple[Activation, Activation]  # forward, backward
    clip: float | None
    bias: bool
    dropout: float
    input_dropout: float
    recurrent_dropout: float
    stateful: bool
    learn_initial_state: bool
    initialization: str
    kernel_initializer: str | None
    recurrent_initializer: str | None
    bias_initializer: str | None
    trainable: bool

    @property
    @abstractmethod
    def cell(self) -> ModuleType:
        """The mathematics, a module of gatewright.cells."""

    @property
    @abstractmethod
    def options(self) -> Any:
        """The cell's Options, of a layer without pairs of activations: see `ways`."""

    @property
    def gates(self) -> str:
        """The letters of the gates, in the order of the blocks of W, U and b."""
        return str(self.cell.GATES)

    @cached_property
    def sizes(self) -> Any:
        """The length of every part of the state, as a State."""
        return self.cell.State(*(self.hidden_size for _ in self.cell.State._fields))

    def _check(self) -> None:
        """Normalises the fields and raises OptionError for impossible values."""
        for name, least in (("input_size", 1), ("hidden_size", 1), ("num_layers", 1)):
            checks.whole_number(name, getattr(self, name), least)
        for name in ("bidirectional", "return_sequences", "return_state_sequence", "go_backwards", "bias",
                     "stateful", "learn_initial_state", "trainable"):  # fmt: skip
            checks.true_or_false(name, getattr(self, name))
        for name in ("dropout", "input_dropout", "recurrent_dropout"):
            checks.fraction(name, getattr(self, name))
        for name in ACTIVATIONS[:2]:
            if hasattr(self, name):
                self._check_activation(name)
        self._check_clip()
        if self.masked_output not in MASKED_OUTPUTS:
            raise one_of("masked_output", self.masked_output, MASKED_OUTPUTS)
        if self.bidirectional and self.go_backwards:
            raise OptionError("go_backwards=True with bidirectional=True: a bidirectional layer runs both ways already")
        if self.dropout and self.num_layers == 1:
            raise OptionError(
                "dropout acts between layers: use num_layers > 1, gw.Dropout before or after this layer, or input_dropout"
            )
        if self.return_state_sequence and not self.return_sequences:
            raise OptionError("return_state_sequence=True gives every step: leave return_sequences=True")
        if self.masked_output == "repeat" and (self.return_state_sequence or not self.return_sequences):
            raise OptionError("masked_output='repeat' is about the sequence of outputs: it needs return_sequences=True alone")
        self._check_initializers()

    def _check_activation(self, name: str) -> None:
        """Makes an Activation of what was given, or two that differ of a pair."""
        got = getattr(self, name)
        pair = tuple(got) if isinstance(got, list | tuple) else (got,)
        if isinstance(got, list | tuple) and (len(pair) != 2 or not self.bidirectional):
            raise OptionError(f"{name}: got {got!r}, wanted one, or (forward, backward) with bidirectional=True")
        found = tuple(map(activations.get, pair))
        for each in (each.name for each in found if each.name in activations.ROWWISE):
            raise OptionError(f"{name}={each!r} is for outputs: use gw.Dense(…, activation={each!r})")
        object.__setattr__(self, name, found if found[0] != found[-1] else found[0])

    def _check_clip(self) -> None:
        if self.clip is None:
            return
        checks.positive("clip", self.clip)
        object.__setattr__(self, "clip", float(self.clip))
        for name in ACTIVATIONS:
            own = getattr(self, name, None)
            if any(isinstance(each, Activation) and each.clip for each in (own if isinstance(own, tuple) else (own,))):
                raise OptionError(f"clip={self.clip} is for all activations, and {name}={own!r} has one of its own: give one")

    def _clipped(self, name: str) -> Activation:
        """The activation of that name with the layer's clip; of a layer without pairs."""
        activation: Activation = getattr(self, name)
        return activation if self.clip is None else replace(activation, clip=self.clip)

    def _check_initializers(self) -> None:
        if self.initialization not in INITS:
            raise one_of("init", self.initialization, INITS)
        if self.initialization == "chrono" and len(self.gates) == 1:
            raise OptionError("init='chrono' sets the biases of gates, and an RNN has none; use LSTM or GRU")
        if self.initialization == "chrono" and not self.bias:
            raise OptionError("init='chrono' sets biases: leave bias=True")
        given = {name: getattr(self, name) for name in initializers.DEFAULTS}
        self._store(initializers.resolve(self.initialization, self.bias, given))

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """The scopes of the directions within a layer."""
        return ("forward", "backward") if self.bidirectional else ("",)

    @cached_property
    def ways(self) -> tuple[Self, ...]:
        """What each direction computes: this layer, or if activations are pairs, one with those of the direction."""
        pairs = {name: getattr(self, name) for name in ACTIVATIONS if isinstance(getattr(self, name, None), tuple)}
        if not pairs:
            return (self,) * len(self.directions)
        return tuple(self.replace(bidirectional=False, **{name: pair[d] for name, pair in pairs.items()}) for d in (0, 1))

    @cached_property
    def prefixes(self) -> list[str]:
        """The scope of every layer and direction, in the state's order; an unneeded part is left out."""
        layers = [f"layer{k}" for k in range(self.num_layers)] if self.num_layers > 1 else [""]
        return [".".join(part for part in (layer, direction) if part) for layer in layers for direction in self.directions]

    # --- parameters

    def shapes(self) -> dict[str, Shape]:
        found: dict[str, Shape] = {}
        for index, prefix in enumerate(self.prefixes):
            features = self.input_size if index < len(self.directions) else self.sizes.h * len(self.directions)
            found |= {base.in_scope(prefix, name): shape for name, shape in self._cell_shapes(features).items()}
        return found

    def _cell_shapes(self, features: int) -> dict[str, Shape]:
        """The shapes of one layer and direction."""
        columns = len(self.gates) * self.hidden_size
        shapes: dict[str, Shape] = {"W": (features, columns), "U": (self.sizes.h, columns)}
        shapes |= self._bias_shapes() if self.bias else {}
        shapes |= self._extra_shapes()
        first = {f"{name}0": (size,) for name, size in self.sizes._asdict().items()}
        return shapes | (first if self.learn_initial_state else {})

    def init(self, rng: np.random.Generator) -> Parameters:
        """W, U, b and what else the kind and its options have, such as h0, for every layer and direction."""
        arrays = {name: self._draw(rng, name.rpartition(".")[2], shape) for name, shape in self.shapes().items()}
        for name, array in arrays.items():
            if name.rpartition(".")[2] == "b":
                self._gate_biases(rng, array)
        return Parameters.of(arrays, () if self.trainable else arrays, float)

    def _draw(self, rng: np.random.Generator, name: str, shape: Shape) -> Array:
        if name in ("h0", "c0"):
            return np.zeros(shape)
        if self.initialization == "pytorch":
            return initializers.uniform(1 / math.sqrt(self.hidden_size))(rng, shape)
        kernels = {"W": self.kernel_initializer, "U": self.recurrent_initializer, "V": self.kernel_initializer}
        chosen = "zeros" if name == "P" else kernels.get(name, self.bias_initializer)
        return initializers.initializer(name, chosen or "")(rng, shape)

    def _bias_shapes(self) -> dict[str, Shape]:
        return {"b": (len(self.gates) * self.hidden_size,)}

    def _extra_shapes(self) -> dict[str, Shape]:
        """What a kind has beyond kernels and biases."""
        return {}

    def _gate_biases(self, rng: np.random.Generator, b: Array) -> None:
        """Writes what the initialisation says of single gates into b."""

    # --- shapes and steps

    @property
    def features_in(self) -> int | None:
        return self.input_size

    @property
    def gives_states(self) -> bool:
        return self.return_state_sequence

    @property
    def chunk_problem(self) -> str | None:
        if self.bidirectional:
            return f"{type(self).__name__}(bidirectional=True) reads the sequence from its end too"
        return f"{type(self).__name__}(go_backwards=True) begins at the end of the sequence" if self.go_backwards else None

    @property
    def analytic(self) -> bool:
        return all(option.analytic for way in self.ways for option in way.options if isinstance(option, Activation))

    def shape_out(self, shape: Shape) -> Shape:
        base.wants_sequences(shape, self.input_size)
        width = self.sizes.h * len(self.directions) * (self.num_layers if self.return_state_sequence else 1)
        return (*shape[:2], width) if self.return_sequences else (shape[0], width)

    def state_shape(self, batch: int) -> Any:
        return self.cell.State(*((self.num_layers * len(self.directions), batch, size) for size in self.sizes))
