"""Keras' graphs of layers: what they become, and which are refused."""

import keras_goldens
import numpy as np
import pytest
from keras_goldens import changed, content, golden, graph2, keras2, with_option
from refusals import refused

import gatewright as gw
from gatewright.errors import FormatError
from gatewright.interop import keras_graph

pytestmark = pytest.mark.usefixtures("quick")

LAST = {"return_sequences": False}


# ------------------------------------------------------------------------------------------------ what they become

WANTED = {
    "residual": gw.Sequential(
        gw.Dense(2, 3), gw.Residual(gw.LSTM(3, 3)), gw.Residual(gw.Conv1D(3, 3, 3, padding="same")), gw.GRU(3, 2, **LAST)
    ),
    "residual_plus": gw.Sequential(
        gw.Dense(2, 3), gw.Parallel([gw.Residual(gw.Dense(3, 3, "tanh")), gw.Dense(3, 3, "sigmoid")], "mul"),
        gw.LSTM(3, 2, **LAST),
    ),
    "branches": gw.Sequential(
        gw.Parallel([gw.LSTM(2, 3, **LAST), gw.GRU(2, 2, **LAST), gw.Sequential(gw.Conv1D(2, 2, 3), gw.GlobalMaxPooling1D())]),
        gw.Dense(7, 2),
    ),
    "multiply": gw.Sequential(gw.Parallel([gw.Dense(2, 3, "sigmoid"), gw.Dense(2, 3, "tanh")], "mul"), gw.GRU(3, 2)),
    "average_embedded": gw.Sequential(
        gw.Embedding(5, 3, mask_zero=True), gw.Parallel([gw.Activate(None), gw.GRU(3, 3)], "ave"), gw.GlobalAveragePooling1D()
    ),
    "conv_words": gw.Sequential(
        gw.Embedding(5, 3), gw.Dropout(0.2), gw.Conv1D(3, 4, 3, activation="relu"), gw.GlobalMaxPooling1D(), gw.Dense(4, 2)
    ),
    "conv_masked": gw.Sequential(gw.Dense(2, 3), gw.Conv1D(3, 2, 3, padding="same"), gw.GRU(2, 2)),
    "nested": gw.Sequential(
        gw.Dense(2, 3), gw.GRU(3, 3), gw.Parallel([gw.Activate(None), gw.LSTM(3, 2)]), gw.Dense(5, 2, "relu"),
        gw.RNN(2, 2, **LAST),
    ),
    "nested_twice": gw.Sequential(
        *[gw.Shared(gw.Dense(2, 3, "tanh"), "dense"), gw.Shared(gw.GRU(3, 2), "gru")] * 2, gw.LSTM(2, 2, **LAST)
    ),
    "shared_branches": gw.Sequential(
        gw.Parallel(
            [
                gw.Shared(gw.GRU(2, 2, **LAST), "gru"),
                gw.Sequential(gw.Dense(2, 2), gw.Shared(gw.GRU(2, 2, **LAST), "gru")),
                gw.LSTM(2, 2, **LAST),
            ]
        )
    ),
    "state": gw.Sequential(gw.LSTM(2, 3, **LAST), gw.Dense(3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("case", WANTED)
def test_the_layers_are_these(read, case):
    assert golden(read, f"{case}.keras").layer == WANTED[case]


def test_an_activation_stands_by_itself_where_no_dense_takes_it(read):
    layers = [
        ("InputLayer", "x", {"batch_input_shape": [None, None, 3]}),
        ("Activation", "a", {"activation": "tanh"}, ["x"]),
        ("ReLU", "b", {"max_value": 6.0}, ["a"]),
        ("LeakyReLU", "c", {"alpha": 0.25}, ["b"]),
        ("Activation", "d", {"activation": "linear"}, ["c"]),
        ("Softmax", "e", {"axis": 2}, ["d"]),
    ]
    relu = gw.Activation("relu", clip=6.0)
    found = [gw.Activate("tanh"), gw.Activate(relu), gw.Activate(gw.Activation("leaky_relu", 0.25)), gw.Activate("softmax")]
    assert read("a.h5", graph2(layers)).layer == gw.Sequential(*found)


def test_what_is_in_two_branches_is_told(read):
    """A Dropout there is another one in each, when training."""
    layers = [
        ("InputLayer", "x", {"batch_input_shape": [None, None, 3]}),
        ("Dropout", "a", {"rate": 0.5}, ["x"]),
        ("Activation", "b", {"activation": "tanh"}, ["a"]),
        ("Concatenate", "c", {"axis": -1}, ["x", "a", "b"]),
    ]
    with pytest.warns(UserWarning, match="Dropout 'a': stands in 2 branches"):
        found = read("a.h5", graph2(layers))
    dropout = gw.Dropout(0.5)
    assert found.layer.layers[0] == gw.Parallel([gw.Activate(None), dropout, gw.Sequential(dropout, gw.Activate("tanh"))])


def test_a_frozen_model_in_a_model(read):
    """Nothing in it is trained."""
    model = golden(read, "nested_still.keras")
    assert [name for name, free in model.parameters.trainable.items() if not free] == [
        "1.gain", "1.shift", "1.mean", "1.var", "2.W", "2.b", "3.mean", "3.var"
    ]  # fmt: skip

    def freeze(config):
        config["config"]["trainable"] = False

    model = read("nested_twice.keras", changed(content("nested_twice.keras"), "config.json", freeze))
    assert not any(model.parameters.trainable.values())


def test_layers_of_one_name(read):
    """Shared ones in different models."""

    one, two = (
        {
            "class_name": "Sequential",
            "config": {"name": name, "layers": [_dense(inside)]},
            "inbound_nodes": _calls(source, name),
        }
        for name, inside, source in (("one", "d.\n e", "x"), ("two", "d_e", "one"))
    )
    two["inbound_nodes"][0][0][1] = 1
    layers = [{"class_name": "InputLayer", "config": {"name": "x"}, "inbound_nodes": []}, one, two]
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["two", 1, 0]]}
    kernels = [np.full((2, 2), 0.5), np.full((2, 2), 0.25)]
    arrays = {f"_layer_checkpoint_dependencies/sequential{n}/_layer_checkpoint_dependencies/dense/vars/0": kernel
              for n, kernel in zip(("", "_2"), kernels, strict=True)}  # fmt: skip
    model = read("a.keras", keras_goldens.zipped2({"class_name": "Functional", "config": config}, arrays))
    assert list(model.parameters) == ["shared.d_e.W", "shared.d_e_.W"]
    np.testing.assert_array_equal(model.predict(np.ones((1, 2))), [[0.25, 0.25]])


def _dense(name):
    return {"class_name": "Dense", "config": {"name": name, "units": 2, "use_bias": False, "activation": "linear"}}


def _calls(first, name):
    """Two calls of a layer, the second on the output of the first."""
    return [[[first, 0, 0, {}]], [[name, 0, 0, {}]]]


# ------------------------------------------------------------------------------------------------ what is refused

TENSOR = {"class_name": "__keras_tensor__", "config": {"keras_history": ["gru", 0, 0]}}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: c.update(class_name="Custom"), ["Custom"]),
        (lambda c: c.update(config=3), ["layers"]),
        (lambda c: c["config"].update(layers=[3]), ["can't be read"]),
        (lambda c: c["config"].update(layers=[]), ["no output"]),
        (lambda c: c["config"]["layers"][1].update(module="mine"), ["no layer of Keras"]),
        (lambda c: c["config"]["layers"][1].update(class_name="A\nB"), ["no name of a layer"]),
        (lambda c: c["config"]["layers"][1].update(registered_name="My>LSTM"), ["no layer of Keras"]),
        (lambda c: c["config"]["layers"][1]["config"].pop("name"), ["no name"]),
        (lambda c: c["config"]["layers"].append(c["config"]["layers"][1]), ["one name"]),
        (lambda c: c["config"].update(input_layers=[["a", 0, 0], ["b", 0, 0]]), ["2 inputs", "'a', 'b'", "one is supported"]),
        (lambda c: c["config"].update(output_layers={"y": 3}), ["one output", "output_layers"]),
        (lambda c: c["config"].update(output_layers=[TENSOR, TENSOR]), ["2 outputs", "'gru', 'gru'"]),
        (lambda c: c["config"].update(output_layers=["gru", 0, 2]), ["GRU 'gru'", "its output 2"]),
        (lambda c: c["config"].update(output_layers=["gru", 1, 0]), ["'gru' is no output"]),
        (lambda c: c["config"]["layers"][2].update(inbound_nodes=3), ["Masking 'masking'", "its place"]),
        (lambda c: c["config"]["layers"][2]["inbound_nodes"].append({}), ["Masking 'masking'", "its place"]),
        (lambda c: c["config"]["layers"][-1]["inbound_nodes"][0].update(args=[]), ["GRU 'gru'", "its place"]),
        (lambda c: c["config"]["layers"][-1]["inbound_nodes"][0].update(args=[[]]), ["GRU 'gru'", "its place"]),
        (lambda c: c["config"]["layers"][-1]["inbound_nodes"][0]["args"].append(5), ["GRU 'gru'", "more than tensors"]),
        (
            lambda c: c["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"].update(initial_state=[1]),
            ["GRU 'gru'", "'initial_state'", "not supported"],
        ),
        (lambda c: c["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"].update(training=True), ["'training'"]),
        (lambda c: c["config"]["layers"][-1]["inbound_nodes"][0]["kwargs"].update(mask=True), ["'mask'"]),
        (lambda c: c["config"]["layers"][1]["inbound_nodes"][0]["args"].__setitem__(1, 5), ["its mask is not that"]),
        (lambda c: c["config"]["layers"][1]["inbound_nodes"][0]["args"].__setitem__(1, {}), ["its mask is not that"]),
        (lambda c: c["config"]["layers"][2]["config"].update(mask_value={}), ["its mask is not that"]),
        (
            lambda c: c["config"]["layers"][1].update(class_name="Greater", registered_name=None),
            ["Greater 'not_equal'", "operation"],
        ),
        (
            lambda c: c["config"]["layers"][1].update(class_name="Multiply", registered_name=None),
            ["Multiply 'not_equal' with", "operation"],
        ),
    ],
)
def test_a_graph_that_says_something_else(read, edit, words):
    with refused(FormatError, "masked_graph.keras", *words):
        read("masked_graph.keras", changed(content("masked_graph.keras"), "config.json", lambda c: edit(c) and None))


