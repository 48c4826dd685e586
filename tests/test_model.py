"""The Model as a whole: runs, states, weights, freezing, copies, seeds, dtypes, losses and threads."""

import contextlib
import copy
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from refusals import refused

import gatewright as gw
from gatewright import threads as bounds_of_threads
from gatewright.errors import MissingExtraError, OptionError, ShapeError
from gatewright.state import tree_items, tree_map

X = np.random.default_rng(0).standard_normal((5, 6, 3))
Y = np.random.default_rng(1).standard_normal((5, 6, 2))


def sequence_model(cell=gw.LSTM, dtype="float64", seed=0, **options):
    return gw.Model(gw.Sequential(cell(3, 4, **options), gw.Dense(4, 2)), seed=seed, dtype=dtype)


def randomise(model, seed=0):
    """Nothing zero."""
    with model.parameters.edit() as flat:
        flat += 0.2 * np.random.default_rng(seed).standard_normal(flat.shape)
    return model


def same(a, b):
    return all(np.array_equal(x, y) for (_, x), (_, y) in zip(tree_items(a), tree_items(b), strict=True))


# ------------------------------------------------------------------------------------------------ running


@pytest.mark.parametrize("size", [1, 2, 5, 99])
def test_predict_takes_rows_in_parts(size):
    model = randomise(sequence_model())
    steps = {"lengths": [6, 0, 3, 6, 1], "mask": X[..., 0] < 1, "starts": X[..., 1] > 1}
    whole = model.run(X, **steps)[0]
    assert whole.any()
    np.testing.assert_allclose(model.predict(X, size, **steps), whole, rtol=0, atol=1e-14)
    np.testing.assert_allclose(model.predict(X, batch_size=size, **steps), whole, rtol=0, atol=1e-14)
    rows = [X[0], X[1, :2], X[2, :0]]
    for one, two in zip(model.predict(rows, size), model.run(rows)[0], strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-14)
    states = gw.Model(gw.LSTM(3, 4, return_state_sequence=True), seed=0, dtype="float64")
    for one, two in zip(states.predict(X, size), states.run(X)[0], strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-14)


def test_no_more_rows_at_once_than_asked_for(monkeypatch):
    seen, forward = [], gw.Dense.forward
    monkeypatch.setattr(gw.Dense, "forward", lambda self, p, x, *a, **k: seen.append(len(x)) or forward(self, p, x, *a, **k))
    model = sequence_model()
    model.predict(X, batch_size=2)
    model.predict(np.zeros((600, 2, 3)))
    assert seen == [2, 2, 1, 256, 256, 88]


def test_the_call_is_predict_and_keeps_no_state():
    model = randomise(sequence_model())
    first = model(X)
    assert np.array_equal(first, model.predict(X))
    assert np.array_equal(first, model(X))


@pytest.mark.parametrize("layer", [gw.LSTM(3, 2, stateful=True), gw.Sequential(gw.Bidirectional(gw.GRU(3, 2, stateful=True)))])
def test_a_network_that_is_called_stateful_is_warned_of_once(layer, tmp_path):
    """By predict alone, which begins anew; a file keeps the word, and no number knows of it."""
    model = gw.Model(layer, seed=0)
    with pytest.warns(UserWarning, match=r"stateful=True.*\brun\b.*\bstream\b") as told:
        first = model.predict(X)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert np.array_equal(model(X), first)
    assert np.array_equal(model.run(X)[0], first)
    assert "stateful=True" in repr(model)
    model.save(tmp_path / "m.safetensors")
    again = gw.load(tmp_path / "m.safetensors")
    assert again.layer == layer
    with pytest.warns(UserWarning, match="stateful=True"):
        assert np.array_equal(again.predict(X), first)


def test_nothing_to_run():
    model = sequence_model()
    assert model.predict(X[:0]).shape == (0, 6, 2)
    assert model.predict(X[:, :0]).shape == (5, 0, 2)
    y, state = model.run(X[:, :0])
    assert y.shape == (5, 0, 2)
    assert not state[0].h.any()


