"""OnnxGraph at its borders: broken and hostile files, what is refused and how, memory, and what a caller may give."""

import os
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnx_files
import pytest
from onnx import TensorProto, helper, numpy_helper
from refusals import refused

import gatewright as gw
from gatewright.errors import DataError, FormatError, MissingExtraError, MissingFileError, OptionError, ShapeError
from gatewright.interop.onnx import reader, wire

X = {"x": ("float32", ["n", 3])}


def plain(nodes=None, constants=None, inputs=X, outputs=("y",), opset=17, **words):
    """A ModelProto; by itself y = relu(x)."""
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="it")] if nodes is None else nodes
    return onnx_files.model(nodes, inputs, dict.fromkeys(outputs, "float32"), constants, opset, **words)


def node(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name="it", **attributes)


def opened(tmp_path, proto, **options):
    return onnx_files.opened(tmp_path / "m.onnx", proto, **options)


def refuses(tmp_path, proto, *words):
    with refused(FormatError, "m.onnx: ", *words):
        opened(tmp_path, proto)


# ---------------------------------------------------------------------------------------------------- no file, or no such file


def test_what_is_no_file(tmp_path):
    for path in (tmp_path / "none.onnx", tmp_path):
        with refused(MissingFileError, str(path), "there is no such file"):
            gw.OnnxGraph(path)
    for content in (b"", b"\0", b"text", b"\x0a\xff", b"\x08\x08", np.random.default_rng(0).bytes(100)):
        (tmp_path / "m.onnx").write_bytes(content)
        with refused(FormatError, "m.onnx: "):
            gw.OnnxGraph(tmp_path / "m.onnx")


def lstm(tmp_path):
    """The bytes of a small file with all kinds of things in it."""
    rng = np.random.default_rng(0)
    shapes = {"W": (1, 12, 2), "R": (1, 12, 3), "B": (1, 24)}
    constants = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "W", "R", "B"], ["", "h"], hidden_size=3, activations=["HardSigmoid", "Tanh", "Elu"]),
        helper.make_node("Squeeze", ["h", "axes"], ["s"]),
        helper.make_node("Softmax", ["s"], ["y"], axis=-1),
    ]
    constants["axes"] = np.array([0])
    return plain(nodes, constants, {"x": ("float32", ["n", "t", 2])}).SerializeToString()


def survives(path, content):
    """Whether a file is read and runs; if it does not, FormatError says so in one line."""
    path.write_bytes(content)
    try:
        graph = gw.OnnxGraph(path, limit=2**20)
        shapes = {name: [n if isinstance(n, int) else 2 for n in value.shape or ()] for name, value in graph.inputs.items()}
        graph.run({name: np.ones(shape) for name, shape in shapes.items()})
        return True
    except FormatError as error:
        text = str(error).removeprefix(str(path))
        return text if "\n" in text or len(text) > 500 else False  # which no test takes for an answer
    except (ShapeError, DataError):  # an input that the mutant wants to be something else
        return False


def test_cut_anywhere(tmp_path):
    content = lstm(tmp_path)
    assert survives(tmp_path / "m.onnx", content) is True
    for stop in range(0, len(content) - 20, 7):
        assert survives(tmp_path / "m.onnx", content[:stop]) is False


def test_any_bit_flipped(tmp_path):
    content, rng, read = lstm(tmp_path), np.random.default_rng(0), 0
    for place in rng.permutation(8 * len(content))[:1000]:
        mutant = bytearray(content)
        mutant[place // 8] ^= 1 << place % 8
        found = survives(tmp_path / "m.onnx", bytes(mutant))
        assert found in (True, False)
        read += found
    assert 100 < read < 990  # most bits are the weights' own


def test_a_bomb_of_empty_messages_is_not_parsed(tmp_path):
    nodes = b"\x0a\x00" * 4_000_000  # graph.node, empty: 8 MB that would be a gigabyte
    head = onnx.ModelProto(ir_version=8).SerializeToString()
    length = len(nodes)
    size = bytes([length >> shift & 127 | 128 for shift in (0, 7, 14)]) + bytes([length >> 21])
    (tmp_path / "m.onnx").write_bytes(head + b"\x3a" + size + nodes)
    start = time.process_time()
    with refused(FormatError, f"more than {wire.MESSAGES} messages"):
        gw.OnnxGraph(tmp_path / "m.onnx")
    assert time.process_time() - start < 30


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux'")
def test_mutants_run_or_are_refused_in_little_memory(tmp_path):
    """In a process of its own; a MemoryError there would end it, as would a mutant that takes long."""
    program = Path(__file__).with_name("fuzz_onnx.py")
    run = [sys.executable, program, tmp_path / "mutant.onnx", "1500", "1"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    ran, not_read, not_given, not_run = map(int, done.stdout.split())
    assert ran > 150
    assert not_read > 800
    assert not_run > 80
    assert not_given < 20


# ---------------------------------------------------------------------------------------------------- the model


def changed(change):
    proto = plain()
    change(proto)
    return proto


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.ClearField("graph"), "there is no graph"),
        (lambda m: setattr(m, "ir_version", 2), "IR version 2, wanted 3 to 14"),
        (lambda m: setattr(m, "ir_version", 99), "IR version 99"),
        (lambda m: m.ClearField("opset_import"), "got opset versions none"),
        (lambda m: m.opset_import.add(version=18), "got opset versions '17', '18'"),
        (lambda m: setattr(m.opset_import[0], "version", 6), "opset 6 is not supported; known: 7 to 28"),
        (lambda m: setattr(m.opset_import[0], "version", 29), "opset 29 is not supported"),
        (lambda m: setattr(m.opset_import[0], "domain", "ai.onnx.ml"), "got opset versions none"),
        (lambda m: m.functions.add(name="f"), "functions of its own"),
        (lambda m: m.training_info.add(), "training_info"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse initializers"),
        (lambda m: m.graph.quantization_annotation.add(), "quantization_annotation"),
        (lambda m: m.graph.initializer.add(data_type=1), "an initializer without a name"),
        (lambda m: m.graph.input.add(), "an input without a name"),
        (lambda m: m.graph.input.append(m.graph.input[0]), "the input 'x' is there twice"),
        (lambda m: m.graph.output.append(m.graph.output[0]), "the output 'y' is there twice"),
        (lambda m: m.graph.input.add(name="q"), "input 'q': nothing is not supported, wanted a tensor"),
        (lambda m: m.graph.output.append(helper.make_tensor_sequence_value_info("q", 1, None)), "output 'q': sequence_type"),
        (lambda m: m.graph.input.append(helper.make_tensor_value_info("q", 8, [1])), "input 'q': values of type STRING"),
        (lambda m: m.graph.input.append(helper.make_tensor_value_info("q", 77, [1])), "input 'q': values of type 77"),
        (lambda m: m.graph.input.append(helper.make_tensor_value_info("q", 1, [-1])), "input 'q': an axis of -1"),
        (lambda m: m.graph.input.append(helper.make_tensor_value_info("q", 1, [1] * 33)), "33 axes, wanted at most 32"),
        (lambda m: m.graph.output.append(helper.make_tensor_value_info("q", 1, [1])), "output 'q' is made nowhere"),
    ],
)  # fmt: skip
def test_models_that_are_refused(change, words, tmp_path):
    refuses(tmp_path, changed(change), words)


