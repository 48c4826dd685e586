"""The library of kernels compiled ahead of time: the same bits as just in time, no llvmlite, and never another's code."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import compiled
import numpy as np
import pytest
from kernel_cases import KINDS, forget, recurrent
from layer_checks import draw_params

import gatewright as gw
from gatewright.kernels import __main__ as command
from gatewright.kernels import backend, build, catalogue, library, processor, target

WIDTHS = list(build.PROCESSORS[target.machine()])
X86 = pytest.mark.skipif(target.machine() != "x86_64", reason="about x86-64 processors")
NETWORKS = {
    **{f"{kind} {F}-{H}": recurrent(kind, F, H) for kind in KINDS for F, H in ((1, 3), (3, 50), (20, 32))},
    **{name: gw.Sequential(gw.LSTM(3, 20), gw.LayerNorm(20), gw.Dense(20, 37, name)) for name in ("softmax", "relu", "linear")},
    "tanh": gw.Sequential(gw.GRU(3, 20, bidirectional=True), gw.Dense(40, 5, "tanh"), gw.Dense(5, 1, "sigmoid")),
}


def outputs(names, training):
    """The outputs of networks, and their gradients for `training`, and how they are said to be computed."""
    found, reasons = {}, set()
    for name in names:
        network = NETWORKS[name]
        model = gw.Model(network, kernel="compiled")
        model.parameters.assign(dict(draw_params(model.network, np.random.default_rng(1), 0.4, np.float32).items()))
        x = np.random.default_rng(2).standard_normal((7, 11, network.features_in)).astype(np.float32)
        found[name] = model.predict(x)
        if training:
            found[f"{name}: gradients"] = model.gradients(x, np.zeros_like(found[name]))[1].flat
        reasons |= {row.reason for row in model.kernels()}
    return found, reasons


@pytest.fixture
def at(monkeypatch):
    """What makes the kernels look for their library in a folder."""

    def look(folder):
        monkeypatch.setattr(library, "FOLDER", folder)
        forget()

    yield look
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("lanes", [lanes for lanes in WIDTHS if lanes <= target.host().lanes])
@pytest.mark.parametrize(("names", "training"), [(tuple(NETWORKS), False), (("GRU before 3-50", "linear"), True)])
def test_the_same_bits_as_just_in_time(built, at, lanes, names, training, monkeypatch):
    monkeypatch.setattr(target, "host", lambda: target.TARGETS[lanes])
    just_in_time, said = outputs(names, training)
    assert {reason.split(",")[0] for reason in said} == {"inference is compiled"}
    at(built)
    monkeypatch.setattr(target, "host", lambda: target.TARGETS[lanes])
    monkeypatch.setattr(backend, "in_memory", None)  # not called
    ahead, said = outputs(names, training)
    assert {reason.split(",")[0] for reason in said} == {"inference is compiled ahead of time"}
    for name, y in ahead.items():
        assert y.any()
        assert np.array_equal(y.view(np.uint32), just_in_time[name].view(np.uint32)), name


def test_without_llvmlite_and_numba(built):
    """A new process in which nothing of them can be imported: the kernels run all the same."""
    program = f"""
import sys
sys.modules["llvmlite"] = sys.modules["numba"] = None
import pathlib
import numpy as np
from gatewright.kernels import library
library.FOLDER = pathlib.Path({str(built)!r})
import gatewright as gw
model = gw.Model(gw.Sequential(gw.LSTM(3, 20), gw.LayerNorm(20), gw.Dense(20, 5, "softmax")), seed=0, kernel="compiled")
x = np.linspace(-1, 1, 66, dtype=np.float32).reshape(2, 11, 3)
y, step = model.predict(x), model.stream().step(x[0, 0])
print(y.tobytes().hex(), step.tobytes().hex(), model.kernels()[0].reason)
model.fit(x, y, verbose=False)
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    whole, step, reason = run.stdout.strip().split(" ", 2)
    assert reason == "inference is compiled ahead of time, training too"
    network = gw.Sequential(gw.LSTM(3, 20), gw.LayerNorm(20), gw.Dense(20, 5, "softmax"))
    model, x = gw.Model(network, seed=0), np.linspace(-1, 1, 66, dtype=np.float32).reshape(2, 11, 3)
    assert bytes.fromhex(whole) == model.predict(x).tobytes()
    assert bytes.fromhex(step) == model.predict(x)[0, 0].tobytes()


