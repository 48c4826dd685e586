"""What is said while networks learn, and Ctrl-C: a bar where rich is installed and someone watches, else plain lines."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

from gatewright.training.progress import bar


class Watch:
    """Follows the training of some committees: `with Watch(…) as watch: job.run(job, watch)`.

    The first Ctrl-C makes it say stop, so that the best model so far is kept; the second one interrupts as usual.
    """

    def __init__(self, runs: int, members: int, epochs: int) -> None:
        self.runs, self.members, self.epochs = runs, members, epochs
        self.run, self.stopped = 0, False
        self._bar = bar(runs * members * epochs) if sys.stderr.isatty() else None
        self._before: Any = None

    def __enter__(self) -> "Watch":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._say("stopping, the best so far is kept; Ctrl-C again stops at once and keeps nothing")

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
            self._say(f"{what}: loss {loss:.3f} after {epoch} epochs")
        return self.stopped

    def _say(self, line: str) -> None:
        if self._bar:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)
