"""Conv1D against the oracle and Keras: values, gradients, state, unequal rows, and what is refused."""

import goldens
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_checks import assert_as_keras, draw_params, draw_state, worst_error
from refusals import refused

import gatewright as gw
from gatewright.errors import OptionError, ShapeError
from gatewright.layers import Conv1D
from gatewright.layers.convolution import ConvState
from gatewright.steps import Steps

KERAS = goldens.load("keras_convolutions")
B, T, F, H = 3, 9, 4, 6
LENGTHS = np.array([7, 9, 2])
WINDOWS = [
    (padding, stride, dilation) for padding in ("valid", "same", "causal") for stride, dilation in ((1, 1), (2, 1), (3, 2))
]


def options_of(layer):
    """The options as the oracle takes them."""
    return {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}


def by_oracle(layer, params, x, lengths):
    """Every row alone, zeros behind it."""
    b = params["b"].tolist() if layer.bias else None
    y = np.zeros(layer.shape_out(x.shape))
    for row, (steps, length) in enumerate(zip(x, lengths, strict=True)):
        out = oracle.conv1d(steps[:length].tolist(), params["W"].tolist(), b, layer.activation.name, **options_of(layer))
        if out:
            y[row, : len(out)] = out
    return y


def padded(x, lengths):
    """x with NaN behind every row."""
    return np.where((np.arange(x.shape[1]) < lengths[:, None])[..., None], x, np.nan)


@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize(("groups", "bias", "activation"), [(1, True, "tanh"), (2, False, "softmax"), (2, True, None)])
@pytest.mark.parametrize(("padding", "stride", "dilation"), WINDOWS)
def test_values_and_gradients(padding, stride, dilation, groups, bias, activation, unequal):
    rng = np.random.default_rng(1)
    words = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layer = Conv1D(F, H, 3, bias=bias, activation=activation, **words)
    params, x = draw_params(layer, rng), rng.standard_normal((B, T, F))
    lengths = LENGTHS if unequal else np.full(B, T)
    steps = Steps(LENGTHS) if unequal else None
    x = padded(x, lengths)
    y, state, _ = layer.forward(params, x, steps=steps)
    np.testing.assert_allclose(y, by_oracle(layer, params, x, lengths), rtol=0, atol=1e-14)
    assert (state is None) == (layer.state_shape(B) is None) == (padding != "causal" or stride > 1)
    out = layer.steps_out(x, steps)
    assert out is None if steps is None else out.lengths.tolist() == layer.lengths_out(lengths).tolist()
    assert layer.analytic
    assert worst_error(layer, params, x, draw_state(layer, B, rng), steps, directions=3) < 1e-10


def test_gradients_with_kinks():
    rng = np.random.default_rng(1)
    layer = Conv1D(F, H, 2, padding="same", activation="elu")
    params, x = draw_params(layer, rng), rng.standard_normal((B, T, F))
    assert not layer.analytic
    assert worst_error(layer, params, x, directions=3) < 1e-7


@given(st.data())
def test_every_row_is_as_it_would_be_alone(data):
    """Any sizes and lengths, T = 0, B = 0 and K > T too; the oracle knows no batch."""
    whole = st.integers(1, 4)
    layer = Conv1D(
        2, 2, data.draw(whole), stride=data.draw(whole), dilation=data.draw(whole), groups=data.draw(st.integers(1, 2)),
        padding=data.draw(st.sampled_from(("valid", "same", "causal"))), activation="tanh",
    )  # fmt: skip
    least = layer.window.reach if layer.padding == "valid" else 0
    batch, time = data.draw(st.integers(0, 3)), data.draw(st.integers(least, least + 6))
    lengths = np.array(data.draw(st.lists(st.integers(0, time), min_size=batch, max_size=batch)), int)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    params, x = draw_params(layer, rng), padded(rng.standard_normal((batch, time, 2)), lengths)
    mask = np.arange(time) < lengths[:, None]
    y, _, _ = layer.forward(params, x, steps=Steps(mask=mask))
    np.testing.assert_allclose(y, by_oracle(layer, params, x, lengths), rtol=0, atol=1e-14)
    out = layer.steps_out(x, Steps(mask=mask))
    assert (np.full(batch, y.shape[1]) if out is None else out.lengths).tolist() == layer.lengths_out(lengths).tolist()
    for row, length in enumerate(lengths.tolist()):
        if length >= least:
            alone, _, _ = layer.forward(params, x[row : row + 1, :length])
            assert alone.shape[1] == layer.lengths_out(lengths)[row]
            np.testing.assert_allclose(y[row, : alone.shape[1]], alone[0], rtol=0, atol=1e-15)
    assert worst_error(layer, params, x, draw_state(layer, batch, rng), Steps(lengths), nothing_zero=False) < 1e-9


