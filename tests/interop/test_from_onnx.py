"""gw.from_onnx: what `to_onnx` has written, and what PyTorch has."""

import warnings
import zipfile

import goldens
import numpy as np
import onnx
import onnx_files
import onnx_networks
import pytest
from refusals import refused

import gatewright as gw
from gatewright.errors import FormatError, MissingFileError, OptionError

F, H = onnx_networks.F, onnx_networks.H
SIZES = (3, 7), (2, 5)
LENGTHS = [5, 2, 4]
EXACT = {"float32": 3e-6, "float64": 1e-12}
RECORDED = goldens.load("onnx_networks")
GRAPHS = goldens.load("onnx_graphs")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", onnx_networks.LAYERS)
def test_files_come_back(tmp_path, name, dtype):
    """The same weights, every bit of them, and the same outputs on the same path; with lengths and without."""
    model = onnx_networks.model_of(name, dtype, kernel="numpy")
    for with_lengths in (False, True):
        model.to_onnx(tmp_path / "m.onnx", lengths=with_lengths)
        back = gw.from_onnx(tmp_path / "m.onnx", kernel="numpy")
        assert back.dtype == dtype
        assert sorted(back.parameters.flat.tolist()) == sorted(model.parameters.flat.tolist())
        for batch, time in SIZES:
            x = onnx_networks.inputs(model, batch, time)
            lengths = LENGTHS[:batch] if with_lengths else None
            got, wanted = back.predict(x, lengths=lengths), model.predict(x, lengths=lengths)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, wanted, rtol=0, atol=EXACT[dtype])


@pytest.mark.parametrize("name", onnx_networks.LAYERS)
def test_what_came_back_goes_out_as_the_same_file(tmp_path, name):
    """But for the names: the second file is the third."""
    one, two = tmp_path / "1.onnx", tmp_path / "2.onnx"
    onnx_networks.model_of(name).to_onnx(one, lengths=True)
    gw.from_onnx(one).to_onnx(one, lengths=True)
    gw.from_onnx(one).to_onnx(two, lengths=True)
    assert one.read_bytes() == two.read_bytes()


# --- what PyTorch has written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The recorded files."""
    place = tmp_path_factory.mktemp("onnx")
    for name in ("onnx_networks", "onnx_graphs"):
        with zipfile.ZipFile(goldens.GOLDEN / f"{name}.zip") as archive:
            archive.extractall(place / name)
    return place


@pytest.mark.parametrize("case", RECORDED)
def test_recorded_networks(folder, case):
    """float32 files to 1e-5, float64 ones to 1e-12, and either as the other dtype; zero at dead steps."""
    about, arrays = RECORDED[case]
    x, wanted, lengths = arrays["x"], arrays["y"], arrays.get("lengths")
    if about["time_major"]:
        x, wanted = x.swapaxes(0, 1), wanted.swapaxes(0, 1)
    if lengths is not None:
        wanted = np.where((np.arange(x.shape[1]) < lengths[:, None])[..., None], wanted, 0)
    model = gw.from_onnx(folder / "onnx_networks" / f"{case}.onnx")
    assert model.dtype == wanted.dtype
    got = model.predict(x, lengths=lengths)
    assert got.dtype == wanted.dtype
    assert np.abs(got.reshape(wanted.shape) - wanted).max() < {"float32": 1e-5, "float64": 1e-12}[wanted.dtype.name]
    other = "float32" if wanted.dtype == np.float64 else "float64"
    got = gw.from_onnx(folder / "onnx_networks" / f"{case}.onnx", dtype=other).predict(x, lengths=lengths)
    assert got.dtype == other
    assert np.abs(got.reshape(wanted.shape) - wanted).max() < 1e-5


@pytest.mark.parametrize("case", RECORDED)
def test_recorded_networks_go_out_again(folder, tmp_path, case):
    """ONNX to gatewright to ONNX to gatewright: the second model has the first one's bits."""
    one = gw.from_onnx(folder / "onnx_networks" / f"{case}.onnx")
    one.to_onnx(tmp_path / "m.onnx", lengths="packed" in case)
    two = gw.from_onnx(tmp_path / "m.onnx")
    assert two.layer == one.layer
    assert two.parameters.flat.tobytes() == one.parameters.flat.tobytes()


def test_every_kind_of_layer_was_recorded(folder):
    text = " ".join(str(gw.from_onnx(folder / "onnx_networks" / f"{case}.onnx").layer) for case in RECORDED)
    for name in (
        "LSTM", "GRU", "RNN", "Dense", "Embedding", "LayerNorm", "Conv1D", "MaxPooling1D", "AveragePooling1D",
        "GlobalMaxPooling1D", "GlobalAveragePooling1D", "Activate", "Residual", "Parallel", "Shared",
    ):  # fmt: skip
        assert f"{name}(" in text
    assert len(RECORDED) >= 30


