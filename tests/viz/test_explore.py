"""The gate explorer: what the page embeds is what happened in the network, it is small, and it asks nothing of anybody."""

import base64
import json
import re

import numpy as np
import pytest
from refusals import refused

import gatewright as gw
from gatewright.errors import DataError, NotFiniteError, OptionError, ShapeError
from gatewright.training.batches import Data, prepare
from gatewright.training.objective import objective
from gatewright.viz import explore, gates, selective

SYMBOLS = "abcdefghij"


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def model(layer, seed=0):
    """A model in float64 with numbers that are nowhere zero."""
    made = gw.Model(layer, seed=seed, dtype="float64")
    with made.parameters.edit() as flat:
        flat += np.random.default_rng(seed + 1).normal(scale=0.3, size=flat.shape)
    return made


def content(page):
    """What a page embeds."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.S)
    return json.loads(found)


def decoded(layer, letter):
    """A heat map (T, H) as the page's own program reads it."""
    (found,) = (m for m in layer["maps"] if m["letter"] == letter)
    raw = np.frombuffer(base64.b64decode(found["data"]), np.uint8 if found["range"] == "unit" else np.int8)
    return raw.reshape(layer["steps"], found["units"]) * found["scale"] / (255 if found["range"] == "unit" else 127)


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def close(layer, letter, wanted):
    """Within half a step of the quantised numbers."""
    (found,) = (m for m in layer["maps"] if m["letter"] == letter)
    np.testing.assert_allclose(decoded(layer, letter), wanted, rtol=0, atol=found["scale"] / 253)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def observed(made, x, y):
    goal = objective(made.network, "mse")
    return gates.observe(goal, made.parameters.copy(), prepare(goal, Data(x, y), float))


def text_model(units=12, cell=gw.LSTM):
    count = len(SYMBOLS)
    return model(gw.Sequential(gw.Embedding(count, 5), cell(5, units), gw.Dense(units, count)))


# --- what is inside