X = ("InputLayer", "x", {"batch_input_shape": [None, None, 2]})
Z = ("InputLayer", "z", {})
RNN = {"units": 2, "activation": "linear", "return_sequences": True, "use_bias": False}
STATES = {**RNN, "return_state": True}
CELLS = {name: {"kernel": np.ones((2, 2)), "recurrent_kernel": np.ones((2, 2))} for name in "abc"}
LSTM = {**STATES, "recurrent_activation": "sigmoid"}
GATES = {"a": {"kernel": np.ones((2, 8)), "recurrent_kernel": np.ones((2, 8))}}
MASK = ("Masking", "m", {"mask_value": 0.0}, ["x"])
TANH = {"activation": "tanh"}


@pytest.mark.parametrize(
    ("layers", "ends", "words"),
    [
        ([X, Z, ("Add", "s", {}, ["x", "z"])], {"input_layers": [["x", 0, 0], ["z", 0, 0]]}, ["2 inputs", "'x', 'z'"]),
        ([X, Z, ("Add", "s", {}, ["x", "z"])], {}, ["'z' is called on no tensor"]),
        ([X, ("Activation", "a", TANH, ["x"])], {"output_layers": [["a", 0, 0], ["x", 0, 0]]}, ["2 outputs", "'a', 'x'"]),
        ([X, ("Activation", "a", TANH, ["b"]), ("Activation", "b", TANH, ["a"])], {}, ["circle"]),
        ([X, ("Activation", "a", TANH, ["nowhere"])], {}, ["'nowhere'", "not there"]),
        ([X, ("Activation", "a", TANH, [["x", 1, 0, {}]])], {}, ["'x'", "not there"]),
        ([X, ("Activation", "a", TANH, [["x", -1, 0, {}]])], {}, ["Activation 'a'", "more than tensors"]),
        ([X, ("Activation", "a", TANH, [["x", 0, 0, {"mask": ["m", 0]}]])], {}, ["'mask'"]),
        ([X, ("Activation", "a", TANH, ["x"]), ("Activation", "b", TANH, ["x"])], {}, ["'a': its output is not used"]),
        ([X, ("Activation", "a", TANH, ["x", "x"])], {}, ["Activation 'a'", "on 2 tensors"]),
        ([X], {}, ["no layer"]),
        ([X, ("SimpleRNN", "a", RNN, ["x", "x"])], {}, ["SimpleRNN 'a'", "initial_state"]),
        ([X, ("Sequential", "m", {"layers": []}, ["x", "x"])], {}, ["Sequential 'm'", "on 2 tensors"]),
        ([X, ("SimpleRNN", "a", RNN, [["x", 0, 0, {"initial_state": ["x", 0, 0]}]])], {}, ["SimpleRNN 'a'", "initial_state"]),
        ([X, ("SimpleRNN", "a", RNN, ["x"])], {"output_layers": [["a", 0, 1]]}, ["SimpleRNN 'a'", "its output 1"]),
        ([X, ("SimpleRNN", "a", STATES, ["x"])], {"output_layers": [["a", 0, 2]]}, ["SimpleRNN 'a'", "its output 2"]),
        ([X, ("Activation", "a", TANH, ["x"])], {"output_layers": [["a", 0, 1]]}, ["Activation 'a'", "its output 1"]),
        (
            [X, ("SimpleRNN", "a", STATES, ["x"]), ("SimpleRNN", "b", {**RNN, "return_sequences": False}, ["a"]),
             ("Add", "s", {}, ["b", ["a", 0, 1, {}]])],
            {}, ["SimpleRNN 'a'", "both its outputs and its last state h"],
        ),
        ([X, ("Concatenate", "s", {"axis": 1}, ["x", "x"])], {}, ["Concatenate 's'", "axis=1"]),
        ([X, ("Concatenate", "s", {"axis": 1, "more": 3}, ["x", "x"])], {}, ["Concatenate 's'", "'more'"]),
        ([X, ("Maximum", "s", {}, ["x", "x"])], {}, ["Maximum 's'", "not supported"]),
        ([X, ("SimpleRNN", "a", {**RNN, "return_sequences": False}, ["x"]), ("Concatenate", "s", {}, ["x", "a"])], {},
         ["Concatenate 's'", "can't join outputs"]),
        ([X, ("SimpleRNN", "a", {**RNN, "go_backwards": True}, ["x"]), ("Concatenate", "s", {}, ["x", "a"])], {},
         ["Concatenate 's'", "go_backwards"]),
        ([X, ("SimpleRNN", "a", {**RNN, "go_backwards": True}, ["x"]), ("Add", "s", {}, ["x", "a"])], {},
         ["Add 's'", "go_backwards"]),
        ([X, ("Activation", "a", TANH, ["x"]), ("Masking", "m", {"mask_value": 0.0}, ["a"])], {}, ["Masking", "put it first"]),
        ([X, MASK, ("Activation", "a", TANH, ["x"]), ("Add", "s", {}, ["m", "a"])], {}, ["Add 's'", "different masks"]),
        ([X, MASK, ("Masking", "n", {"mask_value": 1.0}, ["x"]), ("Add", "s", {}, ["m", "n"])], {}, ["different masks"]),
        ([X, MASK, ("Softmax", "a", {"axis": -1}, ["m"])], {}, ["Softmax 'a' with a mask"]),
        ([X, MASK, ("TimeDistributed", "a", {"layer": {"class_name": "Softmax", "config": {"axis": -1}}}, ["m"])], {},
         ["TimeDistributed 'a' with a mask"]),
        ([X, ("Masking", "m", {"mask_value": 1.0}, ["x"]), ("GlobalMaxPooling1D", "a", {}, ["m"])], {},
         ["GlobalMaxPooling1D 'a'", "Masking 'm'", "mask_value=0"]),
        ([X, MASK, ("SimpleRNN", "a", RNN, ["m"]), ("GlobalMaxPooling1D", "p", {}, ["a"])], {},
         ["GlobalMaxPooling1D 'p'", "Masking 'm'", "SimpleRNN 'a' does not"]),
        ([X, MASK, ("SimpleRNN", "a", {**RNN, "go_backwards": True}, ["m"]), ("GlobalAveragePooling1D", "p", {}, ["a"])], {},
         ["GlobalAveragePooling1D 'p'", "turns"]),
        ([X, MASK, ("SimpleRNN", "a", {**RNN, "go_backwards": True, "zero_output_for_mask": True}, ["m"])], {},
         ["SimpleRNN 'a'", "zero_output_for_mask"]),
    ],
)  # fmt: skip
def test_a_graph_that_is_not_supported(read, layers, ends, words):
    weights = {
        name: arrays for name, arrays in CELLS.items() if any(layer[1] == name for layer in layers if layer[0] == "SimpleRNN")
    }
    with refused(FormatError, "a.h5", *words):
        read("a.h5", graph2(layers, weights, **ends))


