"""How weights begin: initialisers by name, with Keras' statistics.

Each takes `(rng, shape)` and gives a float64 array of that shape; the fans of a kernel are its rows (in) and columns (out), the
gates of a recurrent cell taken together and those of a convolution (K, F, O) multiplied by its K steps, as in Keras.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import OptionError, one_of

Initializer: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _truncated_normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> Array:
    """Normal numbers, drawn again until they lie within two standard deviations."""
    x = rng.standard_normal(shape)
    while (far := np.abs(x) > 2).any():
        x[far] = rng.standard_normal(int(far.sum()))
    return std * x


def _scaled(mode: str, scale: float, normal: bool) -> Initializer:
    """Variance scaling (Glorot & Bengio 2010, He et al. 2015, LeCun et al. 1998): variance = scale / fan."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        fan_in, fan_out = shape[-2:] if len(shape) > 1 else 2 * shape
        fan_in, fan_out = (math.prod(shape[:-2]) * fan for fan in (fan_in, fan_out))
        variance = scale / max(1.0, fan_in if mode == "in" else (fan_in + fan_out) / 2)
        if normal:
            # Cutting a normal distribution at two sigma leaves 0.8796… of its standard deviation.
            return _truncated_normal(rng, shape, math.sqrt(variance) / 0.87962566103423978)
        limit = math.sqrt(3 * variance)
        return rng.uniform(-limit, limit, shape)

    return draw


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Orthonormal rows or columns, whichever are fewer (Saxe et al. 2014)."""
    n, m = math.prod(shape[:-1]), shape[-1]  # the steps of a convolution are rows too
    q, r = np.linalg.qr(rng.standard_normal((max(n, m), min(n, m))))
    q = q * np.sign(np.diag(r))  # makes the distribution uniform
    return (q if n >= m else q.T).reshape(shape)


INITIALIZERS: dict[str, Initializer] = {
    "zeros": lambda rng, shape: np.zeros(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "random_uniform": lambda rng, shape: rng.uniform(-0.05, 0.05, shape),
    "random_normal": lambda rng, shape: 0.05 * rng.standard_normal(shape),
    "truncated_normal": lambda rng, shape: _truncated_normal(rng, shape, 0.05),
    "glorot_uniform": _scaled("average", 1, normal=False),
    "glorot_normal": _scaled("average", 1, normal=True),
    "he_uniform": _scaled("in", 2, normal=False),
    "he_normal": _scaled("in", 2, normal=True),
    "lecun_uniform": _scaled("in", 1, normal=False),
    "lecun_normal": _scaled("in", 1, normal=True),
    "orthogonal": _orthogonal,
    "identity": lambda rng, shape: np.eye(shape[0], shape[-1]),
}


MATRICES = ("orthogonal", "identity")  # these have no meaning for a bias


def initializer(option: str, name: str) -> Initializer:
    """The initialiser called `name`; OptionError names `option` and lists the known ones."""
    known = [each for each in INITIALIZERS if option != "bias_initializer" or each not in MATRICES]
    if name not in known:
        raise one_of(option, name, known)
    return INITIALIZERS[name]


DEFAULTS = {"kernel_initializer": "glorot_uniform", "recurrent_initializer": "orthogonal", "bias_initializer": "zeros"}


def resolve(init: str, bias: bool, given: Mapping[str, str | None]) -> dict[str, str | None]:
    """The initialisers that the given ones (None: the default) mean; None for what init="pytorch" or bias=False leaves none.

    Raises OptionError for unknown names, and for one that would not be used.
    """
    resolved: dict[str, str | None] = {}
    for name, got in given.items():
        unused = "init='pytorch'" if init == "pytorch" else "bias=False" if name == "bias_initializer" and not bias else None
        if got is not None and unused:
            raise OptionError(f"{name}: got {got!r}, but {unused} leaves it nothing to draw; leave it out")
        if got is not None:
            initializer(name, got)
        resolved[name] = None if unused else got or DEFAULTS[name]
    return resolved


def uniform(limit: float) -> Initializer:
    """U(-limit, limit): PyTorch's, with limit = 1 / sqrt(H)."""
    return lambda rng, shape: rng.uniform(-limit, limit, shape)


def chrono(rng: np.random.Generator, longest: int, size: int) -> Array:
    """log U(1, longest - 1) of shape (size,): the bias that makes a gate remember for 1 … `longest` steps.

    Tallec & Ollivier 2018, equation 16.
    """
    return np.log(rng.uniform(1, max(longest - 1, 1), size))
