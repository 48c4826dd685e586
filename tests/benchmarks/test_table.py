"""The README's table says what the committed results say, the cells that lose too; and the parts that make results."""

import json
import re

import numpy as np
import pytest
from programs import BENCHMARKS, loaded

PARTS = ("peak", "session", "table", "timing", "workloads")  # of these none needs a framework


@pytest.fixture(scope="module")
def bench():
    """The benchmarks' modules, which find each other by their plain names; nobody else finds them afterwards."""
    with loaded(BENCHMARKS, *PARTS) as modules:
        yield modules


def test_the_tables_are_what_the_results_say(bench):
    table = bench["table"]
    found, readme = table.results(), table.README.read_text(encoding="utf-8")
    assert table.placed(readme, table.short(found)) == readme
    assert (table.RESULTS / "README.md").read_text(encoding="utf-8") == table.long(found)


def lost(result):
    """(cell, what it reached) of everything in a result file that is below its bar."""
    for cell in result["cells"]:
        yield from ((cell["name"], f"× {bar['got']:.2f}") for bar in cell.get("bars", ()) if not bar["holds"])
        if not cell.get("share", {"holds": True})["holds"]:
            yield cell["name"], f"{cell['percent']:.0f} %"
    yield from (("all", f"× {bar['got']:.2f}") for bar in result.get("means", ()) if not bar["holds"])


def test_every_cell_that_loses_is_named_in_the_readme(bench):
    readme = bench["table"].README.read_text(encoding="utf-8")
    for path in sorted(bench["table"].RESULTS.glob("*.json")):
        for cell, reached in lost(json.loads(path.read_text(encoding="utf-8"))):
            assert f"{cell} {reached}" in readme, path.name


@pytest.fixture
def recorded(bench, tmp_path, capsys):
    """Two result files as a run writes them: one cell holds, one loses to one rival, and one is far from the peak."""
    session, workloads = bench["session"], bench["workloads"]
    now = session.Session("inference", 1, 16, False, bench["timing"].Pace(), "", tmp_path)
    times = {"gatewright": [1e-3, 2e-3, 1e-3], "pytorch": [3e-3, 3e-3, 3e-3], "onnxruntime": [0.9e-3, 2.2e-3, 0.9e-3]}
    slow = session.cell("slow", times, [workloads.Bar(("pytorch",), 2), workloads.Bar(("onnxruntime",), 2)])
    fast = session.cell("fast", {**times, "onnxruntime": [4e-3] * 3}, [workloads.Bar(("pytorch", "onnxruntime"), 2.5)])
    weak = fast | {"name": "weak", "gflops": 100.0, "percent": 50.0, "share": {"least": 65, "holds": False}}
    means = session.means([slow, fast], [workloads.Bar(("onnxruntime",), 1.25), workloads.Bar(("pytorch",), 4)])
    session.finish(now, [slow, fast, weak], peak=200.0, means=means)
    session.finish(now._replace(lanes=8, forced=True), [fast], peak=100.0, means=[])
    capsys.readouterr()
    return tmp_path


def test_what_is_recorded(recorded):
    assert sorted(path.name for path in recorded.iterdir()) == ["inference-1-8.json", "inference-1.json"]
    found = json.loads((recorded / "inference-1.json").read_text())
    assert {"machine", "versions", "threads", "lanes", "pace", "peak", "means"} <= set(found)
    slow = found["cells"][0]
    assert slow["seconds"]["gatewright"] == {"median": 1e-3, "low": 1e-3, "high": 1.5e-3, "repeats": [1e-3, 2e-3, 1e-3]}
    assert slow["ratios"]["onnxruntime"]["repeats"] == pytest.approx([0.9, 1.1, 0.9])  # repeat by repeat
    assert [bar["holds"] for bar in slow["bars"]] == [True, False]
    assert [bar["got"] for bar in found["means"]] == pytest.approx([(0.9 * 4) ** 0.5, 3])


