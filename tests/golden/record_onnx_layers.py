"""Records what onnxruntime gives for ONNX's RNN, GRU and LSTM with all that Keras and PyTorch lack: onnx_layers.safetensors.

Run by hand in an environment with onnx and onnxruntime: `python tests/golden/record_onnx_layers.py`. float32; every weight,
state and constant is non-zero. A case's arrays have the operator's names: `case/X`, `case/W` … `case/Y_c`. Where onnxruntime
differs from the specification: it does not clip what goes into an LSTM's third activation, and its tanh and sigmoid are
polynomials, right to 1e-6 or so.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from safetensors.numpy import save_file

T, B, F, H = 7, 3, 2, 3
LENGTHS = [7, 4, 5]
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
# Every activation of the operators, with constants that are not the defaults: (alpha, beta) or nothing.
ACTIVATIONS = {
    "Relu": (), "LeakyRelu": (0.3,), "ThresholdedRelu": (0.2,), "Tanh": (), "ScaledTanh": (1.4, 0.6), "Sigmoid": (),
    "HardSigmoid": (0.3, 0.4), "Affine": (0.4, 0.1), "Elu": (0.7,), "Softsign": (), "Softplus": (),
}  # fmt: skip


def cases():
    """(name, operator, attributes, whether there are peepholes)."""
    for name in ACTIVATIONS:
        yield f"rnn_{name.lower()}", "RNN", {"activations": [name]}, False
    yield "rnn_clip", "RNN", {"clip": 0.5, "direction": "bidirectional", "activations": ["Tanh", "Affine"]}, False
    for after, clip in itertools.product((0, 1), (None, 0.5)):
        words = {"linear_before_reset": after, **({"clip": clip} if clip else {})}
        yield f"gru_{after}_{clip or 'free'}", "GRU", {**words, "direction": "reverse"}, False
        both = ["HardSigmoid", "ScaledTanh", "Sigmoid", "Softsign"]
        yield f"gru_{after}_{clip or 'free'}_both", "GRU", {**words, "direction": "bidirectional", "activations": both}, False
    for peepholes, coupled, clip in itertools.product((False, True), (0, 1), (None, 0.5)):
        words = {"input_forget": coupled, **({"clip": clip} if clip else {})}
        name = f"lstm{'_peepholes' * peepholes}{'_coupled' * coupled}{'_clip' * bool(clip)}"
        yield name, "LSTM", words, peepholes
        both = ["Sigmoid", "Tanh", "Affine", "HardSigmoid", "Softsign", "ScaledTanh"]
        yield f"{name}_both", "LSTM", {**words, "direction": "bidirectional", "activations": both}, peepholes


def constants(names):
    """The attributes activation_alpha and activation_beta: only the functions that take one have one in the list."""
    given = [ACTIVATIONS[name] for name in names]
    return {
        "activation_alpha": [values[0] for values in given if values],
        "activation_beta": [values[1] for values in given if len(values) > 1],
    }


def record(kind, attributes, peepholes, rng):
    """All arrays of one case."""

    def draw(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    ways, k = 1 + (attributes.get("direction") == "bidirectional"), GATES[kind]
    arrays = {"X": draw(T, B, F), "W": 0.6 * draw(ways, k * H, F), "R": 0.6 * draw(ways, k * H, H), "B": draw(ways, 2 * k * H)}
    arrays |= {"sequence_lens": np.array(LENGTHS, np.int32), "initial_h": draw(ways, B, H)}
    if kind == "LSTM":
        arrays |= {"initial_c": draw(ways, B, H)} | ({"P": draw(ways, 3 * H)} if peepholes else {})
    order = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
    inputs = [name if name in arrays else "" for name in order]
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    words = {name: value for name, value in attributes.items() if value}
    words |= {name: v for name, v in constants(attributes.get("activations", [])).items() if v}
    node = helper.make_node(kind, inputs[: 8 if kind == "LSTM" else 6], outputs, hidden_size=H, **words)
    kinds = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.int32): onnx.TensorProto.INT32}
    given = [helper.make_tensor_value_info(name, kinds[a.dtype], a.shape) for name, a in arrays.items()]
    made = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    model = helper.make_model(
        helper.make_graph([node], kind, given, made), opset_imports=[helper.make_opsetid("", 14)], ir_version=8
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    arrays = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in arrays.items()}
    results = session.run(outputs, arrays)
    assert all(np.isfinite(a).all() and np.abs(a).max() > 0.01 for a in results)
    return arrays | dict(zip(outputs, results, strict=True))


def main():
    arrays, about = {}, []
    for number, (case, kind, attributes, peepholes) in enumerate(cases()):
        words = attributes | constants(attributes.get("activations", []))
        about.append({"case": case, "kind": kind.lower(), **words})
        found = record(kind, attributes, peepholes, np.random.default_rng([1, number]))
        arrays |= {f"{case}/{name}": np.ascontiguousarray(array) for name, array in found.items()}
    frameworks = f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}"
    metadata = {"framework": frameworks, "script": Path(__file__).name, "cases": json.dumps(about)}
    save_file(arrays, Path(__file__).with_name("onnx_layers.safetensors"), metadata=metadata)


if __name__ == "__main__":
    main()
