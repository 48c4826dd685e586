"""The built guide in a real browser: nothing comes from elsewhere, nothing complains, every page fits. `make test-browser`.

These tests are left out unless they are asked for (`-m browser`), for they need Chromium.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import guide_pages
import pytest
from browser import Browser

pytestmark = pytest.mark.browser
FOUND = "[...document.querySelectorAll('ul.search li > a')].map(a => a.getAttribute('href').split(/[?#]/)[0])"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_fits_into_its_window_and_asks_for_nothing(built: Path, browser: Browser, language: str) -> None:
    browser.said.clear()
    browser.requests.clear()
    for page in guide_pages.pages(language):
        for width in (390, 1300):
            browser.open((built / language / page).with_suffix(".html"), width=width)
            assert browser.js("document.documentElement.scrollWidth") <= width, (page, width)
    assert browser.requests
    assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []
    assert browser.said == []


@pytest.mark.parametrize("dark", [False, True])
def test_there_is_a_light_and_a_dark_page(built: Path, browser: Browser, dark: bool) -> None:
    browser.open(built / "en" / "index.html", dark=dark)
    colour = browser.js("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(colour) < 150) == dark


def test_the_contents_open_on_a_phone(built: Path, browser: Browser) -> None:
    browser.open(built / "zh" / "start.html", width=390)
    shown = "document.querySelector('.contents').getBoundingClientRect().height"
    assert browser.js(shown) == 0
    browser.click_in("header label")
    assert browser.js(shown) > 100
    browser.click_in("header nav a[href='bptt.html']")
    assert browser.js("document.location.pathname").endswith("zh/bptt.html")


@pytest.mark.parametrize(("language", "words"), [("en", "forget gate"), ("zh", "遗忘门"), ("zh", "LSTM 细胞状态")])
def test_a_search_finds_the_pages(built: Path, browser: Browser, language: str, words: str) -> None:
    browser.said.clear()
    browser.open(built / language / "index.html")
    browser.js(f"document.querySelector('header form input').value = {words!r}; document.querySelector('header form').submit()")
    end = time.monotonic() + 60
    while "bptt.html" not in (browser.js(FOUND) or ()):
        assert time.monotonic() < end, browser.said
        time.sleep(0.05)
    assert "reference/errors.html" not in browser.js(FOUND)
    assert browser.said == []
