"""Drawing the next symbol: temperature, top-k, top-p, and bytes that make UTF-8."""

from dataclasses import dataclass

import numpy as np

from gatewright.arrays import Array
from gatewright.checks import is_number, not_negative, whole_number
from gatewright.errors import OptionError


@dataclass(frozen=True)
class Choice:
    """How the next symbol is drawn from its logits.

    temperature: they are divided by it; 0 takes the most likely symbol. top_k: only the k most likely are drawn from.
    top_p: only the fewest whose probabilities reach p, after the other two. Raises OptionError for an impossible value.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        not_negative("temperature", self.temperature)
        if self.top_k is not None:
            whole_number("top_k", self.top_k)
        if self.top_p is not None and not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise OptionError(f"top_p: got {self.top_p!r}, wanted a number above 0, up to 1")

    def draw(self, logits: Array, rng: np.random.Generator) -> int:
        """A symbol, from logits (V,); -inf: never this one."""
        best = int(logits.argmax())
        if self.temperature == 0:
            return best
        with np.errstate(over="ignore"):  # a temperature near 0 leaves nothing but the best
            p = np.exp((logits.astype(float) - float(logits[best])) / self.temperature)
        order = np.argsort(-p, kind="stable")[: self.top_k]
        ladder = np.cumsum(p[order])
        if self.top_p is not None:
            ladder = ladder[: int(np.searchsorted(ladder, self.top_p * ladder[-1])) + 1]
        drawn = min(rng.random() * ladder[-1], np.nextafter(ladder[-1], 0))  # the product may be rounded up to the whole
        return int(order[np.searchsorted(ladder, drawn, side="right")])


# The first byte says how many follow; after four of them the second byte has narrower bounds (Unicode 15, table 3-7).
SECOND = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}


def missing(begun: bytes) -> int:
    """How many bytes a character lacks of which these are the first; 0 if none is begun, or it is whole."""
    first = begun[0] if begun else 0
    return (first >= 0xC2) + (first >= 0xE0) + (first >= 0xF0) + 1 - len(begun) if begun else 0


def allowed(begun: bytes) -> Array:
    """Bool (256,): which bytes may follow the first ones of a character, so that all is UTF-8."""
    may = np.zeros(256, bool)
    if not begun:
        may[:0x80] = may[0xC2:0xF5] = True
    else:
        low, high = SECOND.get(begun[0], (0x80, 0xBF)) if len(begun) == 1 else (0x80, 0xBF)
        may[low : high + 1] = True
    return may
