"""tanh, sigmoid and relu of the kernels keep their promises, on a sample here (scripts/check_tanh.py: on all 2^32 inputs)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gatewright.kernels import target

ROOT = Path(__file__).resolve().parents[2]
STRIDE = 9973  # a prime, so that every lowest digit comes up
SPECIAL = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.1754944e-38, 0.7, 0.70000005, 88.7, -88.7, 3e38], "f")


def script(name):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = script("check_tanh")


@pytest.fixture(scope="module")
def functions():
    """{(name, lanes): the compiled function}."""
    names = ("tanh", "sigmoid", "relu")
    return {(name, lanes): CHECK.elementwise(name, lanes) for name in names for lanes in target.TARGETS}


def test_the_promises_hold_on_a_sample(functions):
    lanes = target.host().lanes
    worst = CHECK.measure(functions["tanh", lanes], functions["sigmoid", lanes], STRIDE).found
    assert set(worst) == set(CHECK.LIMITS)
    assert {name: error for name, (error, _) in worst.items() if error > CHECK.LIMITS[name]} == {}
    assert worst["tanh: ulp"][0] > 0.5, "an error that no float32 formula can have: nothing was measured"


@pytest.mark.parametrize(("wrong", "complaint"), [
    (lambda y: np.where(np.abs(y) < 1, y * np.float32(1 + 3e-7), y), "tanh: ulp"),
    (lambda y: np.nan_to_num(y), "NaN: lost or made"),
    (lambda y: np.abs(y), "odd: wrong bits"),
    (lambda y: np.where(y > 0.999, np.float32(1.0000001), y), "tanh: above 1"),
])  # fmt: skip
def test_a_worse_tanh_is_found_out(functions, wrong, complaint):
    lanes = target.host().lanes
    tanh, sigmoid = functions["tanh", lanes], functions["sigmoid", lanes]
    worst = CHECK.measure(lambda x: wrong(tanh(x)), sigmoid, STRIDE).found
    assert worst[complaint][0] > CHECK.LIMITS[complaint]


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_every_width_gives_the_same_bits(functions, name):
    x = np.arange(0, 1 << 32, 65521, dtype=np.uint32).view(np.float32)
    x = np.concatenate([x, SPECIAL])
    first, *others = (functions[name, lanes](x) for lanes in target.TARGETS)
    assert others
    for other in others:
        assert np.array_equal(first.view(np.uint32), other.view(np.uint32))


def test_special_numbers(functions):
    lanes = target.host().lanes
    tanh, sigmoid, relu = (functions[name, lanes](SPECIAL) for name in ("tanh", "sigmoid", "relu"))
    assert np.array_equal(tanh[:7].view(np.uint32), np.array([0, -0.0, 1, -1, np.nan, 1e-45, -1e-45], "f").view(np.uint32))
    assert np.array_equal(sigmoid[:5], np.array([0.5, 0.5, 1, 0, np.nan], "f"), equal_nan=True)
    assert np.array_equal(relu[:5], np.array([0, 0, np.inf, 0, np.nan], "f"), equal_nan=True)


def test_the_coefficients_are_those_of_the_script():
    fit, written = script("fit_tanh"), (ROOT / "src" / "gatewright" / "kernels" / "mathematics.py").read_text(encoding="utf-8")
    for name, (coefficients, error) in fit.fits().items():
        assert error < 1e-7
        numbers = ", ".join(f"{float(c):.9g}" for c in coefficients)
        assert f"{name} = ({numbers})" in written
    assert f"SMALL = {fit.SMALL}" in written
