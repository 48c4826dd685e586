"""From the start of a process to the first prediction of a saved model: seconds and peak memory, of ours and of rivals.

Ours runs as a wheel would install it: a copy of the package with its library and its bytecode, llvmlite out of reach. The
model is an LSTM of 64 units on 16 features and a Dense of one output, the input (1, 20, 16); every rival that is installed
runs the same numbers and has to agree. Medians of many starts, one at a time, one thread each.

usage: python benchmarks/bench_start.py [STARTS]
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "gatewright"
INPUT = "np.linspace(-1, 1, 320, dtype=np.float32).reshape(1, 20, 16)"
STARTS = 15

MAKE = """
import numpy as np, gatewright as gw
model = gw.Model(gw.Sequential(gw.LSTM(16, 64), gw.Dense(64, 1)), seed=0)
model.save("model.safetensors")
"""
MAKE_TORCH = """
import numpy as np, torch
from safetensors.numpy import load_file
w = load_file("model.safetensors")
turn = lambda a: torch.tensor(np.ascontiguousarray(a.T))
lstm = {"weight_ih_l0": turn(w["0.W"]), "weight_hh_l0": turn(w["0.U"]), "bias_ih_l0": turn(w["0.b"]),
        "bias_hh_l0": turn(0 * w["0.b"])}
torch.save({"lstm": lstm, "dense": {"weight": turn(w["1.W"]), "bias": turn(w["1.b"])}}, "model.pt")
"""
MAKE_ONNX = """
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
w = load_file("model.safetensors")
order = lambda a: np.concatenate([np.split(a, 4, axis=-1)[k] for k in (0, 3, 1, 2)], axis=-1)  # i f g o to i o f c
arrays = {"W": order(w["0.W"]).T[None], "R": order(w["0.U"]).T[None],
          "B": np.concatenate([order(w["0.b"]), 0 * w["0.b"]])[None], "D": w["1.W"], "b": w["1.b"],
          "axis": np.array([1], np.int64)}
nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
         helper.make_node("LSTM", ["t", "W", "R", "B"], ["s"], hidden_size=64),
         helper.make_node("Squeeze", ["s", "axis"], ["h"]),
         helper.make_node("Transpose", ["h"], ["f"], perm=[1, 0, 2]), helper.make_node("MatMul", ["f", "D"], ["m"]),
         helper.make_node("Add", ["m", "b"], ["y"])]
ends = [helper.make_tensor_value_info(*end) for end in (("x", TensorProto.FLOAT, [1, 20, 16]), ("y", TensorProto.FLOAT, None))]
constants = [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()]
graph = helper.make_graph(nodes, "lstm", ends[:1], ends[1:], constants)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "model.onnx")
"""
OURS = f"""
import sys
sys.modules["llvmlite"] = None
import numpy as np, gatewright as gw
model = gw.load("model.safetensors", kernel="compiled")
y = model.predict({INPUT})
"""
ONNX = f"""
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
y = onnxruntime.InferenceSession("model.onnx", options).run(None, {{"x": {INPUT}}})[0]
"""
TORCH = f"""
import numpy as np, torch
torch.set_num_threads(1)
saved = torch.load("model.pt")
lstm, dense = torch.nn.LSTM(16, 64, batch_first=True), torch.nn.Linear(64, 1)
lstm.load_state_dict(saved["lstm"]); dense.load_state_dict(saved["dense"])
with torch.inference_mode():
    y = dense(lstm(torch.from_numpy({INPUT}))[0]).numpy()
"""
CASES = {  # by name: the packages that it takes, what makes its model, what runs it
    "Python alone": ((), "", ""),
    "Python and NumPy": ((), "", "import numpy"),
    "gatewright, library": ((), MAKE, OURS),
    "onnxruntime": (("onnxruntime", "onnx"), MAKE_ONNX, ONNX),
    "PyTorch": (("torch",), MAKE_TORCH, TORCH),
}


def python(program: str, folder: Path) -> str:
    """What a program prints that runs in the folder and finds its copy of the package first."""
    run = subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment(folder), capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    return run.stdout


def environment(folder: Path) -> dict[str, str]:
    """One thread, bytecode allowed, the copy of the package first."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | threads | {"PYTHONPATH": str(folder)}


def start(program: str, folder: Path) -> tuple[float, float]:
    """(seconds, MB at most) of one process. This one is small: what it holds would count as the child's."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", program], cwd=folder, env=environment(folder))
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{program} failed")
    return seconds, used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    """Prepares everything, checks that all agree, then measures them in turn."""
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else STARTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(SOURCE, folder / "gatewright", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        python("from gatewright.kernels.__main__ import main; main(['build'])", folder)
        cases = {name: case for name, case in CASES.items() if all(find_spec(package) for package in case[0])}
        said = {}
        for name, (_, make, run) in cases.items():
            python(make, folder)
            if make:
                said[name] = [float(v) for v in python(f"{run}\nprint(*np.ravel(y))", folder).split()]
        ours = said["gatewright, library"]
        for name, theirs in said.items():
            if max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) > 1e-5:
                raise SystemExit(f"{name} computes something else")
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for _ in range(starts):
            for name, (_, _, run) in cases.items():
                results[name].append(start(run, folder))
    print(f"{'median of ' + str(starts) + ' starts':24}  seconds  (quartiles)       MB at most")
    for name, pairs in results.items():
        seconds, memory = zip(*pairs, strict=True)
        low, middle, high = statistics.quantiles(seconds, n=4)
        print(f"{name:24}  {middle:7.3f}  ({low:.3f} to {high:.3f})  {statistics.median(memory):10.1f}")


if __name__ == "__main__":
    main()
