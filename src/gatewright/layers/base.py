"""The contract of every layer."""

import contextlib
import dataclasses
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import dispatch
from gatewright.layers.dispatch import Choice
from gatewright.parameters import SHARED, Parameters, Scope
from gatewright.steps import Steps, live_or_none

Shape: TypeAlias = tuple[int, ...]
Result: TypeAlias = tuple[Any, Any, Any]  # output, state, cache
Rng: TypeAlias = np.random.Generator | None
Self = TypeVar("Self", bound="Layer")


class Step(NamedTuple):
    """A network prepared for one x: running it reads x and the state, writes y and the state, and allocates nothing."""

    runs: tuple[Callable[[], None], ...]  # one after the other
    y: Array  # (B, O) or (B, T, O)
    state: Any = None  # its arrays are read and written


@dataclasses.dataclass(frozen=True, repr=False)
class Layer(ABC):
    """What to compute: a frozen description, equal by value, that holds no arrays.

    The parameters are a value of their own, made by `init` and handed to `forward` and `backward`, and so is the state.
    x is (B, T, F), for an Embedding (B, T) whole numbers, for layers without memory also (B, F); y is (B, T, O), or (B, O)
    where one output a row is given. The constructors raise OptionError for impossible options. `init`, `forward` and
    `backward` trust what they are given: a Model checks it first.
    """

    @abstractmethod
    def init(self, rng: np.random.Generator) -> Parameters:
        """New parameters (float64), drawn from `rng`."""

    @abstractmethod
    def forward(
        self, params: Scope, x: Array, state: Any = None, *,
        steps: Steps | None = None, training: bool = False, rng: Rng = None, kernel: str = "auto",
    ) -> Result:  # fmt: skip
        """(y, state, cache) for x, batch first. Dead steps of x are not read, those of y are zero.

        state: in the form of `state_shape`, None to begin from the learned one or zero. steps: the live steps, None for all.
        training: dropout acts, drawn from rng. kernel: "auto", "numpy" or "compiled".
        """

    @abstractmethod
    def backward(self, params: Scope, grads: Scope, cache: Any, dy: Any, dstate: Any = None) -> tuple[Array, Any]:
        """(dx, dstate) from the gradients of the output and of the final state (None: zero); adds the rest into `grads`.

        cache: what `forward` gave; dy: of the shape of y; dx: of the shape of x; dstate, in and out: in the form of the state.
        """

    def finish(self, params: Scope, grads: Scope, cache: Any, dy: Any, dstate: Any = None) -> Any:
        """`backward` where nobody asks for dx, as of a network's input: the gradient of the initial state alone."""
        return self.backward(params, grads, cache, dy, dstate)[1]

    def prepare(self, params: Scope, x: Array, state: Any, kernel: str) -> Step | None:
        """Compiled code that reads x, (B, F) for one step or (B, T, F), and begins with a copy of `state`, every step live.

        x stands side by side in memory. None where a layer has no compiled code.
        """
        return None

    def shapes(self) -> dict[str, Shape]:
        """The shape of every parameter, by name, in the order of `init`."""
        found: dict[str, Shape] = {}
        for prefix, child in self.children.items():
            found |= {
                in_scope(prefix, name): shape for name, shape in child.shapes().items() if in_scope(prefix, name) not in found
            }
        return found

    @abstractmethod
    def shape_out(self, shape: Shape) -> Shape:
        """The shape of the output for an input of `shape`. Raises ShapeError for an impossible one."""

    def state_shape(self, batch: int) -> Any:
        """The layer's state with a shape in place of every array, or None if it has no state."""
        return None

    def steps_in(self, x: Array, steps: Steps | None) -> Steps | None:
        """The steps of x (B, T, F), or (B, T) indices, that the layer reads; None: all of them."""
        return steps

    def steps_out(self, x: Array, steps: Steps | None) -> Steps | None:
        """The live steps that the next layer sees, for x (B, T, F) or (B, T) indices; None: all of them, or no time axis."""
        return steps

    def lengths_out(self, lengths: Array) -> Array:
        """How many steps the output has for rows of so many, (B,) whole numbers."""
        return lengths

    def choice(self, dtype: Any, kernel: str, training: bool = False) -> Choice:
        """Which code `kernel` ("auto", "numpy" or "compiled") means for this layer in `dtype`, and why.

        Raises OptionError for "compiled" where that can't be.
        """
        return dispatch.choose(dispatch.Ask(dtype, kernel, training, "no kernel is written for this layer"), "")

    @property
    def children(self) -> Mapping[str, "Layer"]:
        """The layers inside, by the name under which their parameters are kept."""
        return {}

    @property
    def features_in(self) -> int | None:
        """The number of features that x must have, or None where any will do."""
        return None

    @property
    def takes_indices(self) -> bool:
        """Whether x holds whole numbers that name something, not measurements."""
        return False

    @property
    def gives_states(self) -> bool:
        """Whether the output is a State of every step (return_state_sequence), which no other layer takes."""
        return False

    @property
    def chunk_problem(self) -> str | None:
        """Why the layer can't run a sequence chunk by chunk, or None if it can."""
        return next((child.chunk_problem for child in self.children.values() if child.chunk_problem), None)

    @property
    def analytic(self) -> bool:
        """Whether the layer also holds for complex numbers, so that the complex-step check applies."""
        return all(child.analytic for child in self.children.values())

    def config(self) -> dict[str, Any]:
        """The arguments that build this layer again, by name."""
        names = list(inspect.signature(type(self)).parameters)
        return {name: getattr(self, "initialization" if name == "init" else name) for name in names}

    def replace(self: Self, **changes: Any) -> Self:
        """The same layer with some arguments changed."""
        return type(self)(**{**self.config(), **changes})

    def _store(self, arguments: dict[str, Any]) -> None:
        """Keeps a constructor's arguments, `locals()`, as the fields; `init` goes to `initialization`, for it is a method."""
        fields = {field.name for field in dataclasses.fields(self)}
        for name, value in arguments.items():
            name = "initialization" if name == "init" else name
            if name in fields:
                object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """The shortest call that builds this layer."""
        said, parameters = self.config(), inspect.signature(type(self)).parameters
        needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
        plain = type(self)(**{name: said[name] for name in parameters if name in [*needed, "init", "bias"]}).config()
        options = [name for name in said if name not in needed and self._differs(name, said[name], plain)]
        words = [*(repr(said[name]) for name in needed), *(f"{name}={said[name]!r}" for name in options)]
        return f"{type(self).__name__}({', '.join(words)})"

    def _differs(self, name: str, value: Any, plain: dict[str, Any]) -> bool:
        default = inspect.signature(type(self)).parameters[name].default
        return bool(value != (default if name in ("init", "bias") else plain[name]))