def test_the_page_holds_the_gates_of_an_lstm(rng):
    made, x = model(gw.LSTM(2, 5)), rng.normal(size=(1, 9, 2))
    h = np.vstack([np.zeros(5), made.predict(x)[0]])
    zi, zf, zg, zo = np.split(
        x[0] @ made.parameters["0.W"] + h[:-1] @ made.parameters["0.U"] + made.parameters["0.b"], 4, axis=1
    )
    (layer,) = content(made.explore(x[0]))["layers"]
    assert (layer["name"], layer["kind"], layer["steps"]) == ("0", "LSTM", 9)
    assert [m["letter"] for m in layer["maps"]] == list("ifgoch")
    c = np.zeros(5)
    for t in range(9):
        c = sigmoid(zf[t]) * c + sigmoid(zi[t]) * np.tanh(zg[t])
        np.testing.assert_allclose(decoded(layer, "c")[t], c, atol=layer["maps"][4]["scale"] / 253)
    for letter, wanted in {"i": sigmoid(zi), "f": sigmoid(zf), "g": np.tanh(zg), "o": sigmoid(zo), "h": h[1:]}.items():
        close(layer, letter, wanted)
    (low, high) = layer["maps"][0]["saturated"]
    np.testing.assert_allclose(low, (sigmoid(zi) < 0.1).mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(high, (sigmoid(zi) > 0.9).mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("reset_after", [True, False])
def test_the_page_holds_the_gates_of_a_gru(reset_after, rng):
    made, x = model(gw.GRU(2, 4, reset_after=reset_after)), rng.normal(size=(1, 9, 2))
    h = np.vstack([np.zeros(4), made.predict(x)[0]])
    a, U = x[0] @ made.parameters["0.W"] + made.parameters["0.b"], made.parameters["0.U"]
    z, r = sigmoid(a[:, :4] + h[:-1] @ U[:, :4]), sigmoid(a[:, 4:8] + h[:-1] @ U[:, 4:8])
    un = r * (h[:-1] @ U[:, 8:] + made.parameters["0.bn"]) if reset_after else (r * h[:-1]) @ U[:, 8:]
    (layer,) = content(made.explore(x))["layers"]
    assert [m["letter"] for m in layer["maps"]] == list("zrnh")
    for letter, wanted in {"z": z, "r": r, "n": np.tanh(a[:, 8:] + un), "h": h[1:]}.items():
        close(layer, letter, wanted)


def test_every_layer_and_direction_stands_where_x_has_its_steps(rng):
    net = gw.Sequential(
        gw.GRU(2, 3, num_layers=2, bidirectional=True),
        gw.Residual(gw.Sequential(gw.RNN(6, 6))),
        gw.Bidirectional(gw.LSTM(6, 2)),
        gw.Parallel([gw.Shared(gw.LSTM(4, 3), "s"), gw.Shared(gw.LSTM(4, 3), "s")], merge="sum"),
    )
    made, x = model(net), rng.normal(size=(1, 8, 2))
    layers = content(made.explore(x))["layers"]
    assert [layer["name"] for layer in layers] == [
        "0.layer0.forward", "0.layer0.backward", "0.layer1.forward", "0.layer1.backward",
        "1.0", "2.forward", "2.backward", "3.0.shared.s", "3.1.shared.s",
    ]  # fmt: skip
    y = x
    for index, layer in enumerate(net.layers):
        before, y = y, layer.forward(made.parameters.scope(str(index)), y)[0]
        shown = {0: layers[2:4], 1: layers[4:5], 2: layers[5:7], 3: layers[7:8]}[index]
        out = y - before if index == 1 else y / 2 if index == 3 else y
        for part, wanted in zip(shown, np.split(out[0], len(shown), axis=1), strict=True):
            close(part, "h", wanted)


@pytest.mark.parametrize("options", [{}, {"peepholes": True, "projection": 3}, {"coupled": True}])
def test_the_gradient_of_h_is_that_of_the_loss(options, rng):
    made = model(gw.Sequential(gw.LSTM(2, 4, **options), gw.Dense(options.get("projection", 4), 2)))
    x, y = rng.normal(size=(1, 7, 2)), rng.normal(size=(1, 7, 2))
    (inside,) = observed(made, x, y).inside
    W, b = made.parameters["1.W"], made.parameters["1.b"]
    direction = rng.normal(size=inside.gradient.shape[1])

    def later(t, by):
        """The loss of steps t … T - 1 where h after step t is moved."""
        _, (state, _) = made.run(x[:, : t + 1])
        h = state.h[0] + by * direction
        rest = made.run(x[:, t + 1 :], (state._replace(h=h[None]), None))[0]
        return (((h @ W + b - y[:, t]) ** 2).sum() + ((rest - y[:, t + 1 :]) ** 2).sum()) / y.size

    for t in range(7):
        difference = (later(t, 1e-5) - later(t, -1e-5)) / 2e-5
        assert inside.gradient[t] @ direction == pytest.approx(difference, rel=1e-6, abs=1e-9)


def test_the_saliency_is_the_gradient_of_the_input(rng):
    net = gw.Sequential(
        gw.Conv1D(2, 4, 3), gw.LSTM(4, 3, num_layers=2, bidirectional=True), gw.Sequential(gw.GRU(6, 4, go_backwards=True))
    )
    made = model(net)
    x, y = rng.normal(size=(1, 9, 2)), rng.normal(size=(1, 7, 4))
    seen, direction = observed(made, x, y), rng.normal(size=(1, 9, 2))
    up, down = (((made.predict(x + by * direction) - y) ** 2).mean() for by in (1e-5, -1e-5))
    assert (seen.saliency * direction).sum() == pytest.approx((up - down) / 2e-5, rel=1e-6)
    page = content(made.explore(x, y=y))
    np.testing.assert_allclose(floats(page["saliency"]), np.linalg.norm(seen.saliency, axis=1), rtol=1e-6)
    shown = page["series"]["influence"]
    raw = np.frombuffer(base64.b64decode(shown["data"]), np.int8).reshape(9, 2)
    np.testing.assert_allclose(raw * shown["scale"] / 127, seen.saliency, atol=shown["scale"] / 253)
    assert page["loss"]["value"] == pytest.approx(((made.predict(x) - y) ** 2).mean())
    np.testing.assert_allclose(floats(page["loss"]["steps"]), ((made.predict(x) - y) ** 2).mean(axis=2)[0], rtol=1e-6)
    np.testing.assert_allclose(
        floats(page["layers"][-1]["gradient"]), np.linalg.norm(seen.inside[-1].gradient, axis=1), rtol=1e-6
    )


def test_a_text_has_candidates_bits_and_the_embeddings_gradient():
    made, x = text_model(), np.random.default_rng(1).integers(0, 10, 30)
    page = content(made.explore(x, vocabulary=SYMBOLS))
    logits = made.predict(x[None])[0]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert page["symbols"] == [SYMBOLS[k] for k in x]
    found = page["candidates"]
    best = np.argsort(-p, axis=1)[:, :5]
    index = np.frombuffer(base64.b64decode(found["index"]), "<u2").reshape(30, 5)
    assert [[found["names"][k] for k in row] for row in index] == [[SYMBOLS[k] for k in row] for row in best]
    chance = np.frombuffer(base64.b64decode(found["chance"]), np.uint8).reshape(30, 5) / 255
    np.testing.assert_allclose(chance, np.take_along_axis(p, best, axis=1), atol=0.002)
    bits = -np.log2(p[np.arange(29), x[1:]])
    np.testing.assert_allclose(floats(page["loss"]["steps"])[:-1], bits, rtol=1e-5)
    assert np.isnan(floats(page["loss"]["steps"])[-1])
    assert page["loss"]["value"] == pytest.approx(bits.mean())
    assert page["loss"]["unit"] == "bits"
    assert (floats(page["saliency"]) > 0)[:-1].all()
    assert floats(page["saliency"])[-1] == 0  # nothing comes after it


def test_a_final_softmax_changes_nothing():
    made, x = text_model(), np.random.default_rng(1).integers(0, 10, 12)
    net = made.network.replace(layers=(*made.network.layers[:-1], gw.Dense(12, 10, activation="softmax")))
    assert gw.Model(net, parameters=made.parameters, dtype="float64").explore(x).html == made.explore(x).html


def test_padding_is_no_step():
    made = model(gw.Sequential(gw.Embedding(10, 3, mask_zero=True), gw.LSTM(3, 4, go_backwards=True), gw.Dense(4, 2)))
    x = np.array([3, 0, 5, 2, 0, 0, 7])
    page = content(made.explore(x))
    (layer,) = page["layers"]
    short = content(made.explore(x[x > 0]))["layers"][0]
    for letter in "ifgoch":
        assert not decoded(layer, letter)[x == 0].any()
        np.testing.assert_array_equal(decoded(layer, letter)[x > 0], decoded(short, letter))
    assert not floats(layer["gradient"])[x == 0].any()
    assert [m.get("saturated") for m in layer["maps"]] == [m.get("saturated") for m in short["maps"]]  # it is not shut there
    assert page["selective"] == content(made.explore(np.append(x, [0, 0])))["selective"]


def test_a_layer_without_a_step_is_refused():
    net = gw.Sequential(
        gw.Embedding(4, 2, mask_zero=True), gw.LSTM(2, 3, return_sequences=False), gw.RepeatVector(2), gw.GRU(3, 2)
    )
    with refused(DataError, "layer 1 has no live step"):
        gw.Model(net, seed=0).explore(np.zeros(5, int))


def test_missing_numbers_at_masked_steps_are_not_read():
    made = model(gw.Sequential(gw.Masking(float("nan")), gw.GRU(2, 3)))
    x = np.random.default_rng(0).normal(size=(6, 2))
    x[2] = np.nan
    page = content(made.explore(x))
    assert all(0 <= row["score"] <= 1 for row in page["selective"])
    np.testing.assert_array_equal(floats(page["series"]["data"]).reshape(6, 2), x.astype("f4"))


@pytest.mark.parametrize("final", ["sigmoid", "tanh"])
def test_an_output_that_is_no_distribution_has_no_candidates(final):
    net = gw.Sequential(gw.Embedding(5, 3), gw.LSTM(3, 4), gw.Dense(4, 5, activation=final))
    page = content(model(net).explore(np.arange(5)))
    assert "candidates" not in page
    assert page["loss"]["words"] == "mean square of the output"


def test_one_output_a_row_has_no_loss_a_step():
    made = model(gw.Sequential(gw.LSTM(2, 3, return_sequences=False), gw.Dense(3, 4)))
    x = np.random.default_rng(0).normal(size=(6, 2))
    page = content(made.explore(x, y=np.array(2), loss="cross_entropy"))
    assert page["loss"]["steps"] is None
    logits = made.predict(x[None])[0]
    assert page["loss"]["value"] == pytest.approx(np.log2(np.exp(logits).sum()) - logits[2] / np.log(2))


def test_the_default_loss_of_numbers_is_the_mean_square():
    made, x = model(gw.GRU(1, 3)), np.linspace(0, 1, 6)[:, None]
    page = content(made.explore(x, columns=["sunspots"]))
    assert page["series"]["names"] == ["sunspots"]
    assert page["loss"]["value"] == pytest.approx((made.predict(x[None]) ** 2).mean())
    np.testing.assert_allclose(floats(page["series"]["data"]), x[:, 0], rtol=1e-6)


# --- the most selective units


def test_a_unit_that_says_the_symbol_is_the_most_selective():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 5, 400)
    h = rng.normal(size=(400, 4))
    h[:, 2] += 6 * (classes == 3)
    h[:, 1] -= 3 * (classes == 1)
    found = selective.by_class(h, classes)
    assert np.argsort(-found.score)[:2].tolist() == [2, 1]
    assert found.score[2] > 0.8
    assert (found.score[[0, 3]] < 0.03).all()
    assert (found.of[2], found.sign[2], found.of[1], found.sign[1]) == (3, 1, 1, -1)


def test_classes_seen_once_explain_nothing():
    h = np.random.default_rng(0).normal(size=(8, 3))
    assert not selective.by_class(h, np.arange(8)).score.any()
    assert (selective.by_class(h, np.array([0, 1, 2, 3, 4, 5, 6, 6])).of == 6).all()
    assert not selective.by_class(np.ones((8, 3)), np.arange(8) % 2).score.any()


def test_of_numbers_it_is_the_strongest_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    x[:, 2] = 1  # a constant explains nothing
    h = np.stack([-2 * x[:, 1] + 0.1 * rng.normal(size=300), rng.normal(size=300), np.zeros(300)], axis=1)
    score, of, sign = selective.by_column(h, x)
    assert score[0] == pytest.approx(np.corrcoef(h[:, 0], x[:, 1])[0, 1] ** 2)
    assert (of[0], sign[0], score[2]) == (1, -1, 0)
    assert score[1] < 0.05


def test_the_table_lists_every_unit_the_best_first():
    x = np.random.default_rng(1).integers(0, 10, 60)
    made = text_model(7)
    rows = content(made.explore(x))["selective"]
    assert sorted(row["unit"] for row in rows) == list(range(7))
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    h = made.network.layers[1].forward(made.parameters.scope("1"), made.parameters["0.E"][x][None])[0][0]
    assert rows[0]["mean"] == pytest.approx(h[:, rows[0]["unit"]].mean(), abs=1e-4)


# --- the page


def test_64_units_and_500_steps_are_less_than_a_megabyte():
    rng = np.random.default_rng(0)
    count = 100
    made = gw.Model(gw.Sequential(gw.Embedding(count, 32), gw.LSTM(32, 64), gw.Dense(64, count)), seed=0)
    page = made.explore(rng.integers(0, count, 500), vocabulary=[chr(0x4E00 + k) for k in range(count)])
    assert len(page.html.encode()) < 500_000


def test_the_page_asks_nothing_of_anybody():
    page = text_model().explore(np.arange(10), vocabulary=SYMBOLS).html
    assert re.findall(r"https?:|//[\w.]+\.\w|@import|url\(|\bfetch\(|XMLHttp|\bsrc\s*=|\bimport\b", page) == []
    assert re.findall(r'href="([^"]*)"', page) == ["data:,"]
    assert "default-src 'none'" in page


def test_names_cannot_become_markup():
    evil = ["</script><script>alert(1)</script>", "<!--", "&lt;", '"', "\\", "\u2028", *SYMBOLS[:4]]
    made, x = text_model(), np.arange(10)
    page = made.explore(x, vocabulary=evil, title="</title><b>")
    assert page.html.count("<script") == made.explore(x).html.count("<script")
    assert content(page)["symbols"] == evil
    assert content(page)["title"] == "</title><b>"


def test_it_is_written_whole_and_shown_in_a_notebook(tmp_path):
    page = text_model().explore(np.arange(10), tmp_path / "page.html", "abcdefghij")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page.html
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;!DOCTYPE html')


def test_equal_inputs_are_equal_pages_and_the_model_stays_as_it_is():
    made = text_model()
    before, version = made.parameters.flat.copy(), made.parameters.version
    assert made.explore(np.arange(10)).html == made.explore(np.arange(10)).html
    np.testing.assert_array_equal(made.parameters.flat, before)
    assert made.parameters.version == version


# --- refusals

NUMERIC = gw.GRU(2, 3)


@pytest.mark.parametrize(
    ("layer", "x", "more", "error", "words"),
    [
        (NUMERIC, np.zeros((2001, 2)), {}, DataError, ("2001 steps", "1 to 2000")),
        (NUMERIC, np.zeros((0, 2)), {}, DataError, ("0 steps",)),
        (NUMERIC, np.zeros((2, 5, 2)), {}, ShapeError, ("(2, 5, 2)", "one sequence (T, 2)")),
        (NUMERIC, np.zeros((5, 3)), {}, ShapeError, ("3",)),
        (NUMERIC, np.full((5, 2), np.nan), {}, DataError, ("step 0",)),
        (NUMERIC, np.zeros((5, 2)), {"loss": "mse"}, OptionError, ("loss='mse'", "give y")),
        (NUMERIC, np.zeros((5, 2)), {"y": np.zeros((4, 3))}, ShapeError, ("y", "(1, 5, 3)")),
        (NUMERIC, np.zeros((5, 2)), {"vocabulary": "ab"}, OptionError, ("vocabulary", "numbers")),
        (NUMERIC, np.zeros((5, 2)), {"columns": ["a"]}, DataError, ("columns", "1 names", "2 strings")),
        (gw.Sequential(gw.Embedding(4, 2), gw.RNN(2, 3)), np.arange(4), {"columns": ["a"]}, OptionError, ("columns",)),
        (NUMERIC, np.zeros((5, 2)), {"text": "ab"}, DataError, ("text", "2 names", "5 strings")),
        (gw.Dense(2, 3), np.zeros((5, 2)), {}, OptionError, ("no RNN, LSTM or GRU",)),
        (gw.Sequential(gw.Embedding(4, 2), gw.RNN(2, 3)), np.arange(4), {"vocabulary": "abc"}, DataError, ("3 names", "4")),
        (gw.Sequential(gw.Embedding(4, 2), gw.RNN(2, 3)), np.arange(5), {}, DataError, ("step 4", "0 … 3")),
    ],
)  # fmt: skip
def test_what_it_refuses(layer, x, more, error, words):
    with refused(error, *words):
        gw.Model(layer, seed=0).explore(x, **more)


def test_a_network_that_overflows_is_refused():
    made = gw.Model(gw.RNN(1, 2, activation="relu"), seed=0)
    with made.parameters.edit() as flat:
        flat[:] = 1e30
    with np.errstate(all="ignore"), refused(NotFiniteError, "explore"):
        made.explore(np.ones((100, 1)))


def test_too_much_to_draw_is_refused(monkeypatch):
    monkeypatch.setattr(explore, "MOST_NUMBERS", 999)
    with refused(DataError, "11 steps of 96 gates and states", "at most 10"):
        gw.Model(gw.LSTM(1, 4, num_layers=2, bidirectional=True), seed=0).explore(np.zeros((11, 1)))
