"""How the next symbol is drawn."""

import numpy as np
import pytest
from refusals import refused

from gatewright.errors import OptionError
from gatewright.text.sampling import Choice, allowed, missing

P = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
LOGITS = np.log(P).astype(np.float32) + 7


def drawn(choice, logits=LOGITS, times=4000):
    """(V,) how often each symbol was drawn."""
    rng = np.random.default_rng(0)
    return np.bincount([choice.draw(logits, rng) for _ in range(times)], minlength=len(logits)) / times


@pytest.mark.parametrize(
    "choice", [Choice(0), Choice(0, 3, 0.9), Choice(top_k=1), Choice(top_p=1e-9), Choice(top_p=0.39), Choice(1e-320)]
)
def test_the_most_likely_alone(choice):
    assert drawn(choice, times=200).tolist() == [0, 1, 0, 0, 0]


def test_symbols_come_as_often_as_they_are_likely():
    assert drawn(Choice()) == pytest.approx(P, abs=0.03)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_divides_the_logits(temperature):
    expected = P ** (1 / temperature)
    assert drawn(Choice(temperature)) == pytest.approx(expected / expected.sum(), abs=0.03)


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        (Choice(top_k=2), [1, 3]),
        (Choice(top_k=4), [0, 1, 3, 4]),
        (Choice(top_k=99), [0, 1, 2, 3, 4]),
        (Choice(top_p=0.69), [1, 3]),
        (Choice(top_p=0.71), [1, 3, 4]),
        (Choice(top_p=1), [0, 1, 2, 3, 4]),
        (Choice(top_k=3, top_p=0.8), [1, 3]),  # 0.4 + 0.3 of the 0.85 that top_k leaves
        (Choice(top_k=3, top_p=0.9), [1, 3, 4]),
    ],
)
def test_what_is_left_keeps_its_proportions(choice, kept):
    expected = np.zeros(5)
    expected[kept] = P[kept] / P[kept].sum()
    got = drawn(choice)
    assert got == pytest.approx(expected, abs=0.03)
    assert np.flatnonzero(got).tolist() == kept


def test_the_impossible_is_never_drawn():
    logits = np.array([-np.inf, 0, -np.inf, 0, -np.inf], np.float32)
    assert np.flatnonzero(drawn(Choice(9.0), logits)).tolist() == [1, 3]


class Last:
    """A generator that draws the largest number below 1."""

    def random(self):
        return np.nextafter(1.0, 0)


def test_the_end_of_the_ladder_is_a_likely_symbol():
    logits = np.array([2.0, 0.1, 0.3, -np.inf])
    assert Choice().draw(logits, Last()) == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"temperature": -0.1}, "temperature: got -0.1"),
        ({"temperature": float("nan")}, "temperature: got nan"),
        ({"temperature": "1"}, "temperature: got '1'"),
        ({"top_k": 0}, "top_k: got 0"),
        ({"top_k": 2.0}, "top_k: got 2.0"),
        ({"top_p": 0}, "top_p: got 0"),
        ({"top_p": 1.01}, "top_p: got 1.01"),
    ],
)
def test_impossible_choices(options, word):
    with refused(OptionError, word):
        Choice(**options)


TAILS = [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xa0\x80", b"\x90\x80\x80"]  # one of them ends any beginning


def is_text(content):
    try:
        return len(content.decode()) == 1
    except UnicodeDecodeError:
        return False


def goes_on(begun):
    """Whether bytes begin, or are, a character of UTF-8."""
    return any(is_text(begun + tail) for tail in TAILS)


def test_bytes_that_may_follow_are_those_of_utf8():
    prefixes, seen = [b""], 0
    while prefixes:
        begun = prefixes.pop()
        may = np.flatnonzero(allowed(begun)).tolist()
        assert may == [byte for byte in range(256) if goes_on(begun + bytes([byte]))]
        longer = [begun + bytes([byte]) for byte in (may if not begun else {may[0], may[-1]})]
        prefixes += [each for each in longer if missing(each)]
        whole = [each for each in longer if not missing(each)]
        assert all(is_text(each) for each in whole)
        seen += len(whole)
    assert seen > 128 + 2 * 30 + 4 * 16 + 8 * 5 - 1
    assert missing(b"") == 0
