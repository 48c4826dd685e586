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


@pytest.mark.parametrize(
    ("content", "y"),
    [
        ("y;z\n951;135,86\n976;1\n1.003;2\n", [951, 976, 1003]),  # what commas are in z, they are in y
        ("y\tz\n1.234,5\t\n1.234\t\n2.345.678,25\t7\n", [1234.5, 1234, 2345678.25]),
        ("y;z\n1.234;1.234.567\n951;2\n", [1234, 951]),  # no number has two decimal marks
        ("y;z\n1.234;0,5\n951;x,5\n", [1234, 951]),
        ("y\tz\n1,234\t1.5\n2,345,678.25\t2\n", [1234, 2345678.25]),  # and the other way round
        ("y;z\n1.234;1.5\n951;2\n", [1.234, 951]),
        ("y;z\n1.234;1.2345\n", [1.234]),
        ("y,z\n1.234,5\n951,6\n", [1.234, 951]),  # beside commas that separate columns
        ("y\tz\n951\t1\n1.003\t2\n", [951, 1.003]),  # beside tabs a point is a decimal point, unless commas say otherwise
        ("y;z\n951;1.234\n", [951]),  # z could be either, but is not asked for
        ("y;z\n-1,003e2;,5\n.;-\n+1.200;2\n", [-100.3, np.nan, 1200]),
        ("y;z\n-1.003e2;1\n1.200;2\n", [-100.3, 1.2]),  # nobody writes thousands with an exponent
    ],
)
def test_thousands_and_decimals_are_told_by_the_whole_file(tmp_path, content, y):
    np.testing.assert_array_equal(table(tmp_path, content).numbers("y"), y)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("y;z\n951;1\n1.003;2\n", "line 3: '1.003' in column 'y' may be 1003 or 1.003"),
        ("y\tz\n951\t1\n1,003\t2\n", "line 3: '1,003' in column 'y' may be 1003 or 1.003"),
        ("y;z\n1.003;1,003\n", "line 2: '1.003' in column 'y' may be 1003 or 1.003"),
        ("y;z\n1.5;1\n2;135,86\n", "line 2: '1.5' in column 'y'; wanted a number with a decimal comma, as '135,86' in line 3"),
        ("y;z\n1234.567;0,5\n", "line 2: '1234.567' in column 'y'; wanted a number with a decimal comma"),
        ("y;z\n0.123;0,5\n", "line 2: '0.123' in column 'y'; wanted a number with a decimal comma"),
        ("y;z\n12.34,5;0,5\n", "line 2: '12.34,5' in column 'y'"),
        ("y;z\ne5;0,5\n", "line 2: 'e5' in column 'y'"),
        ("y;z\n+;0,5\n", "line 2: '+' in column 'y'"),
    ],
)
def test_thousands_that_can_not_be_told_are_refused(tmp_path, content, said):
    with pytest.raises(DataError) as error:
        table(tmp_path, content).numbers("y")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


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
        ("a,b\n1,2\n3\n", "line 3: cells: got 1, wanted 2"),
        ("a,b\n1,2\n\n3,4\n", "line 3: cells: got 0, wanted 2"),
        ("a,b\n1,2,3\n", "line 2: cells: got 3, wanted 2"),
        ('a,b\n"1,2\n', "can't be read as CSV"),
        (b"a,b\n1,\0\n", "is not a text file"),
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
        ("a;b\n1;1,234,56\n", "line 2"),
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
