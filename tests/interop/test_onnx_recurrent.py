"""ONNX's RNN, GRU and LSTM: every attribute against the oracle, what onnxruntime gave, and what is refused."""

import itertools
from contextlib import nullcontext

import goldens
import hypothesis.strategies as st
import numpy as np
import onnx_files
import oracle
import pytest
from hypothesis import given, settings
from refusals import refused

from gatewright.errors import FormatError

T, B, F, H = 7, 3, 2, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
RECORDED = goldens.load("onnx_layers")
DIRECTIONS = ("forward", "reverse", "bidirectional")
# (activations of one direction, of the other, alphas, betas of both); numbers that are the same in float32
FUNCTIONS = {
    "RNN": (["Affine"], ["LeakyRelu"], [0.75, 0.25], [0.125]),
    "GRU": (["HardSigmoid", "ScaledTanh"], ["Sigmoid", "Elu"], [0.25, 1.5, 0.75], [0.375, 0.625]),
    "LSTM": (
        ["Sigmoid", "ScaledTanh", "Softsign"],
        ["HardSigmoid", "Tanh", "ThresholdedRelu"],
        [1.5, 0.25, 0.125],
        [0.625, 0.375],
    ),
}


def draw(kind, ways, rng, dtype=float, time=T, batch=B, units=H):
    """Every input, random, none of them zero."""
    k = GATES[kind]
    shapes = {
        "X": (time, batch, F), "W": (ways, k * units, F), "R": (ways, k * units, units), "B": (ways, 2 * k * units),
        "initial_h": (ways, batch, units),
    }  # fmt: skip
    if kind == "LSTM":
        shapes |= {"initial_c": (ways, batch, units), "P": (ways, 3 * units)}
    return {name: (0.7 * rng.standard_normal(shape)).astype(dtype) for name, shape in shapes.items()}


def by_oracle(kind, arrays, attributes):
    """{output: array} of the scalar loops, with layout 0."""
    about = {"kind": kind.lower(), **attributes}
    direction = attributes.get("direction", "forward")
    ways, count = len(arrays["W"]), 2 if kind == "LSTM" else 1
    full = {"B": np.zeros((ways, 2 * arrays["W"].shape[1]))} | arrays
    weights = [goldens.from_onnx(about, full, d) for d in range(ways)]
    names = {"RNN": ["activation"], "GRU": ["recurrent_activation", "activation"],
             "LSTM": ["recurrent_activation", "activation", "cell_activation"]}[kind]  # fmt: skip
    plain = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[kind] * ways
    found = goldens.onnx_activations({"activations": plain, **about})
    options = {"go_backwards": direction == "reverse", "clip": attributes.get("clip")}
    options |= {name: [found[d * len(names) + k] for d in range(ways)] for k, name in enumerate(names)}
    options |= {"reset_after": bool(attributes.get("linear_before_reset")), "coupled": bool(attributes.get("input_forget"))}
    x, lengths = arrays["X"].swapaxes(0, 1), arrays.get("sequence_lens")
    units = arrays["R"].shape[2]
    first = [arrays.get(f"initial_{name}", np.zeros((ways, x.shape[0], units))).tolist() for name in "hc"[:count]]
    lengths = None if lengths is None else lengths.tolist()
    y, final = oracle.recurrent(kind.lower(), x.tolist(), [goldens.lists(weights)], options, first, lengths)
    y = np.array(y).reshape(*x.shape[:2], ways, units)
    if direction == "reverse":  # the oracle's stand in the order of processing
        for row, n in zip(y, lengths or [x.shape[1]] * len(x), strict=True):
            row[:n] = row[:n][::-1].copy()
    states = dict(zip(("Y_h", "Y_c"), (np.array(part).reshape(ways, len(x), units) for part in final), strict=False))
    return {"Y": y.transpose(1, 2, 0, 3)} | states


def batch_first(arrays):
    """Inputs or outputs of layout 0 as layout 1 has them."""
    order = {"X": (1, 0, 2), "Y": (2, 0, 1, 3)}
    moved = {"X", "Y", "initial_h", "initial_c", "Y_h", "Y_c"}
    return {name: a.transpose(order.get(name, (1, 0, 2))) if name in moved else a for name, a in arrays.items()}


def agrees(path, kind, arrays, attributes, constants=(), layout=0):
    wanted = by_oracle(kind, arrays, attributes)
    if layout:
        arrays, wanted, attributes = batch_first(arrays), batch_first(wanted), attributes | {"layout": 1}
    words = {name: value for name, value in attributes.items() if value not in (None, [])}
    graph = onnx_files.opened(path, onnx_files.recurrent(kind, arrays, constants, **words))
    got = graph.run({name: array for name, array in arrays.items() if name not in constants})
    assert list(got) == list(wanted)
    for name, array in got.items():
        np.testing.assert_allclose(array, wanted[name], rtol=0, atol=1e-12, err_msg=f"{name} {attributes}")


