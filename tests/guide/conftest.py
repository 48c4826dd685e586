"""The guide, built once for all tests that look at it."""

import subprocess
import sys
from pathlib import Path

import guide_pages
import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the built guide."""
    folder = tmp_path_factory.mktemp("the guide")
    done = subprocess.run([sys.executable, str(guide_pages.SCRIPT), str(folder)], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder
