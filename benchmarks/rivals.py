"""gatewright and its rivals, all with the weights of one PyTorch network: PyTorch, ONNX Runtime with IO binding, OpenVINO.

Each is run in its own best way: inference mode, inputs and outputs bound where that can be, as many threads as all others, and
of the layouts that it knows the one that is fastest here. x is (T, B, F) or (B, T, F), as each likes it, and never copied anew.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13 as operators
from workloads import Work

import gatewright as gw

# Where the gates of PyTorch's rows stand in the others' order: (ONNX, OpenVINO).
ORDERS = {"LSTM": ([0, 3, 1, 2], [1, 0, 2, 3]), "GRU": ([1, 0, 2], [1, 0, 2]), "RNN": ([0], [0])}


class Entrant(NamedTuple):
    """One way to run the network: `run` does it once, `output` gives the last y as (B, T, O)."""

    run: Callable[[], object]
    output: Callable[[], np.ndarray]


def inference() -> AbstractContextManager[Any]:
    """PyTorch's inference mode, entered once and not at every call."""
    return torch.inference_mode()


def network(work: Work, threads: int, seed: int = 0) -> torch.nn.RNNBase:
    """The network whose weights all entrants have, with PyTorch's own initial weights."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    made = getattr(torch.nn, work.kind)(work.features, work.hidden, work.layers, bidirectional=work.bidirectional)
    return made.eval()


def entrants(net: torch.nn.RNNBase, work: Work, threads: int, stream: bool = False) -> dict[str, dict[str, Entrant]]:
    """{who: {layout: entrant}}; stream: a step a call, gatewright by its Stream, the others from a state that is handed in."""
    x = np.random.default_rng(0).standard_normal((work.batch, work.steps, work.features)).astype(np.float32)
    late = np.ascontiguousarray(x.swapaxes(0, 1))
    return {
        "gatewright": {"batch first": gatewright_entrant(net, x, stream)},
        "pytorch": pytorch_entrants(net, work, (x, late)),
        "onnxruntime": {"time first": onnx_entrant(net, work, late, threads)},
        "openvino": openvino_entrants(net, work, threads, (x, late), "f32"),
        "openvino bf16": openvino_entrants(net, work, threads, (x, late), "bf16"),
    }


def arrays(net: torch.nn.Module) -> dict[str, np.ndarray]:
    """The state dict."""
    return {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}


# --- gatewright


def gatewright_entrant(net: torch.nn.RNNBase, x: np.ndarray, stream: bool) -> Entrant:
    model = gw.from_pytorch(arrays(net))  # as many threads as OMP_NUM_THREADS says
    if not stream:
        return Entrant(lambda: model.run(x), lambda: np.asarray(model.run(x)[0]))
    steps, now = model.stream(len(x)), np.ascontiguousarray(x[:, 0])
    return Entrant(lambda: steps.step(now), lambda: np.asarray(model.stream(len(x)).step(now))[:, None])


# --- PyTorch


def pytorch_entrants(net: torch.nn.RNNBase, work: Work, xs: tuple[np.ndarray, np.ndarray]) -> dict[str, Entrant]:
    found = {}
    for layout, x in zip(("batch first", "time first"), map(torch.from_numpy, xs), strict=True):
        first = layout == "batch first"
        sizes = work.features, work.hidden, work.layers
        own = type(net)(*sizes, bidirectional=work.bidirectional, batch_first=first).eval()
        own.load_state_dict(net.state_dict())
        state = [torch.zeros(work.layers * (1 + work.bidirectional), work.batch, work.hidden) for _ in range(2)]
        handed = tuple(state) if work.kind == "LSTM" else state[0]
        found[layout] = _pytorch(own, x, handed, first)
    return found


def _pytorch(net: torch.nn.RNNBase, x: torch.Tensor, state: Any, first: bool) -> Entrant:
    def output() -> np.ndarray:
        y = net(x, state)[0].numpy()
        return y if first else y.swapaxes(0, 1)

    return Entrant(lambda: net(x, state), output)


# --- ONNX Runtime


def stacked(net: torch.nn.RNNBase, layer: int, order: list[int]) -> tuple[np.ndarray, ...]:
    """W (D, kH, F), R (D, kH, H) and the two biases (D, kH) of a layer, their gates in another order."""
    weights, ends = arrays(net), ["", "_reverse"][: 1 + net.bidirectional]

    def gather(name: str) -> np.ndarray:
        parts = [weights[f"{name}_l{layer}{end}"] for end in ends]
        blocks = [part.reshape(len(order), net.hidden_size, -1)[order].reshape(part.shape) for part in parts]
        return np.ascontiguousarray(np.stack(blocks))

    return tuple(map(gather, ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))


def onnx_model(net: torch.nn.RNNBase, work: Work) -> bytes:
    """The network as ONNX: X (T, B, F) and a state for every layer -> Y (T, D, B, H) of the last layer, and the states."""
    ways, H = 1 + work.bidirectional, work.hidden
    letters = ["h", "c"] if work.kind == "LSTM" else ["h"]
    nodes, constants, now, states = [], [], "X", []
    options: dict[str, Any] = {"linear_before_reset": 1} if work.kind == "GRU" else {}
    for k in range(work.layers):
        W, R, b, recurrent_b = stacked(net, k, ORDERS[work.kind][0])
        held = {f"W{k}": W, f"R{k}": R, f"B{k}": np.concatenate([b, recurrent_b], axis=1)}
        held |= {f"S{k}": np.array([0, 0, ways * H])} if k < work.layers - 1 else {}
        constants += [numpy_helper.from_array(array, name) for name, array in held.items()]
        before, after = [f"{s}{k}" for s in letters], [f"{s}{k}_after" for s in letters]
        states += zip(before, after, strict=True)
        inputs, y = [now, f"W{k}", f"R{k}", f"B{k}", "", *before], f"Y{k}" if k < work.layers - 1 else "Y"
        way = "bidirectional" if work.bidirectional else "forward"
        nodes.append(helper.make_node(work.kind, inputs, [y, *after], hidden_size=H, direction=way, **options))
        if k < work.layers - 1:
            now = f"line{k}"  # (T, B, D H)
            nodes.append(helper.make_node("Transpose", [y], [f"turned{k}"], perm=[0, 2, 1, 3]))
            nodes.append(helper.make_node("Reshape", [f"turned{k}", f"S{k}"], [now]))

    def info(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    inputs = [info("X", work.steps, work.batch, work.features), *(info(s, ways, work.batch, H) for s, _ in states)]
    outputs = [info("Y", work.steps, ways, work.batch, H), *(info(s, ways, work.batch, H) for _, s in states)]
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def joined(y: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """(B, T, O) from another order of (T, D, B, H)."""
    turned = np.transpose(y, axes)
    return turned.reshape(*turned.shape[:2], -1)


def onnx_entrant(net: torch.nn.RNNBase, work: Work, x: np.ndarray, threads: int) -> Entrant:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(onnx_model(net, work), options, providers=["CPUExecutionProvider"])
    binding, value = session.io_binding(), onnxruntime.OrtValue.ortvalue_from_numpy
    for wanted in session.get_inputs():
        given = x if wanted.name == "X" else np.zeros(wanted.shape, np.float32)
        binding.bind_ortvalue_input(wanted.name, value(given))
    outputs = {made.name: value(np.zeros(made.shape, np.float32)) for made in session.get_outputs()}
    for name, place in outputs.items():
        binding.bind_ortvalue_output(name, place)

    def output() -> np.ndarray:
        session.run_with_iobinding(binding)
        return joined(outputs["Y"].numpy(), (2, 0, 1, 3))

    return Entrant(lambda: session.run_with_iobinding(binding), output)


# --- OpenVINO


def openvino_model(net: torch.nn.RNNBase, work: Work) -> openvino.Model:
    """The network of OpenVINO's own operators, which are batch first: X (B, T, F) -> Y (B, D, T, H)."""
    ways, H, B = 1 + work.bidirectional, work.hidden, work.batch
    X = operators.parameter([B, work.steps, work.features], np.float32, name="X")
    way, now = "bidirectional" if work.bidirectional else "forward", X
    zero, lengths = np.zeros((B, ways, H), np.float32), np.full(B, work.steps, np.int64)
    for k in range(work.layers):
        W, R, b, recurrent_b = stacked(net, k, ORDERS[work.kind][1])
        if work.kind == "LSTM":
            made = operators.lstm_sequence(now, zero, zero, lengths, W, R, b + recurrent_b, H, way)
        elif work.kind == "GRU":
            four = np.concatenate([(b + recurrent_b)[:, : 2 * H], b[:, 2 * H :], recurrent_b[:, 2 * H :]], axis=1)
            made = operators.gru_sequence(now, zero, lengths, W, R, four, H, way, linear_before_reset=True)
        else:
            made = operators.rnn_sequence(now, zero, lengths, W, R, b + recurrent_b, H, way)
        if k < work.layers - 1:
            turned = operators.transpose(made.output(0), np.array([0, 2, 1, 3]))
            now = operators.reshape(turned, np.array([B, work.steps, ways * H]), False)
    return openvino.Model([made.output(0)], [X], "network")


