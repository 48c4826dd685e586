"""RTNeural's JSON: the formulas of its layers, round trips to the same bits, and refusals."""

import copy
import json

import numpy as np
import oracle
import pytest
from refusals import refused

import gatewright as gw
from gatewright.errors import FormatError, MissingFileError, OptionError

F, H, T = 2, 3, 7


def entry(kind, units, activation, *shapes, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape).round(3).tolist() for shape in shapes]
    return {"type": kind, "activation": activation, "shape": [None, None, units], "weights": weights}


LSTM = entry("lstm", H, "tanh", (F, 4 * H), (H, 4 * H), (4 * H,), seed=1)
GRU = entry("gru", H, "", (H, 3 * H), (H, 3 * H), (2, 3 * H), seed=2)
DENSE = entry("time-distributed-dense", 2, "elu", (H, 2), (2,), seed=3)
LAST = entry("dense", 2, "softmax", (2, 2), (2,), seed=4)
WHOLE = {"in_shape": [None, None, F], "layers": [LSTM, GRU, DENSE, LAST]}
X = np.random.default_rng(5).standard_normal((1, T, F))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.json"


def read(path, value, **options):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return gw.from_rtneural(path, **options)


def by_the_oracle(x):
    """The outputs of WHOLE for one sequence, by scalar loops on the weights in the file."""
    tanh, sigmoid = oracle.activation("tanh"), oracle.activation("sigmoid")
    lstm = dict(zip("WUb", LSTM["weights"], strict=True))
    W, U, (b, recurrent_b) = GRU["weights"]
    merged = [v + u if k < 2 * H else v for k, (v, u) in enumerate(zip(b, recurrent_b, strict=True))]
    gru = {"W": W, "U": U, "b": merged, "bn": recurrent_b[2 * H :]}
    h, c, g, out = [0.0] * H, [0.0] * H, [0.0] * H, []
    for step in x:
        h, c = oracle.lstm_step(step, h, c, lstm, tanh, sigmoid, tanh)
        (g,) = oracle.gru_step(h, g, gru, tanh, sigmoid)
        y = oracle.dense(g, *DENSE["weights"], "elu")
        out.append(oracle.softmax(oracle.dense(y, *LAST["weights"])))
    return out


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
def test_the_formulas_are_rtneurals(path, dtype, tolerance):
    model = read(path, WHOLE, dtype=dtype)
    assert model.layer == gw.Sequential(gw.LSTM(F, H), gw.GRU(H, H), gw.Dense(H, 2, "elu"), gw.Dense(2, 2, "softmax"))
    y = model.predict(X.astype(dtype))
    assert y.dtype == dtype
    np.testing.assert_allclose(y[0], by_the_oracle(X[0].tolist()), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_file_comes_back(path, dtype):
    """The same numbers, but for the biases of a GRU's z and r, whose sum stands in the first."""
    model = read(path, WHOLE, dtype=dtype)
    model.to_rtneural(path)
    back = json.loads(path.read_text())
    assert [layer["activation"] for layer in back["layers"]] == ["tanh", "tanh", "elu", "softmax"]
    again = gw.from_rtneural(path, dtype=dtype)
    assert again.layer == model.layer
    assert again.parameters.flat.tobytes() == model.parameters.flat.tobytes()
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    for old, new in zip(WHOLE["layers"], back["layers"], strict=True):
        assert old["shape"] == new["shape"]
        for k, (wanted, got) in enumerate(zip(old["weights"], new["weights"], strict=True)):
            if dtype == "float64" and (old["type"], k) != ("gru", 2):
                assert wanted == got


@pytest.mark.parametrize(
    "layer",
    [
        gw.LSTM(F, H, num_layers=2, dropout=0.5),
        gw.GRU(F, H, bias=False),
        gw.LSTM(F, H, bias=False),
        gw.Sequential(gw.Dense(F, H, "relu", bias=False), gw.Dropout(0.5), gw.GRU(H, H, num_layers=2), gw.Dense(H, 1)),
    ],
)
def test_models_go_out(path, layer):
    """Stacks as single layers, no bias as zeros, without Dropout: the same outputs."""
    model = gw.Model(layer, seed=0)
    with model.parameters.edit() as flat:
        flat += np.random.default_rng(0).normal(0, 0.3, flat.shape)
    model.to_rtneural(path)
    got, wanted = gw.from_rtneural(path).predict(X), model.predict(X)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)


def test_an_activation_may_stand_after_a_dense_layer(path):
    act = {"type": "activation", "activation": "tanh", "shape": [None, None, H], "weights": []}
    dense = entry("dense", H, "", (F, H), (H,))
    assert read(path, {"in_shape": [None, None, F], "layers": [dense, act]}).layer == gw.Sequential(gw.Dense(F, H, "tanh"))
    for before in ([], [LSTM], [dense, act]):
        with refused(FormatError, f"layer {len(before)}: an activation is read right after a dense layer"):
            read(path, {"in_shape": [None, None, F], "layers": [*before, act]})
    with refused(FormatError, "layer 1: the shape, weights or options of the activation"):
        read(path, {"in_shape": [None, None, F], "layers": [dense, act | {"shape": [None, None, 9]}]})


