"""Every activation with its derivative, by name.

A formula is a pair: `forward(x) -> y` and `backward(x, y, dy) -> dx`, elementwise on arrays of any shape (softmax and
log_softmax: along the last axis). The pairs marked analytic also hold for complex x, which is what the complex-step gradient
check needs: so sigmoid is written with tanh, and nothing there takes an absolute value. All are silent and right for |x| up
to 1e4.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.arrays import Array
from gatewright.checks import number, positive
from gatewright.errors import OptionError, one_of

NEEDED = math.inf
ROWWISE = ("softmax", "log_softmax")  # these act along the last axis, on outputs; no gate can be one
SELU = 1.0507009873554805, 1.6732632423543772  # scale and alpha (Klambauer et al. 2017)


class Formula(NamedTuple):
    """One activation: its pair, whether it is analytic, and the defaults of alpha and beta.

    None stands for a constant that it does not take, NEEDED for one that has no default.
    """

    forward: Callable[..., Array]
    backward: Callable[..., Array]
    analytic: bool
    alpha: float | None = None
    beta: float | None = None


def _positive(x: Array) -> Array:
    """max(x, 0), decided by the real part, so that it is locally analytic."""
    return np.where(x.real > 0, x, 0)


def _sigmoid(x: Array) -> Array:
    # Equal to 1 / (1 + exp(-x)), but never overflows and stays analytic.
    y: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return y


def _softplus(x: Array) -> Array:
    # log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), with -|x| written as x - 2 max(x, 0).
    m = _positive(x)
    y: Array = m + np.log1p(np.exp(x - 2 * m))
    return y


def _softmax(x: Array) -> Array:
    e: Array = np.exp(x - x.real.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _log_softmax(x: Array) -> Array:
    low: Array = x - x.real.max(axis=-1, keepdims=True, initial=-np.inf)
    return np.asarray(low - np.log(np.exp(low).sum(axis=-1, keepdims=True)))


def _normal_cdf(x: Array) -> Array:
    # NumPy has no erfc; the standard library's is right in the tails too.
    tails = np.frompyfunc(lambda v: 0.5 * math.erfc(-v * math.sqrt(0.5)), 1, 1)
    return np.asarray(tails(np.asarray(x, dtype=float)), dtype=x.dtype)


def _normal_pdf(x: Array) -> Array:
    density: Array = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return density


def _d_gelu(x: Array, y: Array, dy: Array) -> Array:
    dx: Array = dy * (_normal_cdf(x) + x * _normal_pdf(x))
    return dx


def _d_silu(x: Array, y: Array, dy: Array) -> Array:
    s = _sigmoid(x)
    return np.asarray(dy * (s + y * (1 - s)))


def _d_softmax(x: Array, y: Array, dy: Array) -> Array:
    return np.asarray(y * (dy - (dy * y).sum(axis=-1, keepdims=True)))


def _d_log_softmax(x: Array, y: Array, dy: Array) -> Array:
    return np.asarray(dy - np.exp(y) * dy.sum(axis=-1, keepdims=True))


def _selu(x: Array) -> Array:
    scale, alpha = map(x.dtype.type, SELU)
    return np.asarray(np.where(x > 0, scale * x, scale * alpha * np.expm1(np.minimum(x, 0))))


def _d_selu(x: Array, y: Array, dy: Array) -> Array:
    scale, alpha = map(x.dtype.type, SELU)
    return np.asarray(dy * np.where(x > 0, scale, y + scale * alpha))


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


FORMULAS: dict[str, Formula] = {
    "linear": Formula(lambda x: x.copy(), lambda x, y, dy: dy.copy(), True),
    "tanh": Formula(np.tanh, lambda x, y, dy: dy * (1 - y * y), True),
    "sigmoid": Formula(_sigmoid, lambda x, y, dy: dy * y * (1 - y), True),
    "softplus": Formula(_softplus, lambda x, y, dy: dy * _sigmoid(x), True),
    "silu": Formula(lambda x: x * _sigmoid(x), _d_silu, True),
    "softmax": Formula(_softmax, _d_softmax, True),
    "log_softmax": Formula(_log_softmax, _d_log_softmax, True),
    "relu": Formula(lambda x: np.maximum(x, 0), lambda x, y, dy: dy * (x > 0), False),
    # relu6(x + 3) / 6, as in Keras 3 and PyTorch; Keras 2 and ONNX mean alpha=0.2.
    "hard_sigmoid": Formula(
        lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
        lambda x, y, dy, alpha, beta: dy * alpha * ((y > 0) & (y < 1)),
        False, 1 / 6, 0.5,
    ),
    "softsign": Formula(lambda x: x / (1 + np.abs(x)), lambda x, y, dy: dy * (1 - np.abs(y)) ** 2, False),
    "elu": Formula(_elu, lambda x, y, dy, alpha: dy * np.where(x > 0, 1, y + alpha), False, 1.0),
    "selu": Formula(_selu, _d_selu, False),
    # The slope is Keras' 0.2; PyTorch and ONNX have 0.01.
    "leaky_relu": Formula(
        lambda x, alpha: np.where(x > 0, x, alpha * x), lambda x, y, dy, alpha: np.where(x > 0, dy, alpha * dy), False, 0.2
    ),
    # The next three are ONNX's, which gives the constants of the last two no default.
    "thresholded_relu": Formula(
        lambda x, alpha: np.where(x > alpha, x, 0), lambda x, y, dy, alpha: dy * (x > alpha), False, 1.0
    ),
    "scaled_tanh": Formula(
        lambda x, alpha, beta: alpha * np.tanh(beta * x),
        lambda x, y, dy, alpha, beta: dy * alpha * beta * (1 - np.tanh(beta * x) ** 2),
        True, NEEDED, NEEDED,
    ),
    "affine": Formula(
        lambda x, alpha, beta: alpha * x + beta, lambda x, y, dy, alpha, beta: alpha * dy, True, NEEDED, NEEDED
    ),
    # The exact one (Hendrycks & Gimpel 2016), not the tanh approximation.
    "gelu": Formula(lambda x: x * _normal_cdf(x), _d_gelu, False),
}  # fmt: skip


def _clipped(forward: Callable[[Array], Array], clip: float) -> Callable[[Array], Array]:
    """y = forward(x), with x brought to [-clip, clip] first."""
    return lambda x: forward(np.clip(x, -clip, clip))


def _d_clipped(backward: Callable[[Array, Array, Array], Array], clip: float) -> Callable[[Array, Array, Array], Array]:
    """Undoes `_clipped`: zero where x was beyond."""
    return lambda x, y, dy: backward(np.clip(x, -clip, clip), y, dy) * (np.abs(x) <= clip)


@dataclass(frozen=True, repr=False)
class Activation:
    """An activation by name, with its parameters where it has any: `gw.Activation("leaky_relu", 0.01)`.

    `forward(x) -> y` and `backward(x, y, dy) -> dx` take and give arrays of one shape, elementwise (softmax: along the last
    axis). clip: x is brought to [-clip, clip] first, the cell clip of ONNX. Raises OptionError for an unknown name, for an
    alpha or beta that the formula does not take, or lacks, and for a clip that is not above 0.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None
    clip: float | None = None
    forward: Callable[[Array], Array] = field(init=False, compare=False)  # y = f(x)
    backward: Callable[[Array, Array, Array], Array] = field(init=False, compare=False)  # dx = dy f'(x), from x, y, dy

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name not in FORMULAS:
            raise one_of("activation", self.name, (*FORMULAS, None))
        formula, constants = FORMULAS[self.name], {}
        for key in ("alpha", "beta"):
            default, got = getattr(formula, key), getattr(self, key)
            if got is not None and default is None:
                raise OptionError(f"activation {self.name!r} takes no {key}; got {got!r}")
            if got is not None:
                number(f"activation {self.name!r}: {key}", got)
            if got is None and default == NEEDED:
                raise OptionError(f"activation {self.name!r} needs its constants: gw.Activation({self.name!r}, alpha, beta)")
            if default is not None:
                constants[key] = default if got is None else float(got)
                object.__setattr__(self, key, constants[key])
        # Looked up once, here: a cell calls them at every step.
        forward, backward = (partial(f, **constants) if constants else f for f in (formula.forward, formula.backward))
        if self.clip is not None:
            positive(f"activation {self.name!r}: clip", self.clip)
            object.__setattr__(self, "clip", float(self.clip))
            forward, backward = _clipped(forward, self.clip), _d_clipped(backward, self.clip)
        object.__setattr__(self, "forward", forward)
        object.__setattr__(self, "backward", backward)

    @property
    def analytic(self) -> bool:
        """Whether the formula also holds for complex x."""
        return FORMULAS[self.name].analytic and self.clip is None

    @property
    def plain(self) -> bool:
        """Whether alpha and beta are those that the formula has by itself, and nothing is clipped."""
        formula = FORMULAS[self.name]
        return (self.alpha, self.beta, self.clip) == (formula.alpha, formula.beta, None)

    def __reduce__(self) -> tuple[Any, ...]:
        return Activation, (self.name, self.alpha, self.beta, self.clip)

    def __repr__(self) -> str:
        if self.plain:
            return repr(self.name)
        words = [repr(v) for v in (self.name, self.alpha, self.beta) if v is not None]
        return f"Activation({', '.join([*words, *([] if self.clip is None else [f'clip={self.clip}'])])})"


ActivationLike: TypeAlias = str | Activation | None
ActivationsLike: TypeAlias = ActivationLike | tuple[ActivationLike, ActivationLike]  # one, or one a direction


def get(spec: ActivationLike) -> Activation:
    """The Activation that `spec` names: a name, an Activation, or None for linear (as in Keras)."""
    if isinstance(spec, Activation):
        return spec
    if spec is None:
        return Activation("linear")
    if not isinstance(spec, str):
        raise one_of("activation", spec, (*FORMULAS, None))
    return Activation(spec)
