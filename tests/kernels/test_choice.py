"""Which code runs, and why; and that everything works without llvmlite and without the folder."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gatewright as gw
from gatewright import cells, kernels
from gatewright.kernels import formulas, target

SOURCE = Path(gw.__file__).parent


def paths(network, **options):
    return [(row.path, row.reason) for row in gw.Model(network, **options).kernels()]


def test_a_mixed_network_says_each_layers_path():
    network = gw.Sequential(
        gw.Embedding(5, 3), gw.LSTM(3, 4), gw.GRU(4, 4, activation="relu"), gw.LayerNorm(4), gw.Dropout(0.5),
        gw.Dense(4, 4, "gelu"), gw.Dense(4, 2, "softmax"),
    )  # fmt: skip
    rows = gw.Model(network).kernels()
    assert [row.path for row in rows] == ["numpy", "compiled", "numpy", "compiled", "numpy", "numpy", "compiled"]
    assert rows[0].reason == rows[4].reason == "copies numbers, bit for bit"
    assert "training too" in rows[1].reason
    assert "training runs on NumPy" in rows[3].reason
    assert "'relu'" in rows[2].reason
    assert "'gelu'" in rows[5].reason
    with pytest.raises(gw.OptionError, match=r"compiled.*'relu'.*kernel='auto'"):
        gw.Model(network, kernel="compiled")
    assert {row.path for row in gw.Model(network, kernel="numpy").kernels()} == {"numpy"}


@pytest.mark.parametrize(("layer", "reason"), [
    (gw.LSTM(1, 2, activation="softsign"), "softsign"),
    (gw.GRU(1, 2, recurrent_activation="hard_sigmoid"), "hard_sigmoid"),
    (gw.RNN(1, 2, activation="sigmoid"), "sigmoid"),
    (gw.LSTM(1, 2, return_state_sequence=True), "return_state_sequence"),
    (gw.Dense(1, 2, gw.Activation("leaky_relu", 0.3)), "leaky_relu"),
    (gw.Dense(1, 2, gw.Activation("affine", 2, 1)), "affine"),
])  # fmt: skip
def test_what_is_not_compiled_falls_back_and_says_why(layer, reason):
    ((path, said),) = paths(layer)
    assert path == "numpy"
    assert reason in said
    with pytest.raises(gw.OptionError, match=reason):
        gw.Model(layer, kernel="compiled")
    x = np.ones((2, 3, 1), np.float32)
    first, second = (gw.Model(layer, seed=0, kernel=kernel).predict(x) for kernel in ("auto", "numpy"))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)


COMPILED = {  # what differs from the defaults and is compiled all the same
    ("rnn", "activation", gw.Activation("relu")),
    ("gru", "reset_after", False),
}


@pytest.mark.parametrize("cell", [cells.rnn, cells.lstm, cells.lstm_variants, cells.gru], ids=lambda cell: cell.__name__)
def test_no_option_of_a_cell_is_ignored(cell):
    """Whatever differs from the defaults is refused with a reason, or is on the short list of what is compiled."""
    name, plain = cell.__name__.rpartition(".")[2], cell.Options()
    assert isinstance(formulas.find(name, plain), str) == (name == "lstm_variants")
    for option, value in plain._asdict().items():
        others = [not value] if isinstance(value, bool) else [gw.Activation(other) for other in ("relu", "linear", "softsign")]
        others += [] if isinstance(value, bool) else [dataclasses.replace(value, clip=2.0)]
        for other in others:
            assert other != value
            found = formulas.find(name, plain._replace(**{option: other}))
            assert isinstance(found, formulas.Cell if (name, option, other) in COMPILED else str), (option, other)


def test_float64_runs_on_numpy():
    assert paths(gw.LSTM(1, 2), dtype="float64") == [("numpy", "float64: float32 is compiled")]


def test_a_layer_of_ones_own_has_no_kernel():
    class Doubling(gw.Layer):
        def init(self, rng):
            return gw.Parameters({})

        def forward(self, params, x, state=None, *, steps=None, training=False, rng=None, kernel="auto"):
            return 2 * x, None, None

        def backward(self, params, grads, cache, dy, dstate=None):
            return 2 * dy, None

        def shape_out(self, shape):
            return shape

    assert paths(gw.Sequential(gw.LSTM(1, 2), Doubling()))[1] == ("numpy", "no kernel is written for this layer")
    with pytest.raises(gw.OptionError, match="no kernel is written"):
        gw.Model(gw.Sequential(gw.LSTM(1, 2), Doubling()), kernel="compiled")


def test_an_x86_without_fma_has_no_kernels(monkeypatch):
    monkeypatch.setattr(target.platform, "machine", lambda: "AMD64")
    monkeypatch.setattr(target, "_features", lambda: {"fma": False, "avx": True})
    assert "FMA" in target.problem.__wrapped__()


def test_an_unknown_machine_has_no_kernels(monkeypatch):
    monkeypatch.setattr(target.platform, "machine", lambda: "riscv64")
    assert "riscv64" in target.problem.__wrapped__()


def test_the_host_has_kernels():
    assert kernels.problem("norm") is None, "the tests of compiled code need a machine with FMA, and llvmlite"


PROGRAM = """
import numpy as np, sys
import gatewright as gw
network = gw.Sequential(gw.LSTM(2, 3), gw.LayerNorm(3), gw.Dense(3, 1))
model = gw.Model(network, seed=0)
(row, *_) = model.kernels()
x = np.ones((2, 4, 2), np.float32)
stream = model.stream(2)
steps = np.stack([stream.step(x[:, t]) for t in range(4)], axis=1)
assert np.allclose(steps, model.predict(x), atol=1e-6)
model.fit(x, np.zeros((2, 4, 1)), verbose=False)
try:
    gw.Model(network, kernel="compiled")
