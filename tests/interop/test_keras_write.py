"""Networks written for Keras: what is read again is the same, what Keras has not is refused, and the file is always the same.

That Keras itself gives the same numbers is for golden/check_keras_files.py, which needs Keras.
"""

import io
import json
import os
import re
import time
import zipfile

import h5py
import keras_cases
import keras_goldens
import numpy as np
import pytest
from refusals import refused

import gatewright as gw
from gatewright.errors import MissingExtraError, MissingFileError, OptionError
from gatewright.interop import hdf5, keras_write

GOLDEN = keras_goldens.GOLDEN
F, H = keras_cases.F, keras_cases.H


@pytest.fixture(scope="module", autouse=True)
def here():
    """HDF5 files are read in this process, which takes a tenth of the time: here they are whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "read", keras_goldens.here)
        yield


def saved(name, tmp_path):
    """The model of a file that Keras saved."""
    return keras_goldens.golden(keras_goldens.reader(tmp_path), f"{name}.keras")


def parts(path):
    """(config.json, {place: array}) of a file."""
    with zipfile.ZipFile(path) as archive:
        config, content = json.loads(archive.read("config.json")), archive.read("model.weights.h5")
    arrays = {}
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda name, item: arrays.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return config, arrays


def frozen_numbers(model):
    """How many numbers are not trained."""
    return sum(model.parameters[name].size for name, free in model.parameters.trainable.items() if not free)


# ------------------------------------------------------------------------------------------------ read again


NOISE = ("activations", "options_dense", "options_noise")


@pytest.mark.parametrize("case", GOLDEN)
def test_what_keras_saved_is_read_written_and_read_again(case, tmp_path):
    """Layers that are called several times get another name."""
    model = saved(case, tmp_path)
    model.to_keras(tmp_path / "again.keras", batch_size=3 if "stateful" in case else None)
    data = (tmp_path / "again.keras").read_bytes()
    read = keras_goldens.reader(tmp_path)
    # Noise is not there any more: of it there is nothing to tell.
    again = read("again.keras", data) if case in NOISE else keras_goldens.golden(read, f"{case}.keras", data=data)
    assert re.sub(r"(?<=')layer\d+_", "", repr(again.layer)) == repr(model.layer)
    assert again.dtype == model.dtype
    assert again.parameters.flat.tobytes() == model.parameters.flat.tobytes()
    assert [*again.parameters.trainable.values()] == [*model.parameters.trainable.values()]
    x = GOLDEN[case][1]["x"]
    assert again.run(x)[0].tobytes() == model.run(x)[0].tobytes()


GRAPHS = [
    "average", "average_embedded", "branches", "branches_masked", "branches_words", "bridge", "dense_skips", "multiply",
    "multiply_masked", "residual", "residual_masked", "residual_plus", "shared", "shared_branches",
]  # fmt: skip


@pytest.mark.parametrize("case", GRAPHS)
def test_weights_stand_where_keras_has_them(case, tmp_path):
    """Keras numbers the layers of a class by their depth in the graph, the steps of its masks counted."""
    (tmp_path / "theirs.keras").write_bytes(keras_goldens.content(f"{case}.keras"))
    saved(case, tmp_path).to_keras(tmp_path / "ours.keras")
    (theirs, wanted), (ours, got) = (parts(tmp_path / name) for name in ("theirs.keras", "ours.keras"))
    listed = [layer["class_name"] for layer in theirs["config"]["layers"] if ".ops." not in layer["module"]]
    made = [kind for kind in classes(ours) if kind != "Activation"]  # an empty branch
    assert made == listed or case == "residual_plus"  # which has operations where we have layers
    assert got.keys() == {name for name in wanted if name.startswith("layers/")}
    for name, array in got.items():
        if array.ndim == 1 or not name.endswith("/2"):  # a GRU's two biases are merged
            np.testing.assert_array_equal(array, wanted[name], err_msg=name)


def read_again(path, tells):
    """What from_keras makes of a file; whether it tells that Keras' batch normalisation would go on learning."""
    if not tells:
        return gw.from_keras(path, kernel="numpy")
    with pytest.warns(UserWarning, match="mean and variance"):
        return gw.from_keras(path, kernel="numpy")


