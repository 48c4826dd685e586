"""Keras' files that are broken, foreign, or say what is not supported: each is refused, in one line."""

import contextlib
import io
import json
import sys
import tracemalloc
import warnings
import zipfile

import h5py
import keras_goldens
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_goldens import GOLDEN, changed, content, keras2, with_option
from refusals import refused

import gatewright as gw
from gatewright.errors import FormatError, MissingExtraError, MissingFileError, OptionError
from gatewright.interop import hdf5, hdf5_child, keras_files

ENDS = (".keras", ".h5")


@pytest.fixture(scope="module", autouse=True)
def once():
    """hdf5.read with a process for every new content alone: most tests are about something else."""
    kept = {}

    def read(data, *roots):
        if (data, roots) not in kept:
            kept[data, roots] = keras_goldens.REAL(data, *roots)
        return kept[data, roots]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "read", read)
        yield


@pytest.fixture
def read(tmp_path):
    return keras_goldens.reader(tmp_path)


# ------------------------------------------------------------------------------------------------ what is told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kernel_regularizer": {"class_name": "L2"}}, ["kernel_regularizer"]),
    ],
)
def test_what_only_training_sees_is_told_once(read, options, words):
    with pytest.warns(UserWarning, match="no counterpart") as told:
        model = read("lstm.keras", with_option("lstm", "LSTM", **options))
    assert len(told) == 1
    text = str(told[0].message)
    assert all(word in text for word in ["lstm.keras", "'lstm'", *words]), text
    assert told[0].filename == keras_goldens.__file__
    np.testing.assert_allclose(model.predict(GOLDEN["lstm"][1]["x"]), GOLDEN["lstm"][1]["y"], atol=1e-6)


def test_what_training_drops_and_stateful_are_kept(read):
    model = read("lstm.keras", with_option("lstm", "LSTM", recurrent_dropout=0.1, dropout=0.25, stateful=True))
    plain = read("lstm.keras")
    (kept,), (first,) = ([part for part in found.layer.layers if isinstance(part, gw.LSTM)] for found in (model, plain))
    assert kept == first.replace(input_dropout=0.25, recurrent_dropout=0.1, stateful=True)
    with pytest.warns(UserWarning, match=r"stateful=True.*\brun\b.*\bstream\b"):
        y = model.predict(GOLDEN["lstm"][1]["x"])
    np.testing.assert_array_equal(y, plain.predict(GOLDEN["lstm"][1]["x"]))


@pytest.mark.parametrize("version", ["2.15.0", "1.2.2"])
def test_older_files_say_what_training_drops_too(read, version):
    rng = np.random.default_rng(3)
    options = {"units": 3, "batch_input_shape": [4, 7, 2], "recurrent_activation": "sigmoid", "stateful": True}
    options |= {"dropout": 0.5, "recurrent_dropout": 0.25}
    shapes = ((2, 12), (3, 12), (12,))
    got = read("old.h5", keras2([("LSTM", options)], [[rng.standard_normal(s) for s in shapes]], version))
    assert got.layer == gw.Sequential(
        gw.LSTM(2, 3, return_sequences=False, activation=None, input_dropout=0.5, recurrent_dropout=0.25, stateful=True)
    )


