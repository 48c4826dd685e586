"""The law of bits: a row's output does not depend on the batch around it, on chunks, padding, threads or the vectors' width."""

import numpy as np
import pytest
from kernel_cases import KINDS, recurrent
from layer_checks import arrays_of, draw_params, draw_state

import gatewright as gw
from gatewright.kernels import target

BATCH, TIME = 33, 14
SIZES = [(1, 1), (1, 3), (3, 50), (5, 32), (3, 100), (20, 16)]  # (F, H): tails of every kind


NETWORKS = {
    **{f"{kind} {F}-{H}": recurrent(kind, F, H) for kind in KINDS for F, H in SIZES},
    "two layers": gw.LSTM(3, 20, num_layers=2),
    "no bias": gw.GRU(3, 20, bias=False),
    "learned state": gw.LSTM(3, 20, learn_initial_state=True),
    **{
        f"{name} head": gw.Sequential(gw.LSTM(3, 20), gw.Dense(20, 5, name))
        for name in ("linear", "tanh", "sigmoid", "softmax")
    },
    "wide head": gw.Sequential(gw.GRU(3, 20), gw.LayerNorm(20), gw.Dense(20, 67, "softmax"), gw.Dropout(0.5)),
}
CONVOLUTIONS = {
    "convolution": gw.Sequential(gw.Conv1D(3, 37, 3, padding="causal", dilation=2, activation="relu"), gw.GRU(37, 5)),
    "narrow convolution": gw.Sequential(gw.GRU(3, 5), gw.Conv1D(5, 3, 2, padding="causal", bias=False, activation="softmax")),
}
BOTH_WAYS = {"bidirectional": gw.GRU(3, 20, bidirectional=True), "backwards": gw.LSTM(3, 20, go_backwards=True)}


def model_of(network):
    """A model whose parameters are nowhere zero, compiled throughout."""
    model = gw.Model(network, kernel="compiled")
    drawn = draw_params(model.network, np.random.default_rng(1), 0.4, np.float32)
    model.parameters.assign(dict(drawn.items()))
    for row in model.kernels():
        assert row.path == "compiled" or row.layer == "Dropout", row
    return model


def inputs_of(network):
    features = network.features_in
    return np.random.default_rng(2).standard_normal((BATCH, TIME, features)).astype(np.float32)


