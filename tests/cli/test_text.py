"""`gatewright text`: what it writes and says, and what it says to bad input."""

import os
import signal
import subprocess
import sys

import pytest
from commands import run
from texts import chinese, rhyme

import gatewright as gw
from gatewright.cli.progress import Reader
from gatewright.text.lesson import Status
from gatewright.text.model import TextModel
from gatewright.text.settings import TextSettings

FAST = ["--hidden", "8", "--window", "10", "--batch", "4", "--epochs", "2", "--learning-rate", "0.02"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "春.txt"
    path.write_bytes(chinese(60).encode())
    return path


@pytest.fixture
def model(capsys, tmp_path, text):
    path = tmp_path / "m.safetensors"
    assert run(capsys, "text", "train", text, "-o", path, *FAST)[0] == 0
    return path


def test_a_byte_order_mark_is_no_character(capsys, tmp_path, text, model):
    marked, path = tmp_path / "marked.txt", tmp_path / "marked.safetensors"
    marked.write_bytes(b"\xef\xbb\xbf" + text.read_bytes())
    assert run(capsys, "text", "train", marked, "-o", path, *FAST)[0] == 0
    assert path.read_bytes() == model.read_bytes()
    scores = [run(capsys, "text", "score", model, each)[1].partition(": ")[2] for each in (marked, text)]
    assert scores[0] == scores[1] != ""


@pytest.mark.parametrize("level", ["char", "byte"])
def test_from_a_text_to_another(capsys, tmp_path, text, level):
    path = tmp_path / "m.safetensors"
    code, out, err = run(capsys, "text", "train", text, "-o", path, *FAST, "--level", level, "--cell", "gru", "--layers", "2")
    length, held = len(chinese(60)), round(0.05 * len(chinese(60)))
    assert code == 0
    assert out.splitlines()[0] == f"{text}: {length} characters, the last {held} of them held out"
    trained = TextModel.load(path)
    score = trained.score(chinese(60)[-held:]).per_character
    symbols = trained.vocabulary.size
    assert out.splitlines()[1] == f"{path}: GRU of 8, {symbols} symbols: {score:.3f} bits a character held out"
    told = err.splitlines()
    assert [line.split(":")[0] for line in told] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert f"{score:.3f} bits a character held out, " in err
    assert ("characters" if level == "char" else "bytes") + " a second, " in told[0]
    assert told[1].endswith("0.0 minutes left")
    assert trained.model.layer.children["1"].num_layers == 2

    code, out, err = run(capsys, "text", "sample", path, "--length", "12", "--prime", "小貓", "--seed", "4")
    assert (code, err) == (0, "")
    assert out == "小貓" + "".join(trained.sample(12, prime="小貓", seed=4)) + "\n"

    code, out, _ = run(capsys, "text", "score", path, text)
    whole = trained.score(chinese(60))
    numbers = f"{whole.per_character:.4f} bits a character, {whole.per_byte:.4f} bits a byte"
    assert (code, out) == (0, f"{text}: {numbers} ({length} characters, {len(chinese(60).encode()):,} bytes)\n")


def test_options_of_sampling_arrive(capsys, model):
    trained = TextModel.load(model)
    options = ["--temperature", "0.5", "--top-k", "5", "--top-p", "0.8", "--seed", "1", "--length", "30"]
    expected = "".join(trained.sample(30, temperature=0.5, top_k=5, top_p=0.8, seed=1))
    assert run(capsys, "text", "sample", model, *options)[1] == expected + "\n"
    assert expected != "".join(trained.sample(30, seed=1))


def test_until_ends_a_sample(capsys, model):
    whole = "".join(TextModel.load(model).sample(400, seed=0))
    end = whole[20:22]
    stopped = run(capsys, "text", "sample", model, "--length", "400", "--seed", "0", "--until", end)[1]
    assert stopped == whole[: whole.index(end) + 2] + "\n"


def test_ctrl_c_ends_a_sample_that_is_already_printed(capsys, monkeypatch, model):
    def interrupted(*given, **options):
        yield "小"
        raise KeyboardInterrupt

    monkeypatch.setattr(TextModel, "sample", interrupted)
    assert run(capsys, "text", "sample", model, "--prime", "春天的") == (130, "春天的小\n", "")


def test_scores_line_by_line(capsys, tmp_path, model):
    lines = ["小貓等著雪。", "", "雪等著小貓。"]
    (tmp_path / "other.txt").write_bytes("\n".join(lines).encode())
    code, out, _ = run(capsys, "text", "score", model, tmp_path / "other.txt", "--per-line")
    bits = TextModel.load(model).bits("\n".join(lines))
    expected = [f"1\t{bits[:7].mean():.3f}\t{lines[0]}", f"2\t{bits[7]:.3f}\t", f"3\t{bits[8:].mean():.3f}\t{lines[2]}"]
    assert (code, out.splitlines()[:-1]) == (0, expected)
    assert out.splitlines()[-1].endswith(f"({len(bits)} characters, 38 bytes)")
    (tmp_path / "other.txt").write_bytes("雪\n".encode())
    assert len(run(capsys, "text", "score", model, tmp_path / "other.txt", "--per-line")[1].splitlines()) == 2


def test_rare_characters_and_no_held_out_text(capsys, tmp_path, text):
    path = tmp_path / "m.safetensors"
    options = ["--min-count", "12", "--held-out", "0", "--minutes", "5", "--seed", "3"]
    code, out, err = run(capsys, "text", "train", text, "-o", path, *FAST, *options)
    assert code == 0
    assert "the last 0 of them" in out
    assert out.splitlines()[-1].endswith("bits a character")
    assert "epoch 2 of 2: " in err
    assert TextModel.load(path).vocabulary.unknown


def test_time_ends_a_training(capsys, tmp_path, text):
    path = tmp_path / "m.safetensors"
    few = FAST[:6]
    code, out, err = run(capsys, "text", "train", text, "-o", path, *few, "--minutes", "0.0000001")
    assert code == 0
    assert err.startswith("a part of epoch 1: ")
    assert path.exists()
    assert "bits a character held out" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\xef\xbb\xbf\xff", "byte 4 is not UTF-8"),
        (b"abc\xff", "byte 4 is not UTF-8"),
        ("春".encode("utf-16"), "byte 1 is not UTF-8"),
        (b"short", "text: got 5 symbols to learn from"),
    ],
)
def test_files_that_are_no_text_to_learn(capsys, tmp_path, content, words):
    (tmp_path / "bad.txt").write_bytes(content)
    code, _, err = run(capsys, "text", "train", tmp_path / "bad.txt", "-o", tmp_path / "m.safetensors", *FAST)
    assert code == 2
    assert err.startswith("gatewright: ")
    assert "bad.txt: " in err
    assert words in err
    assert err.count("\n") == 1
    assert os.listdir(tmp_path) == ["bad.txt"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["train", "none.txt"], "none.txt: there is no such file"),
        (["train", "春.txt", "-o", "no/m.safetensors"], "-o no/m.safetensors: wanted the name of a file"),
        (["train", "春.txt", "-o", "."], "-o .: wanted the name of a file"),
        (["train", "春.txt", "--hidden", "0"], "--hidden: got 0"),
        (["train", "春.txt", "--held-out", "1"], "--held-out: got 1.0"),
        (["train", "春.txt", "--learning-rate", "nan"], "--learning-rate: got nan"),
        (["train", "春.txt", "--min-count", "9999"], "min_count=9999"),
        (["train", "春.txt", "--min-count", "2", "--level", "byte"], "min_count=2"),
        (["train", "春.txt", "--level", "word"], "invalid choice: 'word'"),
        (["sample", "m.safetensors", "--temperature", "-1"], "temperature: got -1.0"),
        (["sample", "m.safetensors", "--top-k", "0"], "top_k: got 0"),
        (["sample", "m.safetensors", "--top-p", "1.5"], "top_p: got 1.5"),
        (["sample", "m.safetensors", "--length", "-2"], "length: got -2"),
        (["sample", "m.safetensors", "--seed", "-2"], "--seed: got -2"),
        (["sample", "m.safetensors", "--until", ""], "--until: got nothing"),
        (["sample", "m.safetensors", "--prime", "Zebra"], "prime: the model knows no 'Z', 'e', 'b', 'r', 'a'"),
        (["sample", "春.txt"], "春.txt: not a whole safetensors file"),
        (["sample", "none"], "none: there is no such file"),
        (["sample", "plain"], "plain: a file of gatewright's, but no text model"),
        (["score", "m.safetensors", "rhyme.txt"], "rhyme.txt: text: the model knows no 'j'"),
        (["score", "m.safetensors", "m.safetensors"], "m.safetensors: byte"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, model, argv, words):
    monkeypatch.chdir(tmp_path)
    gw.Model(gw.LSTM(1, 2)).save("plain")
    (tmp_path / "rhyme.txt").write_text(rhyme(1))
    there = sorted(os.listdir())
    code, _, err = run(capsys, "text", *argv)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert sorted(os.listdir()) == there