def changed(index, **about):
    found = copy.deepcopy(WHOLE)
    found["layers"][index] |= about
    return found


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", ["not JSON"]),
        ("[" * 100_000, ["not JSON"]),
        ("[1]", ["wanted 'in_shape' and 'layers'"]),
        ('{"in_shape": [1, 2], "in_shape": [1, 2], "layers": []}', ["a key is there twice"]),
        (json.dumps(WHOLE)[:-9], ["not JSON"]),
        (WHOLE | {"in_skip": 1}, ["nothing else, and got 'in_shape', 'layers', 'in_skip'"]),
        (WHOLE | {"layers": []}, ["wanted 'in_shape' and 'layers'"]),
        (WHOLE | {"layers": {"a": 1}}, ["wanted a list of layers"]),
        (WHOLE | {"layers": [3]}, ["layer 0: got type 'None'"]),
        (WHOLE | {"in_shape": [None, 4, 4, 1]}, ["in_shape: the shape makes no sense"]),
        (WHOLE | {"in_shape": [None, None, 3]}, ["layer 0: weights 0: got float64 values of shape (2, 12)", "(3, 12)"]),
        (changed(0, type="conv1d"), ["layer 0: got type 'conv1d', wanted one of lstm, gru, dense"]),
        (changed(2, type="prelu"), ["layer 2: got type 'prelu'"]),
        (changed(1, activation="relu"), ["layer 1: got activation 'relu', wanted tanh"]),
        (changed(2, activation="gelu"), ["layer 2: got activation 'gelu', wanted one of tanh, relu"]),
        (changed(2, activation=3), ["layer 2: got activation '3'"]),
        (changed(0, dilation=2), ["layer 0: 'dilation' is missing or not known"]),
        (changed(0, shape=[None, None, 10**4000]), ["layer 0: the shape makes no sense"]),
        (changed(0, shape=[None, None, 10**6]), ["layer 0: weights 0: got float64 values of shape (2, 12)"]),
        (changed(0, shape=[None, None, True]), ["layer 0: the shape makes no sense"]),
        (changed(0, weights=LSTM["weights"][:2]), ["layer 0: wanted a list of 3 weights"]),
        (changed(0, weights=[[[1.0], [1.0, 2.0]], 1, 1]), ["layer 0: weights 0: lists of unequal lengths"]),
        (changed(3, weights=[[["1", "2"], ["1", "2"]], [0, 0]]), ["layer 3: weights 0: got <U1 values"]),
        (changed(3, weights=[[[None, 1], [1, 1]], [0, 0]]), ["layer 3: weights 0: got object values"]),
        (json.dumps(changed(3, weights=[[[1, 1], [1, 1]], [0, 4242]])).replace("4242", "1e999"), ["layer 3", "too large"]),
        (json.dumps(changed(3, weights=[[[1, 1], [1, 1]], [0, 4242]])).replace("4242", "NaN"), ["NaN, which is no number"]),
    ],
)  # fmt: skip
def test_files_that_are_refused(path, value, words):
    with refused(FormatError, str(path), *words):
        read(path, value)


def test_flipped_bits_in_a_file(path):
    """One clear line, or a model of other numbers: nothing else."""
    whole, said = json.dumps(WHOLE).encode(), []
    for place in range(0, len(whole), 3):
        mutant = bytearray(whole)
        mutant[place] ^= 1 << place % 8
        path.write_bytes(mutant)
        try:
            gw.from_rtneural(path)
        except FormatError as error:
            said.append(str(error))
    assert len(said) > len(whole) // 20
    assert all(str(path) in line and "\n" not in line and len(line) < 600 for line in said)


def test_a_number_beyond_the_dtype(path):
    """Found by the fuzzer: it became infinite."""
    gw.Model(gw.Dense(F, H), seed=0).to_rtneural(path)
    found = json.loads(path.read_text())
    found["layers"][0]["weights"][0][0][0] = 1e300
    path.write_text(json.dumps(found))
    with refused(FormatError, str(path), "a weight is larger than any float32"):
        gw.from_rtneural(path)
    assert gw.from_rtneural(path, dtype="float64").parameters["0.W"][0, 0] == 1e300


def test_a_file_that_is_not_there(path):
    with refused(MissingFileError, str(path), "there is no such file"):
        gw.from_rtneural(path)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (gw.RNN(F, H), ["layer 0: RNN(2, 3)", "LSTM, GRU and Dense have one"]),
        (gw.Sequential(gw.Dense(F, H), gw.LayerNorm(H)), ["layer 1: LayerNorm", "no counterpart in RTNeural"]),
        (gw.LSTM(F, H, bidirectional=True), ["bidirectional=False only"]),
        (gw.LSTM(F, H, go_backwards=True), ["go_backwards=False only"]),
        (gw.LSTM(F, H, return_sequences=False), ["return_sequences=True only"]),
        (gw.LSTM(F, H, learn_initial_state=True), ["learn_initial_state=False only"]),
        (gw.LSTM(F, H, peepholes=True), ["varied=False only"]),
        (gw.LSTM(F, H, clip=1.0), ["clip=None only"]),
        (gw.GRU(F, H, reset_after=False), ["reset_after=True only"]),
        (gw.GRU(F, H, activation="relu"), ["activation=tanh only"]),
        (gw.GRU(F, H, recurrent_activation="hard_sigmoid"), ["recurrent_activation=sigmoid only"]),
        (gw.Dense(F, H, "gelu"), ["which knows the activations 'tanh', 'relu'"]),
        (gw.Dense(F, H, gw.Activation("elu", 2.0)), ["which knows the activations"]),
        (gw.Dropout(0.5), ["no LSTM, GRU or Dense"]),
    ],
)
def test_what_rtneural_has_not_does_not_go_out(path, layer, words):
    with refused(OptionError, *words):
        gw.Model(layer, seed=0).to_rtneural(path)
    assert not path.exists()
