"""Records ONNX files and what they give: onnx_graphs.zip (the files) and onnx_graphs.safetensors (inputs and outputs).

Run by hand, `python tests/golden/record_onnx_graphs.py`, where torch, onnxscript, onnx and onnxruntime are. A case is
`<who wrote it>_<what>`, with two runs of different batch and time sizes where the file allows it; its arrays are
`case/run/in.name` and `case/run/out.name`.

torch_…: torch.onnx.export with both exporters, the outputs from torch. tf_…, keras_…: graphs built here node by node, as
tf2onnx and keras2onnx write them. opset…: operators in the forms that they had in early opsets. compat_…: where onnxruntime
does other than the specification says. The outputs of these are from onnxruntime. All parameters are random, none is zero.
"""

import io
import json
import logging
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from torch import nn

HERE = Path(__file__).parent
F, H, WORDS = 3, 4, 9
SIZES = ((3, 7), (4, 9))  # batch, time


class Net(nn.Module):
    """Base of the networks: all parameters and running statistics drawn anew."""

    def draw(self, seed):
        rng = torch.Generator().manual_seed(seed)
        for tensor in (*self.parameters(), *(b for b in self.buffers() if b.is_floating_point())):
            tensor.data = 0.5 * torch.randn(tensor.shape, generator=rng)
        for name, tensor in self.named_buffers():
            if name.endswith("running_var"):
                tensor.data = tensor.data.abs() + 0.5
        return self.eval()


class Words(Net):
    """Words to a distribution for every word."""

    def __init__(self, cell):
        super().__init__()
        self.embed = nn.Embedding(WORDS, F)
        self.rnn = cell(F, H, 2, bidirectional=True, batch_first=True)
        self.norm, self.fc = nn.LayerNorm(2 * H), nn.Linear(2 * H, 5)

    def forward(self, x):
        return torch.softmax(self.fc(self.norm(self.rnn(self.embed(x))[0])), -1)


class Tagger(Net):
    """Time first: the steps' log-probabilities, and the final state."""

    def __init__(self, cell):
        super().__init__()
        self.rnn, self.fc = cell(F, H), nn.Linear(H, 5)

    def forward(self, x):
        y, state = self.rnn(x)
        return torch.log_softmax(self.fc(y), -1), state[0] if isinstance(state, tuple) else state


class Last(Net):
    """The last step alone."""

    def __init__(self, cell, **words):
        super().__init__()
        self.rnn, self.drop, self.fc = cell(F, H, 1, batch_first=True, **words), nn.Dropout(0.5), nn.Linear(H, 2)

    def forward(self, x):
        return torch.sigmoid(self.fc(self.drop(self.rnn(x)[0][:, -1])))


class Stream(Net):
    """States in and out."""

    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.LSTM(F, H, 2, batch_first=True), nn.Linear(H, 2)

    def forward(self, x, h, c):
        y, (h, c) = self.rnn(x, (h, c))
        return self.fc(y), h, c


class Packed(Net):
    """Rows of unequal lengths."""

    def __init__(self, cell):
        super().__init__()
        self.rnn, self.fc = cell(F, H, bidirectional=True, batch_first=True), nn.Linear(2 * H, 2)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        y, state = self.rnn(packed)
        y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
        state = state[0] if isinstance(state, tuple) else state
        return self.fc(y), torch.cat([state[-2], state[-1]], 1)


