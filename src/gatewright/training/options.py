"""How to train: the arguments of `fit`, checked."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from gatewright.checks import positive, true_or_false, whole_number
from gatewright.errors import OptionError
from gatewright.training.batches import ClassWeight, Data
from gatewright.training.callbacks import Callback
from gatewright.training.checkpoint import told
from gatewright.training.losses import LossLike
from gatewright.training.metrics import several
from gatewright.training.optimizers import Optimizer
from gatewright.training.schedules import ScheduleLike


@dataclass(frozen=True)
class FitOptions:
    """How to train: the arguments of `model.fit`, with the same meanings."""

    loss: LossLike = "mse"
    optimizer: str | Optimizer | None = None  # None: Adam()
    epochs: int = 1
    batch_size: int = 32
    validation: Data | None = None
    metrics: Any = ()  # a MetricLike, several, or None; kept as a tuple
    callbacks: Any = ()  # a CallbackLike, several, or None; kept as a tuple
    schedule: ScheduleLike | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1  # batches of batch_size rows that make one update
    class_weight: ClassWeight | None = None
    tbptt: int | tuple[int, int] | None = None
    stateful: bool = False
    shuffle: bool = True
    checkpoint: Any = None  # a folder or a Checkpoint
    resume: bool = False
    verbose: bool = True
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))  # for shuffling and dropout
    kernel: str = "auto"

    def __post_init__(self) -> None:
        for option in ("metrics", "callbacks"):
            object.__setattr__(self, option, several(getattr(self, option)))
        for option in ("epochs", "batch_size", "accumulate"):
            whole_number(option, getattr(self, option))
        for option in ("stateful", "shuffle", "resume", "verbose"):
            true_or_false(option, getattr(self, option))
        for option in ("clip_norm", "clip_value"):
            if getattr(self, option) is not None:
                positive(option, getattr(self, option))
        if self.clip_norm is not None and self.clip_value is not None:
            raise OptionError("clip_norm and clip_value: one of them, not both")
        if self.resume and self.checkpoint is None:
            raise OptionError("resume=True needs checkpoint='folder': the folder to go on from")
        if self.stateful and self.shuffle:
            raise OptionError("stateful=True takes the rows in their order: say shuffle=False too")
        self._check_tbptt()

    @property
    def truncation(self) -> tuple[int, int] | None:
        """tbptt as (k1, k2): an update every k1 steps, through the last k2."""
        if self.tbptt is None:
            return None
        k1, k2 = self.tbptt if isinstance(self.tbptt, tuple | list) else (self.tbptt, self.tbptt)
        return k1, k2

    def _check_tbptt(self) -> None:
        if isinstance(self.tbptt, tuple | list) and len(self.tbptt) != 2:
            raise OptionError(f"tbptt: got {self.tbptt!r}, wanted a number of steps, or two: (k1, k2)")
        k1, k2 = self.truncation or (1, 1)
        whole_number("tbptt: k1", k1)
        whole_number("tbptt: k2", k2)
        if k2 < k1:
            raise OptionError(
                f"tbptt: k2={k2} is less than k1={k1}: the loss of the first {k1 - k2} of every {k1} steps would be left out"
            )
        if self.tbptt and self.stateful and self.accumulate > 1:
            raise OptionError("tbptt with stateful=True and accumulate > 1: an update would come before its states are known")

    def told(self) -> dict[str, str]:
        """The options that decide what comes out, as texts. A resumed training may have more epochs."""
        silent = ("epochs", "validation", "callbacks", "checkpoint", "resume", "verbose", "rng")
        said = {f.name: told(getattr(self, f.name)) for f in fields(self) if f.name not in silent}
        # A function among the callbacks only watches, and what it has gathered is another thing each time.
        watching = [told(c) if isinstance(c, Callback) else getattr(c, "__qualname__", "function") for c in self.callbacks]
        return said | {"callbacks": ", ".join(watching), "rng": type(self.rng.bit_generator).__name__}
