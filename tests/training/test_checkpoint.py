"""Training that is broken off goes on with the same bits; a checkpoint of something else is refused."""

import functools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import gatewright
from gatewright import files
from gatewright.errors import FormatError, OptionError
from gatewright.layers import GRU, LSTM, Dense, Dropout, Sequential
from gatewright.model import Model
from gatewright.training import checkpoint
from gatewright.training.callbacks import Callback, EarlyStopping
from gatewright.training.checkpoint import Checkpoint, ResumeWarning
from gatewright.training.metrics import Metric
from gatewright.training.optimizers import SGD, Adam, RMSprop
from gatewright.training.schedules import Clock, Cosine, ReduceOnPlateau, Warmup
from gatewright.training.trainer import Data, FitOptions, fit

X = np.random.default_rng(0).standard_normal((12, 6, 2)).astype(np.float32)
Y = np.cumsum(X[..., :1], axis=1).astype(np.float32)
NET = Sequential(LSTM(2, 4), Dropout(0.2), Dense(4, 1))


class Broken(BaseException):
    """What ends a training in the middle."""


class Breaker(Callback):
    """Counts the updates, and breaks off after some of them."""

    def __init__(self, after=None):
        self.after, self.count = after, 0

    def on_update_end(self, info):
        self.count += 1
        if self.count == self.after:
            raise Broken

    def on_epoch_end(self, info):
        pass


def train(folder, breaker=None, layer=NET, data=None, bits=np.random.PCG64, **options):
    """(parameters, history, generator's next number) of a training whose every run begins with other weights."""
    params = layer.init(np.random.default_rng(3)).astype(np.float32)
    callbacks = (breaker or Breaker(), *options.pop("callbacks", ()))
    rng = np.random.Generator(bits(5))
    options = {"epochs": 4, "batch_size": 4, "optimizer": Adam(0.02), "verbose": False, "rng": rng} | options
    history = fit(layer, params, data or Data(X, Y), FitOptions(checkpoint=folder, callbacks=callbacks, **options))
    return params.flat.copy(), history, rng.random()


def scaled(factor):
    def schedule(rate, clock):
        return rate * factor

    return schedule


def weighted(weight):
    def loss(pred, target):
        return weight[0] * (pred - target) ** 2, 2 * weight[0] * (pred - target)

    return loss


SETTINGS = {
    "plain": {},
    "everything": {
        "optimizer": RMSprop(0.01, centered=True, momentum=0.5), "schedule": ReduceOnPlateau(0.5, 0, "val_mae"),
        "metrics": ("mae",), "validation": Data(X[:5], Y[:5]), "accumulate": 2, "tbptt": (2, 3), "clip_value": 0.1,
    },
    "stateful": {"stateful": True, "shuffle": False, "layer": Sequential(GRU(2, 3), LSTM(3, 2), Dense(2, 1))},
    "by update": {"schedule": Cosine(12, per="update"), "optimizer": SGD(0.1, momentum=0.9)},
    "no update at the end": {
        "schedule": Cosine(12, per="update"), "shuffle": False, "data": Data(X, Y, sample_weight=1.0 * (np.arange(12) < 8)),
    },
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("every", [{"every_epochs": 1}, {"every_epochs": 3, "every_updates": 2}])
def test_a_broken_training_goes_on_with_the_same_bits(tmp_path, setting, every):
    options = SETTINGS[setting]
    whole = Breaker()
    flat, history, after = train(Checkpoint(tmp_path / "whole", **every), whole, **options)
    for updates in sorted({1, 2, 3, 4, 5, 7, 11, whole.count - 1}):
        folder = Checkpoint(tmp_path / f"broken {updates}", **every)
        with pytest.raises(Broken):
            train(folder, Breaker(updates), resume=True, **options)
        started, second = folder.path.exists(), Breaker()
        found = train(folder, second, resume=True, **options)
        assert np.array_equal(found[0], flat)
        assert found[1] == history
        assert found[2] == after
        assert second.count == whole.count if not started else second.count < whole.count
    assert started, "the last break came after a checkpoint"


def test_broken_twice_and_every_bit_generator(tmp_path):
    for bits in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64):
        flat, history, after = train(Checkpoint(tmp_path / f"whole {bits.__name__}"), bits=bits)
        folder = Checkpoint(tmp_path / bits.__name__, every_updates=1)
        for updates in (5, 4):
            with pytest.raises(Broken):
                train(folder, Breaker(updates), resume=True, bits=bits)
        found = train(folder, resume=True, bits=bits)
        assert np.array_equal(found[0], flat)
        assert (found[1], found[2]) == (history, after)