class Signal(Net):
    """Convolution, pooling and batch norm before the recurrent layer, a mean behind it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(F, 6, 3, padding=2, dilation=2, groups=3), nn.BatchNorm1d(6)
        self.pool, self.mean = nn.MaxPool1d(2, 1), nn.AvgPool1d(3, 1, 1)
        self.rnn, self.fc = nn.GRU(6, H, batch_first=True), nn.Linear(H, 2)

    def forward(self, x):
        x = self.mean(self.pool(nn.functional.gelu(self.norm(self.conv(x.transpose(1, 2))))))
        return torch.tanh(self.fc(self.rnn(x.transpose(1, 2))[0].mean(1)))


class Attention(Net):
    """A weighted mean of all steps, and the largest of every feature."""

    def __init__(self):
        super().__init__()
        self.rnn, self.score, self.fc = nn.LSTM(F, H, batch_first=True), nn.Linear(H, 1), nn.Linear(2 * H, 2)

    def forward(self, x):
        y, _ = self.rnn(x)
        weights = torch.softmax(self.score(y), 1)
        return self.fc(torch.cat([(weights * y).sum(1), y.max(1).values], -1))


def runs_of(net, *kinds):
    """The inputs of the two runs."""
    for run, (B, T) in enumerate(SIZES):
        rng = torch.Generator().manual_seed(run)
        found = []
        for kind in kinds:
            if kind == "words":
                found.append(torch.randint(0, WORDS, (B, T), generator=rng))
            elif kind == "lengths":
                found.append(torch.tensor(sorted([T, *(1 + (3 * k) % T for k in range(B - 1))], reverse=True)))
            else:
                shape = {"batch": (B, T, F), "time": (T, B, F), "state": (2, B, H)}[kind]
                found.append(torch.randn(shape, generator=rng))
        yield found


AXES = {"words": {0: "batch", 1: "steps"}, "batch": {0: "batch", 1: "steps"}, "time": {0: "steps", 1: "batch"},
        "state": {1: "batch"}, "lengths": {0: "batch"}}  # fmt: skip


def legacy(net, kinds, opset):
    """What the TorchScript exporter writes."""
    content, inputs = io.BytesIO(), next(iter(runs_of(net, *kinds)))
    names = [f"{kind}{k}" for k, kind in enumerate(kinds)]
    axes = {name: AXES[kind] for name, kind in zip(names, kinds, strict=True)}
    torch.onnx.export(net, tuple(inputs), content, dynamo=False, opset_version=opset, input_names=names, dynamic_axes=axes)
    return onnx.load_from_string(content.getvalue())


def dynamo(net, kinds, opset):
    """What the other one writes. It fixes the time axis of recurrent layers, so that only the batch may differ."""
    inputs = next(iter(runs_of(net, *kinds)))
    axes = tuple({k: torch.export.Dim(name) for k, name in AXES[kind].items() if name == "batch"} for kind in kinds)
    program = torch.onnx.export(net, tuple(inputs), dynamo=True, opset_version=opset, dynamic_shapes=axes, verbose=False)
    return program.model_proto


def torch_cases():
    """(name, file, inputs of the runs, outputs of the runs)."""
    nets = [
        ("words_lstm", Words(nn.LSTM), ("words",), legacy, 17), ("words_gru", Words(nn.GRU), ("words",), legacy, 13),
        ("words_rnn", Words(nn.RNN), ("words",), legacy, 11), ("words_lstm_9", Words(nn.LSTM), ("words",), legacy, 9),
        ("words_gru_20", Words(nn.GRU), ("words",), legacy, 20),
        ("tagger_lstm", Tagger(nn.LSTM), ("time",), legacy, 14), ("tagger_gru", Tagger(nn.GRU), ("time",), legacy, 10),
        ("tagger_rnn", Tagger(nn.RNN), ("time",), legacy, 18),
        ("last_lstm", Last(nn.LSTM), ("batch",), legacy, 12), ("last_gru", Last(nn.GRU), ("batch",), legacy, 16),
        ("last_relu", Last(nn.RNN, nonlinearity="relu"), ("batch",), legacy, 15),
        ("stream", Stream(), ("batch", "state", "state"), legacy, 17),
        ("stream_9", Stream(), ("batch", "state", "state"), legacy, 9),
        ("packed_lstm", Packed(nn.LSTM), ("batch", "lengths"), legacy, 17),
        ("packed_gru", Packed(nn.GRU), ("batch", "lengths"), legacy, 13),
        ("packed_rnn", Packed(nn.RNN), ("batch", "lengths"), legacy, 11),
        ("signal", Signal(), ("batch",), legacy, 17), ("signal_20", Signal(), ("batch",), legacy, 20),
        ("attention", Attention(), ("batch",), legacy, 13), ("attention_9", Attention(), ("batch",), legacy, 9),
        ("dynamo_words_lstm", Words(nn.LSTM), ("words",), dynamo, 18),
        ("dynamo_words_gru", Words(nn.GRU), ("words",), dynamo, 20),
        ("dynamo_last_rnn", Last(nn.RNN), ("batch",), dynamo, 18),
        ("dynamo_attention", Attention(), ("batch",), dynamo, 18),
        ("dynamo_stream", Stream(), ("batch", "state", "state"), dynamo, 21),
        ("dynamo_signal", Signal(), ("batch",), dynamo, 20),
    ]  # fmt: skip
    for seed, (name, net, kinds, export, opset) in enumerate(nets):
        proto = export(net.draw(seed), kinds, opset)
        assert [entry.version for entry in proto.opset_import if not entry.domain] == [opset], (name, proto.opset_import)
        names = [value.name for value in proto.graph.input if value.name not in {t.name for t in proto.graph.initializer}]
        given, made = [], []
        for inputs in runs_of(net, *kinds):
            if export is dynamo:
                inputs = [
                    a[:, : SIZES[0][1]] if kind in ("words", "batch") else a for kind, a in zip(kinds, inputs, strict=True)
                ]
            with torch.no_grad():
                outputs = net(*inputs)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            given.append(dict(zip(names, (a.numpy() for a in inputs), strict=True)))
            made.append(dict(zip([value.name for value in proto.graph.output], (a.numpy() for a in outputs), strict=True)))
        yield f"torch_{name}", proto, given, made


# ---------------------------------------------------------------------------------------------------- built by hand


def file(nodes, inputs, outputs, constants, opset):
    """A ModelProto. inputs: {name: (dtype, shape)}, outputs: {name: dtype}, constants: {name: array}."""

    def number(dtype):
        return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    given = [helper.make_tensor_value_info(name, number(dtype), shape) for name, (dtype, shape) in inputs.items()]
    made = [helper.make_tensor_value_info(name, number(dtype), None) for name, dtype in outputs.items()]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "graph", given, made, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def alone(kind, arrays, **attributes):
    """A ModelProto of one RNN, GRU or LSTM, whose inputs are X and initial_h."""
    order = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c")[: 7 if kind == "LSTM" else 6]
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    node = helper.make_node(kind, [name if name in arrays else "" for name in order], outputs, **attributes)
    inputs = {name: (arrays[name].dtype, arrays[name].shape) for name in ("X", "initial_h")}
    fixed = {name: array for name, array in arrays.items() if name not in inputs}
    return file([node], inputs, dict.fromkeys(outputs, "float32"), fixed, 14)


class Graph:
    """Nodes one after the other, and the constants that they need."""

    def __init__(self, opset, seed):
        self.nodes, self.constants, self.opset, self.rng = [], {}, opset, np.random.default_rng(seed)

    def add(self, op, inputs, count=1, **attributes):
        """A node; arrays among the inputs become initializers. Gives the name of its output, or of all of them."""
        names = [name if isinstance(name, str) else self.constant(name) for name in inputs]
        outputs = [f"{op}_{len(self.nodes)}:{k}" for k in range(count)]
        self.nodes.append(helper.make_node(op, names, outputs, name=f"{op}__{len(self.nodes)}", **attributes))
        return outputs if count > 1 else outputs[0]

    def constant(self, array):
        name = f"const__{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def draw(self, *shape):
        return (0.5 * self.rng.standard_normal(shape)).astype(np.float32)

    def axes(self, op, x, axes):
        """Squeeze or Unsqueeze, whose axes are an attribute before opset 13."""
        return self.add(op, [x], axes=axes) if self.opset < 13 else self.add(op, [x, np.array(axes)])

    def cut(self, x, start, stop, axis, step=1):
        """Slice, in the form of the opset."""
        if self.opset < 10:
            return self.add("Slice", [x], starts=[start], ends=[stop], axes=[axis])
        return self.add("Slice", [x, *(np.array([v]) for v in (start, stop, axis, step))])

    def weights(self, kind, ways, features=F):
        k = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
        return [self.draw(ways, k * H, features), self.draw(ways, k * H, H), self.draw(ways, 2 * k * H)]

    def zeros(self, x, ways):
        """The initial state that tf2onnx and its folding leave: zeros of the batch's size, from the shape of x (B, T, F)."""
        batch = self.cut(self.add("Shape", [x]), 0, 1, 0)
        shape = self.add("Concat", [np.array([ways]), batch, np.array([H])], axis=0)
        if self.opset % 2:
            return self.add("Expand", [np.zeros((1, 1, 1), np.float32), shape])
        return self.add("ConstantOfShape", [shape], value=numpy_helper.from_array(np.zeros(1, np.float32)))

    def model(self, outputs, inputs):
        """The file; outputs: {name: (the value, its type)}."""
        nodes = self.nodes + [helper.make_node("Identity", [value], [name]) for name, (value, _) in outputs.items()]
        kinds = {name: kind for name, (_, kind) in outputs.items()}
        return file(nodes, inputs, kinds, self.constants, self.opset)


