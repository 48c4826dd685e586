"""What a network is, as tables: its layers, sizes and kernels."""

import numpy as np
import pytest

import gatewright as gw

CELL = gw.Shared(gw.GRU(4, 4), "cell")
NETS = {
    "words": gw.Sequential(gw.Embedding(50, 4, mask_zero=True), gw.LSTM(4, 6, bidirectional=True), gw.Dense(12, 3, "softmax")),
    "last": gw.Sequential(gw.Masking(), gw.GRU(3, 4, return_sequences=False), gw.Dense(4, 2)),
    "shared": gw.Sequential(CELL, gw.Residual(CELL), gw.Parallel([CELL, gw.Dense(4, 2)])),
    "bare": gw.RNN(2, 3),
    "unknown": gw.Sequential(gw.Masking(1.0), gw.Dropout(0.1)),
    "times": gw.Sequential(
        gw.Conv1D(3, 4, 2, padding="same"), gw.MaxPooling1D(2), gw.BatchNorm(4), gw.GlobalMaxPooling1D(), gw.RepeatVector(9)
    ),
    "rows": gw.Sequential(gw.Dense(3, 2), gw.RepeatVector(5)),
}


def rows_of(text):
    """The lines as cells, without the rules."""
    lines = text.splitlines()
    rules = [k for k, line in enumerate(lines) if set(line) == {"-"}]
    assert rules == [1, len(lines) - 2]
    assert len(lines[1]) == max(map(len, lines))
    assert all(line == line.rstrip() for line in lines)
    starts = [lines[0].index(word) for word in ("layer", "output")]
    cells = []
    for line in (lines[0], *lines[2:-2], lines[-1]):
        layer, rest = line[: starts[1]].strip(), line[starts[1] :].rsplit(None, 2)
        cells.append((layer, rest[0].strip() if len(rest) == 3 else "", rest[-2], rest[-1]))
    return cells


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("words", [
            ("layer", "output", "parameters", "trained"),
            ("0  Embedding(50, 4, mask_zero=True)", "(B, T, 4)", "200", "200"),
            ("1  LSTM(4, 6, bidirectional=True)", "(B, T, 12)", "528", "528"),
            ("2  Dense(12, 3, activation='softmax')", "(B, T, 3)", "39", "39"),
            ("float32, 3,068 bytes", "", "767", "767"),
        ]),
        ("last", [
            ("layer", "output", "parameters", "trained"),
            ("0  Masking()", "(B, T, 3)", "0", "0"),
            ("1  GRU(3, 4, return_sequences=False)", "(B, 4)", "100", "100"),
            ("2  Dense(4, 2)", "(B, 2)", "10", "10"),
            ("float32, 440 bytes", "", "110", "110"),
        ]),
        ("shared", [
            ("layer", "output", "parameters", "trained"),
            ("0  Shared(GRU(4, 4), 'cell')", "(B, T, 4)", "112", "112"),
            ("1  Residual(Shared(GRU(4, 4), 'cell'))", "(B, T, 4)", "0", "0"),
            ("2  Parallel((Shared(GRU(4, 4), 'cell'), Dense(4, 2)))", "(B, T, 6)", "10", "10"),
            ("float32, 488 bytes", "", "122", "122"),
        ]),
        ("bare", [
            ("layer", "output", "parameters", "trained"),
            ("0  RNN(2, 3)", "(B, T, 3)", "18", "18"),
            ("float32, 72 bytes", "", "18", "18"),
        ]),
        ("unknown", [
            ("layer", "output", "parameters", "trained"),
            ("0  Masking(value=1.0)", "?", "0", "0"),  # any number of features goes through
            ("1  Dropout(0.1)", "?", "0", "0"),
            ("float32, 0 bytes", "", "0", "0"),
        ]),
        ("times", [
            ("layer", "output", "parameters", "trained"),
            ("0  Conv1D(3, 4, 2, padding='same')", "(B, T, 4)", "28", "28"),
            ("1  MaxPooling1D(2)", "(B, T', 4)", "0", "0"),  # a number of steps that depends on the input's
            ("2  BatchNorm(4)", "(B, T', 4)", "16", "8"),
            ("3  GlobalMaxPooling1D()", "(B, 4)", "0", "0"),
            ("4  RepeatVector(9)", "(B, 9, 4)", "0", "0"),
            ("float32, 176 bytes", "", "44", "36"),
        ]),
        ("rows", [
            ("layer", "output", "parameters", "trained"),
            ("0  Dense(3, 2)", "(B, 2)", "8", "8"),
            ("1  RepeatVector(5)", "(B, 5, 2)", "0", "0"),
            ("float32, 32 bytes", "", "8", "8"),
        ]),
    ],
)  # fmt: skip
def test_summary(name, wanted):
    assert rows_of(gw.Model(NETS[name]).summary()) == wanted


