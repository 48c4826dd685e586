"""Model files: everything comes back, a failing write leaves the old file, and any other file is refused by name."""

import copy
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from safetensors.numpy import load_file, save, save_file

import gatewright as gw
from gatewright import files
from gatewright.errors import FormatError, MissingFileError, OptionError

LEAKY = gw.Activation("leaky_relu", 0.3)
CELL = gw.Shared(gw.LSTM(4, 4, learn_initial_state=True, init="chrono", chrono_steps=5000), "cell")
NETS = {
    "bare LSTM": gw.LSTM(3, 4, num_layers=2, bidirectional=True, forget_bias=2000, activation=LEAKY),
    "bare Dense": gw.Dense(3, 2, gw.Activation("hard_sigmoid", 0.2, 0.5)),
    "bare Dropout": gw.Dropout(0.25),
    "RNN": gw.Sequential(gw.RNN(3, 4, init="pytorch", go_backwards=True, masked_output="repeat", activation="gelu")),
    "GRU": gw.Sequential(gw.GRU(3, 4, reset_after=False, bias=False, num_layers=3, dropout=0.1, trainable=False)),
    "last": gw.Sequential(gw.GRU(3, 4, return_sequences=False, learn_initial_state=True), gw.Dense(4, 2, "softmax")),
    "states": gw.LSTM(3, 4, return_state_sequence=True, recurrent_activation="hard_sigmoid"),
    "Bidirectional": gw.Bidirectional(gw.GRU(3, 4), "sum", backward_layer=gw.RNN(3, 4, activation="relu")),
    "Masking": gw.Sequential(gw.Masking(9999), gw.GRU(3, 4)),
    "Masking NaN": gw.Sequential(gw.Masking(float("nan")), gw.GRU(3, 4)),
    "Masking infinity": gw.Sequential(gw.Masking(-float("inf")), gw.GRU(3, 4)),
    "containers": gw.Sequential(
        gw.Dense(3, 4, bias=False),
        gw.Residual(gw.Sequential(gw.LayerNorm(4, epsilon=1e-3), CELL)),
        gw.Parallel([CELL, gw.Dense(4, 4, "elu"), gw.Sequential(gw.Dropout(0.5), gw.RNN(4, 4))], merge="mul"),
        gw.Sequential(gw.Dense(4, 2), trainable=False),
    ),
    "convolution": gw.Sequential(
        gw.Conv1D(3, 4, 2, stride=2, padding="causal", dilation=3, activation=LEAKY),
        gw.BatchNorm(4, epsilon=0.1),
        gw.Conv1D(4, 6, 1, groups=2, init="pytorch"),
        gw.MaxPooling1D(900, stride=1, padding="same"),
        gw.GlobalMaxPooling1D(),
        gw.Activate(LEAKY),
        gw.RepeatVector(7000),
        gw.AveragePooling1D(2),
        gw.GRU(6, 2),
        gw.GlobalAveragePooling1D(),
    ),
}
WORDS = gw.Sequential(gw.Embedding(7, 3, mask_zero=True), gw.LSTM(3, 4), gw.Dense(4, 1))
SMALL = gw.Sequential(gw.GRU(2, 3, activation=LEAKY), gw.Dense(3, 1))


def random_model(layer, dtype="float32", seed=0):
    """A model with nothing zero."""
    model = gw.Model(layer, seed=seed, dtype=dtype)
    with model.parameters.edit() as flat:
        flat += 0.1 * np.random.default_rng(seed).standard_normal(flat.shape)
    return model


