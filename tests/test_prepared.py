"""Prepared networks: the bits of the general way, for any number of calls, shapes and threads."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

import gatewright as gw
from gatewright import prepared
from gatewright.state import tree_items

RNG = np.random.default_rng(7)
NETWORKS = {
    "lstm": gw.LSTM(3, 5, num_layers=2),
    "bidirectional": gw.GRU(3, 20, num_layers=2, bidirectional=True),
    "backwards": gw.RNN(3, 5, go_backwards=True, num_layers=2),
    "last": gw.Sequential(gw.LSTM(3, 7, bidirectional=True, return_sequences=False), gw.Dense(14, 2, activation="softmax")),
    "learned": gw.Sequential(gw.Dropout(0.5), gw.LSTM(3, 5, learn_initial_state=True), gw.LayerNorm(5), gw.Dense(5, 2)),
    "before": gw.GRU(3, 6, reset_after=False),
    "causal": gw.Sequential(gw.Conv1D(3, 5, 3, padding="causal", dilation=2, activation="tanh"), gw.GRU(5, 4)),
    "causal, stride": gw.Sequential(gw.GRU(3, 4), gw.Conv1D(4, 20, 3, padding="causal", stride=2)),
    "same": gw.Sequential(gw.Conv1D(3, 5, 4, padding="same", stride=3, activation="softmax"), gw.LSTM(5, 4)),
    "valid": gw.Conv1D(3, 5, 1, bias=False),
}


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def model_of(network):
    model = gw.Model(network, seed=1, kernel="compiled")
    with model.parameters.edit() as flat:
        flat += 0.1 * numbers(*flat.shape)
    return model


def general(model, x, state=None):
    """What the layers' forward gives."""
    y, after, _ = model.layer.forward(model._scope, x, state)
    return y, after


def same(got, wanted):
    for (name, a), (_, b) in zip(tree_items(got), tree_items(wanted), strict=True):
        assert np.array_equal(a, b), name


@pytest.mark.parametrize("name", NETWORKS)
def test_the_bits_are_those_of_the_general_way(name, monkeypatch):
    model = model_of(NETWORKS[name])
    made = []
    make = prepared.prepared
    monkeypatch.setattr(prepared, "prepared", lambda *a: made.append(make(*a)) or made[-1])
    for B, T in ((1, 4), (3, 6), (1, 4), (2, 1), (3, 6)):
        x = numbers(B, T, 3)
        same(model.run(x), general(model, x))
        assert np.array_equal(model.predict(x), general(model, x)[0])
        _, state = model.run(numbers(B, T, 3))
        same(model.run(x, state), general(model, x, state))
    assert [type(network) for network in made] == [prepared.Prepared] * 3  # one a shape: the calls did go this way


def test_a_layer_without_a_state_begins_anew():
    """None in the place of one layer's state, whatever the other's is."""
    model = model_of(gw.Sequential(gw.GRU(3, 4), gw.LSTM(4, 5, learn_initial_state=True)))
    x = numbers(2, 4, 3)
    _, (first, second) = model.run(numbers(2, 4, 3))
    for state in ((first, None), (None, second), (None, None), None, (first, second)):
        same(model.run(x, state), general(model, x, state))


def test_what_is_given_out_is_the_callers_own():
    model = model_of(gw.Sequential(gw.LSTM(3, 5), gw.Dropout(0.5)))
    x = numbers(1, 4, 3)
    kept = x.copy()
    (y, state), before = model.run(x), None
    before = [a.copy() for a in (y, *state[0])]
    model.run(numbers(1, 4, 3), state)
    for array, was in zip((y, *state[0]), before, strict=True):
        assert np.array_equal(array, was)
    y[:] = 0
    assert np.array_equal(x, kept)
    assert np.array_equal(model.run(x)[0], before[0])


def test_an_input_that_is_not_finite_is_refused_and_does_no_harm():
    model = model_of(gw.LSTM(3, 5))
    x = numbers(1, 4, 3)
    good = model.predict(x)
    for bad in (np.nan, np.inf, -np.inf):
        wrong = x.copy()
        wrong[0, 2, 1] = bad
        with pytest.raises(gw.DataError, match="row 0, step 2"):
            model.predict(wrong)
        assert np.array_equal(model.predict(x), good)
    big = numbers(1, 2000, 3)  # beyond what one product with zeros looks at
    model.predict(big)
    big[0, 1999, 2] = np.nan
    with pytest.raises(gw.DataError, match="row 0, step 1999"):
        model.predict(big)


def test_many_shapes_are_not_all_kept():
    model = model_of(gw.RNN(3, 4))
    for T in range(1, 3 * prepared.MOST):
        model.predict(numbers(1, T, 3))
        assert len(model._pool._free) <= prepared.MOST


def test_large_inputs_go_the_general_way():
    model = model_of(gw.RNN(3, 4))
    x = numbers(4, prepared.SMALL // 16, 3)
    assert model._pool.run(x) is None
    assert np.array_equal(model.predict(x), general(model, x)[0])


def test_many_threads_at_once_give_the_same_bits():
    model = model_of(gw.Sequential(gw.LSTM(3, 24, num_layers=2), gw.Dense(24, 2)))
    inputs = [numbers(1 + k % 3, 30, 3) for k in range(12)]
    wanted = [general(model, x)[0] for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for got, right in zip(pool.map(model.predict, inputs), wanted, strict=True):
                assert np.array_equal(got, right)


def test_new_weights_are_seen():
    model = model_of(gw.GRU(3, 4))
    x = numbers(2, 3, 3)
    seen = []
    for _ in range(3):
        seen.append(model.predict(x))
        with model.parameters.edit() as flat:
            flat *= 1.5
    assert not any(np.array_equal(a, b) for a, b in pairwise(seen))


def test_words_go_the_prepared_way_too(monkeypatch):
    """An Embedding's vectors are copied; with mask_zero the general way is gone, for there may be dead steps."""
    words = RNG.integers(0, 9, (3, 6))
    for mask_zero in (False, True):
        model = model_of(gw.Sequential(gw.Embedding(9, 3, mask_zero=mask_zero), gw.LSTM(3, 5), gw.Dense(5, 2)))
        wanted = general(model, words)[0]
        with monkeypatch.context() as patched:
            if not mask_zero:
                patched.setattr(gw.LSTM, "forward", None)
            assert np.array_equal(model.run(words, model.state_like(*np.zeros((2, 1, 3, 5))))[0], wanted)
