"""Initialisers: their statistics against the formulas of Keras and of the papers, and what layers make of them.

Every draw is large enough for its bounds to be five standard errors or more away; the seeds are fixed all the same.
"""

import math

import numpy as np
import pytest
from refusals import refused

import gatewright as gw
from gatewright import initializers
from gatewright.errors import OptionError

SHAPE = 200, 300  # fan in, fan out
N = SHAPE[0] * SHAPE[1]
FAN = {"glorot": (200 + 300) / 2, "he": 200 / 2, "lecun": 200}
VARIANCE = {f"{name}_{kind}": 1 / fan for name, fan in FAN.items() for kind in ("uniform", "normal")}
VARIANCE |= {"random_uniform": 0.05**2 / 3, "random_normal": 0.05**2}
# The standard deviation of a normal distribution cut at two sigma, from its density and its mass there.
MASS = math.erf(math.sqrt(2))
CUT = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / MASS)
VARIANCE |= {"truncated_normal": (0.05 * CUT) ** 2}


def draw(name, shape=SHAPE, seed=0):
    return initializers.initializer("kernel_initializer", name)(np.random.default_rng(seed), shape)


@pytest.mark.parametrize("name", VARIANCE)
def test_mean_variance_and_limits(name):
    """Keras: glorot 1/(fans' mean), he 2/fan in, lecun 1/fan in; uniform within sqrt(3 var), normal cut at two sigma."""
    x, variance = draw(name), VARIANCE[name]
    assert x.shape == SHAPE
    assert x.dtype == float
    assert abs(x.mean()) < 5 * math.sqrt(variance / N)
    assert x.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / N))
    if "uniform" in name:
        limit = math.sqrt(3 * variance)
    elif name == "random_normal":
        limit = math.inf
        assert np.abs(x).max() > 0.05 * 3.5  # not cut
    else:
        limit = 2 * math.sqrt(variance) / CUT
    assert 0.99 * min(limit, 9) < np.abs(x).max() <= limit or limit == math.inf
    edges = np.abs(x) > 0.95 * limit
    if "uniform" in name:
        assert edges.mean() == pytest.approx(0.05, abs=0.005)
    elif limit < math.inf:  # the density of what is left: no heap at the limit
        share = (math.erf(math.sqrt(2)) - math.erf(1.9 / math.sqrt(2))) / MASS
        assert edges.mean() == pytest.approx(share, abs=0.003)


def test_the_fans_are_rows_and_columns_the_other_way_round_too():
    for name, variance in (("glorot_uniform", 1 / 250), ("he_normal", 2 / 300), ("lecun_uniform", 1 / 300)):
        assert draw(name, (300, 200)).var() == pytest.approx(variance, rel=0.03)
    assert np.abs(draw("he_uniform", (1000,))).max() == pytest.approx(math.sqrt(6 / 1000), rel=0.02)  # a vector's fan


def test_the_gates_of_a_kernel_count_together():
    """As in Keras: an LSTM's W has fan out 4 H."""
    W = gw.LSTM(100, 100).init(np.random.default_rng(0))["W"]
    assert W.var() == pytest.approx(2 / 500, rel=0.03)


@pytest.mark.parametrize("shape", [(40, 40), (40, 160), (160, 40), (1, 5), (5, 1)])
def test_orthogonal(shape):
    x = draw("orthogonal", shape)
    assert x.shape == shape
    x = x if shape[0] <= shape[1] else x.T
    np.testing.assert_allclose(x @ x.T, np.eye(len(x)), atol=1e-13)


