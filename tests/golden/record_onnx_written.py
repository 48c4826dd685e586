"""Records what onnxruntime gives for the networks of tests/onnx_networks.py that `to_onnx` writes: onnx_written.safetensors.

Run by hand in an environment with onnx and onnxruntime: `python tests/golden/record_onnx_written.py`. The arrays `case/x`,
(B, T, F) or (B, T) indices, and `case/y`; the weights are those of onnx_networks.model_of, in float32. LSTMs with clip are
left out: there onnxruntime differs from the specification, as check_onnx_files.py tells.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import save_file

sys.path.append(str(Path(__file__).parents[1]))  # a copy of this script elsewhere is told by scripts/golden.py
import onnx_networks

from gatewright.layers import LSTM, leaves

B, T = 3, 7


def main():
    arrays, cases = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name in onnx_networks.LAYERS:
            model, path = onnx_networks.model_of(name), Path(folder) / "model.onnx"
            if any(isinstance(layer, LSTM) and layer.clip for layer in leaves(model.network)):
                continue
            model.to_onnx(path)
            x = onnx_networks.inputs(model, B, T)
            run = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            arrays |= {f"{name}/x": x, f"{name}/y": np.ascontiguousarray(run.run(None, {"x": x})[0])}
            cases.append({"case": name})
    about = {"framework": f"onnxruntime {onnxruntime.__version__}", "script": Path(__file__).name, "cases": json.dumps(cases)}
    save_file(arrays, Path(__file__).with_name("onnx_written.safetensors"), metadata=about)


if __name__ == "__main__":
    main()
