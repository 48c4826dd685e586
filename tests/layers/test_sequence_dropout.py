"""input_dropout and recurrent_dropout: against Keras with the same masks, the gradients, what draws a mask and what doesn't."""

import goldens
import numpy as np
import pytest
from layer_checks import arrays_of, draw_params, draw_state, worst_error

import gatewright as gw
from gatewright import layers
from gatewright.parameters import Parameters
from gatewright.steps import Steps

F, H = 3, 4
KINDS = {
    "rnn": (layers.RNN, {}),
    "lstm": (layers.LSTM, {}),
    "gru": (layers.GRU, {}),
    "gru_before": (layers.GRU, {"reset_after": False}),
    "peepholes": (layers.LSTM, {"peepholes": True}),
    "coupled": (layers.LSTM, {"coupled": True, "projection": 2}),
}
KERAS = goldens.load("keras_dropout")
HOLES = Steps(
    np.array([6, 4, 6]),
    np.array([[1, 1, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], bool),
    np.array([[0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool),
)
BOTH = {"input_dropout": 0.3, "recurrent_dropout": 0.4}


def build(kind, input_size=F, hidden_size=H, **options):
    cls, fixed = KINDS[kind]
    return cls(input_size, hidden_size, **fixed, **options)


class Told:
    """A generator whose draws make the masks that it is given, in this order."""

    def __init__(self, *masks):
        self.masks = list(masks)

    def random(self, shape):
        mask = self.masks.pop(0)
        assert mask.shape == shape
        return (mask > 0).astype(float)


@pytest.mark.parametrize("case", KERAS)
def test_keras(case):
    """Outputs and final states as Keras has them, in float32, with the masks that it was given."""
    about, a = KERAS[case]
    rates = {"input_dropout": about.get("dropout", 0.0), "recurrent_dropout": about.get("recurrent_dropout", 0.0)}
    words = {n: about[n] for n in ("return_sequences", "go_backwards") if n in about} | rates
    repeat = "mask" in a and about["return_sequences"]
    kind = about["kind"].removesuffix("_after")
    layer = build(kind, a["x"].shape[2], len(a["w1"]), masked_output="repeat" if repeat else "zero", **words)
    params = layer.init(np.random.default_rng(0))
    params.assign(goldens.from_keras(about, a)[0][0])
    state = tuple(a[k][None].astype(float) for k in sorted(a) if k.startswith("s"))
    steps = Steps(mask=a.get("mask", np.ones(a["x"].shape[:2], bool)))
    longest_first = np.argsort(-steps.mask.sum(axis=1), kind="stable")  # so the rows stand when masks are drawn
    rng = Told(*(a[f"dropped_{n}"][longest_first] for n, rate in zip("xh", rates.values(), strict=True) if rate))
    y, final, _ = layer.forward(params, a["x"].astype(float), state, steps=steps, training=True, rng=rng)
    assert not rng.masks
    np.testing.assert_allclose(y, a["y"], rtol=0, atol=2e-6)
    for k, got in enumerate(arrays_of(final)):
        np.testing.assert_allclose(got[0], a[f"n{k}"], rtol=0, atol=2e-6)
    plain = layer.forward(params, a["x"].astype(float), state, steps=steps)[0]
    assert np.abs(plain - a["y"]).max() > 1e-3, "the masks change nothing, so nothing is compared"


# ------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rates", [{"input_dropout": 0.3}, {"recurrent_dropout": 0.4}, BOTH], ids="+".join)
@pytest.mark.parametrize("steps", [None, HOLES], ids=["whole", "holes"])
def test_gradients(kind, rates, steps):
    """With the same masks in every pass, the gradients are those of what was computed."""
    rng = np.random.default_rng(3)
    shapes = [{"learn_initial_state": True}, {"num_layers": 2, "bidirectional": True, "dropout": 0.2}, {"go_backwards": True}]
    for seed, options in enumerate(shapes):
        layer = build(kind, **options, **rates)
        params, x, state = draw_params(layer, rng), rng.standard_normal((3, 6, F)), draw_state(layer, 3, rng)
        assert worst_error(layer, params, x, state, steps, dropout=seed, nothing_zero=False) < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_learned_state_and_without_bias(kind):
    rng = np.random.default_rng(5)
    layer = gw.Bidirectional(build(kind, learn_initial_state=True, bias=False, **BOTH), "sum")
    params, x = draw_params(layer, rng), rng.standard_normal((3, 6, F))
    assert worst_error(layer, params, x, None, HOLES, dropout=1, nothing_zero=False) < 1e-10


# ------------------------------------------------------------------------------------------------ which masks


def masks_of(layer, steps=None, batch=3, seed=0):
    """What one forward pass of training multiplied by, layer by layer and direction by direction."""
    rng = np.random.default_rng(seed)
    cache = layer.forward(draw_params(layer, rng), rng.standard_normal((batch, 6, F)), steps=steps, training=True, rng=rng)[2]
    return [kept.masks for kept in cache.scans]


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_direction_and_gate_has_its_own(kind):
    layer = build(kind, hidden_size=6, num_layers=2, bidirectional=True, **BOTH)
    masks = masks_of(layer, batch=8)
    assert [mask.x.shape[1] for mask in masks] == [F, F, 2 * layer.sizes.h, 2 * layer.sizes.h]
    for mask in masks:
        assert mask.h.shape == (8, len(layer.gates) * layer.sizes.h)
        assert set(np.unique(mask.h)) <= {0.0, 1 / 0.6}
        assert set(np.unique(mask.x)) <= {0.0, 1 / 0.7}
    gates = [gate.tobytes() for mask in masks for gate in np.split(mask.h, len(layer.gates), axis=1)]
    assert len(set(gates)) == len(gates)
    assert len({row.tobytes() for mask in masks[2:] for row in mask.x}) > 3


def test_a_segment_is_a_sequence_with_masks_of_its_own():
    (mask,) = masks_of(layers.LSTM(F, H, **BOTH), HOLES)
    assert mask.h.shape == (5, 4 * H)  # three rows, two starts
    assert len({row.tobytes() for row in mask.h}) == 5


def test_masks_keep_the_mean():
    """A state that stays: h' = U (keep * h), one input: 0 or 1 / (1 - rate) each, 1 on average."""
    for option, value in (("input_dropout", "W"), ("recurrent_dropout", "U")):
        layer = layers.RNN(1, 1, activation=None, bias=False, **{option: 0.25})
        params = Parameters.of({name: np.array([[float(name == value)]]) for name in "WU"})
        state = (np.ones((1, 10000, 1)),)
        y, _, _ = layer.forward(params, np.ones((10000, 1, 1)), state, training=True, rng=np.random.default_rng(0))
        np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75])
        assert abs(y.mean() - 1) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_inference_and_rates_of_zero_draw_nothing(kind):
    rng = np.random.default_rng(0)
    dropped, plain = build(kind, **BOTH), build(kind)
    params, x = draw_params(plain, rng), rng.standard_normal((3, 6, F))
    assert np.array_equal(dropped.forward(params, x)[0], plain.forward(params, x)[0])
    before = rng.bit_generator.state
    trained = plain.forward(params, x, training=True, rng=rng)[0]
    assert rng.bit_generator.state == before
    assert np.array_equal(trained, plain.forward(params, x)[0])
    with pytest.raises(gw.OptionError, match="needs rng"):
        dropped.forward(params, x, training=True)


# ------------------------------------------------------------------------------------------------ in a model


def test_which_code_trains():
    """Inference is compiled as ever; training is NumPy's with recurrent_dropout, and kernels() says so."""
    net = gw.Sequential(gw.LSTM(2, 3, recurrent_dropout=0.2), gw.GRU(3, 3, input_dropout=0.2))
    for kernel in ("auto", "compiled"):
        first, second = gw.Model(net, kernel=kernel).kernels()
        assert first.path == second.path == "compiled"
        assert first.reason.endswith("training runs on NumPy: recurrent_dropout")
        assert second.reason.endswith("training too")
    choices = [layer.choice(np.dtype(np.float32), "compiled", training=True) for layer in net.layers]
    assert [choice.path for choice in choices] == ["numpy", "compiled"]
    assert choices[0].reason == "training runs on NumPy: recurrent_dropout"


@pytest.mark.parametrize("kernel", ["numpy", "auto"])
def test_training_is_reproducible_and_saved(kernel, tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((8, 9, 2)), rng.standard_normal((8, 9, 3))
    net = gw.LSTM(2, 3, num_layers=2, dropout=0.1, input_dropout=0.2, recurrent_dropout=0.3)

    def fitted(seed, net=net):
        model = gw.Model(net, seed=0, kernel=kernel)
        model._rng = np.random.default_rng(seed)
        model.fit(x, y, epochs=2, tbptt=(3, 6), shuffle=False, verbose=False, batch_size=4)
        return model

    model = fitted(1)
    assert np.array_equal(model.parameters.flat, fitted(1).parameters.flat)
    assert not np.array_equal(model.parameters.flat, fitted(2).parameters.flat)
    for option in ("input_dropout", "recurrent_dropout"):
        assert not np.array_equal(model.parameters.flat, fitted(1, net.replace(**{option: 0.0})).parameters.flat)
    model.save(tmp_path / "m.safetensors")
    again = gw.load(tmp_path / "m.safetensors", kernel=kernel)
    assert again.layer == net
    assert repr(again.layer) == "LSTM(2, 3, num_layers=2, dropout=0.1, input_dropout=0.2, recurrent_dropout=0.3)"
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize("option", ["input_dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [-0.1, 1.0, True, "half", None])
def test_refusals(option, rate):
    for kind in (gw.RNN, gw.LSTM, gw.GRU):
        with pytest.raises(gw.OptionError, match=f"{option}: got"):
            kind(2, 3, **{option: rate})
