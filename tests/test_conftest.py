"""The rules of conftest.py catch what they are there for."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LOCAL = pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
FOREIGN = pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid", "2001:db8::1"])


def run_inside(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest on one file of `source`, under this project's conftest and settings."""
    for name in ("conftest.py", "architecture.py"):
        shutil.copy(TESTS / name, folder)
    (folder / "test_planted.py").write_text(source)
    settings = TESTS.parent / "pyproject.toml"
    command = [sys.executable, "-m", "pytest", "-c", str(settings), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    return subprocess.run([*command, str(folder)], cwd=folder, text=True, capture_output=True)


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\ndef test(): pytest.skip('no such thing')",
        "import pytest\n@pytest.mark.skip(reason='no such thing')\ndef test(): pass",
        "import pytest\npytest.skip('no such thing', allow_module_level=True)",
        "import pytest\n@pytest.mark.xfail(reason='no such thing', strict=False)\ndef test(): assert False",
        "import pytest\ndef test(): pytest.xfail('no such thing')",
    ],
)
def test_an_unlisted_skip_fails_the_run(tmp_path: Path, source: str) -> None:
    run = run_inside(tmp_path, source)
    assert run.returncode != 0
    assert "not in ALLOWED_SKIPS" in run.stdout
    assert "no such thing" in run.stdout


def test_a_plain_test_passes(tmp_path: Path) -> None:
    run = run_inside(tmp_path, "def test(): pass")
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_warning_fails_the_run(tmp_path: Path) -> None:
    run = run_inside(tmp_path, "import warnings\ndef test(): warnings.warn('planted')")
    assert run.returncode == 1
    assert "UserWarning: planted" in run.stdout


@FOREIGN
def test_another_machine_is_out_of_reach(host: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="wants the network"):
        socket.create_connection((host, 80), timeout=0.1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(pytest.fail.Exception, match="wants the network"):
        sock.connect((host, 80))
    with socket.socket(family) as sock, pytest.raises(pytest.fail.Exception, match="wants the network"):
        sock.connect_ex((host, 80))


@LOCAL
def test_this_machine_may_be_looked_up(host: str) -> None:
    assert socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)


def test_this_machine_may_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        peer, _ = server.accept()
        with peer:
            client.sendall(b"x")
            assert peer.recv(1) == b"x"
