"""What a forecaster is made of."""

from dataclasses import dataclass, fields
from typing import Any

from gatewright.checks import is_number, true_or_false, whole_number
from gatewright.errors import OptionError, one_of
from gatewright.forecasting.scaling import SCALES
from gatewright.layers import GRU, LSTM, RNN, Dense, Sequential

MOST_EPOCHS = 200
CELLS: dict[str, Any] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


@dataclass(frozen=True)
class Settings:
    """The choices of a forecaster; `Settings()` serves most series.

    cell, hidden, layers: the recurrent network. window: time steps that it sees. horizon: steps ahead that it forecasts,
    all at once. scale: what is done to the target first, "standard", "sqrt", "log" or "none". ensemble: networks whose mean
    is the forecast. epochs: None means as many, up to MOST_EPOCHS, as forecast held-out blocks of the training rows best.
    learning_rate: of Adam, above 0 and below 10. seed: of every random number, from 0 up. Raises OptionError for an
    impossible value.
    """

    cell: str = "gru"
    hidden: int = 8
    layers: int = 1
    window: int = 40
    horizon: int = 1
    scale: str = "standard"
    ensemble: int = 5
    epochs: int | None = None
    learning_rate: float = 0.01
    seed: int = 0
    linear: bool = False
    season: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            check(field.name, getattr(self, field.name))
        for option in _LEAST:  # numbers of NumPy's have no place in JSON
            if getattr(self, option) is not None:
                object.__setattr__(self, option, int(getattr(self, option)))
        object.__setattr__(self, "learning_rate", float(self.learning_rate))

    def network(self, features: int, outputs: int) -> Sequential:
        """The network of one member: `(B, T, features)` to `(B, T, outputs)`."""
        return Sequential(CELLS[self.cell](features, self.hidden, num_layers=self.layers), Dense(self.hidden, outputs))

    @property
    def name(self) -> str:
        """A short name for tables: `GRU-8 × 5`."""
        depth = f"{self.layers}×" if self.layers > 1 else ""
        beside = "AR + " if self.linear else ""
        return f"{beside}{self.cell.upper()}-{depth}{self.hidden}" + (f" × {self.ensemble}" if self.ensemble > 1 else "")


_LEAST = {"hidden": 1, "layers": 1, "window": 2, "horizon": 1, "ensemble": 1, "epochs": 1, "seed": 0, "season": 1}
_KNOWN = {"cell": tuple(CELLS), "scale": SCALES}


def check(option: str, got: Any, name: str | None = None) -> None:
    """Raises OptionError where a field of Settings can't have the value `got`; `name` is what the message calls it."""
    name = name or option
    if option in _KNOWN:
        if got not in _KNOWN[option]:
            raise one_of(name, got, _KNOWN[option])
    elif option in _LEAST:
        if option != "epochs" or got is not None:
            whole_number(name, got, _LEAST[option])
    elif option == "linear":
        true_or_false(name, got)
    elif not is_number(got) or not 0 < got < 10:
        raise OptionError(f"{name}: got {got!r}, wanted a number above 0 and below 10")