def test_a_foreign_domain_may_be_imported_and_not_used(tmp_path):
    proto = changed(lambda m: m.opset_import.add(domain="com.microsoft", version=1))
    assert np.array_equal(opened(tmp_path, proto).run({"x": [[-1, 0, 2]]})["y"], [[0, 0, 2]])


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("Relu", ["z"])], "node 'it' (Relu): its input 'z' is made nowhere"),
        ([node("Relu", ["y"])], "its input 'y' is made by a later node, or by itself"),
        ([node("Relu", ["a"]), node("Tanh", ["x"], ["a"])], "its input 'a' is made by a later node"),
        ([node("Relu", ["x"]), node("Tanh", ["x"])], "its output 'y' is there already"),
        ([node("Relu", ["x"], ["x"])], "its output 'x' is there already"),
        ([node("Gabor", ["x"])], "node 'it' (Gabor): the operator is not supported"),
        ([helper.make_node("A\nb" * 99, ["x"], ["y"])], "node 0 ('A\\nbA"),
        ([helper.make_node("Relu", ["q"], ["y"], name="n\n" * 500)], "node 'n\\nn"),
        ([helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft")], "the domain 'com.microsoft' is not supported"),
        ([node("Loop", ["x"])], "operators with subgraphs are not supported"),
        ([node("Relu", ["x", "x"])], "2 inputs, wanted 1"),
        ([node("Add", ["x"])], "1 inputs, wanted 2"),
        ([node("Clip", ["x", "x", "x", "x"])], "4 inputs, wanted 1 to 3"),
        ([node("Concat", [], axis=0)], "0 inputs, wanted at least 1"),
        ([node("Add", ["x", ""])], "input 1 is left out"),
        ([node("Sum", ["x", "", "x"])], "input 1 is left out"),
        ([node("Relu", ["x"], ["y", "z"])], "2 outputs, wanted 1"),
        ([node("Relu", ["x"], [""]), node("Relu", ["x"])], "its output has no name"),
        ([node("Relu", ["x"], alpha=1.0)], "the attribute 'alpha' is not known in opset 17; known: none"),
        ([node("Softmax", ["x"], axis=1.0)], "the attribute axis is float, wanted int"),
        ([node("Concat", ["x"])], "the attribute axis is missing"),
        ([node("Gelu", ["x"])], "not supported before opset 20, and the file means opset 17"),
        ([node("Cast", ["x"], to=TensorProto.STRING)], "node 'it' (Cast): values of type STRING are not supported"),
        ([node("Cast", ["x"], to=999)], "values of type 999"),
        ([node("Constant", [])], "got no value, wanted one value"),
        ([node("Constant", [], value_int=1, value_float=1.0)], "got value_float, value_int, wanted one value"),
        ([node("Constant", [], value_string="a")], "the attribute 'value_string' is not known"),
    ],
)  # fmt: skip
def test_nodes_that_are_refused(nodes, words, tmp_path):
    refuses(tmp_path, plain(nodes), words)


def attributed(change):
    """A model of one Softmax whose attribute is changed."""
    proto = plain([node("Softmax", ["x"], axis=1)])
    change(proto.graph.node[0].attribute)
    return proto


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.append(a[0]), "attribute 'axis' is there twice"),
        (lambda a: setattr(a[0], "ref_attr_name", "q"), "attribute 'axis' refers to a function's"),
        (lambda a: setattr(a[0], "type", 5), "is a subgraph, which is not supported"),
        (lambda a: setattr(a[0], "type", 10), "is a subgraph"),
        (lambda a: setattr(a[0], "type", 0), "is of type 0"),
        (lambda a: (setattr(a[0], "type", 3), setattr(a[0], "s", b"\xff")), "attribute 'axis' is no text"),
    ],
)
def test_attributes_that_are_refused(change, words, tmp_path):
    refuses(tmp_path, attributed(change), "node 'it' (Softmax)", words)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (b"nodename", "node 0: a name that is no text"),
        (b"theinput", "node 0: a name that is no text"),
        (b"constant", "an initializer without a name"),
        (b"location", "external data: b'\\xffocation' is not known, no text, or there twice"),
        (b"file.bin", "external data: 'location' is not known, no text, or there twice"),
    ],
)
def test_names_that_are_no_text(before, words, tmp_path):
    """What is not UTF-8, which protobuf hands out as bytes."""
    made = helper.make_node("Add", ["theinput", "constant"], ["y"], name="nodename")
    proto = plain([made], None, {"theinput": ("float32", ["quantity"])})
    proto.graph.initializer.add(name="constant", data_type=1, dims=[1], data_location=1)
    proto.graph.initializer[0].external_data.add(key="location", value="file.bin")
    (tmp_path / "file.bin").write_bytes(bytes(4))
    content = proto.SerializeToString()
    (tmp_path / "m.onnx").write_bytes(content)
    assert gw.OnnxGraph(tmp_path / "m.onnx").run({"theinput": [1, 2]})["y"].tolist() == [1, 2]
    (tmp_path / "m.onnx").write_bytes(content.replace(before, b"\xff" + before[1:]))
    with refused(FormatError, "m.onnx: ", words):
        gw.OnnxGraph(tmp_path / "m.onnx")