def test_the_tables_of_what_is_recorded(bench, recorded):
    table = bench["table"]
    found = table.results(recorded)
    text = table.short(found)
    assert "| inference, T=100 | one thread | ≥ 2 × ONNX Runtime | × 0.90 | 0 of 1 |" in text
    assert "| inference, T=100 | one thread | ≥ 2.5 × the fastest of PyTorch and ONNX Runtime | × 3.00 | 2 of 2 |" in text
    assert "one thread, 8 lanes" in text
    below = text.partition("Below the bar:")[2]
    assert [line for line in below.splitlines() if line.startswith("- ")] == [
        "- inference, T=100, one thread, ≥ 2 × ONNX Runtime: slow × 0.90.",
        "- inference, T=100, one thread, ≥ 65 % of the core's FMA peak: weak 50 %.",
        "- inference, T=100, one thread, geometric mean ≥ 4 × PyTorch: all × 3.00.",
    ]
    assert "200 GFLOP/s with 16 lanes, 100 GFLOP/s with 8 lanes" in text
    assert re.findall(r"\| slow \|.*", table.long(found)) == [
        "| slow | 1000.0 | 3.00 (2.25–3.00) | 0.90 (0.90–1.00) |  |  | below |"
    ]
    once = table.placed(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", text)
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert table.placed(once, text) == once


def test_the_sentences_about_tails_and_starts(bench):
    """Each says in capitals where it falls short."""
    table = bench["table"]
    numbers = {"step": {"median": 2e-6, "99.9 %": 5e-6}, "empty call": {"median": 1e-7, "99.9 %": 1.2e-7}, "steps": 1000}
    over = {"step": 2.5, "empty call": 1.2, "most": 2, "holds": False}
    cell = {"name": "GRU", **numbers, "tail over median": over, "tail over tail": {"got": 41.7, "most": 2, "holds": False}}
    (said, _) = table.tail({"benchmark": "tail", "cells": [cell]})
    assert "GRU, 1,000 steps: median 2.00 µs, 99.9 % within 5.00 µs, 2.50 times the median" in said
    assert said.count("NOT within 2") == 2
    limits = {"seconds": {"most": 0.12, "holds": True}, "megabytes": {"most": 40, "holds": False}}
    ours = {"name": "gatewright", "seconds": {"median": 0.1}, "megabytes": {"median": 41.0}, "limits": limits}
    theirs = {"name": "pytorch", "seconds": {"median": 0.7}, "megabytes": {"median": 231.0}, "limits": {}}
    first, *rest = table.start({"benchmark": "start", "cells": [ours, theirs]})
    assert first.endswith("gatewright 0.10 s, 41 MB, PyTorch 0.70 s, 231 MB.")
    assert [line.partition("takes ")[2] for line in rest] == ["at most 0.12 seconds.", "MORE than 40 megabytes."]
    assert not [*table.tail({"benchmark": "odd", "cells": [cell]}), *table.start({"benchmark": "odd", "cells": [ours]})]


def test_a_part_of_a_benchmark_is_not_recorded_among_the_results(bench, capsys):
    session = bench["session"]
    before = sorted(session.RESULTS.iterdir())
    session.finish(session.Session("odd", 1, 16, False, bench["timing"].Pace(), "H=50", session.RESULTS), [])
    assert "nothing is written" in capsys.readouterr().out
    assert sorted(session.RESULTS.iterdir()) == before


def test_the_sizes_are_those_that_were_promised(bench):
    w = bench["workloads"]
    assert len(w.STREAM) == 8
    assert len(w.INFERENCE) == 3 * 5 * 3
    assert len(w.ODD) == 3 * 3 * 2 * 2
    assert len(w.TRAINING) == 10
    assert {(work.batch, work.hidden) for work in w.SHARED} == {(B, H) for B in (8, 32) for H in (64, 128, 256)}
    for works in (w.STREAM, w.INFERENCE, w.ODD, w.BIDIRECTIONAL, w.TRAINING):
        assert len({work.name for work in works}) == len(works)


def test_floating_point_operations_are_counted_by_hand(bench):
    """A multiplication and an addition for every weight, row and step."""
    Work = bench["workloads"].Work
    assert Work("LSTM", 3, 5, 1, 1).flops == 2 * (3 * 20 + 5 * 20)
    assert Work("GRU", 3, 5, 2, 7, 2, True).flops == 2 * 7 * 2 * 2 * (3 * 15 + 5 * 15 + 10 * 15 + 5 * 15)


def test_functions_take_turns(bench):
    """Every repeat has every function, each repeat beginning with another."""
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "abc"}
    timing = bench["timing"]
    for name, run in runs.items():
        runs[name] = lambda run=run: (run(), sum(range(20000)))
    times = timing.interleaved(runs, timing.Pace(repeats=3, budget=1e-9))
    assert {name: len(found) for name, found in times.items()} == dict.fromkeys("abc", 3)
    assert "".join(calls).endswith("aabbcc" + "bbccaa" + "ccaabb")  # a call to warm up, and one that counts


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_the_peak_is_that_of_sums_that_were_added(bench, lanes, monkeypatch):
    """s = 0.75 s + 0.75 comes to 3 in every lane of every sum, so that nothing was left out."""
    peak = bench["peak"]
    if lanes > peak.target.host().lanes:
        lanes = peak.target.host().lanes
    monkeypatch.setattr(peak, "TURNS", 100)
    count = peak.target.TARGETS[lanes].registers
    numbers = peak.numbers(lanes, count)
    peak.call(lanes, count, numbers).run()
    np.testing.assert_allclose(numbers, 3, rtol=1e-6)
