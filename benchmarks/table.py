"""The tables: what the result files say, in the README for short and in results/README.md with every cell.

usage: python benchmarks/table.py          writes both; tests/benchmarks/test_table.py checks that they are as the results say
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: written by `make bench` -->", "<!-- end of benchmarks -->"
NAMES = {
    "gatewright": "gatewright", "pytorch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO",
    "openvino bf16": "OpenVINO in bf16",
}  # fmt: skip
TITLES = {
    "stream": "`Stream.step`, a step a call",
    "inference": "inference, T=100",
    "odd": "odd sizes, T=7",
    "bidirectional": "two layers, both directions",
    "training": "a training step of `fit`",
}
Result = dict[str, Any]


def results(folder: Path = RESULTS) -> list[Result]:
    """Every result file, in a fixed order."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    order = [*TITLES, "tail", "start"]
    known = [one for one in found if one["benchmark"] in order]
    return sorted(known, key=lambda one: (order.index(one["benchmark"]), one["threads"], -one["lanes"]))


def told(against: list[str]) -> str:
    """Whom a bar is against."""
    names = [NAMES[who] for who in against]
    return names[0] if len(names) == 1 else f"the fastest of {', '.join(names[:-1])} and {names[-1]}"


def under(result: Result) -> str:
    """The circumstances of a run."""
    words = "one thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return f"{words}, {result['lanes']} lanes" if result["forced"] else words


def bars(result: Result) -> Iterator[tuple[str, str, str, float, bool]]:
    """(what, bar, cell, what was reached, whether that is enough) of everything that was judged."""
    for cell in result["cells"]:
        for bar in cell.get("bars", ()):
            yield "ratio", f"≥ {bar['least']:g} × {told(bar['against'])}", cell["name"], bar["got"], bar["holds"]
        if "share" in cell:
            share = cell["share"]
            yield "share", f"≥ {share['least']} % of the core's FMA peak", cell["name"], cell["percent"], share["holds"]
    for bar in result.get("means", ()):
        wanted = f"geometric mean ≥ {bar['least']:g} × {told(bar['against'])}"
        yield "mean", wanted, "all", bar["got"], bar["holds"]


def short(found: list[Result]) -> str:
    """The README's part: a row for every bar, and by name all that falls short."""
    if not found:
        return "Nothing is recorded yet: `make bench` does it."
    lines = ["| what | how | bar | reached | cells that hold |", "|---|---|---|---|---|"]
    missed: list[str] = []
    for result in found:
        groups: dict[tuple[str, str], list[tuple[str, float, bool]]] = {}
        for what, bar, cell, got, holds in bars(result):
            groups.setdefault((what, bar), []).append((cell, got, holds))
        title = TITLES.get(result["benchmark"], "")
        for (what, bar), cells in groups.items():
            reached = span(what, [got for _, got, _ in cells])
            lines.append(f"| {title} | {under(result)} | {bar} | {reached} | {sum(c[2] for c in cells)} of {len(cells)} |")
            below = ", ".join(f"{cell} {span(what, [got])}" for cell, got, holds in cells if not holds)
            missed += [f"- {title}, {under(result)}, {bar}: {below}."] if below else []
    sentences = [line for result in found for line in (*tail(result), *start(result))]
    shortfall = ["Below the bar:", "", *missed] if missed else ["No cell is below its bar."]
    return "\n".join([*lines, "", *shortfall, "", *sentences, "", where(found)])


def span(what: str, numbers: list[float]) -> str:
    """The range of what was reached."""
    ends = sorted({min(numbers), max(numbers)})
    return " – ".join(f"{end:.0f} %" if what == "share" else f"× {end:.2f}" for end in ends)


