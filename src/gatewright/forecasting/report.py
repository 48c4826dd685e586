"""An outcome as a table to read and as JSON to keep."""

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.forecasting.backtest import Score
from gatewright.forecasting.job import Outcome

SMALL, LARGE = 1e-4, 1e9  # other numbers have an exponent in the table
MOST_STEPS = 5  # steps ahead that the table shows

Column = tuple[str, Callable[[Sequence[Score]], float], Callable[[Sequence[Array]], float]]


def columns(outcome: Outcome) -> list[Column]:
    """(heading, number of a method's scores, share of the coverages) of every column of the table.

    ARV by period where there are several, RMSE by step ahead where there are several, else RMSE, MAE and ARV.
    """
    periods, horizon = outcome.job.periods, outcome.job.settings.horizon

    def arv(k: int) -> Column:
        return f"ARV {periods[k].name}", lambda s: float(s[k].arv[0]), lambda c: float(c[k][0])

    def rmse(h: int) -> Column:
        return f"RMSE +{h + 1}", lambda s: _root_mean(s, h), lambda c: _mean([share[h] for share in c])

    if horizon > 1:
        shown = sorted({round(k) for k in np.linspace(0, horizon - 1, min(horizon, MOST_STEPS))})
        return [rmse(h) for h in shown]
    if len(periods) > 1:
        return [arv(k) for k in range(len(periods))]
    return [
        ("RMSE", lambda s: float(s[0].rmse[0]), lambda c: float(c[0][0])),
        ("MAE", lambda s: float(s[0].mae[0]), lambda c: math.nan),
        ("ARV", lambda s: float(s[0].arv[0]), lambda c: math.nan),
    ]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _root_mean(scores: Sequence[Score], h: int) -> float:
    return math.sqrt(_mean([float(score.rmse[h] * score.rmse[h]) for score in scores]))


def table(outcome: Outcome) -> str:
    """The scores side by side: lower is better, the best of each column has a star."""
    if not outcome.job.periods:
        return "no rows to test on (test fraction 0)"
    shown = columns(outcome)
    rows = [(name, [number(scores) for _, number, _ in shown]) for name, scores in outcome.scores.items()]
    best = [min(row[k] for _, row in rows) for k in range(len(shown))]
    lines = [["", *(heading + " " for heading, _, _ in shown)]]
    for name, row in rows:
        cells = zip(row, best, strict=True)
        lines.append([name, *(_number(value, top) + ("*" if value == top else " ") for value, top in cells)])
        if len(lines) == 2 and outcome.seeds:
            lines += _seed_lines(outcome, shown, best)
    shares = [share(outcome.coverage) for _, _, share in shown]
    lines.append([f"{outcome.job.level:.0%} interval holds", *("" if math.isnan(s) else f"{s:.0%} " for s in shares)])
    text = _aligned(lines)
    rule = "─" * max(map(len, text))
    return "\n".join([text[0], rule, *text[1:-1], rule, text[-1]])


def _seed_lines(outcome: Outcome, shown: list[Column], best: list[float]) -> list[list[str]]:
    each = np.array([[number(scores) for _, number, _ in shown] for scores in outcome.seeds.values()])
    lines = {f"  mean of {len(each)} other seed{'s' if len(each) > 1 else ''}": each.mean(axis=0)}
    if len(each) > 1:
        lines["  standard deviation"] = each.std(axis=0, ddof=1)
    return [[name, *(_number(value, top) + " " for value, top in zip(row, best, strict=True))] for name, row in lines.items()]


def _number(value: float, best: float) -> str:
    """A number with as many decimals as the best one of its column needs for three digits or so, short at any size."""
    if not math.isfinite(value):
        return "–"
    if 0 < best < SMALL or value >= LARGE:
        return f"{value:.3g}"
    size = math.floor(math.log10(best)) if best > 0 else 0
    return f"{value:.{2 - size if size < -2 else min(3, max(0, 3 - size))}f}"


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return [
        (
            line[0].ljust(widths[0]) + "".join("  " + cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))
        ).rstrip()
        for line in lines
    ]


def version() -> str:
    """Of gatewright, as it is installed."""
    try:
        return metadata.version("gatewright")
    except metadata.PackageNotFoundError:  # run from its source
        return "not installed"


def versions() -> dict[str, str]:
    """What ran."""
    return {"gatewright": version(), "numpy": np.__version__, "python": platform.python_version()}


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything that the table is made of, and how it came about; NaN is null."""
    job, series = outcome.job, outcome.job.series
    labels, learned = series.labels(), outcome.committee
    report = {
        "target": series.name,
        "inputs": list(series.input_names),
        "rows": len(labels),
        "rows inserted": series.inserted,
        "missing": int(np.isnan(series.values).sum()),
        "trained on": {"rows": job.train, "from": labels[0], "to": labels[job.train - 1]},
        "settings": asdict(job.settings),
        "settings chosen by": job.script,
        "epochs used": learned.epoch,
        "interrupted": learned.interrupted,
        "seconds to train": round(outcome.seconds, 2),
        "season": outcome.season,
        "variance": job.variance,
        "interval": {"level": job.level, "from": "residuals of training rows that a member did not learn from"},
        "scores": {name: _by_period(outcome, scores) for name, scores in outcome.scores.items()},
        "coverage": {period.name: share.tolist() for period, share in zip(job.periods, outcome.coverage, strict=True)},
        "other seeds": _other_seeds(outcome),
        "versions": versions(),
    }
    return {key: plain(value) for key, value in report.items()}


def _by_period(outcome: Outcome, scores: Sequence[Score]) -> dict[str, Any]:
    """{period: {measure: a number a step ahead}}."""
    return {
        period.name: {name: array.tolist() for name, array in score._asdict().items()}
        for period, score in zip(outcome.job.periods, scores, strict=True)
    }


def _other_seeds(outcome: Outcome) -> dict[str, Any]:
    """{"seeds": …, period: {"arv": …, "mean": …, "standard deviation": …}}, the ARV one step ahead."""
    if not outcome.seeds:
        return {}
    told: dict[str, Any] = {"seeds": list(outcome.seeds)}
    for k, period in enumerate(outcome.job.periods):
        each = [float(scores[k].arv[0]) for scores in outcome.seeds.values()]
        spread = float(np.std(each, ddof=1)) if len(each) > 1 else math.nan
        told[period.name] = {"arv": each, "mean": float(np.mean(each)), "standard deviation": spread}
    return told


def plain(value: Any) -> Any:
    """The value with null for every number that is not finite: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
