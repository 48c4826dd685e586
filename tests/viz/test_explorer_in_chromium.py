"""The gate explorer in a real browser: what is clicked changes what is drawn, and nothing complains. `make test-browser`.

These tests are left out unless they are asked for (`-m browser`), for they need Chromium.
"""

import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from browser import Browser

import gatewright as gw

pytestmark = pytest.mark.browser
TEXT = "the cat sat on the mat\nand the hat sat on the cat " * 5
CHARACTERS = sorted(set(TEXT))
# What a canvas shows, as a number, and how many colours there are in it; of a copy, for reading changes how Chromium draws.
DRAWN = (
    "(() => {{ const from = document.querySelectorAll({0!r})[{1}], c = document.createElement('canvas'); c.width = from.width; "
    "c.height = from.height; const pen = c.getContext('2d', {{willReadFrequently: true}}); pen.drawImage(from, 0, 0); "
    "const d = pen.getImageData(0, 0, c.width, c.height).data, seen = new Set(); let sum = 0; for (let k = 0; k < d.length; "
    "k += 4) {{ const v = d[k] * 65536 + d[k + 1] * 256 + d[k + 2]; seen.add(v); sum = (sum * 31 + v) % 1000000007; }} "
    "return [sum, seen.size]; }})()"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages that are looked at, and the models that they are of."""
    folder = tmp_path_factory.mktemp("pages")
    count, rng = len(CHARACTERS), np.random.default_rng(0)
    text = gw.Model(gw.Sequential(gw.Embedding(count, 6), gw.LSTM(6, 16, num_layers=2), gw.Dense(16, count)), seed=0)
    numbers = gw.Model(gw.Sequential(gw.GRU(2, 9, bidirectional=True), gw.Dense(18, 1)), seed=0)
    for model in (text, numbers):
        with model.parameters.edit() as flat:
            flat += rng.normal(scale=0.5, size=flat.shape)
    x = np.array([CHARACTERS.index(c) for c in TEXT])
    text.explore(x, folder / "text.html", vocabulary=CHARACTERS, title="A text")
    numbers.explore(rng.normal(size=(120, 2)).cumsum(axis=0), folder / "numbers.html", columns=["first", "second"])
    gw.Model(gw.RNN(1, 1), seed=0).explore(np.ones((1, 1)), folder / "least.html")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(browser, pages):
    """Opens a page, and afterwards asks whether all was quiet."""
    browser.said.clear()
    browser.requests.clear()

    def opened(name, *args):
        browser.open(pages / name, *args)
        return browser

    yield opened
    assert browser.said == []
    assert [request for request in browser.requests if not request.startswith(("file:", "data:"))] == []


def drawn(browser, selector="#plots canvas", number=1):
    return browser.js(DRAWN.format(selector, number))


def text_of(browser, selector):
    return browser.js(f"document.querySelector({selector!r}).textContent")


def test_everything_is_drawn(page):
    shown = page("text.html")
    assert shown.js("document.title") == "A text – gate explorer"
    assert shown.js("document.querySelectorAll('#plots canvas').length") == 1 + 6 + 3 + 1
    for number in range(11):
        assert drawn(shown, number=number)[1] > 1
    assert shown.js("document.querySelectorAll('#text .cell').length") == len(TEXT)
    assert shown.js("[...document.querySelectorAll('#text .cell > b')].map(b => b.textContent).join('')") == TEXT.replace(
        " ", "␣"
    ).replace("\n", "⏎")
    assert shown.js("document.querySelectorAll('#units tr').length") == 32


def test_a_click_on_a_heat_map_picks_gate_unit_and_step(page):
    shown = page("text.html")
    before, trace = drawn(shown), drawn(shown, number=0)
    colours = shown.js("document.querySelector('#text b').style.background")
    shown.click_in("#plots .plot:nth-child(3) canvas", 0.5, (4 + 0.5) / 16)  # the second map: f
    assert shown.js("document.querySelector('#maps input:checked').value") == "f"
    assert shown.js("document.querySelector('#unit').value") == "4"
    assert f"step {len(TEXT) // 2}" in text_of(shown, "#readout")
    assert "f = " in text_of(shown, "#readout")
    assert drawn(shown) != before
    assert drawn(shown, number=0) != trace
    assert shown.js("document.querySelector('#text b').style.background") != colours


def test_a_row_of_the_table_picks_its_unit_everywhere(page):
    shown = page("text.html")
    before = drawn(shown, number=0)
    shown.click_in("#units tr:nth-child(5) button")
    unit, layer = shown.js("(() => { const r = document.querySelectorAll('#units tr')[4].row; return [r.unit, r.layer]; })()")
    assert shown.js("document.querySelector('#unit').value") == str(unit)
    assert shown.js("document.querySelector('#layer').value") == str(layer)
    assert shown.js("document.querySelectorAll('#units tr.chosen').length") == 1
    assert drawn(shown, number=0) != before
    first = text_of(shown, "#units tr")
    shown.click_in("#columns th:nth-child(2) button")
    assert shown.js("document.querySelector('#columns th[aria-sort]').getAttribute('aria-sort')") == "ascending"
    assert text_of(shown, "#units tr") != first


def test_controls_and_dots_pick_too(page):
    shown = page("text.html")
    shown.click_in("#maps label:nth-child(1)")
    assert text_of(shown, "#plots .chosen .letter") == "i"
    before = drawn(shown, "#saturation canvas", 0)
    shown.click_in("#saturation canvas", 0.95, 0.95)
    after = shown.js("document.querySelector('#unit').value")
    shown.click_in("#saturation canvas", 0.05, 0.05)
    assert shown.js("document.querySelector('#unit').value") != after
    assert drawn(shown, "#saturation canvas", 0) != before
    heat = drawn(shown)
    shown.js("(() => { const s = document.querySelector('#layer'); s.value = '1'; s.dispatchEvent(new Event('change')); })()")
    shown.settle()
    assert drawn(shown) != heat
    wide = shown.js("document.querySelector('#plots canvas').clientWidth")
    shown.js("(() => { const z = document.querySelector('#zoom'); z.value = 100; z.dispatchEvent(new Event('input')); })()")
    shown.settle()
    assert shown.js("document.querySelector('#plots canvas').clientWidth") > 2 * wide
    assert shown.js("document.documentElement.scrollWidth") <= 1280  # the plots scroll, not the page


def test_the_candidates_can_be_hidden(page):
    shown = page("text.html")
    tall = shown.js("document.querySelector('.cell').offsetHeight")
    shown.click_in("#guess")
    assert shown.js("document.querySelector('.cell').offsetHeight") < tall / 2
    right = shown.js("[...document.querySelectorAll('#text i.right')].map(i => [i.parentNode.dataset.t, i.textContent])")
    shows = {" ": "␣", "\n": "⏎"}
    assert right
    assert all(mark == shows.get(TEXT[int(t) + 1], TEXT[int(t) + 1]) for t, mark in right)


@pytest.mark.parametrize("where", ["#text", "#plots"])
def test_the_keyboard_is_enough(page, where):
    shown = page("text.html")
    shown.js(f"document.querySelector({where!r}).focus()")
    unit = int(shown.js("document.querySelector('#unit').value"))
    move, back = ("ArrowDown", "ArrowUp") if unit < 15 else ("ArrowUp", "ArrowDown")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", move):
        shown.press(key)
    assert "step 1 “h”" in text_of(shown, "#readout")
    assert shown.js("document.querySelector('#unit').value") == str(unit + (1 if unit < 15 else -1))
    shown.press(back)
    shown.press("]", "]")
    assert shown.js("document.querySelector('#maps input:checked').value") == "i"
    shown.press("End")
    assert f"step {len(TEXT) - 1}" in text_of(shown, "#readout")
    shown.press("[", "[")
    assert shown.js("document.querySelector('#maps input:checked').value") == "h"


def test_what_is_operated_has_a_name(page):
    shown = page("text.html")
    nameless = (
        "[...document.querySelectorAll('button, input, select, canvas, [tabindex]')].filter(e => "
        "!(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length))).map(e => e.outerHTML)"
    )
    assert shown.js(nameless) == []
    assert shown.js("document.documentElement.lang") == "en"


def test_a_series_is_drawn_on_the_units_colours(page):
    shown = page("numbers.html")
    before = drawn(shown, "#series canvas", 0)
    assert before[1] > 20
    assert "first" in text_of(shown, "#series .caption")
    shown.click_in("#plots .plot:nth-child(2) canvas", 0.3, 0.9)
    assert drawn(shown, "#series canvas", 0) != before
    assert shown.js("document.querySelector('#layer').options.length") == 2
    assert shown.js("document.querySelectorAll('#plots canvas').length") == 1 + 4 + 4 + 1
    assert drawn(shown, number=7)[1] > 20  # the gradient of every column


@pytest.mark.parametrize("name", ["text.html", "numbers.html", "least.html"])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_and_a_desk_in_light_and_dark(page, name, dark):
    for width in (360, 800, 1400):
        shown = page(name, width, 800, dark)
        assert shown.js("document.documentElement.scrollWidth") <= width
    ground = shown.js("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    picture = shown.screenshot()
    assert picture.startswith(b"\x89PNG")
    assert zlib.crc32(picture)


def test_dark_comes_while_it_is_open(page):
    shown = page("text.html")
    before = drawn(shown)
    shown.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    shown.settle()
    assert drawn(shown) != before


def test_the_smallest_page(page):
    shown = page("least.html", 1000, 800)
    assert "step 0" in text_of(shown, "#readout")
    shown.click_in("#plots .plot:nth-child(2) canvas")
    assert shown.js("document.querySelector('#unit').value") == "0"
