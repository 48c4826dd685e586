"""Losses: what training makes small, each with its gradient.

A loss is called with a batch of predictions and targets, and gives one value for every output (or for every step), and
the gradient of each value with respect to the prediction. The trainer takes the mean over the live steps and the outputs.
Your own loss is any function that does the same; see `Loss.__call__` for the shapes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array, numbers, rows
from gatewright.checks import fraction, is_number, positive
from gatewright.errors import OptionError, ShapeError, one_of

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Loss(ABC):
    """A loss with its options; equal by value."""

    analytic: ClassVar[bool] = True  # whether the complex-step check applies
    folds: ClassVar[str | None] = None  # the final activation that the loss has inside: it wants what comes before
    classes: ClassVar[bool] = False  # whether a target is the number of a class

    @abstractmethod
    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        """The values, `(..., N)` or `(...)`, and their gradient with respect to `pred` `(..., O)`, of its shape.

        `...` is `(B, T)` for a sequence and `(B,)` for one output a row; `target` is `target_shape(pred.shape)`. Must
        also hold for a complex `pred` if the loss is analytic.
        """

    def target_shape(self, shape: Shape) -> Shape:
        """The shape of the targets for an output of `shape`. Raises ShapeError where no target fits such an output."""
        return shape

    def wrong(self, target: Array, columns: int) -> tuple[Array, str]:
        """Which targets are impossible (bool, of their shape) for an output of `columns` columns, and what is wanted."""
        return ~np.isfinite(target), "a finite number"


LossLike: TypeAlias = str | Loss | type[Loss] | Callable[[Array, Array], tuple[Array, Array]]


def _absolute(d: Array) -> tuple[Array, Array]:
    # |d| and its slope, decided by the real part, so that both hold for complex d.
    sign = np.sign(d.real)
    return sign * d, sign.astype(d.dtype)


@dataclass(frozen=True)
class MSE(Loss):
    """The squared error (p - y)² of predictions p and targets y, both `(..., N)`; in units of y, squared."""

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        d = pred - target
        return d * d, 2 * d


@dataclass(frozen=True)
class MAE(Loss):
    """The absolute error |p - y| of predictions p and targets y, both `(..., N)`; in units of y."""

    analytic: ClassVar[bool] = False

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        return _absolute(pred - target)


@dataclass(frozen=True)
class Huber(Loss):
    """½ d² up to |d| = δ, and δ (|d| - δ/2) beyond, of d = p - y, predictions p and targets y both `(..., N)` (Huber 1964).

    delta: δ, above 0, in units of y. Raises OptionError for another.
    """

    delta: float = 1.0
    analytic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        positive("huber: delta", self.delta)

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        d = pred - target
        size, sign = _absolute(d)
        near = size.real < self.delta
        values = np.where(near, 0.5 * d * d, self.delta * (size - 0.5 * self.delta))
        return values, np.where(near, d, self.delta * sign)


@dataclass(frozen=True)
class Quantile(Loss):
    """The pinball loss max(q e, (q - 1) e) of e = y - p (Koenker & Bassett 1978), for one or several quantiles q.

    With Q quantiles and targets `(..., N)` the output is `(..., Q N)`: all N of the first quantile, then all of the next.
    In units of y. Raises OptionError for a quantile that is not between 0 and 1.
    """

    quantiles: float | Sequence[float] = 0.5
    analytic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.quantiles, list):
            object.__setattr__(self, "quantiles", tuple(self.quantiles))
        levels = self._levels()
        if not levels or not all(is_number(q) and 0 < q < 1 for q in levels):
            raise OptionError(f"quantile: quantiles: got {self.quantiles!r}, wanted one or several numbers between 0 and 1")

    def _levels(self) -> tuple[float, ...]:
        return tuple(self.quantiles) if isinstance(self.quantiles, Sequence) else (self.quantiles,)

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        levels = self._levels()
        q = np.repeat(np.array(levels, pred.real.dtype), target.shape[-1])
        e = np.concatenate([target] * len(levels), axis=-1) - pred
        slope = np.where(e.real > 0, q, q - 1)
        return slope * e, (-slope).astype(pred.dtype)

    def target_shape(self, shape: Shape) -> Shape:
        count = len(self._levels())
        if shape[-1] % count:
            raise ShapeError(f"quantile: output columns: got {shape[-1]}, wanted a multiple of the {count} quantiles")
        return (*shape[:-1], shape[-1] // count)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-log softmax(p)[y] of logits p `(..., C)` and integer classes y `(...)`.

    In nats: the negative log-likelihood (Bridle 1990). label_smoothing: ε, from 0 to below 1, mixes the target with the
    uniform distribution, (1 - ε) one-hot + ε/C (Szegedy et al. 2016). Raises OptionError for another.
    """

    label_smoothing: float = 0.0
    folds: ClassVar[str | None] = "softmax"
    classes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fraction("cross_entropy: label_smoothing", self.label_smoothing)

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        logits, smooth = np.ascontiguousarray(rows(pred)), self.label_smoothing
        # Rows are short: NumPy's max and sum along them take several times as long as reduceat and a product.
        first = np.arange(0, logits.size, logits.shape[1])
        p = logits - np.maximum.reduceat(logits.real.ravel(), first)[:, None]
        at = first + target.ravel().astype(np.intp)  # the right classes, row after row
        values = (smooth - 1) * p.ravel()[at]
        if smooth:
            values -= smooth * p.mean(axis=1)
        np.exp(p, out=p)
        total = p @ np.ones(p.shape[1], p.dtype)
        values += np.log(total)
        p /= total[:, None]
        if smooth:
            p -= smooth / p.shape[1]
        p.ravel()[at] -= 1 - smooth
        return values.reshape(target.shape), p.reshape(pred.shape)

    def target_shape(self, shape: Shape) -> Shape:
        return shape[:-1]

    def wrong(self, target: Array, columns: int) -> tuple[Array, str]:
        return (target < 0) | (target >= columns), f"a class 0 … {columns - 1}"


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """-y log s - (1 - y) log(1 - s), s = sigmoid(p), of logits p and targets y in 0 … 1, both `(..., N)`; in nats.

    The negative log-likelihood of a Bernoulli variable (Bishop 2006, eq. 4.90).
    """

    folds: ClassVar[str | None] = "sigmoid"

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        # = softplus(p) - y p, which never takes the logarithm of 0.
        return Activation("softplus").forward(pred) - target * pred, Activation("sigmoid").forward(pred) - target

    def wrong(self, target: Array, columns: int) -> tuple[Array, str]:
        return ~((target >= 0) & (target <= 1)), "a number from 0 to 1"


