"""The network of an estimator and how it is trained, made of the estimator's parameters, which are checked here."""

from dataclasses import dataclass, field
from typing import Any

from gatewright import checks
from gatewright.arrays import Array
from gatewright.errors import OptionError, one_of
from gatewright.layers import GRU, LSTM, RNN, Dense, Dropout, GlobalAveragePooling1D, GlobalMaxPooling1D, Sequential
from gatewright.parameters import Parameters
from gatewright.training.optimizers import SGD, Adam, AdamW, Optimizer, OptimizerState, RMSprop, Segment

CELLS: dict[str, Any] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}
POOLINGS: dict[str, Any] = {"last": None, "mean": GlobalAveragePooling1D, "max": GlobalMaxPooling1D}
OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "sgd": SGD}
SCHEDULES = ("cosine", "constant")


def check(estimator: Any) -> None:
    """Raises OptionError for parameters that neither the network nor its training check."""
    for option, known in (("cell", CELLS), ("pooling", POOLINGS), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        got = getattr(estimator, option)
        if not isinstance(got, str) or got not in known:
            raise one_of(option, got, known)
    for option in ("bidirectional", "warm_start", "standardize", "verbose"):
        checks.true_or_false(option, getattr(estimator, option))
    for option in ("hidden_size", "num_layers", "epochs", "patience"):
        checks.whole_number(option, getattr(estimator, option))
    if estimator.batch_size != "auto":
        checks.whole_number("batch_size (or 'auto')", estimator.batch_size)
    checks.positive("learning_rate", estimator.learning_rate)
    checks.fraction("dropout", estimator.dropout)
    checks.fraction("validation_fraction", estimator.validation_fraction)
    checks.positive("validation_fraction", estimator.validation_fraction)
    if not isinstance(estimator.early_stopping, bool) and estimator.early_stopping != "auto":
        raise OptionError(f"early_stopping: got {estimator.early_stopping!r}, wanted True, False or 'auto'")


def build(estimator: Any, features: int, outputs: int, final: str | None) -> Sequential:
    """(B, T, features) -> (B, outputs): recurrent layers, their last output or the steps' mean or maximum, and a Dense."""
    pool = POOLINGS[estimator.pooling]
    recurrent = CELLS[estimator.cell](
        features, estimator.hidden_size, num_layers=estimator.num_layers, bidirectional=estimator.bidirectional,
        return_sequences=pool is not None, dropout=estimator.dropout if estimator.num_layers > 1 else 0.0,
    )  # fmt: skip
    parts = [recurrent] if pool is None else [recurrent, pool()]
    if estimator.dropout:
        parts.append(Dropout(estimator.dropout))
    return Sequential(*parts, Dense(estimator.hidden_size * (1 + estimator.bidirectional), outputs, final))


def batch_size(estimator: Any, count: int) -> int:
    """Sequences an update, of `count`: "auto" makes updates frequent where there are few, and quick where there are many."""
    return min(max(count // 32, 8), 64) if estimator.batch_size == "auto" else int(estimator.batch_size)


def optimizer(estimator: Any) -> Optimizer:
    """An optimizer of the estimator's kind and learning rate."""
    return OPTIMIZERS[estimator.optimizer](float(estimator.learning_rate))


@dataclass(frozen=True)
class Resumed(Optimizer):
    """An optimizer that goes on where it stopped: its moments outlive a call of `Model.fit`."""

    inner: Optimizer = field(default_factory=Adam)
    memory: list[OptimizerState] = field(default_factory=list)  # empty before the first update

    def init(self, params: Parameters, kernel: str = "numpy") -> OptimizerState:
        if not self.memory:
            self.memory.append(self.inner.init(params, kernel))
        return self.memory[0]

    def step(self, p: Array, g: Array, slots: dict[str, Array], segment: Segment, count: int) -> None:
        self.inner.step(p, g, slots, segment, count)
