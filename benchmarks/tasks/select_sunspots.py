"""Chooses the settings with which the demo forecasts sunspots: python benchmarks/tasks/select_sunspots.py [--write]

Only the years 1700–1920 are read. Seven times the network learns the years up to 1780, 1800, … 1900 and forecasts the next 20,
one step ahead; what counts is the mean squared error over these 140 years, as ARV, and over two seeds. The candidates differ in
cell, size, scaling, window and number of epochs (null: as many as forecast blocks best that the members leave out). --write
stores the best where the demo reads it. About 20 minutes on one core; it uses as many as there are.
"""

import argparse
import itertools
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from gatewright.data.series import SUNSPOT_VARIANCE, sunspots
from gatewright.forecasting import classic, committee, forecaster
from gatewright.forecasting.baselines import Autoregression
from gatewright.forecasting.settings import Settings

FIRST_YEAR = 1700
ENDS, SPAN = (1780, 1800, 1820, 1840, 1860, 1880, 1900), 20
SEEDS = (0, 1)
EPOCHS = (40, 60, 80, 100, 120, 150, None)
MOST = 150  # epochs that every candidate is trained for; None chooses among these
CANDIDATES = [
    Settings(cell=cell, hidden=hidden, scale=scale, window=window, epochs=MOST)
    for cell, hidden, scale, window in itertools.product(("gru", "lstm", "rnn"), (8, 16), ("sqrt", "standard"), (24, 40))
]
RESULT = Path(__file__).resolve().parents[2] / "src" / "gatewright" / "data" / "sunspots.json"


def training_years() -> np.ndarray:
    """(221, 1): the years 1700–1920, the only ones that this script sees."""
    return sunspots().values[: classic.TRAIN]


def arv(error: np.ndarray) -> float:
    """The mean squared error in units of the series' variance."""
    return float(np.mean(np.square(error))) / SUNSPOT_VARIANCE


def fold_scores(settings: Settings, end: int) -> dict[int | None, float]:
    """The ARV of the SPAN years after `end`, for each number of epochs."""
    rows = end - FIRST_YEAR + 1
    values = training_years()[: rows + SPAN]
    scalers, task = forecaster.prepare(values[:rows], ("sunspots",), settings)
    members = [committee.train_member(task, number, lambda *_: False)[0] for number in range(settings.ensemble)]
    scores = {}
    for epochs in EPOCHS:
        fitted = forecaster.assemble(("sunspots",), scalers, task, committee.together(members, epochs))
        mean = fitted.forecasts(values, np.arange(rows - 1, rows + SPAN - 1)).mean[:, 0]
        scores[epochs] = arv(values[rows:, 0] - mean)
    return scores


def autoregression_score(order: int) -> float:
    """What a least-squares AR reaches on the same folds."""
    scores = []
    for end in ENDS:
        rows = end - FIRST_YEAR + 1
        y = training_years()[: rows + SPAN, 0]
        scores.append(arv(y[rows:] - Autoregression.fit(y[:rows], order).forecasts(y, 1)[rows - 1 : -1, 0]))
    return float(np.mean(scores))


def candidate_scores(settings: Settings) -> list[dict]:
    """The mean ARV over folds and seeds, for each number of epochs."""
    found = [fold_scores(Settings(**{**settings.__dict__, "seed": seed}), end) for seed in SEEDS for end in ENDS]
    chosen = {name: getattr(settings, name) for name in ("cell", "hidden", "scale", "window")}
    return [
        {**chosen, "epochs": epochs, "arv": round(float(np.mean([scores[epochs] for scores in found])), 4)} for epochs in EPOCHS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"store the best in {RESULT.name}, where the demo reads it")
    write = parser.parse_args().write
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        table = []
        for rows in pool.map(candidate_scores, CANDIDATES):
            table += rows
            print(*(f"{value!s:>9}" for value in min(rows, key=lambda row: row["arv"]).values()), flush=True)
    table.sort(key=lambda row: row["arv"])
    best = {name: value for name, value in table[0].items() if name != "arv"}
    result = {
        "script": "benchmarks/tasks/select_sunspots.py",
        "read": f"the years {FIRST_YEAR}–{FIRST_YEAR + classic.TRAIN - 1} only",
        "folds": [f"{end + 1}–{end + SPAN}" for end in ENDS],
        "seeds": list(SEEDS),
        "settings": best,
        "candidates": len(table),
        "ten best, by the mean ARV of the folds": table[:10],
        "autoregressions on the same folds": {f"AR({order})": round(autoregression_score(order), 4) for order in (2, 9, 12)},
    }
    text = json.dumps(result, ensure_ascii=False, indent=1)
    print(text)
    if write:
        RESULT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
