"""Every cell with every option: values against the oracle, gradients along random directions, edges of shape."""

import itertools

import numpy as np
import oracle
import pytest

from gatewright.activations import FORMULAS, ROWWISE, Activation
from gatewright.cells import gru, lstm, lstm_variants, rnn

T, B, F, H = 5, 2, 3, 4
CONSTANTS = {"scaled_tanh": (1.7, 0.6), "affine": (-0.3, 0.4), "thresholded_relu": (0.3,)}
NAMES = [name for name in FORMULAS if name not in ROWWISE]  # which the layers refuse inside a cell
PLAIN = {"rnn": rnn, "lstm": lstm, "gru_after": gru, "gru_before": gru}
EXTRAS = [part for n in range(4) for part in itertools.combinations(("peepholes", "coupled", "projection"), n)]
VARIANTS = ["_".join(("lstm", "variant", *part)) for part in EXTRAS]
CELLS = PLAIN | dict.fromkeys(VARIANTS, lstm_variants)
PAIRS = [("rnn", name, None) for name in NAMES] + list(itertools.product(("lstm", "gru_after", "gru_before"), NAMES, NAMES))
DEFAULTS = [("rnn", "tanh", None), *((kind, "tanh", "sigmoid") for kind in ("lstm", "gru_after", "gru_before"))]


def options_of(kind, activation="tanh", recurrent="sigmoid"):
    """The cell's options, and the same for the oracle."""
    specs = [(name, *CONSTANTS.get(name, ())) for name in (activation, recurrent or "sigmoid")]
    first, second = (Activation(*spec) for spec in specs)
    words = {"activation": specs[0], "recurrent_activation": specs[1], "reset_after": kind == "gru_after"}
    if kind == "rnn":
        return rnn.Options(first), words
    if kind in VARIANTS:
        words |= {"cell_activation": "silu", "coupled": "coupled" in kind}
        return lstm_variants.Options(first, second, Activation("silu"), "coupled" in kind), words
    return (lstm.Options(first, second) if kind == "lstm" else gru.Options(first, second, kind == "gru_after")), words


