"""What training says while it goes on: a bar where rich is installed and someone watches, plain lines elsewhere."""

import sys
import time
from typing import Any


class Progress:
    """Tells of rows and epochs on the standard error stream; says nothing if not `verbose`."""

    def __init__(self, verbose: bool, epochs: int, rows: int) -> None:
        self.verbose, self.epochs = verbose, epochs
        self._bar: Any = bar(rows) if verbose and sys.stderr.isatty() else None
        self._since = time.perf_counter()

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def rows(self, epoch: int, done: int, loss: float) -> None:
        """`done` rows of the epoch are through; `loss` is the epoch's mean so far."""
        if self._bar:
            self._bar.update(0, completed=done, description=f"epoch {epoch}/{self.epochs}", loss=f"{loss:.4g}")

    def epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """An epoch is finished."""
        seconds, self._since = time.perf_counter() - self._since, time.perf_counter()
        numbers = "  ".join(f"{key} {value:.4g}" for key, value in logs.items())
        self.say(f"epoch {epoch}/{self.epochs}  {numbers}  {seconds:.1f} s")

    def say(self, line: str) -> None:
        """One line."""
        if self._bar:
            self._bar.console.print(line, highlight=False, markup=False)
        elif self.verbose:
            print(line, file=sys.stderr, flush=True)


def bar(total: int) -> Any:
    """A bar with one task, number 0; None where rich is not installed."""
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return None
    columns = ("{task.description}", progress.BarColumn(), progress.MofNCompleteColumn(), "loss {task.fields[loss]}")
    drawn = progress.Progress(*columns, progress.TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    drawn.add_task("", total=total, loss="…")
    return drawn
