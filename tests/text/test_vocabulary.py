"""Symbols: which there are, and that a text survives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from texts import chinese

from gatewright.errors import DataError
from gatewright.text.vocabulary import Vocabulary

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def decoded(vocabulary, symbols):
    if vocabulary.level == "byte":
        return bytes(symbols.tolist()).decode()
    return "".join(vocabulary.characters[symbol] for symbol in symbols)


def test_the_most_frequent_character_comes_first_and_ties_go_by_code():
    assert Vocabulary.of("baab\n云云云", "char", 1).characters == "云ab\n"
    assert Vocabulary.of("zb", "char", 1).characters == "bz"


@given(TEXTS, st.sampled_from(["char", "byte"]))
def test_a_text_survives(text, level):
    vocabulary = Vocabulary.of(text, level, 1)
    symbols = vocabulary.encode(text, "text")
    assert decoded(vocabulary, symbols) == text
    assert symbols.max() < vocabulary.size == (256 if level == "byte" else len(set(text)))
    assert not vocabulary.unknown


def test_rare_characters_become_one_symbol_the_last():
    vocabulary = Vocabulary.of("aaabbc!", "char", 2)
    assert (vocabulary.characters, vocabulary.unknown, vocabulary.size) == ("ab", True, 3)
    assert vocabulary.encode("abc雪", "text").tolist() == [0, 1, 2, 2]
    assert not Vocabulary.of("aabb", "char", 2).unknown


def test_a_text_begins_after_a_lines_end_or_after_the_most_frequent_character():
    assert Vocabulary.of("aaa\n", "char", 1).start == 1
    assert Vocabulary.of("aab", "char", 1).start == 0
    assert Vocabulary().start == ord("\n")


def test_unknown_characters_are_named():
    vocabulary = Vocabulary.of(chinese(99), "char", 1)
    with refused(DataError, "prime: the model knows no 'x', 'é';", "min_count"):
        vocabulary.encode("風xéx雪", "prime")
    with refused(DataError, "'a', 'b', 'c', 'd', 'e' and 2 more"):
        vocabulary.encode("abcdefgabc", "prime")


@pytest.mark.parametrize("vocabulary", [Vocabulary(), Vocabulary("ab")])
def test_half_a_surrogate_pair_is_no_text(vocabulary):
    with refused(DataError, "text: character 2 is '\\ud800', which is no text"):
        vocabulary.encode("a\ud800", "text")


@pytest.mark.parametrize(("characters", "word"), [("aba", "twice"), ("", "none"), ("a\udc00", "character 2")])
def test_impossible_vocabularies(characters, word):
    with refused(DataError, "characters: ", word):
        Vocabulary(characters)


def test_a_min_count_that_leaves_nothing():
    with refused(DataError, "min_count=3"):
        Vocabulary.of("aabb", "char", 3)


def test_no_byte_is_unknown():
    with refused(DataError, "bytes are all known"):
        Vocabulary(None, unknown=True)
