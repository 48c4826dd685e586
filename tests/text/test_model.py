"""Language models: what they learn, say and keep."""

import json
from dataclasses import replace

import numpy as np
import pytest
from refusals import refused
from safetensors import safe_open
from safetensors.numpy import save_file
from texts import chinese, rhyme

import gatewright as gw
from gatewright.errors import DataError, FormatError, MissingFileError, NotFiniteError, OptionError
from gatewright.text import lesson, model
from gatewright.text.lesson import stretches
from gatewright.text.model import Score, TextModel
from gatewright.text.settings import TextSettings
from gatewright.text.vocabulary import Vocabulary

SMALL = TextSettings(hidden=16, window=10, batch=4, epochs=3, learning_rate=0.02)


def untrained(text, level="char", min_count=1, **options):
    vocabulary = Vocabulary.of(text, level, min_count)
    return TextModel(vocabulary, gw.Model(replace(SMALL, **options).network(vocabulary.size), seed=1))


def flat(text_model):
    return text_model.model.parameters.flat.copy()


# --- the text as stretches


@pytest.mark.parametrize("length", [2, 50, 200, 201, 202, 399, 1234])
def test_stretches_cover_the_whole_text(length):
    x, y = stretches(np.arange(length), SMALL)
    assert x.shape == y.shape
    assert x.shape[1] <= lesson.STRETCH * SMALL.window
    assert (y == x + 1).all()
    assert set(x.ravel()) == set(range(length - 1))
    assert x.size - (length - 1) < len(x)


# --- learning


@pytest.mark.parametrize(("cell", "level"), [("lstm", "char"), ("gru", "byte"), ("rnn", "char")])
def test_a_rhyme_is_learned_and_said(cell, level):
    settings = replace(SMALL, cell=cell, level=level, hidden=32, epochs=12, window=21, layers=1 + (cell == "rnn"))
    learned = TextModel.train(rhyme(100), settings)
    assert learned.score(rhyme(10)).per_character < 0.3
    assert "".join(learned.sample(70, prime="jumpy", temperature=0)) == rhyme(4)[5:75]
    assert type(learned.model.layer.children["1"]).__name__.lower() == cell


@pytest.mark.parametrize("level", ["char", "byte"])
def test_chinese_is_learned_better_than_by_counting(level):
    text, other = chinese(600), chinese(100, seed=1)
    learned = TextModel.train(text, replace(SMALL, level=level, hidden=48, epochs=8))
    counts = np.bincount([ord(character) for character in other])
    share = counts[counts > 0] / len(other)
    score = learned.score(other)
    assert score.per_character < -0.6 * (share @ np.log2(share))
    assert (score.characters, score.bytes) == (len(other), len(other.encode()))
    assert score.per_byte == pytest.approx(score.bits / score.bytes)
    said = "".join(learned.sample(200, seed=3, temperature=0.7))
    assert len(said) == 200
    assert sum(character in text for character in said) >= 190


def test_the_same_seed_learns_the_same():
    one, two, other = (TextModel.train(rhyme(30), replace(SMALL, seed=seed)) for seed in (5, 5, 6))
    assert np.array_equal(flat(one), flat(two))
    assert not np.array_equal(flat(one), flat(other))


def test_the_weights_that_predict_the_held_out_end_best_are_kept():
    text, seen = rhyme(90) + "gnat wild fox jumpy,\n" * 15, []  # the more is learned, the worse at the end
    learned = TextModel.train(text, replace(SMALL, hidden=32, epochs=8, held_out=0.2), lambda s: seen.append(s) or False)
    scores = seen[-1].scores
    assert len(scores) == 8
    assert scores[-1] > min(scores)
    held = text[len(text) - round(0.2 * len(text)) :]
    assert learned.score(held).per_character == min(scores)


def test_with_nothing_held_out_the_last_weights_are_kept():
    seen = []
    learned = TextModel.train(rhyme(30), replace(SMALL, held_out=0), lambda status: seen.append(status) or False)
    assert len(seen[-1].scores) == 3
    assert learned.score(rhyme(30)).per_character < seen[-1].scores[-1]