def openvino_entrants(
    net: torch.nn.RNNBase, work: Work, threads: int, xs: tuple[np.ndarray, np.ndarray], precision: str
) -> dict[str, Entrant]:
    """With its own operators, and with ONNX's; floats are float32 only if one insists."""
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    models = {"batch first": openvino_model(net, work), "ONNX": core.read_model(onnx_model(net, work))}
    compiled = {name: core.compile_model(model, "CPU", options) for name, model in models.items()}
    return {name: _openvino(made, x) for (name, made), x in zip(compiled.items(), xs, strict=True)}


def _openvino(compiled: openvino.CompiledModel, x: np.ndarray) -> Entrant:
    request = compiled.create_infer_request()
    # The tensors are views of these arrays and don't keep them alive: `run` does.
    given = [x if place.any_name == "X" else np.zeros(list(place.shape), np.float32) for place in compiled.inputs]
    for place, array in zip(compiled.inputs, given, strict=True):
        request.set_tensor(place, openvino.Tensor(array, shared_memory=True))
    late = len(given) > 1

    def run(given: list[np.ndarray] = given) -> None:
        request.infer(share_outputs=True)  # in this thread; start_async hands over to another, which takes 10 µs

    def output() -> np.ndarray:
        run()
        return joined(request.get_output_tensor(0).data, (2, 0, 1, 3) if late else (0, 2, 1, 3))

    return Entrant(run, output)