except gw.OptionError as error:
    print(row.path, "|", row.reason, "|", error)
"""
NO_LIBRARY = """
import pathlib
from gatewright.kernels import library
library.FOLDER = pathlib.Path("nowhere")
"""
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "llvmlite":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""


def run(source, path):
    """What a new Python prints that finds the library at `path` first."""
    source = f"import sys\nsys.path.insert(0, {str(path)!r})\n{source}"
    result = subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_without_llvmlite_everything_works():
    said = run(HIDE + NO_LIBRARY + PROGRAM, SOURCE.parent)
    assert said.startswith("numpy | llvmlite is not installed")
    assert "pip install 'gatewright[fast]'" in said
    assert "kernel='compiled' is not possible: llvmlite" in said


def test_without_the_folder_everything_works(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "gatewright", ignore=shutil.ignore_patterns("kernels", "__pycache__"))
    assert run(PROGRAM, tmp_path).startswith("numpy | this installation has no kernels")


def test_llvmlite_is_loaded_with_the_first_model_only():
    shown = "print('llvmlite' in sys.modules)"
    said = run(f"{NO_LIBRARY}\nimport gatewright as gw\n{shown}\ngw.Model(gw.LSTM(1, 2))\n{shown}", SOURCE.parent)
    assert said.split() == ["False", "True"]


def test_nothing_is_fused_or_reordered_behind_our_back():
    """No fast-math flag, and no operation that lets a compiler choose the rounding."""
    from gatewright.kernels import backward, formulas, heads, norm, scan

    every = [(cell, t) for cell in (formulas.lstm(), formulas.gru_before()) for t in target.TARGETS.values()]
    texts = [scan.Scan(cell, t, training).text() for cell, t in every for training in (False, True)]
    texts += [backward.Backward(cell, t).text() for cell, t in every]
    texts += [heads.text("softmax", target.TARGETS[8]), norm.text(target.TARGETS[8])]
    for text in texts:
        words = set(text.replace("(", " ").replace(",", " ").split())
        assert "fmul" in words
        assert not words & {"fast", "nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc", "fmuladd"}
        assert "fmuladd" not in text


def test_an_llvmlite_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    target.problem.cache_clear()
    monkeypatch.delattr("llvmlite.binding.create_pass_builder")
    try:
        assert "too old" in str(target.problem())
    finally:
        target.problem.cache_clear()
