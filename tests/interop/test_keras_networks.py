"""Keras' files: what Keras gave from them, forward and back, is given here."""

import numpy as np
import pytest
from keras_goldens import GOLDEN, golden, keras2, with_option

import gatewright as gw
from gatewright import inputs
from gatewright.steps import Steps

pytestmark = pytest.mark.usefixtures("quick")

ENDS = (".keras", ".h5")


# ------------------------------------------------------------------------------------------------ the same numbers


@pytest.mark.parametrize(("dtype", "kernel"), [(None, "auto"), (None, "numpy"), ("float64", "numpy")])
@pytest.mark.parametrize("case", GOLDEN)
def test_outputs_are_keras(read, case, dtype, kernel):
    """Masked steps too, where the network ends in the recurrent layer."""
    x, y = GOLDEN[case][1]["x"], GOLDEN[case][1]["y"]
    model = golden(read, f"{case}.keras", kernel=kernel, dtype=dtype)
    assert model.dtype == (dtype or ("float64" if case == "float64" else "float32"))
    np.testing.assert_allclose(model.run(x)[0], y, rtol=0, atol=1e-6 * max(1, np.abs(y).max()))  # predict warns if stateful


def names_of(parameters, weight):
    """Our parameter with the numbers of this weight of Keras', and that of the GRU's recurrent bias."""
    for name, array in parameters.items():
        both = [name, f"{name}n"] if f"{name}n" in parameters else [name]
        if len(both) > 1 and weight.ndim == 2:
            size = 2 * len(parameters[both[1]])  # the two biases of z and r are one here
            if np.array_equal(array, [*weight.sum(axis=0)[:size], *weight[0, size:]]):
                return both
        elif np.array_equal(array, weight):
            return both
    raise AssertionError("no parameter has these numbers")


@pytest.mark.parametrize("case", GOLDEN)
def test_gradients_are_keras(read, case):
    """Of the input and of every weight, from a random gradient of the output."""
    arrays = {key: array.astype(float) if key != "x" else array for key, array in GOLDEN[case][1].items()}
    model = golden(read, f"{case}.keras", dtype="float64")
    grads, batch = model.parameters.zeros_like(), inputs.batch(model.layer, arrays["x"], Steps(), model.dtype)
    _, _, cache = model.layer.forward(model.parameters, batch.x, steps=batch.steps)
    dx, _ = model.layer.backward(model.parameters, grads, cache, arrays["dy"])
    if case in (
        "conv_masked",
        "options_pool",
    ):  # Masking(0) is not there here: what it would mask is zero already, but has a gradient
        dx[(arrays["x"] == 0).all(axis=-1)] = 0
    got, wanted = ({"x": dx}, {"x": arrays["dx"]}) if "dx" in arrays else ({}, {})
    for k in range(sum(key[0] == "w" for key in arrays)):
        name, *recurrent = names_of(model.parameters, arrays[f"w{k}"])
        got[name], wanted[name] = grads[name], arrays[f"d{k}"]
        for bn in recurrent:
            size = len(grads[bn])
            np.testing.assert_allclose(*wanted[name][:, : 2 * size], rtol=0, atol=2e-7 * np.abs(wanted[name]).max())
            got[bn], wanted[bn], wanted[name] = grads[bn], wanted[name][1, 2 * size :], wanted[name][0]
    assert {name for name, free in model.parameters.trainable.items() if free} == got.keys() - {"x"}
    for name, gradient in got.items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=0, atol=2e-7 * np.abs(wanted[name]).max(), err_msg=name)


@pytest.mark.parametrize("case", [case for case in GOLDEN if "s" in GOLDEN[case][1]])
def test_states_are_keras(read, case):
    """The output from a given initial state, and the gradient of that state."""
    arrays = GOLDEN[case][1]
    model = golden(read, f"{case}.keras", dtype="float64")
    batch = inputs.batch(model.layer, arrays["x"], Steps(), model.dtype)
    index = next(k for k, layer in enumerate(model.layer.layers) if isinstance(layer, gw.layers.Recurrent | gw.Bidirectional))
    shape = model.layer.layers[index].state_shape(len(batch.x))
    given = iter(arrays["s"].astype(float))
    if isinstance(shape[0], tuple) and isinstance(shape[0][0], tuple):  # gw.Bidirectional
        first = tuple(type(way)(*(next(given)[None] for _ in way)) for way in shape)
    else:  # Keras: the forward h and c, then the backward ones
        ways = shape[0][0]
        first = type(shape)(*np.stack(list(given)).reshape(ways, len(shape), *shape[0][1:]).swapaxes(0, 1))
    state = tuple(first if k == index else None for k in range(len(model.layer.layers)))
    y, _, cache = model.layer.forward(model.parameters, batch.x, state, steps=batch.steps)
    np.testing.assert_allclose(y, arrays["ys"], rtol=0, atol=2e-7 * np.abs(arrays["ys"]).max())
    grads = model.parameters.zeros_like()
    _, dstate = model.layer.backward(model.parameters, grads, cache, arrays["dy"].astype(float))
    got = dstate[index]
    flat = [a for way in got for a in way] if isinstance(got[0], tuple) else np.stack(got).swapaxes(0, 1)
    got = np.reshape(flat, arrays["ds"].shape)
    np.testing.assert_allclose(got, arrays["ds"], rtol=0, atol=2e-7 * np.abs(arrays["ds"]).max())


