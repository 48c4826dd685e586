"""Chooses the settings of hochreiter_1997.py: python benchmarks/tasks/select_hochreiter_1997.py [--write]

One set of settings for all tasks. Each candidate learns every task with the seeds 100 to 102; the four best learn them again
with the seeds 103 to 109. None of these is a seed that hochreiter_1997.py tells of. Better is who fails less often (to learn a
task within 60,000 sequences), then who needs fewer sequences: the geometric mean, over the tasks' criteria, of the means over
seeds. --write stores the table. Half an hour on one core; it uses as many as it may (each process: OMP_NUM_THREADS=1).
"""

import argparse
import itertools
import json
import math
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hochreiter_1997 import TASKS, Settings

FIRST, AGAIN = (100, 101, 102), (103, 104, 105, 106, 107, 108, 109)
FINALISTS = 4
LIMIT = 60_000
CANDIDATES = [
    Settings(hidden, batch, rate, knee)
    for hidden, batch, rate, knee in itertools.product((16, 32), (2, 4, 8), (0.01, 0.02), (1.0, 2.0))
]
RESULT = Path(__file__).resolve().with_suffix(".json")


def row(settings: Settings, seeds: tuple[int, ...]) -> dict[str, Any]:
    """A candidate with the sequences that it needs, the mean over seeds for each criterion; a failure counts as LIMIT."""
    counts: dict[str, list[int]] = {}
    failures = 0
    for name, seed in itertools.product(TASKS, seeds):
        for stop, learned in TASKS[name](settings, seed, LIMIT):
            failures += learned.sequences is None
            counts.setdefault(stop.name, []).append(learned.sequences or LIMIT)
    means = {name: statistics.mean(found) for name, found in counts.items()}
    mean = math.exp(statistics.mean(map(math.log, means.values())))
    return {"settings": asdict(settings), "failures": failures, "mean": round(mean), "sequences": means}


def better(found: dict[str, Any]) -> tuple[int, float]:
    """What rows are ordered by, the best first."""
    return found["failures"], found["mean"]


def table(candidates: list[Settings], seeds: tuple[int, ...], pool: ProcessPoolExecutor) -> list[dict[str, Any]]:
    """A row a candidate, the best first."""
    rows = []
    for found in pool.map(row, candidates, itertools.repeat(seeds)):
        rows.append(found)
        means = ", ".join(f"{name} {mean:,.0f}" for name, mean in found["sequences"].items())
        print(f"{found['settings']}: {found['mean']:,}, {found['failures']} failures; {means}", flush=True)
    return sorted(rows, key=better)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULT.name}")
    write = parser.parse_args().write
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        first = table(CANDIDATES, FIRST, pool)
        again = table([Settings(**found["settings"]) for found in first[:FINALISTS]], AGAIN, pool)
    result = {
        "script": "benchmarks/tasks/select_hochreiter_1997.py", "limit": LIMIT, "best": again[0]["settings"],
        "seeds": list(FIRST), "candidates": first, "seeds of the finalists": list(AGAIN), "finalists": again,
    }  # fmt: skip
    if write:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["best"]))


if __name__ == "__main__":
    main()