def test_the_watch_sees_every_update():
    seen = []
    TextModel.train(rhyme(30), SMALL, lambda status: seen.append(status) or False)
    x, _ = stretches(np.arange(len(rhyme(30)) - round(len(rhyme(30)) * 0.05)), SMALL)
    updates = 3 * -(-len(x) // SMALL.batch) * -(-x.shape[1] // SMALL.window)
    assert [status.share for status in seen] == pytest.approx(np.arange(1, updates + 1) / updates)
    assert seen[-1].symbols == 3 * x.size
    assert [status.epoch for status in seen] == sorted(status.epoch for status in seen)
    assert (seen[-1].epoch, len(seen[-1].scores)) == (3, 3)
    assert seen[-1].seconds > seen[0].seconds


def test_a_watch_that_stops_within_an_epoch_leaves_a_model_that_was_scored():
    seen = []
    learned = TextModel.train(rhyme(300), SMALL, lambda status: seen.append(status) or len(seen) > 6)
    assert len(seen) == 8  # the last one tells of the score
    assert seen[-1].epoch == 0
    held = rhyme(300)[-round(0.05 * len(rhyme(300))) :]
    assert seen[-1].scores == (learned.score(held).per_character,)


def test_minutes_end_a_training():
    seen = []
    TextModel.train(rhyme(300), replace(SMALL, epochs=None, minutes=1e-9), lambda status: seen.append(status) or False)
    assert len(seen) == 2
    assert seen[0].share == 1.0
    assert len(seen[1].scores) == 1


@pytest.mark.parametrize(("length", "epochs"), [(400, 150), (8000, 30), (100_000, 10)])
def test_a_short_text_is_read_more_often(length, epochs):
    made = lesson.Lesson(replace(SMALL, batch=8, epochs=None), np.zeros(length, int), None, lambda _: False)
    assert made.status.epochs == epochs


def test_the_learning_rate_falls_to_zero():
    rates = []

    class Noted(lesson.Lesson):
        def rate(self, base, clock):
            rates.append(super().rate(base, clock))
            return rates[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "Lesson", Noted)
        TextModel.train(rhyme(60), SMALL)
    assert rates[0] == 0.02
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.001


def test_a_text_of_one_character():
    learned = TextModel.train("a" * 40, SMALL)
    assert learned.score("aaa").bits == 0
    assert "".join(learned.sample(3)) == "aaa"


@pytest.mark.parametrize("text", ["a", "abcdefghij"])
def test_a_text_that_is_too_short(text):
    with refused(DataError, "text: got", "more than 10"):
        TextModel.train(text, SMALL)


@pytest.mark.parametrize("level", ["char", "byte"])
def test_no_text_at_all(level):
    with refused(DataError, "text: "):
        TextModel.train("", replace(SMALL, level=level))


def test_texts_of_another_type():
    for level in ("char", "byte"):
        with refused(DataError, "text: got bytes, wanted str"):
            TextModel.train(b"abc", replace(SMALL, level=level))
        with refused(DataError, "text: got bytes, wanted str"):
            untrained("ab", level).score(b"ab")
        with refused(DataError, "prime: got int, wanted str"):
            untrained("ab", level).sample(3, prime=3)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"level": "word"}, "level='word' is unknown; known: 'char', 'byte'"),
        ({"cell": "xlstm"}, "known: 'lstm', 'gru', 'rnn'"),
        ({"hidden": 0}, "hidden: got 0"),
        ({"layers": 1.5}, "layers: got 1.5"),
        ({"window": 0}, "window: got 0"),
        ({"batch": -1}, "batch: got -1"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"minutes": 0}, "minutes: got 0"),
        ({"minutes": float("inf")}, "minutes: got inf"),
        ({"learning_rate": 1.0}, "learning_rate: got 1.0, wanted a number above 0 and below 1"),
        ({"held_out": 1}, "held_out: got 1"),
        ({"min_count": 0}, "min_count: got 0"),
        ({"min_count": 2, "level": "byte"}, "min_count=2"),
        ({"seed": -1}, "seed: got -1"),
    ],
)
def test_impossible_settings(options, word):
    with refused(OptionError, word):
        TextSettings(**options)


# --- scoring