def functions(kind, both):
    """The attributes of the activations of one direction or of both."""
    one, other, alphas, betas = FUNCTIONS[kind]
    if both:
        return {"activations": one + other, "activation_alpha": alphas, "activation_beta": betas}
    takes = [goldens.ONNX_TAKES.get(name, 0) for name in one]
    alpha, beta = sum(n > 0 for n in takes), sum(n > 1 for n in takes)
    return {"activations": one, "activation_alpha": alphas[:alpha], "activation_beta": betas[:beta]}


OWN = {"RNN": [{}], "GRU": [{"linear_before_reset": v} for v in (0, 1)], "LSTM": [{"input_forget": v} for v in (0, 1)]}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", GATES)
def test_the_product_of_all_attributes(kind, direction, tmp_path):
    """Whatever can be there or not, each with each, in float64, with rows of unequal lengths and one of none."""
    ways, rng, done = 1 + (direction == "bidirectional"), np.random.default_rng(0), 0
    whole = draw(kind, ways, rng) | {"sequence_lens": np.array([7, 0, 4], np.int32)}
    optional = ["B", "sequence_lens", "initial_h", *(["initial_c", "P"] if kind == "LSTM" else [])]
    for left_out in itertools.product((False, True), repeat=len(optional)):
        missing = {name for name, gone in zip(optional, left_out, strict=True) if gone}
        arrays = {name: array for name, array in whole.items() if name not in missing}
        for clip, own, acts in itertools.product((None, 0.5), OWN[kind], ({}, functions(kind, ways == 2))):
            attributes = {"direction": direction, "clip": clip, **own, **acts}
            constants = ("W", "R", "B", "P") if done % 2 else ()
            agrees(tmp_path / "m.onnx", kind, arrays, attributes | {"hidden_size": H}, constants, layout=done // 2 % 2)
            done += 1
    assert done == 2 ** len(optional) * 4 * len(OWN[kind])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_any_sizes_and_lengths(tmp_path_factory, data):
    """No steps, no rows, rows without steps, one feature and one unit."""
    kind, direction = data.draw(st.sampled_from(sorted(GATES))), data.draw(st.sampled_from(DIRECTIONS))
    time, batch, units = (data.draw(st.integers(low, high)) for low, high in ((0, 5), (0, 4), (1, 4)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    arrays = draw(kind, 1 + (direction == "bidirectional"), rng, float, time, batch, units)
    lengths = data.draw(st.none() | st.lists(st.integers(0, time), min_size=batch, max_size=batch))
    arrays |= {} if lengths is None else {"sequence_lens": np.array(lengths, np.int32).reshape(batch)}
    path = tmp_path_factory.mktemp("any") / "m.onnx"
    agrees(path, kind, arrays, {"direction": direction}, layout=data.draw(st.integers(0, 1)))


ALL = sorted(goldens.ONNX_NAMES)


@pytest.mark.parametrize("name", ALL)
def test_every_activation_with_the_defaults_that_the_specification_gives(name, tmp_path):
    arrays = draw("RNN", 1, np.random.default_rng(1))
    takes = goldens.ONNX_TAKES.get(name, 0)
    proto = onnx_files.recurrent("RNN", arrays, activations=[name])
    if name in ("Affine", "ScaledTanh"):
        with refused(FormatError, "m.onnx: node 0 (RNN): the activation", name, "needs activation_alpha, which has no default"):
            onnx_files.opened(tmp_path / "m.onnx", proto).run(arrays)
        with refused(FormatError, "needs activation_beta"):
            proto = onnx_files.recurrent("RNN", arrays, arrays.keys() - {"X"}, activations=[name], activation_alpha=[1.0])
            onnx_files.opened(tmp_path / "m.onnx", proto)
        return
    got = onnx_files.opened(tmp_path / "m.onnx", proto).run(arrays)
    defaults = {"LeakyRelu": (0.01,), "HardSigmoid": (0.2, 0.5), "Elu": (1.0,), "ThresholdedRelu": (1.0,)}.get(name, ())
    assert len(defaults) == takes
    words = {key: [value] for key, value in zip(("activation_alpha", "activation_beta"), defaults, strict=False)}
    wanted = by_oracle("RNN", arrays, {"activations": [name], **words})
    np.testing.assert_allclose(got["Y"], wanted["Y"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", RECORDED)
@pytest.mark.parametrize("kernel", ["auto", "numpy"])
def test_what_onnxruntime_gave(case, kernel, tmp_path):
    """In float32, as the specification says it, and with compat wherever onnxruntime does otherwise: clip and h."""
    about, arrays = RECORDED[case]
    kind = about["kind"].upper()
    inputs = {name: a for name, a in arrays.items() if not name.startswith("Y")}
    words = {name: value for name, value in about.items() if name not in ("case", "kind") and value}
    proto = onnx_files.recurrent(kind, inputs, ("W", "R", "B", "P"), hidden_size=H, **words)
    path = tmp_path / "m.onnx"
    got = onnx_files.opened(path, proto, compat="onnxruntime", kernel=kernel).run(
        {n: a for n, a in inputs.items() if n not in "WRBP"}
    )
    for name, array in got.items():
        scale = max(1, np.abs(arrays[name]).max())
        np.testing.assert_allclose(array, arrays[name], rtol=0, atol=1e-5 * scale, err_msg=name)
    spec = onnx_files.opened(path, proto).run({n: a for n, a in inputs.items() if n not in "WRBP"})
    differs = kind == "LSTM" and about.get("clip")
    with pytest.raises(AssertionError) if differs else nullcontext():
        np.testing.assert_allclose(spec["Y"], arrays["Y"], rtol=0, atol=1e-5 * max(1, np.abs(arrays["Y"]).max()))


# ---------------------------------------------------------------------------------------------------- what may be left out


@pytest.mark.parametrize("kind", GATES)
def test_any_outputs_may_be_left_out(kind, tmp_path):
    arrays = draw(kind, 1, np.random.default_rng(2), np.float32)
    names = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    whole = onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent(kind, arrays)).run(arrays)
    for kept in itertools.product((True, False), repeat=len(names)):
        outputs = [name if keep else "" for name, keep in zip(names, kept, strict=True)]
        for wanted in (outputs, outputs[: len(outputs) - outputs[::-1].index(next((n for n in outputs[::-1] if n), ""))]):
            got = onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent(kind, arrays, outputs=wanted)).run(arrays)
            assert list(got) == [name for name in wanted if name]
            assert all(np.array_equal(array, whole[name]) for name, array in got.items())


def test_one_of_the_two_states(tmp_path):
    """The other is zero."""
    arrays = draw("LSTM", 2, np.random.default_rng(3))
    for name in ("initial_h", "initial_c"):
        some = {key: a for key, a in arrays.items() if key != name}
        agrees(tmp_path / "m.onnx", "LSTM", some, {"direction": "bidirectional"})


def test_the_tanh_that_the_schema_has_too_much(tmp_path):
    """RNN's default is two activations, which some write out for one direction."""
    arrays = draw("RNN", 1, np.random.default_rng(4))
    got = onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent("RNN", arrays, activations=["Tanh", "Tanh"])).run(arrays)
    np.testing.assert_allclose(got["Y"], by_oracle("RNN", arrays, {})["Y"], rtol=0, atol=1e-12)


def test_constants_of_any_chain_of_nodes_are_found(tmp_path):
    """Weights that other nodes make of constants are made once, when the file is read."""
    rng = np.random.default_rng(5)
    arrays = draw("GRU", 1, rng, np.float32)
    turned = {"W": np.ascontiguousarray(arrays["W"][0].T), "axes": np.array([0]), **{n: arrays[n] for n in ("R", "B")}}
    proto = onnx_files.recurrent("GRU", arrays, ("R", "B"))
    plain = onnx_files.opened(tmp_path / "m.onnx", proto).run({n: arrays[n] for n in ("X", "W", "initial_h")})
    nodes = [
        onnx_files.helper.make_node("Transpose", ["W"], ["t"], perm=[1, 0]),
        onnx_files.helper.make_node("Unsqueeze", ["t", "axes"], ["u"]),
        onnx_files.helper.make_node("GRU", ["X", "u", "R", "B", "", "initial_h"], ["Y", "Y_h"]),
    ]
    given = {name: (arrays[name].dtype, arrays[name].shape) for name in ("X", "initial_h")}
    graph = onnx_files.opened(tmp_path / "m.onnx", onnx_files.model(nodes, given, {"Y": "float32", "Y_h": "float32"}, turned))
    assert [step.call.node.op for step in graph._program.nodes] == ["GRU"]
    got = graph.run({name: arrays[name] for name in given})
    assert all(np.array_equal(array, plain[name]) for name, array in got.items())


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("kind", "attributes", "words"),
    [
        ("LSTM", {"direction": "backwards"}, "direction: 'backwards' is not supported; known: forward, reverse, bidirectional"),
        ("LSTM", {"direction": "bidirectional"}, "W has shape (1, 12, 2), wanted (2, 12, 2) with direction='bidirectional'"),
        ("LSTM", {"hidden_size": 4}, "hidden_size=4, and R is for 3 units"),
        ("GRU", {"linear_before_reset": 2}, "linear_before_reset: 2 is not supported; known: 0, 1"),
        ("LSTM", {"input_forget": -1}, "input_forget: -1 is not supported"),
        ("LSTM", {"layout": 2}, "layout: 2 is not supported"),
        ("GRU", {"input_forget": 1}, "the attribute 'input_forget' is not known in opset 14"),
        ("RNN", {"clip": 0.0}, "clip: got 0.0, wanted a number above 0"),
        ("RNN", {"clip": float("nan")}, "clip: got nan"),
        ("RNN", {"activations": ["Swish"]}, "the activation 'Swish' is not known; known: Relu, Tanh"),
        ("RNN", {"activations": ["tanh"]}, "the activation 'tanh' is not known"),
        ("GRU", {"activations": ["Tanh"]}, "activations: got 1, wanted 2 for each of 1 directions"),
        ("RNN", {"activations": ["Relu", "Relu"]}, "activations: got 2, wanted 1"),
        ("RNN", {"activations": ["Elu"], "activation_alpha": [1.0, 2.0]}, "activation_alpha: 1 numbers more than"),
        ("RNN", {"activation_beta": [1.0]}, "activation_beta: 1 numbers more than the functions take"),
        ("RNN", {"activations": ["Elu"], "activation_alpha": [float("inf")]}, "activation 'elu': alpha: got inf"),
    ],
)
def test_attributes_that_are_refused(kind, attributes, words, tmp_path):
    arrays = draw(kind, 1, np.random.default_rng(0), np.float32)
    for constants in ((), arrays.keys() - {"X"}):
        with refused(FormatError, f"m.onnx: node 0 ({kind}): ", words):
            proto = onnx_files.recurrent(kind, arrays, constants, **attributes)
            onnx_files.opened(tmp_path / "m.onnx", proto).run({n: a for n, a in arrays.items() if n not in constants})


def test_layout_is_not_known_before_opset_14(tmp_path):
    arrays = draw("LSTM", 1, np.random.default_rng(0), np.float32)
    with refused(FormatError, "the attribute 'layout' is not known in opset 13"):
        onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent("LSTM", arrays, opset=13, layout=1))


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("X", (7, 3, 5), "X has shape (7, 3, 5), wanted (time, batch, 2)"),
        ("X", (7, 3), "X has shape (7, 3), wanted (time, batch, 2)"),
        ("W", (1, 12), "W has shape (1, 12)"),
        ("W", (1, 12, 0), "W has shape (1, 12, 0)"),
        ("R", (1, 12, 4), "W has shape (1, 12, 2), wanted (1, 16, 2)"),
        ("R", (), "W has shape (1, 12, 2), wanted (1, 0, 2)"),
        ("B", (1, 12), "B has shape (1, 12), wanted (1, 24)"),
        ("P", (9,), "P has shape (9,), wanted (1, 9)"),
        ("initial_h", (1, 2, 3), "initial_h has shape (1, 2, 3)"),
        ("initial_c", (3, 3), "initial_c has shape (3, 3)"),
        ("sequence_lens", (2,), "sequence_lens: got int32 of shape (2,)"),
    ],
)
def test_shapes_that_are_refused(name, shape, words, tmp_path):
    arrays = draw("LSTM", 1, np.random.default_rng(0), np.float32) | {"sequence_lens": np.array([7, 7, 7], np.int32)}
    arrays[name] = np.ones(shape, arrays[name].dtype)
    with refused(FormatError, "m.onnx: node 0 (LSTM): ", words):
        onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent("LSTM", arrays)).run(arrays)


def test_numbers_that_are_refused(tmp_path):
    arrays = draw("LSTM", 1, np.random.default_rng(0), np.float32)
    for lengths in ([8, 1, 1], [-1, 1, 1]):
        some = arrays | {"sequence_lens": np.array(lengths, np.int32)}
        with refused(FormatError, f"sequence_lens: got int32 of shape (3,): {lengths}, wanted 3 whole numbers from 0 to 7"):
            onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent("LSTM", some)).run(some)
    some = arrays | {"R": arrays["R"].astype(float)}
    whole = {name: array.astype(np.int64) for name, array in arrays.items()}
    with refused(FormatError, "got int64 values, wanted floats"):
        onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent("LSTM", whole)).run(whole)
    with refused(FormatError, "inputs of types float32 and float64, wanted one"):
        onnx_files.opened(tmp_path / "m.onnx", onnx_files.recurrent("LSTM", some)).run(some)