@pytest.mark.parametrize("case", GOLDEN)
def test_both_files_are_one_model(read, case):
    models = [golden(read, case + end) for end in ENDS]
    assert models[0].layer == models[1].layer
    assert models[0].parameters.flat.tobytes() == models[1].parameters.flat.tobytes()


def test_the_layers_are_these(read):
    """What Keras has no word for has its default."""
    wanted = {
        "stack": gw.Sequential(
            gw.Masking(-1.0), gw.LSTM(2, 3), gw.Dropout(0.5), gw.GRU(3, 3, return_sequences=False), gw.Dense(3, 2, "softmax")
        ),
        "words": gw.Sequential(
            gw.Embedding(5, 2, mask_zero=True), gw.LSTM(2, 3, bidirectional=True), gw.Dense(6, 2, "tanh"),
            gw.GRU(2, 2, return_sequences=False),
        ),
        "masked": gw.Sequential(gw.Masking(-1.0), gw.LSTM(2, 3, masked_output="repeat")),
        "masked_zero": gw.Sequential(gw.Masking(-1.0), gw.LSTM(2, 3)),
        "sum": gw.Sequential(gw.Masking(-1.0), gw.Bidirectional(gw.GRU(2, 3, reset_after=False), "sum")),
    }  # fmt: skip
    for case, layer in wanted.items():
        assert read(case + ".keras").layer == layer


def test_ready_to_stream_and_to_train(read):
    model, x = read("lstm.keras"), GOLDEN["lstm"][1]["x"]
    stream = model.stream(len(x))
    np.testing.assert_allclose(np.stack([stream.step(x[:, t]) for t in range(7)], 1), GOLDEN["lstm"][1]["y"], atol=1e-6)
    before = model.evaluate(x, np.zeros((3, 7, 3)))["loss"]
    assert model.fit(x, np.zeros((3, 7, 3)), epochs=3, verbose=False).history["loss"][-1] < before


def test_what_keras_does_not_train_is_frozen(read):
    trainable = read("before.keras").parameters.trainable
    assert [name for name, free in trainable.items() if not free] == ["1.gain"]
    still = read("lstm.keras", with_option("lstm", "LSTM", trainable=False)).parameters.trainable
    assert not any(still.values())


# ------------------------------------------------------------------------------------------------ Keras 2


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("version", ["2.2.4", "2.15.0", None])
def test_keras_2(read, version, graph):
    """hard_sigmoid is clip(0.2 x + 0.5, 0, 1), and a GRU that does not say reset_after has its reset gate before."""
    rng = np.random.default_rng(5)
    parts = [
        gw.LSTM(2, 3, recurrent_activation=gw.Activation("hard_sigmoid", 0.2, 0.5)),
        gw.GRU(3, 2, reset_after=False, recurrent_activation=gw.Activation("hard_sigmoid", 0.2, 0.5), return_sequences=False),
    ]
    wanted = gw.Model(gw.Sequential(*parts), seed=2)
    wanted.set_weights([rng.standard_normal(w.shape) for w in wanted.get_weights()])
    common = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True, "implementation": 1}
    layers = [
        ("LSTM", {**common, "units": 3, "return_sequences": True, "batch_input_shape": [None, 7, 2], "dtype": "float32"}),
        ("GRU", {**common, "units": 2, "return_sequences": False, "time_major": False}),
    ]
    weights = wanted.get_weights()
    lists = [weights[:3], weights[3:]]
    if graph:
        layers, lists = [("InputLayer", {"batch_input_shape": [None, 7, 2], "sparse": False}), *layers], [[], *lists]
    got = read("old.h5", keras2(layers, lists, version, graph))
    assert got.layer == wanted.layer
    x = rng.standard_normal((3, 7, 2))
    np.testing.assert_array_equal(got.predict(x), wanted.predict(x))


def test_hard_sigmoid_is_another_one_since_keras_3(read):
    assert read("unmasked_words.h5").layer.layers[1].recurrent_activation == gw.Activation("hard_sigmoid")
