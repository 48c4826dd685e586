"""pyproject.toml, constraints.txt and what is installed agree."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import gatewright

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
LINES = [line for line in CONSTRAINTS.splitlines() if not line.startswith("#")]
PINS = {canonicalize_name(name): Version(version) for name, _, version in (line.partition("==") for line in LINES)}
REQUIREMENTS = [
    Requirement(line) for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
]


def test_the_constraints_are_names_and_versions_only() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)] == []
    assert len(PINS) == len(LINES), "a name stands twice"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    if requirement.name == PROJECT["name"]:
        assert requirement.extras <= set(EXTRAS)
        return
    assert requirement.specifier, "a requirement needs a lower bound that was tried"
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_the_extras_are_these() -> None:
    assert set(EXTRAS) == {"fast", "plot", "keras", "onnx", "sklearn", "bench", "tasks", "docs", "all", "dev"}


@pytest.mark.parametrize("extra", ["plot", "docs"])
def test_dev_holds_all_that_the_tests_use_of(extra: str) -> None:
    assert {line for line in EXTRAS[extra] if not line.startswith(PROJECT["name"])} <= set(EXTRAS["dev"])


def test_the_version_is_one() -> None:
    assert importlib.metadata.version("gatewright") == PROJECT["version"]
    assert gatewright.__version__ == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_command_is_installed() -> None:
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="gatewright")
    assert callable(command.load())


def test_no_host_and_no_path_is_committed() -> None:
    """What belongs to one machine has no place in the files that say how to set up any."""
    files = [ROOT / name for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "scripts/check")]
    local = re.compile(r"https?://|index-url|find-links|/tmp/|/home/|/root/")
    assert [p.name for p in [*files, *ROOT.glob("scripts/*.py")] if local.search(p.read_text(encoding="utf-8"))] == []
