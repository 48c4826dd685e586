"""`gatewright explore`: the page is the one that `model.explore` gives, and what can't be shown is refused in one line."""

import json

import numpy as np
import pytest
from commands import run

import gatewright as gw
from gatewright.text.model import TextModel
from gatewright.text.vocabulary import Vocabulary

CHARACTERS = "ab c\n"


@pytest.fixture
def text(tmp_path):
    """A model of five characters, and a text of them."""
    model = gw.Model(gw.Sequential(gw.Embedding(5, 3), gw.LSTM(3, 4), gw.Dense(4, 5)), seed=0)
    model.save(tmp_path / "text.safetensors")
    (tmp_path / "text.txt").write_text("ab cab\nc", newline="\n")
    return model


@pytest.fixture
def numbers(tmp_path):
    """A model of two columns, and a table with a third."""
    model = gw.Model(gw.Sequential(gw.GRU(2, 3), gw.Dense(3, 1)), seed=0)
    model.save(tmp_path / "numbers.safetensors")
    rows = [f"{k / 2},{k % 3},{k * k}" for k in range(9)]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,goal", *rows]))
    return model


def test_a_text_by_its_characters(capsys, tmp_path, text):
    page = tmp_path / "page.html"
    paths = tmp_path / "text.safetensors", tmp_path / "text.txt"
    code, out, err = run(capsys, "explore", *paths, "-o", page, "--characters", CHARACTERS, "--title", "A title")
    assert (code, err) == (0, "")
    assert out == f"{page}: {page.stat().st_size:,} bytes; open it in a browser\n"
    x = np.array([CHARACTERS.index(c) for c in "ab cab\nc"])
    wanted = text.explore(x, text="ab cab\nc", vocabulary=CHARACTERS, title="A title").html
    assert page.read_text(encoding="utf-8") == wanted
    (tmp_path / "symbols.json").write_text(json.dumps(list(CHARACTERS)))
    run(capsys, "explore", *paths, "-o", page, "--vocabulary", tmp_path / "symbols.json", "--title", "A title")
    assert page.read_text(encoding="utf-8") == wanted
    run(capsys, "explore", *paths, "-o", page, "--characters", CHARACTERS, "--first", 2, "--steps", 4)
    title = "text.safetensors reads text.txt"
    assert page.read_text(encoding="utf-8") == text.explore(x[2:6], text=" cab", vocabulary=CHARACTERS, title=title).html


def test_a_text_by_its_words_and_by_indices(capsys, tmp_path, text):
    page, model, symbols = tmp_path / "page.html", tmp_path / "text.safetensors", ["the", "cat", "sat", "on", "a"]
    (tmp_path / "symbols.json").write_text(json.dumps(symbols))
    (tmp_path / "words.txt").write_text("the cat\nsat on a cat")
    options = ["--title", "t", "--vocabulary", tmp_path / "symbols.json"]
    assert run(capsys, "explore", model, tmp_path / "words.txt", "-o", page, *options)[0] == 0
    x = np.array([0, 1, 2, 3, 4, 1])
    assert page.read_text(encoding="utf-8") == text.explore(x, vocabulary=symbols, title="t").html
    (tmp_path / "indices.txt").write_text("0 1 2\n3 4 1\n")
    assert run(capsys, "explore", model, tmp_path / "indices.txt", "-o", page, "--title", "t")[0] == 0
    assert page.read_text(encoding="utf-8") == text.explore(x, title="t").html


def test_the_columns_of_a_table(capsys, tmp_path, numbers):
    page, options = tmp_path / "page.html", ["--title", "t", "--target", "goal"]
    paths = tmp_path / "numbers.safetensors", tmp_path / "table.csv"
    assert run(capsys, "explore", *paths, "-o", page, *options)[0] == 0
    k = np.arange(9)
    x, y = np.stack([k / 2, k % 3], axis=1), (k * k)[:, None]
    assert page.read_text(encoding="utf-8") == numbers.explore(x, columns=["a", "b"], y=y, title="t").html
    assert run(capsys, "explore", *paths, "-o", page, *options, "--first", 3)[0] == 0
    assert page.read_text(encoding="utf-8") == numbers.explore(x[3:], columns=["a", "b"], y=y[3:], title="t").html


