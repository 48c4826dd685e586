"""The .ts files of the time series archive: what is read, and what is refused in one line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from gatewright.data import labelled
from gatewright.data.ts import read_ts
from gatewright.errors import DataError, MissingFileError

HEAD = (
    "@problemName Two\n@timeStamps false\n@missing false\n@univariate false\n@equalLength false\n@classLabel true a b\n@data\n"
)


def ts(folder, text, encoding="utf-8"):
    path = folder / "some.ts"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "1,2,3:4,5,6:a\n7,8:9,-1.5:b\n",
        HEAD.upper().replace("A B", "a b") + "\n 1 , 2, 3 : 4 ,5,6 : a \n\n\n7.,8e0:+9,-15E-1:b",
        "#c\n%# c\n" + HEAD.replace("\n", "\r\n") + "# c\r\n1,2,3:4,5,6:a\r\n7,8:9,-1.5:b\r\n",
        "\N{BYTE ORDER MARK}@classlabel TRUE a b\n@dimension 2\n@data\n1,2,3:4,5,6:a\n7,8:9,-1.5:b",
        "@problemName Twice\n" + HEAD + "1,2,3,?,NaN:4,5,6,nan,?:a\n7,8:9,-1.5:b\n",
    ],
)
def test_the_same_sequences_in_many_spellings(tmp_path, text):
    found = read_ts(ts(tmp_path, text))
    assert [row.tolist() for row in found.values] == [[[1, 4], [2, 5], [3, 6]], [[7, 9], [8, -1.5]]]
    assert (found.labels, found.ids, found.names) == (("a", "b"), ("1", "2"), None)


def test_a_file_without_labels_and_one_of_one_dimension(tmp_path):
    found = read_ts(ts(tmp_path, "@univariate true\n@equalLength true\n@classLabel false\n@data\n1,2\n3,4\n"))
    assert found.labels is None
    assert [row.tolist() for row in found.values] == [[[1], [2]], [[3], [4]]]
    found = read_ts(ts(tmp_path, "@equalLength true\n@seriesLength 2\n@classLabel true größe\n@data\n1,2:größe\n", "latin-1"))
    assert (found.labels, found.values[0].tolist()) == (("größe",), [[1], [2]])


def line(text):
    return HEAD + "1,2:3,4:a\n" + text + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no line @data"]),
        ("1,2:a\n", ["no line @data"]),
        (HEAD, ["no sequence"]),
        ("@foo 1\n" + HEAD, ["line 1", "'@foo' is unknown", "@classlabel"]),
        ("data\n" + HEAD, ["line 1", "'data' is unknown"]),
        ("@missing true\n" + HEAD, ["line 4", "@missing", "twice"]),
        ("@timeStamps true\n@classLabel false\n@data\n1\n", ["@timestamps true"]),
        ("@targetLabel true\n@data\n1:2\n", ["@targetlabel true", "numbers to predict"]),
        ("@timeStamps maybe\n@data\n", ["line 1", "@timeStamps", "maybe", "true or false"]),
        ("@missing\n@data\n", ["line 1", "nothing", "true or false"]),
        ("@dimensions 0\n@data\n", ["line 1", "@dimensions", "at least 1"]),
        ("@seriesLength 1e3\n@data\n", ["line 1", "@seriesLength", "1e3"]),
        ("@seriesLength 99999999999\n@data\n", ["line 1", "@seriesLength"]),
        ("@dimensions 1\n@dimension 2\n@data\n", ["line 2", "@dimension says", "other"]),
        ("@classLabel true\n@data\n", ["line 1", "the labels"]),
        ("@classLabel false a\n@data\n", ["line 1", "true or false"]),
        ("@univariate true\n@data\n1,2\n", ["no @classLabel"]),
        ("@univariate true\n@dimensions 2\n@classLabel false\n@data\n1:2\n", ["@univariate true, but 2 dimensions"]),
        ("@univariate true\n@classLabel false\n@data\n1:2\n", ["line 4", "dimensions: got 2, wanted 1"]),
        (line("1,2:3,4"), ["line 9", "'3,4' is none of the labels", "a, b"]),
        (line("a"), ["line 9", "a label alone"]),
        (line("1,2:3,4:"), ["line 9", "'' is none of the labels"]),
        (line("1,2:3,4:c"), ["line 9", "'c' is none of the labels"]),
        (line("1,2:3,4:5,6:a"), ["line 9", "dimensions: got 3, wanted 2"]),
        (line("1,2:3:a"), ["line 9", "dimension 2 has 1 numbers, and dimension 1 has 2"]),
        (line("1,x:3,4:a"), ["line 9, dimension 1", "'x'; wanted a number"]),
        (line("1,2:3,1_0:a"), ["line 9, dimension 2", "'1_0'"]),
        (line("1,2:3,inf:a"), ["line 9, dimension 2", "'inf'"]),
        (line("1,2:3,1e999:a"), ["line 9, dimension 2", "'1e999'"]),
        (line("1,:3,4:a"), ["line 9, dimension 1", "''"]),
        (line("(0,1),(1,2):3,4:a"), ["line 9, dimension 1", "'(0'"]),
        (line("?,2:?,4:a"), ["line 9", "no number at step 1 of dimension 1", "at the end"]),
        (line("1,2:3,?:a"), ["line 9", "no number at step 2 of dimension 2"]),
        (line("?,?:?,?:a"), ["line 9", "no step has a number"]),
        (HEAD.replace("@equalLength false", "@equalLength true") + "1,2:3,4:a\n1:2:a\n", ["line 9", "1 steps, wanted 2"]),
        (line("9" * 5000 + "x:3:a"), ["line 9, dimension 1", "…"]),
        (b"@data\n\0", ["not a text file; wanted .ts"]),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_by_file_and_line(tmp_path, text, words):
    with refused(DataError, "some.ts", *words):
        read_ts(ts(tmp_path, text))


def test_files_that_are_not_there(tmp_path):
    with refused(MissingFileError, "none.ts", "no such file"):
        read_ts(tmp_path / "none.ts")
    with refused(MissingFileError, "a folder; wanted a .ts file"):
        read_ts(tmp_path)


def test_a_rectangle_beyond_all_bounds_is_refused_before_it_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(labelled, "MOST", 23)
    text = HEAD + "1,2:1,2:a\n" * 3
    assert len(read_ts(ts(tmp_path, text)).values) == 3
    with refused(DataError, "some.ts", "4 x 3 x 2 numbers", "23"):
        read_ts(ts(tmp_path, text + "1,2,3:1,2,3:a\n"))


NUMBERS = st.floats(-1e30, 1e30).map(lambda value: round(value, 6)) | st.integers(-99, 99).map(float)


@st.composite
def sequences(draw):
    """(sequences (T_i, F) of unequal length, their labels)"""
    features, count = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    step = st.lists(NUMBERS, min_size=features, max_size=features)
    rows = draw(st.lists(st.lists(step, min_size=1, max_size=6), min_size=count, max_size=count))
    labels = st.lists(st.sampled_from(["a", "B", "1", "0.5", "größe", "?"]), min_size=count, max_size=count)
    return [np.array(row) for row in rows], draw(labels)


@given(drawn=sequences(), padded=st.booleans(), labels=st.booleans())
def test_what_is_written_is_read(tmp_path_factory, drawn, padded, labels):
    rows, classes = drawn
    longest = max(map(len, rows))
    lines = []
    for row, label in zip(rows, classes, strict=True):
        more = ["?"] * (longest - len(row)) if padded else []
        dimensions = [",".join([*map(repr, column), *more]) for column in row.T.tolist()]
        lines.append(":".join([*dimensions, label] if labels else dimensions))
    said = f"true {' '.join(dict.fromkeys(classes))}" if labels else "false"
    equal = str(padded or len(set(map(len, rows))) == 1).lower()
    head = f"@univariate {str(rows[0].shape[1] == 1).lower()}\n@equalLength {equal}\n@classLabel {said}\n@data\n"
    found = read_ts(ts(tmp_path_factory.mktemp("ts"), head + "\n".join(lines)))
    assert found.labels == (tuple(classes) if labels else None)
    for got, wanted in zip(found.values, rows, strict=True):
        np.testing.assert_array_equal(got, wanted)


PIECES = [
    "@data",
    "@classLabel",
    "@univariate",
    "true",
    "false",
    "a",
    "1",
    "2.5",
    "-1e3",
    "?",
    ",",
    ":",
    "\n",
    " ",
    "#",
    "\t",
    "é",
]


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40), head=st.sampled_from(["", HEAD, "@classLabel true a\n@data\n"]))
def test_nothing_but_a_refusal_comes_of_any_text(tmp_path_factory, pieces, head):
    path = ts(tmp_path_factory.mktemp("any"), head + "".join(pieces))
    found, said = None, ""
    try:
        found = read_ts(path)
    except DataError as error:
        said = str(error)
    if found is None:
        assert "some.ts" in said
        assert len(said) < 700
    else:
        assert all(np.isfinite(row).all() and len(row) for row in found.values)
        assert found.labels is None or len(found.labels) == len(found.values)