# ---------------------------------------------------------------------------------------------------- tensors


def tensor(**fields):
    """A model with the initializer k, of these fields, added to x."""
    proto = plain([node("Add", ["x", "k"])])
    made = proto.graph.initializer.add(name="k")
    for name, value in fields.items():
        getattr(made, name).extend(value) if isinstance(value, list) else setattr(made, name, value)
    return proto


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"data_type": 1, "dims": [3]}, "0 numbers in float_data, wanted 3 in float_data for the shape (3,)"),
        ({"data_type": 1, "dims": [3], "float_data": [1.0]}, "1 numbers in float_data, wanted 3"),
        ({"data_type": 1, "dims": [3], "raw_data": b"abc"}, "3 bytes, wanted 12 for float32 of shape (3,)"),
        ({"data_type": 1, "dims": [2**40, 2**40], "raw_data": b"abcd"}, "4 bytes, wanted"),
        ({"data_type": 1, "dims": [-1, -1], "float_data": [1.0]}, "the shape (-1, -1) is impossible"),
        ({"data_type": 1, "dims": [1] * 33, "float_data": [1.0]}, "is impossible"),
        ({"data_type": 1, "dims": [1], "raw_data": b"abcd", "float_data": [1.0]}, "float_data and raw_data, wanted one place"),
        ({"data_type": 1, "dims": [1], "int64_data": [1]}, "1 numbers in int64_data, wanted 1 in float_data"),
        ({"data_type": 8, "dims": [1], "string_data": [b"a"]}, "values of type STRING"),
        ({"data_type": 14, "dims": [1], "float_data": [1.0, 2.0]}, "values of type COMPLEX64"),
        ({"data_type": 17, "dims": [1], "raw_data": b"a"}, "values of type FLOAT8E4M3FN"),
        ({"data_type": 0, "dims": [1]}, "values of type UNDEFINED"),
        ({"data_type": 3, "dims": [1], "int32_data": [200]}, "numbers that are no int8"),
        ({"data_type": 9, "dims": [1], "int32_data": [2]}, "numbers that are no bool"),
        ({"data_type": 9, "dims": [2], "raw_data": b"\1\2"}, "bools other than 0 and 1"),
        ({"data_type": 10, "dims": [1], "int32_data": [-1]}, "numbers that are no uint16"),
    ],
)  # fmt: skip
def test_tensors_that_are_refused(fields, words, tmp_path):
    refuses(tmp_path, tensor(**fields), "initializer 'k': ", words)


def test_a_segment_is_refused(tmp_path):
    proto = tensor(data_type=1, dims=[1], float_data=[1.0])
    proto.graph.initializer[0].segment.begin = 0
    refuses(tmp_path, proto, "initializer 'k': a segment")


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
)
@pytest.mark.parametrize("raw", [False, True])
def test_every_type_in_either_place(dtype, raw, tmp_path):
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype) if dtype == "bool" else np.array([[0, 1, 100], [3, 7, 1]]).astype(dtype)
    if dtype[0] in "if":
        array[0, 0] = -2
    values = array if raw else array.view(np.uint16) if dtype == "float16" else array
    made = helper.make_tensor(
        "k", onnx_files.number(dtype), (2, 3), values.tobytes() if raw else values.ravel().tolist(), raw=raw
    )
    if dtype == "float16" and not raw:
        made = TensorProto(name="k", data_type=10, dims=(2, 3), int32_data=values.ravel().tolist())
    proto = onnx_files.model([node("Identity", ["k"])], {}, {"y": dtype})
    proto.graph.initializer.append(made)
    got = opened(tmp_path, proto).run({})["y"]
    assert got.dtype == dtype
    assert np.array_equal(got, array)


# ---------------------------------------------------------------------------------------------------- other files


def external(tmp_path, **entries):
    """A model whose k (3,) lies in another file."""
    proto = tensor(data_type=1, dims=[3], data_location=1)
    for key, value in entries.items():
        proto.graph.initializer[0].external_data.add(key=key, value=value)
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    onnx.save(proto, folder / "m.onnx")
    return folder


