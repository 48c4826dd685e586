"""What a forecaster is made of."""

from dataclasses import dataclass
from typing import Any

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

    def __post_init__(self) -> None:
        for option, known in (("cell", tuple(CELLS)), ("scale", SCALES)):
            if getattr(self, option) not in known:
                raise one_of(option, getattr(self, option), known)
        for option, least in (("hidden", 1), ("layers", 1), ("window", 2), ("horizon", 1), ("ensemble", 1)):
            _whole_number(option, getattr(self, option), least)
        _whole_number("seed", self.seed, 0)
        if self.epochs is not None:
            _whole_number("epochs", self.epochs, 1)
        if not 0 < self.learning_rate < 10:
            raise OptionError(f"learning_rate={self.learning_rate}; wanted a number above 0 and below 10")

    def network(self, features: int, outputs: int) -> Sequential:
        """The network of one member: `(B, T, features)` to `(B, T, outputs)`."""
        return Sequential(CELLS[self.cell](features, self.hidden, num_layers=self.layers), Dense(self.hidden, outputs))

    @property
    def name(self) -> str:
        """A short name for tables: `GRU-8 × 5`."""
        depth = f"{self.layers}×" if self.layers > 1 else ""
        return f"{self.cell.upper()}-{depth}{self.hidden}" + (f" × {self.ensemble}" if self.ensemble > 1 else "")


def _whole_number(option: str, got: Any, least: int) -> None:
    if isinstance(got, bool) or not isinstance(got, int) or got < least:
        raise OptionError(f"{option}={got!r}; wanted a whole number from {least} up")