@pytest.mark.parametrize("kind", ["SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"])
def test_noise_is_left_out(read, kind):
    def edit(config):
        layer = config["config"]["layers"][3]
        assert layer["class_name"] == "Dropout"
        layer["class_name"] = kind

    with pytest.warns(UserWarning, match=kind):
        model = read("stack.keras", changed(content("stack.keras"), "config.json", edit))
    np.testing.assert_allclose(model.predict(GOLDEN["stack"][1]["x"]), GOLDEN["stack"][1]["y"], atol=1e-6)


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("case", "kind", "options", "words"),
    [
        ("lstm", "LSTM", {"activation": "mish"}, ["activation='mish'"]),
        ("lstm", "LSTM", {"activation": {"class_name": "function", "config": "tanh"}}, ["activation="]),
        ("lstm", "LSTM", {"recurrent_activation": "softmax"}, ["softmax"]),
        ("lstm", "LSTM", {"units": 10**9}, ["shapes"]),
        ("lstm", "LSTM", {"units": 0}, ["hidden_size"]),
        ("lstm", "LSTM", {"units": "3"}, ["units='3'"]),
        ("lstm", "LSTM", {"units": True}, ["units=True"]),
        ("lstm", "LSTM", {"use_bias": False}, ["shapes"]),
        ("lstm", "LSTM", {"use_bias": None}, ["use_bias=None"]),
        ("lstm", "LSTM", {"time_major": True}, ["'time_major'"]),
        ("lstm", "LSTM", {"something": "new"}, ["'something'", "'new'"]),
        ("lstm", "LSTM", {"dtype": "int8_from_float32"}, ["dtype='int8_from_float32'"]),
        ("lstm", "LSTM", {"return_sequences": False, "zero_output_for_mask": True}, ["zero_output_for_mask"]),
        ("masked_back", "GRU", {"zero_output_for_mask": True}, ["zero_output_for_mask", "go_backwards"]),
        ("masked_back", "GRU", {"reset_after": False}, ["shapes"]),
        ("sum", "Bidirectional", {"merge_mode": None}, ["merge_mode=None"]),
        ("sum", "Bidirectional", {"merge_mode": "max"}, ["max"]),
        ("sum", "Bidirectional", {"layer": 3}, ["can't be read"]),
        ("sum", "Bidirectional", {"layer": {"class_name": "Dense", "config": {}}}, ["Dense inside"]),
        ("sum", "Bidirectional", {"backward_layer": {"class_name": "GRU", "config": {}}}, ["backward_layer", "go_backwards"]),
        ("before_plain", "GRU", {"reset_after": True, "use_bias": True}, ["shapes"]),
        ("before_plain", "LayerNormalization", {"scale": False}, ["center=False with scale=False"]),
        ("words", "Embedding", {"input_dim": 6}, ["shapes"]),
        ("words", "TimeDistributed", {"layer": {"class_name": "Conv1D", "config": {}}}, ["Conv1D", "TimeDistributed"]),
        ("before", "LayerNormalization", {"axis": 1}, ["axis=1"]),
        ("before", "LayerNormalization", {"rms_scaling": True}, ["rms_scaling"]),
        ("before", "LayerNormalization", {"epsilon": -1.0}, ["epsilon"]),
        ("stack", "Dropout", {"noise_shape": [None, 1, 3]}, ["noise_shape"]),
        ("stack", "Dropout", {"rate": 1.5}, ["rate"]),
        ("lstm", "LSTM", {"dropout": True}, ["dropout=True", "wanted a number"]),
        ("lstm", "LSTM", {"recurrent_dropout": "0.5"}, ["recurrent_dropout='0.5'", "wanted a number"]),
        ("lstm", "LSTM", {"dropout": 1.0}, ["input_dropout", "1.0"]),
        ("stack", "Masking", {"mask_value": "x"}, ["value"]),
        ("before", "Activation", {"activation": "mish"}, ["mish"]),
        ("stack", "InputLayer", {"sparse": True}, ["sparse=True"]),
    ],
)
def test_an_option_that_would_be_lost(read, case, kind, options, words):
    with refused(FormatError, f"{case}.keras", kind, *words):
        read(f"{case}.keras", with_option(case, kind, **options))


def test_a_version_that_is_not_known(read):
    with refused(FormatError, "old.h5", "'4.0'", "wanted 1, 2 or 3"):
        read("old.h5", keras2([("Masking", {"mask_value": 0.0})], [], "4.0"))