def test_numbers_in_a_file_beside_it(tmp_path):
    folder = external(tmp_path, location="data/k.bin", offset="4", length="12")
    (folder / "data").mkdir()
    (folder / "data" / "k.bin").write_bytes(np.arange(4, dtype="<f4").tobytes())
    assert np.array_equal(gw.OnnxGraph(folder / "m.onnx").run({"x": [[0, 0, 0]]})["y"], [[1, 2, 3]])
    external(tmp_path, location="data/k.bin", offset="4")
    assert np.array_equal(gw.OnnxGraph(folder / "m.onnx").run({"x": [[0, 0, 0]]})["y"], [[1, 2, 3]])
    os.symlink("data/k.bin", folder / "here.bin")  # a link that stays inside
    external(tmp_path, location="here.bin", offset="4")
    assert np.array_equal(gw.OnnxGraph(folder / "m.onnx").run({"x": [[0, 0, 0]]})["y"], [[1, 2, 3]])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "'' is no file in the model's own folder"),
        ({"location": "../k.bin"}, "'../k.bin' is no file in the model's own folder"),
        ({"location": "data/../../k.bin"}, "is no file in the model's own folder"),
        ({"location": "data/../in.bin"}, "is no file in the model's own folder"),
        ({"location": "/etc/hostname"}, "'/etc/hostname' is no file in the model's own folder"),
        ({"location": "C:\\k.bin"}, "is no file in the model's own folder"),
        ({"location": "C:k.bin"}, "is no file in the model's own folder"),
        ({"location": "..\\k.bin"}, "is no file in the model's own folder"),
        ({"location": "k\0.bin"}, "is no file in the model's own folder"),
        ({"location": "k" * 5000}, "is no file in the model's own folder"),
        ({"location": "out.bin"}, "is no file in the model's own folder"),  # a link out of it
        ({"location": "loop.bin"}, "is no file in the model's own folder"),  # a link to itself
        ({"location": "pipe"}, "is no file in the model's own folder"),
        ({"location": "."}, "is no file in the model's own folder"),
        ({"location": "none.bin"}, "is no file in the model's own folder"),
        ({"location": "in.bin", "offset": "8"}, "4 bytes, wanted 12 for its type and shape"),
        ({"location": "in.bin", "offset": "4", "length": "12"}, "bytes 4 to 16 of 'in.bin', which has 12"),
        ({"location": "in.bin", "offset": "-4"}, "offset '-4' is no number of bytes"),
        ({"location": "in.bin", "offset": "9" * 50}, "is no number of bytes"),
        ({"location": "in.bin", "length": "1e1"}, "length '1e1' is no number of bytes"),
        ({"location": "in.bin", "checksum": "0"}, "'checksum' is not known"),
    ],
)
def test_files_elsewhere_are_never_opened(entries, words, tmp_path):
    folder = external(tmp_path, **entries)
    (tmp_path / "k.bin").write_bytes(bytes(12))
    (folder / "in.bin").write_bytes(bytes(12))
    os.symlink(tmp_path / "k.bin", folder / "out.bin")
    os.symlink("loop.bin", folder / "loop.bin")
    os.mkfifo(folder / "pipe")
    with refused(FormatError, "m.onnx: initializer 'k': external data: ", words):
        gw.OnnxGraph(folder / "m.onnx")


def test_a_file_is_not_read_over_and_over(tmp_path):
    """Tensors may share their numbers, but a small file makes no large network."""
    folder = external(tmp_path, location="in.bin")
    (folder / "in.bin").write_bytes(np.arange(3, dtype="<f4").tobytes())
    proto = onnx.load(folder / "m.onnx", load_external_data=False)
    for count in (2, 3):
        proto.graph.initializer.append(proto.graph.initializer[0])
        proto.graph.initializer[-1].name = f"k{count}"
        onnx.save(proto, folder / "m.onnx")
        if count == 2:
            assert gw.OnnxGraph(folder / "m.onnx").run({"x": [[0, 0, 0]]})["y"].tolist() == [[0, 1, 2]]
    with refused(FormatError, "initializer 'k3': external data: 36 bytes of 'in.bin', which has 12"):
        gw.OnnxGraph(folder / "m.onnx")


# ---------------------------------------------------------------------------------------------------- memory