@pytest.mark.parametrize("case", keras_cases.READ)
def test_what_is_written_and_read_again_predicts_the_same(case, tmp_path):
    """A stack has become single layers; the numbers and their bits are the same, those that are frozen too."""
    model, batch_size = keras_cases.model_of(case)
    model.to_keras(tmp_path / "m.keras", batch_size=batch_size)
    again = read_again(tmp_path / "m.keras", any(isinstance(part, gw.BatchNorm) for part in keras_cases.parts_of(case)))
    x = keras_cases.input_of(case)
    got, wanted = (m.run(x)[0] for m in (again, model))
    live = keras_cases.live_of(case, wanted)
    assert got.dtype == wanted.dtype
    assert np.array_equal(got[live], wanted[live])
    assert sorted(w.tobytes() for w in again.get_weights()) == sorted(w.tobytes() for w in model.get_weights())
    if case == "frozen":
        assert frozen_numbers(again) == frozen_numbers(model) > 0


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_written_and_read_again(seed, tmp_path):
    model, x, live = keras_cases.random_network(seed)
    model.to_keras(tmp_path / "m.keras")
    got, wanted = (m.predict(x) for m in (gw.from_keras(tmp_path / "m.keras", kernel="numpy"), model))
    live = live if wanted.ndim == 3 else ...
    assert np.array_equal(got[live], wanted[live])


# ------------------------------------------------------------------------------------------------ what stands in the file


@pytest.mark.parametrize("case", keras_cases.NETWORKS)
def test_every_number_stands_in_the_file_once(case, tmp_path):
    model, batch_size = keras_cases.model_of(case)
    model.to_keras(tmp_path / "m.keras", batch_size=batch_size)
    config, arrays = parts(tmp_path / "m.keras")
    assert config["class_name"] == ("Sequential" if case in keras_cases.CHAINS else "Functional")
    assert {array.dtype.name for array in arrays.values()} == {model.dtype.name}
    left_out = [model.parameters[name].tobytes() for name in ("1.gain", "3.shift") if case == "frozen"]  # they do nothing
    assert sorted([*(a.tobytes() for a in arrays.values()), *left_out]) == sorted(w.tobytes() for w in model.get_weights())


def written(tmp_path, *layers, name="m.keras", **options):
    """(config.json, arrays) of a new network."""
    model = gw.Model(gw.Sequential(*layers), seed=0)
    model.to_keras(tmp_path / name, **options)
    return parts(tmp_path / name)


def classes(config):
    return [layer["class_name"] for layer in config["config"]["layers"]]


def test_a_stack_is_layers_with_dropout_between(tmp_path):
    rates = {"dropout": 0.25, "input_dropout": 0.5, "recurrent_dropout": 0.125}
    config, arrays = written(tmp_path, gw.GRU(F, H, num_layers=3, **rates, **keras_cases.LAST))
    assert config["class_name"] == "Sequential"
    assert classes(config) == ["InputLayer", "GRU", "Dropout", "GRU", "Dropout", "GRU"]
    first, *others = (layer["config"] for layer in config["config"]["layers"])
    assert first["batch_shape"] == [None, None, F]
    assert [about["rate"] for about in others[1::2]] == [0.25, 0.25]
    cells = others[::2]
    assert [about["return_sequences"] for about in cells] == [True, True, False]
    assert [about["zero_output_for_mask"] for about in cells] == [False] * 3
    assert all((about["dropout"], about["recurrent_dropout"]) == (0.5, 0.125) for about in cells)
    assert sorted(arrays) == [f"layers/{group}/cell/vars/{k}" for group in ("gru", "gru_1", "gru_2") for k in range(3)]
    assert arrays["layers/gru_1/cell/vars/2"].shape == (2, 3 * H)