def test_a_score_is_the_length_of_a_code():
    text = rhyme(3) + "on!"
    scored = untrained(text)
    stream, expected = scored.model.stream(), []
    symbol = scored.vocabulary.start
    for character in text:
        logits = stream.step(symbol).astype(float)
        symbol = scored.vocabulary.characters.index(character)
        expected.append(np.log2(np.exp(logits).sum()) - logits[symbol] / np.log(2))
    assert scored.bits(text) == pytest.approx(np.array(expected), rel=1e-5)
    score = scored.score(text)
    assert score.per_character == pytest.approx(np.mean(expected))
    assert score == Score(score.bits, len(text), len(text))


def test_bits_of_bytes_are_those_of_their_characters():
    text = "a雪é\n"
    scored = untrained(text, "byte")
    of_bytes = scored._bits(scored.vocabulary.encode(text, "text"))
    assert scored.bits(text) == pytest.approx([of_bytes[0], of_bytes[1:4].sum(), of_bytes[4:6].sum(), of_bytes[6]])


@pytest.mark.parametrize("length", [600, 1000, 1003])
def test_a_long_text_is_scored_in_pieces_with_context(monkeypatch, length):
    text = chinese(200)[:length]
    scored = untrained(text)
    whole = scored.bits(text)
    monkeypatch.setattr(model, "PIECE", 100)
    monkeypatch.setattr(model, "NUMBERS", 3000)  # and a few steps at a time
    pieces = scored.bits(text)
    assert pieces.shape == whole.shape == (length,)
    assert pieces == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("level", ["char", "byte"])
def test_no_text_has_no_bits(level):
    scored = untrained("ab\n", level)
    assert scored.bits("").shape == (0,)
    assert scored.score("") == Score(0.0, 0, 0)
    assert scored.score("").per_character == scored.score("").per_byte == 0


def test_unknown_characters_have_a_score_if_there_is_a_symbol_for_them():
    assert untrained("aabbc", min_count=2).score("xyz").characters == 3
    with refused(DataError, "text: the model knows no 'x'"):
        untrained("aabbc").score("x")


# --- sampling


@pytest.mark.parametrize("level", ["char", "byte"])
def test_the_same_seed_gives_the_same_text(level):
    text_model = untrained(chinese(99), level)
    one, two, other = ("".join(text_model.sample(40, seed=seed)) for seed in (1, 1, 2))
    assert one == two != other
    assert len(one) == len(other) == 40
    one.encode()  # no half characters


def test_a_sample_goes_on_from_its_prime():
    text_model = untrained(chinese(99))
    assert "".join(text_model.sample(20, prime="風", seed=1)) != "".join(text_model.sample(20, prime="雪", seed=1))
    whole = "".join(text_model.sample(20, temperature=0))
    assert "".join(text_model.sample(15, prime=whole[:5], temperature=0)) == whole[5:]


def test_a_sample_comes_character_by_character():
    endless = untrained(chinese(99)).sample(10**12, seed=0)
    assert all(len(next(endless)) == 1 for _ in range(5))
    assert list(untrained("ab").sample(0)) == []


def test_the_unknown_symbol_is_never_written():
    text_model = untrained("aabbcdefg", min_count=2)
    assert set("".join(text_model.sample(300, seed=0, temperature=50))) == {"a", "b"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"length": -1}, "length: got -1"),
        ({"temperature": -1}, "temperature: got -1"),
        ({"top_k": 0}, "top_k: got 0"),
        ({"top_p": 2}, "top_p: got 2"),
        ({"seed": -1}, "seed: got -1"),
    ],
)
def test_impossible_samples_are_refused_before_the_first_character(options, word):
    with refused(OptionError, word):
        untrained("ab").sample(**{"length": 5} | options)


def test_a_prime_that_is_not_known():
    with refused(DataError, "prime: the model knows no 'z'"):
        untrained("ab").sample(5, prime="abz")


def test_weights_that_give_no_numbers():
    text_model = untrained("ab")
    with text_model.model.parameters.edit() as weights:
        weights[:] = np.nan
    with refused(NotFiniteError, "NaN"):
        next(text_model.sample(5))
    with refused(NotFiniteError, "NaN"):
        text_model.score("abab")


# --- files


