"""What a watch is told while an estimator learns, and that it can stop the training."""

from itertools import pairwise

import numpy as np
import pytest

import gatewright as gw

RNG = np.random.default_rng(0)
ROWS = [RNG.normal(size=(RNG.integers(3, 9), 2)) for _ in range(25)]
LABELS = np.array(list("abcab") * 5)


def test_every_update_and_epoch_is_told():
    told = []
    model = gw.SequenceClassifier(hidden_size=2, epochs=3, batch_size=10, random_state=0)
    model._fit(ROWS, LABELS, None, lambda stage: told.append((stage, len(stage.history.epochs))))
    stages = [stage for stage, _ in told]
    assert [stage.sequences for stage in stages[:5]] == [10, 20, 25, 25, 35]
    assert [stage.epoch for stage in stages] == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert [epochs for _, epochs in told] == [stage.epoch for stage in stages]
    np.testing.assert_allclose([stage.share for stage in stages], [stage.sequences / 75 for stage in stages])
    assert stages[-1].share == 1
    assert {stage.epochs for stage in stages} == {3}
    assert all(a.seconds <= b.seconds for a, b in pairwise(stages))
    assert stages[-1].history["loss"] == model.loss_curve_
    assert {stage.score for stage in stages} == {None}


def test_scores_are_told_and_a_stop_keeps_the_best():
    told = []

    def watch(stage):
        told.append(stage)
        return stage.epoch == 4

    model = gw.SequenceClassifier(
        hidden_size=4, epochs=50, learning_rate=0.5, schedule="constant", early_stopping=True, validation_fraction=0.4,
        patience=50, random_state=0,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        model._fit(ROWS, LABELS, None, watch)
    assert model.n_iter_ == 4
    assert [stage.score for stage in told if stage.epoch][-1] == model.validation_scores_[-1]
    best = int(np.argmin(told[-1].history["val_loss"])) + 1
    shorter = gw.SequenceClassifier(**(model.get_params() | {"epochs": best})).fit(ROWS, LABELS)
    np.testing.assert_array_equal(model.predict_proba(ROWS), shorter.predict_proba(ROWS))
