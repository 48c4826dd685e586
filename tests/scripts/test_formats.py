"""docs/formats.md is what scripts/formats.py makes: what the page says of every format is tried."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_true():
    spec = importlib.util.spec_from_file_location("formats", ROOT / "scripts" / "formats.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.page()
    assert page == script.PAGE.read_text(encoding="utf-8"), "run scripts/formats.py"
    assert {"yes", "no (1)"} <= {cell.strip() for line in page.splitlines() for cell in line.split("|")}
