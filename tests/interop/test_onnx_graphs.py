"""Whole ONNX files, as exporters write them, and what torch and onnxruntime made of them."""

import zipfile

import goldens
import numpy as np
import onnx
import pytest
from refusals import refused
from safetensors import safe_open

import gatewright as gw
from gatewright.errors import FormatError

CASES = goldens.load("onnx_graphs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The recorded files."""
    place = tmp_path_factory.mktemp("onnx")
    with zipfile.ZipFile(goldens.GOLDEN / "onnx_graphs.zip") as archive:
        archive.extractall(place)
    return place


def runs(case):
    """(inputs, outputs) of every run, by name."""
    with safe_open(goldens.GOLDEN / "onnx_graphs.safetensors", framework="numpy") as file:
        names = [name for name in file.keys() if name.startswith(f"{case}/")]  # noqa: SIM118 (safe_open is no dict)
        for run in sorted({name.split("/")[1] for name in names}):
            parts = {}
            for way in ("in", "out"):
                start = f"{case}/{run}/{way}."
                parts[way] = {name.removeprefix(start): file.get_tensor(name) for name in names if name.startswith(start)}
            yield parts["in"], parts["out"]


def close(got, wanted):
    assert got.keys() == wanted.keys()
    for name, array in got.items():
        assert array.dtype == wanted[name].dtype
        assert array.shape == wanted[name].shape
        np.testing.assert_allclose(array, wanted[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_replayed(case, folder):
    compat = "onnxruntime" if case.startswith("compat") else None
    count = 0
    for kernel in ("auto", "numpy"):
        graph = gw.OnnxGraph(folder / f"{case}.onnx", compat=compat, kernel=kernel)
        for given, wanted in runs(case):
            assert set(graph.inputs) == set(given)
            assert list(graph.outputs) == [output.name for output in onnx.load(folder / f"{case}.onnx").graph.output]
            before = {name: array.copy() for name, array in given.items()}
            got = graph.run(given)
            close(got, wanted)
            close(graph.run(given), got)
            assert all(np.array_equal(array, before[name]) for name, array in given.items())
            count += 1
    assert count == (2 if case.startswith(("opset", "compat")) else 4)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("compat")])
def test_the_specification_says_otherwise(case, folder):
    """Each of onnxruntime's own ways is one: without compat the file is refused, or the numbers differ."""
    ((given, wanted),) = runs(case)
    if "spare" in case or case in ("compat_default_affine", "compat_default_scaledtanh"):
        with refused(FormatError, "node 0", "activation"):
            gw.OnnxGraph(folder / f"{case}.onnx")
        return
    got = gw.OnnxGraph(folder / f"{case}.onnx").run(given)
    assert any(np.abs(got[name] - wanted[name]).max() > 1e-3 for name in got)
    if "empty" in case:
        close({"Y": got["Y"]}, {"Y": wanted["Y"]})
        assert np.array_equal(got["Y_h"][:, 1], given["initial_h"][:, 1])
        assert not wanted["Y_h"][:, 1].any()
