"""What is said while networks learn, and Ctrl-C: a bar where rich is installed and someone watches, else plain lines."""

import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from gatewright.text.lesson import Status
from gatewright.text.settings import TextSettings
from gatewright.training.progress import bar

if TYPE_CHECKING:  # it needs scikit-learn
    from gatewright.estimators.watching import Stage


TOLD = 10  # epochs of which a line tells, of the many that an estimator takes


class Console:
    """A bar or plain lines, and Ctrl-C, while something learns: `with Console(bar) as console: …`.

    The first Ctrl-C makes it `stopped`, so that the best model so far is kept; the second one interrupts as usual.
    """

    def __init__(self, drawn: Any) -> None:
        self.stopped, self.bar = False, drawn
        self._before: Any = None

    def __enter__(self) -> "Console":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar:
            self.bar.stop()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.say("stopping, the best so far is kept; Ctrl-C again stops at once and keeps nothing")

    def say(self, line: str) -> None:
        """One line."""
        if self.bar:
            self.bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)


class Watch:
    """Follows the training of some committees: `with Watch(…) as watch: job.run(job, watch)`."""

    def __init__(self, runs: int, members: int, epochs: int) -> None:
        self.runs, self.members, self.epochs = runs, members, epochs
        self.run = 0
        self._bar = bar(runs * members * epochs) if sys.stderr.isatty() else None
        self._console = Console(self._bar)

    @property
    def stopped(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._console.stopped

    def __enter__(self) -> "Watch":
        self._console.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._console.__exit__(*error)

    def __call__(self, member: int, epoch: int, loss: float) -> bool:
        """An epoch is finished; whether to stop."""
        if (member, epoch) == (1, 1):
            self.run += 1
        what = f"network {member} of {self.members}"
        if self.runs > 1:
            what = f"seed {self.run} of {self.runs}, {what}"
        if self._bar:
            done = ((self.run - 1) * self.members + member - 1) * self.epochs + epoch
            self._bar.update(0, completed=done, description=what, loss=f"{loss:.3f}")
        elif epoch == self.epochs and (self.run == 1 or member == self.members):
            self._console.say(f"{what}: loss {loss:.3f} after {epoch} epochs")
        return self.stopped


class Reader:
    """Follows the training of a text model: `with Reader(settings) as reader: TextModel.train(text, settings, reader)`."""

    def __init__(self, settings: TextSettings) -> None:
        self.symbol = {"char": "character", "byte": "byte"}[settings.level]
        self.unit = "bits a character held out" if settings.held_out else f"bits a {self.symbol}"
        self.epoch, self.scores = 0, list[float]()
        self._console = Console(_share_bar() if sys.stderr.isatty() else None)

    @property
    def stopped(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._console.stopped

    def __enter__(self) -> "Reader":
        self._console.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._console.__exit__(*error)

    def __call__(self, status: Status) -> bool:
        """An update or an epoch is finished; whether to stop."""
        speed = f"{status.symbols / status.seconds:,.0f} {self.symbol}s a second"
        if len(status.scores) > len(self.scores):
            self.epoch, self.scores = status.epoch, list(status.scores)
            what = f"epoch {self.epoch}" if len(self.scores) == self.epoch else f"a part of epoch {self.epoch + 1}"
            what += f" of {status.epochs}" if status.epochs else ""
            left = status.seconds * (1 / status.share - 1) / 60
            self._console.say(f"{what}: {self.scores[-1]:.3f} {self.unit}, {speed}, {left:.1f} minutes left")
        if self._console.bar:
            score = f"{min(self.scores):.3f} {self.unit}" if self.scores else ""
            self._console.bar.update(0, completed=status.share, speed=speed, score=score)
        return self.stopped


class Learner:
    """Follows the training of an estimator: `with Learner() as learner: job.run(todo, learner)`."""

    def __init__(self) -> None:
        self.epoch = 0  # the last one that was told of
        self._console = Console(_share_bar() if sys.stderr.isatty() else None)

    @property
    def stopped(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._console.stopped

    def __enter__(self) -> "Learner":
        self._console.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._console.__exit__(*error)

    def __call__(self, stage: "Stage") -> bool:
        """An update or an epoch is finished; whether to stop."""
        speed = f"{stage.sequences / stage.seconds:,.0f} sequences a second"
        losses = stage.history.history["loss"]
        score = f"loss {losses[-1]:.4g}" if losses else ""
        score += "" if stage.score is None else f", {stage.score:.4f} right of those set aside"
        last, every = self.epoch, -(-stage.epochs // TOLD)
        if stage.epoch > last and (stage.epoch in (1, stage.epochs) or stage.epoch % every == 0):
            self.epoch = stage.epoch
            left = stage.seconds * (1 / stage.share - 1) / 60
            self._console.say(f"epoch {self.epoch} of {stage.epochs}: {score}, {speed}, {left:.1f} minutes left")
        if self._console.bar:
            self._console.bar.update(0, completed=stage.share, speed=speed, score=f"epoch {stage.epoch}: {score}")
        return self.stopped


def _share_bar() -> Any:
    """A bar for a share from 0 to 1; None where rich is not installed."""
    try:
        from rich import console, progress
    except ImportError:
        return None
    texts = ("{task.percentage:>3.0f}%", "{task.fields[speed]}", progress.TimeRemainingColumn(), "{task.fields[score]}")
    drawn = progress.Progress(progress.BarColumn(), *texts, console=console.Console(stderr=True), transient=True)
    drawn.add_task("", total=1.0, speed="", score="")
    return drawn
