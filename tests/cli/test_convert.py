"""`gatewright convert` and `gatewright inspect`: every format in, every format out, and one line where that can't be."""

import zipfile

import goldens
import keras_goldens
import numpy as np
import pytest
from commands import run
from safetensors.numpy import save_file

import gatewright as gw
from gatewright.cli import convert, runtimes

TORCH = goldens.load("torch_networks")
KINDS = {".safetensors": "gatewright", ".keras": "Keras", ".onnx": "ONNX", ".json": "RTNeural"}


@pytest.fixture(autouse=True)
def no_frameworks(monkeypatch):
    """As on a machine that has none of them, whatever this one has."""
    monkeypatch.setattr(runtimes, "installed", lambda package: False)


def refused(capsys, *argv, words):
    """Exit code 2 and one line that holds all the words."""
    code, _, err = run(capsys, *argv)
    assert code == 2
    assert err.startswith("gatewright")
    assert err.count("\n") == 1, err
    for word in words:
        assert word in err, f"{word!r} is not in {err!r}"


def keras_file(folder, name):
    (folder / name).write_bytes(keras_goldens.content(name))
    return folder / name


def torch_file(folder, case):
    """The state dict of a recorded case."""
    found = {name.removeprefix("net."): a for name, a in TORCH[case][1].items() if name.startswith("net.")}
    save_file(found, folder / "net.safetensors")
    return folder / "net.safetensors"


@pytest.fixture
def plain(tmp_path):
    """A model that every format can say."""
    model = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 2, "tanh")), seed=1)
    model.save(tmp_path / "plain.safetensors")
    return model


def again(path):
    """The model in a file, whatever its format."""
    return {
        ".safetensors": gw.load, ".keras": gw.from_keras, ".onnx": gw.from_onnx, ".json": gw.from_rtneural,
    }[path.suffix](path)  # fmt: skip


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_from_every_format_to_every_other(capsys, tmp_path, plain, first, second):
    a, b = tmp_path / f"a{first}", tmp_path / f"b{second}"
    assert run(capsys, "convert", tmp_path / "plain.safetensors", a)[0] == 0
    code, out, err = run(capsys, "convert", a, b, "--verify")
    assert (code, err) == (0, "")
    assert f"{a} ({KINDS[first]}) -> {b} ({KINDS[second]})" in out
    assert f"verify: {b} read again: largest deviation" in out
    x = np.random.default_rng(0).standard_normal((3, 7, 2)).astype(np.float32)
    np.testing.assert_allclose(again(b).predict(x), plain.predict(x), rtol=0, atol=1e-6)


def test_a_keras_network(capsys, tmp_path):
    source, target = keras_file(tmp_path, "stack.keras"), tmp_path / "stack.safetensors"
    code, out, _ = run(capsys, "convert", source, target, "--verify")
    assert code == 0
    assert "LSTM(2, 3)" in out
    assert f"verify: {source}: keras is not installed, so Keras's runtime was not asked" in out
    a = keras_goldens.GOLDEN["stack"][1]
    np.testing.assert_allclose(gw.load(target).predict(a["x"]), a["y"], rtol=0, atol=1e-6)


def test_a_pytorch_network_and_back(capsys, tmp_path):
    source, ours, back = torch_file(tmp_path, "tagger"), tmp_path / "ours.safetensors", tmp_path / "back.safetensors"
    assert run(capsys, "convert", source, ours, "--layers", "lstm,fc")[0] == 0
    a = TORCH["tagger"][1]
    np.testing.assert_allclose(gw.load(ours).predict(a["x"]), a["y"], rtol=0, atol=1e-6)
    code, out, _ = run(capsys, "convert", ours, back, "--to", "pytorch", "--verify")
    assert code == 0
    assert f"-> {back} (PyTorch)" in out
    assert "torch is not installed" in out
    model = gw.from_pytorch(back, layers=["0", "1"])
    np.testing.assert_allclose(model.predict(a["x"]), a["y"], rtol=0, atol=1e-6)


