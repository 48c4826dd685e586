"""Whole trainings against PyTorch, in float64: 20 updates of a recurrent layer and a linear one, and of every schedule."""

import goldens
import numpy as np
import pytest

from gatewright.layers import GRU, LSTM, RNN, Dense, Sequential
from gatewright.parameters import Parameters
from gatewright.training import schedules
from gatewright.training.callbacks import Callback
from gatewright.training.metrics import Metric
from gatewright.training.optimizers import SGD, Adam
from gatewright.training.trainer import Data, FitOptions, fit

GOLDEN = {case: found for case, found in goldens.load("torch_training").items() if found[0]["what"] == "training"}
SCHEDULES = {case: found for case, found in goldens.load("torch_training").items() if found[0]["what"] == "schedule"}
CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def parameters(about, arrays, prefix):
    """The recorded weights under our names; bn, the GRU's second bias of n, is frozen as bias_hh was."""
    found = {}
    for k in range(about["layers"]):
        scope = "0." if about["layers"] == 1 else f"0.layer{k}."
        weights = goldens.from_torch(about["kind"], {n.removeprefix(prefix): a for n, a in arrays.items()}, k, 0)
        found |= {scope + name: a for name, a in weights.items()}
    return found | {"1.W": arrays[f"{prefix}weight"].T, "1.b": arrays[f"{prefix}bias"]}


@pytest.mark.parametrize("case", GOLDEN)
def test_twenty_updates_are_pytorchs(case):
    about, arrays = GOLDEN[case]
    before, after = (parameters(about, arrays, prefix) for prefix in ("before.", "after."))
    F, H = arrays["x"].shape[2], before["1.W"].shape[0]
    layer = Sequential(CELLS[about["kind"]](F, H, num_layers=about["layers"]), Dense(H, 3))
    names = layer.init(np.random.default_rng(0))
    params = Parameters.of({name: before[name] for name in names}, [name for name in names if name.endswith(".bn")])
    clip = {f"clip_{kind}": limit for kind, limit in about["clip"].items()}
    options = FitOptions(about["loss"], Adam(0.02), epochs=20, batch_size=4, verbose=False, shuffle=False, **clip)
    history = fit(layer, params, Data(arrays["x"], arrays["y"]), options)
    np.testing.assert_allclose(history.loss, arrays["values"], rtol=0, atol=1e-10)
    for name in names:
        np.testing.assert_allclose(params[name], after[name], rtol=0, atol=1e-10, err_msg=name)
    assert max(arrays["norms"]) > about["clip"].get("norm", 0), "nothing was clipped"
    assert all(not np.array_equal(before[name], after[name]) for name in names if not name.endswith(".bn"))


class Watch(Callback):
    """Notes W and b before the first update and after each."""

    def __init__(self):
        self.seen = []

    def on_fit_begin(self, info):
        self.seen.append(info.params.flat.copy())

    on_update_end = on_fit_begin

    def on_epoch_end(self, info):
        pass


@pytest.mark.parametrize("case", SCHEDULES)
def test_the_rates_of_twenty_updates_are_pytorchs(case):
    """Every gradient is 1, so that each SGD step is its learning rate; two base rates, as two parameter groups have."""
    about, arrays = SCHEDULES[case]
    options, plateau = dict(about["options"]), about["schedule"] == "ReduceOnPlateau"
    if "then" in options:
        options["then"] = schedules.Cosine(**options["then"], per="update")
    own = {"monitor": "recorded"} if plateau else {"per": "update"}
    schedule = getattr(schedules, about["schedule"])(**options, **own)
    recorded, watch = iter(arrays["monitored"]), Watch()
    updates = 1 if plateau else 10  # of an epoch
    fit(
        Sequential(Dense(1, 1)), Parameters({"0.W": (1, 1), "0.b": (1,)}), Data(np.ones((updates, 1)), np.ones((updates, 1))),
        FitOptions(
            lambda pred, target: (pred, np.ones_like(pred)), SGD(0.1, groups={"*.b": {"learning_rate": 0.03}}),
            epochs=20 // updates, batch_size=1, verbose=False, callbacks=(watch,), schedule=schedule,
            metrics=(Metric("recorded", lambda pred, target, weight: next(recorded)),) if plateau else (),
        ),
    )  # fmt: skip
    np.testing.assert_allclose(-np.diff(watch.seen, axis=0), arrays["rates"], rtol=0, atol=1e-10)
