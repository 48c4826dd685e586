"""The pages of the guide: what stands in them, and how their code is run.

A ```python block runs, in the page's one namespace; what it prints has to be what the ```text block that follows says, if
one follows. A ```console block holds commands, `$ gatewright …`, which run too, with what they print under them if anything;
`pip` and `make` are shown and not run. Numbers with a decimal point may differ by a hundredth, or by one in the last digit
printed; under a line `% tolerance: 20%` all numbers may differ by so much.
"""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gatewright import cli

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "guide"
SCRIPT = ROOT / "scripts" / "guide.py"
FENCE = re.compile(r"^(?:% tolerance: (\d+)%\n+)?(```+)(\S*)([^\n]*)\n(.*?)^\2$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")
SHOWN = ("pip", "make")  # commands that are not ours to try
NOTHING = 1e-9  # below this a number is rounding, another on every machine
# A line of a gradient check: its tensor and shape, and where the error is largest, another place on every machine.
TENSOR = re.compile(r"^((?:parameter|input|initial) \S+ +\(\S*\)).*?(WRONG)?$")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str  # "python", "{toctree}" …
    rest: str  # what stands behind the language
    text: str
    line: int  # of the page, where the text begins
    tolerance: float | None


def pages(language: str) -> list[str]:
    """The pages of a language, as `reference/index.md`."""
    folder = GUIDE / language
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))


def read(language: str, page: str) -> str:
    """The text of a page."""
    return (GUIDE / language / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """The fenced blocks in the text of a page."""
    found = []
    for match in FENCE.finditer(page):
        percent, _, language, rest, text = match.groups()
        line = page.count("\n", 0, match.start(5)) + 1
        found.append(Block(language, rest, text, line, None if percent is None else int(percent) / 100))
    return found


def prose(page: str) -> str:
    """A page without its blocks."""
    return FENCE.sub("", page)


def run(page: str, name: str) -> int:
    """Runs a page's blocks in the current folder, checks what they print, and says how many there were."""
    names: dict[str, Any] = {"__name__": "__main__"}
    code, ran = blocks(page), 0
    for block, after in zip(code, [*code[1:], None], strict=True):
        where = f"{name}:{block.line}"
        if block.language == "python":
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile("\n" * (block.line - 1) + block.text, name, "exec"), names)
            follows = after is not None and after.language == "text"
            assert follows or not said.getvalue(), f"{where}: this prints, and no text block says what:\n{said.getvalue()}"
            if follows:
                same(said.getvalue(), after.text, after.tolerance, where)
            ran += 1
        elif block.language == "console":
            ran += _console(block, where)
    return ran


def _console(block: Block, where: str) -> int:
    """Runs the commands of a block; how many there were."""
    ran = 0
    parts = re.split(r"^\$ ", block.text.replace("\\\n", " "), flags=re.MULTILINE)
    assert not parts[0].strip(), f"{where}: a command begins with '$ '"
    for part in parts[1:]:
        line, _, wanted = part.partition("\n")
        command, *arguments = shlex.split(line, comments=True)
        if command in SHOWN:
            continue
        assert command == "gatewright", f"{where}: {command}: only gatewright is run here"
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            code = cli.main(arguments)
        assert code == 0, f"{where}: {line}\n{complained.getvalue()}"
        if wanted.strip():
            same(said.getvalue(), wanted, block.tolerance, where)
        ran += 1
    return ran


def same(got: str, wanted: str, tolerance: float | None, where: str) -> None:
    """Fails unless a program printed what the page says."""
    shown = f"{where} prints\n{got}\nand the page says\n{wanted}"
    lines = [[_plain(line) for line in text.strip().splitlines()] for text in (got, wanted)]
    assert len(lines[0]) == len(lines[1]), shown
    for mine, page in zip(*lines, strict=True):
        assert NUMBER.sub("#", mine) == NUMBER.sub("#", page), shown
        for number, said in zip(NUMBER.findall(mine), NUMBER.findall(page), strict=True):
            assert number == said or _near(number, said, tolerance), f"{number} is not {said}: {shown}"


def _plain(line: str) -> str:
    """A line without what differs between machines, and with one space for any number of them."""
    table = TENSOR.match(line.strip())
    if table:
        line = f"{table[1]} {table[2] or 'right'}"
    return " ".join(line.split())


def _near(number: str, said: str, tolerance: float | None) -> bool:
    if tolerance is None and not set("e.") & set(said):
        return False
    _, point, digits = said.partition(".")
    last = 10.0 ** -len(digits) if point and "e" not in said else NOTHING
    if tolerance is not None:
        last = max(last, 1.0 if not point and "e" not in said else 0)
    return float(number) == pytest.approx(float(said), rel=0.01 if tolerance is None else tolerance, abs=1.01 * last)
