"""All kernels by name: what is compiled at its first use, and what the library holds. A new kernel gets its line here."""

from collections.abc import Callable
from functools import partial

from gatewright.kernels import adam, formulas, heads, norm, repacking
from gatewright.kernels.backward import Backward
from gatewright.kernels.formulas import Cell
from gatewright.kernels.scan import Scan
from gatewright.kernels.target import Target


def _scan(cell: Cell, target: Target) -> str:
    return Scan(cell, target).text()


def _training(cell: Cell, target: Target) -> str:
    return Scan(cell, target, training=True).text()


def _backward(cell: Cell, target: Target) -> str:
    return Backward(cell, target).text()


KERNELS: dict[str, Callable[[Target], str]] = {  # the text of a module with one public function of an argument block
    **{cell.name: partial(_scan, cell) for cell in formulas.CELLS},
    **{f"{cell.name}_training": partial(_training, cell) for cell in formulas.CELLS},
    **{f"{cell.name}_backward": partial(_backward, cell) for cell in formulas.CELLS},
    **{f"{cell.name}_packing": partial(repacking.text, cell) for cell in formulas.CELLS},
    **{f"dense_{activation}": partial(heads.text, activation) for activation in heads.ACTIVATIONS},
    "norm": norm.text,
    "adam": adam.text,
}
