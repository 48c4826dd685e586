"""The one look-up by which layers reach kernels: which implementation of a cell runs, and why."""

from types import ModuleType
from typing import NamedTuple

from gatewright.errors import OptionError, one_of

KERNELS = ("auto", "numpy", "compiled")


class Choice(NamedTuple):
    """The module that offers a cell's `forward` and `backward`, the name of the path, and the reason."""

    module: ModuleType
    path: str
    reason: str


def check(kernel: str) -> None:
    """Raises OptionError unless `kernel` names code that this version has."""
    if kernel not in KERNELS:
        raise one_of("kernel", kernel, KERNELS)
    if kernel == "compiled":
        raise OptionError("kernel='compiled': this version has no compiled kernels; use kernel='auto' or 'numpy'")


def choose(cell: ModuleType, kernel: str) -> Choice:
    """The implementation of `cell` that `kernel` ("auto", "numpy" or "compiled") asks for."""
    check(kernel)
    return Choice(cell, "numpy", "asked for" if kernel == "numpy" else "this version has no compiled kernels")
