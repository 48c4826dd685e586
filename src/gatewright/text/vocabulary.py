"""The symbols of a language model: characters or bytes, as whole numbers."""

from dataclasses import dataclass

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError

CODES = 0x110000  # Unicode has no code from here on
SHOWN = 5  # unknown characters that a message names


@dataclass(frozen=True)
class Vocabulary:
    """The symbols that a model reads and writes.

    characters: one symbol each, the most frequent first; None: the symbols are the 256 bytes of UTF-8. unknown: one more
    symbol, the last, stands for every other character. Raises DataError for what are no characters.
    """

    characters: str | None = None
    unknown: bool = False

    def __post_init__(self) -> None:
        if self.characters is not None and len(set(codes(self.characters, "characters").tolist())) != len(self.characters):
            raise DataError("characters: one of them stands there twice")
        if self.characters is None and self.unknown:
            raise DataError("unknown: bytes are all known")
        if self.characters == "":
            raise DataError("characters: there is none that is known")

    @classmethod
    def of(cls, text: str, level: str, min_count: int) -> "Vocabulary":
        """The vocabulary for a text: "byte", or "char" with one symbol for all characters rarer than `min_count`."""
        points = codes(text, "text")
        if level == "byte":
            return cls()
        counts = np.bincount(points)
        known = np.flatnonzero(counts >= min_count)
        if not len(known):
            raise DataError(f"text: no character stands there as often as min_count={min_count} asks")
        known = known[np.argsort(-counts[known], kind="stable")]
        return cls("".join(map(chr, known.tolist())), bool(((counts > 0) & (counts < min_count)).any()))

    @property
    def level(self) -> str:
        """ "char" or "byte"."""
        return "byte" if self.characters is None else "char"

    @property
    def size(self) -> int:
        """How many symbols there are."""
        return 256 if self.characters is None else len(self.characters) + self.unknown

    @property
    def start(self) -> int:
        """The symbol after which every text begins: the line's end, or, where there is none, the most frequent symbol."""
        return ord("\n") if self.characters is None else max(self.characters.find("\n"), 0)

    def encode(self, text: str, name: str) -> Array:
        """The symbols (N,) of a text. Raises DataError, with `name`, for characters that have none."""
        if self.characters is None:
            codes(text, name)
            return np.frombuffer(text.encode(), np.uint8).astype(np.int32)
        points = codes(text, name)
        symbols = np.full(CODES, len(self.characters) if self.unknown else -1, np.int32)
        symbols[codes(self.characters, "characters")] = np.arange(len(self.characters))
        found = symbols[points]
        if (found < 0).any():
            strange = [repr(chr(code)) for code in dict.fromkeys(points[found < 0].tolist())]
            more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
            raise DataError(
                f"{name}: the model knows no {', '.join(strange[:SHOWN])}{more}; with a min_count it has a symbol for all "
                "others, and a model of bytes knows everything"
            )
        return found


def codes(text: str, name: str) -> Array:
    """The Unicode codes (N,) of a text. Raises DataError, with `name`, for half a surrogate pair, and for what is no str."""
    if not isinstance(text, str):
        raise DataError(f"{name}: got {type(text).__name__}, wanted str")
    try:
        return np.frombuffer(text.encode("utf-32-le"), np.uint32)
    except UnicodeEncodeError as error:
        raise DataError(f"{name}: character {error.start + 1} is {text[error.start]!r}, which is no text") from None
