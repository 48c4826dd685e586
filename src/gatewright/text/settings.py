"""How a language model is made and trained."""

from dataclasses import dataclass, fields
from typing import Any

from gatewright.checks import fraction, is_number, whole_number
from gatewright.errors import OptionError, one_of
from gatewright.layers import GRU, LSTM, RNN, Dense, Embedding, Sequential

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
LEVELS = ("char", "byte")
EMBEDDING = 32  # numbers a symbol; never more than units of a layer


@dataclass(frozen=True)
class TextSettings:
    """The choices of a language model; `TextSettings()` serves most texts.

    level: "char" or "byte". cell, hidden, layers: the recurrent network, "lstm", "gru" or "rnn". window: steps that
    back-propagation reaches back. batch: stretches of the text that are learned side by side. epochs: times that the text is
    read. minutes: ends the training, however many epochs are left; without both it is ten epochs, or as many as make 3,000
    updates of a short text. learning_rate: of Adam, at the beginning, above 0 and below 1; it falls to zero. held_out: share
    of the text, its end, by which the best weights are found; 0: none, and the last weights are kept. min_count: characters
    that are rarer become one unknown symbol. seed: of every random number, from 0 up. Window, batch and learning_rate were
    chosen by benchmarks/tasks/select_text.py. Raises OptionError for an impossible value.
    """

    level: str = "char"
    cell: str = "lstm"
    hidden: int = 256
    layers: int = 1
    window: int = 50
    batch: int = 32
    epochs: int | None = None
    minutes: float | None = None
    learning_rate: float = 0.004
    held_out: float = 0.05
    min_count: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            check(field.name, getattr(self, field.name))
        if self.level == "byte" and self.min_count != 1:
            raise OptionError(f"min_count={self.min_count} counts characters, and level='byte' has none")

    def network(self, symbols: int) -> Sequential:
        """The network: `(B, T)` symbols to `(B, T, symbols)` logits of the next ones."""
        size = min(EMBEDDING, self.hidden)
        cell = CELLS[self.cell](size, self.hidden, num_layers=self.layers)
        return Sequential(Embedding(symbols, size), cell, Dense(self.hidden, symbols))


_LEAST = {"hidden": 1, "layers": 1, "window": 1, "batch": 1, "epochs": 1, "min_count": 1, "seed": 0}
_KNOWN = {"level": LEVELS, "cell": tuple(CELLS)}


def check(option: str, got: Any, name: str | None = None) -> None:
    """Raises OptionError where a field of TextSettings can't have the value `got`; `name` is what the message calls it."""
    name = name or option
    if option in _KNOWN:
        if got not in _KNOWN[option]:
            raise one_of(name, got, _KNOWN[option])
    elif option in ("epochs", "minutes") and got is None:
        return
    elif option in _LEAST:
        whole_number(name, got, _LEAST[option])
    elif option == "held_out":
        fraction(name, got)
    elif not is_number(got) or got <= 0 or (option == "learning_rate" and got >= 1):
        raise OptionError(f"{name}: got {got!r}, wanted a number above 0" + (" and below 1" if option != "minutes" else ""))
