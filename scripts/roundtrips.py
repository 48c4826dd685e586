"""Writes docs/roundtrips.md: recorded networks through every format, and how far they are from the recording then.

usage: python scripts/roundtrips.py          with gatewright[keras,onnx] installed

The networks are those that the tests replay; tests/interop/test_roundtrips.py holds what the page says to its bounds.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import roundtrips  # noqa: E402

PAGE = ROOT / "docs" / "roundtrips.md"
HEAD = """# Round trips

*Made by `python scripts/roundtrips.py`.*

Networks that Keras 3.15.1 and PyTorch 2.13.0 recorded, and, as ONNX files, networks that PyTorch's exporters wrote and PyTorch
ran, or that `to_onnx` wrote and onnxruntime 1.31.1 ran. Weights, biases and states are random, none of them zero. Each is read,
written in every format and read again; a number is the largest difference from what the framework itself gave, relative to the
largest number of the output (or to 1). "–": the format can't say it, and the writer says why (docs/formats.md).
"""


def cell(deviations: Iterable[float | None]) -> str:
    """The worst of some deviations."""
    known = [d for d in deviations if d is not None]
    return f"{max(known):.0e}" if known else "–"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def page() -> str:
    """The whole page."""
    trips = roundtrips.trips()
    by_network = defaultdict(list)
    for trip in trips:
        by_network[trip.network.source, trip.network.name].append(trip)
    parts = [HEAD]
    for source in ("Keras", "PyTorch", "ONNX"):
        mine = [found for (where, _), found in by_network.items() if where == source]
        by_option = defaultdict(list)
        for found in mine:
            for option in roundtrips.options(found[0].network.model):
                by_option[option].append(found)
        head = ["read", *(f"through {target}" for target in roundtrips.FORMATS)]

        def columns(networks: list[list[roundtrips.Trip]]) -> list[str]:
            read = cell(roundtrips.deviation(found[0].network, found[0].network.model) for found in networks)
            return [read, *(cell(found[k].deviation for found in networks) for k in range(len(roundtrips.FORMATS)))]

        rows = [[option, str(len(found)), *columns(found)] for option, found in sorted(by_option.items())]
        parts.append(f"## {source}: {len(mine)} networks\n\n### By option, the worst of its networks\n")
        parts.append(table(["option", "networks", *head], rows))
        rows = [[found[0].network.name, ", ".join(sorted(roundtrips.options(found[0].network.model))), *columns([found])]
                for found in mine]  # fmt: skip
        parts.append("\n### By network\n\n" + table(["network", "layers and options", *head], rows) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