def tf_forward(kind, opset):
    """Batch first in and out, the state from the outside, and the final state."""
    g = Graph(opset, opset)
    x = g.add("Transpose", ["x"], perm=[1, 0, 2])
    first = [g.zeros("x", 1), g.axes("Unsqueeze", "c", [0])] if kind == "LSTM" else [g.zeros("x", 1)]
    words = {"hidden_size": H, "direction": "forward", **({"linear_before_reset": 1} if kind == "GRU" else {})}
    Y, *states = g.add(kind, [x, *g.weights(kind, 1), "", *first], 3 if kind == "LSTM" else 2, **words)
    y = g.add("Transpose", [g.axes("Squeeze", Y, [1])], perm=[1, 0, 2])
    last = g.axes("Squeeze", g.cut(y, -1, 2**31 - 1, 1), [1])
    logits = g.add("Add", [g.add("MatMul", [last, g.draw(H, 2)]), g.draw(2)])
    outputs = {"y": (y, "float32"), "p": (g.add("Softmax", [logits], axis=-1 if opset >= 13 else 1), "float32")}
    outputs |= {f"s{k}": (g.axes("Squeeze", state, [0]), "float32") for k, state in enumerate(states)}
    inputs = {"x": ("float32", ["B", "T", F])} | ({"c": ("float32", ["B", H])} if kind == "LSTM" else {})
    return g.model(outputs, inputs)