@pytest.mark.parametrize("lengths", [None, [5, 9, 1], [0, 2, 9]])
def test_the_state_is_what_stands_before_the_row(lengths):
    rng = np.random.default_rng(1)
    layer = Conv1D(F, H, 3, dilation=2, padding="causal", activation="tanh")
    params, x = draw_params(layer, rng), rng.standard_normal((B, T, F))
    state = draw_state(layer, B, rng)
    assert state.x.shape == (4, B, F)
    steps = None if lengths is None else Steps(np.array(lengths))
    y, after, _ = layer.forward(params, x, state, steps=steps)
    for row, length in enumerate(lengths or [T] * B):
        history = np.concatenate([state.x[:, row], x[row, :length]])
        np.testing.assert_array_equal(after.x[:, row], history[-4:])
        wanted = oracle.conv1d(history.tolist(), params["W"].tolist(), params["b"].tolist(), "tanh", dilation=2)
        np.testing.assert_allclose(y[row, :length], np.reshape(wanted, (length, H)), rtol=0, atol=1e-14)
    assert worst_error(layer, params, x, state, steps, directions=3) < 1e-10


def test_arguments_are_left_alone_and_dtypes_stay():
    rng = np.random.default_rng(0)
    layer = Conv1D(F, H, 3, padding="causal", activation="relu")
    params = draw_params(layer, rng, dtype=np.float32)
    x, state = rng.standard_normal((B, T, F)).astype("f"), draw_state(layer, B, rng, np.float32)
    kept = x.copy(), state.x.copy()
    for kernel in ("numpy", "auto"):
        y, after, cache = layer.forward(params, x, state, kernel=kernel)
        dx, dstate = layer.backward(params, params.zeros_like(), cache, np.ones_like(y), ConvState(np.ones_like(after.x)))
        assert {a.dtype for a in (y, after.x, dx, dstate.x)} == {np.dtype("f")}
        after.x.fill(9)
        dstate.x.fill(9)
        assert np.array_equal(x, kept[0])
        assert np.array_equal(state.x, kept[1])


@pytest.mark.parametrize("case", [case for case in KERAS if KERAS[case][0]["layer"] == "Conv1D"])
def test_keras(case):
    assert_as_keras(*KERAS[case])