@pytest.mark.parametrize(("level", "min_count"), [("char", 1), ("char", 3), ("byte", 1)])
def test_a_file_keeps_everything(tmp_path, level, min_count):
    text = chinese(50) + "稀"
    kept = untrained(text, level, min_count)
    kept.save(tmp_path / "m.safetensors")
    again = TextModel.load(tmp_path / "m.safetensors")
    assert again.vocabulary == kept.vocabulary
    assert again.vocabulary.unknown == (min_count == 3)
    assert np.array_equal(again.bits(text), kept.bits(text))
    assert list(again.sample(30, seed=1)) == list(kept.sample(30, seed=1))
    reference = TextModel.load(tmp_path / "m.safetensors", kernel="numpy")
    assert reference.bits(text) == pytest.approx(kept.bits(text), rel=1e-4)


def altered(path, **changes):
    """A file of a text model whose description is another one."""
    untrained("ab\n").save(path)
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        described = json.loads(file.metadata()["gatewright"])
    described |= changes
    save_file(tensors, path, {"gatewright": json.dumps(described)})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "forecaster"}, ["no text model"]),
        ({"kind": ["text model"]}, ["no text model"]),
        ({"characters": "ab"}, ["3", "makes no sense"]),
        ({"characters": None}, ["256 symbols"]),
        ({"characters": "aab"}, ["twice"]),
        ({"characters": "ab\ud800"}, ["no text"]),
        ({"characters": "", "unknown": True}, ["none"]),
        ({"characters": ["a", "b", "\n"]}, ["vocabulary", "can't be read"]),
        ({"unknown": True}, ["4 symbols"]),
        ({"unknown": 1}, ["vocabulary", "can't be read"]),
        ({"layer": None}, ["makes no sense"]),
        ({"layer": {"type": "Embedding", "count": 10**12, "size": 1}}, ["makes no sense"]),
        ({"dtype": "float16"}, ["float16"]),
    ],
)
def test_hostile_descriptions(tmp_path, changes, words):
    path = altered(tmp_path / "bad.safetensors", **changes)
    with refused(FormatError, "bad.safetensors: ", *words):
        TextModel.load(path)


@pytest.mark.parametrize(
    "layer",
    [
        gw.Sequential(gw.Embedding(3, 4), gw.LSTM(4, 5), gw.Dense(5, 3, "softmax")),
        gw.Sequential(gw.Embedding(3, 4), gw.LSTM(4, 5), gw.Dense(5, 2)),
        gw.Sequential(gw.Embedding(4, 4), gw.LSTM(4, 5), gw.Dense(5, 3)),
        gw.Sequential(gw.Embedding(3, 4, mask_zero=True), gw.LSTM(4, 5), gw.Dense(5, 3)),
        gw.Sequential(gw.Embedding(3, 4), gw.LSTM(4, 5, bidirectional=True), gw.Dense(10, 3)),
        gw.Sequential(gw.Embedding(3, 4), gw.LSTM(4, 5, return_sequences=False), gw.Dense(5, 3)),
        gw.Sequential(gw.LSTM(3, 5), gw.Dense(5, 3)),
        gw.Sequential(gw.LSTM(3, 3), gw.LSTM(3, 5), gw.Dense(5, 3)),
    ],
)
def test_networks_that_do_something_else(tmp_path, layer):
    with refused(OptionError, "a text model"):
        TextModel(Vocabulary("ab\n"), gw.Model(layer))
    made = gw.Model(layer)
    path = tmp_path / "other.safetensors"
    described = {"format": 1, "kind": "text model", "characters": "ab\n", "unknown": False, **made.describe()}
    save_file({name: array.copy() for name, array in made.parameters.items()}, path, {"gatewright": json.dumps(described)})
    with refused(FormatError, "other.safetensors: "):
        TextModel.load(path)


def test_other_files(tmp_path):
    with refused(MissingFileError, "no such file"):
        TextModel.load(tmp_path / "none")
    gw.Model(gw.LSTM(1, 2)).save(tmp_path / "plain.safetensors")
    with refused(FormatError, "plain.safetensors: ", "no text model"):
        TextModel.load(tmp_path / "plain.safetensors")
    untrained("ab").save(tmp_path / "text.safetensors")
    with refused(FormatError, "text.safetensors: a text model", "gw.TextModel.load"):
        gw.load(tmp_path / "text.safetensors")
    content = (tmp_path / "text.safetensors").read_bytes()
    for length in (0, 7, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.safetensors").write_bytes(content[:length])
        with refused(FormatError, "cut.safetensors: not a whole safetensors file"):
            TextModel.load(tmp_path / "cut.safetensors")
