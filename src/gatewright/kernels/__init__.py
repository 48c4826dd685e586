"""Inference in float32, compiled: LLVM code written from Python. Delete this folder and everything still works, on NumPy.

    emitter.py       one LLVM function at a time: loops, addresses, vectors
    mathematics.py   tanh, sigmoid, exp
    target.py        what the machine has; text to code
    tile.py          the register tile, and how tiles cover rows and units
    formulas.py      the cells
    scan.py          a cell over time            recurrent.py   … called from Python
    heads.py         Dense and its activations   dense.py       … called from Python
    norm.py          LayerNorm                   call.py        a prepared argument block
    packing.py       weights as tiles read them

`layers/dispatch.py` is the only one that looks in here. llvmlite is imported with the first layer that could use it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatewright.kernels.dense import Kernel as DenseKernel
    from gatewright.kernels.norm import Kernel as NormKernel
    from gatewright.kernels.recurrent import Kernel as ScanKernel


def problem() -> str | None:
    """Why nothing can be compiled here, or None."""
    try:
        from gatewright.kernels import target
    except ImportError:
        return "llvmlite is not installed, which makes inference faster: pip install 'gatewright[fast]'"
    return target.problem()


def scan_problem(cell: str, options: Any) -> str | None:
    """Why a cell ("rnn", "lstm", "gru") with these options can't be compiled, or None."""
    from gatewright.kernels import formulas

    found = formulas.find(cell, options)
    return found if isinstance(found, str) else None


def scan_kernel(cell: str, options: Any) -> "ScanKernel":
    """The kernel of a cell that has no problem, compiled at its first use."""
    from gatewright.kernels import recurrent, target

    return recurrent.compiled(cell, options, target.host())


def dense_problem(activation: str) -> str | None:
    """Why a Dense with this activation can't be compiled, or None."""
    from gatewright.kernels import heads

    known = heads.ACTIVATIONS
    return None if activation in known else f"activation {activation!r}: {', '.join(known)} are compiled"


def dense_kernel(activation: str) -> "DenseKernel":
    """The kernel of a Dense that has no problem, compiled at its first use."""
    from gatewright.kernels import dense, target

    return dense.compiled(activation, target.host())


def norm_kernel() -> "NormKernel":
    """The kernel of LayerNorm, compiled at its first use."""
    from gatewright.kernels import norm, target

    return norm.compiled(target.host())
