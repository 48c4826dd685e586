"""What RNN, LSTM and GRU can be beyond the textbook: values against the oracle, gradients, files, streams, refusals."""

import dataclasses
import itertools

import goldens
import numpy as np
import pytest
from layer_checks import arrays_of, assert_same, by_oracle, draw_params, draw_state, worst_error

import gatewright as gw
from gatewright.errors import OptionError
from gatewright.parameters import Parameters
from gatewright.steps import Steps

F, H = 3, 4
ONNX = goldens.load("onnx_layers")
EXTRAS = {
    "peepholes": {"peepholes": True},
    "coupled": {"coupled": True},
    "projection": {"projection": 2},
    "cell_activation": {"cell_activation": "softplus"},
}
SEVERAL = [("peepholes", "coupled"), ("peepholes", "projection"), ("coupled", "projection", "cell_activation"), tuple(EXTRAS)]
VARIANTS = [(name,) for name in EXTRAS] + SEVERAL
SHOWN = {
    "all": {},
    "last": {"return_sequences": False},
    "states": {"return_state_sequence": True},
    "backwards": {"go_backwards": True},
    "repeat": {"masked_output": "repeat"},
}
HOLES = Steps(
    np.array([6, 4, 6]),
    np.array([[1, 1, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], bool),
    np.array([[0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool),
)


def lstm(variant, **options):
    """(the layer, its options as the oracle takes them)."""
    extras = {name: value for part in variant for name, value in EXTRAS[part].items()}
    return gw.LSTM(F, H, **extras, **options), extras | options


def agrees(kind, layer, words, state_given=True):
    """Values against the oracle and gradients along random directions, dense and with holes and starts."""
    rng = np.random.default_rng(0)
    params, x = draw_params(layer, rng), rng.standard_normal((3, 6, F))
    state = draw_state(layer, 3, rng) if state_given else None
    for steps in (None, HOLES):
        given = x if steps is None else np.where(steps.live(3, 6)[..., None], x, np.nan)
        y, final, _ = layer.forward(params, given, state, steps=steps)
        wanted, wanted_final = by_oracle(kind, params, given, state, steps, words)
        assert_same(y, wanted)
        assert_same(final, wanted_final)
        assert layer.shape_out(x.shape) == arrays_of(y)[0].shape
        assert [a.shape for a in arrays_of(final)] == list(layer.state_shape(3))
        error = worst_error(layer, params, given, state, steps)
        assert error < (1e-10 if layer.analytic else 1e-7), (layer, error)


@pytest.mark.parametrize("variant", VARIANTS, ids="+".join)
@pytest.mark.parametrize("shown", SHOWN)
def test_every_variant(variant, shown):
    for num_layers, both in itertools.product((1, 2), (False, True)):
        if not (both and shown == "backwards"):
            agrees("lstm", *lstm(variant, num_layers=num_layers, bidirectional=both, **SHOWN[shown]))


CLIPPED = {
    "rnn": gw.RNN(F, H, clip=0.6),
    "lstm": gw.LSTM(F, H, clip=0.6, activation="softplus"),
    "lstm variant": gw.LSTM(F, H, clip=0.6, peepholes=True, coupled=True, cell_activation="silu", projection=2),
    "gru": gw.GRU(F, H, clip=0.6, num_layers=2, bidirectional=True),
    "gru_before": gw.GRU(F, H, clip=0.6, reset_after=False),
}
OPTIONS = (
    "activation",
    "recurrent_activation",
    "cell_activation",
    "coupled",
    "num_layers",
    "bidirectional",
    "reset_after",
    "clip",
)


@pytest.mark.parametrize("kind", CLIPPED)
def test_clip(kind):
    """The oracle's values, gradients by differences; some sums are beyond the clip and some are not."""
    layer = CLIPPED[kind]
    words = {name: getattr(layer, name) for name in OPTIONS if hasattr(layer, name)}
    words |= {name: value.name for name, value in words.items() if hasattr(value, "name")}
    assert not layer.analytic
    agrees(kind.split(" ")[0], layer, words)
    rng, shape = np.random.default_rng(0), (3, 6, F)
    params, x = draw_params(layer, rng), rng.standard_normal(shape)
    outputs = [layer.replace(clip=clip).forward(params, x)[0] for clip in (0.6, 1e-9, 1e3, None)]
    assert np.array_equal(outputs[2], outputs[3])
    assert not any(np.allclose(a, b) for a, b in itertools.combinations(outputs[:3], 2))


def test_clip_of_one_activation():
    """Each may have a clip of its own: all of them together are the layer's."""
    rng, x = np.random.default_rng(0), np.random.default_rng(1).standard_normal((3, 6, F))
    tanh, sigmoid = gw.Activation("tanh", clip=0.5), gw.Activation("sigmoid", clip=0.5)
    own = {"activation": tanh, "recurrent_activation": sigmoid, "cell_activation": "tanh"}  # the cell state is not clipped
    layer, words = gw.LSTM(F, H, **own), {"activation": {"of": "tanh", "clip": 0.5}}
    words |= {"recurrent_activation": {"of": "sigmoid", "clip": 0.5}, "cell_activation": "tanh"}
    agrees("lstm", layer, words)
    params = draw_params(layer, rng)
    all_clipped = gw.LSTM(F, H, activation=tanh, recurrent_activation=sigmoid).forward(params, x)[0]
    assert np.array_equal(gw.LSTM(F, H, clip=0.5).forward(params, x)[0], all_clipped)
    assert not np.allclose(layer.forward(params, x)[0], all_clipped)
    with pytest.raises(OptionError, match=r"clip=1.0 is for all activations, and activation=Activation\('tanh', clip=0.5\)"):
        gw.LSTM(F, H, clip=1.0, activation=tanh)


@pytest.mark.parametrize("layer", [*CLIPPED.values(), gw.LSTM(F, H, activation=gw.Activation("tanh", clip=0.5))], ids=repr)
def test_a_clipped_layer_in_a_file_and_not_compiled(layer, tmp_path):
    model = gw.Model(layer, seed=0)
    model.save(tmp_path / "m.safetensors")
    assert gw.load(tmp_path / "m.safetensors").layer == layer
    ((_, _, path, reason),) = model.kernels()
    assert path == "numpy"
    assert "clip=0." in reason or "peepholes" in reason
    with pytest.raises(OptionError, match="PyTorch, which knows"):
        model.to_pytorch()


PAIRS = {
    "rnn": {"activation": ("softplus", "tanh")},
    "gru": {"activation": ("tanh", "silu"), "recurrent_activation": ("sigmoid", "tanh")},
    "gru_before": {"activation": ("tanh", "softplus"), "clip": 0.7},
    "lstm": {"recurrent_activation": ("sigmoid", "tanh")},
    "lstm variant": {"activation": "silu", "cell_activation": ("silu", "tanh")},  # the first way is a plain LSTM
    "lstm variants": {"activation": ("tanh", "softplus"), "cell_activation": "silu", "peepholes": True, "projection": 2},
}


def pair(kind, **more):
    """A layer in both directions, each with activations of its own."""
    cls = {"rnn": gw.RNN, "gru": gw.GRU, "lstm": gw.LSTM}[kind.split(" ")[0].split("_")[0]]
    words = {"reset_after": False} if kind == "gru_before" else {}
    return cls(F, H, bidirectional=True, **words, **PAIRS[kind], **more)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_an_activation_for_each_direction(kind, num_layers):
    words = {name: list(value) if isinstance(value, tuple) else value for name, value in PAIRS[kind].items()}
    shape = {"num_layers": num_layers, "bidirectional": True}
    agrees(kind.split(" ")[0], pair(kind, num_layers=num_layers), words | shape)


@pytest.mark.parametrize("kind", PAIRS)
def test_a_pair_is_two_layers(kind, tmp_path):
    """gw.Bidirectional of two layers gives the same bits; files, the choice of code and PyTorch know of the pair."""
    layer, x = pair(kind), np.random.default_rng(1).standard_normal((2, 6, F))
    model, both = gw.Model(layer, seed=0), gw.Bidirectional(layer.ways[0], backward_layer=layer.ways[1])
    params = draw_params(layer, np.random.default_rng(0))
    assert np.array_equal(layer.forward(params, x)[0], both.forward(params, x)[0])
    swapped = layer.replace(**{name: v[::-1] if isinstance(v, tuple) else v for name, v in PAIRS[kind].items()})
    assert not np.allclose(swapped.forward(params, x)[0], layer.forward(params, x)[0])
    model.save(tmp_path / "m.safetensors")
    assert gw.load(tmp_path / "m.safetensors").layer == layer
    assert eval(repr(layer), {"LSTM": gw.LSTM, "GRU": gw.GRU, "RNN": gw.RNN}) == layer
    assert model.kernels()[0][2:] == ("numpy", "activations that differ by direction run on NumPy")
    with pytest.raises(OptionError, match="has no counterpart in PyTorch"):
        model.to_pytorch()


def test_a_pair_of_the_same_is_one():
    assert gw.GRU(2, 3, bidirectional=True, activation=("relu", "relu")) == gw.GRU(2, 3, bidirectional=True, activation="relu")
    last = gw.RNN(2, 1, bidirectional=True, activation=("tanh", "sigmoid"))
    with pytest.raises(OptionError, match="takes logits, but 'sigmoid' makes the output in a place"):
        gw.Model(last).fit(np.ones((1, 3, 2)), np.ones((1, 3, 2)), loss="binary_cross_entropy", verbose=False)


@pytest.mark.parametrize("variant", VARIANTS, ids="+".join)
def test_without_bias_and_from_a_learned_state(variant):
    agrees("lstm", *lstm(variant, bias=False, bidirectional=True, learn_initial_state=True), state_given=False)


ONNX_WORDS = {  # the operators' activations, in their order
    "rnn": ("activation",),
    "gru": ("recurrent_activation", "activation"),
    "lstm": ("recurrent_activation", "activation", "cell_activation"),
}


def from_onnx(about, arrays):
    """The layer of a case recorded with onnxruntime, and its parameters."""
    kind, clip, words = about["kind"], about.get("clip"), ONNX_WORDS[about["kind"]]
    acts = [gw.Activation(*spec) for spec in goldens.onnx_activations(about)]
    options = {"go_backwards": about.get("direction") == "reverse"}
    if kind == "lstm":
        options |= {"peepholes": "P" in arrays, "coupled": bool(about["input_forget"])}
        # onnxruntime does not clip what goes into the third
        acts = [act if clip is None or k % 3 == 2 else dataclasses.replace(act, clip=clip) for k, act in enumerate(acts)]
    else:
        options |= {"clip": clip} | ({"reset_after": bool(about["linear_before_reset"])} if kind == "gru" else {})
    cls, sizes = {"rnn": gw.RNN, "gru": gw.GRU, "lstm": gw.LSTM}[kind], (arrays["X"].shape[2], arrays["R"].shape[2])
    ways = [acts[k : k + len(words)] for k in range(0, len(acts), len(words))]
    ways = [cls(*sizes, **options, **dict(zip(words, way, strict=True))) for way in ways]
    layer = ways[0] if len(ways) == 1 else gw.Bidirectional(ways[0], backward_layer=ways[1])
    prefixes = ("",) if len(ways) == 1 else ("forward.", "backward.")
    found = {p + name: w for d, p in enumerate(prefixes) for name, w in goldens.from_onnx(about, arrays, d).items()}
    return layer, Parameters.of({name: found[name] for name in layer.shapes()})


@pytest.mark.parametrize("case", ONNX)
def test_onnx(case):
    """Outputs and final states as onnxruntime has them, in float32, unequal rows included."""
    about, a = ONNX[case]
    layer, params = from_onnx(about, a)
    names, ways = "hc" if about["kind"] == "lstm" else "h", len(a["W"])
    first = [tuple(a[f"initial_{name}"][d : d + 1].astype(float) for name in names) for d in range(ways)]
    x, steps = a["X"].astype(float).swapaxes(0, 1), Steps(lengths=a["sequence_lens"])
    y, final, _ = layer.forward(params, x, first[0] if ways == 1 else tuple(first), steps=steps)
    wanted = np.concatenate(list(a["Y"].transpose(1, 2, 0, 3)), axis=-1)
    if about.get("direction") == "reverse":  # ours stand in the order of processing
        for row, n in zip(wanted, a["sequence_lens"], strict=True):
            row[:n] = row[:n][::-1].copy()
    pairs = [("Y", y, wanted)]
    for d, state in enumerate([final] if ways == 1 else final):
        pairs += [(f"Y_{name}", part[0], a[f"Y_{name}"][d]) for name, part in zip(names, state, strict=True)]
    for name, got, want in pairs:
        np.testing.assert_allclose(got, want, rtol=0, atol=5e-6 * max(1, np.abs(want).max()), err_msg=name)


def test_a_coupled_gate_is_a_forget_gate_with_the_opposite_sums():
    """1 - sigmoid(a) = sigmoid(-a), so the plain LSTM with -Wi, -Ui, -bi for f does the same."""
    rng, x = np.random.default_rng(0), np.random.default_rng(1).standard_normal((2, 7, F))
    layer = gw.LSTM(F, H, coupled=True)
    params = draw_params(layer, rng)
    full = {name: np.concatenate([a[..., :H], -a[..., :H], a[..., H:]], axis=-1) for name, a in params.items()}
    np.testing.assert_allclose(layer.forward(params, x)[0], gw.LSTM(F, H).forward(Parameters.of(full), x)[0], atol=1e-14)


def test_a_projection_onto_everything_is_none():
    x, plain, layer = np.random.default_rng(1).standard_normal((2, 7, F)), gw.LSTM(F, H), gw.LSTM(F, H, projection=H)
    params = draw_params(plain, np.random.default_rng(0))
    whole = Parameters.of({**dict(params.items()), "V": np.eye(H)})
    np.testing.assert_allclose(layer.forward(whole, x)[0], plain.forward(params, x)[0], atol=1e-15)


def test_names_and_shapes():
    layer = gw.LSTM(3, 4, peepholes=True, projection=2, learn_initial_state=True)
    one = {"W": (3, 16), "U": (2, 16), "b": (16,), "P": (12,), "V": (4, 2), "h0": (2,), "c0": (4,)}
    assert layer.init(np.random.default_rng(0)).shapes == one
    assert layer.shape_out((5, 6, 3)) == (5, 6, 2)
    assert gw.LSTM(3, 4, peepholes=True, coupled=True, bias=False).shapes() == {"W": (3, 12), "U": (4, 12), "P": (8,)}
    deep = gw.LSTM(3, 4, projection=2, num_layers=2, bidirectional=True)
    assert deep.shapes()["layer1.backward.W"] == (4, 16)
    assert deep.state_shape(5) == ((4, 5, 2), (4, 5, 4))


def test_beginnings():
    """Peepholes at zero, and the coupled input gate where the forget gate of another LSTM would be."""
    p = gw.LSTM(5, 40, peepholes=True, projection=8).init(np.random.default_rng(0))
    assert p["b"].tolist() == [0] * 40 + [1] * 40 + [0] * 80
    assert not p["P"].any()
    limit = np.sqrt(6 / (40 + 8))
    assert 0.9 * limit < np.abs(p["V"]).max() <= limit
    assert gw.LSTM(5, 4, coupled=True).init(np.random.default_rng(0))["b"].tolist() == [-1] * 4 + [0] * 8
    p = gw.LSTM(5, 16, peepholes=True, projection=8, init="pytorch").init(np.random.default_rng(0))
    assert all(0.8 * 0.25 < np.abs(array).max() <= 0.25 for _, array in p.items())
    chrono = {"init": "chrono", "chrono_steps": 30}
    b = gw.LSTM(5, 50, coupled=True, **chrono).init(np.random.default_rng(0))["b"]
    assert -np.log(29) <= b[:50].min() < -np.log(20)
    assert not b[50:].any()


@pytest.mark.parametrize("variant", VARIANTS, ids="+".join)
def test_as_a_model(variant, tmp_path):
    """Files, weights as a list, streams, summary, training: whatever a plain layer can do."""
    layer, extras = lstm(variant, num_layers=2)
    model = gw.Model(gw.Sequential(layer, gw.Dense(layer.shape_out((1, 1, F))[2], 1)), seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 9, F)), rng.standard_normal((2, 9, 1))
    assert model.gradcheck(x, y, loss="mse").ok
    before = model.evaluate(x, y)
    assert model.fit(x, y, epochs=20, verbose=False)["loss"][-1] < before["loss"]
    out = model.predict(x)
    model.save(tmp_path / "m.safetensors")
    again = gw.load(tmp_path / "m.safetensors")
    assert again.layer == model.layer
    assert np.array_equal(again.predict(x), out)
    assert repr(layer) in model.summary()
    assert all(f"{name}={value!r}" in repr(layer) for name, value in extras.items())
    other = gw.Model(model.layer, seed=2, dtype="float64")
    other.set_weights(model.get_weights())
    assert np.array_equal(other.predict(x), out)
    stream = model.stream(2)
    first = stream.run(x[:, :4])
    steps = [stream.step(x[:, t]) for t in range(4, 9)]
    np.testing.assert_allclose(np.concatenate([first, np.stack(steps, axis=1)], axis=1), out, rtol=0, atol=1e-13)


@pytest.mark.parametrize("variant", VARIANTS, ids="+".join)
def test_not_compiled_and_why(variant):
    layer, _ = lstm(variant)
    ((_, _, path, reason),) = gw.Model(layer).kernels()
    assert (path, reason) == ("numpy", "peepholes, coupled, projection or cell_activation: the plain LSTM is compiled")
    with pytest.raises(OptionError, match="kernel='compiled' is not possible: peepholes"):
        gw.Model(layer, kernel="compiled")
    if variant != ("projection",):
        with pytest.raises(OptionError, match=f"has no counterpart in PyTorch, which knows {variant[0]}="):
            gw.Model(layer).to_pytorch()


def test_projections_that_pytorch_has():
    assert gw.Model(gw.LSTM(2, 4, projection=3)).to_pytorch()["weight_hr_l0"].shape == (3, 4)
    with pytest.raises(OptionError, match="a projection is smaller than hidden_size"):
        gw.Model(gw.LSTM(2, 4, projection=4)).to_pytorch()


def test_a_cell_activation_that_says_nothing_new_is_left_out():
    assert gw.LSTM(2, 3, activation="relu", cell_activation="relu") == gw.LSTM(2, 3, activation="relu")
    assert gw.LSTM(2, 3, cell_activation="linear") != gw.LSTM(2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peepholes": 1}, "peepholes: got 1, wanted True or False"),
        ({"coupled": None}, "coupled: got None, wanted True or False"),
        ({"projection": 0}, "projection: got 0, wanted a whole number of at least 1"),
        ({"projection": True}, "projection: got True"),
        ({"cell_activation": "softmax"}, "cell_activation='softmax' is for outputs"),
        ({"cell_activation": "tahn"}, "'tahn' is unknown"),
        ({"activation": ("tanh", "relu")}, r"activation: got \('tanh', 'relu'\), wanted one, or \(forward, backward\)"),
        ({"activation": ("tanh",), "bidirectional": True}, "wanted one, or"),
        ({"cell_activation": ("tanh", None), "bidirectional": True}, "wanted two names: 'linear' for none"),
        ({"activation": ("tanh", "softmax"), "bidirectional": True}, "activation='softmax' is for outputs"),
        ({"clip": 1, "activation": ("tanh", gw.Activation("tanh", clip=2)), "bidirectional": True}, "clip=1.0 is for all"),
        ({"clip": 0}, "clip: got 0, wanted a number above 0"),
        ({"clip": float("nan")}, "clip: got nan"),
        ({"clip": True}, "clip: got True"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(OptionError, match=message):
        gw.LSTM(2, 3, **options)