def tf_reversed(kind, opset):
    """Rows reversed by ReverseSequence before and after a forward node, as dynamic_rnn's bidirectional form becomes."""
    g = Graph(opset, opset)
    lengths = g.add("Cast", ["lengths"], to=TensorProto.INT64)
    steps = g.add("Cast", ["lengths"], to=TensorProto.INT32)
    turned = g.add("ReverseSequence", ["x", lengths], batch_axis=0, time_axis=1)
    parts, states = [], []
    for x in ("x", turned):
        inputs = [g.add("Transpose", [x], perm=[1, 0, 2]), *g.weights(kind, 1), steps]
        Y, state = g.add(kind, inputs, 2, hidden_size=H)
        parts.append(g.add("Transpose", [g.axes("Squeeze", Y, [1])], perm=[1, 0, 2]))
        states.append(g.axes("Squeeze", state, [0]))
    parts[1] = g.add("ReverseSequence", [parts[1], lengths], batch_axis=0, time_axis=1)
    outputs = {"y": (g.add("Concat", parts, axis=2), "float32"), "s": (g.add("Concat", states, axis=-1), "float32")}
    return g.model(outputs, {"x": ("float32", ["B", "T", F]), "lengths": ("int32", ["B"])})


def tf_bidirectional(kind, opset):
    """One bidirectional node, whose directions are cut out of its outputs."""
    g = Graph(opset, opset)
    x = g.add(
        "Transpose", [g.add("Gather", [g.draw(WORDS, F), g.add("Cast", ["words"], to=TensorProto.INT64)])], perm=[1, 0, 2]
    )
    Y, state = g.add(kind, [x, *g.weights(kind, 2)], 2, hidden_size=H, direction="bidirectional")
    ways = [g.axes("Squeeze", g.cut(Y, d, d + 1, 1), [1]) for d in (0, 1)]
    y = g.add("Transpose", [g.add("Concat", ways, axis=2)], perm=[1, 0, 2])
    finals = [g.axes("Squeeze", g.cut(state, d, d + 1, 0), [0]) for d in (0, 1)]
    mean = g.add("ReduceMean", [y], axes=[1], keepdims=0) if opset < 18 else g.add("ReduceMean", [y, np.array([1])], keepdims=0)
    product = g.add("Gemm", [g.add("Concat", [mean, *finals], axis=1), g.draw(3, 4 * H), g.draw(3)], transB=1)
    return g.model({"y": (y, "float32"), "p": (g.add("Sigmoid", [product]), "float32")}, {"words": ("int32", ["B", "T"])})