def test_what_a_state_dict_does_not_say(capsys, tmp_path):
    source, target = torch_file(tmp_path, "rnn_relu_1_1_bias"), tmp_path / "rnn.safetensors"
    code, out, _ = run(capsys, "convert", source, target, "--activation", "relu")
    assert code == 0
    assert "activation='relu'" in out
    refused(capsys, "convert", torch_file(tmp_path, "tagger"), target, words=["'fc'", "'lstm'", "layers="])
    refused(
        capsys,
        "convert",
        keras_file(tmp_path, "stack.keras"),
        target,
        "--layers",
        "a",
        words=["--layers is for PyTorch's files", "is Keras's"],
    )


def test_what_stands_behind_a_colon(capsys, tmp_path):
    target = tmp_path / "words.safetensors"
    layers = "embed:embedding,gru:last,norm,head.0"
    part = {name: a for name, a in TORCH["words"][1].items() if "head.2" not in name}
    save_file(
        {name.removeprefix("net."): a for name, a in part.items() if name.startswith("net.")}, tmp_path / "net.safetensors"
    )
    code, out, err = run(capsys, "convert", tmp_path / "net.safetensors", target, "--layers", layers, "--verify")
    assert (code, err) == (0, "")
    assert "torch is not installed" in out
    model = gw.load(target)
    assert [type(layer).__name__ for layer in model.layer.layers] == ["Embedding", "GRU", "LayerNorm", "Dense"]
    assert not model.layer.layers[1].return_sequences
    for wrong in ("embed:last,gru", "embed:embedding,gru:embedding", "embed:embeding,gru"):
        refused(
            capsys, "convert", tmp_path / "net.safetensors", target, "--layers", wrong, words=["--layers: ", "known: embed"]
        )


class Wrong:
    """A runtime that gives other numbers, or other shapes."""

    def __init__(self, change):
        self.change = change

    def missing(self):
        return None

    def name(self):
        return "Wrong 1.0"

    def pair(self, path, model, args):
        y = model.predict(runtimes.draw(model, 3, 32))
        return self.change(y), y


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda y: y + np.float32(2**-20), 0, "run by Wrong 1.0: largest deviation 9.5e-07"),
        (lambda y: y + 1e-3, 1, "run by Wrong 1.0: largest deviation 0.001"),
        (lambda y: y @ y, 1, "run by Wrong 1.0: failed: matmul"),
        (lambda y: y[:, 1:], 1, "run by Wrong 1.0: an output of shape (3, 31, 2), where gatewright gives (3, 32, 2)"),
    ],
)
def test_a_deviation_that_is_too_large(capsys, tmp_path, plain, monkeypatch, change, code, words):
    monkeypatch.setitem(runtimes.RUNTIMES, "gatewright", Wrong(change))
    got, out, _ = run(capsys, "convert", tmp_path / "plain.safetensors", tmp_path / "b.safetensors", "--verify")
    assert got == code
    assert words in out
    assert convert.TOLERANCE == 1e-5


def test_what_is_refused(capsys, tmp_path, plain):
    source = tmp_path / "plain.safetensors"
    refused(capsys, "convert", source, tmp_path / "b.pt", words=["a pickle is not written", "--to pytorch b.safetensors"])
    refused(capsys, "convert", source, tmp_path / "b.bin", words=["'.bin'", ".safetensors, .keras, .onnx, .json", "--to"])
    refused(capsys, "convert", source, tmp_path / "b.h5", "--to", "keras", words=["names end in .keras"])
    refused(capsys, "convert", tmp_path / "none.keras", tmp_path / "b.json", words=["there is no such file"])
    refused(capsys, "convert", source, tmp_path / "none" / "b.json", words=["there is no folder"])
    gru = gw.Model(gw.GRU(2, 3, reset_after=False), seed=0)
    gru.save(source)
    refused(capsys, "convert", source, tmp_path / "b.safetensors", "--to", "pytorch", words=["reset_after=True only"])
    assert {path.name for path in tmp_path.iterdir()} == {"plain.safetensors"}


