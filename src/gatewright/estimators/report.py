"""What came of a classification, as text to read and as JSON to keep; the measures are scikit-learn's."""

import math
import platform
from collections import Counter
from typing import Any

import numpy as np
import sklearn
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix

from gatewright.arrays import Array
from gatewright.estimators.job import Judged, Outcome
from gatewright.forecasting.report import version

WIDEST = 120  # characters of a confusion matrix as text


def accuracy(judged: Judged) -> float:
    """The share of right predictions, from 0 to 1."""
    assert judged.true is not None
    return float(accuracy_score(judged.true, judged.predicted))


def verdict(judged: Judged) -> str:
    """One line: how many predictions are right, and how many the most frequent label would have been."""
    assert judged.true is not None
    count, (_, most) = len(judged.true), Counter(judged.true).most_common(1)[0]
    right = sum(a == b for a, b in zip(judged.true, judged.predicted, strict=True))
    return f"accuracy {right / count:.4f} ({right} of {count}); the most frequent class alone: {most / count:.4f}"


def table(judged: Judged) -> str:
    """Precision, recall, F1 and support a class; a dash where a class was never predicted, or never there."""
    told: str = classification_report(
        judged.true, judged.predicted, labels=judged.classes, target_names=judged.classes, digits=3, zero_division=np.nan
    )
    width = max(map(len, (*judged.classes, "weighted avg")))  # a class may be called nan
    return "\n".join(line[:width] + line[width:].replace("  nan", "    –") for line in told.rstrip().split("\n"))


def counts(judged: Judged) -> Array:
    """(C, C): how often each class, a row, was taken for each."""
    found: Array = confusion_matrix(judged.true, judged.predicted, labels=judged.classes)
    return found


def matrix(judged: Judged) -> str:
    """The confusion matrix as text; without numbers where it is too wide to be read."""
    found = counts(judged)
    width = max(len(str(found.max())), *map(len, judged.classes)) + 2
    if width * (1 + len(judged.classes)) > WIDEST:
        return f"The confusion matrix of {len(judged.classes)} classes is in report.json."
    lines = [" " * width + "".join(name.rjust(width) for name in judged.classes)]
    for name, row in zip(judged.classes, found, strict=True):
        lines.append(name.rjust(width) + "".join((str(n) if n else "·").rjust(width) for n in row))
    return "\n".join(["A row a class, a column what it was taken for:", *lines])


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything that the text is made of, and how it came about; NaN is null."""
    job, judged = outcome.job, outcome.judged
    classifier, train, test = job.classifier, job.train, job.test
    told = classification_report(
        judged.true,
        judged.predicted,
        labels=judged.classes,
        target_names=judged.classes,
        zero_division=np.nan,
        output_dict=True,
    )
    by_class = {name: told[name] for name in (*judged.classes, "macro avg", "weighted avg")}
    return {
        "trained on": {"file": train.path.name, **_about(train.labels)},
        "tested on": {"file": test.path.name, **_about(test.labels)},
        "features": train.values[0].shape[1] if train.names is None else list(train.names),
        "accuracy": accuracy(judged),
        "by class": {name: {key: _plain(value) for key, value in row.items()} for name, row in by_class.items()},
        "confusion matrix": {"classes": list(judged.classes), "counts": counts(judged).tolist()},
        "options": {name: _plain(value) for name, value in sorted(classifier.get_params().items())},
        "epochs": classifier.n_iter_,
        "interrupted": outcome.interrupted,
        "seconds to train": round(outcome.seconds, 2),
        "history": {key: list(map(_plain, values)) for key, values in outcome.history.history.items()},
        "validation scores": classifier.validation_scores_,
        "versions": {
            "gatewright": version(), "scikit-learn": sklearn.__version__, "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }  # fmt: skip


def _about(labels: tuple[str, ...] | None) -> dict[str, Any]:
    return {"sequences": len(labels or ()), "by class": dict(sorted(Counter(labels or ()).items()))}


def _plain(value: Any) -> Any:
    """A value as JSON has it: Python's own, and null for what is not finite."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
