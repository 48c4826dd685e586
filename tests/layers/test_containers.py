"""Sequential, Residual, Parallel, Shared: values from their parts, gradients of the whole, dead steps, states, freezing."""

import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from layer_checks import arrays_of, backward, draw_params, draw_state, worst_error
from strategies import as_lists, ragged_steps

from gatewright import layers
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Embedding,
    LayerNorm,
    Masking,
    Parallel,
    Residual,
    Sequential,
    Shared,
)
from gatewright.steps import Steps

TIED, CELL, WIDE = Shared(Dense(2, 2, "tanh"), "d"), Shared(LSTM(2, 2), "r"), Shared(GRU(3, 3), "g")
NETS = {
    "stack": Sequential(LSTM(2, 3), LayerNorm(3), GRU(3, 4), Dense(4, 2, "tanh")),
    "last": Sequential(GRU(2, 3, bidirectional=True), RNN(6, 3, return_sequences=False), Dense(3, 2)),
    "backwards": Sequential(LSTM(2, 3), RNN(3, 3, go_backwards=True), GRU(3, 2), Dense(2, 2)),
    "residual": Sequential(Dense(2, 3), Residual(LSTM(3, 3)), Residual(Sequential(GRU(3, 4), Dense(4, 3)))),
    "parallel": Sequential(Parallel([LSTM(2, 3), Sequential(RNN(2, 4), Dense(4, 3))]), GRU(6, 2)),
    "mul": Parallel([LSTM(2, 3), RNN(2, 3), Dense(2, 3, "sigmoid")], "mul"),
    "ave": Parallel([GRU(2, 3, return_sequences=False), RNN(2, 3, return_sequences=False)], "ave"),
    "sum": Parallel([GRU(2, 3), RNN(2, 3)], merge="sum"),
    "shared": Sequential(TIED, CELL, TIED, CELL),
    "nested": Sequential(Bidirectional(LSTM(2, 3), "ave"), Sequential(Residual(WIDE), WIDE), Dense(3, 1)),
}
MASKED = {
    "masking": Sequential(Masking(0.0), LSTM(2, 3), Dense(3, 2)),
    "masking backwards": Sequential(Masking(0.0), GRU(2, 3, go_backwards=True), RNN(3, 2)),
}


@given(st.sampled_from(sorted(NETS | MASKED)), ragged_steps(), st.booleans(), st.integers(0, 999))
def test_gradients_over_unequal_rows(name, case, given_state, seed):
    """NaN at dead steps never read, dead outputs zero, every gradient right."""
    batch, time, steps = case
    layer, rng = (NETS | MASKED)[name], np.random.default_rng(seed)
    params, state = draw_params(layer, rng), draw_state(layer, batch, rng) if given_state else None
    x = rng.standard_normal((batch, time, 2))
    if name in MASKED:
        x[rng.random((batch, time)) < 0.4] = 0
    live = steps.live(batch, time)
    x = np.where(live[..., None], x, np.nan)
    y, final, _ = layer.forward(params, x, state, steps=steps)
    assert y.shape == layer.shape_out(x.shape)
    assert np.isfinite(y).all()
    assert all(np.isfinite(a).all() for a in arrays_of(final))
    out = layer.steps_out(x, steps)
    if out is not None and y.ndim == 3:
        assert not y[~out.live(batch, time)].any()
    gradients, _, _ = backward(layer, params, x, state, steps, seed)
    assert not gradients["x"][~live].any()
    assert name in MASKED or worst_error(layer, params, x, state, steps, seed=seed, nothing_zero=False) < 1e-10


@pytest.mark.parametrize("name", NETS)
def test_gradients(name):
    rng = np.random.default_rng(3)
    layer = NETS[name]
    params, state, x = draw_params(layer, rng), draw_state(layer, 2, rng), rng.standard_normal((2, 5, 2))
    assert worst_error(layer, params, x, state, directions=3) < 1e-10