@pytest.mark.parametrize(
    "layer",
    [
        gw.Sequential(gw.LSTM(3, 3, num_layers=2), gw.Residual(gw.GRU(3, 3))),
        gw.GRU(3, 3, learn_initial_state=True),
        gw.Bidirectional(gw.LSTM(3, 3), "sum"),
        gw.Parallel([gw.RNN(3, 3), gw.Dense(3, 3), gw.Shared(gw.LSTM(3, 3, return_sequences=True), "a")]),
    ],
    ids=repr,
)
def test_states_are_values(layer):
    """In the form that state_shape tells; what came out may be written to, and what went in is not kept."""
    model = randomise(gw.Model(layer, seed=0, dtype="float64"))
    y, state = model.run(X)
    assert tree_map(np.shape, state) == layer.state_shape(5)
    kept, kept_y = copy.deepcopy((state, y))
    again_y, again = model.run(X[:, :3], state)
    for _, array in tree_items(again):
        array[...] = 7
    again_y[...] = 7
    assert same(state, kept)
    twice_y, twice = model.run(X[:, :3], state)
    assert not (twice_y == 7).any()
    assert not any((array == 7).any() for _, array in tree_items(twice))
    for _, array in tree_items(state):
        array[...] = 9
    y[...] = 9
    third_y, third = model.run(X[:, :3], kept)
    assert np.array_equal(third_y, twice_y)
    assert same(third, twice)
    assert np.array_equal(model.run(X)[0], kept_y)


@pytest.mark.parametrize(
    "layer", [gw.Dropout(0.5), gw.Masking(9.0), gw.Sequential(gw.Masking(9.0), gw.Dropout(0.1)), gw.LayerNorm(3)]
)
def test_outputs_are_never_the_input(layer):
    model = gw.Model(layer, seed=0, dtype="float64")
    for y in (model.predict(X), model.run(X)[0], model.stream(5).run(X), model.stream(5).step(X[:, 0])):
        assert not np.shares_memory(y, X)
        assert y.flags.writeable


def test_a_state_is_never_a_view_of_the_parameters():
    """Where no step was live, the state is the learned one: a copy of it."""
    model = randomise(gw.Model(gw.LSTM(3, 4, learn_initial_state=True), seed=0))
    _, state = model.run(X, lengths=[0] * 5)
    assert np.array_equal(state.h[0], np.tile(model.parameters["0.h0"], (5, 1)))
    state.h[...] = 5
    state.c[...] = 5
    assert not (model.parameters["0.h0"] == 5).any()
    assert not (model.run(X, lengths=[0] * 5)[1].c == 5).any()


def test_state_like_builds_what_run_takes():
    rng = np.random.default_rng(2)
    h, c = rng.standard_normal((2, 2, 5, 4))
    bare = randomise(gw.Model(gw.LSTM(3, 4, num_layers=2), seed=0, dtype="float64"))
    state = bare.state_like(h, c)
    assert type(state) is type(bare.run(X)[1])
    assert np.array_equal(state.h, h)
    h_before = h.copy()
    state.h[...] = 0
    assert np.array_equal(h, h_before)
    nested = gw.Sequential(gw.Dense(3, 4), gw.Residual(gw.Sequential(gw.GRU(4, 4, num_layers=2))), gw.Dense(4, 1))
    model = randomise(gw.Model(nested, seed=0))
    state = model.state_like(h.tolist())
    assert state[0] is state[2] is None
    assert state[1][0].h.dtype == np.float32
    by_hand = (None, (type(state[1][0])(h.astype(np.float32)),), None)
    assert np.array_equal(model.run(X, state)[0], model.run(X, by_hand)[0])
    assert not np.allclose(model.run(X, state)[0], model.run(X)[0])
    for wrong, error, words in (
        (lambda: bare.state_like(h), OptionError, ["this layer's state has h, c; got h"]),
        (lambda: model.state_like(h, c), OptionError, ["this layer's state has h; got h, c"]),
        (lambda: bare.state_like(h[0], c[0]), ShapeError, ["h: got shape (5, 4)", "wanted (num_layers * directions, B, H)"]),
        (lambda: bare.state_like(h[:1], c), ShapeError, ["state.h: got shape (1, 5, 4)", "wanted (2, 5, 4)"]),
        (lambda: bare.state_like(h, c[:, :2]), ShapeError, ["state.c: got shape (2, 2, 4)", "wanted (2, 5, 4)"]),
        (lambda: gw.Model(gw.Bidirectional(gw.RNN(3, 4))).state_like(h), OptionError, ["2 recurrent layers", "wanted one"]),
        (lambda: gw.Model(gw.Dense(3, 4)).state_like(h), OptionError, ["0 recurrent layers"]),
    ):
        with refused(error, *words):
            wrong()


