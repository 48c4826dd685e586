"""From nothing to the first prediction of a saved model: seconds and peak memory of a new process for everyone.

gatewright runs twice: with its library of kernels, as a wheel would install it, llvmlite out of reach; and from its sources,
compiling at first use. Everyone predicts the same. usage: python benchmarks/bench_start.py start …
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import rivals
import session
import torch
import workloads

import gatewright as gw

WORK = workloads.START
SHAPE = (WORK.batch, WORK.steps, WORK.features)
LIBRARY, SOURCES = "gatewright", "gatewright, compiled at first use"
# What each process runs, in a folder with the model in every format; `x` is what is predicted.
PROGRAMS = {
    LIBRARY: (
        "import sys; sys.modules['llvmlite'] = None\n"
        "import gatewright as gw; y = gw.load('model.safetensors', kernel='compiled').run(x)[0]"
    ),
    SOURCES: "import gatewright as gw; y = gw.load('model.safetensors', kernel='compiled').run(x)[0]",
    "pytorch": (
        f"import torch; net = torch.nn.{WORK.kind}({WORK.features}, {WORK.hidden}, batch_first=True)\n"
        "net.load_state_dict(torch.load('model.pt'))\n"
        "with torch.inference_mode(): y = net(torch.from_numpy(x))[0].numpy()"
    ),
    "onnxruntime": (
        "import onnxruntime; session = onnxruntime.InferenceSession('model.onnx', providers=['CPUExecutionProvider'])\n"
        "feed = {i.name: numpy.zeros(i.shape, 'f') for i in session.get_inputs()} | {'X': x.swapaxes(0, 1).copy()}\n"
        "y = session.run(['Y'], feed)[0][:, 0].swapaxes(0, 1)"
    ),
    "openvino": (
        "import openvino; model = openvino.Core().compile_model('model.onnx', 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})\n"
        "feed = {i.any_name: numpy.zeros(list(i.shape), 'f') for i in model.inputs} | {'X': x.swapaxes(0, 1).copy()}\n"
        "y = model(feed)[0][:, 0].swapaxes(0, 1)"
    ),
    "NumPy alone": "y = None",
}
BEFORE = "import numpy; x = numpy.load('x.npy')\n"
# VmHWM is this program's own; ru_maxrss counts what the parent held before it became this program.
AFTER = """
import json, pathlib, resource, time
done, status = time.monotonic(), pathlib.Path("/proc/self/status")
lines = [line.split() for line in status.read_text().splitlines()] if status.exists() else []
peak = [int(words[1]) for words in lines if words[0] == "VmHWM:"] or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
if y is not None:
    numpy.save("y.npy", y)
print(json.dumps([done, peak[0] / 1024]))
"""


def prepare(folder: Path) -> np.ndarray:
    """Writes the model in everyone's format, x, and gatewright as it is installed with a library and without; returns y."""
    net = rivals.network(WORK, 1)
    gw.from_pytorch(rivals.arrays(net)).save(folder / "model.safetensors")
    torch.save(net.state_dict(), folder / "model.pt")
    (folder / "model.onnx").write_bytes(rivals.onnx_model(net, WORK))
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    np.save(folder / "x.npy", x)
    for who in (LIBRARY, SOURCES):
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(Path(gw.__file__).parent, folder / who / "gatewright", ignore=ignored)
    if find_spec("gatewright.kernels.build"):
        build = [sys.executable, "-m", "gatewright.kernels", "build"]
        subprocess.run(build, cwd=folder, env=environment(folder, LIBRARY), check=True, stdout=subprocess.DEVNULL)
    return np.asarray(gw.load(folder / "model.safetensors").run(x)[0])


def environment(folder: Path, who: str) -> dict[str, str]:
    """Bytecode is kept, and the copy of gatewright found first."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(folder / who)}


def once(who: str, folder: Path) -> tuple[float, float]:
    """(seconds, megabytes) of one process."""
    command = [sys.executable, "-c", BEFORE + PROGRAMS[who] + AFTER]
    start = time.monotonic()
    said = subprocess.run(command, cwd=folder, env=environment(folder, who), check=True, stdout=subprocess.PIPE).stdout
    done, megabytes = json.loads(said)
    return done - start, megabytes


def warm(who: str, folder: Path, wanted: np.ndarray) -> None:
    """Runs once, so that what is on the disk is in memory, and ends the program unless y is what was wanted."""
    (folder / "y.npy").unlink(missing_ok=True)
    once(who, folder)
    if who != "NumPy alone" and not np.abs(np.load(folder / "y.npy") - wanted).max() < 2e-5:
        raise SystemExit(f"{who} predicts something else")


def main() -> None:
    now = session.begin(["start"])
    names = [who for who in PROGRAMS if now.wants(who) and (who != LIBRARY or find_spec("gatewright.kernels.build"))]
    with tempfile.TemporaryDirectory() as name:
        wanted = prepare(Path(name))
        for who in names:
            warm(who, Path(name), wanted)
        turns = [{who: once(who, Path(name)) for who in names} for _ in range(now.pace.repeats)]
    cells = []
    for who in names:
        seconds, megabytes = zip(*(turn[who] for turn in turns), strict=True)
        found = {"seconds": session.summary([*seconds]), "megabytes": session.summary([*megabytes])}
        limits = workloads.START_LIMITS if who == LIBRARY else {}
        judged = {what: {"most": most, "holds": found[what]["median"] <= most} for what, most in limits.items()}
        cells.append({"name": who, "limits": judged, **found})
        print(f"{who:34} {found['seconds']['median']:.3f} s {found['megabytes']['median']:.0f} MB", flush=True)
    session.finish(now, cells)


if __name__ == "__main__":
    main()