def test_a_layer_without_its_weights(read):
    layers = [("LayerNormalization", {"axis": -1}), ("GRU", {"units": 2, "activation": "tanh", "reset_after": True})]
    with refused(FormatError, "LayerNormalization 'l0'", "no weights"):
        read("old.h5", keras2(layers, [[], []]))
    layers = [("GRU", {"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True})]
    with refused(FormatError, "GRU 'l0'", "wanted a bias (2, 6)"):
        read("old.h5", keras2(layers, [[np.ones((2, 6)), np.ones((2, 6)), np.ones(6)]]))


def test_a_configuration_that_is_too_long(read, monkeypatch):
    monkeypatch.setattr(keras_files, "JSON_LIMIT", 10)
    with refused(FormatError, "lstm.h5", "larger than any"):
        read("lstm.h5")


@pytest.mark.parametrize(
    "kind", ["Lambda", "Conv2D", "CuDNNLSTM", "MultiHeadAttention", "PReLU", "Subtract", "Dot", "RNN", "Flatten", "TFOpLambda"]
)
def test_a_layer_that_is_not_supported(read, kind):
    def edit(config):
        config["config"]["layers"][3]["class_name"] = kind

    with refused(FormatError, "stack.keras", kind, "not supported"):
        read("stack.keras", changed(content("stack.keras"), "config.json", edit))


def test_impossible_arguments(tmp_path):
    with refused(MissingFileError, "nowhere.keras"):
        gw.from_keras(tmp_path / "nowhere.keras")
    with refused(OptionError, "path"):
        gw.from_keras(3)
    with refused(OptionError, "float16"):
        gw.from_keras(tmp_path / "nowhere.keras", dtype="float16")


def test_without_h5py(read, monkeypatch):
    monkeypatch.setattr(hdf5, "read", keras_goldens.REAL)
    monkeypatch.setattr(hdf5, "find_spec", lambda name: None)
    for end in ENDS:
        with refused(MissingExtraError, "gatewright[keras]"):
            read("lstm" + end)


# ------------------------------------------------------------------------------------------------ hostile files


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_json", ".json").replace("_h5", ".weights.h5"), data)
    return file.getvalue()


CONFIG = b'{"class_name": "Sequential", "config": {"layers": []}}'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["neither"]),
        (b"PK\3\4 and no more", ["zip"]),
        (zipped(), ["metadata.json"]),
        (zipped(other="x"), ["metadata.json"]),
        (zipped(metadata_json="{}"), ["config.json"]),
        (zipped(metadata_json="{}", config_json=CONFIG), ["model.weights.h5"]),
        (zipped(metadata_json="{}", config_json="[" * 100_000), ["config.json can't be read"]),
        (zipped(metadata_json="[]"), ["metadata.json can't be read"]),
        (zipped(metadata_json="{}", config_json=b" " * (2**24 + 1)), ["config.json", "16777217"]),
        (zipped(metadata_json="{}", config_json=CONFIG, model_h5=bytes(10**6)), ["model.weights.h5", "1000000"]),
        (zipped(metadata_json="{}", config_json=CONFIG, model_h5=b"\x89HDF\r\n\x1a\n"), ["HDF5"]),
        (zipped(metadata_json='{"keras_version": "4.0"}', config_json=CONFIG, model_h5=b"x"), ["HDF5"]),
        (b"\x89HDF\r\n\x1a\n", ["HDF5"]),
    ],
)
def test_a_broken_container(read, data, words):
    with refused(FormatError, "x.keras", *words):
        read("x.keras", data)


def test_a_member_that_says_less_than_it_holds(read):
    """The sizes of a zip's members are the file's own word."""
    data = zipped(metadata_json="{}", config_json=CONFIG, model_h5=bytes(10**6))
    size, small = (10**6).to_bytes(4, "little"), (100).to_bytes(4, "little")
    assert data.count(size) == 2
    with refused(FormatError, "x.keras"):
        read("x.keras", data.replace(size, small))