# ------------------------------------------------------------------------------------------------ weights


def test_a_bare_layer_is_a_sequential_of_one():
    """The same names, the same numbers; but its state is the layer's own."""
    bare = gw.Model(gw.GRU(3, 4), seed=3)
    wrapped = gw.Model(gw.Sequential(gw.GRU(3, 4)), seed=3)
    assert list(bare.parameters) == list(wrapped.parameters) == ["0.W", "0.U", "0.b", "0.bn"]
    assert np.array_equal(bare.predict(X), wrapped.predict(X))
    assert bare.layer == gw.GRU(3, 4)
    assert bare.network == wrapped.network == wrapped.layer
    state = bare.run(X)[1]
    assert np.array_equal(state.h, wrapped.run(X)[1][0].h)
    np.testing.assert_array_equal(bare.run(X, state)[0], wrapped.run(X, (state,))[0])
    shared = gw.Model(gw.Shared(gw.GRU(3, 4), "cell"), seed=3)
    assert list(shared.parameters) == [f"shared.cell.{name}" for name in ("W", "U", "b", "bn")]
    assert np.array_equal(shared.predict(X), bare.predict(X))


def test_document_5s_weights_are_keras_weights():
    """LSTM(3) with linear activations, weights set in Keras' order and layout: h and c after one step and after two."""
    kernel = [[2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]]
    recurrent = [
        [1, 0, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0],
        [1, 1, 0, 0, 2, 1, 0, 1, 2, 2, 0, 0],
        [1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 1, 0],
    ]
    bias = [3, 1, 0, 1, 1, 0, 0, 1, 0, 2, 0, 0]
    model = gw.Model(gw.LSTM(2, 3, activation=None, recurrent_activation=None))
    model.set_weights([kernel, recurrent, bias])
    assert [weight.tolist() for weight in model.get_weights()] == [kernel, recurrent, bias]
    for steps, h, c in ((1, [0, 4, 0], [0, 4, 1]), (2, [0, 72, 0], [0, 72, 13])):
        y, state = model.run([[[1, 0]] * steps])
        assert y[0][-1].tolist() == state.h[0, 0].tolist() == h
        assert state.c[0, 0].tolist() == c


def test_weights_come_in_keras_order():
    net = gw.Sequential(
        gw.LSTM(3, 4, num_layers=2, bidirectional=True, learn_initial_state=True),
        gw.Bidirectional(gw.GRU(8, 2), backward_layer=gw.RNN(8, 2, bias=False)),
        gw.LayerNorm(4),
        gw.Dense(4, 1),
    )
    model = randomise(gw.Model(net, seed=0))
    weights, p = model.get_weights(), model.parameters
    order = [f"0.layer{k}.{d}.{n}" for k in (0, 1) for d in ("forward", "backward") for n in ("W", "U", "b", "h0", "c0")]
    order += ["1.forward.W", "1.forward.U", "1.forward.b", "1.backward.W", "1.backward.U", "2.gain", "2.shift", "3.W", "3.b"]
    assert len(weights) == len(order)
    for name, weight in zip(order, weights, strict=True):
        if name == "1.forward.b":  # input and recurrent bias; the latter matters for n alone
            assert np.array_equal(weight, [p[name], np.concatenate([np.zeros(4), p["1.forward.bn"]])])
        else:
            assert np.array_equal(weight, p[name]), name
        assert weight.dtype == np.float32
        weight[...] = 0
    assert p.flat.all()  # copies
    fresh = gw.Model(net, seed=1)
    fresh.set_weights(model.get_weights())
    assert np.array_equal(fresh.parameters.flat, p.flat)


