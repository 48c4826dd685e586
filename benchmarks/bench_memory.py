"""From nothing to the first prediction of a saved model: seconds and peak memory of a new process for everyone.

usage: python benchmarks/bench_memory.py memory …
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rivals
import session
import torch
import workloads

import gatewright as gw

WORK = workloads.MEMORY
SHAPE = (WORK.batch, WORK.steps, WORK.features)
# What each process runs, in a folder with the model's files. `x` is what is predicted.
PROGRAMS = {
    "gatewright": "import gatewright as gw; y = gw.load('model.safetensors').run(x)[0]",
    "pytorch": (
        f"import torch; net = torch.nn.{WORK.kind}({WORK.features}, {WORK.hidden}, batch_first=True); "
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
    "NumPy alone": "y = x",
}
BEFORE = f"import numpy; x = numpy.load('x.npy'); assert x.shape == {SHAPE}\n"
# VmHWM is this program's own; ru_maxrss counts what the parent held before it became this program.
AFTER = """
import json, pathlib, resource, time
done, status = time.monotonic(), pathlib.Path("/proc/self/status")
lines = [line.split() for line in status.read_text().splitlines()] if status.exists() else []
peak = [int(words[1]) for words in lines if words[0] == "VmHWM:"] or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
numpy.save("y.npy", y)
print(json.dumps([done, peak[0] / 1024]))
"""


def prepare(folder: Path) -> np.ndarray:
    """Writes the model in everyone's format and x; returns y."""
    net = rivals.network(WORK, 1)
    gw.from_pytorch(rivals.arrays(net)).save(folder / "model.safetensors")
    torch.save(net.state_dict(), folder / "model.pt")
    (folder / "model.onnx").write_bytes(rivals.onnx_model(net, WORK))
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    np.save(folder / "x.npy", x)
    return np.asarray(gw.load(folder / "model.safetensors").run(x)[0])


def once(program: str, folder: Path) -> tuple[float, float]:
    """(seconds, megabytes) of one process."""
    start = time.monotonic()
    said = subprocess.run([sys.executable, "-c", BEFORE + program + AFTER], cwd=folder, check=True, capture_output=True).stdout
    done, megabytes = json.loads(said)
    return done - start, megabytes


def main() -> None:
    now = session.begin(["memory"])
    cells = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = prepare(folder)
        for who, program in PROGRAMS.items():
            if not now.wants(who):
                continue
            once(program, folder)  # what is on the disk comes into memory
            if who != "NumPy alone" and not np.abs(np.load(folder / "y.npy") - wanted).max() < 2e-5:
                raise SystemExit(f"{who} predicts something else")
            seconds, megabytes = zip(*(once(program, folder) for _ in range(now.pace.repeats)), strict=True)
            cells.append({"name": who, "start": session.summary([*seconds]), "peak": session.summary([*megabytes])})
            print(f"{who:15} {cells[-1]['start']['median']:.3f} s {cells[-1]['peak']['median']:.0f} MB", flush=True)
    session.finish(now, cells)


if __name__ == "__main__":
    main()
