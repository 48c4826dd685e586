"""How long the slowest steps of a stream take: python benchmarks/bench_tail.py tail …

A million calls of Stream.step and, in turn with them, of a function that does nothing, each timed alone. What disturbs the
process disturbs both.
"""

import time

import numpy as np
import session
import workloads

import gatewright as gw

PERCENTILE, MOST = 99.9, 2


def nothing(x: np.ndarray) -> np.ndarray:
    """The empty call."""
    return x


def measure(work: workloads.Work, steps: int) -> dict:
    """One cell, in seconds."""
    step = gw.Model(getattr(gw, work.kind)(work.features, work.hidden), seed=0).stream().step
    x, now = np.random.default_rng(0).standard_normal((1, work.features)).astype(np.float32), time.perf_counter_ns
    times = np.empty((steps, 2), np.int64)
    for k in range(-1000, steps):
        a = now()
        step(x)
        b = now()
        nothing(x)
        times[max(k, 0)] = b - a, now() - b
    middle, late = np.median(times, axis=0) / 1e9, np.percentile(times, PERCENTILE, axis=0) / 1e9
    names = "step", "empty call"
    found = {name: {"median": float(m), f"{PERCENTILE} %": float(t)} for name, m, t in zip(names, middle, late, strict=True)}
    # A step does work, an empty call none: what can be compared is how far the slow ones lie above the usual ones.
    own, plain = late / middle, float(late[0] / late[1])
    tail = {"step": float(own[0]), "empty call": float(own[1]), "most": MOST, "holds": bool(own[0] <= MOST * own[1])}
    made = {"name": work.name, "work": work._asdict(), "steps": steps, **found, "tail over median": tail}
    made["tail over tail"] = {"got": plain, "most": MOST, "holds": plain <= MOST}
    print(made, flush=True)
    return made


def main() -> None:
    now = session.begin(["tail"])
    steps = workloads.TAIL_STEPS if now.pace.repeats > 3 else workloads.TAIL_STEPS // 20
    session.finish(now, [measure(work, steps) for work in workloads.TAIL if now.wants(work.name)])


if __name__ == "__main__":
    main()