BIG = np.array([2**20, 2**20])
GROWING = {
    "Expand": ([node("Expand", ["x", "big"])], {"big": BIG}),
    "ConstantOfShape": ([node("ConstantOfShape", ["big"])], {"big": BIG}),
    "Tile": ([node("Tile", ["x", "big"])], {"big": BIG}),
    "Range": ([node("Range", ["zero", "end", "one"])], {"zero": np.float32(0), "end": np.float32(1e12), "one": np.float32(1)}),
    "Pad": ([node("Pad", ["x", "pads"])], {"pads": np.array([0, 0, 2**30, 2**30])}),
    "OneHot": ([node("OneHot", ["i", "k", "v"])], {"i": np.zeros(9, int), "k": np.int64(2**40), "v": np.float32([0, 1])}),
    "Add": ([node("Add", ["a", "b"])], {"a": np.ones((2**17, 1), np.float32), "b": np.ones(2**17, np.float32)}),
    "MatMul": ([node("MatMul", ["a", "b"])], {"a": np.ones((2**17, 1), np.float32), "b": np.ones((1, 2**17), np.float32)}),
    "Gemm": ([node("Gemm", ["a", "b"])], {"a": np.ones((2**17, 1), np.float32), "b": np.ones((1, 2**17), np.float32)}),
    "Gather": ([node("Gather", ["a", "i"])], {"a": np.ones((1, 2**17), np.float32), "i": np.zeros(2**17, int)}),
    "Where": (
        [node("Where", ["c", "a", "b"])],
        {"c": np.ones(1, bool), "a": np.ones((2**17, 1), np.float32), "b": np.ones(2**17, np.float32)},
    ),
    "Concat": (
        [node("Concat", [f"c{k - 1}" if k else "x"] * 2, [f"c{k}"], axis=0) for k in range(40)] + [node("Relu", ["c39"])],
        {},
    ),
    "Conv": (
        [node("Conv", ["a", "b"], pads=[2**31, 2**31])],
        {"a": np.ones((1, 1, 9), np.float32), "b": np.ones((1, 1, 2), np.float32)},
    ),
    "MaxPool": ([node("MaxPool", ["a"], kernel_shape=[2**16], pads=[2**16, 2**16])], {"a": np.ones((1, 1, 9), np.float32)}),
    "LSTM": (
        [node("Expand", ["x3", "big"], ["t"]), node("LSTM", ["t", "W", "R"])],
        {"x3": np.ones((1, 1, 1), np.float32), "big": np.array([2**14, 2**12, 1]),
         "W": np.ones((1, 40, 1), np.float32), "R": np.ones((1, 40, 10), np.float32)},
    ),
    "Slice": (  # small parts, each of which keeps a large whole
        [n for k in range(40) for n in (node("Neg", ["x"], [f"n{k}"]), node("Slice", [f"n{k}", "a", "b"], [f"m{k}"]))]
        + [node("Sum", [f"m{k}" for k in range(40)])],
        {"a": np.array([0, 0]), "b": np.array([1, 1])},
    ),
    "Mul": ([node("Mul", ["x", "x"], [f"m{k}"]) for k in range(40)] + [node("Sum", [f"m{k}" for k in range(40)])], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", GROWING)
def test_memory_is_bounded(name, tmp_path):
    """A node of a few bytes that would make terabytes is refused, and says what it would have made."""
    nodes, constants = GROWING[name]
    x = np.zeros((2**17, 3) if name in ("Mul", "Slice") else (2, 3), np.float32)
    graph = opened(tmp_path, plain(nodes, constants), **({"limit": 2**25} if name in ("Mul", "Slice", "Concat") else {}))
    tracemalloc.start()
    try:
        with refused(FormatError, "m.onnx: node 'it' (", "bytes", "more than the limit of", "(limit=)"):
            graph.run({"x": x})
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()


def test_the_limit_can_be_set(tmp_path):
    proto = plain([node("Expand", ["x", "big"])], {"big": np.array([1000, 3])})
    assert opened(tmp_path, proto, limit=12000).run({"x": [[1, 2, 3]]})["y"].shape == (1000, 3)
    with refused(FormatError, "12000 bytes, more than the limit of 11999"):
        opened(tmp_path, proto, limit=11999).run({"x": [[1, 2, 3]]})
    for limit in (0, 1.5, "1"):
        with refused(OptionError, "limit: got"):
            opened(tmp_path, proto, limit=limit)


# ---------------------------------------------------------------------------------------------------- inputs and outputs


def test_what_a_graph_tells(tmp_path):
    inputs = {"x": ("float32", ["n", 3]), "k": ("int64", None), "q": ("bool", [None, 2])}
    nodes = [node("Add", ["x", "c"]), node("Identity", ["k"], ["i"]), node("Not", ["q"], ["j"])]
    proto = onnx_files.model(nodes, inputs, {"y": "float32", "i": "int64", "j": "bool"}, {"c": np.ones(3, np.float32)})
    graph = opened(tmp_path, proto)
    assert graph.inputs == {"x": ("float32", ("n", 3)), "k": ("int64", None), "q": ("bool", (None, 2))}
    assert [value.dtype for value in graph.outputs.values()] == ["float32", "int64", "bool"]
    assert repr(graph).endswith("m.onnx')  # x, k, q -> y, i, j")
    got = graph.run({"q": [[True, False]], "k": 7, "x": [[1, 2, 3]]})
    assert {name: array.tolist() for name, array in got.items()} == {"y": [[2, 3, 4]], "i": 7, "j": [[False, True]]}
    graph.inputs.clear()
    assert graph.inputs


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([], OptionError, "inputs: got list, wanted a dict"),
        ({}, OptionError, "inputs: 'x' is missing; known: 'x', 'k', 'q'"),
        ({"z": 1}, OptionError, "inputs: 'z' is unknown"),
        ({7: 1}, OptionError, "inputs: '7' is unknown"),
        ({"x": [[1, 2]]}, ShapeError, "inputs: 'x': got shape (1, 2), wanted (n, 3)"),
        ({"x": [1, 2, 3]}, ShapeError, "inputs: 'x': got shape (3,), wanted (n, 3)"),
        ({"x": [["a", "b", "c"]]}, DataError, "inputs: 'x': got <U1, wanted float32"),
        ({"x": [[1, 2, 3], [1]]}, DataError, "inputs: 'x': got rows of unequal lengths"),
        ({"x": [[True, False, True]]}, DataError, "inputs: 'x': got bool, wanted float32"),
        ({"x": np.ma.masked_array([[1.0, 2, 3]])}, DataError, "inputs: 'x': got a masked array of float64"),
        ({"k": [1.0]}, DataError, "inputs: 'k': got float64, wanted int8"),
        ({"k": [300]}, DataError, "inputs: 'k': got whole numbers that are no int8"),
        ({"q": [1]}, DataError, "inputs: 'q': got int64, wanted bool"),
        ({"k": [1, 2]}, ShapeError, "inputs: 'n' is 1 in 'x' and 2 in 'k', wanted one size"),
    ],
)
def test_what_may_not_be_given(given, error, words, tmp_path):
    inputs = {"x": ("float32", ["n", 3]), "k": ("int8", ["n"]), "q": ("bool", ["m"])}
    graph = opened(tmp_path, onnx_files.model([node("Relu", ["x"])], inputs, {"y": "float32"}))
    whole = {"x": [[1, 2, 3]], "k": [1], "q": [True]}
    assert graph.run(whole)
    with refused(error, words):
        graph.run({**whole, **given} if given and isinstance(given, dict) else given)


def test_options_that_are_refused(tmp_path):
    for words in ({"compat": "tensorrt"}, {"kernel": "gpu"}):
        with refused(OptionError, "is unknown; known: "):
            opened(tmp_path, plain(), **words)
    rng = np.random.default_rng(0)
    shapes = {"X": (4, 2, 2), "W": (1, 12, 2), "R": (1, 12, 3), "P": (1, 9)}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    with refused(OptionError, "kernel='compiled' is not possible: peepholes"):
        opened(tmp_path, onnx_files.recurrent("LSTM", arrays, ("W", "R", "P")), kernel="compiled")
    with refused(OptionError, "kernel='compiled' is not possible: peepholes"):
        opened(tmp_path, onnx_files.recurrent("LSTM", arrays), kernel="compiled").run(arrays)


ROW = np.ones((1, 1, 4), np.float32)


