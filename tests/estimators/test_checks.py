"""scikit-learn's own checks of estimators, all of them."""

import os
import subprocess
import sys

import pytest
import sklearn
from sklearn.utils.estimator_checks import check_estimator

import gatewright as gw

# It runs only where SCIPY_ARRAY_API is in the environment before scipy is imported: in a process of its own, below.
NEEDS_A_VARIABLE = {"check_array_api_input"}
COUNTS = {"SequenceClassifier": 63, "SequenceRegressor": 60}  # how many there are in scikit-learn 1.9, that one included


def outcomes(estimator, expected=None):
    """The checks by their outcome: "passed", "failed", "skipped", "xfail"."""
    found = {}
    for result in check_estimator(estimator, expected_failed_checks=expected, on_skip=None, on_fail=None):
        found.setdefault(result["status"], []).append((result["check_name"], str(result["exception"])))
    return found


# In whole batches and float64 a weight of 2 is the same row twice, to the last digits that the check reads.
WHOLE = {"batch_size": 256, "dtype": "float64", "hidden_size": 16, "learning_rate": 0.03, "bidirectional": False}
# Small batches see a row that is there twice in two batches, and one that weighs 2 in one: a weight is no repetition.
SMALL = {"hidden_size": 16, "learning_rate": 0.02}
BATCHES = {"check_sample_weight_equivalence_on_dense_data": "batches of few rows depend on which rows come together"}


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("SequenceClassifier", {**WHOLE, "epochs": 20}, {}),
        ("SequenceClassifier", {**SMALL, "epochs": 8}, BATCHES),
        ("SequenceRegressor", {**WHOLE, "epochs": 100}, {}),
        ("SequenceRegressor", {**SMALL, "epochs": 15}, BATCHES),
    ],
    ids=["classifier, whole batches", "classifier, small batches", "regressor, whole batches", "regressor, small batches"],
)
@pytest.mark.filterwarnings("ignore")  # the checks hand over what warns on purpose
def test_scikit_learn_checks_pass(kind, options, expected):
    found = outcomes(getattr(gw, kind)(**options, random_state=0), expected)
    assert "failed" not in found, found["failed"]
    assert {name for name, _ in found.get("skipped", [])} == NEEDS_A_VARIABLE
    assert {name for name, _ in found.get("xfail", [])} == set(expected)
    ran = sum(map(len, found.values()))
    assert ran == COUNTS[kind] if sklearn.__version__.startswith("1.9.") else ran >= COUNTS[kind]
    assert len(found["passed"]) == ran - len(NEEDS_A_VARIABLE) - len(expected)
    print(f"{kind}: {len(found['passed'])} checks passed")


@pytest.mark.parametrize("kind", ["SequenceClassifier", "SequenceRegressor"])
def test_the_check_that_needs_a_variable_passes(kind):
    source = (
        "import gatewright as gw\nfrom sklearn.utils.estimator_checks import check_array_api_input\n"
        f"check_array_api_input({kind!r}, gw.{kind}(hidden_size=2, epochs=2, random_state=0), array_namespace='numpy', "
        "expect_only_array_outputs=False)\nprint('passed')"
    )
    run = subprocess.run(
        [sys.executable, "-c", source], env={**os.environ, "SCIPY_ARRAY_API": "1"}, capture_output=True, text=True
    )
    assert run.stdout == "passed\n", run.stderr
