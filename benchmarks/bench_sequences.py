"""Inference, one step a call and whole sequences: python benchmarks/bench_sequences.py stream|inference|odd|bidirectional …

Everyone has the same weights and input, and agrees with gatewright before anything is timed.
"""

import numpy as np
import peak
import rivals
import session
import workloads
from timing import fastest, interleaved

BENCHMARKS = {
    "stream": (workloads.STREAM, ()),
    "inference": (workloads.INFERENCE, workloads.INFERENCE_MEANS),
    "odd": (workloads.ODD, ()),
    "bidirectional": (workloads.BIDIRECTIONAL, ()),
}
CLOSE = {"openvino bf16": 0.05}  # how near to gatewright's the outputs have to be, which are between -1 and 1
CLOSE_ENOUGH = 2e-5


def measure(work: workloads.Work, bars, now: session.Session, top: float) -> dict:
    """One cell; top: GFLOP/s of a core."""
    net = rivals.network(work, now.threads)
    with rivals.inference():
        found = rivals.entrants(net, work, now.threads, stream=now.name == "stream")
        ours = found["gatewright"]["batch first"].output()
        for who, ways in found.items():
            for layout, entrant in ways.items():
                gap = np.abs(entrant.output() - ours).max()
                if not gap < CLOSE.get(who, CLOSE_ENOUGH):
                    raise SystemExit(f"{work.name}: {who} ({layout}) differs from gatewright by {gap:.1e}")
        chosen = {who: fastest({layout: one.run for layout, one in ways.items()}) for who, ways in found.items()}
        times = interleaved({who: found[who][layout].run for who, layout in chosen.items()}, now.pace)
    more = {"work": work._asdict(), "layouts": chosen}
    bars = () if now.forced else bars  # the rivals' vectors are as wide as ever
    made = session.cell(work.name, times, bars, **more)
    made["gflops"] = work.flops / made["seconds"]["gatewright"]["median"] / 1e9
    made["percent"] = 100 * made["gflops"] / (top * now.threads)
    if work in workloads.SHARED and now.threads == 1:
        share = made["share"] = {"least": workloads.SHARE, "holds": made["percent"] >= workloads.SHARE}
        said = "" if share["holds"] else f"  BELOW {workloads.SHARE}"
        print(f"{'':42} {made['gflops']:.0f} GFLOP/s, {made['percent']:.0f} % of the peak{said}", flush=True)
    return made


def main() -> None:
    now = session.begin(BENCHMARKS)
    works, means = BENCHMARKS[now.name]
    if now.threads == 1 and now.name == "bidirectional":
        works = dict.fromkeys(works, ())  # the bar is for two threads
    if now.forced:
        works, means = {work: works[work] for work in works if work in workloads.SHARED}, ()
    top = peak.gflops(now.lanes)
    print(f"{now.name}, {now.threads} thread(s), {now.lanes} lanes; the peak of a core: {top:.1f} GFLOP/s", flush=True)
    cells = [measure(work, bars, now, top) for work, bars in works.items() if now.wants(work.name)]
    session.finish(now, cells, peak=top, means=session.means(cells, means) if cells else [])


if __name__ == "__main__":
    main()