def test_a_mask_that_a_model_is_given(read):
    """The inner model of a recorded network is called with another mask than that of its input."""

    def edit(config):
        layers = config["config"]["layers"]
        inner = next(layer for layer in layers if layer["class_name"] == "Sequential")
        assert inner["inbound_nodes"][0]["kwargs"]["mask"]["config"]["keras_history"][0] == "not_equal"
        layers[2]["inbound_nodes"][0]["args"][1] = 3

    with refused(FormatError, "InputLayer", "its mask is not that"):
        read("nested_masked.keras", changed(content("nested_masked.keras"), "config.json", edit))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([None, 2], ["(1, 2)", "(batch, time, features)"]),
        ([None, 7, 3], ["3"]),
        ([None, 7, 2, 2], ["[None, 7, 2, 2]", "rows, sequences or indices"]),
        ([], ["[]", "rows"]),
        ([None, -1, 2], ["[None, -1, 2]"]),
        ([None, "7", 2], ["[None, '7', 2]"]),
        ([None, True, 2], ["[None, True, 2]"]),
    ],
)
def test_an_input_that_the_network_does_not_take(read, shape, words):
    x = ("InputLayer", "x", {"batch_input_shape": shape})
    with refused(FormatError, "a.h5", *words):
        read("a.h5", graph2([x, MASK, ("SimpleRNN", "a", RNN, ["m"])], {"a": CELLS["a"]}))