@pytest.mark.parametrize("masked_output", ["zero", "repeat"])
def test_what_masked_steps_show_is_said_behind_a_mask(tmp_path, masked_output):
    """And only there: without a mask Keras has no masked steps."""
    config, _ = written(tmp_path, MASK, gw.GRU(F, H, num_layers=2, masked_output=masked_output))
    zero = [layer["config"]["zero_output_for_mask"] for layer in config["config"]["layers"][2:]]
    assert zero == [True, masked_output == "zero"]
    assert gw.from_keras(tmp_path / "m.keras").layer.layers[-1].masked_output == masked_output


def test_only_the_first_of_a_stack_goes_backwards(tmp_path):
    config, _ = written(tmp_path, gw.LSTM(F, H, num_layers=2, go_backwards=True))
    assert [layer["config"]["go_backwards"] for layer in config["config"]["layers"][1:]] == [True, False]


def test_both_directions(tmp_path):
    layer = gw.LSTM(F, H, bidirectional=True, activation=("tanh", "relu"), stateful=True)
    config, arrays = written(tmp_path, layer, batch_size=4)
    first, both = (layer["config"] for layer in config["config"]["layers"])
    assert first["batch_shape"] == [4, None, F]
    assert both["merge_mode"] == "concat"
    inner = [both[key]["config"] for key in ("layer", "backward_layer")]
    assert [about["go_backwards"] for about in inner] == [False, True]
    assert [about["activation"] for about in inner] == ["tanh", "relu"]
    assert [about["stateful"] for about in inner] == [True, True]
    ways = ("backward_layer", "forward_layer")
    assert sorted(arrays) == [f"layers/bidirectional/{way}/cell/vars/{k}" for way in ways for k in range(3)]


def test_layers_beside_recurrent_ones(tmp_path):
    config, arrays = written(
        tmp_path, gw.Conv1D(4, 6, 3, stride=2, padding="causal", groups=2), gw.BatchNorm(6), gw.MaxPooling1D(2),
        gw.AveragePooling1D(3, stride=1, padding="same"), gw.Activate("gelu"), gw.GlobalAveragePooling1D(), gw.RepeatVector(5),
        gw.Conv1D(6, 2, 3, dilation=2, bias=False, activation="relu"), gw.GlobalMaxPooling1D(),
    )  # fmt: skip
    assert classes(config)[1:] == [
        "Conv1D", "BatchNormalization", "MaxPooling1D", "AveragePooling1D", "Activation", "GlobalAveragePooling1D",
        "RepeatVector", "Conv1D", "GlobalMaxPooling1D",
    ]  # fmt: skip
    told = [layer["config"] for layer in config["config"]["layers"][1:]]
    plain = {"name", "dtype", "trainable"}
    first, norm, largest, mean, act, _, repeat, second, _ = (
        {n: v for n, v in about.items() if n not in plain} for about in told
    )
    assert first == {
        "filters": 6, "kernel_size": [3], "strides": [2], "padding": "causal", "dilation_rate": [1], "groups": 2,
        "use_bias": True, "activation": "linear",
    }  # fmt: skip
    assert norm == {"axis": -1, "epsilon": 1e-3, "scale": True, "center": True}
    assert largest == {"pool_size": [2], "strides": [2], "padding": "valid"}
    assert mean == {"pool_size": [3], "strides": [1], "padding": "same"}
    assert act == {"activation": "gelu"}
    assert repeat == {"n": 5}
    assert (second["dilation_rate"], second["use_bias"], second["activation"]) == ([2], False, "relu")
    counts = {"conv1d": 2, "conv1d_1": 1, "batch_normalization": 4}
    assert sorted(arrays) == sorted(f"layers/{group}/vars/{k}" for group, count in counts.items() for k in range(count))


def test_a_norms_gain_or_shift_is_left_out_where_it_is_frozen_and_does_nothing(tmp_path):
    layers = gw.Sequential(gw.Dense(F, 4), gw.BatchNorm(4), gw.LayerNorm(4), gw.BatchNorm(4, trainable=False))
    model = gw.Model(layers, seed=0)
    model.freeze(["1.gain", "2.shift"])
    model.to_keras(tmp_path / "m.keras")
    config, arrays = parts(tmp_path / "m.keras")
    told = [layer["config"] for layer in config["config"]["layers"][2:]]
    assert [(about["scale"], about["center"], about["trainable"]) for about in told] == [
        (False, True, True), (True, False, True), (True, True, False),
    ]  # fmt: skip
    groups = {"batch_normalization": 3, "layer_normalization": 1, "batch_normalization_1": 4}
    assert all(len([place for place in arrays if f"/{group}/" in place]) == count for group, count in groups.items())