def test_a_grus_two_biases_are_merged():
    """Keras' own split of the biases of z and r is lost, the function is not."""
    model = gw.Model(gw.GRU(3, 2), seed=0, dtype="float64")
    W, U, _ = model.get_weights()
    split = np.arange(12.0).reshape(2, 6) / 8
    model.set_weights([W, U, split])
    assert model.get_weights()[2].tolist() == [[0.75, 1.0, 1.25, 1.5, 0.5, 0.625], [0, 0, 0, 0, 1.25, 1.375]]
    y = model.predict(X)
    model.set_weights(model.get_weights())
    assert np.array_equal(model.predict(X), y)
    other = split[::-1].copy()
    other[:, 4:] = split[:, 4:]
    model.set_weights([W, U, other])  # the parts of z and r in the other vector
    np.testing.assert_allclose(model.predict(X), y, rtol=0, atol=1e-15)
    model.set_weights([W, U, split[::-1]])  # those of n too
    assert not np.allclose(model.predict(X), y)
    with refused(ShapeError, "0.b: got shape (6,)", "wanted (2, 6)"):
        model.set_weights([W, U, split[0]])
    before = gw.Model(gw.GRU(3, 2, reset_after=False), seed=0)
    assert [w.shape for w in before.get_weights()] == [(3, 6), (2, 6), (6,)]


def test_weights_that_do_not_fit_write_nothing():
    model = sequence_model()
    weights, before = model.get_weights(), model.parameters.flat.copy()
    for wrong, words in (
        (weights[:-1], ["got 4", "wanted a list of 5 arrays: 0.W, 0.U, 0.b, 1.W, 1.b"]),
        (7, ["got int", "wanted a list of 5 arrays"]),
        ([w + 1 for w in weights[:-1]] + [np.zeros(3)], ["'1.b': got shape (3,)", "wanted (2,)"]),
    ):
        with refused(ShapeError, *words):
            model.set_weights(wrong)
    with refused(gw.DataError, "set_weights: 1.b: got <U1 values"):
        model.set_weights([*(w + 1 for w in weights[:-1]), ["a", "b"]])
    assert np.array_equal(model.parameters.flat, before)


@pytest.mark.parametrize("names", ["0", ["0.W", "0.U", "0.b"], "0.*"])
def test_frozen_names_are_left_alone(names):
    """By training, decay and clipping; and free again afterwards."""
    model = randomise(sequence_model())
    assert model.freeze(names) == ["0.W", "0.U", "0.b"]
    before = {name: array.copy() for name, array in model.parameters.items()}
    fitting = {"optimizer": gw.AdamW(0.01, weight_decay=0.1), "epochs": 2, "verbose": False, "clip_norm": 0.1}
    model.fit(X, Y, **fitting)
    for name in before:
        assert np.array_equal(model.parameters[name], before[name]) == name.startswith("0."), name
    assert model.unfreeze("0.U") == ["0.U"]
    model.fit(X, Y, **fitting)
    assert [name for name in before if np.array_equal(model.parameters[name], before[name])] == ["0.W", "0.b"]
    assert {name for name, free in model.parameters.trainable.items() if not free} == {"0.W", "0.b"}


def test_own_parameters_are_copied_and_must_fit():
    model = sequence_model()
    model.freeze("1.b")
    twin = gw.Model(model.layer, parameters=model.parameters, dtype="float64")
    assert np.array_equal(twin.parameters.flat, model.parameters.flat)
    assert twin.parameters.trainable == model.parameters.trainable
    with twin.parameters.edit() as flat:
        flat += 1
    assert not np.array_equal(twin.parameters.flat, model.parameters.flat)
    with refused(ShapeError, "parameters: got", "wanted those of"):
        gw.Model(gw.GRU(3, 4), parameters=model.parameters)
    turned = gw.Parameters.of(dict(reversed(list(model.parameters.items()))))
    with refused(ShapeError, "parameters: got"):  # their order is Keras' too
        gw.Model(model.layer, parameters=turned)


# ------------------------------------------------------------------------------------------------ copies, seeds, dtypes


