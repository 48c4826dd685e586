"""Training: losses, optimizers, schedules, and the loop that brings them together."""

from gatewright.training import losses
from gatewright.training.callbacks import Callback, CSVLogger, EarlyStopping, History, JSONLogger
from gatewright.training.checkpoint import Checkpoint, ResumeWarning
from gatewright.training.metrics import Metric
from gatewright.training.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from gatewright.training.schedules import Cosine, ReduceOnPlateau, Schedule, StepDecay, Warmup

__all__ = [
    "SGD", "Adam", "AdamW", "CSVLogger", "Callback", "Checkpoint", "Cosine", "EarlyStopping", "History", "JSONLogger", "Metric",
    "Optimizer", "RMSprop", "ReduceOnPlateau", "ResumeWarning", "Schedule", "StepDecay", "Warmup", "losses",
]  # fmt: skip