# The steps of an input of which nothing is known: enough for a window, and a whole number of them for every stride to 16.
ANY_TIME = 720_720


def shape_of_any_time(shape_out: Callable[[Shape], Shape], features: int | None) -> Shape:
    """shape_out of x (1, time, features), where that is impossible of (1, features); of (1, time) indices if features is None.

    Raises ShapeError as shape_out does, with words for the number of steps.
    """
    try:
        return shape_out((1, ANY_TIME) if features is None else (1, ANY_TIME, features))
    except ShapeError as error:
        if features is not None:
            with contextlib.suppress(ShapeError):
                return shape_out((1, features))
        raise ShapeError(re.sub(r"\(1, (\d{4,}),", _in_words, str(error))) from None


def _in_words(found: re.Match[str]) -> str:
    return "(1, time," if int(found[1]) == ANY_TIME else "(1, another time,"


def wants_sequences(shape: Shape, features: int) -> None:
    """Raises ShapeError unless `shape` is (B, T, features)."""
    if len(shape) != 3 or shape[2] != features:
        raise ShapeError(f"got x of shape {shape}, wanted (batch, time, {features})")


def in_scope(prefix: str, name: str) -> str:
    """The name that a parameter has one level up: prefixed, unless it is shared or there is no prefix."""
    return name if not prefix or name.startswith(SHARED) else f"{prefix}.{name}" if name else prefix


def init_children(layer: Layer, rng: np.random.Generator, trainable: bool) -> Parameters:
    """The parameters of all layers inside `layer`, each drawn in turn; shared ones once."""
    arrays: dict[str, Array] = {}
    frozen = set()
    for prefix, child in layer.children.items():
        for name, array in (new := child.init(rng)).items():
            arrays.setdefault(in_scope(prefix, name), array)
            frozen |= set() if trainable and new.trainable[name] else {in_scope(prefix, name)}
    return Parameters.of(arrays, frozen, float)


def live_steps(x: Array, steps: Steps | None) -> Array | None:
    """(B, T) bool: the live steps of x (B, T, …), or None where all of them are."""
    return None if steps is None else live_or_none(steps, *x.shape[:2])


def dropout_mask(x: Array, rate: float, rng: Rng) -> Array:
    """What x (any shape) is multiplied by: 0 with probability `rate`, else 1 / (1 - rate).

    Inverted dropout (Srivastava et al. 2014). Raises OptionError without a generator.
    """
    if rng is None:
        raise OptionError("training with dropout needs rng=np.random.default_rng(…)")
    return ((rng.random(x.shape) >= rate) / (1 - rate)).astype(x.real.dtype)


def zero_dead(x: Array, live: Array | None) -> Array:
    """x with zeros at its dead steps, whatever stood there; x itself where all steps live (live: (B, T) or None)."""
    return x if live is None else np.where(live.reshape(live.shape + (1,) * (x.ndim - 2)), x, x.dtype.type(0))


def spread(flat: Array, live: Array | None, shape: Shape) -> Array:
    """The rows (N, O) back in their places, (…, O), zero at dead steps."""
    if live is None:
        return flat.reshape(shape)
    whole = np.zeros(shape, flat.dtype)
    whole[live] = flat.reshape(-1, *shape[2:])
    return whole
