import numpy as np
import onnx
import onnx_networks
import pytest
from refusals import refused

import gatewright as gw
from gatewright import OptionError
from gatewright.state import tree_fill, tree_items

F, H = onnx_networks.F, onnx_networks.H


def written(model, path, **options):
    """The file as the onnx package reads it, checked by it."""
    model.to_onnx(path, **options)
    found = onnx.load(path)
    onnx.checker.check_model(found, full_check=True)
    return found


def dims(port):
    """(name, the type of the numbers, the sizes: words for those that differ from call to call)."""
    tensor = port.type.tensor_type
    sizes = tuple(d.dim_param or d.dim_value for d in tensor.shape.dim)
    return port.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, sizes


def state_sizes(model):
    """The sizes of all parts of the state, in order, as a file says them."""
    arrays = tree_fill(model.network.state_shape(5), np.empty)
    return [(len(array), "batch", array.shape[2]) for _, array in tree_items(arrays)]


def steps_of(model):
    """What the file says of the steps that come out."""
    many, more = (model.network.shape_out((1, n, F))[1] if not model.layer.takes_indices else n for n in (100, 200))
    return {(100, 200): "time", (many, many): many}.get((many, more), "time_out")


@pytest.mark.parametrize("name", onnx_networks.LAYERS)
def test_the_checker_takes_every_file(tmp_path, name):
    """With batch and time that differ from call to call, and inputs and outputs as `run` has them."""
    for dtype in ("float32", "float64"):
        model = onnx_networks.model_of(name, dtype)
        x = onnx_networks.inputs(model, 2, 5)
        whole = ("batch", "time") if x.ndim == 2 else ("batch", "time", F)
        y = model.predict(x)
        out = ("batch", *((steps_of(model),) if y.ndim == 3 else ()), y.shape[-1])
        for lengths in (False, True):
            found = written(model, tmp_path / "m.onnx", lengths=lengths)
            more = [("lengths", "int32", ("batch",))] if lengths else []
            assert list(map(dims, found.graph.input)) == [("x", x.dtype.name, whole), *more]
            assert list(map(dims, found.graph.output)) == [("y", dtype, out)]
            found = written(model, tmp_path / "m.onnx", lengths=lengths, state=True)
            inputs, outputs = list(map(dims, found.graph.input)), list(map(dims, found.graph.output))
            states = inputs[1 + lengths :]
            assert [port[0] for port in inputs[: 1 + lengths]] == ["x", "lengths"][: 1 + lengths]
            assert [port[1:] for port in states] == [(dtype, sizes) for sizes in state_sizes(model)]
            assert outputs == [("y", dtype, out), *((f"{port[0]}_out", *port[1:]) for port in states)]


def test_the_states_have_clear_names(tmp_path):
    net = gw.Sequential(gw.Dense(F, H), gw.Bidirectional(gw.LSTM(H, 2, num_layers=3), "sum", backward_layer=gw.GRU(H, 2)))
    found = written(gw.Model(net), tmp_path / "m.onnx", state=True)
    assert [dims(port) for port in found.graph.input[1:]] == [
        ("1.forward.h", "float32", (3, "batch", 2)),
        ("1.forward.c", "float32", (3, "batch", 2)),
        ("1.backward.h", "float32", (1, "batch", 2)),
    ]
    assert [port.name for port in found.graph.output] == ["y", "1.forward.h_out", "1.forward.c_out", "1.backward.h_out"]


def test_the_same_model_gives_the_same_bytes_and_says_who_wrote_it(tmp_path):
    one, two = tmp_path / "1.onnx", tmp_path / "2.onnx"
    for path in (one, two):
        onnx_networks.model_of("parallel").to_onnx(path, lengths=True, state=True)
    assert one.read_bytes() == two.read_bytes()
    found = onnx.load(one)
    assert (found.producer_name, found.producer_version) == ("gatewright", gw.__version__)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.onnx", "2.onnx"]  # no temporary one is left


@pytest.mark.parametrize("opset", range(17, 23))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_opset(tmp_path, opset, dtype):
    found = written(onnx_networks.model_of("lstm_twice", dtype), tmp_path / "m.onnx", lengths=True, state=True, opset=opset)
    assert [(each.domain, each.version) for each in found.opset_import] == [("", opset)]


def test_what_is_shared_stands_there_once(tmp_path):
    found = written(onnx_networks.model_of("shared"), tmp_path / "m.onnx")
    names = [constant.name for constant in found.graph.initializer]
    assert [name for name in names if name.startswith("shared.")] == [
        "shared.d.W", "shared.d.b", "shared.g.W", "shared.g.R", "shared.g.B",
    ]  # fmt: skip
    assert sorted(names) == sorted(set(names))