def test_orthogonal_matrices_are_drawn_evenly():
    """Over many draws every element has mean 0, variance 1/n, and the diagonal as many signs of each kind."""
    rng = np.random.default_rng(0)
    many = np.array([initializers.INITIALIZERS["orthogonal"](rng, (4, 4)) for _ in range(4000)])
    assert np.abs(many.mean(axis=0)).max() < 5 * math.sqrt(0.25 / 4000)
    np.testing.assert_allclose(many.var(axis=0), 0.25, rtol=0.1)
    assert abs((np.linalg.det(many) > 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


def test_constants():
    assert not draw("zeros").any()
    assert (draw("ones") == 1).all()
    assert draw("identity", (2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert draw("ones", (3,)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_seeds(name):
    one, same, other = (draw(name, (6, 5), seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert np.array_equal(one, other) == (name in ("zeros", "ones", "identity"))


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_every_name_serves_a_layer(name):
    """As a kernel's; as a bias', where it makes vectors."""
    options = {"kernel_initializer": name, "recurrent_initializer": name}
    p = gw.GRU(4, 5, **options).init(np.random.default_rng(0))
    assert p["W"].shape == (4, 15)
    assert gw.Embedding(6, 3, embeddings_initializer=name).init(np.random.default_rng(0))["E"].shape == (6, 3)
    for make in (lambda: gw.GRU(4, 5, bias_initializer=name), lambda: gw.Dense(4, 5, bias_initializer=name)):
        if name in ("orthogonal", "identity"):
            with refused(OptionError, f"bias_initializer='{name}' is unknown", "known: 'zeros'"):
                make()
        else:
            b = make().init(np.random.default_rng(0))["b"]
            assert b.ndim == 1
            assert b.any() == (name != "zeros")


def test_unknown_names_are_listed():
    for make, option in (
        (lambda: gw.LSTM(2, 3, recurrent_initializer="orthogonol"), "recurrent_initializer='orthogonol'"),
        (lambda: gw.Embedding(2, 3, embeddings_initializer="normal"), "embeddings_initializer='normal'"),
        (lambda: gw.Dense(2, 3, kernel_initializer="xavier"), "kernel_initializer='xavier'"),
    ):
        with refused(OptionError, option, "is unknown; known: ", *map(repr, initializers.INITIALIZERS)):
            make()


@pytest.mark.parametrize("kind", [gw.RNN, gw.LSTM, gw.GRU])
def test_pytorchs(kind):
    """U(-1/sqrt(H), 1/sqrt(H)) for every weight and bias, the hidden size for the input's weights too."""
    p = kind(9, 100, init="pytorch", num_layers=2).init(np.random.default_rng(0))
    for name, x in p.items():
        assert np.abs(x).max() <= 0.1, name
        assert np.abs(x).max() > 0.1 * (1 - 8 / x.size), name
        assert x.var() == pytest.approx(0.01 / 3, rel=5 / math.sqrt(x.size)), name
    d = gw.Dense(25, 400, init="pytorch").init(np.random.default_rng(0))
    for name, x in d.items():
        assert 0.19 < np.abs(x).max() <= 0.2, name
        assert x.var() == pytest.approx(0.04 / 3, rel=0.25), name


@pytest.mark.parametrize("longest", [3, 100, 1000])
def test_chronos_distribution(longest):
    """exp(b) is uniform on 1 … T - 1: the memories last 1 … T steps evenly (Tallec & Ollivier 2018, equation 16)."""
    size = 20000
    u = (np.exp(initializers.chrono(np.random.default_rng(0), longest, size)) - 1) / (longest - 2)
    assert u.shape == (size,)
    assert -1e-12 < u.min() < 0.001
    assert 0.999 < u.max() < 1 + 1e-12
    deciles = np.quantile(u, np.arange(1, 10) / 10)
    np.testing.assert_allclose(deciles, np.arange(1, 10) / 10, atol=5 * 0.5 / math.sqrt(size))


def test_chrono_in_the_layers():
    """The LSTM's forget gate has it and the input gate its negative; in a GRU z keeps. All else as in Keras."""
    size, longest = 500, 50
    lstm = gw.LSTM(3, size, init="chrono", chrono_steps=longest, num_layers=2).init(np.random.default_rng(0))
    i, f, g, o = np.split(lstm["layer0.b"], 4)
    assert np.array_equal(i, -f)
    assert np.exp(f).mean() == pytest.approx(longest / 2, rel=0.1)
    assert 1 <= np.exp(f).min() < np.exp(f).max() <= longest - 1 + 1e-9
    assert not g.any()
    assert not o.any()
    assert not np.array_equal(lstm["layer0.b"], lstm["layer1.b"])
    gru = gw.GRU(3, size, init="chrono").init(np.random.default_rng(0))
    z, r, n = np.split(gru["b"], 3)
    assert np.exp(z).mean() == pytest.approx(50, rel=0.1)  # 100 steps unless told otherwise
    assert not r.any()
    assert not n.any()
    assert not gru["bn"].any()
    np.testing.assert_allclose(gru["U"] @ gru["U"].T, np.eye(size), atol=1e-12)
    assert gw.LSTM(3, 4, init="chrono", chrono_steps=2).init(np.random.default_rng(0))["b"].tolist() == [0] * 16
    for steps in (1, 2.5, "x", True):
        with refused(OptionError, "chrono_steps: got", "at least 2"):
            gw.GRU(3, 4, init="chrono", chrono_steps=steps)


def test_kerass_defaults():
    p = gw.LSTM(100, 50).init(np.random.default_rng(0))
    limit = math.sqrt(6 / (100 + 200))
    assert 0.99 * limit < np.abs(p["W"]).max() <= limit
    np.testing.assert_allclose(p["U"] @ p["U"].T, np.eye(50), atol=1e-12)
    assert p["b"].tolist() == [0] * 50 + [1] * 50 + [0] * 100
    b = gw.LSTM(1, 2, bias_initializer="random_normal").init(np.random.default_rng(0))["b"]
    assert b[2:4].tolist() == [1, 1]  # the forget gate's begins at forget_bias, whatever the others begin at
    assert ((b != 0) & (np.abs(b) < 0.3))[[0, 1, 4, 5, 6, 7]].all()
    assert gw.LSTM(1, 1, bias_initializer="ones", forget_bias=0.0).init(np.random.default_rng(0))["b"].tolist() == [1, 0, 1, 1]