def same(a, b):
    """Whether no bit differs."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    assert a.shape == b.shape
    assert a.dtype == b.dtype == np.float32
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("name", [*NETWORKS, *CONVOLUTIONS, *BOTH_WAYS])
def test_a_row_alone_and_in_every_batch(name):
    network = (NETWORKS | CONVOLUTIONS | BOTH_WAYS)[name]
    model, x = model_of(network), inputs_of(network)
    alone = np.concatenate([model.predict(x[row : row + 1]) for row in range(BATCH)])
    assert np.abs(alone).max() > 0.01
    for batch in range(2, BATCH + 1):
        assert same(model.predict(x[:batch]), alone[:batch]), batch
    assert same(model.predict(x, batch_size=7), alone)


@pytest.mark.parametrize("name", [*NETWORKS, *CONVOLUTIONS])
def test_chunks_and_steps(name):
    network = (NETWORKS | CONVOLUTIONS)[name]
    model, x = model_of(network), inputs_of(network)
    state = draw_state(model.layer, BATCH, np.random.default_rng(3), np.float32)
    whole, last = model.run(x, state)
    for size in (1, 3, 13):
        now, parts = state, []
        for start in range(0, TIME, size):
            y, now = model.run(x[:, start : start + size], now)
            parts.append(y)
        assert same(np.concatenate(parts, axis=1), whole), size
    stream = model.stream(BATCH)
    stream.state = state
    assert same(np.stack([stream.step(x[:, t]) for t in range(9)] + list(stream.run(x[:, 9:]).swapaxes(0, 1)), axis=1), whole)
    for now, then in zip(arrays_of(stream.state), arrays_of(last), strict=True):
        assert same(now, then)


@pytest.mark.parametrize("name", [*NETWORKS, *CONVOLUTIONS])
def test_one_row_streamed(name):
    network = (NETWORKS | CONVOLUTIONS)[name]
    model, x = model_of(network), inputs_of(network)
    stream = model.stream()
    assert same(np.stack([stream.step(x[4, t]) for t in range(TIME)]), model.predict(x[4:5])[0])


@pytest.mark.parametrize("name", [*NETWORKS, *CONVOLUTIONS, *BOTH_WAYS])
def test_padding_holes_and_starts(name):
    network = (NETWORKS | CONVOLUTIONS | BOTH_WAYS)[name]
    model, x = model_of(network), inputs_of(network)
    rng = np.random.default_rng(4)
    lengths = rng.integers(0, TIME + 1, BATCH)
    lengths[:2] = 0, TIME
    padded = np.where(np.arange(TIME)[:, None] < lengths[:, None, None], x, np.float32(np.nan))
    y = model.predict(padded, lengths=lengths)
    for row, length in enumerate(lengths):
        assert not y[row, length:].any()
        if length:
            assert same(y[row, :length], model.predict(x[row : row + 1, :length])[0]), row
    if name in CONVOLUTIONS:  # these take no holes
        return
    mask, starts = rng.random((BATCH, TIME)) < 0.7, np.zeros((BATCH, TIME), bool)
    starts[:, 6] = mask[:, 6] = True
    y = model.predict(x, mask=mask, starts=starts)
    if name != "backwards":  # whose outputs stand in the order of processing
        for row in range(0, BATCH, 5):
            for part in (slice(0, 6), slice(6, TIME)):
                live = mask[row, part]
                if live.any():
                    assert same(y[row, part][live], model.predict(x[row : row + 1, part][:, live])[0])


@pytest.mark.parametrize("name", [*NETWORKS, *CONVOLUTIONS, *BOTH_WAYS])
def test_every_width(name, monkeypatch):
    network = (NETWORKS | CONVOLUTIONS | BOTH_WAYS)[name]
    x, results = inputs_of(network), {}
    for lanes in target.TARGETS:
        if lanes <= target.host().lanes:
            with monkeypatch.context() as patch:
                patch.setattr(target, "host", lambda lanes=lanes: target.TARGETS[lanes])
                results[lanes] = model_of(network).predict(x)
    assert len(results) > 1
    assert all(same(y, results[4]) for y in results.values()), list(results)


@pytest.mark.parametrize("name", ["LSTM 3-50", "GRU 5-32", "softmax head"])
def test_threads(name):
    network, x = NETWORKS[name], inputs_of(NETWORKS[name])
    one, two = (gw.Model(network, kernel="compiled", threads=count, seed=0).predict(x) for count in (1, 2))
    assert same(one, two)


@pytest.mark.parametrize("name", ["LSTM 3-50", "GRU before 3-50", "RNN 3-100"])
def test_long_sequences_alone(name):
    """Few rows: the inputs are multiplied ahead, in several chunks of steps, the last of them short."""
    network = NETWORKS[name]
    model, x = model_of(network), np.random.default_rng(5).standard_normal((8, 131, 3)).astype(np.float32)
    together = model.predict(x)
    for batch in (1, 2, 5):
        assert same(model.predict(x[:batch]), together[:batch])


def test_memory_in_any_order():
    """Strided input is read where it stands."""
    model, x = model_of(NETWORKS["LSTM 3-50"]), inputs_of(NETWORKS["LSTM 3-50"])
    wide = np.zeros((TIME, 2 * BATCH, 7), np.float32)
    wide[:, ::2, 2:5] = x.swapaxes(0, 1)
    assert same(model.predict(wide[:, ::2, 2:5].swapaxes(0, 1)), model.predict(x))
    apart = np.zeros((BATCH, TIME, 6), np.float32)
    apart[..., ::2] = x
    assert same(model.predict(apart[..., ::2]), model.predict(x))