def test_inspect_says_what_it_is(capsys, model):
    code, out, _ = run(capsys, "inspect", model)
    assert code == 0
    assert "a text model, with 6 arrays" in out
    assert "`gatewright text` takes it" in out


def test_ctrl_c_keeps_the_best_so_far(tmp_path):
    (tmp_path / "t.txt").write_text(rhyme(2000))
    argv = ["text", "train", "t.txt", *FAST[:6], "--epochs", "100000"]
    source = f"import sys\nfrom gatewright.cli import main\nsys.exit(main({argv!r}))"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert first.startswith("epoch 1 of 100000: ")
    assert process.returncode == 130
    assert "stopping, the best so far is kept" in err
    assert err.splitlines()[-1].startswith("interrupted: the best model so far, after ")
    assert out.splitlines()[-1].startswith("model.safetensors: LSTM of 8, 19 symbols: ")
    assert len("".join(TextModel.load(tmp_path / "model.safetensors").sample(9))) == 9


def test_a_bar_where_someone_watches(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Reader(TextSettings(epochs=2)) as reader:
        task = reader._console.bar.tasks[0]
        assert reader(Status(0, 2, 0.25, 1000, 2.0, ())) is False
        assert (task.completed, task.fields["speed"], task.fields["score"]) == (0.25, "500 characters a second", "")
        assert reader(Status(1, 2, 0.5, 2000, 4.0, (1.5,))) is False
        reader(Status(1, 2, 0.75, 3000, 6.0, (1.5,)))
        assert (task.completed, task.fields["score"]) == (0.75, "1.500 bits a character held out")
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("epoch 1 of 2: 1.500 bits a character held out, 500 characters a second, 0.1 minutes left") == 1
