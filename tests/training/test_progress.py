"""What training says: nothing, plain lines, or a bar where someone watches."""

import io
import re
import sys

import numpy as np
import pytest

from gatewright.layers import LSTM, Dense, Sequential
from gatewright.training.trainer import Data, FitOptions, fit

NET = Sequential(LSTM(2, 3), Dense(3, 1))
X = np.random.default_rng(0).standard_normal((6, 5, 2))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(**options):
    params = NET.init(np.random.default_rng(1))
    fit(NET, params, Data(X, X[..., :1]), FitOptions(epochs=3, batch_size=2, validation=Data(X, X[..., :1]), **options))


def test_plain_lines(capsys):
    train(callbacks=(lambda info: info.stop("enough") if info.epoch == 2 else None,))
    out, err = capsys.readouterr()
    number = r"[\d.e-]+"
    line = rf"epoch (\d)/3  loss {number}  val_loss {number}  learning_rate 0.001  \d+\.\d s"
    assert [re.fullmatch(line, said).group(1) for said in err.splitlines()[:2]] == ["1", "2"]
    assert err.splitlines()[2:] == ["stopped: enough"]
    assert out == ""


def test_silence(capsys):
    train(verbose=False)
    assert capsys.readouterr() == ("", "")


def test_a_bar_for_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    train()
    said = terminal.getvalue()
    assert said.count("epoch 3/3  loss") == 1
    assert "6/6" in said


def test_plain_lines_for_a_terminal_without_rich(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "rich", None)
    train()
    assert [line[:9] for line in terminal.getvalue().splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


@pytest.mark.parametrize("terminal", [True, False])
def test_silence_for_a_terminal(monkeypatch, terminal):
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    train(verbose=False)
    assert stream.getvalue() == ""