GIVES = {  # of the recorded graphs, the output, and what the network is
    ("torch_words_lstm_9", None): "[E L L N D]", ("torch_words_gru_20", None): "[E G G N D]",
    ("torch_dynamo_words_lstm", None): "[E L L N D]", ("torch_tagger_rnn", None): "[R D]", ("torch_last_lstm", None): "[L D]",
    ("torch_stream", None): "[L L D]", ("torch_packed_gru", None): "[G D]", ("torch_packed_rnn", None): "[R D]",
    ("tf_forward_gru_11", "p"): "[G D]", ("tf_forward_gru_18", "p"): "[G D]", ("tf_forward_rnn_10", "y"): "[R]",
    ("tf_reversed_lstm_13", None): "[L]", ("tf_reversed_gru_10", None): "[G]", ("tf_bidirectional_rnn_18", "y"): "[E R]",
}  # fmt: skip


@pytest.mark.parametrize(("case", "output"), GIVES)
def test_recorded_graphs_that_are_chains(folder, case, output):
    """With explicit states, lengths and time first; the numbers are those of gw.OnnxGraph on the recorded inputs."""
    path = folder / "onnx_graphs" / f"{case}.onnx"
    model, graph = gw.from_onnx(path, output=output), gw.OnnxGraph(path)
    letters = {"Embedding": "E", "LSTM": "L", "GRU": "G", "RNN": "R", "LayerNorm": "N", "Dense": "D"}
    assert "[" + " ".join(letters[type(layer).__name__] for layer in model.layer.layers) + "]" == GIVES[case, output]
    arrays = {key.partition("in.")[2]: a for key, a in recorded(case, "0").items() if key.startswith("in.")}
    wanted = graph.run(arrays)[output or next(iter(graph.outputs))]
    x, *rest = (arrays[name] for name in graph.inputs)
    x = x % onnx_networks.COUNT if x.dtype.kind == "i" else x  # ONNX takes indices from the end
    lengths = next((array for array in rest if array.ndim == 1), None)
    states = [array for array in rest if array.ndim == 3]
    time_first = "tagger" in case
    x = x.swapaxes(0, 1) if time_first else x
    state = None
    if states:  # the file's have both layers in one
        h, c = states
        kinds = model.network.state_shape(x.shape[0])
        state = tuple(None if part is None else type(part)(h[[k]], c[[k]]) for k, part in enumerate(kinds))
    got, _ = model.run(x, state, lengths=lengths)
    wanted = wanted.swapaxes(0, 1) if time_first and wanted.ndim == 3 else wanted
    if lengths is not None:
        got, wanted = (np.where((np.arange(x.shape[1]) < lengths[:, None])[..., None], a, 0) for a in (got, wanted))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


def recorded(case, run):
    """The arrays of one run of a recorded graph."""
    from safetensors import safe_open

    with safe_open(goldens.GOLDEN / "onnx_graphs.safetensors", framework="numpy") as file:
        start = f"{case}/{run}/"
        return {key.removeprefix(start): file.get_tensor(key) for key in file.keys() if key.startswith(start)}  # noqa: SIM118


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("torch_attention", ["node '/Mul' (Mul)"]), ("torch_attention_9", ["(Softmax)", "another axis"]),
        ("torch_signal", ["(AveragePool)", "counts padding"]), ("torch_dynamo_last_rnn", ["(Slice)"]),
        ("keras_lstm_11", ["(Equal)", "no layer does that"]), ("tf_forward_gru_11", ["the output 'p'", "output="]),
    ],
)  # fmt: skip
def test_recorded_graphs_that_are_none(folder, case, words):
    path = folder / "onnx_graphs" / f"{case}.onnx"
    with refused(FormatError, f"{case}.onnx", "gw.OnnxGraph runs", *words):
        gw.from_onnx(path)


def test_copies_of_weights_are_told_of(folder):
    path = folder / "onnx_graphs" / "tf_bidirectional_rnn_18.onnx"
    with pytest.warns(UserWarning, match="2 weights of the file stand in several layers here"):
        gw.from_onnx(path, output="p")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gw.from_onnx(path, output="y")


# --- what comes of a model


def test_models_train_and_stream(folder):
    _, arrays = RECORDED["lstm_deep"]
    model = gw.from_onnx(folder / "onnx_networks" / "lstm_deep.onnx")
    before = model.evaluate(arrays["x"], arrays["y"] + 1)["loss"]
    model.fit(arrays["x"], arrays["y"] + 1, epochs=5, verbose=False)
    assert model.evaluate(arrays["x"], arrays["y"] + 1)["loss"] < before
    stream, whole = model.stream(3), model.predict(arrays["x"])
    parts = [stream.step(step) for step in arrays["x"].swapaxes(0, 1)]
    np.testing.assert_allclose(np.stack(parts, axis=1), whole, rtol=0, atol=1e-12)