def test_early_stopping_remembers_across_a_break(tmp_path):
    class Turning(SGD):
        """Goes uphill after three epochs of three updates."""

        def step(self, p, g, slots, segment, count):
            super().step(p, -g if count > 9 else g, slots, segment, count)

    options = {"epochs": 12, "optimizer": Turning(0.1), "validation": Data(X, Y)}

    def stopping():
        return (EarlyStopping(patience=4),)

    flat, history, _ = train(tmp_path / "whole", callbacks=stopping(), **options)
    assert history.stopped == "val_loss was best in epoch 3 and has not improved in the 4 epochs since"
    assert len(history.epochs) == 7
    for updates in (1, 14, 20):
        folder = tmp_path / str(updates)
        with pytest.raises(Broken):
            train(folder, Breaker(updates), callbacks=stopping(), resume=True, **options)
        found = train(folder, callbacks=stopping(), resume=True, **options)
        assert np.array_equal(found[0], flat)
        assert found[1] == history


def test_a_finished_training_only_comes_back(tmp_path):
    flat, history, _ = train(tmp_path)
    again = Breaker()
    found = train(tmp_path, again, resume=True)
    assert again.count == 0
    assert np.array_equal(found[0], flat)
    assert found[1] == history


def test_more_epochs_may_be_asked_for(tmp_path):
    train(tmp_path / "short", epochs=2)
    longer = train(tmp_path / "short", epochs=4, resume=True)
    assert np.array_equal(longer[0], train(tmp_path / "long")[0])


def test_a_checkpoint_is_not_written_over(tmp_path):
    train(tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(OptionError, match=r"checkpoint.safetensors is there already: resume=True goes on from it"):
        train(tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"layer": Sequential(LSTM(2, 4), Dropout(0.3), Dense(4, 1))}, "network was .*0.2.* and is .*0.3"),
        ({"data": Data(X[:8], Y[:8])}, r"x was \(12, 6, 2\) float32 \(checksum [0-9a-f]{8}\), and is \(8, 6, 2\) float32"),
        ({"data": Data(X, -Y)}, r"y was \(12, 6, 1\) float32 \(checksum"),
        ({"data": Data(X, Y, sample_weight=np.ones(12))}, r"sample_weight was None, and is \(12,\) float64"),
        ({"validation": Data(X[:3], Y[:3])}, r"validation x was None, and is \(3, 6, 2\)"),
        ({"optimizer": Adam(0.03)}, r"optimizer was Adam\(learning_rate=0.02.* and is Adam\(learning_rate=0.03"),
        ({"batch_size": 6}, "batch_size was 4, and is 6"),
        ({"loss": "huber"}, "loss was mse, and is huber"),
        ({"shuffle": False}, "shuffle was True, and is False"),
        ({"clip_norm": 1.0}, "clip_norm was None, and is 1.0"),
        ({"clip_value": 1.0}, "clip_value was None, and is 1.0"),
        ({"accumulate": 2}, "accumulate was 1, and is 2"),
        ({"metrics": ("mae",)}, r"metrics was \(\), and is \('mae'\)"),
        ({"stateful": True, "shuffle": False}, "stateful was False, and is True"),
        ({"kernel": "numpy"}, "kernel was auto, and is numpy"),
        ({"tbptt": 3}, "tbptt was None, and is 3"),
        ({"schedule": Cosine(5)}, r"schedule was None, and is Cosine\(per='epoch', total=5"),
        ({"callbacks": (EarlyStopping(),)}, "callbacks was Breaker, and is Breaker, EarlyStopping"),
        ({"schedule": scaled(0.5)}, r"schedule was None, and is scaled.<locals>.schedule \(checksum [0-9a-f]{8}\)"),
        ({"bits": np.random.MT19937}, "rng was PCG64, and is MT19937"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, other, what):
    with pytest.raises(Broken):
        train(tmp_path, Breaker(5))
    with pytest.raises(OptionError, match=f"checkpoint.safetensors belongs to another training run: {what}"):
        train(tmp_path, resume=True, **other)


