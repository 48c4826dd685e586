"""Adam in one compiled pass gives the bits of NumPy's many."""

import numpy as np
import pytest

from gatewright.layers import dispatch
from gatewright.parameters import Parameters
from gatewright.training.optimizers import Adam, AdamW


def after(optimizer, kernel, sizes, updates=5):
    """(parameters, optimizer's state) after some updates."""
    params = Parameters.of({name: np.linspace(-1, 1, size) for name, size in sizes.items()}, dtype=np.float32)
    state, rng = optimizer.init(params, kernel), np.random.default_rng(0)
    for _ in range(updates):
        with params.edit() as flat, np.errstate(all="ignore"):
            optimizer.update(flat, rng.standard_normal(flat.size).astype(np.float32), state, lambda rate: rate)
    return params.flat, state


@pytest.fixture
def calls(monkeypatch, lanes):
    """How often compiled code ran."""
    found = dispatch.choose(dispatch.Ask(np.dtype(np.float32), "auto", training=True), "adam")
    kernel, made = type(found.load()), []
    step = kernel.step
    monkeypatch.setattr(kernel, "step", lambda self, *given: made.append(self.target.lanes) or step(self, *given))
    return made


@pytest.mark.parametrize("size", [1, 7, 16, 33, 1000])
@pytest.mark.parametrize(
    "optimizer",
    [Adam(0.1), Adam(0.1, (0.8, 0.9), 1e-3, weight_decay=0.1), AdamW(0.1, groups={"b": {"learning_rate": 0.3}}), Adam(1e39)],
    ids=repr,
)
def test_the_bits_are_numpys(optimizer, size, calls, lanes):
    sizes = {"a": size, "b": 5}
    flat, state = after(optimizer, "numpy", sizes)
    assert not calls
    compiled, slots = after(optimizer, "auto", sizes)
    assert calls == [lanes] * 5 * len(state.segments)
    assert np.array_equal(flat, compiled, equal_nan=True)
    for name, array in state.slots.items():
        assert np.array_equal(array, slots.slots[name], equal_nan=True)
    assert np.isfinite(flat).all() == (optimizer.learning_rate < 1)


def test_what_is_not_compiled_runs_on_numpy(calls):
    ours, theirs = (after(Adam(0.1, amsgrad=True), kernel, {"a": 20})[0] for kernel in ("auto", "numpy"))
    assert np.array_equal(ours, theirs)
    params = Parameters.of({"a": np.ones(20)})
    optimizer = Adam(0.1)
    with params.edit() as flat:
        optimizer.update(flat, np.ones(20), optimizer.init(params, "compiled"), lambda rate: rate)
    np.testing.assert_allclose(params.flat, 0.9)
    assert not calls
