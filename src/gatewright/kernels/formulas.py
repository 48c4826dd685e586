"""The cells: which sums a step needs, and what is made of them. Each formula is written once, for every width and tile.

The letters are the gates' in cells/; a GRU's `u` is what its n adds from the state (n of U, with bn), kept apart from what it
adds from x, because r multiplies it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from gatewright.kernels import mathematics
from gatewright.kernels.emitter import Emitter, Value
from gatewright.kernels.mathematics import sigmoid
from gatewright.kernels.tile import Operand, Product

Vectors = dict[str, Value]  # by letter
Formula = Callable[[Emitter, Vectors, Vectors], Vectors]  # (emitter, sums, state before) -> state after


class Stage(NamedTuple):
    """One product of a step, and what becomes of its sums; all units pass one stage before the next begins."""

    sums: str  # a letter for every column
    operands: tuple[tuple[str, str], ...]  # (operand, the sums it adds into); operands: "x", or a letter of the state
    formula: Formula

    def product(self, name: str) -> Product:
        """The product as a tile sees it: columns by number."""
        operands = (Operand(operand, tuple(map(self.sums.index, into))) for operand, into in self.operands)
        return Product(name, len(self.sums), tuple(operands))


class Cell(NamedTuple):
    """A cell as the generator sees it."""

    name: str  # in the catalogue
    gates: str  # the letters of W's and U's blocks, in their order
    state: str  # what is carried from step to step; h first, which is also the output
    scratch: str  # what one stage leaves for the next
    stages: tuple[Stage, ...]


def rnn(activation: str) -> Cell:
    """h' = act(x W + h U + b)."""

    def step(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        return {"h": mathematics.FUNCTIONS[activation](e, a["h"])}

    return Cell(f"rnn_{activation}", "h", "h", "", (Stage("h", (("x", "h"), ("h", "h")), step),))


def lstm() -> Cell:
    """c' = f c + i g, h' = o tanh(c')."""

    def step(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        i, f, o = (sigmoid(e, a[letter]) for letter in "ifo")
        c = e.fma(f, old["c"], e.mul(i, mathematics.tanh(e, a["g"])))
        return {"c": c, "h": e.mul(o, mathematics.tanh(e, c))}

    return Cell("lstm", "ifgo", "hc", "", (Stage("ifgo", (("x", "ifgo"), ("h", "ifgo")), step),))


def _mix(e: Emitter, z: Value, h: Value, n: Value) -> Value:
    """z h + (1 - z) n."""
    return e.fma(z, h, e.mul(e.sub(e.constant(1), z), n))


def gru_after() -> Cell:
    """The reset gate after the product: n = tanh(xn + r u), h' = z h + (1 - z) n."""

    def step(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        z, r = (sigmoid(e, a[letter]) for letter in "zr")
        return {"h": _mix(e, z, old["h"], mathematics.tanh(e, e.fma(r, a["u"], a["n"])))}

    return Cell("gru_after", "zrn", "h", "", (Stage("zrnu", (("x", "zrn"), ("h", "zru")), step),))


def gru_before() -> Cell:
    """The reset gate before the product: m = r h, n = tanh(xn + m Un), h' = z h + (1 - z) n."""

    def reset(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        return {"m": e.mul(sigmoid(e, a["r"]), old["h"])}

    def step(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        return {"h": _mix(e, sigmoid(e, a["z"]), old["h"], mathematics.tanh(e, a["n"]))}

    stages = (
        Stage("r", (("x", "r"), ("h", "r")), reset),
        Stage("zn", (("x", "zn"), ("h", "z"), ("m", "n")), step),
    )
    return Cell("gru_before", "zrn", "h", "m", stages)


CELLS = (rnn("tanh"), rnn("relu"), lstm(), gru_after(), gru_before())


def find(name: str, options: Any) -> Cell | str:
    """The cell of that name with these options, or why there is none."""
    activation = options.activation.name
    if name == "rnn":
        return rnn(activation) if activation in ("tanh", "relu") else f"activation={activation!r}: tanh and relu are compiled"
    if activation != "tanh" or options.recurrent_activation.name != "sigmoid":
        return f"activations {activation!r}, {options.recurrent_activation.name!r}: 'tanh', 'sigmoid' are compiled"
    if name == "lstm":
        return lstm()
    return gru_after() if options.reset_after else gru_before()