def test_the_weights_are_the_models(tmp_path):
    """The operator's order of the gates, i o f c, and one row a gate's unit."""
    model = onnx_networks.model_of("lstm")
    found = written(model, tmp_path / "m.onnx")
    arrays = {c.name: onnx.numpy_helper.to_array(c) for c in found.graph.initializer}
    for ours, theirs in (("W", "W"), ("U", "R")):
        i, f, g, o = np.split(model.parameters[f"0.{ours}"], 4, axis=-1)
        np.testing.assert_array_equal(arrays[f"0.{theirs}"][0], np.concatenate([i, o, f, g], axis=-1).T)
    i, f, g, o = np.split(model.parameters["0.b"], 4)
    np.testing.assert_array_equal(arrays["0.B"][0], np.concatenate([i, o, f, g, np.zeros(4 * H)]))


def test_dropout_and_masks_that_nobody_can_see_are_left_out(tmp_path):
    plain = written(gw.Model(gw.LSTM(F, H), seed=0), tmp_path / "m.onnx").graph.node
    kept = gw.Sequential(gw.Dropout(0.5), gw.LSTM(F, H, masked_output="repeat", trainable=False), gw.Dropout(0.5))
    assert [node.op_type for node in written(gw.Model(kept), tmp_path / "m.onnx").graph.node] == [n.op_type for n in plain]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (gw.LSTM(F, H, projection=2), ["layer 0, LSTM(3, 4, projection=2)", "ONNX's LSTM has none"]),
        (gw.LSTM(F, H, return_state_sequence=True), ["return_state_sequence=True"]),
        (gw.Sequential(gw.Dense(F, 2), gw.GRU(2, H, activation="silu")), ["layer 1, GRU", "no activation 'silu'"]),
        (gw.RNN(F, H, bidirectional=True, activation=("gelu", "tanh")), ["layer 0", "no activation 'gelu'"]),
        (gw.GRU(F, H, activation=gw.Activation("tanh", clip=1)), ["layer 0, GRU", "into every activation alike"]),
        (gw.Sequential(gw.Masking(), gw.LSTM(F, H)), ["layer 0, Masking(", "a mask may have holes"]),
        (gw.Sequential(gw.Embedding(5, 2, mask_zero=True), gw.LSTM(2, H)), ["layer 0, Embedding", "mask_zero=True", "lengths"]),
        (gw.Parallel([gw.LSTM(F, H), gw.LSTM(F, H, projection=2)]), ["layer 0.1, LSTM", "projection=2"]),
        (gw.GRU(F, H, recurrent_activation=gw.Activation("silu")), ["layer 0, GRU", "no activation 'silu'"]),
        (gw.Dropout(0.5), ["no layer says how many features x has"]),
    ],
)  # fmt: skip
def test_what_onnx_cannot_say_is_refused(tmp_path, layer, words):
    with refused(OptionError, *words):
        gw.Model(layer).to_onnx(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_impossible_options(tmp_path):
    model = gw.Model(gw.LSTM(F, H, masked_output="repeat"))
    with refused(OptionError, "layer 0, LSTM", "masked_output='repeat' with lengths"):
        model.to_onnx(tmp_path / "m.onnx", lengths=True)
    for kind, about in (
        (gw.MaxPooling1D(2, padding="same"), "MaxPooling1D"),
        (gw.Conv1D(F, H, 3, stride=2, padding="same"), "Conv1D"),
    ):
        same = gw.Model(gw.Sequential(gw.Dense(F, F), kind))
        same.to_onnx(tmp_path / "m.onnx")
        with refused(OptionError, f"layer 1, {about}", "padding='same' with lengths"):
            same.to_onnx(tmp_path / "n.onnx", lengths=True)
    branches = gw.Model(gw.Parallel([gw.Sequential(gw.Dense(F, F), gw.MaxPooling1D(2)), gw.Conv1D(F, F, 1, stride=2)]))
    with refused(OptionError, "layer 0", "branches have rows of different"):
        branches.to_onnx(tmp_path / "n.onnx", lengths=True)
    with refused(OptionError, "lengths=True", "takes no steps"):
        gw.Model(gw.Sequential(gw.Dense(F, H), gw.RepeatVector(3))).to_onnx(tmp_path / "n.onnx", lengths=True)
    (tmp_path / "m.onnx").unlink()
    for opset in (16, 23, 17.5, True, "17"):
        with refused(OptionError, "opset", repr(opset), "from 17 to 22"):
            model.to_onnx(tmp_path / "m.onnx", opset=opset)
    for name in ("lengths", "state"):
        with refused(OptionError, name, "True or False"):
            model.to_onnx(tmp_path / "m.onnx", **{name: 1})
    assert not list(tmp_path.iterdir())


def test_without_the_package_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("gatewright.interop.onnx.draft.find_spec", lambda name: None)
    with refused(gw.MissingExtraError, "needs onnx", "gatewright[onnx]"):
        gw.Model(gw.LSTM(F, H)).to_onnx(tmp_path / "m.onnx")


def test_an_old_package_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr("onnx.defs.onnx_opset_version", lambda: 21)
    with refused(OptionError, "opset=22", "knows 21 at most"):
        gw.Model(gw.LSTM(F, H)).to_onnx(tmp_path / "m.onnx", opset=22)
    written(gw.Model(gw.LSTM(F, H)), tmp_path / "m.onnx", opset=21)