def keras_chain(kind, opset, both):
    """Masked steps counted into lengths, HardSigmoid gates, TimeDistributed(Dense) by way of two Reshapes."""
    g = Graph(opset, opset)
    equal = g.add("Equal", ["x", np.float32(0)]) if opset >= 11 else g.add("Not", [g.add("Cast", ["x"], to=TensorProto.BOOL)])
    live = g.add("Cast", [g.add("Not", [equal])], to=TensorProto.FLOAT)
    live = (
        g.add("ReduceMax", [live], axes=[2], keepdims=0)
        if opset < 18
        else g.add("ReduceMax", [live, np.array([2])], keepdims=0)
    )
    count = (
        g.add("ReduceSum", [live], axes=[1], keepdims=0)
        if opset < 13
        else g.add("ReduceSum", [live, np.array([1])], keepdims=0)
    )
    lengths = g.add("Cast", [count], to=TensorProto.INT32)
    x, ways = g.add("Transpose", ["x"], perm=[1, 0, 2]), 1 + both
    gates = {"RNN": ["Tanh"], "GRU": ["HardSigmoid", "Tanh"], "LSTM": ["HardSigmoid", "Tanh", "Tanh"]}[kind]
    some = ways if kind != "RNN" else 0
    words = {"activation_alpha": [0.2] * some, "activation_beta": [0.5] * some} if some else {}
    Y, _ = g.add(kind, [x, *g.weights(kind, ways), lengths, ""], 2, hidden_size=H, activations=gates * ways,
                 direction="bidirectional" if both else "reverse", **words)  # fmt: skip
    y = g.add("Transpose", [Y], perm=[2, 0, 1, 3])  # (B, T, D, H)
    steps = g.cut(g.add("Shape", ["x"]), 1, 2, 0)
    y = g.add("Reshape", [y, g.add("Concat", [np.array([-1]), steps, np.array([ways * H])], axis=0)])
    flat = g.add("Reshape", [y, np.array([-1, ways * H])])
    flat = g.add("Add", [g.add("MatMul", [flat, g.draw(ways * H, 2)]), g.draw(2)])
    out = g.add("Reshape", [flat, g.add("Concat", [np.array([-1]), steps, np.array([2])], axis=0)])
    return g.model({"y": (y, "float32"), "d": (g.add("Elu", [out]), "float32")}, {"x": ("float32", ["B", "T", F])})