def outputs(model):
    """All arrays of the model's output for one input."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 7, (2, 6)) if model.layer.takes_indices else rng.standard_normal((2, 6, 3))
    y = model.predict(x, lengths=[6, 4])
    return list(y) if isinstance(y, tuple) else [y]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*NETS, "Embedding"])
def test_everything_comes_back(tmp_path, name, dtype):
    model = random_model({**NETS, "Embedding": WORDS}[name], dtype)
    if len(model.parameters) > 1:
        model.freeze(list(model.parameters)[1])
    model.save(tmp_path / "m.safetensors")
    back = gw.load(tmp_path / "m.safetensors")
    assert repr(back) == repr(model)
    assert back.layer == model.layer or "NaN" in name  # NaN is not even equal to itself
    assert back.describe() == model.describe()
    assert back.dtype == model.parameters.dtype == dtype
    assert back.parameters.shapes == model.parameters.shapes
    assert list(back.parameters) == list(model.parameters)
    assert back.parameters.flat.tobytes() == model.parameters.flat.tobytes()
    assert back.parameters.trainable == model.parameters.trainable
    assert [y.tobytes() for y in outputs(back)] == [y.tobytes() for y in outputs(model)]
    assert back.summary() == model.summary()
    back.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "m.safetensors").read_bytes()


def test_the_file_is_safetensors_with_json(tmp_path):
    """Other programs read it: the tensors by their names, the architecture under one key."""
    model = random_model(SMALL)
    model.freeze("1")
    model.save(str(tmp_path / "m.safetensors"))
    tensors = load_file(tmp_path / "m.safetensors")
    assert set(tensors) == {"0.W", "0.U", "0.b", "0.bn", "1.W", "1.b"}
    assert all(np.array_equal(array, model.parameters[name]) for name, array in tensors.items())
    content = (tmp_path / "m.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    assert list(metadata) == ["gatewright"]
    description = json.loads(metadata["gatewright"])
    assert description["format"] == 1
    assert description["dtype"] == "float32"
    assert description["frozen"] == ["1.W", "1.b"]
    assert [layer["type"] for layer in description["layer"]["layers"]] == ["GRU", "Dense"]


def test_a_loaded_model_is_trained_on(tmp_path):
    """With the kernel and threads that are asked for now."""
    model = random_model(SMALL)
    model.freeze("0.W")
    model.save(tmp_path / "m.safetensors")
    back = gw.load(tmp_path / "m.safetensors", kernel="numpy", threads=1)
    assert {row.reason for row in back.kernels()} >= {"asked for"}
    before = {name: array.copy() for name, array in back.parameters.items()}
    back.fit(np.ones((2, 4, 2)), np.zeros((2, 4, 1)), epochs=1, verbose=False)
    changed = [name for name, array in back.parameters.items() if not np.array_equal(array, before[name])]
    assert changed == ["0.U", "0.b", "0.bn", "1.W", "1.b"]
    with refused(OptionError, "kernel='fast'"):
        gw.load(tmp_path / "m.safetensors", kernel="fast")


# ------------------------------------------------------------------------------------------------ writing


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("step", ["fdopen", "chmod", "replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch, step, error, sync):
    """Wherever it fails: the old content is there, and nothing else."""
    path = tmp_path / "m.safetensors"
    files.write_bytes(path, b"old")

    def fail(*args, **kwargs):
        raise error

    class Full:
        """A file that takes nothing."""

        write = fail

        def __init__(self, handle, mode):
            os.close(handle)

        def __enter__(self):
            return self

        def __exit__(self, *what):
            return None

    monkeypatch.setattr(os, step, Full if step == "fdopen" else fail)
    if step == "fsync" and not sync:
        files.write_bytes(path, b"new", sync)
        assert path.read_bytes() == b"new"
        return
    with pytest.raises(type(error)):
        files.write_bytes(path, b"new", sync)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]
    assert path.read_bytes() == b"old"


def test_a_description_that_json_can_not_hold_writes_nothing(tmp_path):
    random_model(SMALL).save(tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        files.save(tmp_path / "m.safetensors", {}, {"best": float("nan")})
    assert (tmp_path / "m.safetensors").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_the_file_may_be_read_by_whom_the_umask_says(tmp_path):
    old = os.umask(0o027)
    try:
        random_model(SMALL).save(tmp_path / "m.safetensors")
    finally:
        os.umask(old)
    assert (tmp_path / "m.safetensors").stat().st_mode & 0o777 == 0o640


def test_places_that_are_no_files(tmp_path):
    model = random_model(SMALL)
    with refused(MissingFileError, "nowhere", "there is no folder"):
        model.save(tmp_path / "nowhere" / "m.safetensors")
    with refused(OptionError, str(tmp_path), "got a folder, wanted the name of a file"):
        model.save(tmp_path)
    assert not list(tmp_path.iterdir())
    for path in (tmp_path / "m.safetensors", tmp_path):
        with refused(MissingFileError, str(path), "there is no such file"):
            gw.load(path)
    for call in (model.save, gw.load):
        with refused(OptionError, "path: got None", "wanted the name of a file"):
            call(None)
    with pytest.raises(FileNotFoundError):  # the same, for who knows only Python's own
        gw.load("nowhere.safetensors")


# ------------------------------------------------------------------------------------------------ other files

WHOLE = save(
    dict(random_model(SMALL).parameters.items()), {"gatewright": json.dumps({"format": 1, **random_model(SMALL).describe()})}
)
HEADER = 8 + struct.unpack("<Q", WHOLE[:8])[0]
TENSORS = dict(random_model(SMALL).parameters.items())
DESCRIPTION = {"format": 1, **random_model(SMALL).describe()}


def written(path, description=DESCRIPTION, tensors=TENSORS):
    text = description if isinstance(description, str) else json.dumps(description)
    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, {"gatewright": text}))
    return path


def loads_or_refuses(path):
    """The model in the file, or None if it is refused as every file has to be."""
    try:
        return gw.load(path)
    except FormatError as error:
        said = str(error)
    assert str(path) in said
    assert "\n" not in said
    return None


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(WHOLE)
    assert gw.load(path).layer == SMALL
    for size in range(len(WHOLE)):
        path.write_bytes(WHOLE[:size])
        with refused(FormatError, str(path), "not a whole safetensors file"):
            gw.load(path)
    path.write_bytes(WHOLE + b"\0")
    with refused(FormatError, str(path), "not a whole safetensors file"):
        gw.load(path)


@pytest.mark.parametrize("bit", range(8))
def test_flipped_bits_are_refused_or_read(tmp_path, bit):
    """A flip in a number changes that number alone; one in the header is refused, or says another thing that makes sense."""
    path, read = tmp_path / "m.safetensors", 0
    for at in range(len(WHOLE)):
        path.write_bytes(WHOLE[:at] + bytes([WHOLE[at] ^ (1 << bit)]) + WHOLE[at + 1 :])
        model = loads_or_refuses(path)
        read += model is not None
        if at >= HEADER:
            mine, theirs = model.parameters.flat.view(np.uint32), random_model(SMALL).parameters.flat.view(np.uint32)
            assert (mine != theirs).sum() == 1
    assert len(WHOLE) - HEADER <= read < len(WHOLE) - HEADER + 60


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, b"PK\x03\x04" + b"\0" * 100, b"\x80\x04\x95" + b"a" * 50, b"\xff" * 64,
     struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 2) + b"\xff\xff", b"date,value\n1,2\n"],
    ids=["empty", "json", "png", "zip", "pickle", "ones", "huge", "list", "no text", "csv"],
)  # fmt: skip
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with refused(FormatError, str(path), "not a whole safetensors file"):
        gw.load(path)


@pytest.mark.parametrize("kind", ["keras", "onnx", "pytorch", "rtneural"])
def test_another_formats_file_is_refused_with_who_reads_it(tmp_path, kind):
    model, path = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 1)), seed=0), tmp_path / "model"
    if kind == "pytorch":
        save_file(model.to_pytorch(), path)
    else:
        getattr(model, f"to_{kind}")(path)
    with refused(FormatError, str(path), f"gw.from_{kind} reads such a file"):
        gw.load(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_a_safetensors_file_of_somebody_else_is_refused(tmp_path, metadata):
    path = tmp_path / "m.safetensors"
    path.write_bytes(save({"weight": np.ones(3, np.float32)}, metadata))
    with refused(FormatError, str(path), "not one of gatewright's"):
        gw.load(path)


def test_a_forecaster_is_refused_as_a_model_by_name(tmp_path):
    path = tmp_path / "m.safetensors"
    model = random_model(SMALL)
    tensors = {f"member0.{name}": array for name, array in model.parameters.items()}
    files.save(path, tensors, {**model.describe(), "kind": "forecaster"})
    with refused(FormatError, str(path), "a forecaster", "gatewright predict"):
        gw.load(path)


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F4"])
def test_dtypes_that_numpy_does_not_know_are_refused(tmp_path, dtype):
    count = {"BF16": 2, "F8_E4M3": 4, "F4": 8}[dtype]
    tensors = {"a": {"dtype": dtype, "shape": [count], "data_offsets": [0, 4]}}
    header = json.dumps({"__metadata__": {"gatewright": json.dumps(DESCRIPTION)}, **tensors}).encode()
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with refused(FormatError, "m.safetensors"):
        gw.load(tmp_path / "m.safetensors")


def changed(**more):
    return {**DESCRIPTION, **more}


BAD = {
    "newer": (changed(format=2), TENSORS, ["format 2 is newer than 1"]),
    "much newer": (changed(format=10**30), TENSORS, ["is newer than 1"]),
    "older than any": (changed(format=0), TENSORS, ["can't be read"]),
    "format true": (changed(format=True), TENSORS, ["can't be read"]),
    "format 1.0": (changed(format=1.0), TENSORS, ["can't be read"]),
    "no format": ({"layer": DESCRIPTION["layer"]}, TENSORS, ["can't be read"]),
    "no object": ("[1]", TENSORS, ["can't be read"]),
    "no JSON": ("{'format': 1}", TENSORS, ["can't be read"]),
    "nested": ('{"format":1,"layer":' + "[" * 50000 + "]" * 50000 + "}", TENSORS, ["can't be read"]),
    "no layer": (changed(layer=None), TENSORS, ["there is no layer in it"]),
    "text": (changed(layer="LSTM"), TENSORS, ["there is no layer in it"]),
    "an activation": (changed(layer={"activation": "tanh"}), TENSORS, ["there is no layer in it"]),
    "unknown layer": (changed(layer={"type": "Lambda", "code": "1"}), TENSORS, ["layer 'Lambda' is unknown", "known: RNN"]),
    "dtype": (changed(dtype="float16"), TENSORS, ["got numbers of 'float16'", "wanted float32 or float64"]),
    "dtype list": (changed(dtype=["float32"]), TENSORS, ["wanted float32 or float64"]),
    "another dtype": (changed(dtype="float64"), TENSORS, ["got float32 numbers, wanted float64"]),
    "integers": (DESCRIPTION, {n: a.astype(np.int32) for n, a in TENSORS.items()}, ["got int32 numbers, wanted float32"]),
    "frozen": (changed(frozen=["0.W", "7.W"]), TENSORS, ["frozen", "'7.W'", "wanted a list of names"]),
    "frozen text": (changed(frozen="0.W"), TENSORS, ["wanted a list of names"]),
    "frozen lists": (changed(frozen=[["0.W"]]), TENSORS, ["wanted a list of names"]),
    "frozen missing": ({k: v for k, v in DESCRIPTION.items() if k != "frozen"}, TENSORS, ["wanted a list of names"]),
    "missing tensor": (DESCRIPTION, {n: a for n, a in TENSORS.items() if n != "0.bn"}, ["0.bn: got None, wanted (3,)"]),
    "extra tensor": (DESCRIPTION, {**TENSORS, "1.c": np.ones(2)}, ["1.c: got (2,), wanted None"]),
    "another shape": (DESCRIPTION, {**TENSORS, "1.W": np.ones((1, 3))}, ["1.W: got (1, 3), wanted (3, 1)"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_descriptions_that_make_no_sense_are_refused(tmp_path, case):
    description, tensors, words = BAD[case]
    path = written(tmp_path / "m.safetensors", description, tensors)
    with refused(FormatError, str(path), *words):
        gw.load(path)


def nested(kind, depth):
    layer = {"type": "Dropout", "rate": 0.1}
    for k in range(depth):
        inside = {"layers": [layer], "trainable": True} if kind in ("Sequential", "Parallel") else {"layer": layer}
        layer = {"type": kind, **inside, **({"name": f"a{k}"} if kind == "Shared" else {})}
    return layer


HUGE = 10**9
STACK = {"type": "RNN", "input_size": 20, "hidden_size": 20, "num_layers": 30}
ABSURD = [
    {"type": "GRU", "input_size": 2, "hidden_size": HUGE},
    {"type": "GRU", "input_size": HUGE, "hidden_size": 3},
    {"type": "GRU", "input_size": 2, "hidden_size": 3, "num_layers": HUGE},
    {"type": "LSTM", "input_size": HUGE**3, "hidden_size": HUGE**3, "num_layers": HUGE**3, "bidirectional": True},
    {"type": "LSTM", "input_size": 2, "hidden_size": 3, "projection": HUGE},
    {"type": "Dense", "input_size": HUGE, "output_size": HUGE},
    {"type": "Embedding", "count": HUGE, "size": HUGE},
    {"type": "LayerNorm", "size": HUGE},
    {"type": "BatchNorm", "size": HUGE},
    *({"type": "Conv1D", **{"input_size": 2, "output_size": 3, "kernel_size": 3}, name: HUGE} for name in
        ("input_size", "output_size", "kernel_size", "stride", "dilation", "groups")),
    *({"type": kind, "size": 2, name: HUGE} for kind in ("MaxPooling1D", "AveragePooling1D") for name in ("size", "stride")),
    {"type": "RepeatVector", "count": HUGE},
    {"type": "Sequential", "trainable": True, "layers": [STACK] * 99},
    {"type": "Sequential", "trainable": True, "layers": [{"type": "Dropout", "rate": 0.1}] * 9999},
    *(nested(kind, depth) for kind in ("Sequential", "Parallel", "Residual", "Shared") for depth in (50, 300)),
]  # fmt: skip
CHILD = """
import sys
from pathlib import Path
import gatewright as gw
if Path("/proc/self/statm").exists():  # Linux; elsewhere without limits
    import resource
    most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 2**26
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    seconds = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime) + 20
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
for path in sys.argv[1:]:
    try:
        print(gw.load(path))
    except gw.FormatError as error:
        print("refused")