@dataclass(frozen=True)
class GaussianNLL(Loss):
    """½ (s + (y - m)² exp(-s)) of targets y `(..., N)` and an output `(..., 2N)`: N means m, then N log-variances s.

    The negative log-likelihood of Nix & Weigend (1994), without its constant ½ log 2π; in nats. Raises ShapeError
    for an output with an odd number of columns.
    """

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        n = target.shape[-1]
        mean, log_variance = pred[..., :n], pred[..., n:]
        d, precision = mean - target, np.exp(-log_variance)
        z = d * d * precision
        return 0.5 * (log_variance + z), np.concatenate([d * precision, 0.5 * (1 - z)], axis=-1)

    def target_shape(self, shape: Shape) -> Shape:
        if shape[-1] % 2:
            raise ShapeError(f"gaussian_nll: output columns: got {shape[-1]}, wanted the means, then as many log-variances")
        return (*shape[:-1], shape[-1] // 2)


mse, mae, huber, quantile = MSE, MAE, Huber, Quantile
cross_entropy, binary_cross_entropy, gaussian_nll = CrossEntropy, BinaryCrossEntropy, GaussianNLL

BY_NAME: dict[str, type[Loss]] = {
    "mse": mse,
    "mae": mae,
    "huber": huber,
    "quantile": quantile,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "gaussian_nll": gaussian_nll,
}


@dataclass(frozen=True)
class Own(Loss):
    """A loss that the user wrote: a function of (pred, target), both copies."""

    function: Callable[[Array, Array], tuple[Array, Array]]
    analytic: ClassVar[bool] = False

    def __call__(self, pred: Array, target: Array) -> tuple[Array, Array]:
        result: Any = self.function(pred.copy(), np.array(target))
        if not isinstance(result, tuple) or len(result) != 2:
            raise ShapeError(f"loss {self}: got {type(result).__name__}, wanted (values, gradient with respect to pred)")
        values, dpred = (numbers(part, f"loss {self}") for part in result)
        lead = pred.shape[:-1]
        if dpred.shape != pred.shape or values.shape[: len(lead)] != lead or values.ndim > pred.ndim:
            got = f"values {values.shape} and gradient {dpred.shape}"
            wanted = f"values {lead} or ({', '.join(map(str, lead))}, N), and a gradient {pred.shape}"
            raise ShapeError(f"loss {self}: got {got}, wanted {wanted}")
        return values, dpred.astype(pred.dtype, copy=False)

    def __repr__(self) -> str:
        return str(getattr(self.function, "__qualname__", type(self.function).__qualname__))


def get(loss: LossLike) -> Loss:
    """The loss that is meant: a name, a Loss, a Loss class (with its defaults), or a function (pred, target).

    Raises OptionError for anything else.
    """
    if isinstance(loss, str):
        if loss not in BY_NAME:
            raise one_of("loss", loss, BY_NAME)
        return BY_NAME[loss]()
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type):
        if issubclass(loss, Loss):
            return loss()
    elif callable(loss):
        return Own(loss)
    raise one_of("loss", loss, BY_NAME)
