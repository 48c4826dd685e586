"""The cells: which sums a step needs, what is made of them, and how each formula is undone.

Each is written once, for every width and tile. The letters are the gates' in cells/; a GRU's `u` is what its n adds from the
state (n of U, with bn), kept apart from what it adds from x, because r multiplies it. A gradient has its letter's name: of a
gate or of `u` that of the sum, before the activation.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from gatewright.activations import Activation
from gatewright.kernels import mathematics
from gatewright.kernels.emitter import Emitter, Value
from gatewright.kernels.mathematics import sigmoid
from gatewright.kernels.tile import Operand, Product

Vectors = dict[str, Value]  # by letter
# (emitter, sums, states before and, as "h'", after) -> new states, and what else training may keep; what is made of a sum takes
# its place for the formula that follows
Formula = Callable[[Emitter, Vectors, Vectors], Vectors]
# (emitter, what was kept and the states before and, as "h'", after the step; gradients of the states after it)
# -> gradients of the sums, and of the states before it as far as they don't go through a product
Undo = Callable[[Emitter, Vectors, Vectors], Vectors]


class Stage(NamedTuple):
    """One product of a step, and what becomes of its sums; all units pass one stage before the next begins."""

    sums: str  # a letter for every column
    operands: tuple[tuple[str, str], ...]  # (operand, the sums it adds into); operands: "x", or a letter of the state
    formulas: tuple[Formula, ...]  # each over all vectors of a tile: short chains of operations overlap better than a long one
    undo: Undo

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
    kept: str  # what training keeps of a step, besides the states
    d: str  # the sums' gradients, in an order in which those that one operand adds into stand together

    def gate(self, letter: str) -> int:
        """The number of the block of W or U that adds into a sum."""
        return self.gates.index("n" if letter == "u" else letter)

    def into(self, operand: str) -> str:
        """All sums that an operand adds into, in the order of `d`."""
        found = "".join(into for stage in self.stages for name, into in stage.operands if name == operand)
        return "".join(letter for letter in self.d if letter in found)


def _square_rest(e: Emitter, a: Value) -> Value:
    """1 - a a: the derivative of tanh, from its value."""
    return e.fma(e.negative(a), a, e.constant(1))


def _d_sigmoid(e: Emitter, a: Value, d: Value) -> Value:
    """d a (1 - a)."""
    return e.mul(d, e.mul(a, e.sub(e.constant(1), a)))


def rnn(activation: str) -> Cell:
    """h' = act(x W + h U + b)."""

    def step(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        return {"h": mathematics.FUNCTIONS[activation](e, a["a"])}

    def undo(e: Emitter, v: Vectors, d: Vectors) -> Vectors:
        h = v["h'"]
        slope = _square_rest(e, h) if activation == "tanh" else e.where(e.below(e.constant(0), h), e.constant(1), e.constant(0))
        return {"a": e.mul(d["h"], slope), "h": e.constant(0)}

    return Cell(f"rnn_{activation}", "a", "h", "", (Stage("a", (("x", "a"), ("h", "a")), (step,), undo),), "", "a")


def lstm() -> Cell:
    """c' = f c + i g, h' = o s, s = tanh(c')."""

    def gates(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        i, f, o = (sigmoid(e, a[letter]) for letter in "ifo")
        g = mathematics.tanh(e, a["g"])
        return {"i": i, "f": f, "g": g, "o": o, "c": e.fma(f, old["c"], e.mul(i, g))}

    def out(e: Emitter, a: Vectors, states: Vectors) -> Vectors:
        s = mathematics.tanh(e, states["c'"])
        return {"s": s, "h": e.mul(a["o"], s)}

    def undo(e: Emitter, v: Vectors, d: Vectors) -> Vectors:
        do = e.mul(d["h"], v["s"])
        dc = e.fma(e.mul(d["h"], v["o"]), _square_rest(e, v["s"]), d["c"])
        return {
            "i": _d_sigmoid(e, v["i"], e.mul(dc, v["g"])),
            "f": _d_sigmoid(e, v["f"], e.mul(dc, v["c"])),
            "g": e.mul(e.mul(dc, v["i"]), _square_rest(e, v["g"])),
            "o": _d_sigmoid(e, v["o"], do),
            "c": e.mul(dc, v["f"]),
            "h": e.constant(0),
        }

    return Cell("lstm", "ifgo", "hc", "", (Stage("ifgo", (("x", "ifgo"), ("h", "ifgo")), (gates, out), undo),), "ifgos", "ifgo")


def _mix(e: Emitter, z: Value, h: Value, n: Value) -> Value:
    """z h + (1 - z) n."""
    return e.fma(z, h, e.mul(e.sub(e.constant(1), z), n))


def _d_mix(e: Emitter, v: Vectors, dh: Value) -> Vectors:
    """Undoes `_mix`, up to the sums of z and n."""
    z, n = v["z"], v["n"]
    dn = e.mul(e.mul(dh, e.sub(e.constant(1), z)), _square_rest(e, n))
    return {"z": _d_sigmoid(e, z, e.mul(dh, e.sub(v["h"], n))), "n": dn, "h": e.mul(dh, z)}


def gru_after() -> Cell:
    """The reset gate after the product: n = tanh(xn + r u), h' = z h + (1 - z) n."""

    def gates(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        z, r = (sigmoid(e, a[letter]) for letter in "zr")
        return {"z": z, "r": r, "u": a["u"], "n": e.fma(r, a["u"], a["n"])}

    def out(e: Emitter, a: Vectors, states: Vectors) -> Vectors:
        n = mathematics.tanh(e, a["n"])
        return {"n": n, "h": _mix(e, a["z"], states["h"], n)}

    def undo(e: Emitter, v: Vectors, d: Vectors) -> Vectors:
        new = _d_mix(e, v, d["h"])
        return new | {"r": _d_sigmoid(e, v["r"], e.mul(new["n"], v["u"])), "u": e.mul(new["n"], v["r"])}

    return Cell("gru_after", "zrn", "h", "", (Stage("zrnu", (("x", "zrn"), ("h", "zru")), (gates, out), undo),), "zrnu", "uzrn")


def gru_before() -> Cell:
    """The reset gate before the product: m = r h, n = tanh(xn + m Un), h' = z h + (1 - z) n."""

    def reset(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        r = sigmoid(e, a["r"])
        return {"r": r, "m": e.mul(r, old["h"])}

    def undo_reset(e: Emitter, v: Vectors, d: Vectors) -> Vectors:
        return {"r": _d_sigmoid(e, v["r"], e.mul(d["m"], v["h"])), "h": e.fma(d["m"], v["r"], d["h"])}

    def step(e: Emitter, a: Vectors, old: Vectors) -> Vectors:
        z, n = sigmoid(e, a["z"]), mathematics.tanh(e, a["n"])
        return {"z": z, "n": n, "h": _mix(e, z, old["h"], n)}

    def undo(e: Emitter, v: Vectors, d: Vectors) -> Vectors:
        return _d_mix(e, v, d["h"]) | {"m": e.constant(0)}

    stages = (
        Stage("r", (("x", "r"), ("h", "r")), (reset,), undo_reset),
        Stage("zn", (("x", "zn"), ("h", "z"), ("m", "n")), (step,), undo),
    )
    return Cell("gru_before", "zrn", "h", "m", stages, "zrnm", "zrn")


CELLS = (rnn("tanh"), rnn("relu"), lstm(), gru_after(), gru_before())


def find(name: str, options: Any) -> Cell | str:
    """The cell of that name with these options, or why there is none."""
    if name == "lstm_variants":
        return "peepholes, coupled, projection or cell_activation: the plain LSTM is compiled"
    activation = options.activation
    if name == "rnn":
        known = activation.plain and activation.name in ("tanh", "relu")
        return rnn(activation.name) if known else f"activation={activation!r}: tanh and relu are compiled"
    if (activation, options.recurrent_activation) != (Activation("tanh"), Activation("sigmoid")):
        return f"activations {activation!r}, {options.recurrent_activation!r}: 'tanh', 'sigmoid' are compiled"
    if name == "lstm":
        return lstm()
    return gru_after() if options.reset_after else gru_before()
