"""The one look-up by which layers reach kernels: which code runs, and why."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from gatewright.errors import OptionError, one_of

KERNELS = ("auto", "numpy", "compiled")


class Choice(NamedTuple):
    """The name of the path, the reason, and what gives the kernel where there is one (compiled at its first use)."""

    path: str
    reason: str
    load: Callable[[], Any] | None = None


class Ask(NamedTuple):
    """What is asked for, and what the layer knows to stand against compiled code."""

    dtype: Any
    kernel: str
    training: bool = False
    problem: str | None = None
    untrained: str | None = None  # what only training can't


@cache
def choose(ask: Ask, kind: str, *details: Any) -> Choice:
    """The code for a layer of `kind` with these details, as kernels.problem takes them.

    Raises OptionError for an unknown kernel, and for "compiled" where that can't be.
    """
    if ask.kernel not in KERNELS:
        raise one_of("kernel", ask.kernel, KERNELS)
    if ask.kernel == "numpy":
        return Choice("numpy", "asked for")
    beside = f"training runs on NumPy: {ask.untrained}" if ask.untrained else None
    why = ask.problem or (beside if ask.training else None)
    if why is None and ask.dtype != np.float32:
        why = f"{ask.dtype}: float32 is compiled"
    if why is None:
        try:
            from gatewright import kernels

            why = kernels.problem(kind, *details, training=ask.training)
        except ImportError:  # the folder may be deleted
            why = "this installation has no kernels"
    if why is None:
        beside = beside or f"training {'too' if kind in kernels.TRAINED else 'runs on NumPy'}"
        reason = f"inference is compiled{kernels.origin()}, {beside}"
        return Choice("compiled", reason, partial(kernels.load, kind, *details, training=ask.training))
    if ask.kernel == "compiled" and not ask.training:
        raise OptionError(f"kernel='compiled' is not possible: {why}; use kernel='auto' or 'numpy'")
    return Choice("numpy", why)


def copies(layer: Any, dtype: Any, kernel: str, training: bool = False) -> Choice:
    """`choice` of a layer that computes nothing in inference, so that its bits are the same everywhere."""
    if kernel not in KERNELS:
        raise one_of("kernel", kernel, KERNELS)
    return Choice("numpy", "copies numbers, bit for bit")
