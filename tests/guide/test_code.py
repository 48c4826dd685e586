"""The English pages' programs run and print what the pages say; the Chinese pages have the same ones."""

import re
from pathlib import Path

import guide_pages
import pytest

ENGLISH = guide_pages.pages("en")
LINK = re.compile(r"\]\(([^)\s]+)\)|<(https?://[^>]+)>")
LABEL = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)
HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]+\$", re.DOTALL)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
BROKEN = re.compile(r"^(?!#|\().*[\u4e00-\u9fff，。；：、（）]\n(?![-#|>(\d]|\n| ).+", re.MULTILINE)


@pytest.mark.parametrize("page", ENGLISH)
def test_the_code_runs_and_prints_what_the_page_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = guide_pages.read("en", page)
    ran = guide_pages.run(text, page)
    assert ran or not re.search(r"^```+(python|console|py|sh|bash)", text, re.MULTILINE)


def test_the_chinese_pages_are_the_english_ones() -> None:
    assert guide_pages.pages("zh") == ENGLISH


@pytest.mark.parametrize("page", ENGLISH)
def test_a_chinese_page_says_what_the_english_one_does(page: str) -> None:
    english, chinese = (guide_pages.read(language, page) for language in ("en", "zh"))

    def code(text: str) -> list[tuple[str, str, str]]:
        """The blocks, but for captions, which are words."""
        return [
            (b.language, b.rest, re.sub(r"^:caption:.*\n", "", b.text, flags=re.MULTILINE)) for b in guide_pages.blocks(text)
        ]

    assert code(chinese) == code(english)
    english, chinese = guide_pages.prose(english), guide_pages.prose(chinese)
    assert [level for level, _ in HEADING.findall(chinese)] == [level for level, _ in HEADING.findall(english)]
    for pattern in (LINK, LABEL, FORMULA):
        assert sorted(pattern.findall(chinese)) == sorted(pattern.findall(english))


@pytest.mark.parametrize("page", ENGLISH)
def test_a_chinese_page_is_chinese(page: str) -> None:
    text = guide_pages.prose(guide_pages.read("zh", page))
    assert CHINESE.search(HEADING.findall(text)[0][1])
    plain = re.sub(r"^\(.*\)=$|^\|.*$|^- .* \(\d{4}\)\. .*$", "", FORMULA.sub("", text), flags=re.MULTILINE)  # a source
    paragraphs = [part for part in re.split(r"\n\s*\n", plain) if len(part) > 80]
    assert [part for part in paragraphs if not CHINESE.search(part)] == []
    assert BROKEN.findall(text) == []  # a browser would put a blank there


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint(1.5)\n```\n\n```text\n1.7\n```\n", "1.5 is not 1.7"),
        ("```python\nprint(3)\n```\n\n```text\n4\n```\n", "3 is not 4"),
        ("```python\nprint('a')\n```\n\n```text\nb\n```\n", "the page says"),
        ("```python\nprint('a')\n```\n", "no text block"),
        ("```python\nprint('a\\nb')\n```\n\n```text\na\n```\n", "the page says"),
        ("```python\nprint(90)\n```\n\n% tolerance: 5%\n```text\n99\n```\n", "90 is not 99"),
        ("```python\nprint('parameter 0.W (3,) [0]')\n```\n\n```text\nparameter 0.W (3,) [1] WRONG\n```\n", "the page says"),
        ("```console\n$ gatewright check lstm --steps 1\n```\n", "steps"),
        ("```console\n$ rm file\n```\n", "only gatewright"),
        ("```console\ngatewright check lstm\n```\n", "begins with"),
    ],
)
def test_a_wrong_page_fails(page: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        guide_pages.run(page, "planted.md")


@pytest.mark.parametrize(
    "page",
    [
        "```python\nx = 1.499\n```\n\n```python\nprint(f'{x:.2f}  is', x)\n```\n\n```text\n1.51 is 1.5\n```\n",
        "```python\nprint(90, 2.0)\n```\n\n% tolerance: 20%\n```text\n99 1.7\n```\n",
        "```python\nprint(3e-16)\n```\n\n```text\n8e-15\n```\n",
        "```python\nprint('parameter 0.W (3,) [0]  1e-3')\n```\n\n```text\nparameter 0.W  (3,)  direction 2  1\n```\n",
        "```console\n$ pip install something\n$ gatewright check lstm \\\n    --steps 3\n```\n",
    ],
)
def test_a_right_page_passes(page: str) -> None:
    assert guide_pages.run(page, "planted.md")