def test_frozen_numbers_are_not_counted_as_trained():
    model = gw.Model(NETS["words"], dtype="float64")
    model.freeze(["0", "*.b"])
    cells = rows_of(model.summary())
    assert [row[2:] for row in cells[1:]] == [("200", "0"), ("528", "480"), ("39", "36"), ("767", "516")]
    assert cells[-1][0] == "float64, 6,136 bytes"


def test_large_numbers_are_grouped():
    cells = rows_of(gw.Model(gw.Dense(1000, 1000)).summary())
    assert cells[1][2:] == cells[2][2:] == ("1,001,000", "1,001,000")
    assert cells[2][0] == "float32, 4,004,000 bytes"
    assert "1,001,000 parameters" in repr(gw.Model(gw.Dense(1000, 1000)))


def test_columns_are_aligned():
    """Words to the left, numbers to the right."""
    lines = gw.Model(NETS["words"]).summary().splitlines()
    assert len({len(line) for k, line in enumerate(lines) if k not in (1, len(lines) - 2)}) == 1
    assert len({line.index("(B, T") for line in lines if "(B, T" in line}) == 1


@pytest.mark.parametrize(("kernel", "dtype", "path", "reason"), [
    ("auto", "float32", "compiled", "inference is compiled, training too"),
    ("compiled", "float32", "compiled", "inference is compiled, training too"),
    ("auto", "float64", "numpy", "float64: float32 is compiled"),
    ("numpy", "float32", "numpy", "asked for"),
])  # fmt: skip
def test_kernels_tells_every_layers_path_and_why(kernel, dtype, path, reason):
    """Those inside others too, under the names of their parameters."""
    net = gw.Sequential(
        gw.GRU(3, 4, num_layers=2, bidirectional=True),
        gw.Dense(8, 4),
        gw.Residual(gw.Sequential(gw.Dropout(0.1), gw.LSTM(4, 4))),
        gw.Parallel([gw.Bidirectional(gw.RNN(4, 2)), gw.Shared(gw.Residual(gw.GRU(4, 4)), "cell")]),
    )
    model = gw.Model(net, kernel=kernel, dtype=dtype)
    rows = model.kernels()
    assert [(row.name, row.layer) for row in rows] == [
        ("0", "GRU"), ("1", "Dense"), ("2.0", "Dropout"), ("2.1", "LSTM"),
        ("3.0.forward", "RNN"), ("3.0.backward", "RNN"), ("shared.cell", "GRU"),
    ]  # fmt: skip
    assert {(row.path, row.reason) for row in rows if row.layer not in ("Dropout", "Dense")} == {(path, reason)}
    dense = reason.replace("training too", "training runs on NumPy")  # so few outputs are faster there
    assert {(row.path, row.reason) for row in rows if row.layer == "Dense"} == {(path, dense)}
    assert {(row.path, row.reason) for row in rows if row.layer == "Dropout"} == {("numpy", "copies numbers, bit for bit")}
    for row in rows:  # a name is the prefix of that layer's parameters
        assert row.layer == "Dropout" or model.parameters.matching(row.name)


def test_a_name_stands_for_its_parameters():
    """What `kernels` and `summary` call a layer can be frozen by that name."""
    model = gw.Model(gw.Sequential(gw.Dense(3, 3), gw.Residual(gw.GRU(3, 3))))
    names = [row.name for row in model.kernels()]
    assert names == ["0", "1"]
    assert model.freeze(names[1]) == ["1.W", "1.U", "1.b", "1.bn"]
    assert np.array_equal(model.parameters.trainable_mask(), [True] * 12 + [False] * 66)
