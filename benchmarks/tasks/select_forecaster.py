"""Chooses the defaults of gw.Forecaster: python benchmarks/tasks/select_forecaster.py [--write]

Only the first three quarters of series are read that come inside installed packages (packaged.py says which; of the half-hours
of electricity every third, of the CO2 the first fifteen years): those on which benchmarks/tasks/forecasts.py compares, and
eleven others. On each a candidate learns, twice or more, the rows up to an origin and forecasts from the next rows on
(Forecaster.backtest), with two seeds; what counts is the mean absolute error over the seasonal naive forecast's, its geometric
mean over the series. One change at a time is made to the start; it has to gain a hundredth, or it is noise, and time. --write
stores the table. About 10 minutes on one core; it uses as many as it may.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import packaged

import gatewright as gw

PART = 0.75  # of the rows, the first ones, that are read
SEEDS = (0, 1)
GAIN = 0.01  # of the error, that a change must bring
START = {"cell": "gru", "hidden_size": 8, "num_layers": 1, "learning_rate": 0.01, "ensemble": 5, "epochs": "auto"}
CHANGES = [
    {"hidden_size": 4}, {"hidden_size": 16}, {"cell": "lstm"}, {"learning_rate": 0.003}, {"learning_rate": 0.03},
    {"ensemble": 10},
]  # fmt: skip
RESULT = Path(__file__).resolve().with_suffix(".json")


class Case(NamedTuple):
    """What is forecast."""

    series: tuple[np.ndarray, ...]  # the parts that are read
    horizon: int
    folds: int
    step: int


def first_part(series: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The first rows of each series."""
    return tuple(y[: int(len(y) * PART)] for y in series)


@cache
def cases() -> dict[str, Case]:
    """Everything that this script sees."""
    found = {
        "sunspots, 1 year": Case(first_part([packaged.sunspots()]), 1, 3, 24),
        "sunspots, 5 years": Case(first_part([packaged.sunspots()]), 5, 3, 24),
        "co2": Case(first_part([packaged.co2()[:1040]]), 13, 2, 52),
        "airline": Case(first_part([packaged.airline()]), 12, 3, 12),
        "electricity": Case(first_part(packaged.electricity()[::3]), 7, 3, 7),
        "yearly": Case(first_part(packaged.yearly()), 4, 2, 4),
    }
    horizons = {"lynx": 5, "nile": 4, "elnino": 12, "wineind": 12, "woolyrnq": 8, "ausbeer": 8, "austres": 8}
    for name, horizon in horizons.items():
        part = first_part([packaged.OTHERS[name]()])
        found[name] = Case(part, horizon, 2, max(4, len(part[0]) // 8))
    return found


def error(settings: dict, name: str, seed: int) -> float:
    """The mean absolute error on a case, over that of the seasonal naive forecast."""
    case = cases()[name]
    forecaster = gw.Forecaster(case.horizon, **settings, random_state=seed)
    told = forecaster.backtest(list(case.series), folds=case.folds, step=case.step)
    return told.mase["Forecaster"] / told.mase["seasonal naive"]


def row(settings: dict) -> dict:
    """A candidate with its errors."""
    by_name = {name: round(float(np.mean([error(settings, name, seed) for seed in SEEDS])), 4) for name in cases()}
    overall = float(np.exp(np.mean(np.log(list(by_name.values())))))
    return {"settings": settings, "error": round(overall, 4), "by series": by_name}


def best_of(first: dict, changed: list[dict]) -> dict:
    """The start, or the best change to it, if that gains enough."""
    best = min(changed, key=lambda found: found["error"])
    return best if best["error"] <= first["error"] * (1 - GAIN) else first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULT.name}")
    write = parser.parse_args().write
    rows = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for found in pool.map(row, [START, *(START | change for change in CHANGES)]):
            rows.append(found)
            print(found["error"], *found["by series"].values(), found["settings"], flush=True)
    result = {
        "script": "benchmarks/tasks/select_forecaster.py", "read": f"the first {PART:.0%} of each series", "seeds": list(SEEDS),
        "best": best_of(rows[0], rows[1:]), "start": rows[0],
        "one change": sorted(rows[1:], key=lambda found: found["error"]),
    }  # fmt: skip
    text = json.dumps(result, indent=1)
    print(text)
    if write:
        RESULT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
