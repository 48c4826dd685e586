"""The reference's tests on compiled code (tests/compiled.py): that the rule about the path catches.

`make test-kernels` runs them all, at every width of the machine and from the library; test_library.py a part of them.
"""

import shutil
from pathlib import Path

import compiled
import pytest

TESTS = Path(__file__).parents[1]


def test_what_is_left_out_is_there():
    for name in [*compiled.IDLE.split(), *compiled.EXACT.split()]:
        file, _, function = name.partition("[")[0].partition("::")
        assert file in compiled.FILES.split()
        assert f"\ndef {function}(" in (TESTS / file).read_text(encoding="utf-8"), name


def planted(folder, source):
    """What becomes of tests that are run on compiled code."""
    for name in ("conftest.py", "architecture.py", "compiled.py", "layer_checks.py"):
        shutil.copy(TESTS / name, folder)
    head = "import numpy as np\nimport gatewright as gw\nx = np.ones((2, 3, 1))\n"
    (folder / "test_whole.py").write_text(head + source)
    return compiled.run(folder, "--compiled=4", str(folder))


@pytest.mark.parametrize(("body", "complaint"), [
    ("pass", "ran no kernel"),
    ("model = gw.Model(gw.LSTM(1, 2), seed=0, dtype='float64')\n    model.fit(x, x[..., [0, 0]], verbose=False)", None),
    ("gw.Model(gw.LSTM(1, 2), seed=0, dtype='float64').predict(x)", None),
    ("gw.Model(gw.LSTM(1, 2), seed=0, dtype='float64', kernel='numpy').predict(x)", None),
    ("gw.kernels.target.problem = lambda: 'the moon'\n    gw.Model(gw.LSTM(1, 2)).predict(x)", "reference ran: ['the moon']"),
    ("y = gw.Model(gw.LSTM(1, 2), seed=0, dtype='float64').predict(x)\n"
     "    np.testing.assert_allclose(y, y + 1e-4, rtol=0, atol=1e-12)", "Not equal to tolerance"),
])  # fmt: skip
def test_the_path_is_judged(tmp_path, body, complaint):
    done = planted(tmp_path, f"import gatewright.kernels.target\n\n\ndef test():\n    {body}\n")
    assert (done.returncode == 0) == (complaint is None), done.stdout + done.stderr
    assert complaint is None or complaint in done.stdout
