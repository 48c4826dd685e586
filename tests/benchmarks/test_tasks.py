"""The page of the tasks says what their committed results say, and the parts that make it work."""

import re

import pytest
from programs import TASKS, loaded

PARTS = ("run", "tables")


@pytest.fixture(scope="module")
def tasks():
    """The modules, which find each other by their plain names; nobody else finds them afterwards."""
    with loaded(TASKS, *PARTS) as modules:
        yield modules


def test_the_page_is_what_the_results_say(tasks, tmp_path, monkeypatch):
    tables = tasks["tables"]
    committed = tables.PAGE.read_text(encoding="utf-8")
    monkeypatch.setattr(tables, "PAGE", tmp_path / "README.md")
    tables.main()
    assert tables.PAGE.read_text(encoding="utf-8") == committed


def test_every_task_is_a_script_with_a_result_and_no_other_is(tasks):
    names = set(tasks["run"].TASKS)
    assert names == {path.stem for path in tasks["tables"].RESULTS.glob("*.json")}
    for name in names:
        script = (TASKS / f"{name}.py").read_text(encoding="utf-8")
        assert '"--keep"' in script
        assert "tables.one_core()" in script


def test_a_table_as_text_and_as_markdown(tasks):
    table = tasks["tables"].Table("t", "A title", ("", "bits"), [["ours", 1.5], ["theirs", 12]], ("A note.",))
    assert str(table) == "A title\n\n        bits\n────────────\nours    1.5\ntheirs  12\n\nA note."
    assert table.markdown() == "## A title\n\n|  | bits |\n| --- | --- |\n| ours | 1.5 |\n| theirs | 12 |\n\nA note.\n"


def test_what_is_kept_is_what_was_published_and_who_made_it(tasks, tmp_path, monkeypatch, capsys):
    tables = tasks["tables"]
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(tables, "PAGE", tmp_path / "README.md")
    table = tables.Table("t", "A title", ["what"], [["1 %"]])
    tables.publish(table, keep=False)
    assert not tables.RESULTS.exists()
    tables.publish(table, keep=True)
    assert capsys.readouterr().out == 2 * f"{table}\n"
    tables.main()
    page = tables.PAGE.read_text(encoding="utf-8")
    assert table.markdown() in page
    assert re.search(r"Measured with Python 3\.\d+\.\d+, gatewright \S+, numpy ", page)


def test_an_unknown_task_is_one_line(tasks, capsys):
    assert tasks["run"].main(["japanese_bowels"]) == 2
    assert capsys.readouterr().err.startswith("unknown: japanese_bowels; known: japanese_vowels, ")