def test_the_cell_state_is_refused(read):
    with refused(FormatError, "LSTM 'a'", "cell state c"):
        read("a.h5", graph2([X, ("LSTM", "a", LSTM, ["x"])], GATES, output_layers=[["a", 0, 2]]))


def test_a_layer_that_is_not_called(read):
    layers = [X, ("SimpleRNN", "a", RNN, ["x"]), ("SimpleRNN", "b", RNN)]
    with refused(FormatError, "SimpleRNN 'b'", "not called"):
        read("a.h5", graph2(layers, {name: CELLS[name] for name in "ab"}, output_layers=[["a", 0, 0]]))


def test_one_layer_that_would_be_two(read):
    """The last state here, all outputs there."""
    layers = [
        X, ("SimpleRNN", "a", STATES, ["x"], ["c"]), ("SimpleRNN", "c", RNN, ["x"]), ("GlobalMaxPooling1D", "p", {}, ["a"]),
        ("Add", "s", {}, ["p", ["a", 1, 1, {}]]),
    ]  # fmt: skip
    with refused(FormatError, "'a' stands for two layers"):
        read("a.h5", graph2(layers, {name: CELLS[name] for name in "ac"}))


def test_go_backwards_with_a_mask_in_the_middle(read):
    """Keras turns the outputs round, but not the mask that the next layer sees."""
    cell = {"activation": "tanh", "return_sequences": True, "use_bias": False, "units": 2, "go_backwards": True}
    layers = [("Masking", {"mask_value": 0.0}), ("SimpleRNN", cell), ("SimpleRNN", {**cell, "go_backwards": False})]
    with refused(FormatError, "a.h5", "turns"):
        read("a.h5", keras2(layers, [[], [np.ones((2, 2))] * 2, [np.ones((2, 2))] * 2]))


