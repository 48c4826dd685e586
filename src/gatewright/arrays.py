"""The array type, the dtype rules and small array helpers."""

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gatewright.errors import DataError, one_of

Array: TypeAlias = npt.NDArray[Any]

FLOAT_DTYPES = ("float32", "float64")


def float_dtype(dtype: Any) -> "np.dtype[Any]":
    """The NumPy dtype of a model: float32 or float64.

    Raises OptionError for every other dtype.
    """
    try:
        name = np.dtype(dtype).name if dtype is not None else None  # NumPy takes None for float64
    except TypeError:
        name = repr(dtype)
    if name not in FLOAT_DTYPES:
        raise one_of("dtype", name, FLOAT_DTYPES)
    return np.dtype(np.float32 if name == "float32" else np.float64)


def numbers(values: Any, name: str) -> Array:
    """`values` as an array of real numbers, of any shape; DataError, with `name`, for anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{name}: got rows of unequal lengths, wanted one array") from None
    if isinstance(values, np.ma.MaskedArray):
        raise DataError(f"{name}: got a masked array, whose mask would be lost; give its data, and mask=… with True = live")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: got {array.dtype} values, wanted numbers")
    return array


def readonly(array: Array) -> Array:
    """A view of `array` (any shape) that can't be written through."""
    view = array.view()
    view.flags.writeable = False
    return view


def keep_memory() -> None:
    """Makes the C library keep what is freed for the next step of a loop.

    Glibc gives memory at the end of its heap back to the system when twice the largest block that it has seen freed is free
    there, and takes it again for the next step, page by page: a training step of 14 ms becomes one of 18. A block that
    comes and goes, of the greatest size that it learns from (32 MiB, never touched), teaches it otherwise.
    """
    np.empty(2**25 - 2**16, np.uint8)


def rows(array: Array) -> Array:
    """All leading axes folded into one: `(..., N)` -> `(prod(...), N)`."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def blocks(array: Array, count: int) -> tuple[Array, ...]:
    """The `count` equal parts of the last axis as views: `(..., count * H)` -> `count` times `(..., H)`."""
    size = array.shape[-1] // count
    return tuple(array[..., k * size : (k + 1) * size] for k in range(count))