@pytest.mark.parametrize(
    ("model", "content", "options", "words"),
    [
        ("text", "ab", [], "'ab' at step 0; wanted indices, or --vocabulary or --characters"),
        ("text", "0 -1", [], "'-1' at step 1"),
        ("text", "0 7", [], "got 7 in row 0, step 1"),
        ("text", "abx", ["--characters", CHARACTERS], "'x' at step 2 is not among the 5 symbols"),
        ("text", "ab", ["--characters", "abca"], "'a' stands there twice"),
        ("text", "ab", ["--characters", "abc"], "vocabulary: got 3 names, wanted 5"),
        ("text", "a" * 2001, ["--characters", CHARACTERS], "2001 steps, and a page shows at most 2000: choose with --first"),
        ("text", "abc", ["--characters", CHARACTERS, "--first", "3"], "3 steps; --first 3 leaves none"),
        ("text", "abc", ["--characters", CHARACTERS, "--first", "-1"], "--first"),
        ("text", "abc", ["--characters", CHARACTERS, "--steps", "0"], "--steps"),
        ("text", "", [], "0 steps; --first 0 leaves none"),
        ("text", b"\xff\xfe\xfd", [], "is not UTF-8 at byte 0"),
        ("text", "0", ["--target", "a"], "--target is for tables of numbers"),
        ("text", "0", ["--vocabulary", "INPUT"], "wanted a JSON list of strings"),
        ("text", "{", ["--vocabulary", "INPUT"], "is no JSON"),
        ("text", "0", ["--vocabulary", "none.json"], "there is no such file"),
        ("text", "0", ["--vocabulary", "INPUT", "--characters", "ab"], "say the same: give one"),
        ("numbers", "a,b\n1,2", ["--characters", "ab"], "--characters is for models that begin with an Embedding"),
        ("numbers", "a,b,c\n1,2,3", [], "columns: got a, b, c, wanted 2"),
        ("numbers", "a,b\n1,2\n3,", [], "line 3: nothing in column 'b'"),
        ("numbers", "a,b\n1,2", ["--target", "c"], "has no column 'c'"),
        ("numbers", "a,b,c,d\n1,2,3,4", ["--target", "c,d"], "y: got shape (1, 1, 2), wanted (1, 1, 1)"),
        ("numbers", "a,b\n" + "1,2\n" * 2001, [], "2001 steps"),
    ],
)
def test_what_it_refuses(capsys, tmp_path, text, numbers, model, content, options, words):
    given = tmp_path / "given"
    given.write_bytes(content if isinstance(content, bytes) else content.encode())
    options = [given if option == "INPUT" else option for option in options]
    code, out, err = run(capsys, "explore", tmp_path / f"{model}.safetensors", given, "-o", tmp_path / "page.html", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("gatewright: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_a_text_too_long_to_read_is_refused(capsys, tmp_path, text, monkeypatch):
    monkeypatch.setattr("gatewright.cli.explore.LARGEST", 3)
    code, _, err = run(capsys, "explore", tmp_path / "text.safetensors", tmp_path / "text.txt", "-o", tmp_path / "p.html")
    assert code == 2
    assert "8 bytes, and at most 3 are read" in err


@pytest.mark.parametrize(
    ("vocabulary", "shown"),
    [(Vocabulary("ab c\n"), list("ab c\n")), (Vocabulary("ab\n", unknown=True), ["a", "b", "\n", "\N{REPLACEMENT CHARACTER}"])],
)
def test_a_text_model_knows_its_characters(capsys, tmp_path, vocabulary, shown):
    net = gw.Sequential(gw.Embedding(len(shown), 3), gw.GRU(3, 4), gw.Dense(4, len(shown)))
    made = TextModel(vocabulary, gw.Model(net, seed=0))
    made.save(tmp_path / "m.safetensors")
    (tmp_path / "text.txt").write_text("xab cab\nc"[1 - vocabulary.unknown :], newline="\n")
    page = tmp_path / "page.html"
    assert run(capsys, "explore", tmp_path / "m.safetensors", tmp_path / "text.txt", "-o", page, "--title", "t")[0] == 0
    x = vocabulary.encode((tmp_path / "text.txt").read_text(), "text")
    assert page.read_text(encoding="utf-8") == made.model.explore(x, vocabulary=shown, title="t").html


def test_a_text_model_of_bytes(capsys, tmp_path):
    net = gw.Sequential(gw.Embedding(256, 3), gw.GRU(3, 4), gw.Dense(4, 256))
    TextModel(Vocabulary(), gw.Model(net, seed=0)).save(tmp_path / "m.safetensors")
    (tmp_path / "text.txt").write_text("aé\n", encoding="utf-8", newline="\n")
    page = tmp_path / "page.html"
    assert run(capsys, "explore", tmp_path / "m.safetensors", tmp_path / "text.txt", "-o", page)[0] == 0
    assert '"symbols":["a","c3","a9","\\n"]' in page.read_text(encoding="utf-8")
    for option in ("--characters", "--vocabulary", "--target", "--prefix"):
        code, _, err = run(capsys, "explore", tmp_path / "m.safetensors", tmp_path / "text.txt", "-o", page, option, "a")
        assert (code, err.count("\n")) == (2, 1)
        assert f"{option}: " in err
        assert "is a text model, which knows its symbols itself" in err


def test_a_character_that_a_text_model_does_not_know_is_refused(capsys, tmp_path):
    net = gw.Sequential(gw.Embedding(2, 3), gw.GRU(3, 4), gw.Dense(4, 2))
    TextModel(Vocabulary("ab"), gw.Model(net, seed=0)).save(tmp_path / "m.safetensors")
    (tmp_path / "text.txt").write_text("abx")
    code, _, err = run(capsys, "explore", tmp_path / "m.safetensors", tmp_path / "text.txt", "-o", tmp_path / "page.html")
    assert code == 2
    assert "text.txt: the model knows no 'x'" in err