def by_hand():
    """(name, file)."""
    for kind, opset in (("LSTM", 9), ("LSTM", 14), ("GRU", 11), ("GRU", 18), ("RNN", 13), ("RNN", 10)):
        yield f"tf_forward_{kind.lower()}_{opset}", tf_forward(kind, opset)
    for kind, opset in (("LSTM", 13), ("GRU", 10), ("RNN", 15)):
        yield f"tf_reversed_{kind.lower()}_{opset}", tf_reversed(kind, opset)
        yield f"tf_bidirectional_{kind.lower()}_{opset + 3}", tf_bidirectional(kind, opset + 3)
    for kind, opset, both in (
        ("LSTM", 11, True),
        ("LSTM", 13, False),
        ("GRU", 15, True),
        ("GRU", 18, False),
        ("RNN", 12, True),
    ):
        yield f"keras_{kind.lower()}_{opset}", keras_chain(kind, opset, both)


# ---------------------------------------------------------------------------------------------------- early forms


EARLY = [  # (operator, opset, shape of x, attributes, other inputs, number of outputs)
    ("Softmax", 7, (2, 3, 4), {}, [], 1), ("Softmax", 11, (2, 3, 4), {"axis": -2}, [], 1),
    ("LogSoftmax", 9, (2, 3, 4), {"axis": 2}, [], 1), ("LogSoftmax", 12, (2, 3, 4), {"axis": 0}, [], 1),
    ("Slice", 9, (5, 6), {"starts": [1, -3], "ends": [-1, 1000]}, [], 1),
    ("Slice", 7, (5, 6), {"starts": [-4], "ends": [-1], "axes": [1]}, [], 1),
    ("Split", 11, (6, 4), {"axis": 0, "split": [1, 3, 2]}, [], 3), ("Split", 8, (6, 4), {"axis": -1}, [], 2),
    ("Squeeze", 11, (1, 3, 1, 2), {"axes": [0, -2]}, [], 1), ("Squeeze", 9, (1, 3, 1, 2), {}, [], 1),
    ("Unsqueeze", 11, (3, 2), {"axes": [0, -1]}, [], 1),
    ("Clip", 7, (3, 4), {"min": -0.25, "max": 0.5}, [], 1), ("Clip", 10, (3, 4), {"max": 0.5}, [], 1),
    ("Pad", 10, (3, 4), {"pads": [1, 0, 2, 3], "value": 0.75}, [], 1),
    ("Pad", 9, (3, 4), {"pads": [1, 2, 0, 1], "mode": "reflect"}, [], 1),
    ("Pad", 7, (3, 4), {"pads": [0, -1, 2, -2], "mode": "edge"}, [], 1),
    ("ReduceSum", 11, (2, 3, 4), {"axes": [1], "keepdims": 0}, [], 1), ("ReduceMean", 13, (2, 3, 4), {"axes": [-1, 0]}, [], 1),
    ("ReduceMax", 12, (2, 3, 4), {}, [], 1), ("ReduceMin", 9, (2, 3, 4), {"axes": [2]}, [], 1),
    ("ReduceL2", 11, (2, 3, 4), {"axes": [0], "keepdims": 0}, [], 1), ("ReduceProd", 8, (2, 3, 4), {"axes": [1]}, [], 1),
    ("ReduceLogSumExp", 13, (2, 3, 4), {"axes": [1]}, [], 1), ("ReduceSumSquare", 11, (2, 3), {"keepdims": 0}, [], 1),
    ("ArgMax", 11, (3, 4), {"axis": 1, "keepdims": 0}, [], 1), ("ArgMin", 8, (3, 4), {}, [], 1),
    ("Dropout", 7, (3, 4), {"ratio": 0.3}, [], 1), ("Dropout", 10, (3, 4), {}, [], 1),
    ("BatchNormalization", 7, (2, 3, 4), {"epsilon": 0.01}, ["scale", "shift", "mean", "variance"], 1),
    ("BatchNormalization", 9, (2, 3, 4), {"momentum": 0.5}, ["scale", "shift", "mean", "variance"], 1),
    ("Gemm", 7, (3, 4), {"alpha": 0.5, "beta": 2.0, "transA": 1}, [(3, 2), (2,)], 1),
    ("Gemm", 9, (3, 4), {"transB": 1, "beta": 0.0}, [(2, 4), (3, 1)], 1),
    ("Gemm", 11, (3, 4), {}, [(4, 2)], 1),
    ("Reshape", 13, (2, 3, 4), {}, [np.array([0, -1])], 1), ("Flatten", 9, (2, 3, 4), {"axis": 0}, [], 1),
    ("Flatten", 11, (2, 3, 4), {"axis": -1}, [], 1),
    ("MaxPool", 8, (2, 3, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}, [], 1),
    ("MaxPool", 10, (2, 3, 9), {"kernel_shape": [2], "dilations": [3], "ceil_mode": 1, "strides": [2]}, [], 1),
    ("AveragePool", 7, (2, 3, 9), {"kernel_shape": [3], "pads": [1, 1], "count_include_pad": 1}, [], 1),
    ("AveragePool", 11, (2, 3, 9), {"kernel_shape": [4], "strides": [3], "auto_pad": "SAME_LOWER"}, [], 1),
    ("Conv", 9, (2, 4, 9), {"group": 2, "strides": [2], "auto_pad": "SAME_UPPER"}, [(6, 2, 3), (6,)], 1),
    ("Conv", 11, (2, 4, 9), {"pads": [3, 1], "dilations": [2], "kernel_shape": [3]}, [(5, 4, 3)], 1),
    ("PRelu", 7, (2, 3, 4), {}, [(3, 1)], 1), ("Selu", 8, (3, 4), {}, [], 1), ("HardSigmoid", 7, (3, 4), {"alpha": 0.3}, [], 1),
    ("Mean", 8, (2, 3), {}, [(1, 3), (2, 1)], 1), ("Min", 8, (2, 3), {}, [(3,)], 1), ("Sum", 8, (2, 3), {}, [(2, 1), (3,)], 1),
    ("Pow", 7, (3, 4), {}, [np.float32(2)], 1),
]  # fmt: skip