"""


def test_absurd_sizes_are_refused_with_little_time_and_memory(tmp_path):
    """In a process that may take 64 MiB and 20 s of computing for all of them."""
    paths = [written(tmp_path / f"{k}.safetensors", changed(layer=layer)) for k, layer in enumerate(ABSURD)]
    run = subprocess.run([sys.executable, "-c", CHILD, *map(str, paths)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["refused"] * len(ABSURD)


# ------------------------------------------------------------------------------------------------ anything else

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.integers() | st.floats() | st.sampled_from(
        ["", "tanh", "softmax", "GRU", "Dense", "Sequential", "Shared", "pytorch", "zeros", "0.W", "nan"]
    ),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "activation", "alpha", "layers", "layer", "number", "size"]), inside, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


def places(value, way=()):
    """The way to every value inside."""
    yield way
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*way, key))


@settings(max_examples=300)
@given(st.data())
def test_any_description_is_refused_or_read(tmp_path_factory, data):
    """Whatever stands in a place of the description."""
    description = copy.deepcopy(DESCRIPTION)
    for _ in range(data.draw(st.integers(1, 2))):
        way = data.draw(st.sampled_from(sorted(list(places(description))[1:], key=repr)))
        inside = description
        for key in way[:-1]:
            inside = inside[key]
        inside[way[-1]] = data.draw(JSON)
    path = written(tmp_path_factory.getbasetemp() / "fuzzed.safetensors", description)
    model = loads_or_refuses(path)
    if model is not None:
        assert model.predict(np.ones((1, 2, 2))).shape[0] == 1
        model.save(path)
        assert repr(gw.load(path)) == repr(model)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_any_bytes_are_refused_or_read(tmp_path_factory, edits):
    content = bytearray(WHOLE)
    for at, new in edits:
        content[at : at + len(new)] = new
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    path.write_bytes(content)
    loads_or_refuses(path)


@pytest.mark.parametrize("key", ["type", "hidden_size", "activation", "dtype", "frozen"])
def test_what_a_file_says_at_length_is_not_said_again(tmp_path, key):
    """Found by the fuzzer: messages quoted whole descriptions."""
    model = gw.Model(gw.LSTM(2, 3), seed=0)
    about = model.describe() | {"format": 1}
    (about if key in about else about["layer"])[key] = {"a" * 3000: ["b"] * 3000}
    path = tmp_path / "m.safetensors"
    path.write_bytes(save(dict(model.parameters.items()), {"gatewright": json.dumps(about)}))
    with refused(FormatError, str(path)):
        gw.load(path)