def test_a_message_stays_short(read):
    """Whatever network it is about."""
    branches = [("Activation", f"a{k}", {"activation": "tanh"}, ["x"]) for k in range(60)]
    merge = ("Concatenate", "c", {"axis": -1}, [name for _, name, *_ in branches])
    with refused(FormatError, "a.h5", "Residual", "…"):
        read("a.h5", graph2([X, *branches, merge, ("Add", "s", {}, ["x", "c"])]))


def test_graphs_without_end(read):
    """Models in models in models, each called twice."""
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
    for k in range(30):
        nodes = [[["x", 0, 0, {}]], [["i", 0, 0, {}]]]
        layers = [{"class_name": "InputLayer", "config": {"name": "x"}, "inbound_nodes": []},
                  {**model, "config": {**model["config"], "name": "i"}, "inbound_nodes": nodes}]  # fmt: skip
        ends = {"input_layers": [["x", 0, 0]], "output_layers": [["i", 1, 0]]}
        model = {"class_name": "Functional", "config": {"name": f"m{k}", "layers": layers, **ends}}
        if k == 11:
            with refused(FormatError, "calls of layers"):
                read("a.keras", keras_goldens.zipped2(model, {}))
    with refused(FormatError, "models in each other"):
        read("a.keras", keras_goldens.zipped2(model, {}))
    many = [X, *(("Activation", f"a{k}", TANH, [f"a{k - 1}" if k else "x"]) for k in range(keras_graph.CALLS))]
    with refused(FormatError, "calls of layers"):
        read("a.h5", graph2(many))