def early():
    """(name, file): each alone, behind a constant and in front of an output."""
    for number, (op, opset, shape, attributes, others, count) in enumerate(EARLY):
        rng = np.random.default_rng(number)
        inputs, constants = ["x"], {}
        for other in others:
            if isinstance(other, str):
                array = np.abs(rng.standard_normal(shape[1])) + 0.5 if other == "variance" else rng.standard_normal(shape[1])
            else:
                array = other if isinstance(other, np.ndarray | np.generic) else rng.standard_normal(other)
            array = np.asarray(array)
            inputs.append(f"k{len(constants)}")
            constants[inputs[-1]] = array.astype(np.float32) if array.dtype.kind == "f" else array
        outputs = {f"y{k}": "float32" for k in range(count)}
        outputs |= {"y0": "int64"} if op.startswith("Arg") else {}
        node = helper.make_node(op, inputs, list(outputs), **attributes)
        yield f"opset{opset}_{op.lower()}_{number}", file([node], {"x": ("float32", shape)}, outputs, constants, opset)


# ---------------------------------------------------------------------------------------------------- onnxruntime's own ways


def compat():
    """(name, file): rows of length 0 with a state, constants that are not given, or given and not taken, and clip."""
    rng = np.random.default_rng(5)

    def draw(kind, ways):
        k = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
        shapes = {
            "X": (7, 3, F),
            "W": (ways, k * H, F),
            "R": (ways, k * H, H),
            "B": (ways, 2 * k * H),
            "initial_h": (ways, 3, H),
        }
        shapes |= {"initial_c": (ways, 3, H)} if kind == "LSTM" else {}
        return {name: (0.5 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}

    for kind, direction in (("RNN", "forward"), ("GRU", "bidirectional"), ("LSTM", "reverse"), ("LSTM", "bidirectional")):
        arrays = draw(kind, 1 + (direction == "bidirectional")) | {"sequence_lens": np.array([4, 0, 7], np.int32)}
        yield (
            f"compat_empty_{kind.lower()}_{direction}",
            alone(kind, arrays, hidden_size=H, direction=direction),
        )
    for name in ("ThresholdedRelu", "Affine", "ScaledTanh"):
        arrays = draw("LSTM", 1)
        words = {"hidden_size": H, "activations": ["Sigmoid", name, "Softsign"]}
        yield (
            f"compat_default_{name.lower()}",
            alone("LSTM", arrays, **words),
        )
    arrays = draw("GRU", 1)
    words = {
        "hidden_size": H,
        "activations": ["sigmoid", "LEAKYRELU"],
        "activation_alpha": [0.3, 0.2],
        "activation_beta": [0.1],
    }
    yield "compat_spare_gru", alone("GRU", arrays, **words)
    arrays = draw("RNN", 1)
    words = {"hidden_size": H, "activations": ["Softsign", "Relu"], "activation_alpha": [0.3]}
    yield "compat_spare_rnn", alone("RNN", arrays, **words)
    arrays = draw("LSTM", 2)
    words = {"hidden_size": H, "direction": "bidirectional", "clip": 0.25}
    yield "compat_clip_lstm", alone("LSTM", arrays, **words)


def by_onnxruntime(name, proto):
    """Two runs of a file, with random inputs in which zeros stand behind a row's end."""
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    given, made = [], []
    fixed = {tensor.name for tensor in proto.graph.initializer}
    sizes = (
        SIZES if any(dim.dim_param for value in proto.graph.input for dim in value.type.tensor_type.shape.dim) else SIZES[:1]
    )
    for run, (B, T) in enumerate(sizes):
        rng, inputs = np.random.default_rng([7, run]), {}
        for value in proto.graph.input:
            tensor = value.type.tensor_type
            shape = [dim.dim_value or {"B": B, "T": T}[dim.dim_param] for dim in tensor.shape.dim]
            if value.name in fixed:
                continue
            if value.name == "words":
                array = rng.integers(-WORDS, WORDS, shape)
            elif value.name == "lengths":
                array = np.array([T, *(1 + (3 * k) % T for k in range(B - 1))])
            else:
                array = rng.standard_normal(shape)
            if name.startswith("keras"):
                for row in range(1, B):
                    array[row, 2 + row :] = 0
            inputs[value.name] = array.astype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        outputs = dict(zip([out.name for out in session.get_outputs()], session.run(None, inputs), strict=True))
        assert all(np.isfinite(a).all() for a in outputs.values() if a.dtype.kind == "f"), name
        given.append(inputs)
        made.append(outputs)
    return name, proto, given, made


def main():
    arrays, cases = {}, []
    warnings.simplefilter("ignore")
    logging.disable()
    hand = (by_onnxruntime(name, proto) for name, proto in (*by_hand(), *early(), *compat()))
    with zipfile.ZipFile(HERE / "onnx_graphs.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, proto, given, made in (*torch_cases(), *hand):
            for value in (*proto.graph.value_info, *proto.graph.node, *proto.graph.input, *proto.graph.output):
                for field in ("doc_string", "metadata_props"):  # where the exporter's own source lies
                    value.ClearField(field)
            archive.writestr(zipfile.ZipInfo(f"{name}.onnx"), proto.SerializeToString(), zipfile.ZIP_DEFLATED)
            cases.append({"case": name})
            for run, (inputs, outputs) in enumerate(zip(given, made, strict=True)):
                for way, found in (("in", inputs), ("out", outputs)):
                    arrays |= {f"{name}/{run}/{way}.{key}": np.asarray(array, order="C") for key, array in found.items()}
    versions = f"torch {torch.__version__}, onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}"
    metadata = {"framework": versions, "script": Path(__file__).name, "cases": json.dumps(cases)}
    save_file(arrays, HERE / "onnx_graphs.safetensors", metadata=metadata)
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