@pytest.mark.parametrize("how", [gw.Model.copy, copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize(
    "layer", [gw.GRU(3, 2), gw.Sequential(gw.LSTM(3, 4, num_layers=2, dropout=0.3), gw.Dropout(0.3), gw.Dense(4, 2))]
)
def test_copies_share_nothing_and_go_on_alike(how, layer):
    """The generator's state is copied too: both train on with the same bits, and neither touches the other."""
    model = gw.Model(layer, seed=0, kernel="numpy", threads=1)
    model.freeze("0.b" if isinstance(layer, gw.GRU) else "0.layer0.b")
    model.fit(X, Y, verbose=False)
    twin = how(model)
    assert type(twin) is gw.Model
    assert repr(twin) == repr(model)
    assert twin.layer == model.layer
    assert twin.kernels() == model.kernels()
    assert twin.parameters.trainable == model.parameters.trainable
    before = model.parameters.flat.copy()
    twin.fit(X, Y, epochs=2, batch_size=2, verbose=False)
    assert np.array_equal(model.parameters.flat, before)
    assert not np.array_equal(twin.parameters.flat, before)
    model.fit(X, Y, epochs=2, batch_size=2, verbose=False)
    assert np.array_equal(model.parameters.flat, twin.parameters.flat)
    assert np.array_equal(twin.predict(X), model.predict(X))
    assert same(twin.run(X)[1], model.run(X)[1])
    twin.unfreeze("*")
    assert not all(model.parameters.trainable.values())


def test_repr_builds_the_model_again():
    model = gw.Model(gw.Sequential(gw.LSTM(3, 4, activation=gw.Activation("elu", 0.5)), gw.Dense(4, 2)), dtype="float64")
    assert repr(model) == (
        "Model(Sequential(LSTM(3, 4, activation=Activation('elu', 0.5)), Dense(4, 2)), dtype='float64')  # 138 parameters"
    )
    again = eval(repr(model), vars(gw))
    assert again.layer == model.layer
    assert again.dtype == model.dtype


def test_seeds():
    """Weights, shuffling and dropout come from the seed; None is another one each time."""

    def trained(seed):
        model = gw.Model(gw.Sequential(gw.GRU(3, 4), gw.Dropout(0.5), gw.Dense(4, 2)), seed=seed)
        first = model.parameters.flat.copy()
        model.fit(X, Y, epochs=2, batch_size=2, verbose=False)
        return first, model.parameters.flat.copy()

    one, two, other, some, else_ = (trained(seed) for seed in (5, np.int64(5), 6, None, None))
    assert np.array_equal(one, two)
    for a, b in ((one, other), (one, some), (some, else_)):
        assert not np.array_equal(a[0], b[0])
    shuffled = [sequence_model(seed=1, dropout=0.0) for _ in range(2)]
    for model, shuffle in zip(shuffled, (True, False), strict=True):
        model.fit(X, Y, epochs=2, batch_size=2, shuffle=shuffle, verbose=False)
    assert not np.array_equal(shuffled[0].parameters.flat, shuffled[1].parameters.flat)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("float64"), float])
def test_dtypes_stay(dtype):
    """Whatever x comes in: parameters, outputs, states and gradients have the model's dtype."""
    model = sequence_model(dtype=dtype)
    wanted = np.dtype(dtype)
    assert model.dtype == model.parameters.dtype == wanted
    for x in (X, X.astype(np.float32), X.astype(np.float16), (3 * X).astype(int), X > 0):
        y, state = model.run(x)
        assert y.dtype == state[0].h.dtype == state[0].c.dtype == wanted
        assert model.predict(x).dtype == wanted
        assert model.run(x, state)[1][0].h.dtype == wanted
        assert model.gradients(x, Y)[1].dtype == wanted
    assert isinstance(model.evaluate(X, Y)["loss"], float)
    model.fit(X, Y, verbose=False)
    assert model.parameters.dtype == wanted


def test_the_same_seed_is_the_same_model_in_both_dtypes():
    single, double = sequence_model(dtype="float32"), sequence_model(dtype="float64")
    assert np.array_equal(single.parameters.flat, double.parameters.flat.astype(np.float32))
    np.testing.assert_allclose(single.predict(X), double.predict(X), rtol=0, atol=1e-6)


