"""Times of functions that take turns, so that whatever else the machine does hits all of them alike."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

Run = Callable[[], object]
BLOCKS = 5  # a repeat is the median of so many blocks of calls


class Pace(NamedTuple):
    """How long is measured."""

    repeats: int = 9  # turns
    budget: float = 0.05  # seconds of one function's turn, at least one call
    pause: float = 0.0  # seconds before each, in which a rival's threads stop waiting for work


def interleaved(runs: dict[str, Run], pace: Pace) -> dict[str, list[float]]:
    """Seconds a call, one number a repeat; every repeat begins with another function."""
    counts = {name: max(1, int(pace.budget / seconds(run))) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for repeat in range(pace.repeats):
        start = repeat % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(pace.pause)
            runs[name]()  # what the others have left in the caches is not this one's fault
            blocks = min(BLOCKS, counts[name])
            times[name].append(statistics.median(block(runs[name], counts[name] // blocks) for _ in range(blocks)))
    return times


def block(run: Run, count: int) -> float:
    """Seconds a call, of `count` calls."""
    start = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start) / count


def seconds(run: Run) -> float:
    """Roughly, of a call that is warm."""
    run()
    run()
    count = 1
    while (took := block(run, count)) * count < 2e-3:
        count *= 2
    return took


def fastest(runs: dict[str, Run]) -> str:
    """The name of the function that is fastest, by three short looks at each."""
    looks = {name: min(seconds(run) for _ in range(3)) for name, run in runs.items()}
    return min(looks, key=lambda name: looks[name])
