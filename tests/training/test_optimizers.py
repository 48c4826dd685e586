"""Optimizers and clipping against PyTorch's traces; groups, frozen names and what is refused."""

import goldens
import numpy as np
import pytest

from gatewright.errors import OptionError
from gatewright.parameters import Parameters
from gatewright.training import optimizers
from gatewright.training.optimizers import SGD, Adam, AdamW, RMSprop

GOLDEN = goldens.load("torch_training")
SHAPES = {"0.W": (3, 2), "0.b": (4,), "1.W": (3,), "1.b": (1,)}


def described(about):
    """The optimizer of a recorded case, and the frozen names."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in about["options"].items()}
    own = about["groups"] or {}
    groups = {n: {"learning_rate" if k == "lr" else k: v for k, v in o.items()} for n, o in own.items() if o is not None}
    frozen = [n for n, o in own.items() if o is None]
    return getattr(optimizers, about["optimizer"])(0.05, groups=groups or None, **options), frozen


@pytest.mark.parametrize("case", [case for case, (about, _) in GOLDEN.items() if about["what"] == "optimizer"])
def test_a_trace_of_twenty_steps_is_pytorchs(case):
    about, arrays = GOLDEN[case]
    optimizer, frozen = described(about)
    params = Parameters.of({name: arrays[name] for name in SHAPES}, frozen)
    state = optimizer.init(params)
    for gradient, wanted in zip(arrays["gradients"], arrays["trace"], strict=True):
        with params.edit() as flat:
            optimizer.update(flat, gradient.copy(), state, float)
        np.testing.assert_allclose(params.flat, wanted, rtol=0, atol=1e-10)
    assert state.count == 20


def test_clipping_is_pytorchs():
    about, arrays = GOLDEN["clip"]
    segments = SGD().init(Parameters({"p": (10,)})).segments
    sizes = []
    for row, gradient in enumerate(arrays["gradients"]):
        by_norm, by_value = gradient.copy(), gradient.copy()
        sizes.append(optimizers.clip_norm(by_norm, segments, about["limit"]))
        optimizers.clip_value(by_value, about["limit"])
        np.testing.assert_allclose(by_norm, arrays["by_norm"][row], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(by_value, arrays["by_value"][row])
    np.testing.assert_allclose(sizes, arrays["norms"], rtol=1e-12)
    assert min(sizes) < about["limit"] < max(sizes)


def test_the_norm_survives_float32():
    segments = SGD().init(Parameters({"p": (4,)}, np.float32)).segments
    assert optimizers.clip_norm(np.full(4, 1e25, np.float32), segments, 1.0) == pytest.approx(2e25)


def test_frozen_names_have_no_part_in_the_norm():
    params = Parameters({"a": (2,), "b": (3,)}, trainable={"a": False})
    segments = SGD().init(params).segments
    assert optimizers.clip_norm(np.array([100.0, 100, 2, 3, 6]), segments, 70.0) == 7


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adam, AdamW])
def test_frozen_names_get_no_step_and_no_decay(kind):
    optimizer = kind(weight_decay=1)
    params = Parameters.of({"a": np.ones(2), "b": np.ones(3), "c": np.ones(1)}, ["b"])
    state = optimizer.init(params)
    for _ in range(3):
        with params.edit() as flat:
            optimizer.update(flat, np.arange(1.0, 7), state, float)
    assert np.array_equal(params["b"], np.ones(3))
    assert (params["a"] < 1).all()
    assert (params["c"] < 1).all()


def test_segments_join_what_is_trained_alike():
    params = Parameters({"0.W": (2, 2), "0.b": (2,), "1.W": (3,), "1.b": (1,)}, trainable={"1.b": False})
    assert [s.where for s in SGD().init(params).segments] == [slice(0, 9)]
    groups = {"*.b": {"weight_decay": 0}, "0": {"learning_rate": 0.5}}
    found = SGD(0.1, weight_decay=0.01, groups=groups).init(params).segments
    assert [tuple(s[:3]) for s in found] == [(slice(0, 4), 0.5, 0.01), (slice(4, 6), 0.5, 0), (slice(6, 9), 0.1, 0.01)]


def test_later_patterns_count():
    groups = {"*": {"learning_rate": 0.5, "weight_decay": 0.3}, "b": {"learning_rate": 0.7}}
    found = SGD(0.1, groups=groups).init(Parameters({"a": (1,), "b": (1,)})).segments
    assert [s[1:3] for s in found] == [(0.5, 0.3), (0.7, 0.3)]


def test_the_schedule_turns_every_groups_rate():
    params = Parameters.of({"a": np.ones(1), "b": np.ones(1)})
    optimizer = SGD(0.1, groups={"b": {"learning_rate": 0.2}})
    with params.edit() as flat:
        optimizer.update(flat, np.ones(2), optimizer.init(params), lambda rate: rate / 2)
    np.testing.assert_allclose(params.flat, [0.95, 0.9])


def test_only_what_the_options_need_is_remembered():
    assert SGD().slots() == ()
    assert RMSprop(momentum=0.1).slots() == ("square", "momentum")
    assert Adam(amsgrad=True).slots() == ("mean", "square", "largest")


def test_float32_stays_float32():
    for optimizer in (SGD(momentum=0.9, nesterov=True), RMSprop(centered=True), Adam(amsgrad=True), AdamW()):
        params = Parameters({"a": (3,)}, np.float32)
        state = optimizer.init(params)
        assert all(slot.dtype == np.float32 for slot in state.slots.values())
        with params.edit() as flat:
            optimizer.update(flat, np.ones(3, np.float32), state, float)
        assert params.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(-1), "Adam: learning_rate: got -1, wanted a number from 0 up"),
        (lambda: Adam("fast"), "Adam: learning_rate: got 'fast'"),
        (lambda: Adam(float("nan")), "Adam: learning_rate: got nan"),
        (lambda: AdamW(weight_decay=-0.1), "AdamW: weight_decay: got -0.1"),
        (lambda: Adam(betas=(0.9, 1.0)), "Adam: beta: got 1.0"),
        (lambda: Adam(betas=0.9), r"Adam: betas: got 0.9, wanted two numbers \(beta1, beta2\)"),
        (lambda: Adam(betas=[0.9]), r"Adam: betas: got \[0.9\], wanted two numbers"),
        (lambda: Adam(amsgrad="no"), "Adam: amsgrad: got 'no', wanted True or False"),
        (lambda: SGD(nesterov="no"), "SGD: nesterov: got 'no', wanted True or False"),
        (lambda: RMSprop(centered=1), "RMSprop: centered: got 1, wanted True or False"),
        (lambda: SGD(groups=[1]), r"SGD: groups: got \[1\], wanted a dict such as"),
        (lambda: SGD(groups={"*.b": 3}), r"SGD: groups: got \{'\*\.b': 3\}, wanted a dict"),
        (lambda: SGD(nesterov=True), "nesterov=True needs a momentum above 0 and dampening=0"),
        (lambda: RMSprop(alpha=1.5), "RMSprop: alpha: got 1.5"),
        (lambda: Adam(groups={"*.b": {"decay": 0}}), "'decay' is unknown; known: 'learning_rate', 'weight_decay'"),
        (lambda: Adam(groups={"*.b": {"weight_decay": -1}}), "weight_decay: got -1"),
        (lambda: Adam(groups={"nope": {}}).init(Parameters({"W": (1,)})), "no parameter matches 'nope'; there are: W"),
        (lambda: optimizers.get("adamax"), "known: 'sgd', 'rmsprop', 'adam', 'adamw'"),
        (lambda: optimizers.get(None), "known: 'sgd', 'rmsprop', 'adam', 'adamw'"),
    ],
)
def test_impossible_options(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_betas_may_be_a_list():
    assert Adam(betas=[0.8, 0.99]) == Adam(betas=(0.8, 0.99))


def test_get():
    assert optimizers.get("adamw") == AdamW()
    assert optimizers.get(Adam(0.1)) == Adam(0.1)
