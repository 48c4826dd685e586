"""Recorded networks of three frameworks through every format: out and in again they still give what was recorded."""

import re
from collections import Counter

import pytest
import roundtrips

CLOSE = 1e-5  # relative to the largest number of the output, or to 1
LEAST = 30  # networks of each framework, out and in again in its own format


@pytest.fixture(scope="module")
def trips():
    return roundtrips.trips()


def test_what_comes_back_gives_what_was_recorded(trips):
    far = [(t.network.source, t.network.name, t.target, t.deviation) for t in trips if t.deviation and not t.deviation < CLOSE]
    assert far == []


def test_every_network_comes_back_in_its_own_format(trips):
    own = [t for t in trips if t.target == t.network.source]
    assert [(t.network.name, t.why) for t in own if t.deviation is None] == []
    counts = Counter(t.network.source for t in own)
    assert set(counts) == {"Keras", "PyTorch", "ONNX"}
    assert min(counts.values()) >= LEAST


def test_many_go_across(trips):
    counts = Counter((t.network.source, t.target) for t in trips if t.deviation is not None)
    for source in ("Keras", "PyTorch", "ONNX"):
        for target in ("Keras", "PyTorch", "ONNX"):
            assert counts[source, target] >= LEAST, (source, target)


def test_what_does_not_is_refused_by_its_place(trips):
    for t in trips:
        if t.deviation is None:
            assert re.match(r"layer \S+[,:] |\d+\.|[A-Z]+\(", t.why), t.why


def test_every_layer_and_option_is_in_two_networks(trips):
    networks = {id(t.network): t.network for t in trips}.values()
    words = [(n.source, word) for n in networks for word in _words(n.model)]
    assert [word for word, count in Counter(words).items() if count < 2] == []


def _words(model):
    """Layers, and options whichever layer has them; a stack is several layers in Keras' and ONNX's files."""
    return {option.partition(" ")[2] or option for option in roundtrips.options(model)} - {"num_layers"}
