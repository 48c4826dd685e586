"""Shows the docstrings of gatewright, plain sentences that say `name: what it is` of an argument, as sphinx would have them.

What sphinx takes for markup (*, |, _) is escaped; `code` becomes literal; gw.Name links to the reference. Where a sentence
explains an argument, the argument gets a line of its own.
"""

import inspect
import re
from collections.abc import Collection, Iterator
from typing import Any

from sphinx.application import Sphinx

import gatewright as gw

PUBLIC = {*gw.__all__, *gw._WITH_EXTRA}
# `code`, gw.Name, a shape such as (B, T, hidden_size), and what sphinx would take for markup.
MARKUP = re.compile(r"`([^`]+)`|(\((?:[\w' */+…-]+,)+[\w' */+-]*\))|\bgw\.([A-Za-z_]\w*(?:\.\w+)*)|([\\*|_])")
AXES = re.compile(r"\b[A-Z]\b|\b[A-Z]_i\b|size\b")  # what a list in parentheses has in it if it is a shape
# A sentence that begins with names and a colon: "seed: of the weights.", "betas, eps: as in the paper."; or one that ends this.
EXPLAINED = re.compile(r"(?:^|(?<=[.;)] ))(?:(\w+(?:(?:, | and )\w+)*): |(?=Raises |All other ))")


def paragraphs(docstring: str) -> list[str]:
    """The paragraphs, each as one line; an entry whose other lines are indented is one of its own."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        if found and found[-1].endswith("::") and block.startswith(" "):  # a program
            found.append(block)
            continue
        hangs = any(line.startswith(" ") for line in block.splitlines())
        joined = ""
        for line in block.splitlines():
            if joined and hangs and not line.startswith(" ") and EXPLAINED.match(line):
                found.append(joined)
                joined = ""
            joined = f"{joined} {line.strip()}".strip()
        found.append(joined)
    return found


def marked(text: str) -> str:
    """A sentence as reStructuredText."""

    def replace(found: re.Match[str]) -> str:
        literal, listed, name, special = found.groups()
        if listed and AXES.search(listed):
            literal = listed
        if literal:
            return f"\\ ``{literal}``\\ "
        if name:
            top = name.partition(".")[0]
            return f"\\ :py:obj:`gw.{name} <gatewright.{name}>`\\ " if top in PUBLIC else f"\\ ``gw.{name}``\\ "
        return re.sub(r"([\\*|_])", r"\\\1", listed or special)

    return MARKUP.sub(replace, text)


def explained(text: str, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The pieces of a paragraph, (names, text): those of a piece that explains no argument are ""."""
    said, start = "", 0
    for found in EXPLAINED.finditer(text):
        if not found[1] or set(re.split(", | and ", found[1])) <= set(names):
            if found.start() > start:
                yield said, text[start : found.start()].strip()
            said, start = found[1] or "", found.end()
    yield said, text[start:].strip()


def as_rst(docstring: str, names: Collection[str]) -> list[str]:
    """The lines of a docstring as reStructuredText; `names`: of the arguments that it may explain."""
    lines: list[str] = []
    for paragraph in paragraphs(docstring):
        if paragraph.startswith(" "):
            lines += [*paragraph.splitlines(), ""]
            continue
        for said, text in explained(paragraph, names):
            if said:
                lines += [", ".join(f"**{marked(name)}**" for name in re.split(", | and ", said)), f"    {marked(text)}"]
            else:
                lines += ["", marked(text), ""]
        lines.append("")
    return lines


def _arguments(thing: Any) -> list[str]:
    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    fields = list(getattr(thing, "__annotations__", ())) if inspect.isclass(thing) else []
    lines[:] = as_rst("\n".join(lines), [*_arguments(thing), *fields])


def _skip(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """What an estimator has from scikit-learn is described there."""
    return True if not str(getattr(thing, "__module__", "gatewright")).startswith("gatewright") else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
