"""The language model: a vocabulary and a network that says which symbol comes next."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gatewright import files, importers
from gatewright.arrays import Array
from gatewright.checks import whole_number
from gatewright.errors import DataError, FormatError, GatewrightError, NotFiniteError, OptionError
from gatewright.layers import GRU, LSTM, RNN, Dense, Embedding
from gatewright.model import Model
from gatewright.text import sampling
from gatewright.text.lesson import Lesson, Watch
from gatewright.text.sampling import Choice
from gatewright.text.settings import TextSettings
from gatewright.text.vocabulary import Vocabulary

KIND = "text model"
ROWS, PIECE = 32, 2048  # a long text is scored in so many pieces side by side, of at least so many symbols
WARM = 256  # symbols that are read before such a piece, so that it doesn't begin without context
NUMBERS = 1 << 22  # logits that are made at once


class Score(NamedTuple):
    """How well a text is predicted: the length of its code."""

    bits: float
    characters: int
    bytes: int  # of UTF-8

    @property
    def per_character(self) -> float:
        """Bits a character; 0 of no text."""
        return self.bits / max(self.characters, 1)

    @property
    def per_byte(self) -> float:
        """Bits a byte of UTF-8; 0 of no text."""
        return self.bits / max(self.bytes, 1)


@dataclass(frozen=True, eq=False)
class TextModel:
    """A language model of characters or bytes: `gw.TextModel.train(text)` makes one, `gw.TextModel.load(path)` reads one.

    vocabulary: its symbols. model: the network, `(B, T)` symbols to `(B, T, V)` logits of the next ones. Every text is read as
    if a line's end had come before it. Raises OptionError for a network that does something else.
    """

    vocabulary: Vocabulary
    model: Model

    def __post_init__(self) -> None:
        parts, size = tuple(self.model.network.children.values()), self.vocabulary.size
        match parts:
            case [Embedding() as first, LSTM() | GRU() | RNN(), Dense() as last]:
                fits = first == Embedding(size, first.size) and last == Dense(last.input_size, size)
            case _:
                fits = False
        if not fits or self.model.layer.shape_out((1, 2)) != (1, 2, size):
            raise OptionError(f"a text model of {size} symbols: got {self.model.layer}, wanted the network that `train` makes")
        if self.model.layer.chunk_problem:
            raise OptionError(f"a text model reads from the beginning: {self.model.layer.chunk_problem}")

    # --- training

    @classmethod
    def train(cls, text: str, settings: TextSettings | None = None, watch: Watch = lambda _: False) -> "TextModel":
        """A model trained on a text, with the weights that predict its held-out end best; that end's characters are known too.

        watch: called with a Status after every update; True ends the training with the best weights so far. Raises DataError
        for a text that is too short or no text, OptionError for impossible settings, NotFiniteError as `Model.fit` does.
        """
        settings = settings or TextSettings()
        vocabulary = Vocabulary.of(text, settings.level, settings.min_count)
        cut = len(text) - round(len(text) * settings.held_out)
        symbols, held = vocabulary.encode(text[:cut], "text"), text[cut:]
        if len(symbols) <= settings.window or (settings.held_out and not held):
            raise DataError(
                f"text: got {len(symbols)} symbols to learn from and {len(held)} characters held out, wanted more than "
                f"{settings.window}, the window, and at least 1: give more text, or make the window smaller"
            )
        made = cls(vocabulary, Model(settings.network(vocabulary.size), seed=settings.seed))
        Lesson(settings, symbols, (lambda: made.score(held).per_character) if held else None, watch).learn(made.model)
        return made

    # --- scoring

    def bits(self, text: str) -> Array:
        """How surprising every character of a text is after those before it: (N,) bits, -log2 of its probability.

        A long text is read in up to 32 pieces side by side, each after the 256 symbols before it. Raises DataError for
        characters that the model doesn't know.
        """
        symbols = self.vocabulary.encode(text, "text")
        bits = self._bits(symbols)
        if self.vocabulary.level == "char" or not len(symbols):
            return bits
        return np.add.reduceat(bits, np.flatnonzero((symbols & 0xC0) != 0x80))

    def score(self, text: str) -> Score:
        """How well the model predicts a text; raises as `bits` does."""
        return Score(float(self.bits(text).sum()), len(text), len(text.encode()))

    def _bits(self, symbols: Array) -> Array:
        """(N,) bits of symbols (N,). The first piece is counted from its beginning, the others after WARM symbols."""
        count, network = len(symbols), self.model
        warm = min(WARM, count)
        rows = min(max((count - warm) // PIECE, 1), ROWS)
        length = -(-(count - warm) // rows)
        at = np.minimum(np.arange(rows)[:, None] * length + np.arange(warm + length), max(count - 1, 0))
        before = np.concatenate([[self.vocabulary.start], symbols[:-1]])
        bits, stream = np.empty(at.shape), network.stream(rows)
        step = max(1, NUMBERS // (rows * self.vocabulary.size))
        for start in range(0, at.shape[1], step):
            part = at[:, start : start + step]
            bits[:, start : start + step] = _cost(stream.run(before[part]), symbols[part])
        return np.concatenate([bits[0, :warm], bits[:, warm:].ravel()])[:count]

    # --- sampling

    def sample(
        self,
        length: int,
        *,
        prime: str = "",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """`length` characters, one at a time, that go on from `prime` (which is not given again).

        temperature: above 1 wilder, below tamer, 0: always the most likely character. top_k: only the k most likely symbols are
        drawn from. top_p: only the fewest that together have this probability. seed: the same one gives the same text; None:
        from the system. What makes no text, the unknown symbol and bytes that are no UTF-8, is never drawn. Raises OptionError
        for an impossible value, DataError for characters in `prime` that the model doesn't know.
        """
        whole_number("length", length, 0)
        if seed is not None:
            whole_number("seed", seed, 0)
        choice = Choice(temperature, top_k, top_p)
        return self._drawn(length, self.vocabulary.encode(prime, "prime"), choice, np.random.default_rng(seed))

    def _drawn(self, length: int, prime: Array, choice: Choice, rng: np.random.Generator) -> Iterator[str]:
        stream, characters = self.model.stream(), self.vocabulary.characters
        logits = stream.run(np.concatenate([[self.vocabulary.start], prime])[None])[0, -1]
        begun = b""
        while length:
            symbol = choice.draw(self._possible(logits, begun), rng)
            if characters is not None:
                yield characters[symbol]
                length -= 1
            else:
                begun += bytes([symbol])
                if not sampling.missing(begun):
                    yield begun.decode()
                    begun, length = b"", length - 1
            logits = stream.step(symbol)

    def _possible(self, logits: Array, begun: bytes) -> Array:
        """Logits (V,) with -inf for what makes no text."""
        _check(logits)
        if self.vocabulary.characters is None:
            return np.where(sampling.allowed(begun), logits, -np.inf)
        return logits[: len(self.vocabulary.characters)]

    # --- files

    def save(self, path: Any) -> None:
        """Writes network and vocabulary into one safetensors file; raises as `Model.save` does."""
        kept = {"kind": KIND, "characters": self.vocabulary.characters, "unknown": self.vocabulary.unknown}
        files.save(path, dict(self.model.parameters.items()), {**kept, **self.model.describe()})

    @classmethod
    def load(cls, path: Any, *, kernel: str = "auto", threads: int | None = None) -> "TextModel":
        """The model in a file that `save` wrote; nothing in it is executed.

        kernel and threads: as in gw.Model. Raises MissingFileError, or FormatError for any other file.
        """
        tensors, described = files.load(path)
        if described.get("kind") != KIND:
            plain = "a file of gatewright's, but no text model: `gatewright text train` makes one"
            raise FormatError(f"{path}: {files.other(described, 'but no text model') or plain}")
        characters, unknown = described.get("characters"), described.get("unknown")
        if not (characters is None or isinstance(characters, str)) or not isinstance(unknown, bool):
            raise FormatError(f"{path}: the vocabulary of the text model can't be read")
        network = {key: value for key, value in described.items() if key != "kind"}
        model = importers.build(tensors, network, path, kernel=kernel, threads=threads)
        try:
            return cls(Vocabulary(characters, unknown), model)
        except GatewrightError as error:
            raise FormatError(f"{path}: the description of the text model makes no sense: {error}") from None


def _check(logits: Array) -> None:
    if not np.isfinite(logits).all():
        raise NotFiniteError("the network gave NaN or infinity: its weights are no trained ones")


def _cost(logits: Array, symbols: Array) -> Array:
    """(…) bits of symbols (…) by logits (…, V)."""
    _check(logits)
    below = logits - logits.max(axis=-1, keepdims=True)
    right = np.take_along_axis(below, symbols[..., None].astype(np.intp), axis=-1)[..., 0].astype(float)
    cost: Array = (np.log(np.exp(below).sum(axis=-1, dtype=float)) - right) / np.log(2)
    return cost
