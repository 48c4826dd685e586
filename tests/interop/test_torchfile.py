"""Files that torch.save wrote: what is in them, and that nothing else is read, run or allocated."""

import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import goldens
import numpy as np
import pytest
from refusals import refused
from safetensors.numpy import save

import gatewright as gw
from gatewright.errors import FormatError, MissingFileError
from gatewright.interop import tensors, torchfile

FILES = {case: arrays for case, (_, arrays) in goldens.load("torch_files").items()}
SINGLE = ["lstm_float32", "lstm_float64", "lstm_float16", "gru_bfloat16", "rnn_two_ways", "parameters", "views"]
START = b"\x80\x02"  # of a pickle of protocol 2


def net(case):
    """The tensors of a case by name."""
    return {name.removeprefix("net."): a for name, a in FILES[case].items() if name.startswith("net.")}


def members(case):
    """{name: content} of the archive of a case."""
    with zipfile.ZipFile(io.BytesIO(FILES[case]["file"].tobytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files, **options):
    """An archive of {name: content}, or of (name, content) pairs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.pt"


def read(path, content, **options):
    path.write_bytes(content)
    return gw.from_pytorch(path, **options)


# ------------------------------------------------------------------------------------------------ what torch.save writes


@pytest.mark.parametrize("case", SINGLE)
def test_the_numbers_are_those_of_the_tensors(path, case):
    path.write_bytes(FILES[case]["file"].tobytes())
    arrays, _ = tensors.read(torchfile.read(path), "")
    assert arrays.keys() == net(case).keys()
    for name, wanted in net(case).items():
        np.testing.assert_array_equal(arrays[name], wanted, err_msg=name, strict=True)


@pytest.mark.parametrize("case", SINGLE)
def test_the_model_is_that_of_the_arrays(path, case):
    own = np.float64 if case == "lstm_float64" else np.float32
    given = {name: array.astype(own) for name, array in net(case).items()}
    for name in (path, str(path)):
        model = read(path, FILES[case]["file"].tobytes())
        assert model.dtype == own
        assert model.layer == gw.from_pytorch(given).layer
        assert model.parameters.flat.tobytes() == gw.from_pytorch(given).parameters.flat.tobytes()
        assert gw.from_pytorch(name, dtype="float64").dtype == np.float64


def test_a_checkpoint_is_read_by_prefix(path):
    """Beside the part that is picked there may stand what no tensor is; in it there may not."""
    content = FILES["checkpoint"]["file"].tobytes()
    for prefix in ("model_state_dict", "model_state_dict."):
        model = read(path, content, prefix=prefix, layers=["0", "1"])
        assert model.layer == gw.Sequential(gw.LayerNorm(2), gw.Dense(2, 1))
        np.testing.assert_array_equal(model.parameters["1.W"], net("checkpoint")["model_state_dict.1.weight"].T)
    assert read(path, content, prefix="model_state_dict.1").layer == gw.Dense(2, 1)
    with refused(FormatError, str(path), "'epoch': got a number", "prefix= picks one of 'model_state_dict', 'optimizer_state"):
        gw.from_pytorch(path)
    with refused(FormatError, str(path), "'state': got object values, wanted floats"):
        gw.from_pytorch(path, prefix="optimizer_state_dict")


def test_a_checkpoint_in_memory_is_read_by_prefix_too():
    given = {"epoch": 3, "net": {"a": {"weight": np.ones((2, 3)), "bias": np.ones(2)}}}
    assert gw.from_pytorch(given, prefix="net.a").layer == gw.Dense(3, 2)
    assert gw.from_pytorch(given, prefix="net", layers=["a"]).layer == gw.Sequential(gw.Dense(3, 2))
    with refused(FormatError, "'epoch': got int64 values, wanted floats; prefix= picks one of 'net'"):
        gw.from_pytorch(given)
    with refused(FormatError, "'net.a' is there twice"):
        gw.from_pytorch({"net.a": np.ones(2), "net": {"a": np.ones(2)}})


@pytest.mark.parametrize("name", ["net.pth", "net.BIN", "net.ckpt", "net.tar", "net"])
def test_it_is_known_by_its_name_or_beginning(tmp_path, name):
    model = read(tmp_path / name, FILES["lstm_float32"]["file"].tobytes())
    assert model.layer == gw.LSTM(2, 3)


@pytest.mark.parametrize("case", ["lstm_float32", "lstm_float16", "gru_bfloat16", "lstm_float64"])
def test_the_other_byte_order(path, case):
    files = members(case)
    item = {"gru_bfloat16": 2, "lstm_float16": 2, "lstm_float64": 8}.get(case, 4)
    for name in files:
        if "/data/" in name and not name.endswith("id"):
            files[name] = np.frombuffer(files[name], f"u{item}").byteswap().tobytes()
    files["archive/byteorder"] = b"big"
    got = read(path, packed(files)).parameters.flat
    assert got.tobytes() == read(path, FILES[case]["file"].tobytes()).parameters.flat.tobytes()
    assert np.abs(got).max() > 0.1


def test_files_of_pytorch_1_say_nothing_of_their_byte_order(path):
    files = {name: content for name, content in members("lstm_float32").items() if not name.endswith("byteorder")}
    assert read(path, packed(files)).layer == gw.LSTM(2, 3)


# ------------------------------------------------------------------------------------------------ files that are refused


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("module", ["holds a Python object, 'torch.nn.modules.rnn.LSTM'", "torch.save(net.state_dict(), path)"]),
        ("tensor", ["got a tensor, wanted what torch.save(net.state_dict(), path) writes"]),
        ("list", ["got a list"]),
        ("numbered", ["got a dict without names"]),
        ("integers", ["'steps': got int64 values, wanted floats"]),
        ("expanded", ["'weight': got a tensor that is empty or has more numbers than the 1 of its storage"]),
        ("sparse", ["'torch._utils._rebuild_sparse_tensor'"]),
        ("complex", ["'torch.ComplexFloatStorage'"]),
        ("conjugate", ["torch._utils._rebuild_tensor_v2 with arguments that"]),
        ("float8", ["'torch._utils._rebuild_tensor_v3'"]),
        ("quantized", ["'torch.qint8'"]),
    ],
)
def test_recorded_files_that_are_refused(path, case, words):
    with refused(FormatError, str(path), *words):
        read(path, FILES[case]["file"].tobytes())


def changed(**files):
    """The archive of lstm_float32 with other contents; None takes a member out."""
    found = members("lstm_float32") | {f"archive/{name.replace('_', '/')}": content for name, content in files.items()}
    return {name: content for name, content in found.items() if content is not None}


PICKLE = {"a/data.pkl": START + b"}."}
WHOLE = FILES["lstm_float32"]["file"].tobytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["not a whole file of torch.save"]),
        (save({"weight": np.ones(2)}), ["not a whole file of torch.save"]),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", ["before 1.6", "torch.save(torch.load(path), path)"]),
        (packed({"data.pkl": START + b"}."}), ["an archive of another kind"]),
        (packed({"a/b/data.pkl": START + b"}."}), ["an archive of another kind"]),
        (packed(PICKLE | {"b/data.pkl": b""}), ["an archive of another kind"]),
        (packed(PICKLE | {"a/constants.pkl": b""}), ["an archive of another kind (torch.jit.save"]),
        (packed({"a/data.pkl": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED), ["'a/data.pkl' is compressed"]),
        (packed({"a/data.pkl": bytes((4 << 20) + 1)}), ["data.pkl: got 4194305 bytes, a state dict's are at most 4194304"]),
        (packed(changed(byteorder=b"middle")), ["byteorder: got \"b'middle'\", wanted little or big"]),
        (packed(changed(data_0=None)), ["'weight_ih_l0': 'data/0' is missing"]),
        (packed(changed(data_0=bytes(95))), ["'weight_ih_l0': 'data/0': got 95 bytes, wanted 24 numbers of 4 bytes"]),
        (packed(changed(data_0=bytes(100))), ["'weight_ih_l0': 'data/0': got 100 bytes"]),
        (WHOLE.replace(members("lstm_float32")["archive/data/0"], bytes(96)), ["'data/0': not whole", "CRC"]),
        (packed(changed()).replace(b"archive/version", b"archive/data/0\0"), ["two of its members have one name"]),
    ],
)
def test_archives_that_are_refused(path, content, words):
    with refused(FormatError, str(path), *words):
        read(path, content)


def test_members_that_lie_in_each_other_are_refused(path):
    """One place in the file that a thousand names stand for."""
    content = packed({"a/data.pkl": START + b"}.", "a/data/0": bytes(1000), "a/data/1": b""})
    place = content.rindex(b"PK\x01\x02")  # what the directory says of a/data/1: CRC, size, size … place
    other = content.rindex(b"PK\x01\x02", 0, place)
    twice = bytearray(content)
    twice[place + 16 : place + 28] = content[other + 16 : other + 28]
    twice[place + 42 : place + 46] = content[other + 42 : other + 46]
    with refused(FormatError, str(path), "two of its members have one name or one place"):
        read(path, bytes(twice))


def test_a_file_that_is_not_there(path):
    with refused(MissingFileError, str(path), "there is no such file"):
        gw.from_pytorch(path)


def test_a_file_that_is_cut(path):
    for size in range(0, len(WHOLE), 97):
        with refused(FormatError, str(path)):
            read(path, WHOLE[:size])


# ------------------------------------------------------------------------------------------------ pickles that are refused


def text(words):
    return b"X" + struct.pack("<I", len(words)) + words.encode()


def integer(n):
    return b"\x8a\x08" + struct.pack("<q", n)


def integers(numbers):
    return b"(" + b"".join(map(integer, numbers)) + b"t"


def tensor(offset=0, shape=(2, 2), strides=(2, 1), kind="Float", key="0", size=4):
    """The instructions for a tensor."""
    storage = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu") + integer(size) + b"tQ"
    rest = b"\x89ccollections\nOrderedDict\n)R"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return call + storage + integer(offset) + integers(shape) + integers(strides) + rest + b"tR"


def a_file(program, **storages):
    """The archive of a pickle, with four float32 as its storage 0."""
    return packed({"a/data.pkl": program, "a/data/0": np.arange(4, dtype="<f4").tobytes()} | storages)


def item(value):
    """A pickle of {"weight": value}, and of a bias."""
    bias = text("bias") + tensor(1, (2,), (2,))
    return START + b"}" + text("weight") + value + b"s" + bias + b"s."


def test_the_pickles_made_here_are_right(path):
    model = read(path, a_file(item(tensor())))
    np.testing.assert_array_equal(model.parameters["0.W"], [[0, 2], [1, 3]])
    np.testing.assert_array_equal(model.parameters["0.b"], [1, 3])


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (b"", ["ends in the middle of an instruction"]),
        (START, ["ends in the middle of an instruction"]),
        (b"\x80\x04.", ["wanted protocol 2"]),
        (b"}.", ["wanted protocol 2"]),
        (START + b"cos\nsystem\n(" + text("true") + b"tR.", ["holds a Python object, 'os.system'"]),
        (START + b"cbuiltins\neval\n.", ["'builtins.eval'"]),
        (START + b"ccollections.OrderedDict\n\n.", ["'collections.OrderedDict.'"]),
        (START + b"ccollections", ["holds a Python object"]),
        (START + b"c" + b"x" * 5000 + b"\nx\n.", ["holds a Python object", "…"]),
        (START + b"ctorch\nFloatStorage\n)R.", ["torch.FloatStorage with arguments that make no sense"]),
        (START + b"NNR.", ["nothing with arguments that make no sense"]),
        (START + b")\x81.", ["instruction NEWOBJ at byte 3"]),
        (START + text("os") + text("system") + b"\x93.", ["STACK_GLOBAL"]),
        (START + b"I1\n.", ["instruction b'I' at byte 2"]),
        (START + b"\x80\x02}.", ["instruction b'\\x80'"]),
        (START + b".", ["lacks its value"]),
        (START + b"(N0", ["instruction b'0'"]),
        (START + b"N(\x85.", ["lacks its value"]),
        (START + b"}}.", ["there is more after its end"]),
        (START + b"(}.", ["there is more after its end"]),
        (START + b"}.}", ["there is more after its end"]),
        (START + b"t.", ["lacks its mark"]),
        (START + b"}q\x00h\x01.", ["nothing is kept under 1"]),
        (START + b"r" + b"\xff" * 4 + b".", ["lacks its value"]),  # the 9 bytes that make pickle take gigabytes
        (START + b"}r" + b"\xff" * 4 + b"j\xff\xff\xff\x7f.", ["nothing is kept under 2147483647"]),
        (START + b"\x8a\xff" + b"\xff" * 255 + b".", ["an integer of 255 bytes"]),
        (START + b"X" + b"\xff" * 4 + b"abc.", ["ends in the middle"]),
        (START + b"X\x01\x00\x00\x00\xff.", ["not UTF-8"]),
        (START + b"})Ns.", ["a tuple as a key of a dict"]),
        (START + b"}NNs.", ["nothing as a key of a dict"]),
        (START + b"}(" + text("a") + b"NNu.", ["a key without its value"]),
        (START + b"}(" + text("a") + b"N" + text("a") + b"Nu.", ["the key 'a' is there twice"]),
        (START + b"N" + text("a") + b"Ns.", ["would change nothing"]),
        (START + b"}Na.", ["would change a dict"]),
        (START + b"}" + b"}" + text("__class__") + b"Nsb.", ["attributes of a dict other than _metadata"]),
        (START + b"}Nb.", ["attributes of a dict other than _metadata"]),
        (START + b"NQ.", ["the id of a storage makes no sense"]),
        (START + b"(" * 10_001, ["more than 10000 values at once"]),
        (START + b"}" * 10_001, ["more than 10000 values at once"]),
        (item(tensor(size=-1)), ["the id of a storage makes no sense"]),
        (item(tensor(key="../../data.pkl")), ["'weight': 'data/../../data.pkl' is missing"]),
        (item(tensor(key="1" * 9999)), ["is missing in the archive"]),
        (item(tensor(size=2**62)), ["'data/0': got 16 bytes, wanted 4611686018427387904 numbers"]),
        (item(tensor(kind="Double")), ["got 16 bytes, wanted 4 numbers of 8 bytes"]),
        (item(tensor(kind="BFloat16")), ["got 16 bytes, wanted 4 numbers of 2 bytes"]),
        (item(tensor(kind="Byte", size=16)), ["'weight': got uint8 values"]),
        (item(tensor(kind="Bool", size=16)), ["'weight': got bool values"]),
        (item(tensor(offset=1)), ["has more numbers than the 4 of its storage"]),
        (item(tensor(offset=2**62)), ["has more numbers than the 4"]),
        (item(tensor(offset=-1)), ["arguments that make no sense"]),
        (item(tensor(strides=(3, 1))), ["has more numbers than the 4"]),
        (item(tensor(strides=(2**62, 1))), ["has more numbers than the 4"]),
        (item(tensor(strides=(-1, 1))), ["arguments that make no sense"]),
        (item(tensor(shape=(2, 2**62), strides=(0, 0))), ["has more numbers than the 4"]),
        (item(tensor(shape=(0, 2**62))), ["a tensor that is empty"]),
        (item(tensor(shape=(-2, -2))), ["arguments that make no sense"]),
        (item(tensor(shape=(2, 2, 1))), ["arguments that make no sense"]),
        (item(tensor(shape=(1,) * 9, strides=(1,) * 9)), ["arguments that make no sense"]),
        (item(b"G" + bytes(8)), ["'weight': got a number, wanted a tensor"]),
        (item(integers([1, 2])), ["'weight': got a tuple, wanted a tensor"]),
        (item(text("x")), ["'weight': got a text, wanted a tensor"]),
        (item(b"]" + integer(1) + b"a"), ["'weight': got a list, wanted a tensor"]),
        (item(b"(" + text("storage") + b"tQ"), ["the id of a storage makes no sense"]),
        (START + b"}q\x00" + text("a") + b"h\x00s.", ["dicts in dicts without end"]),
    ],
)
def test_pickles_that_are_refused(path, program, words):
    with refused(FormatError, str(path), *words):
        read(path, a_file(program))


def test_the_stride_of_an_axis_of_one_means_nothing(path):
    weight, bias = tensor(0, (1, 3), (2**62, 1)), tensor(3, (1,), (2**62,))
    model = read(path, a_file(START + b"}(" + text("weight") + weight + text("bias") + bias + b"u."))
    np.testing.assert_array_equal(model.parameters["0.W"], [[0], [1], [2]])
    np.testing.assert_array_equal(model.parameters["0.b"], [3])


def test_dicts_that_multiply_are_refused(path):
    """Each of 60 dicts holds the one before ten times: a file of 5 kB with 10^60 names."""
    levels = b"}q\x00"
    for level in range(60):
        levels += b"}(" + b"".join(text(str(k)) + b"h" + bytes([level]) for k in range(10)) + b"uq" + bytes([level + 1])
    with refused(FormatError, str(path), "dicts in dicts without end"):
        read(path, a_file(START + b"}" + text("all") + b"(" + levels + b"ts" + text("last") + b"h\x3cs."))


def test_tensors_that_multiply_are_refused(path):
    count = 5000
    numbers = {"a/data/0": np.ones(count, "<f4").tobytes()}
    program = START + b"}(" + text("0") + tensor(0, (count,), (1,), size=count) + b"q\x00"
    program += b"".join(text(str(k)) + b"h\x00" for k in range(1, 40))
    with refused(FormatError, str(path), "share their numbers more than 16 times over"):
        read(path, packed({"a/data.pkl": program + b"u."} | numbers))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux'")
def test_mutants_are_read_or_refused_in_little_memory(tmp_path):
    """In a process of its own; a MemoryError there would end it."""
    golden, program = goldens.GOLDEN / "torch_files.safetensors", Path(__file__).with_name("fuzz_torchfile.py")
    run = [sys.executable, program, golden, tmp_path / "mutant.pt", "2500", "1"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused = map(int, done.stdout.split())
    assert read > 100
    assert refused > 1500
