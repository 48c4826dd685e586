"""The source documents' mistakes, each planted into a copy of the LSTM, and the gradient check that catches it.

A mutation is a replacement in the text of `cells/lstm.py` (or another cell), which must occur there exactly once. The same
check with the same seed passes on the cell as it is.
"""

import types
from pathlib import Path

import numpy as np
import pytest

import gatewright as gw
from gatewright import activations
from gatewright.cells import gru, lstm, lstm_variants, rnn
from gatewright.layers import convolution, pooling, stepwise

LAYERS = {"lstm": (gw.LSTM, lstm), "variants": (gw.LSTM, lstm_variants), "gru": (gw.GRU, gru), "rnn": (gw.RNN, rnn)}
ALL = {"W", "U", "b", "x", "h", "c"}


def planted(cell, *edits):
    """A copy of the cell's module with pieces of its text replaced."""
    text = Path(cell.__file__).read_text(encoding="utf-8")
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {cell.__name__}"
        text = text.replace(old, new)
    module = types.ModuleType(cell.__name__)
    exec(compile(text, cell.__file__, "exec"), module.__dict__)
    return module


def check(layer):
    """The same check for sound and unsound cells: five steps, random state, every tensor."""
    x = np.random.default_rng(3).standard_normal((2, 5, layer.input_size))
    return gw.gradcheck(layer, x, seed=11)


def wrong(report):
    """The last letters of the names of the tensors whose gradients are wrong: W U b bn x h c."""
    return {row.name.split(" ")[1].split(".")[-1] for row in report.rows if not row.error < report.tolerance}


# What the document does: the edits, and the tensors whose gradients it spoils.
BACKWARD = {
    "1.2: gates made again from the new h": (
        [(
            "    i, f, g, o = blocks(gates, 4)\n    dz = np.empty_like(z)\n",
            "    again = (rows(x) @ W).reshape(z.shape) + h[1:] @ U + b\n"
            "    i, f, o = (options.recurrent_activation.forward(blocks(again, 4)[k]) for k in (0, 1, 3))\n"
            "    g = options.activation.forward(blocks(again, 4)[2])\n    dz = np.empty_like(z)\n",
        )],
        ALL,
    ),
    "1.3: df from the new c": ([("dc * c[t], dc * i[t]", "dc * c[t + 1], dc * i[t]")], ALL),
    "1.4: a factor tanh(c) too many in dc": ([("ds, do = dh * o[t],", "ds, do = dh * s[t] * o[t],")], ALL),
    "1.5: the candidate's dW and db from dc itself": (
        [
            ("        di, df, dg = dc", "        whole = dc\n        di, df, dg = dc"),
            ("dzg[t] = d_act(zg[t], g[t], dg)", "dzg[t] = whole"),
        ],
        ALL,
    ),
    "1.6: dh is di, not multiplied by U": ([("dh = d_state(dz[t], U, keep)", "dh = dzi[t]")], ALL),
    "1.6: dh leaves the candidate out": (
        [("dh = d_state(dz[t], U, keep)", "dh = dz[t] @ U.T - dzg[t] @ blocks(U, 4)[2].T")],
        ALL,
    ),
    "1.6: dx leaves the candidate out": (
        [("(dz_rows @ W.T)", "(dz_rows @ W.T - rows(dzg) @ blocks(W, 4)[2].T)")],
        {"x"},
    ),
    "3.1: dc is not carried from step to step": ([("dc = dc * f[t]", "dc = np.zeros_like(dc)")], ALL),
    "3.2: the biases of i and o get the gradient of f's": (
        [(
            "None if b is None else dz_rows.sum(axis=0)",
            "np.concatenate([rows(d).sum(axis=0) for d in (dzf, dzf, dzg, dzf)])",
        )],
        {"b"},
    ),
    "3.3: dW from the last step only": ([("Weights(rows(x).T @ dz_rows,", "Weights(x[-1].T @ dz[-1],")], {"W"}),
    "3.4: the input gate's W gets the gradient of its U": (
        [(
            "    return Gradients((dz_rows",
            "    dweights.W[:, : len(U)] = dweights.U[:, : len(U)]\n    return Gradients((dz_rows",
        )],
        {"W"},
    ),
    "3.5: the activation asked for is ignored": (
        [("d_act, d_sigma = options.activation.backward,", "d_act, d_sigma = Activation('tanh').backward,")],
        ALL,
    ),
    "3.5: only the last step's output has a loss": (
        [("dh = dh + dsteps.h[t]", "dh = dh + (dsteps.h[t] if t == len(z) - 1 else 0)")],
        ALL,
    ),
    "3.5: no dx": ([("(dz_rows @ W.T)", "(0 * dz_rows @ W.T)")], {"x"}),
}  # fmt: skip
FORWARD = {
    "4.4: new information without a candidate": [
        ("        c[t + 1] = f[t] * c[t] + i[t] * g[t]\n", "        c[t + 1] = f[t] * c[t] + i[t]\n")
    ],
    "4.4: h is the output plus the old h": [("        h[t + 1] = o[t] * s[t]\n", "        h[t + 1] = o[t] + h[t]\n")],
    "4.4: no tanh on the cell": [("        s[t] = act(c[t + 1])\n", "        s[t] = c[t + 1]\n")],
}
# The same families of mistakes in the other cells.
OTHERS = {
    "gru: h is not carried past the gate": ("gru", [("dh = dh * z[t]", "dh = np.zeros_like(dh)")]),
    "gru: dz from the new h": ("gru", [("dh * (h[t] - n[t])", "dh * (h[t + 1] - n[t])")]),
    "gru: bn gets the gradient of the merged bias": ("gru", [("rows(dun).sum", "da_rows[:, 2 * H :].sum")]),
    "gru: dU of the candidate without the reset gate": ("gru", [("dan[t] * m[t], dan[t] * r[t]", "dan[t] * m[t], dan[t]")]),
    "rnn: dW from the last step only": ("rnn", [("Weights(rows(x).T @ dz_rows,", "Weights(x[-1].T @ dz[-1],")]),
    "rnn: dU with the new h": ("rnn", [("d_kernel(h[:-1]", "d_kernel(h[1:]")]),
    "rnn: dh is not multiplied by U": ("rnn", [("dh = d_state(dz[t], U, keep)", "dh = dz[t]")]),
    "rnn: the final state's gradient is left out": ("rnn", [("dh = dstate.h", "dh = 0 * dstate.h")]),
}
PEEPHOLES, COUPLED, PROJECTION = {"peepholes": True}, {"coupled": True}, {"projection": 3}
# … and in what an LSTM can be beyond the textbook: the options, the edit, the tensors it spoils.
VARIANTS = {
    "the gradient of o's peephole from the old c": (PEEPHOLES, ("(dzo, c[1:])]", "(dzo, c[:-1])]"), {"P"}),
    "the gradient of i's peephole from the new c": (PEEPHOLES, ("[(dzi, c[:-1])", "[(dzi, c[1:])"), {"P"}),
    "dc without o's peephole": (PEEPHOLES, ("dc = dc + po * dzo[t]", "pass"), {*ALL, "P"}),
    "dc without f's peephole": (PEEPHOLES, ("dc = dc + pf * dzf[t]", "pass"), {*ALL, "P"}),
    "dc without i's peephole": (PEEPHOLES, ("dc = dc + pi * dzi[t]", "pass"), {*ALL, "P"}),
    "o sees the old c": (PEEPHOLES, ("zo[t] += po * c[t + 1]\n", "zo[t] += po * c[t]\n"), {*ALL, "P"}),
    "the coupled gate gives nothing back": (COUPLED, ("di = di - df", "pass"), ALL),
    "… or the opposite": (COUPLED, ("di = di - df", "di = di + df"), ALL),
    "dh does not go back through V": (PROJECTION, ("dh_steps[t] @ V.T", "dh_steps[t]"), {*ALL, "V"}),
    "dV from what was projected already": (PROJECTION, ("rows(m).T @ rows(dh_steps)", "rows(h[1:]).T @ rows(dh_steps)"), {"V"}),
    "dV from the outer gradients alone": (PROJECTION, ("rows(m).T @ rows(dh_steps)", "rows(m).T @ rows(dsteps.h)"), {"V"}),
    "the derivative of another activation": (
        {"cell_activation": "softplus"}, ("dc = dc + d_out(", "dc = dc + d_act("), ALL,
    ),
}  # fmt: skip

