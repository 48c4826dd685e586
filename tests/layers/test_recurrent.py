"""RNN, LSTM and GRU layers: against recorded PyTorch and Keras, against the oracle over unequal rows, and their gradients."""

import itertools

import goldens
import numpy as np
import pytest
from goldens import lists
from hypothesis import assume, given
from hypothesis import strategies as st
from layer_checks import arrays_of, assert_same, backward, by_oracle, draw_like, draw_params, draw_state, prefixes, worst_error
from strategies import ragged_steps

from gatewright import layers
from gatewright.activations import Activation
from gatewright.errors import OptionError, ShapeError
from gatewright.parameters import Parameters
from gatewright.steps import Steps

F, H = 3, 4
KINDS = {
    "rnn": (layers.RNN, {}),
    "lstm": (layers.LSTM, {}),
    "gru": (layers.GRU, {}),
    "gru_before": (layers.GRU, {"reset_after": False}),
}
TORCH = goldens.load("torch_layers")
KERAS = goldens.load("keras_layers")
HOLES = Steps(
    np.array([6, 4, 6]),
    np.array([[1, 1, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], bool),
    np.array([[0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool),
)


def build(kind, input_size=F, hidden_size=H, **options):
    cls, fixed = KINDS[kind]
    return cls(input_size, hidden_size, **fixed, **options)


# ------------------------------------------------------------------------------------------------------ the frameworks


@pytest.mark.parametrize("case", TORCH)
def test_torch(case):
    """Outputs, final states and every gradient as PyTorch has them, in float64."""
    about, a = TORCH[case]
    kind = goldens.kind_of(about)
    bidirectional, num_layers = about["directions"] == 2, about["layers"]
    options = {"projection": a["h0"].shape[2]} if "projection" in case else {}
    layer = build(kind, a["x"].shape[2], a["c0" if kind == "lstm" else "h0"].shape[2], num_layers=num_layers,
                  bidirectional=bidirectional, activation="relu" if "relu" in case else "tanh", **options)  # fmt: skip
    places = [(p, k, d) for k, row in enumerate(prefixes(num_layers, bidirectional)) for d, p in enumerate(row)]
    params = layer.init(np.random.default_rng(0))
    params.assign({p + n: w for p, k, d in places for n, w in goldens.from_torch(kind, a, k, d).items()})
    steps = Steps(lengths=np.array(about["lengths"])) if about["lengths"] else None
    names = "hc"[: 2 if kind == "lstm" else 1]
    y, state, cache = layer.forward(params, a["x"], tuple(a[f"{n}0"] for n in names), steps=steps)
    grads = params.zeros_like()
    dx, dstate = layer.backward(params, grads, cache, a["dy"], tuple(a[f"d{n}n"] for n in names))
    pairs = [("y", y, a["y"]), ("x", dx, a["dx"])]
    for n, s, d in zip(names, state, dstate, strict=True):
        pairs += [(n, s, a[f"{n}n"]), (f"d{n}0", d, a[f"d.{n}0"])]
    for p, k, d in places:
        pairs += [(p + n, grads[p + n], g) for n, g in goldens.from_torch(kind, a, k, d, "d.").items()]
    for name, got, wanted in pairs:
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * max(1, np.abs(wanted).max()), err_msg=name)
        assert np.abs(wanted).max() > 0


@pytest.mark.parametrize("case", KERAS)
def test_keras(case):
    """Outputs and final states as Keras has them, in float32."""
    about, a = KERAS[case]
    kind, merge = about["kind"].removesuffix("_after"), about.get("merge")
    words = {n: about[n] for n in ("activation", "recurrent_activation", "return_sequences", "go_backwards") if n in about}
    repeat = "mask" in a and not about.get("zero_output_for_mask") and not merge and about["return_sequences"]
    layer = build(kind, a["x"].shape[2], len(a["w1"]), masked_output="repeat" if repeat else "zero", **words)
    weights, states = goldens.from_keras(about, a)[0], [a[k].astype(float) for k in sorted(a) if k.startswith("s")]
    state = tuple(s[None] for s in states) or None
    if merge:
        half = len(states) // 2
        layer, state = layers.Bidirectional(layer, merge), (state[:half], state[half:])
    params = layer.init(np.random.default_rng(0))
    params.assign({p + n: w for p, ws in zip(prefixes(1, bool(merge))[0], weights, strict=True) for n, w in ws.items()})
    y, final, _ = layer.forward(params, a["x"].astype(float), state, steps=Steps(mask=a["mask"]) if "mask" in a else None)
    wanted = a["y"]
    if about.get("go_backwards") and about.get("zero_output_for_mask"):
        wanted = np.zeros_like(wanted)  # ours has the live steps first
        for b, row in enumerate(a["mask"][:, ::-1]):
            wanted[b, : row.sum()] = a["y"][b, row]
    np.testing.assert_allclose(y, wanted, rtol=0, atol=2e-6 * max(1, np.abs(wanted).max()))
    for k, got in enumerate(arrays_of(final)):
        np.testing.assert_allclose(got[0], a[f"n{k}"], rtol=0, atol=2e-6 * max(1, np.abs(a[f"n{k}"]).max()))


# ---------------------------------------------------------------------------------------------------------- the oracle

CHOICES = {
    "num_layers": (1, 2),
    "bidirectional": (False, True),
    "shown": ("all", "last", "states", "backwards", "repeat", "backwards repeat"),
    "bias": (True, False),
    "learn_initial_state": (False, True),
}
SHOWN = {
    "all": {},
    "last": {"return_sequences": False},
    "states": {"return_state_sequence": True},
    "backwards": {"go_backwards": True},
    "repeat": {"masked_output": "repeat"},
    "backwards repeat": {"go_backwards": True, "masked_output": "repeat"},
}


def possible(bidirectional, shown):
    return not (bidirectional and "backwards" in shown)


ALL = [
    dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values()) if possible(values[1], values[2])
]


def words_of(choice):
    return {k: v for k, v in choice.items() if k != "shown"} | SHOWN[choice["shown"]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shown", SHOWN)
def test_every_option(kind, shown):
    """Values against the oracle, gradients along random directions: every combination, dense and with holes and starts."""
    rng = np.random.default_rng(0)
    for choice in (c for c in ALL if c["shown"] == shown):
        options = words_of(choice)
        layer = build(kind, **options)
        params, state = draw_params(layer, rng), draw_state(layer, 3, rng)
        x = rng.standard_normal((3, 6, F))
        for steps, handed in ((None, state), (HOLES, state), (HOLES, None)):
            if steps is not None and "backwards repeat" in shown:
                steps = steps._replace(starts=None)
            given_x = x if steps is None else np.where(steps.live(3, 6)[..., None], x, np.nan)
            y, final, _ = layer.forward(params, given_x, handed, steps=steps)
            wanted, wanted_final = by_oracle(kind, params, given_x, handed, steps, options)
            assert_same(y, wanted)
            assert_same(final, wanted_final)
            assert layer.shape_out(x.shape) == (arrays_of(y)[0]).shape
            # With a state given and no fresh start a learned one does not serve: its gradient is rightly zero.
            unused = options["learn_initial_state"] and handed is not None
            error = worst_error(layer, params, given_x, handed, steps, nothing_zero=not unused)
            assert error < 1e-10, (options, error)


@st.composite
def cases(draw):
    """(kind, options, B, T, Steps, whether a state is given, seed)."""
    kind, batch_time_steps = draw(st.sampled_from(sorted(KINDS))), draw(ragged_steps())
    choice = {name: draw(st.sampled_from(values)) for name, values in CHOICES.items()}
    choice["num_layers"] = draw(st.integers(1, 3))
    assume(possible(choice["bidirectional"], choice["shown"]))
    assume("backwards repeat" not in choice["shown"] or batch_time_steps[2].starts is None)
    return kind, words_of(choice), *batch_time_steps, draw(st.booleans()), draw(st.integers(0, 2**16))


def drawn(case):
    """(layer, params, x with NaN at dead steps, state) of a case."""
    kind, options, batch, time, steps, given_state, seed = case
    rng = np.random.default_rng(seed)
    layer = build(kind, 2, 3, **options)
    x = np.where(steps.live(batch, time)[..., None], rng.standard_normal((batch, time, 2)), np.nan)
    return layer, draw_params(layer, rng), x, draw_state(layer, batch, rng) if given_state else None


@given(cases())
def test_unequal_rows(case):
    """Any lengths, holes, starts and shapes: the oracle's values, NaN at dead steps never read."""
    kind, options, batch, time, steps, *_ = case
    layer, params, x, state = drawn(case)
    y, final, _ = layer.forward(params, x, state, steps=steps)
    wanted, wanted_final = by_oracle(kind, params, x, state, steps, options)
    assert arrays_of(y)[0].shape == layer.shape_out((batch, time, 2))
    assert [a.shape for a in arrays_of(final)] == list(layer.state_shape(batch))
    assert_same(y, wanted)
    assert_same(final, wanted_final)


@given(cases())
def test_gradients_of_unequal_rows(case):
    """… and every gradient is finite, right, and zero at dead steps of x."""
    _, _, batch, time, steps, _, seed = case
    layer, params, x, state = drawn(case)
    gradients, _, _ = backward(layer, params, x, state, steps, seed)
    assert all(np.isfinite(g).all() for g in gradients.values())
    assert not gradients["x"][~steps.live(batch, time)].any()
    assert worst_error(layer, params, x, state, steps, seed=seed, nothing_zero=False) < 1e-10


@given(cases(), st.integers(0, 6))
def test_two_chunks_equal_one_sequence(case, cut):
    """The state handed on, a sequence may be cut anywhere."""
    _, options, _, time, steps, *_ = case
    assume(cut <= time and not options["bidirectional"] and "go_backwards" not in options)
    assume(options.get("masked_output") != "repeat")  # what was repeated last is no part of the state
    layer, params, x, state = drawn(case)
    y, final, _ = layer.forward(params, x, state, steps=steps)
    first, between, _ = layer.forward(params, x[:, :cut], state, steps=steps.window(0, cut))
    second, last, _ = layer.forward(params, x[:, cut:], between, steps=steps.window(cut, time))
    for a, b in zip(arrays_of(final), arrays_of(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    for a, b, c in zip(arrays_of(y), arrays_of(first), arrays_of(second), strict=True):
        joined = c if options.get("return_sequences") is False else np.concatenate([b, c], axis=1)
        np.testing.assert_allclose(a, joined, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["relu", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu", "gelu", "silu", None])
def test_activations_reach_the_cell(kind, name):
    rng = np.random.default_rng(1)
    words = {"activation": name} | ({} if kind == "rnn" else {"recurrent_activation": name})
    layer = build(kind, **words)
    params, state, x = draw_params(layer, rng), draw_state(layer, 2, rng), rng.standard_normal((2, 5, F))
    y, final, _ = layer.forward(params, x, state)
    wanted = by_oracle(kind, params, x, state, None, words)
    assert_same(y, wanted[0])
    assert_same(final, wanted[1])
    assert layer.analytic == Activation(name or "linear").analytic
    assert worst_error(layer, params, x, state) < (1e-10 if layer.analytic else 1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_activation_with_constants(kind):
    rng = np.random.default_rng(5)
    layer = build(kind, activation=Activation("leaky_relu", 0.3))
    params, x = draw_params(layer, rng), rng.standard_normal((2, 5, F))
    y, _, _ = layer.forward(params, x)
    assert_same(y, by_oracle(kind, params, x, None, None, {"activation": ("leaky_relu", 0.3)})[0])


# ------------------------------------------------------------------------------------------------------------- promises


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [None, HOLES], ids=["dense", "holes"])
def test_float32(kind, steps):
    rng = np.random.default_rng(2)
    layer = build(kind, num_layers=2, bidirectional=True)
    params, state, x = draw_params(layer, rng), draw_state(layer, 3, rng), rng.standard_normal((3, 6, F))
    y, final, cache = layer.forward(params, x, state, steps=steps)
    dy, dfinal, grads = draw_like(y, rng), draw_like(final, rng), params.zeros_like()
    dx, dstate = layer.backward(params, grads, cache, dy, dfinal)
    single = [a.astype("float32") for a in (*state, *dfinal)]
    n = len(state)
    small = params.astype("float32")
    y32, final32, cache32 = layer.forward(small, x.astype("float32"), type(final)(*single[:n]), steps=steps)
    grads32 = small.zeros_like()
    dx32, dstate32 = layer.backward(small, grads32, cache32, dy.astype("float32"), type(final)(*single[n:]))
    pairs = [
        (y32, y),
        (dx32, dx),
        (grads32.flat, grads.flat),
        *zip(final32, final, strict=True),
        *zip(dstate32, dstate, strict=True),
    ]
    for got, wanted in pairs:
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [None, HOLES], ids=["dense", "holes"])
def test_arguments_are_left_alone_and_results_are_copies(kind, steps):
    rng = np.random.default_rng(2)
    layer = build(kind, num_layers=2)
    params, state, x = draw_params(layer, rng), draw_state(layer, 3, rng), rng.standard_normal((3, 6, F))
    kept, kept_x, kept_state = params.flat.copy(), x.copy(), [a.copy() for a in state]
    y, final, cache = layer.forward(params, x, state, steps=steps)
    dy, dfinal, grads = draw_like(y, rng), draw_like(final, rng), params.zeros_like()
    kept_dy, kept_dfinal = dy.copy(), [a.copy() for a in dfinal]
    dx, dstate = layer.backward(params, grads, cache, dy, dfinal)
    once = grads.flat.copy()
    dx_again, _ = layer.backward(params, grads, cache, dy, dfinal)
    assert np.array_equal(dx, dx_again)
    np.testing.assert_array_equal(grads.flat, 2 * once)  # gradients are added
    for a, b in [
        (params.flat, kept),
        (x, kept_x),
        (dy, kept_dy),
        *zip(state, kept_state, strict=True),
        *zip(dfinal, kept_dfinal, strict=True),
    ]:
        assert np.array_equal(a, b)
    for array in (*arrays_of(final), *arrays_of(dstate)):
        assert not any(np.shares_memory(array, other) for other in (*state, *dfinal, y))
    again, _, _ = layer.forward(params, x, state, steps=steps)
    final.h[...] = 7
    assert np.array_equal(again, y)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_state_equals_no_state_and_a_batch_its_rows(kind):
    rng = np.random.default_rng(3)
    layer = build(kind, num_layers=2, bidirectional=True)
    params, x = draw_params(layer, rng), rng.standard_normal((4, 6, F))
    y, final, _ = layer.forward(params, x)
    zero = type(final)(*map(np.zeros_like, final))
    assert np.array_equal(layer.forward(params, x, zero)[0], y)
    for b in range(4):
        alone, state, _ = layer.forward(params, x[b : b + 1, : b + 2])
        padded, padded_state, _ = layer.forward(params, x, steps=Steps(lengths=np.arange(4) + 2))
        np.testing.assert_allclose(padded[b, : b + 2], alone[0], rtol=0, atol=1e-14)
        assert not padded[b, b + 2 :].any()
        np.testing.assert_allclose(padded_state.h[:, b], state.h[:, 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_starts_equal_rows_of_their_own(kind):
    """One row with a start in it is two rows; the second takes no state."""
    rng = np.random.default_rng(4)
    layer = build(kind, bidirectional=True)
    params, x, state = draw_params(layer, rng), rng.standard_normal((1, 7, F)), draw_state(layer, 1, rng)
    starts = np.zeros((1, 7), bool)
    starts[0, 3] = True
    y, final, _ = layer.forward(params, x, state, steps=Steps(starts=starts))
    first, _, _ = layer.forward(params, x[:, :3], state)
    second, last, _ = layer.forward(params, x[:, 3:])
    np.testing.assert_allclose(y, np.concatenate([first, second], axis=1), rtol=0, atol=1e-14)
    assert_same(final, last, 1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_repetition_ends_where_a_row_begins_anew(kind):
    """A start, at a dead step too, is another sequence: nothing of the one before is shown after it."""
    rng = np.random.default_rng(4)
    steps = Steps(mask=np.array([[1, 0, 0, 0, 1, 0]], bool), starts=np.array([[0, 0, 1, 0, 0, 0]], bool))
    layer = build(kind, masked_output="repeat")
    params, x, state = draw_params(layer, rng), rng.standard_normal((1, 6, F)), draw_state(layer, 1, rng)
    y, _, _ = layer.forward(params, x, state, steps=steps)
    assert np.array_equal(y[0, 0], y[0, 1])
    assert not y[0, 2:4].any()
    assert np.array_equal(y[0, 4], y[0, 5])
    assert_same(y, by_oracle(kind, params, x, state, steps, {"masked_output": "repeat"})[0])
    assert worst_error(layer, params, x, state, steps) < 1e-10


def test_dropout_between_layers():
    """In training only; scaled; a constant fraction of zeros; never on the output; the gradients follow the same mask."""
    rng = np.random.default_rng(0)
    layer = build("lstm", num_layers=2, dropout=0.5)
    params, state, x = draw_params(layer, rng), draw_state(layer, 3, rng), rng.standard_normal((3, 6, F))
    plain, dropless = layer.forward(params, x)[0], build("lstm", num_layers=2).forward(params, x)[0]
    assert np.array_equal(plain, dropless)
    first, second, third = (layer.forward(params, x, training=True, rng=np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)
    assert (first != 0).all()
    for steps in (None, HOLES):
        y, final, cache = layer.forward(params, x, state, steps=steps, training=True, rng=np.random.default_rng(7))
        dy, dfinal, grads = draw_like(y, rng), draw_like(final, rng), params.zeros_like()
        layer.backward(params, grads, cache, dy, dfinal)
        v = rng.standard_normal(params.flat.shape)
        ends = []
        for step in (1e-6, -1e-6):
            moved = params.copy()
            with moved.edit() as flat:
                flat += step * v
            out, last, _ = layer.forward(moved, x, state, steps=steps, training=True, rng=np.random.default_rng(7))
            ends.append((out * dy).sum() + sum((a * d).sum() for a, d in zip(last, dfinal, strict=True)))
        wanted = (ends[0] - ends[1]) / 2e-6
        assert abs(grads.flat @ v - wanted) < 1e-7 * np.abs(grads.flat).max() * np.linalg.norm(v)


def test_dropout_keeps_the_mean():
    """The first layer's outputs are one each: what the second layer reads is 0 or 1 / (1 - rate), 1 on average."""
    layer = build("rnn", 1, 1, num_layers=2, dropout=0.25, activation=None, bias=False)
    weights = {"layer0.W": 1.0, "layer0.U": 0.0, "layer1.W": 1.0, "layer1.U": 0.0}
    params = Parameters.of({name: np.array([[w]]) for name, w in weights.items()})
    y, _, _ = layer.forward(params, np.ones((100, 100, 1)), training=True, rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs(y.mean() - 1) < 0.02


# ------------------------------------------------------------------------------------------------ beginnings and borders


def test_names_and_shapes():
    layer = layers.GRU(3, 4, num_layers=2, bidirectional=True, learn_initial_state=True)
    one = {"W": (3, 12), "U": (4, 12), "b": (12,), "bn": (4,), "h0": (4,)}
    wanted = {
        f"layer{k}.{d}.{n}": (8, 12) if n == "W" and k else s
        for k in (0, 1)
        for d in ("forward", "backward")
        for n, s in one.items()
    }
    assert layer.init(np.random.default_rng(0)).shapes == wanted
    assert layers.LSTM(3, 4, learn_initial_state=True).init(np.random.default_rng(0)).shapes == {
        "W": (3, 16), "U": (4, 16), "b": (16,), "h0": (4,), "c0": (4,)
    }  # fmt: skip
    assert layers.RNN(3, 4, bias=False).init(np.random.default_rng(0)).shapes == {"W": (3, 4), "U": (4, 4)}
    assert "bn" not in layers.GRU(3, 4, reset_after=False).init(np.random.default_rng(0))
    assert "bn" not in layers.GRU(3, 4, bias=False).init(np.random.default_rng(0))


def test_beginnings():
    """Keras' defaults, PyTorch's, and chrono's (the input gate's bias is minus the forget gate's)."""
    p = layers.LSTM(5, 40).init(np.random.default_rng(0))
    assert p["b"].tolist() == [0] * 40 + [1] * 40 + [0] * 80
    np.testing.assert_allclose(p["U"] @ p["U"].T, np.eye(40), atol=1e-12)
    limit = np.sqrt(6 / (5 + 160))
    assert 0.98 * limit < np.abs(p["W"]).max() <= limit
    assert layers.LSTM(5, 4, forget_bias=2.5).init(np.random.default_rng(0))["b"].tolist() == [0] * 4 + [2.5] * 4 + [0] * 8
    for layer in (layers.RNN, layers.LSTM, layers.GRU):
        p = layer(5, 16, init="pytorch").init(np.random.default_rng(0))
        assert all(0.8 * 0.25 < np.abs(array).max() <= 0.25 for _, array in p.items())
    b = layers.LSTM(5, 50, init="chrono", chrono_steps=30).init(np.random.default_rng(0))["b"]
    assert np.array_equal(b[:50], -b[50:100])
    assert (b[50:100] >= 0).all()
    assert np.log(20) < b[50:100].max() <= np.log(29)
    assert not b[100:].any()
    b = layers.GRU(5, 50, init="chrono", chrono_steps=30).init(np.random.default_rng(0))["b"]
    assert (b[:50] >= 0).all()
    assert b[:50].any()
    same, again = (layers.GRU(2, 3, num_layers=2).init(np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(same.flat, again.flat)
    assert not np.array_equal(same["layer0.U"], same["layer1.U"])
    named = layers.RNN(2, 3, kernel_initializer="ones", recurrent_initializer="identity", bias_initializer="ones")
    p = named.init(np.random.default_rng(0))
    assert p.flat.tolist() == [1.0] * 6 + np.eye(3).ravel().tolist() + [1.0] * 3


def test_a_learned_initial_state_begins_at_zero_and_frozen_layers_are_frozen():
    p = layers.LSTM(2, 3, learn_initial_state=True).init(np.random.default_rng(0))
    assert not p["h0"].any()
    assert not p["c0"].any()
    assert all(p.trainable.values())
    assert not any(layers.LSTM(2, 3, trainable=False).init(np.random.default_rng(0)).trainable.values())


def test_descriptions_are_values():
    assert layers.LSTM(2, 3) == layers.LSTM(2, 3, activation="tanh")
    assert layers.LSTM(2, 3) != layers.LSTM(2, 3, activation=None)
    assert hash(layers.GRU(2, 3)) == hash(layers.GRU(2, 3))
    assert repr(layers.GRU(2, 3, num_layers=2, activation=None)) == "GRU(2, 3, num_layers=2, activation='linear')"
    assert layers.LSTM(2, 3).replace(hidden_size=5) == layers.LSTM(2, 5)
    with pytest.raises(AttributeError):
        layers.LSTM(2, 3).hidden_size = 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RNN(0, 3), "input_size: got 0, wanted a whole number of at least 1"),
        (lambda: layers.RNN(2, 3.0), "hidden_size: got 3.0"),
        (lambda: layers.LSTM(2, 3, num_layers=0), "num_layers: got 0"),
        (lambda: layers.LSTM(2, 3, bidirectional=1), "bidirectional: got 1, wanted True or False"),
        (lambda: layers.LSTM(2, 3, activation="tahn"), "'tahn' is unknown; known"),
        (lambda: layers.GRU(2, 3, recurrent_activation="x"), "'x' is unknown; known"),
        (lambda: layers.GRU(2, 3, activation="softmax"), "softmax"),
        (lambda: layers.GRU(2, 3, reset_after=None), "reset_after: got None"),
        (lambda: layers.LSTM(2, 3, dropout=0.1), "dropout acts between layers"),
        (lambda: layers.LSTM(2, 3, num_layers=2, dropout=1.0), "dropout: got 1.0"),
        (lambda: layers.LSTM(2, 3, masked_output="hold"), "masked_output='hold' is unknown; known: 'zero', 'repeat'"),
        (lambda: layers.LSTM(2, 3, init="jax"), "init='jax' is unknown; known"),
        (lambda: layers.LSTM(2, 3, kernel_initializer="nope"), "kernel_initializer='nope' is unknown"),
        (lambda: layers.LSTM(2, 3, init="pytorch", kernel_initializer="ones"), "kernel_initializer"),
        (lambda: layers.LSTM(2, 3, init="pytorch", forget_bias=1.0), "forget_bias"),
        (lambda: layers.LSTM(2, 3, bias=False, forget_bias=1.0), "forget_bias"),
        (lambda: layers.LSTM(2, 3, chrono_steps=5), "chrono_steps"),
        (lambda: layers.RNN(2, 3, init="chrono"), "chrono"),
        (lambda: layers.LSTM(2, 3, bidirectional=True, go_backwards=True), "go_backwards"),
        (lambda: layers.LSTM(2, 3, return_sequences=False, return_state_sequence=True), "return_state_sequence"),
        (lambda: layers.LSTM(2, 3, return_sequences=False, masked_output="repeat"), "masked_output"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_shapes_refused():
    for shape in ((2, 5), (2, 5, 4), (1, 2, 5, 3)):
        with pytest.raises(ShapeError, match="wanted"):
            layers.LSTM(3, 4).shape_out(shape)
    with pytest.raises(OptionError, match="float64: float32 is compiled"):
        layers.LSTM(3, 4).forward(layers.LSTM(3, 4).init(np.random.default_rng(0)), np.ones((1, 2, 3)), kernel="compiled")
    with pytest.raises(OptionError, match="kernel='fast' is unknown"):
        layers.LSTM(3, 4).forward(layers.LSTM(3, 4).init(np.random.default_rng(0)), np.ones((1, 2, 3)), kernel="fast")


def test_lists_helper_is_plain():
    """The oracle sees lists only."""
    assert lists({"a": (np.ones(1), None)}) == {"a": [[1.0], None]}