@pytest.mark.parametrize(
    ("made", "constants", "words"),
    [
        (node("Gather", ["x", "k"]), {"k": np.array([0, 7])}, "index 7 is out of bounds for axis 0 with size 2"),
        (node("Gather", ["x", "k"]), {"k": np.array([0, -3])}, "index -3 is out of bounds"),
        (node("Gather", ["x", "k"]), {"k": np.float32([0])}, "indices of float32, wanted whole numbers"),
        (node("Reshape", ["x", "k"]), {"k": np.array([5, -1])}, "shape: got (5, -1) for x of shape (2, 3)"),
        (node("Reshape", ["x", "k"]), {"k": np.array([-1, -1])}, "shape: got [-1, -1]"),
        (node("Reshape", ["x", "k"]), {"k": np.array([2, 3, 0])}, "shape: got [2, 3, 0] for x of shape (2, 3)"),
        (node("Transpose", ["x"], perm=[0, 0]), {}, "perm: got (0, 0) for 2 axes"),
        (node("Squeeze", ["x", "k"]), {"k": np.array([0])}, "are not all of size 1"),
        (node("Unsqueeze", ["x", "k"]), {"k": np.array([0, 0])}, "the axes (0, 0) name one twice"),
        (node("Concat", ["x", "x"], axis=2), {}, "axis 2 of an array of 2 axes"),
        (node("Concat", ["x", "k"], axis=0), {"k": np.ones((1, 2), np.float32)}, "dimensions"),
        (node("Add", ["x", "k"]), {"k": np.ones(3)}, "inputs of types float32 and float64, wanted one"),
        (node("Add", ["x", "k"]), {"k": np.ones(2, np.float32)}, "shape mismatch"),
        (node("And", ["x", "x"]), {}, "got float32 values, which it does not take"),
        (node("Softmax", ["k"]), {"k": np.arange(3)}, "got int64 values, wanted floats"),
        (node("MatMul", ["x", "k"]), {"k": np.ones((2, 2), np.float32)}, "a product of shapes (2, 3) and (2, 2)"),
        (node("Gemm", ["x", "k", "k"]), {"k": np.ones((3, 4), np.float32)}, "shape mismatch"),
        (node("Gemm", ["x", "x", "k"], transB=1), {"k": np.ones((9, 1, 1), np.float32)}, "C has shape (9, 1, 1)"),
        (node("Slice", ["x", "k", "k", "k", "z"]), {"k": np.array([0]), "z": np.array([0])}, "none of them 0"),
        (node("Split", ["x", "k"], ["y", "z"]), {"k": np.array([1, 2])}, "split: got (1, 2) for 2 outputs of an axis of 2"),
        (node("Div", ["k", "z"], ["d"]), {"k": np.array([1]), "z": np.array([0])}, "a whole number is divided by zero"),
        (node("Range", ["k", "k", "z"], ["d"]), {"k": np.array(1), "z": np.array(0)}, "a range from 1 to 1 by 0"),
        (node("Dropout", ["x", "k", "t"]), {"k": np.float32(0.5), "t": np.array(True)}, "only inference is supported"),
        (node("MaxPool", ["x"], kernel_shape=[2]), {}, "kernel_shape: got (2,) for x of shape (2, 3)"),
        (node("ReverseSequence", ["x", "k"], time_axis=1, batch_axis=0), {"k": np.array([4, 1])}, "wanted 2 lengths from 0"),
        (node("OneHot", ["k", "k", "x"]), {"k": np.array([1])}, "values of shape (2, 3), wanted (2,)"),
        (node("GatherND", ["x", "k"]), {"k": np.array([[0, 0, 0]])}, "indices of shape (1, 3) for an array of shape (2, 3)"),
        (node("CumSum", ["x", "k"]), {"k": np.array([0, 1])}, "axis: got shape (2,), wanted one number"),
        (node("Neg", ["k"]), {"k": np.array(True)}, "got bool values, wanted numbers"),
        (node("Max", ["k", "k"]), {"k": np.array(True)}, "got bool values, wanted numbers"),
        (node("Pow", ["x", "k"]), {"k": np.array(True)}, "got float32 and bool values, wanted numbers"),
        (node("Mod", ["k", "z"]), {"k": np.array([1]), "z": np.array([0])}, "a whole number is divided by zero"),
        (node("PRelu", ["x", "k"]), {"k": np.ones((2, 2, 3), np.float32)}, "a slope of shape (2, 2, 3) for x of shape (2, 3)"),
        (node("Where", ["x", "x", "x"]), {}, "a condition of float32, wanted bools"),
        (node("Gemm", ["x", "x"]), {}, "a product of shapes (2, 3) and (2, 3)"),
        (node("LayerNormalization", ["x", "k"]), {"k": np.ones((4, 2, 3), np.float32)}, "scale or bias of shape (4, 2, 3)"),
        (node("BatchNormalization", ["x", *"kkkk"]), {"k": np.ones(2, np.float32)}, "mean and variance of shape (3,)"),
        (node("BatchNormalization", ["x", *"kkkk"], training_mode=1), {"k": np.ones(3, np.float32)}, "only inference"),
        (node("GatherElements", ["x", "k"]), {"k": np.zeros((1, 4), int)}, "indices of shape (1, 4) for an array"),
        (node("ScatterElements", ["x", "k", "z"]), {"k": np.zeros((1, 2), int), "z": np.ones((1, 1), np.float32)}, "updates"),
        (node("GatherND", ["x", "k"], batch_dims=1), {"k": np.zeros((1, 1), int)}, "batch_dims=1"),
        (node("Pad", ["x", "k"]), {"k": np.array([1, 1])}, "pads: got (1, 1) for 2 axes"),
        (node("Pad", ["x", "k"], mode="wrap"), {"k": np.array([1, 1, 1])}, "pads: got (1, 1, 1) for 2 axes"),
        (node("Pad", ["x", "k"], mode="mirror"), {"k": np.array([1, 1, 1, 1])}, "mode: 'mirror' is not supported"),
        (node("ReverseSequence", ["x", "k"], time_axis=1), {"k": np.array([1, 1])}, "time_axis=1 and batch_axis=1"),
        (node("Unsqueeze", ["x", "k"]), {"k": np.arange(31)}, "it would make 33 axes, more than 32"),
        (node("Split", ["x"], ["y", "z", "w"]), {}, "an axis of 2 can't be split into 3 equal parts"),
        (node("ConstantOfShape", ["k"]), {"k": np.array([-1])}, "it would make an array of shape (-1,)"),
        (node("Expand", ["x", "k"]), {"k": np.array([-1])}, "shape: got (-1,)"),
        (node("Tile", ["x", "k"]), {"k": np.array([2])}, "repeats: got (2,) for x of shape (2, 3)"),
        (node("Reshape", ["x", "k"]), {"k": np.ones((1, 2), int)}, "shape: got int64 of shape (1, 2), wanted a vector"),
        (node("Conv", ["k", "w"], pads=[0]), {"k": ROW, "w": ROW}, "pads: got (0,), wanted 2 numbers of at least 0"),
        (node("Conv", ["k", "w"], strides=[0]), {"k": ROW, "w": ROW}, "strides: got (0,), wanted 1 numbers of at least 1"),
        (node("Conv", ["k", "w"], auto_pad="VALID", pads=[1, 1]), {"k": ROW, "w": ROW}, "'VALID' and pads are both given"),
        (node("Conv", ["k", "w"], dilations=[2]), {"k": ROW, "w": ROW}, "a window of (7,) over (4,) numbers"),
        (node("Conv", ["k", "w"], kernel_shape=[3]), {"k": ROW, "w": ROW}, "kernel_shape (3,) don't go together"),
        (node("Conv", ["k", "w"], group=2), {"k": ROW, "w": ROW}, "group 2 and kernel_shape None don't go together"),
        (node("MaxPool", ["k"], ["y", "i"], kernel_shape=[2]), {"k": ROW}, "the output Indices is not supported"),
        (node("GlobalMaxPool", ["x"]), {}, "x has shape (2, 3), wanted (batch, channels, …)"),
    ],
)  # fmt: skip
def test_where_a_run_fails_is_said(made, constants, words, tmp_path):
    last = [] if "y" in made.output else [node("Relu", ["x"])]
    graph = opened(tmp_path, plain([made, *last], constants))
    with refused(FormatError, f"m.onnx: node 'it' ({made.op_type}): ", words):
        graph.run({"x": np.ones((2, 3))})


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (node("Split", ["x"], ["y", "z"], num_outputs=3), "num_outputs=3 with 2 outputs"),
        (node("Split", ["x", "k"], ["y", "z"], num_outputs=2), "num_outputs=2 with 2 outputs and the input split"),
        (node("Split", ["x"], ["y", *"abcd"], num_outputs=5), "an axis of 2 can't be split into 5 equal parts"),
    ],
)
def test_how_splits_fail_since_opset_18(made, words, tmp_path):
    graph = opened(tmp_path, plain([made], {"k": np.array([1, 1])}, opset=18))
    with refused(FormatError, "m.onnx: node 'it' (Split): ", words):
        graph.run({"x": np.ones((2, 3))})