def test_it_holds_the_whole_catalogue(built, at):
    at(built)
    found = library.find().library
    assert found.kernels == list(catalogue.KERNELS)
    assert found.widths == WIDTHS
    places = {found.function(name, lanes) for name in found.kernels for lanes in found.widths}
    assert len(places) == len(found.kernels) * len(found.widths)
    assert [file.name for file in built.iterdir()] == [library.file_name()], "something was left behind"


def test_a_part_of_the_references_tests(built):
    """`make test-kernels` runs them all (tests/compiled.py)."""
    tests = Path(__file__).parents[1]
    files = [str(tests / name) for name in ("test_whole.py", "test_streaming.py", "layers/test_simple.py")]
    done = compiled.run(tests.parent, f"--compiled={built}", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    passed, deselected = (int(re.search(rf"(\d+) {word}", done.stdout).group(1)) for word in ("passed", "deselected"))
    assert passed > 60
    assert deselected < passed / 2


# ------------------------------------------------------------------------------------------------- what must not be run


def refused(reason):
    """That the library isn't used, that this is said, and that everything works."""
    found = library.find()
    assert found.library is None
    assert reason in found.remark
    assert "python -m gatewright.kernels build" in found.remark
    model = gw.Model(gw.LSTM(1, 2), seed=0)
    ((path, said),) = ((row.path, row.reason) for row in model.kernels())
    assert path == "compiled"
    assert said == f"inference is compiled{found.remark}, training too"
    assert model.predict(np.ones((1, 3, 1), np.float32)).shape == (1, 3, 2)


def test_one_of_other_sources_is_not_run(built, at, monkeypatch):
    monkeypatch.setattr(library, "generator", lambda: "another")
    at(built)
    refused("was made from other sources")


def test_a_changed_source_is_another_generator(tmp_path, monkeypatch):
    before = library.generator()
    for file in Path(library.__file__).parent.glob("*.py"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(library, "__file__", str(tmp_path / "library.py"))
    assert library.generator() == before
    (tmp_path / "tile.py").write_bytes((tmp_path / "tile.py").read_bytes() + b"\n")
    changed = library.generator()
    assert changed != before
    (tmp_path / "new.py").touch()
    assert library.generator() not in (before, changed)


@pytest.mark.parametrize("harm", [
    lambda whole: b"", lambda whole: b"no library", lambda whole: whole[:5000], lambda whole: whole[:-1],
    lambda whole: whole[:70000] + bytes([whole[70000] ^ 1]) + whole[70001:],
], ids=["empty", "text", "short", "cut", "one bit"])  # fmt: skip
def test_a_damaged_one_is_not_run(built, at, tmp_path, harm):
    whole = (built / library.file_name()).read_bytes()
    (tmp_path / library.file_name()).write_bytes(harm(whole))
    at(tmp_path)
    refused("is damaged")


def test_what_is_no_library_is_not_run(at, tmp_path):
    (tmp_path / library.file_name()).write_bytes(library.sealed(b"no library"))
    at(tmp_path)
    refused("can't be read")


@X86
def test_a_processor_without_avx2_has_no_use_for_it(built, at, monkeypatch):
    monkeypatch.setattr(processor, "lanes", lambda ask: 0)
    at(built)
    refused("needs a processor with AVX2")


# ------------------------------------------------------------------------------------------------------- the processor


def answers(eax=7, features=True, saved=0xE6, without=()):
    """What a processor says: all of the features in V3 and V4, without some of them."""
    bits = {}
    for leaf, register, needed in (*processor.V3, *(processor.V4 if features else ())):
        for bit in needed:
            if (leaf, register, bit) not in without:
                bits[leaf, register] = bits.get((leaf, register), 0) | 1 << bit

    def ask(name, leaf):
        if name == processor.XGETBV:
            return processor.Registers(saved, 0, 0, 0)
        return processor.Registers(eax if leaf == 0 else 0, bits.get((leaf, "ebx"), 0), bits.get((leaf, "ecx"), 0), 0)

    return ask


@pytest.mark.parametrize(("ask", "lanes"), [
    (answers(), 16),
    (answers(features=False), 8),
    (answers(without=[(7, "ebx", 16)]), 8),  # AVX-512
    (answers(saved=0x06), 8),  # the system doesn't keep its registers
    (answers(saved=0x02), 0),
    (answers(without=[(1, "ecx", 12)]), 0),  # FMA
    (answers(without=[(7, "ebx", 5)]), 0),  # AVX2
    (answers(without=[(1, "ecx", 27)]), 0),  # nobody can say what is kept
    (answers(eax=6), 0),
])  # fmt: skip
def test_what_a_processor_says_is_understood(ask, lanes):
    assert processor.lanes(ask) == lanes


def test_this_processor_is_asked(built, at):
    """It says what LLVM found out about it on its own."""
    widest = target.host().lanes
    at(built)
    assert library.find().library.lanes == target.host().lanes == widest


# --------------------------------------------------------------------------------------------------------- the command


def run(arguments, capsys):
    """(exit status, what was printed, the complaint)."""
    try:
        code = command.main(arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr()
    return code, said.out, said.err


def test_what_is_used_is_told(built, at, tmp_path, capsys, monkeypatch):
    at(tmp_path)
    code, out, _ = run([], capsys)
    assert code == 0
    assert f"{tmp_path / library.file_name()}: there is none; `python -m gatewright.kernels build` makes it" in out
    assert f"compiled at first use, {target.host().lanes} lanes" in out
    at(built)
    code, out, _ = run(["show"], capsys)
    assert f"{built / library.file_name()}: {len(catalogue.KERNELS)} kernels for {' and '.join(map(str, WIDTHS))} lanes" in out
    assert f"compiled ahead of time, {target.host().lanes} lanes" in out
    monkeypatch.setattr(library, "generator", lambda: "another")
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    at(built)
    code, out, _ = run(["show"], capsys)
    assert "was made from other sources" in out
    assert "NumPy: llvmlite is not installed" in out


def test_an_object_for_aarch64(tmp_path, capsys, monkeypatch):
    """Of two kernels here; test_neon.py makes one of all of them."""
    monkeypatch.setattr(catalogue, "KERNELS", {name: catalogue.KERNELS[name] for name in ("lstm", "norm")})
    code, out, _ = run(["build", "--aarch64", "-o", str(tmp_path / "kernels.o")], capsys)
    assert (code, out) == (0, f"{tmp_path / 'kernels.o'}\n")
    content = (tmp_path / "kernels.o").read_bytes()
    assert content[:4] == b"\x7fELF"
    assert int.from_bytes(content[18:20], "little") == 183  # AArch64
    assert all(library.symbol(name, 4).encode() in content for name in catalogue.KERNELS)
    assert library.generator().encode() in content
    assert [file.name for file in tmp_path.iterdir()] == ["kernels.o"]


@pytest.mark.parametrize(("arguments", "complaint"), [
    (["bild"], "invalid choice: 'bild'"),
    (["build", "--aarch64"], "--aarch64: name the object file with -o FILE.o"),
    (["build", "-o", "no/such/folder"], "no/such/folder"),
    (["build", "--fast"], "--fast"),
])  # fmt: skip
def test_a_mistake_is_one_line(arguments, complaint, capsys):
    code, out, err = run(arguments, capsys)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_a_missing_linker_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run(["build", "-o", str(tmp_path)], capsys)
    assert code == 2
    assert "no linker found: tried cc, ld, ld.lld" in err
    assert err.count("\n") == 1


def test_a_linker_that_fails_is_quoted(tmp_path, capsys, monkeypatch):
    linker = tmp_path / "cc"
    linker.write_text("#!/bin/sh\necho the disk is on fire >&2\nexit 3\n")
    linker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(catalogue, "KERNELS", {"norm": catalogue.KERNELS["norm"]})
    code, _, err = run(["build", "-o", str(tmp_path)], capsys)
    assert code == 2
    assert "the disk is on fire" in err
    assert [file.name for file in tmp_path.iterdir()] == ["cc"]


def test_building_without_llvmlite_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    code, _, err = run(["build", "-o", str(tmp_path)], capsys)
    assert code == 2
    assert "pip install 'gatewright[fast]'" in err
