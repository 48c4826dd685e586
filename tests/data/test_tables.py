"""CSV files as people have them."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.data.tables import read_table
from gatewright.errors import DataError, MissingFileError


def table(tmp_path, content, encoding="utf-8"):
    path = tmp_path / "some.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return read_table(path)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("größe,y\n1.5,-2\n,3e2\n", "utf-8"),
        ("größe,y\r\n1.5,-2\r\n,3e2\r\n", "utf-8-sig"),
        ("größe,y\n1.5,-2\n,3e2\n", "latin-1"),
        ("größe,y\n1.5,-2\n,3e2", "utf-16"),
        ("größe;y\n1,5;-2\n;3e2\n\n\n", "utf-8"),
        ("größe\ty\n1,5\t-2\nNA\t300\n", "latin-1"),
        ("größe|y\n1.5|\N{MINUS SIGN}2\nnull|+300\n", "utf-8"),
        ('"größe","y"\n"1.5","-2"\n"","300"\n', "utf-8"),
        ("größe ; y\n 1,5 ; -2,0\n ? ; 300\n", "utf-8-sig"),
    ],
)
def test_the_same_table_in_many_forms(tmp_path, content, encoding):
    found = table(tmp_path, content, encoding)
    assert found.names == ("größe", "y")
    np.testing.assert_array_equal(found.numbers("größe"), [1.5, np.nan])
    np.testing.assert_array_equal(found.numbers("y"), [-2, 300])


def test_thousands_beside_decimal_commas(tmp_path):
    found = table(tmp_path, "a;b\n1.234,5;1.5\n1.234;2\n2.345.678,25;3\n")
    np.testing.assert_array_equal(found.numbers("a"), [1234.5, 1234, 2345678.25])
    np.testing.assert_array_equal(found.numbers("b"), [1.5, 2, 3])


def test_one_column_with_decimal_commas_and_a_gap(tmp_path):
    np.testing.assert_array_equal(table(tmp_path, "value\n3,5\n\n4,5\n").numbers("value"), [3.5, np.nan, 4.5])


def test_delimiters_and_line_ends_inside_quotes(tmp_path):
    found = table(tmp_path, 'a,"b, or\nc"\n1,"x, ""y"""\n2,"z\nz"\n')
    assert found.names == ("a", "b, or\nc")
    assert found.texts("b, or\nc") == ['x, "y"', "z\nz"]
    assert found.lines == (3, 5)


def test_a_header_with_commas_between_semicolons(tmp_path):
    assert table(tmp_path, "price, EUR;t\n3,5;1\n4,5;2\n").names == ("price, EUR", "t")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "no rows: a, b"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells, wanted 2"),
        ("a,b\n1,2\n\n3,4\n", "line 3: 0 cells, wanted 2"),
        ("a,b\n1,2,3\n", "line 2: 3 cells, wanted 2"),
        ('a,b\n"1,2\n', "can't be read as CSV"),
        (b"a,b\n1,\0\n", "no text file"),
    ],
)
def test_what_is_no_table(tmp_path, content, said):
    with pytest.raises(DataError, match=said) as error:
        table(tmp_path, content)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n1,x\n", "line 3: 'x' in column 'b'"),
        ("a,b\n1,2\n1,1_000\n", "line 3: '1_000'"),
        ("a,b\n1,inf\n", "line 2: 'inf'"),
        ("a,b\n1,1e999\n", "too large"),
        ('a,b\n1,"1,5"\n', "line 2: '1,5'"),
        ("a;b\n1;1,5\n1;2.5\n", "line 3: '2.5' in column 'b'; wanted a number with a decimal comma"),
        ("a;b\n1;1,234,567\n", "line 2"),
        ("a,c\n1,2\n", "no column 'b'; its columns: a, c"),
        ("a,b,b\n1,2,3\n", "2 columns 'b'"),
    ],
)
def test_what_is_no_column_of_numbers(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        table(tmp_path, content).numbers("b")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(MissingFileError, match="is a folder"):
        read_table(tmp_path)


NUMBERS = st.one_of(st.none(), st.integers(-(10**6), 10**6).map(float), st.floats(-1e6, 1e6).map(lambda v: round(v, 4)))


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    comma=st.booleans(),
)
def test_what_a_spreadsheet_writes_is_read(tmp_path_factory, rows, delimiter, encoding, comma):
    mark = "," if comma and delimiter != "," else "."
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["naïve", "b"])
    writer.writerows([["" if v is None else f"{v:.4f}".replace(".", mark) for v in row] for row in rows])
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    values = np.array([[np.nan if v is None else v for v in row] for row in rows])
    said = np.flatnonzero(~np.isnan(values).all(axis=1))
    if not len(said):
        with pytest.raises(DataError, match="no rows"):
            read_table(path)
        return
    found = read_table(path)
    got = np.column_stack([found.numbers("naïve"), found.numbers("b")])
    np.testing.assert_allclose(got, values[: said[-1] + 1], rtol=0, atol=1e-9)  # blank rows at the end say nothing