# ------------------------------------------------------------------------------------------------ losses and their gradients


def test_evaluate_and_gradients_change_nothing_and_agree():
    model = randomise(gw.Model(gw.Sequential(gw.GRU(3, 4), gw.Dropout(0.5), gw.Dense(4, 2)), seed=0, dtype="float64"))
    before, weight = model.parameters.flat.copy(), np.arange(1.0, 6.0)
    steps = {"lengths": [6, 5, 4, 3, 2], "sample_weight": weight}
    scores = model.evaluate(X, Y, "huber", ["mae"], **steps)
    assert set(scores) == {"loss", "mae"}
    for size in (1, 2, 5):
        assert model.evaluate(X, Y, "huber", ["mae"], batch_size=size, **steps) == pytest.approx(scores, rel=1e-13)
    value, grads = model.gradients(X, Y, "huber", **steps)
    assert value == pytest.approx(scores["loss"], rel=1e-13)
    assert list(grads) == list(model.parameters)
    assert grads.flat.any()
    assert np.array_equal(model.parameters.flat, before)
    assert np.array_equal(model.gradients(X, Y, "huber", **steps)[1].flat, grads.flat)  # no dropout
    unweighted = model.gradients(X, Y, "huber", lengths=steps["lengths"])[1]
    assert not np.allclose(unweighted.flat, grads.flat)


def test_class_weights_reach_the_gradients():
    model = sequence_model()
    classes = np.tile([0, 1, 1], (5, 2))
    equal, heavy = (model.gradients(X, classes, "cross_entropy", class_weight={1: w})[1].flat for w in (1.0, 3.0))
    spread = model.gradients(X, classes, "cross_entropy", sample_weight=np.where(classes == 1, 3.0, 1.0))[1].flat
    np.testing.assert_allclose(heavy, spread, rtol=0, atol=1e-15)
    assert not np.allclose(heavy, equal)


