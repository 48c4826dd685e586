"""scripts/environment.py decides rightly what to do; pip and venv themselves are stood in for."""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "environment.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, for a project in a folder with a space, that logs what it would do instead of doing it."""
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path / "my project"
    root.mkdir()
    for name in module.RECIPE:
        (root / name).write_text(name)
    log: list[tuple[str, ...]] = []

    def create(folder: Path, **options: object) -> None:
        log.append(("create", folder.name))
        python = module.python_of(folder)
        python.parent.mkdir(parents=True)
        python.touch()

    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(module.venv, "create", create)
    monkeypatch.setattr(module, "install", lambda folder, extras: log.append(("install", *extras)))
    module.log = log  # type: ignore[attr-defined]
    return module


@pytest.fixture
def folder(script: ModuleType) -> Path:
    """A whole environment with one extra; the log is empty again."""
    folder: Path = script.ROOT / "an environment"
    assert script.main([str(folder), "plot"]) == 0
    assert script.log == [("create", "an environment"), ("install", "plot")]
    script.log.clear()
    return folder


def test_a_whole_environment_is_left_alone(script: ModuleType, folder: Path) -> None:
    assert script.main([str(folder), "plot"]) == 0
    assert script.log == []


def test_another_extra_is_added_once(script: ModuleType, folder: Path) -> None:
    assert script.main([str(folder), "plot", "dev"]) == 0
    assert script.log == [("install", "dev", "plot")]
    assert script.main([str(folder), "plot"]) == 0
    assert script.main([str(folder), "dev"]) == 0
    assert script.log == [("install", "dev", "plot")]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_another_recipe_is_installed(script: ModuleType, folder: Path, name: str) -> None:
    (script.ROOT / name).write_text("changed")
    assert script.main([str(folder), "plot"]) == 0
    assert script.log == [("install", "plot")]


@pytest.mark.parametrize("stamp", [None, "", "{", "[]", '{"extras": ["plot"]}'])
def test_without_a_right_stamp_it_is_made_anew(script: ModuleType, folder: Path, stamp: str | None) -> None:
    (folder / "left over").write_text("half an installation")
    (folder / script.STAMP).unlink()
    if stamp is not None:
        (folder / script.STAMP).write_text(stamp)
    assert script.main([str(folder), "plot"]) == 0
    assert script.log == [("create", "an environment"), ("install", "plot")]
    assert not (folder / "left over").exists()


def test_an_interrupted_installation_leaves_no_stamp(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path, extras: list[str]) -> None:
        raise OSError("the network is down")

    with monkeypatch.context() as patch:
        patch.setattr(script, "install", fail)
        assert script.main([str(folder), "plot", "dev"]) == 1
    assert "the network is down" in capsys.readouterr().err
    assert not (folder / script.STAMP).exists()
    assert script.main([str(folder), "plot"]) == 0
    assert script.log == [("create", "an environment"), ("install", "plot")]


def test_a_moved_environment_is_made_anew(script: ModuleType, folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    assert script.main([str(folder.with_name("moved")), "plot"]) == 0
    assert script.log == [("create", "moved"), ("install", "plot")]


def test_a_lost_python_is_replaced(script: ModuleType, folder: Path) -> None:
    script.python_of(folder).unlink()
    script.python_of(folder).parent.rmdir()
    assert script.main([str(folder), "plot"]) == 0
    assert script.log == [("create", "an environment"), ("install", "plot")]


def test_a_half_made_default_is_replaced(script: ModuleType) -> None:
    folder = script.ROOT / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("not one")
    assert script.main([str(folder)]) == 0
    assert script.log == [("create", ".venv"), ("install",)]


@pytest.mark.parametrize("command", [[], ["--remove"]])
def test_a_folder_of_somebody_else_is_refused(
    script: ModuleType, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = script.ROOT / "photos"
    folder.mkdir()
    (folder / "one.jpg").write_text("precious")
    assert script.main([*command, str(folder)]) == 2
    assert "was not made here" in capsys.readouterr().err
    assert [p.name for p in folder.iterdir()] == ["one.jpg"]
    assert script.main([*command, str(folder / "one.jpg")]) == 2
    assert script.log == []


def test_what_a_link_points_to_stays(script: ModuleType, folder: Path) -> None:
    elsewhere = script.ROOT / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("precious")
    os.symlink(elsewhere, folder / "lib64")
    assert script.main(["--remove", str(folder)]) == 0
    assert not folder.exists()
    assert (elsewhere / "file").exists()


def test_removing_nothing_is_fine(script: ModuleType) -> None:
    assert script.main(["--remove", str(script.ROOT / "none")]) == 0


@pytest.mark.parametrize("arguments", [[], [""], ["--help"], ["--remove"]])
def test_wrong_arguments_get_the_usage(script: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_an_old_python_is_told_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script.sys, "version_info", (3, 10, 1))
    assert script.main([str(script.ROOT / ".venv")]) == 2
    assert capsys.readouterr().err == "this is Python 3.10, wanted 3.11 or newer: call make with PYTHON=python3.11\n"


def test_the_stamp_says_what_is_in_it(script: ModuleType, folder: Path) -> None:
    stamp = json.loads((folder / script.STAMP).read_text())
    assert stamp["extras"] == ["plot"]
    assert stamp["place"]["project"] == str(script.ROOT)
