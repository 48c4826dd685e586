"""The guide builds in both languages without a warning, asks nothing of other machines, and has every public name."""

import importlib.util
import inspect
import re
from pathlib import Path

import guide_pages
import pytest

import gatewright as gw

LANGUAGES = ("en", "zh")
# What a browser fetches by itself: everything but the links that a reader may follow.
FETCHED = re.compile(
    r"<(?!a\b)[a-z]+\b[^>]*?\b(?:src|href|data|poster|action)\s*=\s*[\"']?((?:https?:)?//[^\"'\s>]+)|(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)"
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_there_and_knows_its_language(built: Path, language: str) -> None:
    other = "en" if language == "zh" else "zh"
    for page in guide_pages.pages(language):
        path = (built / language / page).with_suffix(".html")
        html = path.read_text(encoding="utf-8")
        assert re.search(rf'<html[^>]* lang="{language}', html)
        (link,) = re.findall(rf'hreflang="{other}" href="([^"]+)"', html)
        assert (path.parent / link).resolve() == (built / other / page).with_suffix(".html").resolve()


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_fetched_from_elsewhere(built: Path, language: str) -> None:
    files = [path for kind in ("html", "css") for path in (built / language).rglob(f"*.{kind}")]
    assert len(files) > len(guide_pages.pages(language))
    fetched = {path.name: FETCHED.findall(path.read_text(encoding="utf-8")) for path in files}
    assert {name: found for name, found in fetched.items() if found} == {}


@pytest.mark.parametrize(
    "text",
    ['<script src="https://x.y/z.js">', "<link rel=a href='//x.y/z.css'>", "url(http://x.y/z.woff)", '@import "https://x.y"'],
)
def test_a_foreign_file_would_be_seen(text: str) -> None:
    assert FETCHED.search(text)
    assert not FETCHED.search('<a class="reference" href="https://x.y">')


def names() -> list[str]:
    """What the reference has to have: every public name, and what is in it, unless it comes from another public class."""
    found = []
    for name in [*gw.__all__, *gw._WITH_EXTRA]:
        thing = getattr(gw, name)
        if inspect.ismodule(thing):
            public = gw.viz.__all__ if name == "viz" else [cls.__name__ for cls in gw.losses.BY_NAME.values()]
            found += [f"{name}.{each}" for each in public]
            continue
        found.append(name)
        classes = inspect.getmro(thing) if inspect.isclass(thing) else ()
        if not any(cls.__name__ in gw.__all__ for cls in classes[1:]):
            ours = [cls for cls in classes if cls.__module__.startswith("gatewright")]
            members = {each: member for cls in ours for each, member in vars(cls).items()}
            found += [f"{name}.{each}" for each, member in members.items() if not each.startswith("_") and _said(member)]
    return found


def _said(member: object) -> bool:
    """Whether a member of a class has a docstring of its own."""
    function = getattr(member, "__func__", member)
    return (inspect.isfunction(function) or isinstance(function, property)) and bool(function.__doc__)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_public_name_is_in_the_reference(built: Path, language: str) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (built / language / "reference").glob("*.html")]
    there = {name for page in pages for name in re.findall(r'id="gatewright\.([\w.]+)"', page)}
    assert len(names()) > 100
    assert [name for name in names() if name not in there] == []


def test_the_script_says_how_it_is_called() -> None:
    spec = importlib.util.spec_from_file_location("guide", guide_pages.SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main(["--help"]) == 2
    assert script.main(["one", "two"]) == 2
