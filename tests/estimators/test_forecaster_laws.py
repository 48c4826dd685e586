"""What holds of every forecast: its interval is around it, levels nest, units don't matter, files keep every bit."""

import json
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mutants import mutant
from refusals import refused

import gatewright as gw
from gatewright.errors import FormatError, GatewrightError

LEVELS = (0.01, 0.1, 0.5, 0.8, 0.95, 0.999)
SMALL = {"hidden_size": 2, "ensemble": 1, "epochs": 1, "random_state": 0}
KINDS = {
    "noise": lambda rng, rows: rng.standard_normal(rows),
    "walk": lambda rng, rows: np.cumsum(rng.standard_normal(rows)),
    "counts": lambda rng, rows: rng.poisson(0.7, rows).astype(float),
    "growth": lambda rng, rows: np.exp(np.cumsum(0.3 * rng.standard_normal(rows))),
    "gaps": lambda rng, rows: np.where(rng.random(rows) < 0.3, np.nan, rng.standard_normal(rows)),
    "season": lambda rng, rows: 50 + 9 * np.sin(np.arange(rows) * np.pi / 6) + rng.standard_normal(rows),
}


@st.composite
def series(draw, least=14, kinds=tuple(KINDS)):
    """(T,) of many kinds, at least 10 of them known, not all alike."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    y = KINDS[draw(st.sampled_from(kinds))](rng, draw(st.integers(least, 60)))
    assume((~np.isnan(y)).sum() >= 10 and np.nanmin(y) < np.nanmax(y))
    return y


def fit(y, horizon=2, **options):
    return gw.Forecaster(horizon, **SMALL | options).fit(y)


@settings(max_examples=25)
@given(series(), st.integers(1, 4))
def test_an_interval_holds_its_forecast_and_all_of_lower_levels(y, horizon):
    made, inner = fit(y, horizon), None
    for level in LEVELS:
        mean, lower, upper = made.predict_interval(level=level)
        assert np.isfinite([mean, lower, upper]).all()
        assert (lower <= mean).all()
        assert (mean <= upper).all()
        if inner is not None:
            assert (lower <= inner.lower).all()
            assert (upper >= inner.upper).all()
        inner = made.predict_interval(level=level)


@settings(max_examples=15)
@given(series(kinds=("noise", "walk", "season")), st.sampled_from([1e-6, 0.5, 3.0, 1e6]), st.floats(-1e4, 1e4))
def test_other_units_give_the_same_forecasts_in_other_units(y, factor, shift):
    given = {"scale": "standard", "season": 4, "window": 5, "epochs": 2}
    told, other = fit(y, **given).predict_interval(), fit(factor * (y + shift), **given).predict_interval()
    for here, there in zip(told, other, strict=True):
        np.testing.assert_allclose(there / factor - shift, here, rtol=0, atol=1e-3 * float(np.std(y)))


@settings(max_examples=15)
@given(series(kinds=("walk", "gaps", "season")), st.sampled_from(["gru", "lstm", "rnn"]))
def test_a_file_and_a_second_fit_keep_every_bit(tmp_path_factory, y, cell):
    path = tmp_path_factory.mktemp("law") / "f"
    made = fit(y, cell=cell)
    made.save(path)
    for other in (gw.Forecaster.load(path), fit(y, cell=cell)):
        np.testing.assert_array_equal(other.predict_interval(level=0.7), made.predict_interval(level=0.7))
        np.testing.assert_array_equal(other.predict(y[:-1]), made.predict(y[:-1]))


@settings(max_examples=10)
@given(st.lists(series(), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_a_series_is_forecast_alike_beside_whichever_others(every, chance):
    panel = {f"s{k}": y for k, y in enumerate(every)}
    made = fit(panel)
    whole = dict(zip(panel, made.predict(), strict=True))
    some = chance.sample(sorted(panel), chance.randint(1, len(panel)))
    np.testing.assert_array_equal(made.predict({name: panel[name] for name in some}), [whole[name] for name in some])


# --- files that are broken, some of those that fuzz_forecasters.py makes


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    rng, t = np.random.default_rng(0), np.arange(40)
    y = 50 + 5 * np.sin(t) + rng.standard_normal(40)
    fit(y).save(folder / "one")
    columns = {name: np.column_stack([t[:rows], y[:rows]]) for name, rows in (("a", 40), ("b", 30))}
    panel = {name: np.where(t[:rows] == 7, np.nan, y[:rows]) for name, rows in (("a", 40), ("b", 30))}
    gw.Forecaster(2, **SMALL, scale="log").fit(panel, columns, known=[0]).save(folder / "many")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("seed", range(4))
def test_a_broken_file_is_refused_in_one_line_or_forecasts(files, tmp_path, seed):
    rng, words = random.Random(seed), {"refused": 0, "read": 0}
    for _ in range(60):
        name = rng.choice(sorted(files))
        path = tmp_path / name
        path.write_bytes(mutant(files[name], rng))
        error = failure(FormatError, gw.Forecaster.load, path)
        words["refused" if error else "read"] += 1
        if error:
            assert "\n" not in error
            assert str(path) in error
            assert len(error) < 700
        else:
            future = np.zeros((2, 1)) if name == "many" else None
            with np.errstate(all="ignore"):
                assert "\n" not in failure(GatewrightError, gw.Forecaster.load(path).predict, future=future)
    assert min(words.values()) > 0


def failure(kind, function, *given, **more):
    """The message of an error of one kind, or nothing."""
    try:
        function(*given, **more)
    except kind as error:
        return str(error)
    return ""


def test_a_tensor_whose_size_no_one_can_count(tmp_path, files):
    content = files["one"]
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["history1"] = {"dtype": "F64", "shape": [0, 1 << 62, 4], "data_offsets": [0, 0]}
    header = json.dumps(header).encode()
    (tmp_path / "f").write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    with refused(FormatError, "f: not a whole safetensors file"):
        gw.Forecaster.load(tmp_path / "f")