def shapes(kind, features, size, bias=True):
    """The shapes of a kind's Weights and State, as two dicts."""
    k = 3 if "coupled" in kind else oracle.GATES[kind.split("_")[0]]
    width = max(1, size // 2) if "projection" in kind else size
    weights = {"W": (features, k * size), "U": (width, k * size), "b": (k * size,)}
    weights |= {"bn": (size,)} if kind == "gru_after" else {}
    weights |= {"P": ((k - 1) * size,)} if "peepholes" in kind else {}
    weights |= {"V": (size, width)} if "projection" in kind else {}
    state = {"h": (width,), "c": (size,)} if "lstm" in kind else {"h": (size,)}
    return {name: shape for name, shape in weights.items() if bias or name not in ("b", "bn")}, state


def draw(kind, shape=(T, B, F, H), seed=0, bias=True, dtype=float):
    """(x, weights, state): random and nowhere zero."""
    cell, (time, batch, features, size), rng = CELLS[kind], shape, np.random.default_rng(seed)
    weights, state = shapes(kind, features, size, bias)
    arrays = {name: (0.5 * rng.standard_normal(s)).astype(dtype) for name, s in weights.items()}
    x = rng.standard_normal((time, batch, features)).astype(dtype)
    first = {name: (0.7 * rng.standard_normal((batch, *s))).astype(dtype) for name, s in state.items()}
    return x, cell.Weights(**arrays), cell.State(**first)


def outer_gradients(state, time=T, seed=1):
    """(dsteps, dstate): gradients of the states of every step, and of the final state."""
    rng = np.random.default_rng(seed)
    dsteps = type(state)(*(rng.standard_normal((time, *a.shape)).astype(a.dtype) for a in state))
    return dsteps, type(state)(*(rng.standard_normal(a.shape).astype(a.dtype) for a in state))


def tensors(x, weights, state):
    """What a cell is differentiated by, or its gradients, by name."""
    named = {"x": x, **weights._asdict(), **{f"{name}0": a for name, a in state._asdict().items()}}
    return {name: a for name, a in named.items() if a is not None}


def loss(cell, named, options, dsteps, dstate):
    """The sum of every state of every step and of the final state, weighted by the outer gradients."""
    weights = cell.Weights(**{name: named[name] for name in cell.Weights._fields if name in named})
    states = cell.forward(named["x"], weights, cell.State(*(named[f"{n}0"] for n in cell.State._fields)), options).states
    steps = sum((s[1:] * d).sum() for s, d in zip(states, dsteps, strict=True) if d is not None)
    return steps + sum((s[-1] * d).sum() for s, d in zip(states, dstate, strict=True))


def worst_error(kind, options, analytic, *, bias=True, seed=0, directions=3):
    """The worst error of a directional derivative over all tensors, relative to the tensor's largest gradient."""
    cell = CELLS[kind]
    x, weights, state = draw(kind, seed=seed, bias=bias)
    dsteps, dstate = outer_gradients(state, seed=seed + 1)
    got = cell.backward(cell.forward(x, weights, state, options), weights, options, dsteps, dstate)
    gradients, named, rng = tensors(*got), tensors(x, weights, state), np.random.default_rng(seed + 2)
    assert gradients.keys() == named.keys()
    worst = 0.0
    for (name, array), _ in itertools.product(named.items(), range(directions)):
        assert gradients[name].shape == array.shape
        v = rng.standard_normal(array.shape)
        v /= np.linalg.norm(v)
        if analytic:
            stepped = {n: a.astype(complex) for n, a in named.items()}
            stepped[name] += 1e-30j * v
            wanted = loss(cell, stepped, options, dsteps, dstate).imag / 1e-30
        else:
            ahead, behind = (loss(cell, named | {name: array + e * v}, options, dsteps, dstate) for e in (5e-7, -5e-7))
            wanted = (ahead - behind) / 1e-6
        derivative = (gradients[name] * v).sum()
        assert derivative != 0, f"{name}: nothing to compare"
        worst = max(worst, abs(derivative - wanted) / np.abs(gradients[name]).max())
    return worst


def against_oracle(kind, options, words, shape=(T, B, F, H), bias=True):
    """The largest difference of any state of any step from the oracle's, relative to the largest state."""
    cell = CELLS[kind]
    x, weights, state = draw(kind, shape, bias=bias)
    states = cell.forward(x, weights, state, options).states
    w = [[{name: a.tolist() for name, a in weights._asdict().items() if a is not None}]]
    worst = 0.0
    for t in range(1, shape[0] + 1):
        part = x[:t].swapaxes(0, 1).tolist()
        _, wanted = oracle.recurrent(kind.split("_")[0], part, w, words, [[s.tolist()] for s in state])
        for got, want in zip(states, wanted, strict=True):
            worst = max(worst, np.abs(got[t] - np.array(want[0])).max() / max(1, np.abs(want[0]).max()))
    for got, first in zip(states, state, strict=True):
        assert np.array_equal(got[0], first)
    return worst


@pytest.mark.parametrize(("kind", "activation", "recurrent"), PAIRS)
def test_values(kind, activation, recurrent):
    assert against_oracle(kind, *options_of(kind, activation, recurrent)) < 1e-12


@pytest.mark.parametrize(("kind", "activation", "recurrent"), PAIRS)
def test_gradients(kind, activation, recurrent):
    options, _ = options_of(kind, activation, recurrent)
    analytic = all(FORMULAS[name or "tanh"].analytic for name in (activation, recurrent))
    assert worst_error(kind, options, analytic) < (1e-10 if analytic else 1e-7)


@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize("activations", [("tanh", "sigmoid"), ("softplus", "tanh"), ("relu", "hard_sigmoid")])
def test_variants_of_the_lstm(kind, activations):
    """Every combination of peepholes, coupled gates and projection, with another activation of the cell state."""
    options, words = options_of(kind, *activations)
    assert against_oracle(kind, options, words) < 1e-12
    analytic = "relu" not in activations
    assert worst_error(kind, options, analytic) < (1e-10 if analytic else 1e-7)
    if analytic:
        assert worst_error(kind, options, analytic=False) < 1e-7


def test_a_variant_without_extras_is_the_plain_lstm():
    """To the bit, forward and backward."""
    x, weights, state = draw("lstm")
    outer, results = outer_gradients(state), []
    for cell, options in ((lstm, lstm.Options()), (lstm_variants, lstm_variants.Options())):
        given = cell.Weights(*weights[:3])
        cache = cell.forward(x, given, state, options)
        results.append([*cache.states, *tensors(*cell.backward(cache, given, options, *outer)).values()])
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(("kind", "activation", "recurrent"), DEFAULTS)
def test_gradients_by_differences_too(kind, activation, recurrent):
    """The complex step trusts the forward pass in complex numbers; differences need only the real one."""
    assert worst_error(kind, options_of(kind)[0], analytic=False) < 1e-7


@pytest.mark.parametrize("kind", CELLS)
def test_without_bias(kind):
    options, words = options_of(kind)
    assert against_oracle(kind, options, words, bias=False) < 1e-12
    assert worst_error(kind, options, True, bias=False) < 1e-10


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (5, 1, 3, 4), (1, 1, 1, 1), (40, 2, 1, 3), (6, 3, 5, 1)], ids=str)
def test_other_shapes(kind, shape):
    assert against_oracle(kind, *options_of(kind), shape) < 1e-12


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("time", "batch"), [(0, 2), (3, 0), (0, 0)])
def test_nothing_to_do(kind, time, batch):
    """No steps: the state and its gradient go through; no rows: empty arrays of the right shape, zero gradients."""
    cell, shape = CELLS[kind], (time, batch, F, H)
    (x, weights, state), options = draw(kind, shape), options_of(kind)[0]
    dsteps, dstate = outer_gradients(state, time)
    cache = cell.forward(x, weights, state, options)
    got = cell.backward(cache, weights, options, dsteps, dstate)
    for states, first, gradient, wanted in zip(cache.states, state, got.state, dstate, strict=True):
        assert states.shape == (time + 1, *first.shape)
        assert np.array_equal(states[-1], first)
        assert np.array_equal(gradient, wanted)
    assert got.x.shape == x.shape
    for gradient, weight in zip(got.weights, weights, strict=True):
        assert (gradient is None) == (weight is None)
        assert weight is None or np.array_equal(gradient, np.zeros_like(weight))