def test_beginnings():
    """Keras' fans: a kernel's steps multiply both. PyTorch's limit is that of all numbers that an output reads."""
    p = Conv1D(30, 40, 5).init(np.random.default_rng(0))
    limit = np.sqrt(6 / (5 * 30 + 5 * 40))
    assert 0.98 * limit < np.abs(p["W"]).max() <= limit
    assert not p["b"].any()
    p = Conv1D(32, 400, 4, groups=2, init="pytorch").init(np.random.default_rng(0))
    assert all(0.98 / 8 < np.abs(array).max() <= 1 / 8 for _, array in p.items())
    W = Conv1D(3, 5, 4, kernel_initializer="orthogonal").init(np.random.default_rng(0))["W"].reshape(12, 5)
    np.testing.assert_allclose(W.T @ W, np.eye(5), atol=1e-12)
    assert not any(Conv1D(2, 2, 2, trainable=False).init(np.random.default_rng(0)).trainable.values())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Conv1D(2, 3, 0), ["kernel_size: got 0"]),
        (lambda: Conv1D(2, 3, (3,)), ["kernel_size: got (3,)", "whole number"]),
        (lambda: Conv1D(0, 3, 2), ["input_size: got 0"]),
        (lambda: Conv1D(2, 3, 2, stride=0), ["stride: got 0"]),
        (lambda: Conv1D(2, 3, 2, dilation=1.5), ["dilation: got 1.5"]),
        (lambda: Conv1D(2, 3, 2, padding="full"), ["padding='full' is unknown; known: 'valid', 'same', 'causal'"]),
        (lambda: Conv1D(4, 6, 2, groups=4), ["groups=4 must divide input_size=4 and output_size=6"]),
        (lambda: Conv1D(4, 6, 2, groups=0), ["groups: got 0"]),
        (lambda: Conv1D(4, 6, 2, bias=1), ["bias: got 1"]),
        (lambda: Conv1D(4, 6, 2, init="chrono"), ["init='chrono' is unknown"]),
        (lambda: Conv1D(4, 4, 2, kernel_initializer="identity"), ["'identity' is for matrices"]),
        (lambda: Conv1D(4, 6, 2, bias=False, bias_initializer="ones"), ["bias_initializer", "bias=False"]),
    ],
)
def test_refusals(make, words):
    with refused(OptionError, *words):
        make()


def test_shapes_refused():
    model = gw.Model(gw.Sequential(Conv1D(2, 3, 3, dilation=2), gw.LSTM(3, 2)), seed=0)
    with refused(ShapeError, "layer 0, Conv1D(2, 3, 3, dilation=2)", "got x of 4 steps, wanted at least 5"):
        model.predict(np.ones((1, 4, 2)))
    with refused(ShapeError, "wanted (batch, time, 2)"):
        model.layer.layers[0].shape_out((3, 2))
    assert model.predict([np.ones((6, 2)), np.ones((2, 2))])[1].shape == (0, 2)  # too short beside one that is not


def test_steps_refused():
    x, holes = np.ones((2, 5, 2)), np.array([[1, 1, 1, 0, 0], [1, 0, 1, 0, 0]], bool)
    model = gw.Model(Conv1D(2, 3, 2), seed=0)
    with refused(OptionError, "Conv1D: the mask of row 1 has a hole; wanted rows that are padded at their end"):
        model.predict(x, mask=holes)
    with refused(OptionError, "Conv1D: starts are for recurrent layers"):
        model.predict(x, starts=holes)
    masked = gw.Model(gw.Sequential(gw.Masking(0.0), Conv1D(2, 3, 2)), seed=0)
    with refused(OptionError, "the mask of row 1 has a hole"):
        masked.predict(np.where(holes[..., None], x, 0))
    x[1, 2:] = 0
    np.testing.assert_array_equal(masked.predict(x), model.predict(x, lengths=[5, 2]))


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (Conv1D(2, 3, 2), "padding='valid'"),
        (Conv1D(2, 3, 2, padding="same"), "padding='same'"),
        (Conv1D(2, 3, 2, padding="causal", stride=2), "stride=2"),
    ],
)
def test_what_can_not_be_streamed_says_why(layer, problem):
    model = gw.Model(gw.Sequential(layer, gw.LSTM(3, 2)), seed=0)
    with refused(OptionError, "can't be streamed: Conv1D(", problem):
        model.stream()
    with refused(OptionError, "stateful runs a sequence piece by piece", problem):
        model.fit(
            np.ones((2, 6, 2)), np.ones(model.predict(np.ones((2, 6, 2))).shape), stateful=True, shuffle=False, batch_size=2
        )


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_one_step_alone_needs_no_memory(padding):
    """A kernel of one step is a Dense: it streams whatever the padding."""
    model = gw.Model(gw.Sequential(Conv1D(2, 3, 1, padding=padding), gw.GRU(3, 2)), seed=0)
    x = np.random.default_rng(0).standard_normal((2, 4, 2)).astype("f")
    stream = model.stream(2)
    assert stream.state[0] is None
    np.testing.assert_allclose(np.stack([stream.step(x[:, t]) for t in range(4)], axis=1), model.predict(x), atol=1e-6)