def test_batch_norms_of_single_numbers_are_refused(tmp_path):
    made = node("BatchNormalization", ["x", *"kkkk"], spatial=0)
    graph = opened(tmp_path, plain([made], {"k": np.ones(3, np.float32)}, opset=7))
    with refused(FormatError, "only inference is supported: training_mode=0, spatial=1"):
        graph.run({"x": np.ones((2, 3))})


def test_too_little_memory_is_said(tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    graph = opened(tmp_path, plain([node("Tile", ["x", "k"])], {"k": np.array([2, 2])}))
    monkeypatch.setattr(np, "tile", fail)
    with refused(FormatError, "node 'it' (Tile): there is not enough memory"):
        graph.run({"x": np.ones((2, 3))})


def test_onnx_is_asked_for_by_its_extra(tmp_path, monkeypatch):
    onnx.save(plain(), tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with refused(MissingExtraError, "reading ONNX files needs onnx: pip install 'gatewright[onnx]'"):
        gw.OnnxGraph(tmp_path / "m.onnx")


def test_a_file_of_more_than_protobuf_takes_is_not_read(tmp_path):
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(2**31)  # a hole, which takes no room
    with refused(FormatError, "m.onnx: 2147483648 bytes, and a file of one protobuf message has at most 2147483647"):
        gw.OnnxGraph(tmp_path / "m.onnx")


def test_a_default_can_be_replaced(tmp_path):
    """An initializer that is an input too; files of IR version 3 have all of theirs so."""
    rng = np.random.default_rng(0)
    shapes = {"X": (4, 2, 2), "W": (1, 12, 2), "R": (1, 12, 3)}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    plainly = opened(tmp_path, onnx_files.recurrent("LSTM", arrays))
    proto = onnx_files.recurrent("LSTM", arrays, opset=7)
    proto.ir_version = 3
    proto.graph.initializer.extend(numpy_helper.from_array(arrays[name], name) for name in "WR")
    graph = opened(tmp_path, proto)
    assert list(graph.inputs) == ["X"]
    X, W = arrays["X"], rng.standard_normal(shapes["W"]).astype(np.float32)
    for given in ({}, {"W": W}, {}, {"R": -arrays["R"], "W": W}):
        got, wanted = graph.run({"X": X, **given}), plainly.run({**arrays, **given})
        assert all(np.array_equal(got[name], wanted[name]) for name in got)
    assert not np.array_equal(graph.run({"X": X})["Y"], graph.run({"X": X, "W": W})["Y"])
    proto.graph.initializer[0].dims[1] = 24
    proto.graph.initializer[0].dims[2] = 1
    refuses(tmp_path, proto, "input 'W': its default is float32 of shape (1, 24, 1), which it can't be")


def test_outputs_are_the_callers_own(tmp_path):
    nodes = [
        node("Identity", ["x"], ["a"]),
        node("Identity", ["k"], ["b"]),
        node("Identity", ["b"], ["c"]),
        node("Transpose", ["x"], ["d"]),
    ]
    proto = plain(nodes, {"k": np.ones(3, np.float32)}, outputs=("a", "b", "c", "d", "x"))
    graph, x = opened(tmp_path, proto), np.arange(6, dtype=np.float32).reshape(2, 3)
    got = graph.run({"x": x})
    for array in got.values():
        array += 1
    assert np.array_equal(x, np.arange(6).reshape(2, 3))
    assert got["b"].tolist() == got["c"].tolist() == [2, 2, 2]
    assert np.array_equal(graph.run({"x": x})["b"], [1, 1, 1])
    assert np.array_equal(got["d"], got["a"].T)


def test_many_threads_share_one_graph(tmp_path):
    (tmp_path / "m.onnx").write_bytes(lstm(tmp_path))
    graph, rng = gw.OnnxGraph(tmp_path / "m.onnx"), np.random.default_rng(0)
    given = [rng.standard_normal((3, 5 + k % 3, 2)).astype(np.float32) for k in range(12)]
    wanted, got = [graph.run({"x": x})["y"] for x in given], [None] * len(given)

    def work(start):
        for _ in range(20):
            for k in range(start, len(given), 4):
                got[k] = graph.run({"x": given[k]})["y"]
                assert np.array_equal(got[k], wanted[k])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))


