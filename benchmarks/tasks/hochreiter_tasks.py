"""The sequences of the experiments of Hochreiter & Schmidhuber (1997), Neural Computation 9(8): drawn anew, batch by batch."""

from typing import NamedTuple

import numpy as np

SYMBOLS = "abcdXYEB"  # of the temporal order; a sequence begins with E and ends with B, the trigger
NOISE, RELEVANT = 4, 2  # the first symbols say nothing, the next two do
LETTERS = "BTPSXVE"  # of the Reber grammar
EDGES = {0: "T1 P2", 1: "S1 X3", 2: "T2 V4", 3: "X2 S5", 4: "P3 V5"}  # from a node: letter and next node; 5 is the last
NEXT = {node: {edge[0]: int(edge[1]) for edge in edges.split()} for node, edges in EDGES.items()}
LAST = 5


class Drawn(NamedTuple):
    """Sequences with one target each."""

    x: np.ndarray  # (B, T, F) float32, zero behind a row's length
    lengths: np.ndarray  # (B,)
    y: np.ndarray  # (B, O) float32: the output that is wanted at the last step


def numbers(rng: np.random.Generator, count: int, least: int, product: bool = False) -> Drawn:
    """The adding problem (section 5.4), or the multiplication problem (section 5.5).

    A sequence has `least` to 1.1 `least` pairs of a number and a marker: numbers are uniform in [-1, 1] (product: [0, 1]); a
    marker is 1 at two pairs, else -1 at the first and the last pair, else 0. The first mark is at one of the first ten pairs,
    the second at one of the first least / 2 - 1 of those left. If a mark falls on the first pair of all, its number becomes 0
    (product: 1). The target is 0.5 + sum / 4, within [0, 1], or the product. least: 20 or more, or the marks could be last.
    """
    lengths, rows = rng.integers(least, least + least // 10 + 1, count), np.arange(count)
    x = np.zeros((count, lengths.max(), 2), np.float32)
    x[..., 0] = rng.uniform(0 if product else -1, 1, x.shape[:2])
    first, second = rng.integers(10, size=count), rng.integers(least // 2 - 1, size=count)
    second += second >= first  # one of those that are still unmarked
    x[(first == 0) | (second == 0), 0, 0] = 1 if product else 0
    x[:, 0, 1] = x[rows, lengths - 1, 1] = -1
    x[rows, first, 1] = x[rows, second, 1] = 1
    x[np.arange(x.shape[1]) >= lengths[:, None]] = 0
    a, b = x[rows, first, 0], x[rows, second, 0]
    return Drawn(x, lengths, (a * b if product else 0.5 + (a + b) / 4)[:, None])


def temporal_order(rng: np.random.Generator, count: int, spots: tuple[tuple[int, int], ...]) -> Drawn:
    """The temporal order (section 5.6): which of X and Y came first, which second (and which third)?

    100 to 110 symbols, one-hot (B, T, 8): E, then any of a b c d, with an X or Y somewhere from `low` to `high` for each
    (low, high) of `spots`, and B at the end. The target is one-hot: a class for each of the orders, 2 to the number of spots.
    """
    lengths, rows = rng.integers(100, 111, count), np.arange(count)
    symbols, label = rng.integers(NOISE, size=(count, lengths.max())), np.zeros(count, int)
    symbols[:, 0], symbols[rows, lengths - 1] = SYMBOLS.index("E"), SYMBOLS.index("B")
    for low, high in spots:
        which = rng.integers(RELEVANT, size=count)
        symbols[rows, rng.integers(low, high + 1, count)] = NOISE + which
        label = RELEVANT * label + which
    x = np.eye(len(SYMBOLS), dtype=np.float32)[symbols]
    x[np.arange(x.shape[1]) >= lengths[:, None]] = 0
    return Drawn(x, lengths, np.eye(RELEVANT ** len(spots), dtype=np.float32)[label])


class Strings(NamedTuple):
    """Strings of the embedded Reber grammar, each with its next symbols."""

    x: np.ndarray  # (N, T, 7) float32, one-hot: all symbols but the last, zero behind a row's length
    lengths: np.ndarray  # (N,)
    y: np.ndarray  # (N, T) the number of the symbol that came next
    legal: np.ndarray  # (N, T, 7) bool: the symbols that the grammar would have allowed

    def rows(self, index: np.ndarray) -> "Strings":
        """The strings that `index` (B,) picks, no wider than the longest of them."""
        wide = self.lengths[index].max()
        return Strings(self.x[index, :wide], self.lengths[index], self.y[index, :wide], self.legal[index, :wide])

    @property
    def live(self) -> np.ndarray:
        """(N, T) bool: the steps that the strings have."""
        return np.arange(self.x.shape[1]) < self.lengths[:, None]


def embedded_reber(rng: np.random.Generator) -> str:
    """A string of the embedded Reber grammar (section 5.1); each of two edges is taken with probability ½.

    B, then T or P, then a string of the Reber grammar (itself from B to E), then the same T or P again, then E.
    """
    frame, inner, node = "TP"[rng.integers(2)], "", 0
    while node != LAST:
        letter, node = list(NEXT[node].items())[rng.integers(2)]
        inner += letter
    return f"B{frame}B{inner}E{frame}E"


def allowed(string: str) -> list[str]:
    """The letters that the grammar allows after each letter of an embedded string but the last."""
    after, node = ["TP", "B", "".join(NEXT[0])], 0
    for letter in string[3:-3]:
        node = NEXT[node][letter]
        after.append("".join(NEXT.get(node, "E")))
    return [*after, string[1], "E"]


def encoded(strings: list[str]) -> Strings:
    """The strings as arrays."""
    lengths = np.array([len(string) - 1 for string in strings])
    shape = len(strings), lengths.max()
    x, y, legal = np.zeros((*shape, 7), np.float32), np.zeros(shape, int), np.zeros((*shape, 7), bool)
    for row, string in enumerate(strings):
        steps, letters = np.arange(len(string) - 1), np.array([LETTERS.index(letter) for letter in string])
        x[row, steps, letters[:-1]] = 1
        y[row, steps] = letters[1:]
        for step, after in enumerate(allowed(string)):
            legal[row, step, [LETTERS.index(letter) for letter in after]] = True
    return Strings(x, lengths, y, legal)


def reber_sets(rng: np.random.Generator, count: int = 256) -> tuple[Strings, Strings]:
    """`count` strings to learn from, and as many to test that are not among them."""
    known = [embedded_reber(rng) for _ in range(count)]
    fresh: list[str] = []
    while len(fresh) < count:
        string = embedded_reber(rng)
        if string not in known:
            fresh.append(string)
    return encoded(known), encoded(fresh)
