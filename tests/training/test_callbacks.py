"""Callbacks and the History; early stopping with the best weights; the logs."""

import copy
import csv
import json
import pickle

import numpy as np
import pytest

from gatewright.errors import OptionError
from gatewright.layers import LSTM, Dense, Sequential
from gatewright.parameters import Parameters
from gatewright.training.callbacks import Callback, CSVLogger, EarlyStopping, History, Info, JSONLogger
from gatewright.training.metrics import Metric
from gatewright.training.optimizers import SGD
from gatewright.training.trainer import Data, FitOptions, fit

NET = Sequential(LSTM(2, 3), Dense(3, 1))
X = np.random.default_rng(0).standard_normal((6, 5, 2))
DATA = Data(X, X[..., :1])


def train(*callbacks, epochs=4, **options):
    params = NET.init(np.random.default_rng(1))
    options = {"optimizer": SGD(0.1), "verbose": False, "shuffle": False, "validation": DATA} | options
    history = fit(NET, params, DATA, FitOptions(epochs=epochs, callbacks=callbacks, **options))
    return params, history


class Turning(SGD):
    """Goes uphill from the third update on."""

    def step(self, p, g, slots, segment, count):
        super().step(p, -g if count > 2 else g, slots, segment, count)


def told(stopping, values, key="val_loss"):
    """The epoch in which a callback ends a training with these values, and the weights that it leaves; weights = epoch."""
    params = Parameters({"w": (1,)})
    info = Info(params, History({"loss": [], key: []}), len(values))
    stopping.on_fit_begin(info)
    for value in values:
        info.epoch += 1
        info.history.history["loss"].append(0.0)
        info.history.history[key].append(value)
        params.assign({"w": np.array([float(info.epoch)])})
        stopping.on_epoch_end(info)
        if info.history.stopped:
            break
    stopping.on_fit_end(info)
    return info.epoch, params["w"][0]


def test_the_hooks_come_in_order():
    calls = []

    class Spy(Callback):
        def on_fit_begin(self, info):
            calls.append(("begin", info.epoch, info.update))

        def on_update_end(self, info):
            calls.append(("update", info.epoch, info.update))

        def on_epoch_end(self, info):
            calls.append(("epoch", info.epoch, sorted(info.logs)))

        def on_fit_end(self, info):
            calls.append(("end", info.epoch, info.epochs))

    train(Spy(), epochs=2, batch_size=3)
    logs = ["learning_rate", "loss", "val_loss"]
    assert calls == [
        ("begin", 0, 0), ("update", 0, 1), ("update", 0, 2), ("epoch", 1, logs),
        ("update", 1, 3), ("update", 1, 4), ("epoch", 2, logs), ("end", 2, 2),
    ]  # fmt: skip


def test_a_function_sees_each_epoch_and_may_stop():
    seen = []

    def watch(info):
        seen.append(info.logs["val_loss"])
        if info.epoch == 3:
            info.stop("enough")

    _, history = train(watch, epochs=9)
    assert seen == history.val_loss
    assert len(seen) == 3
    assert history.stopped == "enough"


@pytest.mark.parametrize(
    ("stopping", "values", "ended", "best"),
    [
        (EarlyStopping(patience=2), [5, 4, 6, 4.5, 1], 4, 2),
        (EarlyStopping(patience=2), [5, 4, 6, 3, 7], 5, 4),
        (EarlyStopping(patience=2, min_delta=0.5), [5, 4.7, 4.6, 4.4, 4], 3, 1),
        (EarlyStopping(patience=3, restore_best_weights=False), [5, 6, 7, 8, 9], 4, 4),
        (EarlyStopping(patience=9), [5, 3, 4], 3, 2),
        (EarlyStopping("val_accuracy", patience=2), [0.5, 0.6, 0.4, 0.5, 0.9], 4, 2),
        (EarlyStopping("val_accuracy", patience=1, mode="min"), [0.5, 0.6, 0.4], 2, 1),
        (EarlyStopping("val_r2", patience=2, mode="max"), [0.1, 0.4, 0.2, 0.3], 4, 2),
    ],
)
def test_early_stopping(stopping, values, ended, best):
    key = stopping.monitor or "val_loss"
    assert told(stopping, values, key) == (ended, best)
    assert told(stopping, values, key) == (ended, best), "it remembers the training before"


def test_early_stopping_brings_the_best_weights_back():
    kept = []
    params, history = train(
        lambda info: kept.append(info.params.flat.copy()), EarlyStopping(patience=2), epochs=9, optimizer=Turning(0.1)
    )
    assert history.best_epoch == 2
    assert len(history.epochs) == 4
    assert np.array_equal(params.flat, kept[1])
    assert history.stopped == "val_loss was best in epoch 2 and has not improved in the 2 epochs since"


def test_early_stopping_watches_the_loss_without_validation():
    _, history = train(EarlyStopping(patience=1), epochs=9, optimizer=SGD(0.0), validation=None)
    assert history.stopped == "loss was best in epoch 1 and has not improved in the 1 epoch since"


@pytest.mark.parametrize("kind", [CSVLogger, JSONLogger])
def test_the_logs_hold_the_whole_history(tmp_path, kind):
    path = tmp_path / "log"
    _, history = train(kind(path), metrics=("mae", Metric("strange", lambda p, y, w: np.inf)))
    if kind is CSVLogger:
        head, *lines = csv.reader(path.read_text().splitlines())
        columns = {key: [float(line[k]) for line in lines] for k, key in enumerate(head)}
    else:
        columns = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert columns["strange"] == [None] * 4
        columns |= {key: [np.inf] * 4 for key in ("strange", "val_strange")}
    assert columns == {"epoch": [1, 2, 3, 4], **history.history}
    assert [p.name for p in tmp_path.iterdir()] == ["log"]


def test_history():
    _, history = train(metrics=("mae",))
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae", "learning_rate"]
    assert history.val_mae == history.history["val_mae"]
    assert history.best_epoch == 4
    assert history.epochs == [1, 2, 3, 4]
    assert repr(history) == f"History(4 epochs, best val_loss {history.val_loss[3]:.6g} in epoch 4)"
    assert copy.deepcopy(history) == pickle.loads(pickle.dumps(history)) == history
    with pytest.raises(AttributeError, match="History has no 'accuracy'; it has: loss, mae, val_loss"):
        _ = history.accuracy
    assert repr(train(epochs=1)[1]).startswith("History(1 epoch, best val_loss ")
    assert repr(History()) == "History(no epoch finished)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(patience=0), "EarlyStopping: patience: got 0"),
        (lambda: EarlyStopping(min_delta=-1), "EarlyStopping: min_delta: got -1"),
        (
            lambda: EarlyStopping(restore_best_weights="no"),
            "EarlyStopping: restore_best_weights: got 'no', wanted True or False",
        ),
        (lambda: EarlyStopping(mode="up"), "known: 'auto', 'min', 'max'"),
        (lambda: train(EarlyStopping("val_mae")), "monitor='val_mae' is unknown; known: 'loss', 'val_loss', 'learning_rate'"),
        (lambda: train(EarlyStopping), "callbacks: got <class"),
        (lambda: CSVLogger(None), "path: got None, wanted the name of a file"),
        (lambda: JSONLogger(3), "path: got 3, wanted the name of a file"),
    ],
)
def test_impossible_options(make, message):
    with pytest.raises(OptionError, match=message):
        make()