@pytest.mark.parametrize("kind", CELLS)
def test_gradients_of_outputs_and_of_the_final_state_add_up(kind):
    cell, options = CELLS[kind], options_of(kind)[0]
    x, weights, state = draw(kind)
    dsteps, dstate = outer_gradients(state)
    cache = cell.forward(x, weights, state, options)
    zero_steps, zero_state = (cell.State(*map(np.zeros_like, d)) for d in (dsteps, dstate))
    both, steps, final = (
        tensors(*cell.backward(cache, weights, options, *outer))
        for outer in ((dsteps, dstate), (dsteps, zero_state), (zero_steps, dstate))
    )
    for name in both:
        assert np.abs(steps[name]).max() > 0
        assert np.abs(final[name]).max() > 0
        np.testing.assert_allclose(both[name], steps[name] + final[name], rtol=0, atol=1e-13 * np.abs(both[name]).max())


@pytest.mark.parametrize("kind", ["lstm", *VARIANTS])
def test_cell_states_that_nothing_used(kind):
    """dsteps.c is None where no one asked for the cell states: the same as zeros."""
    options, cell = options_of(kind)[0], CELLS[kind]
    x, weights, state = draw(kind)
    dsteps, dstate = outer_gradients(state)
    cache = cell.forward(x, weights, state, options)
    without = cell.backward(cache, weights, options, dsteps._replace(c=None), dstate)
    zeros = cell.backward(cache, weights, options, dsteps._replace(c=np.zeros_like(dsteps.c)), dstate)
    assert all(np.array_equal(a, b) for a, b in zip(tensors(*without).values(), tensors(*zeros).values(), strict=True))


@pytest.mark.parametrize("kind", CELLS)
def test_arguments_and_caches_are_left_alone(kind):
    cell, options = CELLS[kind], options_of(kind)[0]
    x, weights, state = draw(kind)
    dsteps, dstate = outer_gradients(state)
    cache = cell.forward(x, weights, state, options)
    arguments = [a for group in ([x], weights, state, dsteps, dstate, cache) for a in group if a is not None]
    kept = [a.copy() for a in arguments]
    first = tensors(*cell.backward(cache, weights, options, dsteps, dstate))
    again = tensors(*cell.backward(cache, weights, options, dsteps, dstate))
    assert all(np.array_equal(a, b) for a, b in zip(arguments, kept, strict=True))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    for array in first.values():
        assert not any(np.shares_memory(array, other) for other in arguments)


@pytest.mark.parametrize("kind", CELLS)
def test_float32(kind):
    """Stays float32 throughout and agrees with float64 to 1e-5."""
    cell, options = CELLS[kind], options_of(kind)[0]
    results = []
    for dtype in ("float32", "float64"):
        x, weights, state = draw(kind, dtype=dtype)
        cache = cell.forward(x, weights, state, options)
        gradients = tensors(*cell.backward(cache, weights, options, *outer_gradients(state)))
        results.append({"states": np.concatenate(cache.states, axis=-1), **gradients})
    for name, single in results[0].items():
        assert single.dtype == np.float32, name
        np.testing.assert_allclose(single, results[1][name], rtol=0, atol=1e-5 * np.abs(results[1][name]).max())


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_silent_far_out(kind, dtype):
    """Inputs of 1e4 saturate every gate without a warning (which would be an error here) or a NaN."""
    cell, options = CELLS[kind], options_of(kind)[0]
    x, weights, state = draw(kind, dtype=dtype)
    cache = cell.forward(np.sign(x) * np.array(1e4, dtype), weights, state, options)
    gradients = tensors(*cell.backward(cache, weights, options, *outer_gradients(state)))
    assert all(np.isfinite(a).all() for a in (*cache.states, *gradients.values()))


def test_document_5_by_hand():
    """A linear LSTM with whole numbers for weights: exact."""
    W = np.array([[2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]], float)
    U = [[1, 0, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0], [1, 1, 0, 0, 2, 1, 0, 1, 2, 2, 0, 0], [1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 1, 0]]
    b = np.array([3, 1, 0, 1, 1, 0, 0, 1, 0, 2, 0, 0], float)
    options = lstm.Options(Activation("linear"), Activation("linear"))
    zero = lstm.State(np.zeros((1, 3)), np.zeros((1, 3)))
    cache = lstm.forward(np.array([[[1.0, 0.0]], [[1.0, 0.0]]]), lstm.Weights(W, np.array(U, float), b), zero, options)
    assert cache.h[1:, 0].tolist() == [[0, 4, 0], [0, 72, 0]]
    assert cache.c[1:, 0].tolist() == [[0, 4, 1], [0, 72, 13]]
