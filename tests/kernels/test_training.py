"""Compiled training against the reference in float64: values, gradients, and everything that fit makes of them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from kernel_cases import KINDS, recurrent
from layer_checks import arrays_of, draw_like, draw_params, draw_state, tree

import gatewright as gw
from gatewright.kernels import target, training
from gatewright.layers import scan

FLOAT = np.dtype(np.float32)
LENGTHS = gw.Steps(lengths=np.array([9, 0, 3, 9, 5]))
MASK = gw.Steps(mask=np.random.default_rng(5).random((5, 9)) < 0.7)
STARTS = gw.Steps(np.array([9, 8, 7, 6, 0]), None, np.random.default_rng(6).random((5, 9)) < 0.2)


def case(layer, batch=5, time=9, seed=0):
    """(parameters, x, state) in float32, random and nowhere zero."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, time, layer.features_in)).astype(FLOAT)
    return draw_params(layer, rng, 0.8 / np.sqrt(layer.hidden_size), FLOAT), x, draw_state(layer, batch, rng, FLOAT)


def pass_both_ways(layer, params, x, state=None, steps=None, kernel="numpy", dtype=FLOAT):
    """(what goes out, the gradients by name) of one forward and one backward pass of training in `dtype`."""
    rng, cast = np.random.default_rng(1), lambda value: tree(lambda array: array.astype(dtype), value)
    params = params.astype(dtype)
    rest = {"steps": steps, "training": True, "rng": np.random.default_rng(2)}
    y, final, cache = layer.forward(params, cast(x), cast(state), kernel=kernel, **rest)
    assert all(isinstance(kept, scan.Scan) for kept in cache.scans)
    assert all(isinstance(kept.kernel, training.Kernel) == (kernel == "compiled") for kept in cache.scans)
    dy, dfinal = (tree(lambda array: array.astype(FLOAT).astype(dtype), draw_like(value, rng)) for value in (y, final))
    grads = params.zeros_like()
    dx, dstate = layer.backward(params, grads, cache, dy, dfinal)
    gradients = dict(grads.items()) | {"x": dx} | {f"state{k}": array for k, array in enumerate(arrays_of(dstate))}
    return [y, *arrays_of(final)], gradients


def compare(layer, steps=None, state=True, **shape):
    params, x, start = case(layer, **shape)
    given = (layer, params, x, start if state else None, steps)
    values, gradients = pass_both_ways(*given, kernel="compiled")
    plain, plain_gradients = pass_both_ways(*given)
    truth, true_gradients = pass_both_ways(*given, dtype=float)
    for mine, theirs, exact in zip(values, plain, truth, strict=True):
        assert mine.dtype == FLOAT
        allowed = np.maximum(2 * np.abs(theirs - exact).max(initial=0), 1e-6 * np.maximum(1, np.abs(exact)))
        assert (np.abs(mine - exact) <= allowed).all()
    for name, exact in true_gradients.items():
        largest = np.abs(exact).max()
        assert largest > 0, f"{name}: nothing to compare"
        error, theirs = (np.abs(found[name] - exact).max() / largest for found in (gradients, plain_gradients))
        assert gradients[name].shape == exact.shape
        assert error <= max(1e-5, 2 * theirs), f"{name}: {error:.1e}, the reference in float32 {theirs:.1e}"


@pytest.mark.parametrize("size", [1, 5, 16, 33, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients(kind, size, lanes):
    compare(recurrent(kind, 3, size))
    compare(recurrent(kind, 17, size, bias=False), batch=17, time=5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 7), (7, 1), (300, 2), (64, 9)])
def test_shapes(kind, batch, time):
    """One step or row, more rows than are multiplied at once, and several chunks of steps."""
    compare(recurrent(kind, 2, 20), batch=batch, time=time)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_inputs_multiplied_ahead(kind):
    """Few rows, and weights that are larger than the cache."""
    compare(recurrent(kind, 9, 24), batch=2, time=100)
    compare(recurrent(kind, 300, 150), batch=7, time=50)


