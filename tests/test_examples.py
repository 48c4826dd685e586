"""Every example runs as a reader would run it, warnings as errors, and says what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
# What must be printed. Each program asserts its own figures; these are its conclusions.
SAYS = {
    # one program for each source document, two for the last
    "lstm_cell_by_hand.py": [r"dx +\(5, 3\) +\d", "all 12 gradients are right"],
    "stacked_rnn.py": [
        r"\(400, 12, 10\) out, final state \(8, 400, 5\)",
        "same output",
        r"bidirectional=True .* (9\d|100)% of the coins",
    ],
    "lstm_training_with_gradient_check.py": ["all 8 gradients are right", "true mean", "it has forgotten: True"],
    "lstm_states.py": [r"store   0\.291   0\.283", "stays a number: True"],
    "keras_lstm_by_hand.py": [
        r"weights: \[\(2, 12\), \(3, 12\), \(12,\)\]",
        r"gatewright  h = \[0, 4, 0\], c = \[0, 4, 1\]",
        r"gatewright  h = \[0, 72, 0\], c = \[0, 72, 13\]",
    ],
    "rnn_and_dense.py": [r"RNN\(1, 16, return_sequences=False\)", "0.* trained", "next: .* said:"],
    # our own
    "streaming_sensor.py": ["<-- something happened", r"alarms at \[81"],
    "adding_problem.py": ["always saying 1", "LSTM", "the GRU says"],
    "explore_gates.py": ["marks stand at steps", r"\d\d,\d\d\d characters, one file"],
    "unequal_lengths.py": ["of 200 new waves named right", "26 to 40 steps"],
}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_example(name, tmp_path):
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len(text.splitlines()) <= 50
    assert "import gatewright as gw\n" in text
    assert not re.search(r"from gatewright|gw\._|\._[a-z]", text), "an example uses the public interface only"
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name], cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    for wanted in SAYS[name]:
        assert re.search(wanted, ran.stdout), f"{wanted!r} is not in:\n{ran.stdout}"
    assert not list(tmp_path.iterdir()), "an example leaves nothing behind"
