"""What people do with scikit-learn's estimators works with sequences of unequal length, and without `decision_function`."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import RocCurveDisplay, log_loss, roc_auc_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import gatewright as gw

RNG = np.random.default_rng(0)
PACES = np.array([0.3, 1.5] * 20)
ROWS = [np.sin(pace * np.arange(RNG.integers(9, 15)) + RNG.uniform(0, 6))[:, None] for pace in PACES]
LABELS = np.where(PACES == 0.3, "slow", "fast")
TABLE = np.array([row[:9, 0] for row in ROWS])


def small(kind="SequenceClassifier", **options):
    return getattr(gw, kind)(**{"hidden_size": 6, "epochs": 15, "random_state": 0, "kernel": "numpy"} | options)


def as_objects(rows):
    x = np.empty(len(rows), object)
    x[:] = rows
    return x


@pytest.mark.parametrize("rows", [ROWS, as_objects(ROWS)], ids=["list", "objects"])
def test_scorers_of_every_kind(rows):
    scores = cross_validate(small(), rows, LABELS, cv=2, scoring=["roc_auc", "neg_log_loss", "f1_macro"])
    assert scores["test_roc_auc"].mean() > 0.8
    assert all(np.isfinite(part).all() for part in scores.values())


def test_many_classes_have_an_area_too():
    labels = np.where(np.arange(40) % 3 == 0, "other", LABELS)
    scores = cross_validate(small(), ROWS, labels, cv=2, scoring=["roc_auc_ovr", "roc_auc_ovo_weighted"])
    assert np.isfinite(scores["test_roc_auc_ovr"]).all()


def test_searches_over_pipelines_with_weights():
    pipeline = make_pipeline(FunctionTransformer(lambda rows: [row[2:] for row in rows]), small())
    grid = {"sequenceclassifier__pooling": ["max", "last"], "sequenceclassifier__learning_rate": [1e-6, 0.02]}
    weight = {"sequenceclassifier__sample_weight": np.ones(40)}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="roc_auc").fit(ROWS, LABELS, **weight)
    assert search.best_params_["sequenceclassifier__learning_rate"] == 0.02
    assert roc_auc_score(LABELS == "slow", search.predict_proba(ROWS)[:, 1]) > 0.9
    drawn = RandomizedSearchCV(small(), {"hidden_size": [2, 6]}, n_iter=2, cv=2, random_state=0).fit(ROWS, LABELS)
    assert set(drawn.cv_results_["param_hidden_size"]) == {2, 6}


def test_regressors_of_unequal_lengths():
    pipeline = make_pipeline(FunctionTransformer(lambda rows: [10 * row for row in rows]), small("SequenceRegressor"))
    search = GridSearchCV(
        pipeline, {"sequenceregressor__learning_rate": [1e-6, 0.02]}, cv=KFold(2, shuffle=True, random_state=0)
    )
    assert search.fit(ROWS, PACES).best_params_["sequenceregressor__learning_rate"] == 0.02
    assert search.best_score_ > 0.5


def test_predictions_of_folds_and_curves():
    proba = cross_val_predict(small(), ROWS, LABELS, cv=2, method="predict_proba")
    assert log_loss(LABELS, proba) < np.log(2)
    sizes, train, test = learning_curve(
        small(epochs=2), ROWS, LABELS, cv=2, train_sizes=[0.5, 1.0], shuffle=True, random_state=0
    )
    assert (sizes.tolist(), train.shape, test.shape) == ([10, 20], (2, 2), (2, 2))
    assert RocCurveDisplay.from_estimator(small().fit(ROWS, LABELS), ROWS, LABELS, pos_label="slow").roc_auc > 0.8


@pytest.mark.parametrize(
    "meta",
    [
        lambda base: CalibratedClassifierCV(base, cv=2),
        lambda base: FixedThresholdClassifier(base, threshold=0.5, pos_label="slow"),
        lambda base: VotingClassifier([("ours", base), ("theirs", LogisticRegression())], voting="soft"),
        lambda base: StackingClassifier([("ours", base)], cv=2),
        lambda base: BaggingClassifier(base, n_estimators=2, random_state=0),
        lambda base: make_pipeline(StandardScaler(), base),
    ],
    ids=["calibrated", "threshold", "voting", "stacking", "bagging", "pipeline"],
)
def test_estimators_of_estimators(meta):
    assert meta(small(hidden_size=8, epochs=25)).fit(TABLE, LABELS).score(TABLE, LABELS) > 0.7