def tail(result: Result) -> Iterator[str]:
    """Sentences about the slowest steps."""
    for cell in result["cells"] if result["benchmark"] == "tail" else ():
        step, empty, over = cell["step"], cell["empty call"], cell["tail over median"]
        plain = cell["tail over tail"]
        yield (
            f"`Stream.step`, {cell['name']}, {cell['steps']:,} steps: median {step['median'] * 1e6:.2f} µs, 99.9 % within "
            f"{step['99.9 %'] * 1e6:.2f} µs, {over['step']:.2f} times the median; an empty Python call in the same run: "
            f"{empty['median'] * 1e6:.2f} and {empty['99.9 %'] * 1e6:.2f} µs, {over['empty call']:.2f} times. The first ratio "
            f"is {'within' if over['holds'] else 'NOT within'} {over['most']} times the second; the step's 99.9 % as such is "
            f"{plain['got']:.0f} times the empty call's, {'within' if plain['holds'] else 'NOT within'} {plain['most']}."
        )
        yield ""


def start(result: Result) -> Iterator[str]:
    """The sentences about starting and memory."""
    cells = result["cells"] if result["benchmark"] == "start" else []
    if cells:
        parts = ", ".join(
            f"{NAMES.get(cell['name'], cell['name'])} {cell['seconds']['median']:.2f} s, {cell['megabytes']['median']:.0f} MB"
            for cell in cells
        )
        yield f"From the start of a process to the first prediction of a saved model, and its peak memory: {parts}."
    for cell in cells:
        for what, limit in cell["limits"].items():
            word = "at most" if limit["holds"] else "MORE than"
            yield f"With its library of kernels {NAMES[cell['name']]} takes {word} {limit['most']:g} {what}."


def where(found: list[Result]) -> str:
    """The machine and the versions."""
    machines = {f"{m['processor']}, {m['cores']} cores, Python {m['python']}" for m in (one["machine"] for one in found)}
    versions = {", ".join(f"{name} {number}" for name, number in one["versions"].items()) for one in found}
    peaks = {one["lanes"]: round(one["peak"]) for one in found if "peak" in one}
    told = ", ".join(f"{peak} GFLOP/s with {lanes} lanes" for lanes, peak in peaks.items())
    return (
        f"Measured on {'; '.join(sorted(machines))}, with {'; '.join(sorted(versions))}. "
        f"{f'The FMA peak of a core is {told}. ' if told else ''}A ratio is the rival's time / ours, the median of repeats "
        "that take turns. [Every cell](benchmarks/results/README.md), with its spread."
    )


def long(found: list[Result]) -> str:
    """results/README.md: every cell."""
    said = "Written by `make bench`; a ratio is the rival's time / ours, median and quartiles. Lanes are gatewright's alone."
    lines = ["# Every cell", "", said, ""]
    for result in found:
        rivals = list(dict.fromkeys(who for cell in result["cells"] for who in cell.get("ratios", ())))
        if not rivals:
            continue
        lines += [f"## {TITLES[result['benchmark']]}, {under(result)}", ""]
        lines += [f"| | µs | {' | '.join(f'× {NAMES[who]}' for who in rivals)} | GFLOP/s | % of the peak | |"]
        lines += ["|---" * (len(rivals) + 5) + "|"]
        for cell in result["cells"]:
            ratios = [f"{r['median']:.2f} ({r['low']:.2f}–{r['high']:.2f})" for r in (cell["ratios"][who] for who in rivals)]
            fail = [bar for bar in (*cell["bars"], *([cell["share"]] if "share" in cell else [])) if not bar["holds"]]
            speed = [f"{cell['gflops']:.0f}", f"{cell['percent']:.0f}"] if "gflops" in cell else ["", ""]
            row = [
                cell["name"],
                f"{cell['seconds']['gatewright']['median'] * 1e6:.1f}",
                *ratios,
                *speed,
                "below" if fail else "",
            ]
            lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    return "\n".join(lines) if found else "\n".join([*lines, short([]), ""])


def placed(readme: str, part: str) -> str:
    """The README with its part between the markers replaced."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{after}"


def main() -> None:
    """Writes both tables."""
    found = results()
    README.write_text(placed(README.read_text(encoding="utf-8"), short(found)), encoding="utf-8")
    (RESULTS / "README.md").write_text(long(found), encoding="utf-8")


if __name__ == "__main__":
    main()