CLASSES = np.random.default_rng(3).integers(0, 4, (5, 6))
LOSSES = {
    "mse": (None, 2, Y, "complex"),
    "mae": (None, 2, Y, "differences"),
    "huber": ("tanh", 2, Y, "differences"),
    "quantile": (None, 2, Y, "differences"),
    "cross_entropy": ("softmax", 4, CLASSES, "complex"),
    "cross_entropy of logits": (None, 4, CLASSES, "complex"),
    "binary_cross_entropy": ("sigmoid", 2, (Y > 0) * 0.9, "complex"),
    "gaussian_nll": (None, 4, Y, "complex"),
    "mse of relu": ("relu", 2, Y, "differences"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_gradcheck_of_losses(monkeypatch, case):
    """All losses pass, over unequal and weighted rows; a Dense whose bias gets half its gradient does not."""
    final, columns, y, method = LOSSES[case]
    model = gw.Model(gw.Sequential(gw.LSTM(3, 4, learn_initial_state=True), gw.Dense(4, columns, final)), seed=0)
    more = {"lengths": [6, 5, 4, 3, 6], "sample_weight": np.arange(1.0, 6.0), "directions": 2, "elements": 2}
    report = model.gradcheck(X, y, case.split(" ")[0], **more)
    assert report.ok, report
    assert report.method == method
    assert {row.name for row in report.rows} == {
        *(f"parameter {name}" for name in model.parameters), "input x", "initial state[0].h", "initial state[0].c"
    }  # fmt: skip
    right = gw.Dense.backward

    def halved(self, params, grads, cache, dy, dstate=None):
        result = right(self, params, grads, cache, dy, dstate)
        grads.add("b", -0.5 * grads["b"])
        return result

    monkeypatch.setattr(gw.Dense, "backward", halved)
    report = model.gradcheck(X, y, case.split(" ")[0], **more)
    assert not report.ok
    assert [row.name for row in report.rows if row.error >= report.tolerance] == ["parameter 1.b"]
    assert report.worst.error > 0.1


def test_gradcheck_uses_the_models_numbers_and_leaves_them():
    model = randomise(sequence_model(dtype="float32"))
    before, state = model.parameters.flat.copy(), model.run(X)[1]
    report = model.gradcheck(X, Y, state=state, seed=3, method="differences", tolerance=1e-5, directions=1, elements=0)
    assert report.ok
    assert report.method == "differences"
    assert report.tolerance == 1e-5
    assert {row.where for row in report.rows} == {"direction 1"}
    assert np.array_equal(model.parameters.flat, before)
    assert model.parameters.dtype == np.float32
    weaker = model.gradcheck(X, Y, state=tree_map(lambda a: 0.5 * a, state), seed=3)
    assert weaker.rows[0].expected != report.rows[0].expected
    with refused(ShapeError, "state[0].h: got shape (1, 2, 4)", "wanted (1, 5, 4)"):
        model.gradcheck(X, Y, state=model.run(X[:2])[1])


def test_gradcheck_checks_what_gradients_gives():
    """The same numbers, of the same weighted rows."""
    model = randomise(gw.Model(gw.Dense(3, 2, "tanh"), seed=0, dtype="float64"))
    for more in ({}, {"sample_weight": np.arange(1.0, 6.0)}, {"lengths": [6, 5, 4, 3, 2]}, {"mask": X[..., 0] > 0}):
        report = model.gradcheck(X, Y, "mse", directions=0, elements=1, **more)
        grads = model.gradients(X, Y, "mse", **more)[1]
        for row in report.rows[:2]:
            index = tuple(int(n) for n in row.where.strip("[]").split(","))
            assert row.actual == pytest.approx(grads[row.name.removeprefix("parameter ")][index], rel=1e-12)


# ------------------------------------------------------------------------------------------------ threads


def test_threads_bound_every_call(monkeypatch):
    """And nothing bounds them afterwards, or without being asked."""
    bounds, now = [], []

    @contextlib.contextmanager
    def limit(limits):
        now.append(limits)
        yield
        now.pop()

    forward = gw.Dense.forward
    monkeypatch.setattr(bounds_of_threads, "_libraries", lambda: SimpleNamespace(limit=limit))
    monkeypatch.setattr(gw.Dense, "forward", lambda *a, **k: bounds.append(now[-1] if now else None) or forward(*a, **k))
    for threads in (3, None):
        model = gw.Model(gw.Sequential(gw.GRU(3, 4), gw.Dense(4, 2)), seed=0, threads=threads, kernel="numpy")
        stream = model.stream(5)
        calls = [
            lambda m=model: m.predict(X), lambda m=model: m.run(X), lambda m=model: m.evaluate(X, Y),
            lambda m=model: m.gradients(X, Y), lambda m=model: m.gradcheck(X, Y, directions=1, elements=0),
            lambda m=model: m.fit(X, Y, verbose=False), lambda s=stream: s.step(X[:, 0]), lambda s=stream: s.run(X),
            lambda m=model: m.copy().predict(X), lambda m=model: pickle.loads(pickle.dumps(m)).predict(X),
        ]  # fmt: skip
        for call in calls:
            bounds.clear()
            call()
            assert set(bounds) == {threads}
            assert not now


def test_threads_change_no_number():
    assert np.array_equal(
        sequence_model().predict(X), gw.Model(sequence_model().layer, seed=0, dtype="float64", threads=1).predict(X)
    )


def test_threads_need_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with refused(MissingExtraError, "threads=2 needs threadpoolctl", "pip install 'gatewright[fast]'"):
        gw.Model(gw.Dense(1, 1), threads=2)
    assert gw.Model(gw.Dense(1, 1)).predict([[1.0]]).shape == (1, 1)


def test_log_softmax_at_the_end_is_as_good_as_logits():
    """As PyTorch's networks for NLLLoss have it: cross_entropy gives the loss of the same network with softmax."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((3, 5, 2)), rng.integers(0, 4, (3, 5))
    logs = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 4, "log_softmax")), seed=0, dtype="float64")
    plain = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 4, "softmax")), parameters=logs.parameters, dtype="float64")
    np.testing.assert_allclose(logs.predict(x), np.log(plain.predict(x)), rtol=1e-12)
    got, wanted = (model.gradients(x, y, "cross_entropy") for model in (logs, plain))
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-12)
    np.testing.assert_allclose(got[1].flat, wanted[1].flat, rtol=1e-9, atol=1e-14)