def test_a_graph_says_who_reads_whom(tmp_path):
    tanh = gw.Shared(gw.Dense(F, F, "tanh"), "t")
    branches = gw.Parallel([gw.RNN(F, H), gw.Sequential(tanh, gw.GRU(F, H))], "mul")
    config, arrays = written(tmp_path, tanh, branches, gw.Residual(gw.Dense(H, H)))
    assert config["class_name"] == "Functional"
    layers = {layer["name"]: layer for layer in config["config"]["layers"]}
    reads = {
        name: [[t["config"]["keras_history"][:2] for t in np.ravel(node["args"])] for node in layer["inbound_nodes"]]
        for name, layer in layers.items()
    }
    assert reads == {
        "layer0_input_layer": [],
        "layer1_dense": [[["layer0_input_layer", 0]], [["layer1_dense", 0]]],
        "layer2_simple_rnn": [[["layer1_dense", 0]]],
        "layer3_gru": [[["layer1_dense", 1]]],
        "layer4_multiply": [[["layer2_simple_rnn", 0], ["layer3_gru", 0]]],
        "layer5_dense": [[["layer4_multiply", 0]]],
        "layer6_add": [[["layer4_multiply", 0], ["layer5_dense", 0]]],
    }
    assert config["config"]["input_layers"] == ["layer0_input_layer", 0, 0]
    assert config["config"]["output_layers"] == ["layer6_add", 0, 0]
    shapes = [node["args"][0]["config"]["shape"] for node in layers["layer5_dense"]["inbound_nodes"]]
    assert shapes == [[None, None, H]]
    assert {place.split("/")[1] for place in arrays} == {"dense", "dense_1", "simple_rnn", "gru"}


@pytest.mark.parametrize(
    ("layers", "shape", "dtype"),
    [
        ([gw.LSTM(F, H)], [None, None, F], "float32"),
        ([gw.Dense(F, F), gw.GRU(F, H)], [None, None, F], "float32"),
        ([gw.Dropout(0.5), gw.Dense(F, F)], [None, F], "float32"),
        ([gw.Embedding(3, 2)], [None, None], "float32"),
        ([gw.Embedding(9, 2), gw.LSTM(2, 2)], [None, None], "int32"),
    ],
)
def test_the_input(tmp_path, monkeypatch, layers, shape, dtype):
    """Rows where the network takes rows; indices as floats, as Keras has them by default, where a float can hold them."""
    monkeypatch.setattr(keras_write, "EXACT", 8)
    config, _ = written(tmp_path, *layers)
    first = config["config"]["layers"][0]["config"]
    assert (first["batch_shape"], first["dtype"]) == (shape, dtype)


def test_options_of_numpys_kind(tmp_path):
    lstm = gw.LSTM(F, np.int64(H), input_dropout=np.float64(0.25), bias=np.bool_(True))
    layers = [gw.Masking(np.float32(0.5)), lstm, gw.Dropout(np.float32(0.5))]
    config, _ = written(tmp_path, *layers)
    _, masking, lstm, dropout = (layer["config"] for layer in config["config"]["layers"])
    assert (masking["mask_value"], dropout["rate"]) == (0.5, 0.5)
    assert (lstm["units"], lstm["dropout"], lstm["use_bias"]) == (H, 0.25, True)


def test_the_file_is_the_same_every_time_and_nothing_is_left_beside_it(tmp_path, monkeypatch):
    model, _ = keras_cases.model_of("parallel_sum")
    model.to_keras(tmp_path / "a.keras")
    monkeypatch.setattr(time, "time", lambda: 2e9)
    model.copy().to_keras(str(tmp_path / "b.keras"))
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    model.to_keras(tmp_path / "b.keras")
    assert sorted(os.listdir(tmp_path)) == ["a.keras", "b.keras"]
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        infos = archive.infolist()
        assert [info.filename for info in infos] == ["metadata.json", "config.json", "model.weights.h5"]
        for info in infos:
            assert (info.compress_type, info.date_time) == (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))
            assert (info.create_system, info.external_attr) == (3, 0o644 << 16)
        assert json.loads(archive.read("metadata.json"))["keras_version"].startswith("3.")


