"""The widths that this machine can run: fewer lanes than it has run too, and must give the same bits; and the library."""

import pytest

from gatewright.kernels import build, problem, target


def pytest_report_header():
    """What the kernels are compiled for."""
    return f"kernels: {problem('norm') or target.host()}"


@pytest.fixture(params=[lanes for lanes in target.TARGETS if lanes <= target.host().lanes])
def lanes(request, monkeypatch):
    """Every layer is compiled for so many lanes."""
    monkeypatch.setattr(target, "host", lambda: target.TARGETS[request.param])
    return request.param


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the library of this machine."""
    folder = tmp_path_factory.mktemp("library")
    build.build(folder)
    return folder