# … and in the layers beside the cells: where, the layer, the edit, the tensors that it spoils.
CONV = gw.Conv1D(3, 4, 3, stride=2, padding="same", activation="tanh")
GROUPS, CAUSAL = gw.Conv1D(4, 4, 2, groups=2), gw.Conv1D(3, 4, 3, padding="causal")
BESIDE = {
    "dW from the gradient behind the activation": (
        convolution, CONV, ("dz = self.activation.backward(z, y, ", "dz = (lambda z, y, d: d)(z, y, "), {"W", "b", "x"}),
    "db is twice what it should be": (convolution, CONV, ('grads.add("b", np.ones(', 'grads.add("b", 2 * np.ones('), {"b"}),
    "dx from the kernel turned round": (
        convolution, CONV, ("layout.d_taps(np.moveaxis(dtaps, 2, 0))", "layout.d_taps(np.moveaxis(dtaps, 2, 0)[::-1])"), {"x"}),
    "a group's dW goes to the other group": (
        convolution, GROUPS, ("read.swapaxes(1, 2) @ dparts", "read.swapaxes(1, 2) @ dparts[::-1]"), {"W"}),
    "the final state's gradient is left out": (
        convolution, CAUSAL, ("dlaid[self._last(layout)] += dstate", "dlaid[self._last(layout)] += 0 * dstate"), {"x"}),
    "the maximum's gradient goes to the first step": (
        pooling, gw.MaxPooling1D(2), ("np.put_along_axis(dtaps, at[None]", "np.put_along_axis(dtaps, 0 * at[None]"), {"x"}),
    "a mean's gradient is not divided": (
        pooling, gw.AveragePooling1D(2), ("zero_dead(dy, layout.live) / number", "zero_dead(dy, layout.live)"), {"x"}),
    "the largest of all: the last step gets the gradient": (
        pooling, gw.GlobalMaxPooling1D(), ("(dx, cache.at[:, None]", "(dx, 0 * cache.at[:, None] + 4"), {"x"}),
    "the mean of all: not divided": (
        pooling, gw.GlobalAveragePooling1D(), ("np.repeat((dy / cache.number)", "np.repeat((dy)"), {"x"}),
    "dx without the scale": (
        stepwise, gw.BatchNorm(3), ('dflat * (params["gain"] * scale)', 'dflat * params["gain"]'), {"mean", "x"}),
    "dgain without the scale": (stepwise, gw.BatchNorm(3), ('"gain", dscaled * scale', '"gain", dscaled'), {"gain"}),
    "dx of another activation": (
        stepwise, gw.Activate("sigmoid"), ("self.activation.backward(", "activations.get('tanh').backward("), {"x"}),
}  # fmt: skip