# ------------------------------------------------------------------------------------------------ what is refused

MASK = gw.Masking(-1.0)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([gw.LSTM(F, H), gw.LSTM(H, 2, peepholes=True)], ["layer 1", "peepholes=True"]),
        ([gw.LSTM(F, H, coupled=True)], ["layer 0", "coupled=True"]),
        ([gw.LSTM(F, H, projection=2)], ["layer 0", "projection=2"]),
        ([gw.LSTM(F, H, cell_activation="relu")], ["layer 0", "cell_activation"]),
        ([gw.GRU(F, H, clip=3.0)], ["layer 0", "clip=3.0"]),
        ([gw.RNN(F, H, learn_initial_state=True)], ["layer 0", "learn_initial_state=True"]),
        ([gw.GRU(F, H, return_state_sequence=True)], ["layer 0", "return_state_sequence=True"]),
        ([gw.GRU(F, H, activation=gw.Activation("scaled_tanh", 1.7, 0.6))], ["layer 0", "activation='scaled_tanh'"]),
        ([gw.Dense(F, H, gw.Activation("elu", 0.5, clip=2.0))], ["layer 0", "activation=", "no such constants"]),
        ([gw.Activate(gw.Activation("leaky_relu", -0.5)), gw.Dense(F, 2)], ["layer 0", "activation=", "no such constants"]),
        ([gw.LSTM(F, H, recurrent_activation=gw.Activation("hard_sigmoid", 0.2, 0.5))], ["recurrent_activation=", "constants"]),
        ([gw.RNN(F, H, activation=gw.Activation("tanh", clip=1.0))], ["layer 0", "activation=", "clip"]),
        ([gw.Bidirectional(gw.LSTM(F, H, peepholes=True))], ["layer 0", "peepholes=True"]),
        ([gw.Bidirectional(gw.LSTM(F, H), backward_layer=gw.LSTM(F, H, num_layers=2))], ["layer 0", "num_layers=2 inside"]),
        ([gw.Bidirectional(gw.GRU(F, H), backward_layer=gw.GRU(F, H, stateful=True))], ["layer 0", "stateful of one"]),
        ([gw.Sequential(gw.Dense(F, 2), gw.RNN(2, 2, clip=1.0))], ["layer 0.1", "clip=1.0"]),
        ([gw.Residual(gw.RNN(F, F, clip=1.0))], ["layer 0.inside", "clip=1.0"]),
        ([gw.Shared(gw.RNN(F, F, clip=1.0), "s")], ["layer shared.s", "clip=1.0"]),
        ([gw.Shared(gw.RNN(F, F, stateful=True), "s")], ["layer 0", "stateful=True", "places"]),
        ([gw.Masking(np.nan), gw.LSTM(F, H)], ["layer 0", "nan"]),
        ([gw.Masking(np.inf), gw.LSTM(F, H)], ["layer 0", "inf"]),
        ([MASK, gw.LSTM(F, H, bidirectional=True, masked_output="repeat")], ["layer 1", "masked_output='repeat'"]),
        ([MASK, gw.LSTM(F, H, go_backwards=True)], ["layer 1", "go_backwards=True behind a mask"]),
        ([MASK, gw.LSTM(F, H, go_backwards=True, num_layers=2, return_sequences=False)], ["layer 1", "num_layers > 1"]),
        ([gw.Masking(0.0), gw.RNN(F, H, go_backwards=True)], ["layer 1", "go_backwards=True behind a mask"]),
        (
            [MASK, gw.RNN(F, H, go_backwards=True, masked_output="repeat"), gw.Dense(H, 2), gw.GRU(2, 2)],
            ["layer 3", "turned round"],
        ),
        (
            [MASK, gw.RNN(F, H, go_backwards=True, masked_output="repeat"), gw.Bidirectional(gw.RNN(H, 2))],
            ["layer 2", "turned round"],
        ),
        (
            [MASK, gw.RNN(F, H, go_backwards=True, masked_output="repeat"), gw.Residual(gw.Dense(H, H))],
            ["layer 2", "mask other steps"],
        ),
        (
            [gw.Parallel([gw.Sequential(MASK, gw.RNN(F, H)), gw.Sequential(gw.Masking(2.0), gw.RNN(F, H))])],
            ["layer 0", "mask other steps"],
        ),
        ([gw.Parallel([gw.Sequential(MASK, gw.RNN(F, H)), gw.RNN(F, H)])], ["layer 0", "mask other steps"]),
        ([MASK, gw.Conv1D(F, 2, 3)], ["layer 1", "behind a mask"]),
        ([gw.Embedding(4, F, mask_zero=True), gw.Dense(F, F), gw.MaxPooling1D(2)], ["layer 2", "behind a mask"]),
        ([MASK, gw.AveragePooling1D(2), gw.LSTM(F, 2)], ["layer 1", "behind a mask"]),
        ([MASK, gw.GRU(F, H), gw.GlobalMaxPooling1D()], ["layer 2", "behind a mask"]),
        (
            [MASK, gw.RNN(F, H, go_backwards=True, masked_output="repeat"), gw.GlobalAveragePooling1D()],
            ["layer 2", "behind a mask"],
        ),
        ([gw.Conv1D(F, 2, 3, stride=2, dilation=2, padding="same")], ["layer 0", "stride=2 with dilation=2"]),
        ([gw.Activate(gw.Activation("affine", 2.0, 1.0)), gw.Dense(F, 2)], ["layer 0", "activation='affine'"]),
        ([gw.Dropout(0.5)], ["how many features"]),
        ([gw.LSTM(F, H, stateful=True)], ["layer 0", "stateful=True", "batch_size=…"]),
    ],
)  # fmt: skip
def test_what_keras_has_not(tmp_path, layers, words):
    with refused(OptionError, *words):
        gw.Model(gw.Sequential(*layers), seed=0).to_keras(tmp_path / "m.keras")
    assert not os.listdir(tmp_path)


