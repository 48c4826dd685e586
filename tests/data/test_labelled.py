"""Sequences in long form, a row a step: what is read, and what is refused in one line."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused

from gatewright.data.labelled import Columns, Named, read_long
from gatewright.data.tables import read_table
from gatewright.errors import DataError, OptionError

COLUMNS = Columns("id", "class")


def long(folder, text, columns=COLUMNS):
    path = folder / "some.csv"
    path.write_bytes(text.encode())
    return read_long(read_table(path), columns)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("id,class,x,y\ns,a,1,4\ns,a,2,5\nr,b,7,9\ns,a,3,6\n", COLUMNS),  # the rows of one sequence need not be neighbours
        ("x;id;y;class\n1;s;4;a\n7;r;9;b\n2;s;5;a\n3;s;6;a\n;s;;a\n;s;;a\n", COLUMNS),  # steps of nothing at the end are none
        ("id,t,class,x,y\ns,2,a,2,5\ns,1,a,1,4\nr,1,b,7,9\ns,10,a,3,6\n", COLUMNS._replace(time="t")),
        ("id,t,class,x,y\ns,2020-02-01,a,2,5\ns,2019-12-31,a,1,4\nr,2020-02-01 07:00,b,7,9\ns,2020-02-01T01:00,a,3,6\n",
         COLUMNS._replace(time="t")),
        ("id,t,class,x,y\ns,-1.5,a,1,4\ns,-0.5,a,2,5\ns,0,a,3,6\nr,1,b,7,9\n", COLUMNS._replace(time="t")),
        ("id,class,note,x,y\ns,a,first,1,4\ns,a,,2,5\nr,b,-,7,9\ns,a,s1,3,6\n", COLUMNS),  # text is no feature
        (",id,class,note,,x,y\n0,s,a,,8,1,4\n1,s,a,hm,8,2,5\n2,r,b,,8,7,9\n3,s,a,,8,3,6\n", COLUMNS),  # nor is an index
        ("y,q,x,id,class\n4,7,1,s,a\n5,7,2,s,a\n6,7,3,s,a\n9,7,7,r,b\n", COLUMNS._replace(features=("x", "y"))),
    ],
)  # fmt: skip
def test_the_same_sequences_in_many_forms(tmp_path, text, columns):
    found = long(tmp_path, text, columns)
    order = [found.ids.index("s"), found.ids.index("r")]
    assert [found.values[k].tolist() for k in order] == [[[1, 4], [2, 5], [3, 6]], [[7, 9]]]
    assert [found.labels[k] for k in order] == ["a", "b"]
    assert found.names == ("x", "y")
    assert [name for name in found.left_out if name] == (["note"] if "note" in text else [])
    assert found.left_out.count("") == (2 if text[0] == "," else 0)


def test_the_order_is_that_of_first_appearance_and_labels_may_be_missing(tmp_path):
    found = long(tmp_path, "id,x\n9,1\n10,2\n9,3\n", Columns("id"))
    assert (found.ids, found.labels) == (("9", "10"), None)
    picked = found.rows([1])
    assert (picked.ids, picked.labels, picked.names) == (("10",), None, ("x",))
    np.testing.assert_array_equal(np.asarray(picked.sequences[0], np.float32), [[2]])
    assert isinstance(picked.sequences[0], Named)


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        ("i,class,x\ns,a,1\n", COLUMNS, ["no column 'id'", "i, class, x"]),
        ("id,klass,x\ns,a,1\n", COLUMNS, ["no column 'class'"]),
        ("id,class,x\ns,a,1\n", COLUMNS._replace(time="t"), ["no column 't'"]),
        ("id,class,x\ns,a,1\n", COLUMNS._replace(features=("y",)), ["no column 'y'"]),
        ("id,class,x,x\ns,a,1,2\n", COLUMNS, ["2 columns 'x'"]),
        ("id,class\ns,a\n", COLUMNS, ["no column is left for the features"]),
        ("id,class,note\ns,a,hm\n", COLUMNS, ["no column is left for the features"]),
        ("id,class,x\ns,a,1\n,a,2\n", COLUMNS, ["line 3: nothing in column 'id'"]),
        ("id,class,x\ns,a,1\ns,,2\n", COLUMNS, ["line 3: nothing in column 'class'"]),
        ("id,class,x\ns,a,1\ns,b,2\n", COLUMNS, ["line 3: sequence 's' has two labels: 'b' here and 'a' before"]),
        ("id,class,x\ns,a,1\ns,a,?\ns,a,2\n", COLUMNS, ["line 3: nothing in column 'x'", "at the end"]),
        ("id,class,x,y\ns,a,1,1\ns,a,,2\n", COLUMNS, ["line 3: nothing in column 'x'"]),
        ("id,class,x\ns,a,1\nr,a,\n", COLUMNS, ["sequence 'r': no step"]),
        ("id,class,x\ns,a,1\ns,a,one\n", COLUMNS, ["line 3: 'one' in column 'x'"]),
        ("id,class,x\ns,a,one\n", COLUMNS._replace(features=("x",)), ["line 2: 'one' in column 'x'"]),
        ("id,class,x,t\ns,a,1,4\nr,a,1,4\ns,a,2,4.0\n", COLUMNS._replace(time="t"), ["lines 2 and 4", "'s' has one t twice"]),
        ("id,class,x,t\ns,a,1,4\ns,a,1,\n", COLUMNS._replace(time="t"), ["line 3: nothing in column 't'"]),
        ("id,class,x,t\ns,a,1,4\ns,a,1,NA\n", COLUMNS._replace(time="t"), ["line 3: nothing in column 't'"]),
        ("id,class,x,t\ns,a,1,4\ns,a,1,noon\n", COLUMNS._replace(time="t"), ["line 3: 'noon' in column 't'"]),
        ("id,class,x,t\ns,a,1,2020-01-01\ns,a,1,2020-13-01\n", COLUMNS._replace(time="t"), ["line 3: '2020-13-01'", "date"]),
    ],
)  # fmt: skip
def test_what_is_no_table_of_sequences_is_refused(tmp_path, text, columns, words):
    with refused(DataError, "some.csv", *words):
        long(tmp_path, text, columns)


@pytest.mark.parametrize(
    "columns",
    [
        Columns("id", "id"),
        Columns("id", "class", "class"),
        Columns("id", "class", None, ("x", "x")),
        Columns("x", None, None, ("x",)),
    ],
)
def test_a_column_that_is_named_twice_is_refused(tmp_path, columns):
    with refused(OptionError, "named twice"):
        long(tmp_path, "id,class,x\ns,a,1\n", columns)


NUMBERS = st.floats(-1e30, 1e30).map(lambda value: round(value, 6)) | st.integers(-99, 99).map(float)
NAMES = st.text("ab ,;\"'é1", min_size=1, max_size=4).map(lambda text: f"n{text}n")


@st.composite
def sequences(draw):
    """({name: (label, (T_i, F))}, a seed that shuffles the rows)"""
    features, count = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    step = st.lists(NUMBERS, min_size=features, max_size=features)
    values = st.lists(step, min_size=1, max_size=6)
    return draw(st.dictionaries(NAMES, st.tuples(NAMES, values), min_size=count, max_size=count)), draw(st.integers(0, 99))


@given(drawn=sequences(), delimiter=st.sampled_from(",\t|"), dates=st.booleans())
def test_what_is_written_is_read(tmp_path_factory, drawn, delimiter, dates):
    known, seed = drawn
    rows = []
    for name, (label, values) in known.items():
        times = [f"2020-01-{t + 1:02}" if dates else f"{t * 1.5}e0" for t in range(len(values))]
        # Beside commas in names 1.234 could mean thousands, 1.234e0 can't.
        rows += [[name, label, time, *(f"{number:.17e}" for number in step)] for time, step in zip(times, values, strict=True)]
    features = [f"f{k}" for k in range(len(rows[0]) - 3)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["id", "class", "t", *features])
    writer.writerows(rows[k] for k in np.random.default_rng(seed).permutation(len(rows)))
    path = tmp_path_factory.mktemp("long") / "t.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    found = read_long(read_table(path), Columns("id", "class", "t"))
    assert sorted(found.ids) == sorted(known)
    assert found.names == tuple(features)
    for name, label, values in zip(found.ids, found.labels, found.values, strict=True):
        assert label == known[name][0]
        np.testing.assert_array_equal(values, known[name][1])


@given(text=st.text('s,;"\n1.5 a?', max_size=60))
def test_nothing_but_a_refusal_comes_of_any_text(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_text("id,class,x\n" + text, encoding="utf-8", newline="")
    found, said = None, ""
    try:
        found = read_long(read_table(path), COLUMNS)
    except DataError as error:
        said = str(error)
    if found is None:
        assert "t.csv" in said
    else:
        assert all(np.isfinite(row).all() and len(row) for row in found.values)
