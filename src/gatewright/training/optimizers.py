"""Optimizers on the flat vector of parameters: PyTorch's formulas and defaults, in place.

An optimizer is a frozen description; what it remembers from update to update is an `OptimizerState` of its own.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.arrays import Array
from gatewright.checks import fraction, not_negative, true_or_false
from gatewright.errors import OptionError, one_of
from gatewright.layers import dispatch
from gatewright.layers.dispatch import Ask
from gatewright.parameters import Parameters

Groups: TypeAlias = Mapping[str, Mapping[str, float]]


class Segment(NamedTuple):
    """A run of the flat vector that is trained with one learning rate and one weight decay."""

    where: slice
    learning_rate: float
    weight_decay: float
    kernel: str = "numpy"  # which code may be used


@dataclass
class OptimizerState:
    """What an optimizer carries from update to update."""

    segments: list[Segment]
    slots: dict[str, Array]  # moments and the like, each (N,) like the flat vector
    count: int = 0  # updates made


@dataclass(frozen=True)
class Optimizer(ABC):
    """How parameters p follow their gradients g; in the formulas of its kinds, η is the learning rate.

    learning_rate: η, from 0 up. weight_decay: λ, from 0 up; g becomes g + λ p (AdamW: see there). groups:
    `{"*.b": {"weight_decay": 0}}` gives some names (exact, a layer's prefix or a shell pattern) a `learning_rate` or
    `weight_decay` of their own; where several patterns match, the later one counts. Raises OptionError for an impossible
    value.
    """

    learning_rate: float = 1e-3
    weight_decay: float = field(default=0.0, kw_only=True)
    groups: Groups | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        name = type(self).__name__
        not_negative(f"{name}: learning_rate", self.learning_rate)
        not_negative(f"{name}: weight_decay", self.weight_decay)
        groups: Any = {} if self.groups is None else self.groups
        if not isinstance(groups, Mapping) or not all(isinstance(options, Mapping) for options in groups.values()):
            raise OptionError(f"{name}: groups: got {groups!r}, wanted a dict such as {{'*.b': {{'weight_decay': 0}}}}")
        for pattern, options in groups.items():
            for option, value in options.items():
                if option not in ("learning_rate", "weight_decay"):
                    raise one_of(f"{name}: groups[{pattern!r}]: option", option, ("learning_rate", "weight_decay"))
                not_negative(f"{name}: groups[{pattern!r}]: {option}", value)

    def slots(self) -> tuple[str, ...]:
        """The names of the vectors (N,) that these options make the optimizer remember."""
        return ()

    def init(self, params: Parameters, kernel: str = "numpy") -> OptimizerState:
        """The state before the first update; frozen names get no segment, hence no step and no decay.

        kernel: "auto", "numpy" or "compiled".

        Raises OptionError where a group's pattern matches no name.
        """
        options = {name: {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay} for name in params}
        for pattern, own in (self.groups or {}).items():
            for name in params.matching(pattern):
                options[name] |= own
        segments: list[Segment] = []
        for name, where in params.slices().items():
            if not params.trainable[name]:
                continue
            new = Segment(where, **options[name], kernel=kernel)
            if segments and segments[-1].where.stop == where.start and segments[-1][1:] == new[1:]:
                new = new._replace(where=slice(segments.pop().where.start, where.stop))
            segments.append(new)
        return OptimizerState(segments, {slot: np.zeros_like(params.flat) for slot in self.slots()})

    def update(self, flat: Array, gradient: Array, state: OptimizerState, schedule: Callable[[float], float]) -> None:
        """One step, in place, of `flat` (N,) against `gradient` (N,), which is used up.

        `schedule` turns a segment's base learning rate into that of this update.
        """
        for segment in state.segments:
            where = segment.where
            slots = {slot: array[where] for slot, array in state.slots.items()}
            now = Segment(where, schedule(segment.learning_rate), *segment[2:])
            self.step(flat[where], gradient[where], slots, now, state.count + 1)
        state.count += 1

    @abstractmethod
    def step(self, p: Array, g: Array, slots: dict[str, Array], segment: Segment, count: int) -> None:
        """Update number `count` (from 1) of one segment: p, g and every slot are views of one length, g may be changed."""


def _decay(p: Array, g: Array, weight_decay: float) -> None:
    if weight_decay:
        g += weight_decay * p


def _follow(slot: Array, g: Array, rate: float) -> None:
    # slot += rate (g - slot): the exponential mean of g.
    d = g - slot
    d *= rate
    slot += d


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013), as `torch.optim.SGD`.

    p ← p - η m with m ← μ m + (1 - d) g, where the first m is g; nesterov: p ← p - η (g + μ m).
    momentum: μ, from 0 up; 0: p ← p - η g. dampening: d, from 0 to below 1, how much less of g goes into m. nesterov: look
    ahead along m; it needs momentum and no dampening. Raises OptionError for an impossible value.
    """

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        not_negative("SGD: momentum", self.momentum)
        fraction("SGD: dampening", self.dampening)
        true_or_false("SGD: nesterov", self.nesterov)
        if self.nesterov and not (self.momentum > 0 and self.dampening == 0):
            raise OptionError("SGD: nesterov=True needs a momentum above 0 and dampening=0")

    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def step(self, p: Array, g: Array, slots: dict[str, Array], segment: Segment, count: int) -> None:
        _decay(p, g, segment.weight_decay)
        if self.momentum:
            buffer = slots["momentum"]
            buffer *= self.momentum
            buffer += g if count == 1 else (1 - self.dampening) * g  # the first gradient is not dampened
            g = g + self.momentum * buffer if self.nesterov else buffer
        p -= segment.learning_rate * g


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by the root of g's mean square (Hinton 2012, lecture 6e), as `torch.optim.RMSprop`.

    p ← p - η g / (√v + eps) with v ← α v + (1 - α) g²; centered: √(v - a²) with a ← α a + (1 - α) g (Graves 2013).
    alpha: α, from 0 to below 1, the memory of the means. eps: from 0 up, against division by zero. momentum: μ, from 0 up;
    above 0, p ← p - η m with m ← μ m + g / (√v + eps). Raises OptionError for an impossible value.
    """

    learning_rate: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        fraction("RMSprop: alpha", self.alpha)
        not_negative("RMSprop: eps", self.eps)
        not_negative("RMSprop: momentum", self.momentum)
        true_or_false("RMSprop: centered", self.centered)

    def slots(self) -> tuple[str, ...]:
        return ("square", *(["mean"] if self.centered else []), *(["momentum"] if self.momentum else []))

    def step(self, p: Array, g: Array, slots: dict[str, Array], segment: Segment, count: int) -> None:
        _decay(p, g, segment.weight_decay)
        square = slots["square"]
        square *= self.alpha
        square += (1 - self.alpha) * g * g
        root = square.copy()
        if self.centered:
            _follow(slots["mean"], g, 1 - self.alpha)
            root -= slots["mean"] ** 2
        np.sqrt(root, out=root)
        root += self.eps
        g /= root
        if self.momentum:
            slots["momentum"] *= self.momentum
            slots["momentum"] += g
            g = slots["momentum"]
        p -= segment.learning_rate * g


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), as `torch.optim.Adam`; weight decay is added to the gradient.

    p ← p - η m̂ / (√v̂ + eps) with m ← β1 m + (1 - β1) g, v ← β2 v + (1 - β2) g², m̂ = m / (1 - β1ᵗ), v̂ = v / (1 - β2ᵗ).
    betas: (β1, β2), each from 0 to below 1, the memory of the means of g and g². eps: from 0 up, against division by zero.
    amsgrad: the largest v so far in place of v (Reddi et al. 2018). Raises OptionError for an impossible value.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    amsgrad: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise OptionError(f"{name}: betas: got {self.betas!r}, wanted two numbers (beta1, beta2)")
        object.__setattr__(self, "betas", tuple(self.betas))
        for beta in self.betas:
            fraction(f"{name}: beta", beta)
        not_negative(f"{name}: eps", self.eps)
        true_or_false(f"{name}: amsgrad", self.amsgrad)

    def slots(self) -> tuple[str, ...]:
        return ("mean", "square", "largest") if self.amsgrad else ("mean", "square")

    def step(self, p: Array, g: Array, slots: dict[str, Array], segment: Segment, count: int) -> None:
        _decay(p, g, segment.weight_decay)
        (beta1, beta2), square = self.betas, slots["square"]
        scale, rate = math.sqrt(1 - beta2**count), segment.learning_rate / (1 - beta1**count)
        run = dispatch.choose(Ask(p.dtype, segment.kernel, training=True), "adam")
        if run.load and not self.amsgrad:  # the same lines in one pass
            run.load().step(p, g, slots["mean"], square, (1 - beta1, beta2, 1 - beta2, scale, self.eps, rate))
            return
        _follow(slots["mean"], g, 1 - beta1)
        square *= beta2
        g *= g
        g *= 1 - beta2
        square += g
        if self.amsgrad:
            square = np.maximum(slots["largest"], square, out=slots["largest"])
        root = np.sqrt(square, out=g)
        root /= scale
        root += self.eps
        np.divide(slots["mean"], root, out=root)
        root *= rate
        p -= root


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), as `torch.optim.AdamW`.

    p ← (1 - η λ) p before Adam's step, which sees no decay. Options and errors are Adam's; weight_decay: λ, from 0 up.
    """

    weight_decay: float = field(default=1e-2, kw_only=True)

    def step(self, p: Array, g: Array, slots: dict[str, Array], segment: Segment, count: int) -> None:
        p *= 1 - segment.learning_rate * segment.weight_decay
        super().step(p, g, slots, segment._replace(weight_decay=0.0), count)


BY_NAME: dict[str, type[Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def get(optimizer: str | Optimizer) -> Optimizer:
    """The optimizer that is meant: a name (with its defaults) or an Optimizer. Raises OptionError for anything else."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer in BY_NAME:
        return BY_NAME[optimizer]()
    raise one_of("optimizer", optimizer, BY_NAME)


def global_norm(gradient: Array, segments: list[Segment]) -> float:
    """The Euclidean norm of the trained part of `gradient` (N,)."""
    trained = [gradient[segment.where] for segment in segments]
    with np.errstate(over="ignore"):
        square = sum(float(g @ g) for g in trained)
    if not math.isfinite(square):  # float32 overflows at 1e19
        square = sum(float(np.square(g, dtype=float).sum()) for g in trained)
    return math.sqrt(square)


def clip_norm(gradient: Array, segments: list[Segment], limit: float) -> float:
    """Scales `gradient` (N,), in place, to a global norm of at most `limit`; returns the norm it had.

    The formula is that of `torch.nn.utils.clip_grad_norm_`: a factor of min(1, limit / (norm + 1e-6)).
    """
    norm = global_norm(gradient, segments)
    factor = limit / (norm + 1e-6)
    if factor < 1:
        gradient *= factor
    return norm


def clip_value(gradient: Array, limit: float) -> None:
    """Limits every element of `gradient` (N,), in place, to -limit … limit."""
    np.clip(gradient, -limit, limit, out=gradient)