@pytest.mark.parametrize("steps", [LENGTHS, MASK, STARTS], ids=["lengths", "mask", "starts"])
@pytest.mark.parametrize("kind", KINDS)
def test_dead_steps_and_starts(kind, steps):
    compare(recurrent(kind, 3, 18), steps)
    compare(recurrent(kind, 3, 16, num_layers=2, bidirectional=True, learn_initial_state=True), steps, state=False)


@pytest.mark.parametrize("kind", KINDS)
def test_depth_directions_and_outputs(kind):
    compare(recurrent(kind, 3, 18, num_layers=3))
    compare(recurrent(kind, 3, 16, num_layers=2, bidirectional=True))
    compare(recurrent(kind, 3, 18, num_layers=2, dropout=0.4))
    compare(recurrent(kind, 3, 18, num_layers=2, input_dropout=0.3), LENGTHS)
    compare(recurrent(kind, 3, 18, return_sequences=False))
    compare(recurrent(kind, 3, 16, go_backwards=True), LENGTHS)
    compare(recurrent(kind, 3, 18, num_layers=2, bidirectional=True, return_sequences=False), LENGTHS)
    compare(recurrent(kind, 3, 18, masked_output="repeat", learn_initial_state=True), MASK, state=False)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing(kind):
    """No rows, no steps, no live step: the gradient of the final state is handed on, the weights get none."""
    layer = recurrent(kind, 2, 5)
    for batch, time, steps in ((0, 3, None), (3, 0, None), (3, 2, gw.Steps(lengths=np.zeros(3, int)))):
        params, x, state = case(layer, batch, time)
        y, final, cache = layer.forward(params, x, state, steps=steps, training=True, kernel="compiled")
        grads = params.zeros_like()
        dx, dstate = layer.backward(params, grads, cache, np.ones_like(y), final)
        assert dx.shape == x.shape
        assert not dx.any()
        assert not grads.flat.any()
        assert all(np.array_equal(a, b) for a, b in zip(dstate, state, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_finish_is_backward_without_dx(kind):
    layer = recurrent(kind, 3, 18, num_layers=2, bidirectional=True)
    params, x, state = case(layer)
    for steps in (None, LENGTHS):
        y, final, cache = layer.forward(params, x, state, steps=steps, training=True, kernel="compiled")
        first, second = params.zeros_like(), params.zeros_like()
        _, dstate = layer.backward(params, first, cache, y, final)
        alone = layer.finish(params, second, cache, y, final)
        assert np.array_equal(first.flat, second.flat)
        assert all(np.array_equal(a, b) for a, b in zip(dstate, alone, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_inference(kind, lanes):
    layer = recurrent(kind, 3, 21, num_layers=2)
    params, x, state = case(layer)
    for steps in (None, LENGTHS):
        values, _ = pass_both_ways(layer, params, x, state, steps, kernel="compiled")
        y, final, _ = layer.forward(params, x, state, steps=steps, kernel="compiled")
        assert all(np.array_equal(a, b) for a, b in zip(values, [y, *arrays_of(final)], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_have_the_same_bits_at_every_width(kind, monkeypatch):
    layer, host = recurrent(kind, 3, 21, num_layers=2), target.host()
    given, found = (layer, *case(layer, batch=40), None, "compiled"), []
    for width in (t for lanes, t in target.TARGETS.items() if lanes <= host.lanes):
        monkeypatch.setattr(target, "host", lambda width=width: width)
        found.append(pass_both_ways(*given)[1])
    assert len(found) > 1
    assert all(np.array_equal(more[name], gradient) for more in found for name, gradient in found[0].items())


def test_caches_are_values():
    """Two forward passes before the backward ones, in any order, twice each; what came out is the caller's to write into."""
    layer = gw.LSTM(3, 16)
    params, x, state = case(layer)
    wanted, kept = [], []
    for given in (x, -x):
        y, final, cache = layer.forward(params, given, state, training=True, kernel="compiled")
        kept.append(cache)
        grads = params.zeros_like()
        layer.backward(params, grads, cache, np.ones_like(y), final)
        wanted.append(grads.flat.copy())
        dfinal = tree(np.copy, final)
        y.fill(np.nan)
        for array in final:
            array.fill(np.nan)
    for k in (1, 0, 0, 1):
        y, final, _ = layer.forward(params, x, state, training=True, kernel="compiled")
        grads = params.zeros_like()
        dfinal = layer.forward(params, (x, -x)[k], state, training=True, kernel="compiled")[1]
        layer.backward(params, grads, kept[k], np.ones_like(y), dfinal)
        assert np.array_equal(grads.flat, wanted[k])


def data(rows=24, time=12):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((rows, time, 2)).astype(FLOAT)
    return x, np.cumsum(x, axis=1)[..., :1] / 4


def network(kind):
    return gw.Sequential(recurrent(kind, 2, 20, num_layers=2), gw.Dense(20, 1))


def trained(kind, kernel, **options):
    """(the model, its losses) after some epochs of fit."""
    model, (x, y) = gw.Model(network(kind), seed=0, kernel=kernel), data()
    history = model.fit(x, y, epochs=3, batch_size=8, optimizer=gw.Adam(1e-2), clip_norm=1.0, verbose=False, **options)
    return model, np.array(history["loss"])


@pytest.mark.parametrize("options", [{}, {"tbptt": (4, 7)}, {"accumulate": 3}], ids=["whole", "tbptt", "accumulate"])
@pytest.mark.parametrize("kind", KINDS)
def test_fit_tracks_the_references(kind, options):
    (model, losses), (theirs, their_losses) = (trained(kind, kernel, **options) for kernel in ("compiled", "numpy"))
    np.testing.assert_allclose(losses, their_losses, rtol=1e-3)
    np.testing.assert_allclose(model.parameters.flat, theirs.parameters.flat, atol=5e-3)
    assert not np.array_equal(model.parameters.flat, theirs.parameters.flat), "the same code ran twice"


def test_fit_twice_gives_the_same_bits():
    (first, _), (second, _) = trained("LSTM", "compiled"), trained("LSTM", "auto")
    assert np.array_equal(first.parameters.flat, second.parameters.flat)


def test_models_in_threads():
    alone = {kind: trained(kind, "compiled")[0].parameters.flat for kind in ("LSTM", "GRU")}
    with ThreadPoolExecutor(4) as pool:
        runs = [(kind, pool.submit(trained, kind, "compiled")) for kind in (*alone, *alone)]
    assert all(np.array_equal(run.result()[0].parameters.flat, alone[kind]) for kind, run in runs)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_model(kind):
    x, y = data()
    (value, grads), (truth, exact) = (
        gw.Model(network(kind), seed=0, dtype=dtype, kernel=kernel).gradients(x, y, lengths=np.arange(24) % 13)
        for dtype, kernel in (("float32", "compiled"), ("float64", "numpy"))
    )
    assert value == pytest.approx(truth, rel=1e-5)
    for name, gradient in exact.items():
        np.testing.assert_allclose(grads[name], gradient, rtol=0, atol=1e-5 * np.abs(gradient).max())


def test_which_layers_train_compiled():
    assert gw.LSTM(2, 3).choice(FLOAT, "compiled", training=True).path == "compiled"
    assert gw.Dense(2, 3).choice(FLOAT, "compiled", training=True) == ("numpy", "training runs on NumPy", None)
    assert gw.LSTM(2, 3, activation="softsign").choice(FLOAT, "auto", training=True).path == "numpy"
    assert gw.LSTM(2, 3, return_state_sequence=True).choice(FLOAT, "auto", training=True).path == "numpy"
    assert gw.LSTM(2, 3).choice(np.dtype(float), "auto", training=True).path == "numpy"
