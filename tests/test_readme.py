"""The README's program runs as printed and says what is printed under it."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")


def block(language: str) -> str:
    """The README's only block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(found)


def test_the_six_lines_say_what_the_readme_says() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(block("python"), "README.md", "exec"), {})
    got, wanted = said.getvalue().splitlines(), block("text").splitlines()
    assert len(got) == len(wanted)
    assert NUMBER.sub("#", got[0]) == NUMBER.sub("#", wanted[0])
    assert [float(n) for n in NUMBER.findall(got[0])] == pytest.approx([float(n) for n in NUMBER.findall(wanted[0])], abs=0.02)
    # Where the check is worst is a matter of rounding, another on every machine; what is checked, and the verdict, are not.
    assert [line.split()[:3] for line in got[1:-1]] == [line.split()[:3] for line in wanted[1:-1]]
    assert NUMBER.sub("#", got[-1]) == NUMBER.sub("#", wanted[-1])
    assert got[-1].startswith("all ")


def test_the_files_that_the_readme_points_at_are_there() -> None:
    folder = Path(__file__).resolve().parent.parent
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (folder / link).exists()] == []
