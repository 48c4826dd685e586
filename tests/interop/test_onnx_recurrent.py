"""ONNX's RNN, GRU and LSTM: every attribute against the oracle, what onnxruntime gave, and what is refused."""

import itertools
from contextlib import nullcontext

import goldens
import numpy as np
import onnx_files
import oracle
import pytest
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
    states = dict(zip(("Y_h", "Y_c"), (np.array(part) for part in final), strict=False))
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
    given = {name: a for name, a in arrays.items() if not name.startswith("Y")}
    words = {name: value for name, value in about.items() if name not in ("case", "kind") and value}
    proto = onnx_files.recurrent(kind, given, ("W", "R", "B", "P"), hidden_size=H, **words)
    path = tmp_path / "m.onnx"
    got = onnx_files.opened(path, proto, compat="onnxruntime", kernel=kernel).run(
        {n: given[n] for n in given if n not in "WRBP"}
    )
    for name, array in got.items():
        scale = max(1, np.abs(arrays[name]).max())
        np.testing.assert_allclose(array, arrays[name], rtol=0, atol=1e-5 * scale, err_msg=name)
    spec = onnx_files.opened(path, proto).run({n: given[n] for n in given if n not in "WRBP"})
    differs = kind == "LSTM" and about.get("clip")
    with pytest.raises(AssertionError) if differs else nullcontext():
        np.testing.assert_allclose(spec["Y"], arrays["Y"], rtol=0, atol=1e-5 * max(1, np.abs(arrays["Y"]).max()))
