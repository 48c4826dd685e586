"""Float32, compiled: LLVM code written from Python. Delete this folder and everything still works, on NumPy.

    emitter.py       one LLVM function at a time: loops, addresses, vectors
    mathematics.py   tanh, sigmoid, exp
    tile.py          the register tile, and how tiles cover rows and units
    formulas.py      the cells, and how they are undone
    scan.py          a cell over time            recurrent.py   ... called from Python, for inference
    backward.py      ... and back                training.py    ... both called from Python, for training
    heads.py         Dense and its activations   dense.py       ... called from Python
    norm.py          LayerNorm                   call.py        a prepared argument block
    packing.py       weights as tiles read them  repacking.py   ... packed by compiled code, after every update
    adam.py          the optimizer's step        target.py      what the machine has
    catalogue.py     all kernels by name         code.py        ... from the library, or compiled now
    backend.py       text to code, by llvmlite   library.py     all kernels, compiled ahead of time
    build.py         ... makes it                processor.py   ... asks the processor what it has
    __main__.py      `python -m gatewright.kernels`: says what is used, builds the library

`layers/dispatch.py` is the only one that looks in here. Where the library lies, llvmlite is never imported; else it is with
the first layer that could use it.
"""

import functools
from typing import Any

TRAINED = ("rnn", "lstm", "gru", "dense", "adam")  # in training the others run on NumPy


def problem(kind: str, *details: Any, training: bool = False) -> str | None:
    """Why this can't be compiled here, or None.

    kind and details: "rnn", "lstm" or "gru" and the cell's Options; "adam"; "norm"; "dense" and the name of its
    activation, "narrow dense" if it has so few outputs that it is faster trained on NumPy.
    """
    from gatewright.kernels import formulas, heads, target

    if training and kind not in TRAINED:
        return "training runs on NumPy"
    if target.problem() or kind in ("norm", "adam"):
        return target.problem()
    if kind.endswith("dense"):
        (name,), known = details, heads.ACTIVATIONS
        return None if name in known else f"activation {name!r}: {', '.join(known)} are compiled"
    found = formulas.find(kind, *details)
    return found if isinstance(found, str) else None


def origin() -> str:
    """How what has no problem is compiled, as an adverb: "" at its first use, " ahead of time", why not ahead of time."""
    from gatewright.kernels import library

    found = library.find()
    return " ahead of time" if found.library else found.remark


def load(kind: str, *details: Any, training: bool = False) -> Any:
    """The kernel of what has no problem, compiled at its first use or ahead of time."""
    adam, dense, norm, recurrent, target, both = _modules()
    if kind == "adam":
        return adam.compiled(target.host())
    if kind == "norm":
        return norm.compiled(target.host())
    if kind.endswith("dense"):
        return dense.compiled(*details, target.host())
    return (both if training else recurrent).compiled(kind, *details, target.host())


@functools.cache
def _modules() -> tuple[Any, ...]:
    from gatewright.kernels import adam, dense, norm, recurrent, target, training

    return adam, dense, norm, recurrent, target, training
