"""Runs trainings that are killed by SIGKILL, resumes them, and compares every byte with an unbroken one.

usage: python killed.py FOLDER MOMENT...        MOMENT is one of
    update:N    after the N-th update of the process
    half:N      when half of the N-th checkpoint has been written
    written:N   when the N-th checkpoint is written, but not yet under its name
    renamed:N   when it has its name, before the folder is synced

Each run is a process of its own, forked after the imports. Prints, as JSON, what became of each moment.
"""

import json
import os
import signal
import stat
import sys
from pathlib import Path

import numpy as np

from gatewright.layers import LSTM, Dense, Dropout, Sequential
from gatewright.training.callbacks import Callback, EarlyStopping
from gatewright.training.checkpoint import Checkpoint
from gatewright.training.optimizers import Adam
from gatewright.training.schedules import ReduceOnPlateau, Warmup
from gatewright.training.trainer import Data, FitOptions, fit


def die():
    """Not even a `finally` runs after this."""
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(Callback):
    """Dies after an update."""

    def __init__(self, number):
        self.left = number

    def on_update_end(self, info):
        self.left -= 1
        if not self.left:
            die()

    def on_epoch_end(self, info):
        pass


def arm(kind, number):
    """Puts the moment of death into the system calls that write a checkpoint; returns the updates to die after."""
    fsync, replace = os.fsync, os.replace
    count = {"file": 0, "folder": 0, "replace": 0}

    def dying_fsync(handle):
        what = "file" if stat.S_ISREG(os.fstat(handle).st_mode) else "folder"
        count[what] += 1
        if (kind, what, count[what]) == ("half", "file", number):
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
            die()
        if (kind, what, count[what]) == ("renamed", "folder", number):
            die()
        fsync(handle)

    def dying_replace(*paths):
        count["replace"] += 1
        if (kind, count["replace"]) == ("written", number):
            die()
        replace(*paths)

    os.fsync, os.replace = dying_fsync, dying_replace
    return number if kind == "update" else 0


def train(folder, updates_to_live=0):
    """Trains with everything that has a memory, and writes the result beside the checkpoint."""
    rng = np.random.default_rng(0)
    layer = Sequential(LSTM(2, 5, num_layers=2, dropout=0.2), Dropout(0.1), Dense(5, 1))
    params = layer.init(rng).astype(np.float32)
    x = rng.standard_normal((22, 7, 2)).astype(np.float32)
    options = FitOptions(
        optimizer=Adam(0.01, amsgrad=True), epochs=6, batch_size=4, validation=Data(x[:6], x[:6, :, :1]), metrics=("mae",),
        callbacks=(EarlyStopping(patience=4), Killer(updates_to_live)), clip_norm=0.5, tbptt=(3, 5),
        schedule=Warmup(5, then=ReduceOnPlateau(0.5, 0, "loss", threshold=0.1)), verbose=False,
        checkpoint=Checkpoint(folder, every_updates=3), resume=True, rng=rng,
    )  # fmt: skip
    history = fit(layer, params, Data(x[6:], x[6:, :, :1] ** 2), options)
    result = {"history": history.history, "stopped": history.stopped, "generator": rng.bit_generator.state}
    (folder / "result").write_bytes(params.flat.tobytes() + json.dumps(result).encode())


def in_a_process(function, *arguments):
    """The signal by which the process ended, or 0."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function(*arguments)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def killed(folder, kind, number):
    """A training that is to be killed."""
    train(folder, arm(kind, number))


def main(folder, moments):
    """Prints a list of {moment, signal, checkpoint: was there one, left: files before the resume, same, after}."""
    first, unbroken = folder / "first", folder / "unbroken"
    first.mkdir()
    train(first)  # here, so that the kernels are compiled once, and not by every child
    unbroken.mkdir()
    assert in_a_process(train, unbroken) == 0
    told = []
    for moment in moments:
        here = folder / moment.replace(":", "-")
        here.mkdir()
        kind, number = moment.split(":")
        ended = in_a_process(killed, here, kind, int(number))
        left = sorted(path.name for path in here.iterdir())
        assert in_a_process(train, here) == 0
        same = (here / "result").read_bytes() == (unbroken / "result").read_bytes()
        after = sorted(path.name for path in here.iterdir())
        told.append({"moment": moment, "signal": ended, "left": left, "same": same, "after": after})
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