@pytest.mark.parametrize(
    ("option", "one", "other"),
    [
        ("callbacks", (EarlyStopping(patience=3),), (EarlyStopping(patience=4),)),
        ("callbacks", (EarlyStopping("loss"),), (EarlyStopping("learning_rate"),)),
        ("schedule", scaled(0.5), scaled(0.25)),
        ("metrics", (Metric("own", lambda p, y, w: 1.0),), (Metric("own", lambda p, y, w: 2.0),)),
        ("loss", weighted(np.linspace(0, 1, 6000)), weighted(np.linspace(0, 1, 6000) ** (1 + 1e-12))),
    ],
)
def test_a_changed_option_inside_of_another_is_refused(tmp_path, option, one, other):
    with pytest.raises(Broken):
        train(tmp_path, Breaker(5), **{option: one})
    with pytest.raises(OptionError, match=f"belongs to another training run: {option} was "):
        train(tmp_path, resume=True, **{option: other})
    train(tmp_path, resume=True, **{option: one})


def recursive(depth):
    def down(n):
        return depth if not n else down(n - 1)

    return down


def default(scale):
    def function(rate, clock, factor=scale, *, more=scale):
        return rate * factor * more

    return function


class Shown:
    """An object that tells what it is."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return f"Shown({self.value})"


LONG = np.arange(2000.0)


@pytest.mark.parametrize(
    ("make", "one", "other"),
    [
        (lambda v: v, LONG, np.where(LONG == 1000, 0, LONG)),
        (lambda v: v, np.ones(3), np.ones(3) + 1e-12),
        (lambda v: v, np.ones(3), np.ones(3, np.float32)),
        (lambda v: {"a": [v]}, np.ones(3), np.ones((3, 1))),
        (scaled, 0.5, 0.25),
        (scaled, LONG, LONG[::-1]),
        (default, 0.5, 0.25),
        (recursive, 3, 4),
        (lambda v: Warmup(3, then=scaled(v)), 1, 2),
        (lambda v: Adam(groups={"0.*": {"learning_rate": v}}), 0.1, 0.2),
        (lambda v: functools.partial(scaled, v), LONG, -LONG),
        (Shown, 1, 2),
    ],
)
def test_what_is_told_of_options(make, one, other):
    said = checkpoint.told(make(one))
    assert checkpoint.told(make(one)) == said
    assert checkpoint.told(make(other)) != said
    assert "0x" not in said
    assert "\n" not in said
    assert len(said) < 200


def test_what_is_told_of_a_function_is_its_code():
    def function(rate, clock):
        return rate if clock.epoch in {"a", "b", "c"} else [half * rate for half in (0.5,)]

    said = checkpoint.told(function)
    for _ in range(99):  # often enough for the interpreter to specialise it
        function(1.0, Clock(0, 0, {}))
    assert checkpoint.told(function) == said
    text = "def function(rate, clock):\n    return rate if clock.epoch in {'a', 'b', 'c'} else [half * rate for half in (%s,)]"
    found = set()
    for number in ("0.5", "0.25"):
        for seed in "12":  # sets have another order in every process
            program = f"from gatewright.training.checkpoint import told\n{text % number}\nprint(told(function))"
            environment = os.environ | {"PYTHONPATH": str(Path(gatewright.__file__).parent.parent), "PYTHONHASHSEED": seed}
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
            found.add((number, done.stdout))
    assert len(found) == 2
    assert len({said for _, said in found}) == 2


def test_dtype_and_frozen_names_are_part_of_the_training(tmp_path):
    params = NET.init(np.random.default_rng(0)).astype(np.float32)
    options = {"checkpoint": tmp_path, "verbose": False}
    fit(NET, params, Data(X, Y), FitOptions(**options))
    with pytest.raises(OptionError, match="dtype was float32, and is float64"):
        fit(NET, params.astype(float), Data(X, Y), FitOptions(resume=True, **options))
    params.set_trainable("0.b", False)
    with pytest.raises(OptionError, match=r"the frozen parameters was none, and is 0\.b"):
        fit(NET, params, Data(X, Y), FitOptions(resume=True, **options))


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "model"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, damage):
    path = tmp_path / "checkpoint.safetensors"
    if damage == "truncated":
        train(tmp_path)
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        save_file({"a": np.zeros(3)}, path)
    else:
        files.save(path, {"a": np.zeros(3)}, {"layer": None})
    before = path.read_bytes()
    with pytest.raises(FormatError, match=r"checkpoint\.safetensors"):
        train(tmp_path, resume=True)
    assert path.read_bytes() == before


def test_another_machine_warns(tmp_path, monkeypatch):
    train(tmp_path)
    monkeypatch.setattr(checkpoint, "_blas", lambda: {"blas": "slowblas 0.1", "threads": "7"})
    with pytest.warns(ResumeWarning) as told:
        train(tmp_path, resume=True)
    assert len(told) == 1
    assert "blas was " in str(told[0].message)
    assert "and is slowblas 0.1" in str(told[0].message)
    assert "threads was " in str(told[0].message)


def test_the_warning_points_at_the_call_of_fit(tmp_path, monkeypatch):
    Model(NET, seed=0).fit(X, Y, checkpoint=tmp_path, verbose=False)
    monkeypatch.setattr(checkpoint, "_blas", lambda: {"blas": "slowblas 0.1", "threads": "7"})
    with pytest.warns(ResumeWarning) as told:
        Model(NET, seed=0).fit(X, Y, checkpoint=tmp_path, resume=True, verbose=False)
    assert told[0].filename == __file__


def test_the_machine_is_described_without_threadpoolctl_too(monkeypatch):
    with_it = checkpoint.machine()
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    without = checkpoint.machine()
    assert set(with_it) == set(without) == {"numpy", "processor", "blas", "threads"}
    assert all(with_it.values())
    assert "OMP_NUM_THREADS=3" in without["threads"]


def test_a_folder_that_can_not_be_one(tmp_path):
    with pytest.raises(OptionError, match="checkpoint: got 3, wanted the name of a folder"):
        train(3)
    with pytest.raises(OptionError, match="every_updates: got 0"):
        Checkpoint(tmp_path, every_updates=0)


def test_a_folder_that_can_not_be_made_or_written(tmp_path):
    (tmp_path / "file").write_text("here already")
    before = sorted(tmp_path.iterdir())
    for folder, why in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "below", "Not a directory"),
                        (tmp_path / ("long" * 99), "File name too long")):  # fmt: skip
        breaker = Breaker()
        with pytest.raises(OptionError, match=f"checkpoint: {folder} can't be written to: {why}"):
            train(folder, breaker)
        assert breaker.count == 0
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="where /proc is, nobody can write to it")
def test_a_folder_that_is_there_but_takes_no_file():
    with pytest.raises(OptionError, match="checkpoint: /proc can't be written to: "):
        train("/proc")


def test_twenty_killed_trainings(tmp_path):
    """SIGKILL before the first checkpoint, at random updates, and at every stage of writing a checkpoint."""
    choose = random.Random(11)
    updates = [1, *sorted(choose.sample(range(2, 55), 7))]
    moments = [f"update:{n}" for n in updates]
    for kind in ("half", "written", "renamed"):
        moments += [f"{kind}:{n}" for n in [1, *sorted(choose.sample(range(2, 15), 3))]]
    assert len(moments) == 20
    source = str(Path(gatewright.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    program = Path(__file__).with_name("killed.py")
    command = [sys.executable, "-W", "error", program, tmp_path, *moments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for told in json.loads(done.stdout):
        assert told["signal"] == 9, told
        assert told["same"], told
        assert told["after"] == ["checkpoint.safetensors", "result"], told
        partial = told["moment"].split(":")[0] in ("half", "written")
        assert any(name.startswith(".checkpoint") for name in told["left"]) == partial, told
        if told["moment"] in ("update:1", "half:1", "written:1"):
            assert "checkpoint.safetensors" not in told["left"]
