"""Runs every benchmark, each in a process of its own, and writes their results and the README's table: what `make bench` does.

usage: python benchmarks/run.py [NAME...] [-- OPTION...]        options go to every benchmark, such as --repeats 3 --budget 0.01

All of them take about half an hour, and want a machine that does nothing else.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import table

FOLDER = Path(__file__).parent
LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Plan(NamedTuple):
    """One benchmark: its program, its name, and with how many threads and which lanes it is run."""

    program: str
    name: str
    threads: tuple[int, ...] = (1,)
    lanes: tuple[int, ...] = (0,)  # 0: as wide as the machine has them


PLANS = (
    Plan("bench_sequences.py", "stream"),
    Plan("bench_sequences.py", "inference", (1, 2), (0, 8)),
    Plan("bench_sequences.py", "odd", (1, 2)),
    Plan("bench_sequences.py", "bidirectional", (1, 2)),
    Plan("bench_training.py", "training", (1, 2)),
    Plan("bench_tail.py", "tail"),
    Plan("bench_start.py", "start"),
)


def main(arguments: list[str]) -> int:
    """Returns the exit status: 1 if a benchmark ended with an error."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, options = arguments[:split], arguments[split + 1 :]
    unknown = set(names) - {plan.name for plan in PLANS}
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(plan.name for plan in PLANS)}", file=sys.stderr)
        return 2
    failed = []
    for plan in PLANS:
        for threads in plan.threads if plan.name in (names or [plan.name]) else ():
            for lanes in plan.lanes if threads == 1 else (0,):
                if threads > (os.cpu_count() or 1):
                    print(f"{plan.name}: {threads} threads need as many cores: left out", flush=True)
                    continue
                force = ["--lanes", str(lanes)] if lanes else []
                command = [sys.executable, str(FOLDER / plan.program), plan.name, *force, *options]
                if subprocess.run(command, env={**os.environ, **dict.fromkeys(LIBRARIES, str(threads))}).returncode:
                    failed.append(f"{plan.name} with {threads} thread(s)")
    table.main()
    print(f"failed: {', '.join(failed)}" if failed else "all benchmarks ran: see README.md and benchmarks/results/README.md")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