def test_a_layer_alone_and_one_of_ones_own(tmp_path):
    gw.Model(gw.LSTM(F, H), seed=0).to_keras(tmp_path / "m.keras")
    assert gw.from_keras(tmp_path / "m.keras").layer == gw.Sequential(gw.LSTM(F, H))

    class Mine(gw.Dense):
        pass

    with refused(OptionError, "layer 0", "no counterpart", "LSTM"):
        gw.Model(Mine(F, H), seed=0).to_keras(tmp_path / "mine.keras")


@pytest.mark.parametrize("names", [["0.U"], ["0.b"], ["1.W"], ["2.gain"]])
def test_a_layer_that_is_frozen_in_part(tmp_path, names):
    model = gw.Model(gw.Sequential(gw.GRU(F, H), gw.Dense(H, H), gw.LayerNorm(H)), seed=0)
    with model.parameters.edit() as flat:
        flat += 1
    model.freeze(names)
    with refused(OptionError, f"layer {names[0][0]}", names[0], "whole layers"):
        model.to_keras(tmp_path / "m.keras")


def test_impossible_arguments(tmp_path, monkeypatch):
    model = gw.Model(gw.LSTM(F, H), seed=0)
    with refused(OptionError, "path", "3"):
        model.to_keras(3)
    with refused(OptionError, "batch_size", "0"):
        model.to_keras(tmp_path / "m.keras", batch_size=0)
    with refused(MissingFileError, "nowhere"):
        model.to_keras(tmp_path / "nowhere" / "m.keras")
    monkeypatch.setattr("gatewright.interop.keras_pack.find_spec", lambda name: None)
    with refused(MissingExtraError, "h5py", "gatewright[keras]"):
        model.to_keras(tmp_path / "m.keras")
    assert not os.listdir(tmp_path)
