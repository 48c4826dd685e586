"""aarch64: what NEON computes, from the object that the same generator makes, has the bits of this machine's vectors.

Here they are compared with this machine's widest vectors; that its other widths have the same, 4 lanes too, test_bits.py says.
`make test-neon` runs this file alone, and insists on the tools.
"""

import neon
import numpy as np
import pytest
from kernel_cases import KINDS, forget, recurrent
from layer_checks import arrays_of, draw_params, draw_state

import gatewright as gw
from gatewright.kernels import target

pytestmark = [
    pytest.mark.skipif(target.machine() != "x86_64", reason="about x86-64 processors"),
    pytest.mark.skipif(not neon.available(), reason=neon.MISSING),
]
NETWORKS = {
    **{f"{kind} {F}-{H}": recurrent(kind, F, H) for kind in KINDS for F, H in ((1, 1), (3, 50), (20, 16), (5, 36))},
    **{f"{kind} deep": recurrent(kind, 3, 18, num_layers=2, bidirectional=True) for kind in KINDS},
    **{
        f"{name} head": gw.Sequential(gw.LSTM(3, 20), gw.LayerNorm(20), gw.Dense(20, 37, name))
        for name in ("linear", "tanh", "sigmoid", "relu", "softmax")
    },
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """What runs every kernel for four lanes in this file."""
    made = neon.Emulator(tmp_path_factory.mktemp("neon"))
    forget()
    with pytest.MonkeyPatch.context() as patch:
        made.take_over(patch)
        yield made
    forget()


def outputs(network):
    """[output, last states, gradients] of a few rows, of few rows over many steps, and of rows of unequal length."""
    model = gw.Model(network, kernel="compiled")
    model.parameters.assign(dict(draw_params(model.network, np.random.default_rng(1), 0.4, np.float32).items()))
    rng, found = np.random.default_rng(2), []
    for batch, time, lengths in ((13, 4, None), (1, 1, None), (2, 70, None), (4, 5, [5, 0, 3, 1])):
        x = 2 * rng.standard_normal((batch, time, network.features_in)).astype(np.float32)
        y, state = model.run(x, draw_state(model.layer, batch, rng, np.float32), lengths=lengths)
        found += [y, *arrays_of(state)]
        if time < 70:  # in which nothing grows without bounds
            found.append(model.gradients(x, np.zeros_like(y), lengths=lengths)[1].flat)
    stream = model.stream(3) if not getattr(network, "bidirectional", False) else None
    if stream:
        found += [stream.step(x[:3, 0]) for _ in range(2)]
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits(name, emulator, monkeypatch):
    assert target.host().lanes > 4
    before = emulator.calls
    here = outputs(NETWORKS[name])
    assert emulator.calls == before
    monkeypatch.setattr(target, "host", lambda: target.TARGETS[4])
    there = outputs(NETWORKS[name])
    assert emulator.calls > before + 4
    for a, b in zip(here, there, strict=True):
        assert a.dtype == b.dtype == np.float32
        assert np.array_equal(np.ascontiguousarray(a).view(np.uint32), np.ascontiguousarray(b).view(np.uint32))
    assert max(np.abs(array).max() for array in there) > 0.01
