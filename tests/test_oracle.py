"""The oracle itself against what PyTorch (float64) and Keras (float32) gave, and against sums done by hand."""

import math

import goldens
import numpy as np
import oracle
import pytest
from goldens import lists

TORCH = goldens.load("torch_layers")
KERAS = goldens.load("keras_layers")


@pytest.mark.parametrize("case", TORCH)
def test_torch(case):
    about, a = TORCH[case]
    kind = goldens.kind_of(about)
    weights = [[goldens.from_torch(kind, a, layer, d) for d in range(about["directions"])] for layer in range(about["layers"])]
    names = "hc"[: 2 if kind == "lstm" else 1]
    options = {"activation": "relu" if case.startswith("rnn_relu") else "tanh"}
    state = [a[f"{name}0"].tolist() for name in names]
    y, final = oracle.recurrent(kind, a["x"].tolist(), lists(weights), options, state, about["lengths"])
    np.testing.assert_allclose(y, a["y"], rtol=0, atol=1e-14)
    for name, got in zip(names, final, strict=True):
        np.testing.assert_allclose(got, a[f"{name}n"], rtol=0, atol=1e-14)


def keras_layer(about, a):
    """What the oracle gives for a case recorded with Keras: y, and the states in Keras' order."""
    kind, states = goldens.kind_of(about), [a[k].astype(float) for k in sorted(a) if k.startswith("s")]
    options = {
        key: about[key] for key in ("activation", "recurrent_activation", "go_backwards", "return_sequences") if key in about
    }
    options["reset_after"] = about["kind"] != "gru_before"
    repeat = "mask" in about and not about.get("zero_output_for_mask") and "merge" not in about
    options["masked_output"] = "repeat" if repeat else "zero"
    planes = 2 if kind == "lstm" else 1
    # Keras lists forward h, c, backward h, c; ours is one plane of all directions for h, one for c.
    handed = [lists(states[k::planes]) for k in range(planes)] if states else None
    x, mask = lists(a["x"].astype(float)), lists(a.get("mask"))
    y, final = oracle.recurrent(kind, x, lists(goldens.from_keras(about, a)), options, handed, mask=mask)
    if about.get("merge", "concat") != "concat":
        size = len(a["w1"])
        halves = [np.array(y)[..., :size].tolist(), np.array(y)[..., size:].tolist()]
        y = oracle.merge(halves, about["merge"])
    return y, [final[k][d] for d in range(len(final[0])) for k in range(planes)]


@pytest.mark.parametrize("case", KERAS)
def test_keras(case):
    about, a = KERAS[case]
    y, final = keras_layer(about, a)
    wanted = a["y"]
    if about.get("go_backwards") and about.get("zero_output_for_mask"):
        # Keras leaves the dead steps where reversal puts them; ours come after the live ones.
        live = a["mask"][:, ::-1]
        wanted = np.zeros_like(wanted)
        for b, row in enumerate(live):
            wanted[b, : row.sum()] = a["y"][b, row]
    np.testing.assert_allclose(y, wanted, rtol=0, atol=2e-6 * max(1, np.abs(wanted).max()))
    for k, got in enumerate(final):
        np.testing.assert_allclose(got, a[f"n{k}"], rtol=0, atol=2e-6 * max(1, np.abs(a[f"n{k}"]).max()))


def test_document_5_by_hand():
    """h = [0, 4, 0], c = [0, 4, 1] after one step; h = [0, 72, 0], c = [0, 72, 13] after two."""
    for steps, h, c in ((1, [0, 4, 0], [0, 4, 1]), (2, [0, 72, 0], [0, 72, 13])):
        about, a = KERAS[f"document5_{steps}"]
        y, final = keras_layer(about, a)
        assert y[0][-1] == h
        assert final == [[h], [c]]
        assert a["y"][0, -1].tolist() == h
        assert a["n1"].tolist() == [c]


def test_starts_are_rows_of_their_own():
    rng = np.random.default_rng(0)
    w = [[{"W": rng.standard_normal((2, 12)).tolist(), "U": rng.standard_normal((3, 12)).tolist()}] * 2]
    x, state = rng.standard_normal((1, 6, 2)).tolist(), rng.standard_normal((2, 2, 1, 3)).tolist()
    starts = [[False, False, True, False, False, False]]
    y, final = oracle.recurrent("lstm", x, w, {}, state, starts=starts)
    first, _ = oracle.recurrent("lstm", [x[0][:2]], w, {}, state)
    second, wanted = oracle.recurrent("lstm", [x[0][2:]], w, {})
    assert y == [first[0] + second[0]]
    assert final == wanted


def test_merges_losses_and_layers_by_hand():
    assert [oracle.merge([[1.0, 2.0], [3.0, 5.0]], how) for how in ("concat", "sum", "mul", "ave")] == [
        [1, 2, 3, 5], [4, 7], [3, 10], [2, 3.5]
    ]  # fmt: skip
    live = [[True, False]]
    assert oracle.mse([[[1.0, 2.0], [9.0, 9.0]]], [[[0.0, 4.0], [0.0, 0.0]]], live) == 2.5
    assert math.isclose(oracle.cross_entropy([[[0.0, math.log(3)], [0.0, 0.0]]], [[1, 0]], live), math.log(4 / 3))
    assert oracle.dense([1.0, 2.0], [[1.0, 0.0], [1.0, 3.0]], [0.0, -9.0], "relu") == [3.0, 0.0]
    assert oracle.layer_norm([1.0, 3.0], [2.0, 2.0], [0.0, 1.0], 0.0) == [-2.0, 3.0]
    assert oracle.masking([[[0.0, 0.0], [0.0, 1.0]]], 0.0, [[True, True]])[1] == [[False, True]]
    assert oracle.embedding([[0, 1]], [[5.0], [6.0]], [[True, True]], True) == ([[[0.0], [6.0]]], [[False, True]])