def test_states_are_left_to_run(tmp_path):
    """A file with states in and out is a model whose states `run` takes and gives, layer by layer."""
    model = onnx_networks.model_of("lstm_deep")
    model.to_onnx(tmp_path / "m.onnx", state=True)
    back = gw.from_onnx(tmp_path / "m.onnx")
    x = onnx_networks.inputs(model, 2, 6)
    y, (state, *_) = model.run(x)
    again, (first, second, *_) = back.run(x)
    np.testing.assert_allclose(again, y, rtol=0, atol=1e-6)
    for k, part in enumerate((first, second)):
        np.testing.assert_allclose(part.h[0], state.h[k], rtol=0, atol=1e-6)
        np.testing.assert_allclose(part.c[0], state.c[k], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 6), (3, 3), (5, 1)])
@pytest.mark.parametrize("name", ["lstm_last_backwards", "lstm_both", "rnn_relu_deep", "gru_both_clip"])
def test_files_of_one_size(tmp_path, name, batch, time):
    """As exporters write them who are not told that batch or time may differ; the model takes any."""
    model = onnx_networks.model_of(name, kernel="numpy")
    model.to_onnx(tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    for port in (*proto.graph.input, *proto.graph.output):
        for dim in port.type.tensor_type.shape.dim:
            dim.dim_value = {"batch": batch, "time": time}.get(dim.dim_param, dim.dim_value)
    onnx.save(proto, tmp_path / "m.onnx")
    x = onnx_networks.inputs(model, 2, 7)
    got = gw.from_onnx(tmp_path / "m.onnx", kernel="numpy").predict(x)
    np.testing.assert_allclose(got, model.predict(x), rtol=0, atol=EXACT["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_standardised_inputs_are_a_norm(tmp_path, dtype):
    """(x - mean) / deviation, feature by feature, becomes a BatchNorm."""
    rng = np.random.default_rng(0)
    mean, deviation = (rng.uniform(0.5, 2, F).astype(dtype) for _ in range(2))
    model = onnx_networks.model_of("lstm", dtype, kernel="numpy")
    model.to_onnx(tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for a, n in ((mean, "mean"), (deviation, "deviation")))
    proto.graph.node[0].input[0] = "scaled"
    first = [node("Sub", ["x", "mean"], ["centred"]), node("Div", ["centred", "deviation"], ["scaled"])]
    nodes = [*first, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, tmp_path / "m.onnx")
    back = gw.from_onnx(tmp_path / "m.onnx", kernel="numpy")
    assert back.layer == gw.Sequential(gw.BatchNorm(F), gw.LSTM(F, H))
    x = onnx_networks.inputs(model, 3, 7)
    np.testing.assert_allclose(back.predict(x), model.predict((x - mean) / deviation), rtol=0, atol=EXACT[dtype])


def test_halves_become_float32(tmp_path):
    model = gw.Model(gw.Sequential(gw.LSTM(F, H), gw.LayerNorm(H), gw.Dense(H, 2, "gelu")), seed=0)
    model.to_onnx(tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float16), tensor.name))
    for port in (*proto.graph.input, *proto.graph.output):
        port.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(proto, tmp_path / "m.onnx")
    back = gw.from_onnx(tmp_path / "m.onnx")
    assert (back.layer, back.dtype) == (model.layer, np.float32)
    np.testing.assert_array_equal(back.parameters["0.W"], model.parameters["0.W"].astype(np.float16))


def test_compat_reads_what_onnxruntime_does(tmp_path):
    """It does not clip what goes into the third activation."""
    model = onnx_networks.model_of("lstm_clip")
    model.to_onnx(tmp_path / "m.onnx")
    x = onnx_networks.inputs(model, 2, 6)
    plain, theirs = gw.from_onnx(tmp_path / "m.onnx"), gw.from_onnx(tmp_path / "m.onnx", compat="onnxruntime")
    assert plain.layer.layers[0].clip == 0.25
    assert theirs.layer.layers[0].cell_activation == gw.Activation("tanh")
    graph = gw.OnnxGraph(tmp_path / "m.onnx", compat="onnxruntime")
    np.testing.assert_allclose(theirs.predict(x), graph.run({"x": x})["y"], rtol=0, atol=1e-6)
    assert np.abs(theirs.predict(x) - plain.predict(x)).max() > 1e-3


# --- what is refused


W = np.linspace(-0.5, 0.5, 4 * H * F).astype(np.float32).reshape(1, 4 * H, F)
R = np.linspace(-0.4, 0.4, 4 * H * H).astype(np.float32).reshape(1, 4 * H, H)
BOTH = {"W": np.concatenate([W, -W]), "R": np.concatenate([R, R + 0.1])}
X = {"x": ("float32", ["T", "B", F])}


def lstm(outputs=("Y",), inputs=("x", "W", "R"), **attributes):
    return onnx.helper.make_node("LSTM", list(inputs), list(outputs), name="lstm", hidden_size=H, **attributes)


def node(op, inputs, outputs, **attributes):
    return onnx.helper.make_node(op, inputs, outputs, name=op.lower(), **attributes)


REFUSED = {
    "one step of many": ([lstm(), node("Slice", ["Y", "three", "four", "zero"], ["y"])], {}, ["(Slice)", "not the last one"]),
    "a first step": ([lstm(), node("Gather", ["Y", "first"], ["y"])], {}, ["(Gather)", "not the last one"]),
    "a curve": ([lstm(), node("Pow", ["Y", "half"], ["y"])], {}, ["(Pow)", "no activation"]),
    "a vector for other axes": (
        [lstm(), node("Transpose", ["Y"], ["t"], perm=[0, 1, 3, 2]), node("Mul", ["t", "column"], ["y"])], {},
        ["(Mul)", "no activation"],
    ),
    "a product of steps": (
        [lstm(), node("Transpose", ["Y"], ["t"], perm=[0, 1, 3, 2]), node("MatMul", ["Y", "t"], ["y"])], {},
        ["(MatMul)", "depend on x"],
    ),
    "an unknown operator": ([lstm(), node("Sin", ["Y"], ["y"])], {}, ["(Sin)"]),
    "no layer": ([node("Identity", ["x"], ["y"])], {}, ["no layer in it that computes anything"]),
    "steps in reverse": ([lstm(direction="reverse"), node("Squeeze", ["Y", "one"], ["y"])], {}, ["'y' has its steps in an"]),
    "two directions": ([lstm(("y",), inputs=("x", "W2", "R2"), direction="bidirectional")], {}, ["output 'y' is not"]),
    "a state of the input": (
        [lstm(["", "h"]), onnx.helper.make_node("LSTM", ["x", "W", "R", "", "", "h"], ["y"], name="decoder")], {},
        ["node 'decoder' (LSTM)", "initial states depend on the input"],
    ),
    "two inputs": ([node("Add", ["x", "z"], ["y"])], {"z": ("float32", ["T", "B", F])}, ["2 inputs", "'x', 'z'"]),
    "a chosen value": ([node("Greater", ["x", "half"], ["c"]), node("Where", ["c", "x", "half"], ["y"])], {}, ["(Greater)"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_graphs_that_are_no_chain(tmp_path, case):
    nodes, more, words = REFUSED[case]
    constants = {
        "W": W, "R": R, "W2": BOTH["W"], "R2": BOTH["R"], "three": np.array([3]), "four": np.array([4]), "zero": np.array([0]),
        "one": np.array([1]), "first": np.array(0),
        "column": np.linspace(0.5, 1.5, H).astype(np.float32)[:, None], "half": np.float32(0.5),
    }  # fmt: skip
    used = {name for each in nodes for name in each.input}
    proto = onnx_files.model(nodes, X | more, {"y": "float32"}, {k: v for k, v in constants.items() if k in used})
    onnx.save(proto, tmp_path / "m.onnx")
    with refused(FormatError, "m.onnx", *words):
        gw.from_onnx(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("shape", "words"),
    [(["B", "T", "F"], ["how many features"]), (["B", "T", F, 2], ["batch, time and features"]), (None, ["batch, time"])],
)
def test_inputs_that_say_too_little(tmp_path, shape, words):
    proto = onnx_files.model([node("Tanh", ["x"], ["y"])], {"x": ("float32", shape)}, {"y": "float32"})
    onnx.save(proto, tmp_path / "m.onnx")
    with refused(FormatError, "m.onnx", *words):
        gw.from_onnx(tmp_path / "m.onnx")


def test_impossible_options(tmp_path):
    onnx_networks.model_of("lstm").to_onnx(tmp_path / "m.onnx")
    with refused(OptionError, "output='z'", "'y'"):
        gw.from_onnx(tmp_path / "m.onnx", output="z")
    with refused(OptionError, "compat='tensorrt'", "'onnxruntime'"):
        gw.from_onnx(tmp_path / "m.onnx", compat="tensorrt")
    with refused(OptionError, "dtype='float16'"):
        gw.from_onnx(tmp_path / "m.onnx", dtype="float16")
    with refused(OptionError, "path: got 3"):
        gw.from_onnx(3)
    with refused(MissingFileError, "n.onnx"):
        gw.from_onnx(tmp_path / "n.onnx")
    (tmp_path / "n.onnx").write_bytes((tmp_path / "m.onnx").read_bytes()[:-40])
    with refused(FormatError, "n.onnx"):
        gw.from_onnx(tmp_path / "n.onnx")
