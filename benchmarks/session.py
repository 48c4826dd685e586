"""What every benchmark shares: its command line, what is made of its times, and the file of its results.

A result file, results/NAME-THREADS[-LANES].json, holds the machine, the versions, the peak of a core, and a list of cells. A
cell has the seconds a call of everyone in every repeat, with their median and quartiles; each rival's ratio, its time / ours,
taken repeat by repeat; the bars, and whether they hold.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from timing import Pace
from workloads import Bar

from gatewright.kernels import target

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("gatewright", "numpy", "llvmlite", "torch", "onnxruntime", "openvino")
OURS = "gatewright"
PAUSE = 0.05  # seconds: longer than ONNX Runtime's threads spin after a call, on cores that the next one needs


class Session(NamedTuple):
    """One run of one benchmark."""

    name: str
    threads: int
    lanes: int
    forced: bool  # whether the vectors are narrower than this machine's
    pace: Pace
    only: str
    folder: Path

    def wants(self, name: str) -> bool:
        """Whether a cell was asked for."""
        return self.only in name


def begin(names: Iterable[str]) -> Session:
    """Reads the command line: NAME [--lanes 8] [--repeats N] [--budget SECONDS] [--only TEXT] [--folder FOLDER].

    The number of threads is OMP_NUM_THREADS, which has to be there before anything is imported.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=list(names))
    parser.add_argument("--lanes", type=int, choices=list(target.TARGETS), help="narrower vectors than the machine has")
    parser.add_argument("--repeats", type=int, default=Pace().repeats)
    parser.add_argument("--budget", type=float, default=Pace().budget, help="seconds of one function in one repeat")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--folder", type=Path, default=RESULTS)
    given = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    if threads < 1:
        sys.exit("OMP_NUM_THREADS has to say how many threads everyone may use")
    if given.lanes:
        chosen = target.TARGETS[given.lanes]
        target.host = lambda: chosen
    pace = Pace(given.repeats, given.budget, PAUSE if threads > 1 else 0.0)
    return Session(given.name, threads, target.host().lanes, bool(given.lanes), pace, given.only, given.folder)


def summary(numbers: list[float]) -> dict[str, Any]:
    """The median, the quartiles, and all of them in the order in which they were measured."""
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3
    return {"median": median, "low": low, "high": high, "repeats": numbers}


def cell(name: str, times: Mapping[str, list[float]], bars: Iterable[Bar], **more: Any) -> dict[str, Any]:
    """A cell of the results; prints it too."""
    ratios = {
        who: summary([theirs / ours for theirs, ours in zip(seconds, times[OURS], strict=True)])
        for who, seconds in times.items()
        if who != OURS
    }
    judged = [judge(bar, min(ratios[who]["median"] for who in bar.against)) for bar in bars]
    told = ", ".join(f"{who} × {ratio['median']:.2f}" for who, ratio in ratios.items())
    missed = "".join(f"  BELOW {one['least']:g} × {' and '.join(one['against'])}" for one in judged if not one["holds"])
    print(f"{name:42} {statistics.median(times[OURS]) * 1e6:10.1f} µs  {told}{missed}", flush=True)
    seconds = {who: summary(numbers) for who, numbers in times.items()}
    return {"name": name, "seconds": seconds, "ratios": ratios, "bars": judged, **more}


def judge(bar: Bar, got: float) -> dict[str, Any]:
    """A bar and what was reached."""
    return {"against": list(bar.against), "least": bar.least, "got": got, "holds": got >= bar.least}


def means(cells: list[dict[str, Any]], bars: Iterable[Bar]) -> list[dict[str, Any]]:
    """The geometric mean, over all cells, of the ratio to the fastest of each bar's rivals."""
    found = []
    for bar in bars:
        logs = [math.log(min(one["ratios"][who]["median"] for who in bar.against)) for one in cells]
        found.append(judge(bar, math.exp(statistics.fmean(logs))))
        print(f"geometric mean against {' and '.join(bar.against)}: × {found[-1]['got']:.2f}, wanted {bar.least}", flush=True)
    return found


def finish(session: Session, cells: list[dict[str, Any]], **more: Any) -> None:
    """Writes the result file; not when only some cells were run into the committed folder."""
    if session.only and session.folder == RESULTS:
        print("only some cells were measured: nothing is written")
        return
    about = {"benchmark": session.name, "threads": session.threads, "lanes": session.lanes, "forced": session.forced}
    pace = {"repeats": session.pace.repeats, "seconds a repeat": session.pace.budget}
    content = {**about, "machine": machine(), "versions": versions(), "pace": pace, **more, "cells": cells}
    session.folder.mkdir(parents=True, exist_ok=True)
    name = f"{session.name}-{session.threads}" + (f"-{session.lanes}" if session.forced else "") + ".json"
    (session.folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        words = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        model = f"{words['model name']} (family {words['cpu family']})" if "cpu family" in words else model
    return {"processor": model, "cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


def versions() -> dict[str, str]:
    """Of everyone who takes part."""
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in PACKAGES if name in installed}