def test_a_member_that_says_that_it_takes_more_room(read):
    """No room is made for what is not there."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", b" " * 12_345)
    size = (12_345).to_bytes(4, "little")
    data = bytearray(file.getvalue())
    place = data.rindex(size + size)  # in the directory at the end: as it is stored, as it is
    data[place : place + 4] = (2**31 - 1).to_bytes(4, "little")
    tracemalloc.start()
    with refused(FormatError, "x.keras"):
        read("x.keras", bytes(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def hdf(build):
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": "d"}}]}}
        )
        build(h5.create_group("model_weights").create_group("d"))
    return file.getvalue()


def _endless(group):
    group["again"] = group


def _weights_named(group):
    group.attrs["weight_names"] = ["not there"]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda g: g.__setitem__("w", h5py.ExternalLink("/etc/passwd", "/")), ["link"]),
        (lambda g: g.__setitem__("w", h5py.SoftLink("/elsewhere")), ["link"]),
        (lambda g: g.create_dataset("w", (10,), "f4", external=[("/etc/passwd", 0, 40)]), ["no plain array"]),
        (lambda g: g.create_dataset("w", data=["text"]), ["no plain array"]),
        (lambda g: g.create_dataset("w", (10**12,), "f4", chunks=(100,), compression="gzip"), ["more numbers"]),
        (lambda g: g.create_dataset("w", (3, 10**6), "f4"), ["more numbers"]),
        (_endless, ["without end"]),
        (_weights_named, ["not there"]),
        (lambda g: None, ["Dense 'd'", "wanted a kernel"]),
        (lambda g: g.parent.move("d", "e/d"), ["Dense 'd'", "wanted a kernel"]),
    ],
)
def test_hdf5_that_wants_more_than_numbers(read, build, words):
    with refused(FormatError, "x.h5", *words):
        read("x.h5", hdf(build))


def test_a_reader_that_finds_no_end_is_ended(monkeypatch, tmp_path):
    """The child's time and memory are bounded, and what it says of them is one line."""
    child = tmp_path / "child.py"
    for source in ("while True: pass", "import time; time.sleep(600)", "import os; os.abort()", "b = bytes(2**40)"):
        limits = f"from gatewright.interop import hdf5_child\nhdf5_child.limit(0, 1)\n{source}\n"
        child.write_text(limits)
        monkeypatch.setattr(hdf5_child, "__file__", str(child))
        monkeypatch.setattr(hdf5, "SECONDS", 2)
        with refused(FormatError, "HDF5"):
            keras_goldens.REAL(b"", "layers")


def _tried(data, path):
    """Reads data that may be broken: a model, or FormatError."""
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with contextlib.suppress(FormatError):
            gw.from_keras(path)


@settings(max_examples=12)
@given(data=st.data())
@pytest.mark.parametrize("end", ENDS)
def test_broken_files(tmp_path_factory, end, data):
    """Bits flipped, parts cut off or doubled."""
    good = bytearray(content("stack" + end))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(good) - 1))
        good[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([len(good), len(good), len(good) // 2, len(good) - 5]))
    _tried(bytes(good[:cut]), tmp_path_factory.mktemp("broken") / f"x{end}")


VALUES = st.sampled_from([None, True, -1, 0, 2**40, 1e300, float("nan"), "", "LSTM", [], [[]], {}, {"config": {}}])


@settings(max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize("case", ["stack", "masked_graph", "own_backward"])
def test_broken_configurations(case, data, tmp_path_factory):
    """Any value in any place of the configuration, beside whole weights."""

    def edit(config):
        value = config
        while True:
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(value[key], dict | list) or not value[key] or (data.draw(st.booleans()) and value is not config):
                value[key] = data.draw(VALUES)
                return
            value = value[key]

    _tried(changed(content(f"{case}.keras"), "config.json", edit), tmp_path_factory.mktemp("broken") / "x.keras")


def test_no_framework_is_loaded(read):
    read("lstm.keras")
    assert "keras" not in sys.modules
    assert "tensorflow" not in sys.modules