def test_rows_of_a_stream_are_reset_and_states_built():
    model = gw.Model(gw.Sequential(Conv1D(2, 3, 3, padding="causal"), gw.GRU(3, 2)), seed=0, dtype="float64")
    x = np.random.default_rng(0).standard_normal((2, 6, 2))
    stream = model.stream(2)
    stream.run(x[:, :3])
    stream.reset([1])
    y = stream.run(x[:, 3:])
    np.testing.assert_allclose(y[0], model.predict(x)[0, 3:], atol=1e-14)
    np.testing.assert_allclose(y[1], model.predict(x[:, 3:])[1], atol=1e-14)
    state = model.state_like(np.ones((1, 2, 2)))
    assert state[0] is None
    np.testing.assert_allclose(model.run(x, state)[0][:, 0], model.run(x, (ConvState(np.zeros((2, 2, 2))), state[1]))[0][:, 0])


def test_training_with_fewer_steps_out_than_in():
    """Targets, weights and truncation follow the output's time axis, in lists too; a causal one carries its state."""
    rng = np.random.default_rng(0)
    model = gw.Model(gw.Sequential(Conv1D(2, 4, 3, stride=2, activation="tanh"), gw.LSTM(4, 2)), seed=0, dtype="float64")
    rows = [rng.standard_normal((n, 2)) for n in (9, 4, 2)]
    y = [rng.standard_normal((n, 2)) for n in (4, 1, 0)]
    assert [out.shape for out in model.predict(rows)] == [out.shape for out in y]
    assert model.gradcheck(rows, y).ok
    assert model.gradcheck(rows, y, sample_weight=[np.arange(1.0, 5), np.ones(1), np.ones(0)]).ok
    with refused(ShapeError, "y[0]: got 3 steps, wanted 4, as x[0]'s output has"):
        model.gradients(rows, [y[0][:3], *y[1:]])
    alone = sum(((out - wanted) ** 2).sum() for out, wanted in zip(model.predict(rows), y, strict=True)) / 10
    assert model.evaluate(rows, y)["loss"] == pytest.approx(alone)
    causal = gw.Model(gw.Sequential(Conv1D(2, 4, 3, padding="causal"), gw.LSTM(4, 2)), seed=0)
    x, target = rng.standard_normal((4, 12, 2)), rng.standard_normal((4, 12, 2))
    words = {"epochs": 2, "batch_size": 2, "verbose": False, "shuffle": False}
    losses = causal.fit(x, target, tbptt=(4, 6), stateful=True, **words).history["loss"]
    assert losses[1] < losses[0]


def test_networks_know_their_lengths():
    net = gw.Sequential(Conv1D(2, 4, 3, stride=2), gw.Residual(Conv1D(4, 4, 3, padding="same")), gw.MaxPooling1D(2))
    both = gw.Parallel([net, gw.Sequential(Conv1D(2, 3, 3, stride=2), gw.AveragePooling1D(2))])
    model = gw.Model(gw.Sequential(both, gw.GRU(7, 2, go_backwards=True, masked_output="repeat")), seed=0, dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 11, 2))
    y = model.predict(x, lengths=[11, 7, 2])
    assert y.shape == (3, 2, 2)
    np.testing.assert_allclose(y[1, 1:], model.predict(x[1:2, :7])[0], atol=1e-14)
    assert not y[2].any()
    for layer, words in (
        (lambda: gw.Residual(Conv1D(2, 2, 3)), ["changes the number of steps"]),
        (lambda: gw.Residual(Conv1D(2, 2, 3, stride=2, padding="same")), ["changes the number of steps"]),
        (lambda: gw.Parallel([Conv1D(2, 2, 3), gw.Dense(2, 2)]), ["(1, another time, 2), (1, time, 2)"]),
        (lambda: gw.Sequential(Conv1D(2, 2, 3), gw.LSTM(3, 2)), ["layer 1", "takes 3 features, and layer 0 gives 2"]),
    ):
        with refused(ShapeError, *words):
            layer()
