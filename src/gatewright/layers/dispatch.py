"""The one look-up by which layers reach kernels: which code runs, and why."""

from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
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


@cache
def recurrent(cell: ModuleType, options: Any, ask: Ask) -> Choice:
    """The code that runs a cell."""
    name = cell.__name__.rpartition(".")[2]
    return _choose(ask, lambda kernels: kernels.scan_problem(name, options), lambda kernels: kernels.scan_kernel(name, options))


@cache
def dense(activation: str, ask: Ask) -> Choice:
    """The code that runs a Dense."""
    return _choose(ask, lambda kernels: kernels.dense_problem(activation), lambda kernels: kernels.dense_kernel(activation))


@cache
def norm(ask: Ask) -> Choice:
    """The code that runs a LayerNorm."""
    return _choose(ask, lambda kernels: None, lambda kernels: kernels.norm_kernel())


@cache
def other(ask: Ask) -> Choice:
    """The code of a layer for which there are no kernels."""
    return _choose(ask._replace(problem="no kernel is written for this layer"), lambda kernels: None, lambda kernels: None)


def copies(kernel: str) -> Choice:
    """The code of a layer that computes nothing in inference, so that its bits are the same everywhere."""
    if kernel not in KERNELS:
        raise one_of("kernel", kernel, KERNELS)
    return Choice("numpy", "copies numbers, bit for bit")


def _choose(ask: Ask, problem: Callable[[ModuleType], str | None], load: Callable[[ModuleType], Any]) -> Choice:
    if ask.kernel not in KERNELS:
        raise one_of("kernel", ask.kernel, KERNELS)
    if ask.kernel == "numpy":
        return Choice("numpy", "asked for")
    kernels = _kernels()
    if kernels is None:
        why: str | None = "this installation has no kernels"
    elif ask.training:
        why = "training runs on NumPy"
    elif ask.dtype != np.float32:
        why = f"{ask.dtype}: float32 is compiled"
    else:
        why = ask.problem or kernels.problem() or problem(kernels)
    if why is None:
        assert kernels is not None
        return Choice("compiled", "inference is compiled, training runs on NumPy", partial(load, kernels))
    if ask.kernel == "compiled" and not ask.training:
        raise OptionError(f"kernel='compiled' is not possible: {why}; use kernel='auto' or 'numpy'")
    return Choice("numpy", why)


def _kernels() -> ModuleType | None:
    """The package of kernels, which may be missing."""
    try:
        from gatewright import kernels
    except ImportError:
        return None
    return kernels
