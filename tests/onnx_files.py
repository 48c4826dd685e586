"""ONNX files of one or a few nodes, for the tests."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

import gatewright as gw

INPUTS = {"RNN": 6, "GRU": 6, "LSTM": 8}
NAMES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def model(nodes, inputs, outputs, constants=None, opset=17, **options):
    """A ModelProto. inputs: {name: (dtype, shape)}, outputs: {name: dtype}, constants: {name: array}."""
    given = [helper.make_tensor_value_info(name, number(dtype), shape) for name, (dtype, shape) in inputs.items()]
    made = [helper.make_tensor_value_info(name, number(dtype), None) for name, dtype in outputs.items()]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "graph", given, made, tensors)
    words = {"opset_imports": [helper.make_opsetid("", opset)], "ir_version": 8} | options
    return helper.make_model(graph, **words)


def number(dtype):
    """ONNX's number of a dtype, or of a number itself."""
    return dtype if isinstance(dtype, int) else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def opened(path, proto, **options):
    """The file, written and read."""
    onnx.save(proto, path)
    return gw.OnnxGraph(path, **options)


def recurrent(kind, arrays, constants=(), outputs=None, opset=14, **attributes):
    """A ModelProto of one RNN, GRU or LSTM. arrays: by the operator's names; those in `constants` are initializers."""
    names = [name if name in arrays else "" for name in NAMES[: INPUTS[kind]]]
    while not names[-1]:
        names.pop()
    made = (["Y", "Y_h", "Y_c"] if kind == "LSTM" else ["Y", "Y_h"]) if outputs is None else outputs
    node = helper.make_node(kind, names, made, **attributes)
    given = {name: (a.dtype, a.shape) for name, a in arrays.items() if name not in constants}
    fixed = {name: arrays[name] for name in constants if name in arrays}
    return model([node], given, {name: arrays["X"].dtype for name in made if name}, fixed, opset)
