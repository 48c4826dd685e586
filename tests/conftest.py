"""What holds for every test: no network, no skip that nobody agreed to, the same examples in every run."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import architecture
import hypothesis
import pytest

from gatewright.kernels import library

# The reasons for which a test may be skipped (or expected to fail), word for word. Any other skip is a failure.
ALLOWED_SKIPS = frozenset({"about x86-64 processors", "qemu-user and binutils-aarch64-linux-gnu are not installed"})

# A library that was built beside the package decides nothing here: tests that want one make it.
library.FOLDER = Path("no-such-folder")

RERUN = pytest.StashKey[Any]()  # of --compiled

# No deadline: no test judges time. Derandomized: a red run is red again; HYPOTHESIS_PROFILE=search looks further.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--compiled=16`: the reference's tests on compiled code (tests/compiled.py)."""
    parser.addoption(
        "--compiled", metavar="LANES", help="run kernels of so many lanes, or of a `library` (or a folder with one)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Lets everything run on compiled code where that was asked for."""
    if config.getoption("--compiled"):
        import compiled

        config.stash[RERUN] = compiled.Rerun(config.getoption("--compiled"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --compiled, leaves the tests that it is meant for."""
    if RERUN in config.stash:
        import compiled

        names = [item.nodeid.removeprefix("tests/") for item in items]
        config.hook.pytest_deselected(
            items=[item for item, name in zip(items, names, strict=True) if not compiled.belongs(name)]
        )
        items[:] = [item for item, name in zip(items, names, strict=True) if compiled.belongs(name)]


@pytest.fixture(autouse=True)
def which_code_ran(request: pytest.FixtureRequest) -> Iterator[None]:
    """With --compiled, fails a test that ran the reference where a kernel should have run."""
    rerun = request.config.stash.get(RERUN, None)
    if rerun:
        rerun.ran.clear()
    yield
    if rerun:
        rerun.judge(request.node.nodeid)


def pytest_report_header() -> str:
    """The size of the library, in every run's first lines."""
    lines = sum(architecture.core_lines().values())
    return f"gatewright: {lines} lines of code from arrays to model (limit {architecture.CORE_LIMIT})"


def _judged(report: Any) -> Any:
    """The report, failed if it is a skip or an expected failure whose reason is not in ALLOWED_SKIPS."""
    if report.skipped:
        expected = getattr(report, "wasxfail", None)
        reason = expected if expected is not None else str(report.longrepr[2])
        reason = reason.removeprefix("Skipped: ").removeprefix("reason: ")
        if reason not in ALLOWED_SKIPS:
            report.outcome = "failed"
            report.longrepr = f"a skip that is not in ALLOWED_SKIPS (tests/conftest.py): {reason!r}"
            if expected is not None:
                del report.wasxfail
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Iterator[Any]:
    """A test that skips itself."""
    return _judged((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Iterator[Any]:
    """A file that skips itself as a whole."""
    return _judged((yield))


def _is_local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(host: object) -> None:
    if not _is_local(host):
        # Not an Exception, so that no handler in the code under test takes it for a network that is down.
        pytest.fail(f"a test wants the network: {host!r}")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Fails every test that looks up or connects to another machine."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def host_of(sock: socket.socket, address: Any) -> object:
        return address[0] if sock.family in (socket.AF_INET, socket.AF_INET6) else None

    def guarded_connect(sock: socket.socket, address: Any) -> None:
        _refuse(host_of(sock, address))
        connect(sock, address)

    def guarded_connect_ex(sock: socket.socket, address: Any) -> int:
        _refuse(host_of(sock, address))
        return connect_ex(sock, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse(host)
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield
