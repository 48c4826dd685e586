"""Chooses the defaults of gw.SequenceClassifier: python benchmarks/tasks/select_classifier.py [--write]

Only the TRAIN parts of five data sets of the archive are read (they come inside the package aeon). Each candidate is trained on
two thirds of a part and scored on the rest, three times over, with two seeds; what counts is the mean accuracy over the data
sets. First a grid over directions, pooling, learning rate and dropout, then the best of it with one change at a time to cell,
size, batch and epochs; a change has to gain half a point, or it is noise, and time. --write stores the table. About 20 minutes
on one core; it uses as many as it may.
"""

import argparse
import itertools
import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import archive
import numpy as np
from sklearn.model_selection import StratifiedKFold

import gatewright as gw

NAMES = ("JapaneseVowels", "BasicMotions", "ItalyPowerDemand", "GunPoint", "ArrowHead")
FOLDS, SEEDS = 3, (0, 1)
GAIN = 0.005  # of accuracy, that a change must bring
START = {"cell": "gru", "hidden_size": 64, "epochs": 60, "batch_size": "auto"}
GRID = [
    START | {"bidirectional": both, "pooling": pooling, "learning_rate": rate, "dropout": dropout}
    for both, pooling, rate, dropout in itertools.product((False, True), ("last", "mean", "max"), (0.003, 0.01), (0.0, 0.3))
]
CHANGES = [{"cell": "lstm"}, {"hidden_size": 32}, {"hidden_size": 128}, {"epochs": 30}, {"epochs": 100}, {"batch_size": 32}]
RESULT = Path(__file__).resolve().with_suffix(".json")


@cache
def training_part(name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """The sequences and labels that this script sees of a data set."""
    return archive.read(name, "TRAIN")


def accuracy(settings: dict, name: str, seed: int) -> float:
    """The mean accuracy over the folds of a data set."""
    x, y = training_part(name)
    scores = []
    for learn, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(len(y)), y):
        classifier = gw.SequenceClassifier(**settings, early_stopping=False, random_state=seed)
        classifier.fit([x[i] for i in learn], y[learn])
        scores.append(classifier.score([x[i] for i in test], y[test]))
    return float(np.mean(scores))


def row(settings: dict) -> dict:
    """A candidate with its accuracies."""
    by_name = {name: round(float(np.mean([accuracy(settings, name, seed) for seed in SEEDS])), 4) for name in NAMES}
    return {"settings": settings, "accuracy": round(float(np.mean(list(by_name.values()))), 4), "by data set": by_name}


def table(candidates: list[dict], pool: ProcessPoolExecutor) -> list[dict]:
    """A row a candidate, the best first."""
    rows = []
    for found in pool.map(row, candidates):
        rows.append(found)
        print(found["accuracy"], *found["by data set"].values(), found["settings"], flush=True)
    return sorted(rows, key=lambda found: -found["accuracy"])


def best_of(first: dict, changed: list[dict]) -> dict:
    """The best of the grid, or the best change to it, if that gains enough."""
    return changed[0] if changed[0]["accuracy"] >= first["accuracy"] + GAIN else first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULT.name}")
    write = parser.parse_args().write
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        grid = table(GRID, pool)
        changed = table([grid[0]["settings"] | change for change in CHANGES], pool)
    best = best_of(grid[0], changed)
    result = {
        "script": "benchmarks/tasks/select_classifier.py", "read": f"the TRAIN parts of {', '.join(NAMES)}",
        "folds": FOLDS, "seeds": list(SEEDS), "best": best, "ten best of the grid": grid[:10], "one change": changed,
    }  # fmt: skip
    text = json.dumps(result, indent=1)
    print(text)
    if write:
        RESULT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