# ---------------------------------------------------------------------------------------------------- halves, and small print


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_computed_in_float32(dtype, tmp_path):
    half = reader.dtype({"float16": 10, "bfloat16": 16}[dtype])
    rng = np.random.default_rng(0)
    shapes = {"X": (4, 2, 2), "W": (1, 12, 2), "R": (1, 12, 3), "B": (1, 24)}
    arrays = {name: rng.standard_normal(shape).astype(half) for name, shape in shapes.items()}
    for constants in ((), ("W", "R", "B")):
        got = opened(tmp_path, onnx_files.recurrent("LSTM", arrays, constants)).run(
            {n: a for n, a in arrays.items() if n not in constants}
        )
        wide = {name: array.astype(np.float32) for name, array in arrays.items()}
        wanted = opened(tmp_path, onnx_files.recurrent("LSTM", wide)).run(wide)
        for name, array in got.items():
            assert array.dtype == half
            assert np.array_equal(array.astype(np.float32), wanted[name].astype(half).astype(np.float32))
    proto = onnx_files.model(
        [node("Mul", ["x", "x"], ["a"]), node("ReduceSum", ["a"], ["y"], keepdims=0), node("Greater", ["a", "x"], ["z"])],
        {"x": (half, [300])}, {"y": half, "z": "bool"},
    )  # fmt: skip
    got = opened(tmp_path, proto).run({"x": np.ones(300)})
    assert got["y"].dtype == half
    assert float(got["y"]) == 300.0
    assert not got["z"].any()


def test_whole_numbers_are_as_in_c(tmp_path):
    a, b = np.array([7, -7, 7, -7, 6], np.int32), np.array([2, 2, -2, -2, 3], np.int32)
    nodes = [node("Div", ["a", "b"], ["q"]), node("Mod", ["a", "b"], ["r"]), node("Mod", ["a", "b"], ["f"], fmod=1)]
    nodes += [node("Cast", ["x"], ["i"], to=TensorProto.INT32), node("Pow", ["a", "b"], ["p"])]
    inputs = {"a": ("int32", [5]), "b": ("int32", [5]), "x": ("float32", [4])}
    got = opened(tmp_path, onnx_files.model(nodes, inputs, dict.fromkeys("qrfip", "int32"))).run(
        {"a": a, "b": b, "x": [2.9, -2.9, 0.5, -0.5]}
    )
    assert got["q"].tolist() == [3, -3, -3, 3, 2]
    assert got["r"].tolist() == [1, 1, -1, -1, 0]
    assert got["f"].tolist() == [1, -1, 1, -1, 0]
    assert got["i"].tolist() == [2, -2, 0, 0]
    assert got["p"].tolist() == [49, 49, 0, 0, 216]


def test_the_mask_of_a_dropout_that_does_nothing(tmp_path):
    """Everything is kept; before opset 10 the mask has the type of x."""
    for opset, dtype in ((7, "float32"), (9, "float32"), (10, "bool"), (13, "bool")):
        proto = onnx_files.model([node("Dropout", ["x"], ["y", "m"])], X, {"y": "float32", "m": dtype}, opset=opset)
        got = opened(tmp_path, proto).run({"x": [[1, -2, 3]]})
        assert got["y"].tolist() == [[1, -2, 3]]
        assert got["m"].dtype == dtype
        assert got["m"].all()


def test_slices_stop_where_the_array_does(tmp_path):
    """As the specification clamps them, the start of a backward step too, where Python's slices give nothing."""
    x = np.arange(5, dtype=np.float32)
    for start in (-99, -6, -5, -2, 0, 3, 4, 5, 99):
        for end in (-99, -6, -5, -2, 0, 3, 4, 5, 99):
            for step in (-99, -2, -1, 1, 2, 99):
                first = start + 5 if start < 0 else start
                last = end + 5 if end < 0 else end
                first = min(max(first, 0), 5 if step > 0 else 4)
                last = min(max(last, 0), 5) if step > 0 else min(max(last, -1), 4)
                constants = {name: np.array([value]) for name, value in (("s", start), ("e", end), ("a", 0), ("k", step))}
                proto = plain([node("Slice", ["x", "s", "e", "a", "k"])], constants, {"x": ("float32", [5])})
                got = opened(tmp_path, proto).run({"x": x})["y"]
                assert got.tolist() == [x[k] for k in range(first, last, step)], (start, end, step)