# ------------------------------------------------------------------------------------------------ inspect


def test_inspect_tells_the_layers_of_a_model(capsys, tmp_path, plain):
    for suffix, name in KINDS.items():
        path = tmp_path / f"a{suffix}"
        assert run(capsys, "convert", tmp_path / "plain.safetensors", path)[0] == 0
        code, out, _ = run(capsys, "inspect", path)
        assert code == 0
        assert out.startswith(f"{path}: {name}'s format, {path.stat().st_size:,} bytes\n")
        assert all(word in out for word in ("LSTM(2, 3)", "Dense(3, 2, activation='tanh')", "(B, T, 2)", "80"))


def test_inspect_tells_the_arrays_of_a_state_dict(capsys, tmp_path):
    path = torch_file(tmp_path, "tagger")
    code, out, _ = run(capsys, "inspect", path)
    assert code == 0
    assert "18 arrays" in out
    assert "  fc.weight                  (2, 8)" in out
    assert "not read as a model: " in out
    assert "layers=[…]" in out
    code, out, _ = run(capsys, "inspect", path, "--prefix", "lstm")
    assert "LSTM(3, 4, num_layers=2, bidirectional=True)" in out
    assert "fc.weight" not in out


def test_an_onnx_graph_with_several_outputs(capsys, tmp_path):
    with zipfile.ZipFile(goldens.GOLDEN / "onnx_graphs.zip") as archive:
        archive.extract("tf_forward_gru_18.onnx", tmp_path)
    path = tmp_path / "tf_forward_gru_18.onnx"
    code, out, _ = run(capsys, "inspect", path)
    assert code == 0
    for words in ("opset 18", "input   x: float32 (B, T, 3)", "output  p: float32 (any shape)", "GRU 1", "output= picks"):
        assert words in out
    code, out, _ = run(capsys, "inspect", path, "--output", "p")
    assert "GRU(3, " in out
    assert run(capsys, "convert", path, tmp_path / "p.keras", "--output", "p", "--verify")[0] == 0
    refused(capsys, "convert", path, tmp_path / "q.keras", "--output", "q", words=["output='q' is unknown; known: 'y', 'p'"])


def test_inspect_tells_the_arrays_of_weights_alone(capsys, tmp_path):
    path = tmp_path / "some.weights.h5"
    path.write_bytes(keras_goldens.content(next(name for name in keras_goldens.files() if name.endswith(".weights.h5"))))
    code, out, _ = run(capsys, "inspect", path)
    assert code == 0
    assert "written by Keras 3, weights alone" in out
    assert "/vars/0  (" in out
    assert "not read as a model" in out


def test_inspect_names_a_file_of_pytorch_that_holds_more_than_arrays(capsys, tmp_path):
    path = tmp_path / "whole.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("whole/data.pkl", b"\x80\x02cposix\nsystem\n.")
    refused(capsys, "inspect", path, words=[str(path), "torch.save(net.state_dict(), path)"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["unknown kind", "keras, pytorch, onnx"]),
        (b"PK\x03\x04 and no more", ["not a whole zip file"]),
        (b"import os", ["unknown kind"]),
        (b"{}", ["layers"]),
        (b"\x10\0\0\0\0\0\0\0{nonsense nonsense", ["header can't be read"]),
        (b"\x89HDF\r\n\x1a\n and no more", ["HDF5"]),
        (b"\x80\x02}.", ["a bare pickle", "torch.save"]),
    ],
)
def test_files_that_are_none(capsys, tmp_path, content, words):
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(capsys, "inspect", path, words=[str(path), *words])
    refused(capsys, "convert", path, tmp_path / "b.json", words=[str(path), *words])