def test_branches_without_end(read):
    """Forks that are no forks, each twice as many places as the one before, and forks in each other."""
    layers = [X]
    for k in range(30):
        a, b = (layers[-2][1], layers[-1][1]) if k else ("x", "x")
        layers += [("Activation", f"t{k}", TANH, [b]), ("Add", f"s{k}", {}, [a, f"t{k}"])]
    with refused(FormatError, "once branches are apart"):
        read("a.h5", graph2(layers))
    deep = [X, *(("Add", f"s{k}", {}, [f"s{k - 1}" if k else "x", "x"]) for k in range(60))]
    with refused(FormatError, "forks in each other"):
        read("a.h5", graph2(deep))


@pytest.mark.parametrize(
    ("case", "kind", "options", "words"),
    [
        ("conv", "Conv1D", {"data_format": "channels_first"}, ["data_format='channels_first'"]),
        ("conv", "Conv1D", {"kernel_size": [2]}, ["shapes", "2 steps"]),
        ("conv", "Conv1D", {"kernel_size": [2, 2]}, ["kernel_size=[2, 2]"]),
        ("conv", "Conv1D", {"padding": "full"}, ["padding"]),
        ("conv", "Conv1D", {"padding": None}, ["padding=None"]),
        ("conv", "Conv1D", {"strides": [0]}, ["stride"]),
        ("conv", "Conv1D", {"filters": 5}, ["shapes"]),
        ("conv", "Conv1D", {"groups": 3}, ["groups=3"]),
        ("conv", "MaxPooling1D", {"pool_size": "2"}, ["pool_size='2'"]),
        ("conv", "MaxPooling1D", {"strides": [True]}, ["strides=[True]"]),
        ("conv", "MaxPooling1D", {"padding": "causal"}, ["padding"]),
        ("conv", "MaxPooling1D", {"data_format": "channels_first"}, ["data_format"]),
        ("conv_mixed", "AveragePooling1D", {"data_format": "channels_first"}, ["data_format"]),
        ("conv_mixed", "GlobalAveragePooling1D", {"keepdims": True}, ["'keepdims'"]),
        ("conv_words", "GlobalMaxPooling1D", {"keepdims": True}, ["'keepdims'"]),
        ("conv_words", "GlobalMaxPooling1D", {"data_format": "channels_first"}, ["data_format"]),
        ("conv_same", "BatchNormalization", {"axis": 1}, ["axis=1"]),
        ("conv_same", "BatchNormalization", {"renorm": True}, ["'renorm'"]),
        ("conv_same", "BatchNormalization", {"synchronized": True}, ["'synchronized'"]),
        ("conv_same", "BatchNormalization", {"scale": False}, ["shapes"]),
        ("conv_same", "BatchNormalization", {"epsilon": 0}, ["epsilon"]),
        ("repeat", "RepeatVector", {"n": 0}, ["count"]),
        ("repeat", "RepeatVector", {"n": 1.5}, ["n=1.5"]),
        ("relus", "ReLU", {"max_value": 1.0, "threshold": 0.5, "negative_slope": 0.0}, ["max_value=1.0", "threshold=0.5"]),
        ("relus", "ReLU", {"max_value": 0.0}, ["max_value=0.0"]),
        ("relus", "ReLU", {"max_value": -1.0, "negative_slope": 0.0, "threshold": 0.0}, ["clip"]),
        ("relus", "ReLU", {"threshold": "x"}, ["threshold='x'"]),
        ("relus", "LeakyReLU", {"negative_slope": None}, ["negative_slope=None"]),
        ("norm", "ELU", {"alpha": True}, ["alpha=True"]),
        ("activations", "Softmax", {"axis": 1}, ["axis=1"]),
        ("norm_steps", "TimeDistributed", {"layer": {"class_name": "LSTM", "config": {}}}, ["LSTM inside", "TimeDistributed"]),
    ],
)
def test_an_option_that_would_be_lost(read, case, kind, options, words):
    with refused(FormatError, f"{case}.keras", kind, *words):
        read(f"{case}.keras", with_option(case, kind, **options))