def weights_of(params, prefix):
    return {n.removeprefix(prefix): a.tolist() for n, a in params.items() if n.startswith(prefix)}


@given(ragged_steps(), st.integers(0, 999))
def test_a_network_by_the_oracle(case, seed):
    """Masking -> LSTM -> LayerNorm -> GRU -> Dense, each by the oracle on what the one before gave."""
    batch, time, steps = case
    assume(batch and time)
    rng = np.random.default_rng(seed)
    layer = Sequential(Masking(0.0), LSTM(2, 3), LayerNorm(3), GRU(3, 2, bidirectional=True), Dense(4, 2, "softmax"))
    params, x = draw_params(layer, rng), rng.standard_normal((batch, time, 2))
    x[rng.random((batch, time)) < 0.3] = 0
    words = as_lists(steps)
    live = oracle.live_steps(batch, time, words["lengths"], words["mask"])
    h, live = oracle.masking(x.tolist(), 0.0, live)
    starts = words["starts"]
    h, first = oracle.recurrent("lstm", h, [[weights_of(params, "1.")]], {}, mask=live, starts=starts)
    norm = weights_of(params, "2.")
    h = oracle.at_live(lambda step: oracle.layer_norm(step, norm["gain"], norm["shift"], 1e-5), h, live)
    both = [[weights_of(params, "3.forward."), weights_of(params, "3.backward.")]]
    if not any(map(any, live)):
        return
    h, second = oracle.recurrent("gru", h, both, {}, mask=live, starts=starts)
    dense = weights_of(params, "4.")
    wanted = oracle.at_live(lambda step: oracle.dense(step, dense["W"], dense["b"], "softmax"), h, live)
    y, state, _ = layer.forward(params, x, steps=steps)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-12)
    for got, want in zip(arrays_of(state), [*first, *second], strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


def test_embedding_makes_the_mask_for_all_that_follow():
    rng = np.random.default_rng(0)
    layer = Sequential(Embedding(5, 3, mask_zero=True), LSTM(3, 4), Dense(4, 2))
    params, x = draw_params(layer, rng), np.array([[1, 2, 0, 0], [3, 0, 4, 1]])
    y, state, _ = layer.forward(params, x)
    assert not y[x == 0].any()
    assert y[x != 0].all()
    alone, end, _ = layer.forward(params, np.array([[3, 4, 1]]))
    np.testing.assert_allclose(y[1, [0, 2, 3]], alone[0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(state[1].h[:, 1], end[1].h[:, 0], rtol=0, atol=1e-15)
    assert layer.steps_out(x, None).live(2, 4).tolist() == (x != 0).tolist()
    assert worst_error(layer, params, x) < 1e-10


def test_residual_and_parallel_are_sums_of_their_parts():
    rng = np.random.default_rng(0)
    a, b, x = RNN(3, 3), Dense(3, 3), rng.standard_normal((2, 5, 3))
    steps = Steps(lengths=np.array([5, 2]))
    live = steps.live(2, 5)[..., None]
    params = draw_params(Parallel([a, b]), rng)
    ya, yb = (layer.forward(params.scope(str(k)), x, steps=steps)[0] for k, layer in enumerate((a, b)))
    joined = {how: Parallel([a, b], how).forward(params, x, steps=steps)[0] for how in ("concat", "sum", "mul", "ave")}
    for how, wanted in (("concat", np.concatenate([ya, yb], -1)), ("sum", ya + yb), ("mul", ya * yb), ("ave", (ya + yb) / 2)):
        np.testing.assert_allclose(joined[how], wanted, rtol=0, atol=1e-15)
    alone = draw_params(a, rng)
    np.testing.assert_allclose(
        Residual(a).forward(alone, x, steps=steps)[0], x * live + a.forward(alone, x, steps=steps)[0], rtol=0, atol=1e-15
    )


def test_mul_with_a_zero_output_has_gradients():
    """The product rule, not y / y_k."""
    rng = np.random.default_rng(0)
    layer = Parallel([Dense(2, 2, bias=False), Dense(2, 2)], "mul")
    params = draw_params(layer, rng)
    params.assign({"0.W": np.array([[1.0, 0.0], [2.0, 0.0]])})
    assert worst_error(layer, params, rng.standard_normal((2, 5, 2))) < 1e-10


def test_shared_is_stored_once_and_plain_layers_share_nothing():
    rng = np.random.default_rng(0)
    net = NETS["shared"]
    assert list(net.init(rng)) == ["shared.d.W", "shared.d.b", "shared.r.W", "shared.r.U", "shared.r.b"]
    cell = LSTM(2, 2)
    twice = Sequential(cell, cell)
    params = twice.init(rng)
    assert len(params) == 6
    assert not np.array_equal(params["0.W"], params["1.W"])
    # Every use adds to the one gradient: the same as two plain layers with equal weights, summed.
    both = draw_params(twice, rng)
    both.assign({f"1.{n}": both[f"0.{n}"] for n in "WUb"})
    tied = Sequential(Shared(cell, "r"), Shared(cell, "r"))
    one = draw_params(tied, rng)
    one.assign({f"shared.r.{n}": both[f"0.{n}"] for n in "WUb"})
    x = rng.standard_normal((2, 5, 2))
    apart, together = backward(twice, both, x)[0], backward(tied, one, x)[0]
    for n in "WUb":
        np.testing.assert_allclose(together[f"shared.r.{n}"], apart[f"0.{n}"] + apart[f"1.{n}"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(together["x"], apart["x"], rtol=0, atol=1e-13)


def test_names_and_states_follow_the_nesting():
    rng = np.random.default_rng(0)
    net = Sequential(LSTM(2, 3, num_layers=2), Residual(GRU(3, 3)), Dense(3, 1), Parallel([RNN(1, 2), Dense(1, 2)]))
    assert list(net.init(rng)) == [
        *(f"0.layer{k}.{n}" for k in (0, 1) for n in "WUb"), "1.W", "1.U", "1.b", "1.bn", "2.W", "2.b",
        "3.0.W", "3.0.U", "3.0.b", "3.1.W", "3.1.b",
    ]  # fmt: skip
    _, state, _ = net.forward(net.init(rng), rng.standard_normal((4, 5, 2)))
    assert [a.shape for a in state[0]] == [(2, 4, 3), (2, 4, 3)]
    assert state[1].h.shape == (1, 4, 3)
    assert state[2] is None
    assert state[3][0].h.shape == (1, 4, 2)
    assert state[3][1] is None


@given(
    st.sampled_from(["stack", "residual", "parallel", "sum", "shared"]), ragged_steps(), st.integers(0, 6), st.integers(0, 99)
)
def test_two_chunks_equal_one_sequence(name, case, cut, seed):
    batch, time, steps = case
    assume(cut <= time)
    layer, rng = NETS[name], np.random.default_rng(seed)
    params, state, x = draw_params(layer, rng), draw_state(layer, batch, rng), rng.standard_normal((batch, time, 2))
    y, final, _ = layer.forward(params, x, state, steps=steps)
    first, between, _ = layer.forward(params, x[:, :cut], state, steps=steps.window(0, cut))
    second, last, _ = layer.forward(params, x[:, cut:], between, steps=steps.window(cut, time))
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), y, rtol=0, atol=1e-13)
    for a, b in zip(arrays_of(final), arrays_of(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_frozen_parts():
    rng = np.random.default_rng(0)
    net = Sequential(LSTM(2, 3, trainable=False), Sequential(Dense(3, 3), trainable=False), Dense(3, 1))
    trained = net.init(rng).trainable
    assert [name for name, on in trained.items() if on] == ["2.W", "2.b"]
    assert not any(Sequential(Dense(2, 2), Shared(Dense(2, 2), "s"), trainable=False).init(rng).trainable.values())
    assert not any(Bidirectional(LSTM(2, 3), trainable=False).init(rng).trainable.values())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sequential(), OptionError, "got no layers"),
        (lambda: Sequential(LSTM(2, 3), "dense"), OptionError, "layer 1: got 'dense', wanted a layer"),
        (
            lambda: Sequential(LSTM(2, 3), Dense(4, 1)),
            ShapeError,
            r"layer 1, Dense\(4, 1\), takes 4 features, and layer 0 gives 3",
        ),
        (
            lambda: Sequential(LSTM(2, 3, return_sequences=False), GRU(3, 1)),
            ShapeError,
            r"layer 1, GRU\(3, 1\), reads a sequence, but layer 0 gives its last output alone",
        ),
        (
            lambda: Sequential(Embedding(5, 2), Dense(3, 1)),
            ShapeError,
            r"layer 1, Dense\(3, 1\), takes 3 features, and layer 0 gives 2",
        ),
        (lambda: Sequential(LSTM(2, 3, return_state_sequence=True), Dense(3, 1)), OptionError, "layer 0 gives states"),
        (lambda: Residual(LSTM(2, 3)), ShapeError, "makes 3 features of 2; wanted as many"),
        (lambda: Residual(LSTM(2, 2, return_sequences=False)), ShapeError, "gives its last output alone"),
        (lambda: Parallel(LSTM(2, 3)), OptionError, "wanted a list of layers"),
        (lambda: Parallel([LSTM(2, 3), LSTM(3, 3)]), ShapeError, "take 2, 3 features; all see the same x"),
        (lambda: LSTM(2, 3, forget_bias="x"), OptionError, "forget_bias: got 'x', wanted a number"),
        (lambda: Residual(Embedding(5, 2)), OptionError, "indices"),
        (lambda: Parallel([]), OptionError, "got no layers"),
        (lambda: Parallel([LSTM(2, 3), Dense(2, 4)], "sum"), ShapeError, "merge='sum' can't join"),
        (lambda: Parallel([LSTM(2, 3)], "max"), OptionError, "merge='max' is unknown; known"),
        (lambda: Parallel([LSTM(2, 3), Embedding(5, 3)]), OptionError, "indices"),
        (lambda: Parallel([LSTM(2, 3, return_state_sequence=True)]), OptionError, "gives states"),
        (lambda: Shared(LSTM(2, 3), "a.b"), OptionError, "without dots"),
        (lambda: Shared(LSTM(2, 3), ""), OptionError, "wanted a word"),
        (lambda: Sequential(Shared(Dense(2, 2), "a"), Shared(Dense(2, 2, "tanh"), "a")), OptionError, "stands for two layers"),
        (lambda: Residual(GRU(3, 3, go_backwards=True)), OptionError, "go_backwards"),
        (lambda: Parallel([GRU(3, 3, go_backwards=True), GRU(3, 3)]), OptionError, "go_backwards"),
        (lambda: Sequential(LSTM(2, 2), Masking(0.0)), OptionError, "put it first"),
        (lambda: Sequential(LSTM(2, 2), Residual(Sequential(Masking(0.0), LSTM(2, 2)))), OptionError, "first"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_a_network_says_of_itself():
    net = Sequential(Embedding(9, 2), LSTM(2, 3, bidirectional=True), Dense(6, 1, "relu"))
    assert net.takes_indices
    assert net.features_in is None
    assert not net.analytic
    assert "bidirectional" in net.chunk_problem
    assert net.shape_out((4, 7)) == (4, 7, 1)
    assert repr(Sequential(LSTM(2, 3), Dense(3, 1))) == "Sequential(LSTM(2, 3), Dense(3, 1))"
    assert Sequential([LSTM(2, 3), Dense(3, 1)]) == Sequential(LSTM(2, 3), Dense(3, 1))
    assert NETS["stack"].features_in == 2
    assert NETS["stack"].analytic
    assert NETS["stack"].chunk_problem is None
    assert [type(part).__name__ for part in layers.leaves(Residual(Shared(LSTM(2, 2), "r")))] == ["Residual", "Shared", "LSTM"]
