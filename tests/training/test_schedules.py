"""Schedules against PyTorch's traces, their units, and what is refused."""

import goldens
import numpy as np
import pytest

from gatewright.errors import OptionError
from gatewright.training import schedules
from gatewright.training.schedules import Clock, Cosine, ReduceOnPlateau, StepDecay, Warmup

GOLDEN = {case: found for case, found in goldens.load("torch_training").items() if found[0]["what"] == "schedule"}


@pytest.mark.parametrize("case", GOLDEN)
def test_a_trace_of_twenty_epochs_is_pytorchs(case):
    about, arrays = GOLDEN[case]
    options = dict(about["options"])
    if about["schedule"] == "Warmup":
        options["per"] = "epoch"
    if "then" in options:
        options["then"] = Cosine(**options["then"])
    schedule = getattr(schedules, about["schedule"])(**options)
    for epoch, wanted in enumerate(arrays["rates"]):
        clock = Clock(0, epoch, {"loss": arrays["monitored"][:epoch].tolist()})
        np.testing.assert_allclose([schedule(rate, clock) for rate in (0.1, 0.03)], wanted, rtol=0, atol=1e-10)
    assert len(np.unique(arrays["rates"][:, 0])) > 2


def test_a_schedule_counts_in_its_own_unit():
    clock = Clock(update=10, epoch=2, history={})
    assert StepDecay(2, 0.5)(1.0, clock) == 0.5
    assert StepDecay(2, 0.5, per="update")(1.0, clock) == 0.5**5
    assert Warmup(20, start=0.0)(1.0, clock) == 0.5
    assert Warmup(20, start=0.0, per="epoch")(1.0, clock) == 0.1


def test_what_follows_a_warm_up_begins_where_it_ends():
    schedule = Warmup(5, then=Cosine(10, per="update"), start=0.2)
    assert schedule(1.0, Clock(5, 0, {})) == 1.0
    assert schedule(1.0, Clock(10, 0, {})) == pytest.approx(0.5)
    assert schedule(1.0, Clock(15, 0, {})) == pytest.approx(0.0)
    own = Warmup(5, then=lambda rate, clock: rate * clock.update)
    assert own(1.0, Clock(8, 0, {})) == 3.0


def test_cosine_stays_at_its_minimum():
    assert Cosine(4, 0.1)(1.0, Clock(0, 9, {})) == pytest.approx(0.1)


def test_reduce_on_plateau_reads_val_loss_where_there_is_one():
    history = {"loss": [3.0, 2.0, 1.0, 0.5], "val_loss": [1.0, 1.0, 1.0, 1.0]}
    assert ReduceOnPlateau(0.5, 1)(1.0, Clock(0, 4, history)) == 0.5
    assert ReduceOnPlateau(0.5, 1, monitor="loss")(1.0, Clock(0, 4, history)) == 1.0


def test_reduce_on_plateau_knows_that_accuracy_rises():
    history = {"val_accuracy": [0.1, 0.2, 0.3, 0.4, 0.5]}
    assert ReduceOnPlateau(0.5, 1, "val_accuracy")(1.0, Clock(0, 5, history)) == 1.0
    assert ReduceOnPlateau(0.5, 1, "val_accuracy", mode="min")(1.0, Clock(0, 5, history)) == 0.25


def test_reduce_on_plateau_only_lowers():
    """As PyTorch: a rate below the minimum stays, as does one whose change would be 1e-8 or less."""
    clock = Clock(0, 3, {"loss": [1.0, 1.0, 1.0]})
    reduce = ReduceOnPlateau(0.5, 0, minimum=0.01)
    assert [reduce(rate, clock) for rate in (0.1, 0.015, 0.01, 0.001, 0.0)] == [0.025, 0.01, 0.01, 0.001, 0.0]
    assert [ReduceOnPlateau(0.5, 0)(rate, clock) for rate in (2e-8, 3e-8)] == [2e-8, 1.5e-8]


@pytest.mark.parametrize("threshold", [1e-4, 0.3, 1.0, 1.5])
def test_an_improvement_is_pytorchs_to_the_last_digit(threshold):
    for best in np.random.default_rng(0).random(200):
        for mode, limit in (("min", best * (1 - threshold)), ("max", best * (threshold + 1))):
            for value in (np.nextafter(limit, -1), limit, np.nextafter(limit, 9)):
                better = value < limit if mode == "min" else value > limit
                schedule = ReduceOnPlateau(0.5, 0, mode=mode, threshold=threshold)
                assert schedule(1.0, Clock(0, 2, {"loss": [best, value]})) == (1.0 if better else 0.5)


def test_what_is_not_finite_is_no_improvement():
    reduce = ReduceOnPlateau(0.5, 0, "recorded")
    for values, rate in (([np.nan, 2.0, 1.0], 0.5), ([np.inf, 2.0, 1.0], 0.5), ([2.0, np.nan, 1.0], 0.5), ([-np.inf] * 2, 0.5)):
        assert reduce(1.0, Clock(0, 3, {"recorded": values})) == rate, values


def test_a_negative_loss_that_stands_still_does_not_improve():
    """Unlike PyTorch, whose limit best (1 - threshold) lies above a negative best."""
    assert ReduceOnPlateau(0.5, 1)(1.0, Clock(0, 3, {"loss": [-1.0] * 3})) == 0.5
    assert ReduceOnPlateau(0.5, 1, mode="max")(1.0, Clock(0, 3, {"loss": [-1.0] * 3})) == 0.5
    assert ReduceOnPlateau(0.5, 0, threshold=0.1)(1.0, Clock(0, 2, {"loss": [-1.0, -1.09]})) == 0.5
    assert ReduceOnPlateau(0.5, 0, threshold=0.1)(1.0, Clock(0, 2, {"loss": [-1.0, -1.11]})) == 1.0


def test_a_negative_loss_improves_by_falling():
    history = {"loss": [-1.0, -2.0, -3.0, -4.0]}
    assert ReduceOnPlateau(0.5, 0)(1.0, Clock(0, 4, history)) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0), "StepDecay: every: got 0"),
        (lambda: StepDecay(2, factor=0), "StepDecay: factor: got 0"),
        (lambda: StepDecay(2, per="batch"), "known: 'epoch', 'update'"),
        (lambda: Cosine(2.5), "Cosine: total: got 2.5"),
        (lambda: Warmup(3, then=5), "Warmup: then: got 5, wanted a schedule"),
        (lambda: ReduceOnPlateau(per="update"), "wanted per='epoch'"),
        (lambda: ReduceOnPlateau(mode="down"), "known: 'auto', 'min', 'max'"),
        (lambda: ReduceOnPlateau(monitor="lss")(1.0, Clock(0, 1, {"loss": [1.0]})), "monitor='lss' is unknown; known: 'loss'"),
        (lambda: schedules.check("cosine"), "wanted a schedule"),
        (lambda: schedules.check(Cosine), "wanted a schedule"),
    ],
)
def test_impossible_options(make, message):
    with pytest.raises(OptionError, match=message):
        make()