def both(monkeypatch, kind, edits, activation="tanh", **options):
    """The reports of the cell as it is and with the mistake in it."""
    cls, cell = LAYERS[kind]
    layer = cls(3, 3, activation=activation, **options)  # F = H, so that a gradient can go to the wrong weight
    sound = check(layer)
    monkeypatch.setattr(cls, "cell", planted(cell, *edits))
    return sound, check(layer)


@pytest.mark.parametrize("mistake", BACKWARD)
def test_backward_mistakes_are_caught(monkeypatch, mistake):
    edits, spoiled = BACKWARD[mistake]
    sound, unsound = both(monkeypatch, "lstm", edits, "softplus" if "activation" in mistake else "tanh")
    assert sound.ok, sound
    assert not unsound.ok
    assert unsound.worst.error > 1e-3
    assert wrong(unsound) == spoiled, unsound
    assert "WRONG" in str(unsound)


@pytest.mark.parametrize("mistake", FORWARD)
def test_forward_mistakes_are_caught(monkeypatch, mistake):
    """The right backward pass is not that of a wrong forward pass."""
    sound, unsound = both(monkeypatch, "lstm", FORWARD[mistake])
    assert sound.ok, sound
    assert not unsound.ok
    assert unsound.worst.error > 1e-3


@pytest.mark.parametrize("mistake", OTHERS)
def test_mistakes_in_the_other_cells_are_caught(monkeypatch, mistake):
    sound, unsound = both(monkeypatch, *OTHERS[mistake])
    assert sound.ok, sound
    assert not unsound.ok
    assert unsound.worst.error > 1e-3


@pytest.mark.parametrize("mistake", VARIANTS)
def test_mistakes_in_the_variants_are_caught(monkeypatch, mistake):
    options, edit, spoiled = VARIANTS[mistake]
    sound, unsound = both(monkeypatch, "variants", [edit], **options)
    assert sound.ok, sound
    assert unsound.worst.error > 1e-3
    assert wrong(unsound) == spoiled, unsound


@pytest.mark.parametrize("mistake", BESIDE)
def test_mistakes_in_the_layers_beside_are_caught(mistake):
    module, layer, edit, spoiled = BESIDE[mistake]
    x = np.random.default_rng(3).standard_normal((2, 5, layer.features_in or 3))
    mistaken = getattr(planted(module, edit), type(layer).__name__)(**layer.config())
    sound, unsound = (gw.gradcheck(each, x, seed=11) for each in (layer, mistaken))
    assert sound.ok, sound
    assert unsound.worst.error > 1e-3
    assert wrong(unsound) == spoiled, unsound


def test_a_clip_that_lets_gradients_through_is_caught(monkeypatch):
    sound = check(gw.GRU(3, 3, clip=0.5))
    monkeypatch.setattr(activations, "_d_clipped", lambda backward, clip: backward)
    unsound = check(gw.GRU(3, 3, clip=0.5))
    assert sound.ok, sound
    assert wrong(unsound) == {"W", "U", "b", "bn", "x", "h"}


def test_weak_checks_are_refused():
    """Document 3's own check could not fail: gradients of nothing, one step or two, a state of zeros."""
    layer, x = gw.LSTM(3, 4), np.random.default_rng(0).standard_normal((2, 5, 3))
    assert gw.gradcheck(layer, x).ok
    with pytest.raises(gw.UninformativeError, match="vanish"):
        gw.gradcheck(layer, 1e4 * x)  # every gate is shut or open for good
    with pytest.raises(gw.UninformativeError, match="2 steps"):
        gw.gradcheck(layer, x[:, :2])
    with pytest.raises(gw.UninformativeError, match="2 steps"):
        gw.gradcheck(layer, x, lengths=[2, 2])
    with pytest.raises(gw.UninformativeError, match="zero"):
        gw.gradcheck(layer, x, state=(np.zeros((1, 2, 4)), np.ones((1, 2, 4))))


def test_the_replaced_text_must_be_there():
    with pytest.raises(AssertionError, match="occurs 0 times"):
        planted(lstm, ("no such line", ""))
    with pytest.raises(AssertionError, match="occurs 2 times"):
        planted(lstm, ("i, f, g, o = blocks(gates, 4)", ""))
