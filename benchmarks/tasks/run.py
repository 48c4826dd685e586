"""Runs every task, each in a process of its own, and writes README.md: what `make tasks` does.

usage: python benchmarks/tasks/run.py [NAME...]        all of them take a quarter of an hour; nothing else should run then
"""

import subprocess
import sys

import tables

TASKS = ("japanese_vowels", "king_james", "hochreiter_1997", "forecasts")


def main(names: list[str]) -> int:
    """Returns the exit status: 1 if a task ended with an error, 2 for an unknown name."""
    unknown = set(names) - set(TASKS)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(TASKS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or TASKS:
        if subprocess.run([sys.executable, str(tables.HERE / f"{name}.py"), "--keep"]).returncode:
            failed.append(name)
    tables.main()
    print(f"failed: {', '.join(failed)}" if failed else f"all tasks ran: see {tables.PAGE}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
