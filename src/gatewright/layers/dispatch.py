"""The one look-up by which layers reach kernels: which code runs, and why."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

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


def recurrent(cell: ModuleType, options: Any, ask: Ask) -> Choice:
    """The code that runs a cell."""
    name = cell.__name__.rpartition(".")[2]
    return _choose(ask, lambda kernels: kernels.scan_problem(name, options), lambda kernels: kernels.scan_kernel(name, options))


def dense(activation: str, ask: Ask) -> Choice:
    """The code that runs a Dense."""
    return _choose(ask, lambda kernels: kernels.dense_problem(activation), lambda kernels: kernels.dense_kernel(activation))


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
    elif str(ask.dtype) != "float32":
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
