"""The committee: blocks left out, the masked loss, gaps, stopping, and the choice of the epoch."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.errors import OptionError
from gatewright.forecasting import committee, windows
from gatewright.forecasting.committee import BLOCKS, Check, Member, Task
from gatewright.forecasting.settings import Settings
from gatewright.model import Model


def wave(rows=90, columns=1, gaps=()):
    t = np.arange(rows)
    values = np.column_stack([np.sin(2 * np.pi * (t + 2 * k) / 9) + 0.1 * np.cos(t * (k + 1.3)) for k in range(columns)])
    values[list(gaps), 0] = np.nan
    return values


def task(values, **settings):
    chosen = Settings(**({"hidden": 4, "window": 9, "ensemble": 2, "epochs": 10, "scale": "none"} | settings))
    units = windows.units(values, chosen.horizon)
    steps = np.concatenate([units[:1], units[chosen.horizon :]])
    gaps = np.isnan(values).any(axis=0)
    view = windows.View(chosen.window, steps, windows.trends(values), gaps, np.zeros(len(steps), bool))
    return Task((values,), units, view, chosen)


def train(values, watch=lambda *_: False, **settings):
    return committee.train(task(values, **settings), watch)


@given(st.integers(30, 400), st.integers(1, 12))
def test_blocks_cover_the_training_rows_without_overlap(rows, members):
    blocks = [committee._block(rows, number, members) for number in range(max(members, BLOCKS))]
    covered = [row for start, stop in blocks for row in range(start, stop)]
    assert sorted(covered) == list(range(1, rows))
    assert blocks[0][1] == rows  # the last block first


def test_what_is_left_out_or_missing_has_no_weight_and_is_judged_only_if_known():
    values = wave(60, columns=2, gaps=(20, 57))
    lesson = committee._lesson(values, task(values, horizon=3), 0)
    start, stop = committee._block(60, 0, 2)
    for t in range(60):
        for k, (column, step) in enumerate([(0, 1), (0, 2), (0, 3), (1, 1)]):
            when = t + step
            known = when < 60 and not np.isnan(values[when, column])
            assert lesson.weight[t, k] == (known and not start <= when < stop)
            if column == 0 and t in lesson.held:
                assert lesson.judged[lesson.held.tolist().index(t), k] == (known and start <= when < stop)
    assert 0 < lesson.weight.sum() < lesson.weight.size
    assert lesson.judged.any(axis=1).all()


def test_the_masked_loss_and_its_gradient():
    rng = np.random.default_rng(0)
    pred, value = rng.standard_normal((2, 2, 3, 4))
    weight = rng.integers(0, 3, (2, 3, 4)).astype(float)
    target = np.concatenate([value, weight], axis=-1)
    values, gradient = committee._masked_squares(pred, target)
    np.testing.assert_allclose(values, weight * (pred - value) ** 2)
    shifted = committee._masked_squares(pred + 1e-30j, target)[0]
    np.testing.assert_allclose(gradient, shifted.imag / 1e-30)


def test_the_weights_of_the_targets_have_mean_1():
    given_task = task(wave(60, gaps=(5, 6)))
    lesson = committee._lesson(given_task.series[0], given_task, 1)
    target = committee._targets([committee._Scene(np.zeros((68, 2)), np.zeros((60, 1)), lesson, np.zeros((60, 1)))], 9)
    assert target.shape == (len(lesson.ends), 9, 2)
    weight = target[..., 1]
    assert weight.mean() == pytest.approx(1, abs=1e-6)
    assert not weight[:, :3].any()  # the first third of a window only brings the state into swing
    assert lesson.ends[-1] == 58  # the last row that has a row after it


def test_a_seed_gives_the_same_committee_and_another_one_another():
    first, again, other = (train(wave(), seed=seed).models[1].parameters.flat for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_members_differ():
    a, b = train(wave()).models
    assert not np.allclose(a.parameters.flat, b.parameters.flat)


def test_the_epochs_asked_for_are_the_epochs_used():
    learned = train(wave(), epochs=13)
    assert learned.epoch == 13
    assert [len(losses) for losses in learned.losses] == [13, 13]
    assert [epoch for epoch, _ in learned.pooled] == [10, 13]


def member(scores):
    """A member with one parameter vector and one error of each size, after 10, 20, … epochs."""
    model = Model(Settings(hidden=1).network(2, 1), seed=0)
    size = model.parameters.flat.size
    checks = [
        Check(10 * (k + 1), np.ones((2, 1)), np.array([[s], [np.nan]]), np.full(size, k, np.float32))
        for k, s in enumerate(scores)
    ]
    return Member(model, [], checks)


def test_the_epoch_is_the_one_that_forecasts_all_blocks_best():
    learned = committee.together([member([3, 2, 1, 2]), member([4, 1, 3])], None)
    assert learned.epoch == 20  # 2² + 1² is less than 1² + 3²
    assert all((model.parameters.flat == 1).all() for model in learned.models)
    np.testing.assert_array_equal(learned.residuals, [[-2], [np.nan], [-1], [np.nan]])
    assert learned.pooled == [(10, 12.5), (20, 2.5), (30, 5.0)]
    assert committee.together([member([3, 2, 1, 2]), member([4, 1, 3])], 30).epoch == 30


def test_blocks_without_a_known_value_score_nothing():
    assert committee.mean_square(np.full((3, 1), np.nan)) == np.inf
    assert committee.mean_square(np.array([[3.0], [np.nan]])) == 9


@pytest.mark.parametrize(("stop", "members", "epochs"), [((1, 4), 1, 4), ((2, 5), 1, 10), ((3, 1), 2, 10)])
def test_stopped_it_keeps_the_members_that_are_finished_or_the_one_at_hand(stop, members, epochs):
    seen = []

    def watch(number, epoch, loss):
        seen.append((number, epoch))
        assert np.isfinite(loss)
        return (number, epoch) == stop

    learned = train(wave(), watch, ensemble=4)
    assert learned.interrupted
    assert len(learned.models) == members
    assert learned.epoch == epochs
    assert seen[-1] == stop


def test_gaps_are_filled_anew_while_it_learns(monkeypatch):
    sweeps = []
    original = windows.fill
    monkeypatch.setattr(windows, "fill", lambda *given: sweeps.append(1) or original(*given))
    learned = train(wave(gaps=(30, 31, 60)), epochs=8)
    assert len(sweeps) == 2 * committee.ROUNDS
    assert [len(losses) for losses in learned.losses] == [8, 8]
    assert all(np.isfinite(model.parameters.flat).all() for model in learned.models)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"cell": "gruu"}, "cell='gruu' is unknown; known: 'gru', 'lstm', 'rnn'"),
        ({"scale": "cube"}, "scale='cube' is unknown"),
        ({"window": 1}, "window: got 1, wanted a whole number of at least 2"),
        ({"hidden": 2.5}, "hidden: got 2.5"),
        ({"ensemble": True}, "ensemble: got True"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"seed": -1}, "seed: got -1, wanted a whole number of at least 0"),
        ({"learning_rate": 0}, "learning_rate: got 0, wanted a number above 0 and below 10"),
        ({"learning_rate": "x"}, "learning_rate: got 'x', wanted a number above 0 and below 10"),
        ({"learning_rate": float("nan")}, "learning_rate: got nan"),
    ],
)
def test_settings_that_can_not_be(option, said):
    with pytest.raises(OptionError, match=said):
        Settings(**option)


def test_settings_from_numpy_are_plain_numbers():
    chosen = Settings(hidden=np.int64(4), epochs=np.int32(3), seed=np.uint8(1), learning_rate=np.float32(0.5))
    assert json.dumps(dataclasses.asdict(chosen)) == json.dumps(
        dataclasses.asdict(Settings(hidden=4, epochs=3, seed=1, learning_rate=0.5))
    )


def test_names_for_tables():
    assert Settings().name == "GRU-8 × 5"
    assert Settings(cell="lstm", layers=2, hidden=16, ensemble=1).name == "LSTM-2×16"
