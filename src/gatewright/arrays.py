"""The array type, the dtype rules and small array helpers."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gatewright.errors import OptionError

Array: TypeAlias = npt.NDArray[Any]

FLOAT_DTYPES = ("float32", "float64")


def float_dtype(dtype: Any) -> "np.dtype[Any]":
    """The NumPy dtype of a model: float32 or float64.

    Raises OptionError for every other dtype.
    """
    try:
        got = np.dtype(dtype)
    except TypeError:
        got = None
    if got is None or got.name not in FLOAT_DTYPES:
        raise OptionError(f"dtype={dtype!r} is unknown; known: {', '.join(FLOAT_DTYPES)}")
    return got


def readonly(array: Array) -> Array:
    """A view of `array` (any shape) that can't be written through."""
    view = array.view()
    view.flags.writeable = False
    return view


def rows(array: Array) -> Array:
    """All leading axes folded into one: `(..., N)` -> `(prod(...), N)`."""
    return array.reshape(int(np.prod(array.shape[:-1])), array.shape[-1])


def blocks(array: Array, count: int) -> tuple[Array, ...]:
    """The `count` equal parts of the last axis as views: `(..., count * H)` -> `count` times `(..., H)`."""
    size = array.shape[-1] // count
    return tuple(array[..., k * size : (k + 1) * size] for k in range(count))
