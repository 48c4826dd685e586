"""What users hand to a forecaster: one or many series with their exogenous columns, read into arrays by name."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import DataError, OptionError, ShapeError

ALONE = "y"  # the name of a series that has none


class Panel(NamedTuple):
    """Series with their columns."""

    series: dict[str, Array]  # name -> (T_i, 1 + K) float64: the target, then the exogenous columns, NaN where missing
    columns: tuple[str, ...]  # (K) names of the exogenous columns
    alone: bool  # whether it was one series, not many
    named: bool  # whether the exogenous columns came with names


def read(y: Any, x: Any, ids: Any) -> Panel:
    """The series of y, with the columns of X.

    y: (T,); {name: (T_i,)} or a list of (T_i,); or (N,) with ids (N,), the name of each row's series. X: (T, K), {name:
    (T_i, K)}, a list of (T_i, K), or (N, K); arrays or frames. Raises ShapeError or DataError.
    """
    if ids is not None:
        y, x = _split(y, x, ids)
    if isinstance(y, Mapping) or _is_list(y):
        targets = _named(y, "y")
        tables = dict.fromkeys(targets) if x is None else _tables(x, targets, "X")
        if not targets:
            raise DataError("y: got no series, wanted at least one")
    else:
        targets, tables = {ALONE: y}, {ALONE: x}
    series, found = {}, dict[tuple[int, tuple[str, ...] | None], None]()
    for name, values in targets.items():
        of = "" if targets.keys() == {ALONE} else f"[{name!r}]"
        target = column(values, f"y{of}")
        table, names = (np.zeros((len(target), 0)), None) if tables[name] is None else matrix(tables[name], f"X{of}")
        if len(table) != len(target):
            raise ShapeError(f"X{of}: got {len(table)} rows for the {len(target)} of y")
        found[table.shape[1], names] = None
        series[name] = np.column_stack([target, table])
    if len(found) > 1:
        raise DataError("X: got series whose columns differ; wanted the same columns in the same order")
    ((count, told),) = found
    alone = not isinstance(y, Mapping) and not _is_list(y)
    return Panel(series, tuple(f"x{k}" for k in range(count)) if told is None else told, alone, told is not None)


def column(values: Any, name: str) -> Array:
    """(T,) float64 numbers, NaN where missing. Raises ShapeError or DataError."""
    array = _floats(values, name)
    if array.ndim != 1:
        raise ShapeError(f"{name}: got shape {array.shape}, wanted (T,), one number a time step; many series are a dict")
    if not len(array):
        raise DataError(f"{name}: got no rows, wanted at least one")
    return array


def target_among(columns: tuple[str, ...]) -> str:
    """What the target is called beside columns that may have its name already."""
    name = ALONE
    while name in columns:
        name += "_"
    return name


def matrix(values: Any, name: str) -> tuple[Array, tuple[str, ...] | None]:
    """((T, K) float64 numbers, NaN where missing; the names of a frame's columns). Raises ShapeError or DataError."""
    names = tuple(map(str, values.columns)) if hasattr(values, "columns") else None
    array = _floats(values, name)
    if array.ndim == 1:
        array = array[:, None]
        names = (str(values.name),) if getattr(values, "name", None) else names
    if array.ndim != 2 or not array.shape[1]:
        raise ShapeError(f"{name}: got shape {array.shape}, wanted (T, K), a row a time step")
    if names is not None and len(set(names)) < len(names):
        raise DataError(f"{name}: two columns have the same name: {', '.join(names)}")
    return array, names


def places(known: Any, columns: tuple[str, ...]) -> tuple[int, ...]:
    """The places of the columns whose future is known, told by name or place. Raises OptionError."""
    if isinstance(known, str) or not isinstance(known, Iterable):
        raise OptionError(f"known: got {known!r}, wanted a list of columns of X, by name or place")
    found = []
    for each in known:
        at = columns.index(each) if each in columns else each
        if isinstance(at, bool) or not isinstance(at, int | np.integer) or not 0 <= at < len(columns):
            told = ", ".join(map(repr, columns)) if columns else "there is no X"
            raise OptionError(f"known: got {each!r}, wanted columns of X, by name or place: {told}")
        found.append(int(at))
    if len(set(found)) < len(found):
        raise OptionError(f"known: got {list(known)!r}, where a column is named twice")
    return tuple(sorted(found))


def future(given: Any, wanted: tuple[str, ...], panel: Panel, horizon: int) -> dict[str, Array]:
    """{name: (H, K)} the known columns in the steps to come, of every series; one table serves all. Raises as `read` does.

    A frame may have more columns than the wanted ones, which are told by their names, if they had names when it was fitted.
    """
    if given is None:
        raise DataError(f"future: wanted the {horizon} rows to come of the known columns {', '.join(wanted)}")
    names, found = list(panel.series), {}
    each = isinstance(given, Mapping) or (_is_list(given) and not panel.alone)  # of one series alone a list is its rows
    tables = _tables(given, names, "future") if each else dict.fromkeys(names, given)
    for name in names:
        table, columns = matrix(tables[name], "future" if len(names) == 1 else f"future[{name!r}]")
        columns = columns if panel.named else None
        if columns is not None and set(wanted) <= set(columns):
            table = table[:, [columns.index(each) for each in wanted]]
        elif columns is not None:
            missing = [each for each in wanted if each not in columns]
            raise DataError(f"future: the known columns {', '.join(missing)} are missing; got {', '.join(columns)}")
        if table.shape != (horizon, len(wanted)):
            raise ShapeError(f"future: got shape {table.shape}, wanted ({horizon}, {len(wanted)}): {', '.join(wanted)}")
        if np.isnan(table).any():
            raise DataError("future: got NaN, wanted numbers: these columns are known")
        found[name] = table
    return found


def _is_list(y: Any) -> bool:
    """Whether y is a list of series, not one series of numbers."""
    if isinstance(y, list | tuple):
        return any(np.ndim(row) for row in y)
    return bool(isinstance(y, np.ndarray) and y.dtype == object and len(y) and np.ndim(y[0]))


def _named(values: Any, what: str) -> dict[str, Any]:
    """The series by name; those of a list are counted from 0."""
    if not isinstance(values, Mapping):
        return {str(k): row for k, row in enumerate(values)}
    names = {str(key): row for key, row in values.items()}
    if len(names) < len(values):
        raise DataError(f"{what}: two series have the same name, as text")
    return names


def _tables(x: Any, targets: Iterable[str], what: str) -> dict[str, Any]:
    """The tables of X or of the future, which `what` says, by the names of the series."""
    if not isinstance(x, Mapping) and not _is_list(x):
        raise DataError(f"{what}: got one table for many series; wanted a dict or a list, as y is")
    tables, wanted = _named(x, what), list(targets)
    if set(tables) != set(wanted):
        odd = sorted(set(tables) ^ set(wanted))
        raise DataError(f"{what}: wanted a table for each series of y and no other; the odd ones: {', '.join(odd[:5])}")
    return tables


def _split(y: Any, x: Any, ids: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The long form by series, in the order of their first rows."""
    if isinstance(y, Mapping) or _is_list(y):
        raise DataError("ids: y is a dict or list of series already; ids are for one long column of all series")
    target, rows = column(y, "y"), np.asarray(ids, dtype=object)
    if rows.shape != target.shape:
        raise ShapeError(f"ids: got shape {rows.shape} for the {len(target)} rows of y, wanted one name a row")
    for row, each in enumerate(rows.tolist()):
        if each is None or type(each).__name__ in ("NAType", "NaTType") or (isinstance(each, float) and each != each):
            raise DataError(f"ids: got {each!r} in row {row}, wanted the name of a series in every row")
    names = np.array([str(each) for each in rows.tolist()])
    order = list(dict.fromkeys(names.tolist()))
    if x is None:
        return {name: target[names == name] for name in order}, None
    table, columns = matrix(x, "X")
    if len(table) != len(target):
        raise ShapeError(f"X: got {len(table)} rows for the {len(target)} of y")
    wrap = (lambda part: part) if columns is None else (lambda part: _Table(part, columns))
    return {name: target[names == name] for name in order}, {name: wrap(table[names == name]) for name in order}


class _Table(NamedTuple):
    """Rows with the names of their columns."""

    rows: Array
    columns: tuple[str, ...]


def _floats(values: Any, name: str) -> Array:
    """float64 numbers of any shape, NaN where missing; of arrays, lists, series and frames."""
    values = values.rows if isinstance(values, _Table) else values
    if isinstance(values, np.ma.MaskedArray):
        raise DataError(f"{name}: got a masked array; write NaN where a value is missing")
    pandas = type(values).__module__.partition(".")[0] == "pandas"
    if pandas and _has_dates(values):
        raise DataError(f"{name}: got dates, wanted numbers")
    try:
        if pandas:  # whose own missing value is no float
            array: Array = values.to_numpy(dtype=float, na_value=np.nan)
        else:
            array = np.asarray(values)
            array = array.astype(float) if array.dtype.kind in "biufO" else array
    except (TypeError, ValueError):
        raise DataError(f"{name}: wanted numbers, NaN where one is missing") from None
    if array.dtype.kind != "f":
        raise DataError(f"{name}: got {array.dtype} values, wanted numbers")
    if np.isinf(array).any():
        raise DataError(f"{name}: got infinity; write NaN where a value is missing")
    return array


def _has_dates(values: Any) -> bool:
    """Whether a series or a frame of pandas has dates or durations, which it would turn into nanoseconds."""
    kinds = [values.dtype] if hasattr(values, "dtype") else list(values.dtypes)
    return any(kind.kind in "mM" for kind in kinds)
