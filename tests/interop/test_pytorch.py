"""PyTorch's state dicts: what PyTorch gave from them is given here, they come back as they were, and all else is refused."""

import struct

import goldens
import numpy as np
import pytest
from refusals import refused
from safetensors.numpy import save, save_file
from torch_goldens import GOLDEN, NETWORKS, SINGLE, F, H, read, state_dict

import gatewright as gw
from gatewright.errors import FormatError, MissingFileError, OptionError, ShapeError


def initial(model, a, dtype=np.float32):
    """The initial states of a case, where it has some."""
    states = [a[name].astype(dtype) for name in ("h0", "c0") if name in a]
    return model.layer.cell.State(*states) if states else None


def without(arrays, *names):
    return {name: array for name, array in arrays.items() if name not in names}


# ------------------------------------------------------------------------------------------------ the same numbers


@pytest.mark.parametrize("kernel", ["auto", "numpy"])
@pytest.mark.parametrize("case", GOLDEN)
def test_outputs_and_states_are_pytorchs(case, kernel):
    a = GOLDEN[case][1]
    for dtype, end, tolerance in (("float32", "", 1e-6), ("float64", "64", 1e-12)):
        model = read(case, dtype=dtype, kernel=kernel)
        y, state = model.run(a["x"], initial(model, a))
        assert model.dtype == y.dtype == dtype
        got = {"y": y} | (dict(zip(("hn", "cn"), state, strict=False)) if case in SINGLE else {})
        assert {f"{name}{end}" for name in got} == {n for n in a if n in {f"{k}{end}" for k in ("y", "hn", "cn")}}
        for name, array in got.items():
            wanted = a[f"{name}{end}"]
            np.testing.assert_allclose(array, wanted, rtol=0, atol=tolerance * max(1, np.abs(wanted).max()), err_msg=name)


@pytest.mark.parametrize("case", GOLDEN)
def test_gradients_are_pytorchs(case):
    """After import, in float64: by the input, the initial states and every array of the state dict."""
    a = GOLDEN[case][1]
    model = read(case, dtype="float64", kernel="numpy")
    x = a["x"] if a["x"].dtype.kind == "i" else a["x"].astype(float)
    params = model.parameters if case in NETWORKS else model.parameters.scope("0")
    grads = model.parameters.zeros_like()
    into = grads if case in NETWORKS else grads.scope("0")
    _, final, cache = model.layer.forward(params, x, initial(model, a, float))
    dfinal = None if case in NETWORKS else type(final)(*(a[f"w.{n}"].astype(float) for n in ("hn", "cn")[: len(final)]))
    dx, dstate = model.layer.backward(params, into, cache, a["w.y"].astype(float), dfinal)
    got = {} if x.dtype.kind == "i" else {"x": dx}
    got |= {} if case in NETWORKS else dict(zip(("h0", "c0"), dstate, strict=False))
    entries = [e if isinstance(e, str) else e[0] for e in NETWORKS.get(case, ()) if not isinstance(e, gw.Dropout)]
    back = gw.Model(model.layer, dtype="float64", parameters=grads).to_pytorch(entries or None)
    for name, array in back.items():  # the one bias that we have got what both of PyTorch's get
        if ".bias_hh" in f".{name}":
            both = back[name.replace("bias_hh", "bias_ih")].copy()
            both[2 * H :] = array[2 * H :] if "gru" in f"{case}.{name}" else both[2 * H :]
            array = both
        if ".running_" not in name:  # a BatchNorm's statistics are not trained
            got[f"net.{name}"] = array
    assert {f"d.{name}" for name in got} == {name for name in a if name.startswith("d.")}
    for name, array in got.items():
        wanted = a[f"d.{name}"]
        assert np.abs(wanted).max() > 1e-3, name
        np.testing.assert_allclose(array, wanted, rtol=0, atol=1e-10 * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize("case", SINGLE)
def test_the_layer_is_inferred(case):
    about = GOLDEN[case][0]
    layer = read(case).layer
    assert type(layer).__name__.lower() == goldens.kind_of(about)
    got = layer.input_size, layer.hidden_size, layer.num_layers, len(layer.directions), layer.bias
    assert got == (F, H, about["layers"], about["directions"], about["bias"])
    assert getattr(layer, "projection", None) == (2 if "projection" in case else None)


@pytest.mark.parametrize("case", GOLDEN)
def test_a_state_dict_comes_back(case):
    """The same names and kernels; of the biases the sum, and a GRU's n apart."""
    given = state_dict(case)
    names = [
        entry if isinstance(entry, str) else entry[0] for entry in NETWORKS.get(case, ()) if not isinstance(entry, gw.Dropout)
    ]
    back = read(case).to_pytorch(names or None)
    assert back.keys() == given.keys() - {"norm.num_batches_tracked"}
    for name, array in back.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        kind, _, end = name.rpartition(".")[2].partition("_")
        if kind != "bias" or not end:
            np.testing.assert_array_equal(array, given[name], err_msg=name)
        elif end.startswith("ih"):
            other = name.replace("bias_ih", "bias_hh")
            total = given[name].astype(float) + given[other]
            np.testing.assert_allclose(array + back[other], total, rtol=0, atol=1e-6, err_msg=name)
            n = slice(2 * H, None) if ".gru" in f".{name}" or case.startswith("gru") else slice(0)
            np.testing.assert_array_equal(back[other][n], given[other][n])
            assert not np.delete(back[other], np.arange(len(array))[n]).any()
    again = read(case, back)
    assert again.parameters.flat.tobytes() == read(case).parameters.flat.tobytes()


def test_layers_go_out_under_their_index():
    """As nn.Sequential names them."""
    model = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dropout(0.5), gw.Dense(3, 1)), seed=0)
    names = {f"0.{kind}_{part}_l0" for kind in ("weight", "bias") for part in ("ih", "hh")}
    assert set(model.to_pytorch()) == names | {"2.weight", "2.bias"}
    assert {name.partition(".")[0] for name in model.to_pytorch(["a.b", "c"])} == {"a", "c"}
    np.testing.assert_array_equal(model.to_pytorch()["2.weight"], model.parameters["2.W"].T)


# ------------------------------------------------------------------------------------------------ where from


class Tensor:
    """As much of a tensor as is asked for."""

    def __init__(self, array, dtype="torch.float32", device="cuda"):
        self.array, self.dtype, self.device = array, dtype, device

    def detach(self):
        return Tensor(self.array, self.dtype, self.device)

    def cpu(self):
        return Tensor(self.array, self.dtype, "cpu")

    def float(self):
        return Tensor(self.array.astype(np.float32), "torch.float32", self.device)

    def numpy(self):
        if self.device != "cpu" or self.dtype == "torch.bfloat16":
            raise TypeError(f"no NumPy array of {self.dtype} on {self.device}")
        return self.array


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
def test_tensors(dtype):
    model = read("gru_1_1_bias", {name: Tensor(array, dtype) for name, array in state_dict("gru_1_1_bias").items()})
    assert model.parameters.flat.tobytes() == read("gru_1_1_bias").parameters.flat.tobytes()


def test_files(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(state_dict("words"), path)
    for name in (path, str(path)):
        model = read("words", name)
        assert model.layer == read("words").layer
        assert model.parameters.flat.tobytes() == read("words").parameters.flat.tobytes()


def test_the_dtype_is_the_arrays(tmp_path):
    given = state_dict("lstm_1_1_bias")
    cases = {"float16": "float32", "float32": "float32", "float64": "float64"}
    for dtype, own in cases.items():
        arrays = {name: array.astype(dtype) for name, array in given.items()}
        save_file(arrays, tmp_path / f"{dtype}.safetensors")
        for source in (arrays, tmp_path / f"{dtype}.safetensors"):
            model = gw.from_pytorch(source)
            assert model.dtype == own
            np.testing.assert_array_equal(model.parameters["0.U"], arrays["weight_hh_l0"].T.astype(own))
    assert gw.from_pytorch({**given, "bias_ih_l0": given["bias_ih_l0"].astype(float)}).dtype == np.float64
    assert gw.from_pytorch(given, dtype="float64").dtype == np.float64


def test_bfloat16_in_a_file(tmp_path):
    given = state_dict("lstm_1_1_bias")
    header, content = {}, b""
    for name, array in given.items():
        half = (np.ascontiguousarray(array).view("<u4") >> 16).astype("<u2").tobytes()
        places = f"[{len(content)},{len(content) + len(half)}]"
        header[name] = f'"{name}":{{"dtype":"BF16","shape":{list(array.shape)},"data_offsets":{places}}}'
        content += half
    text = ("{" + ",".join(header.values()) + "}").encode()
    (tmp_path / "net.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content)
    model = gw.from_pytorch(tmp_path / "net.safetensors")
    assert model.dtype == np.float32
    cut = (given["weight_hh_l0"].view("<u4") >> 16 << 16).view("<f4")
    np.testing.assert_array_equal(model.parameters["0.U"], cut.T)


def test_a_part_of_a_network():
    """prefix= picks a part, with or without its dot; what is outside of it is not even looked at."""
    given = {f"net.core.{name}": array for name, array in state_dict("gru_2_2_bias").items()} | {"net.epoch": "seven"}
    for prefix in ("net.core", "net.core."):
        model = gw.from_pytorch(given, prefix=prefix)
        assert model.layer == read("gru_2_2_bias").layer
    whole = gw.from_pytorch(without(given, "net.epoch"), prefix="net", layers=["core"])
    assert whole.layer == gw.Sequential(model.layer)
    dense = gw.from_pytorch({"fc.weight": np.ones((2, 3)), "fc.bias": np.zeros(2)}, prefix="fc")
    assert dense.layer == gw.Dense(3, 2)


def test_a_frozen_layer_stays_frozen_and_the_model_trains():
    given = state_dict("tagger")
    model = gw.from_pytorch(given, layers=["lstm", ("fc", gw.Dense(2 * H, 2, trainable=False))], threads=1)
    before = model.parameters.flat.copy()
    model.fit(np.ones((2, 5, F)), np.ones((2, 5, 2)), verbose=False)
    changed = {name for name, where in model.parameters.slices().items() if (model.parameters.flat != before)[where].any()}
    assert changed == {name for name in model.parameters if name.startswith("0.")}


# ------------------------------------------------------------------------------------------------ refusals

LSTM = state_dict("lstm_2_1_bias")
PROJECTED = state_dict("lstm_projection_2_1_bias")
TAGGER = state_dict("tagger")


def bare(rows, features=F, size=H):
    return {"weight_ih_l0": np.ones((rows, features)), "weight_hh_l0": np.ones((rows, size))}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, FormatError, ["there are none"]),
        (TAGGER, FormatError, ["there are 'fc', 'lstm': layers=[…]"]),
        (without(LSTM, "weight_hh_l1"), FormatError, ["'bias_hh_l1' is not known"]),
        (without(LSTM, "weight_ih_l1"), FormatError, ["'weight_ih_l1' is missing; LSTM(3, 4, num_layers=2) has"]),
        (without(LSTM, "bias_hh_l0"), FormatError, ["'bias_hh_l0' is missing"]),
        (LSTM | {"weight_ih_l0_reverse": np.ones((16, 3))}, FormatError, ["'weight_ih_l0_reverse' is not known"]),
        (LSTM | {"weight_hr_l0": np.ones((2, 4))}, ShapeError, ["got shapes (16, 4) and (2, 4), wanted (4 H, P) and (P, H)"]),
        (LSTM | {"weight_hr_l0": np.ones((4, 4))}, ShapeError, ["got shapes (16, 4) and (4, 4)", "with P < H"]),
        (LSTM | {"weight_hr_l0": np.ones((2, 4)), "weight_hh_l0": np.ones(())}, ShapeError, ["got shapes () and (2, 4)"]),
        (PROJECTED | {"weight_hr_l0": np.ones((2, 3))}, ShapeError, ["got shapes (16, 2) and (2, 3)"]),
        (PROJECTED | {"weight_hr_l0": np.ones(2)}, ShapeError, ["got shapes (16, 2) and (2,)"]),
        (PROJECTED | {"weight_hr_l0": np.ones((0, 4))}, ShapeError, ["got shapes (16, 2) and (0, 4)"]),
        (without(PROJECTED, "weight_hr_l0"), ShapeError, ["got shapes (16, 3) and (16, 2), wanted (k H, F) and (k H, H)"]),
        (without(PROJECTED, "weight_hr_l1"), FormatError, ["'weight_hr_l1' is missing; LSTM(3, 4, num_layers=2, projection"]),
        (LSTM | {"weight_ih_l1": np.ones((16, 3))}, ShapeError, ["weight_ih_l1: got shape (16, 3), wanted (16, 4)"]),
        (LSTM | {"bias_ih_l0": np.ones(4)}, ShapeError, ["bias_ih_l0: got shape (4,), wanted (16,)"]),
        (without(LSTM, "weight_hh_l0"), ShapeError, ["got shapes (16, 3) and (0,)"]),
        (bare(2 * H), ShapeError, ["got shapes (8, 3) and (8, 4)", "3 for nn.GRU"]),
        (bare(4 * H - 1), ShapeError, ["(15, 4)"]),
        (bare(0), ShapeError, ["(0, 4)"]),
        (bare(4 * H, features=0), ShapeError, ["(16, 0)"]),
        (bare(4 * H, size=0), ShapeError, ["(16, 0)"]),
        ({"weight": np.ones((9, 3))}, FormatError, ["gw.Embedding(9, 3)", "gw.Dense(3, 9, bias=False)"]),
        ({"weight": np.ones((9, 3, 2)), "bias": np.ones(9)}, FormatError, ["nn.Conv1d; there are 'weight', 'bias'"]),
        ({"weight": np.ones(9)}, FormatError, ["wanted the weights of nn.RNN"]),
        ({"weight_ih": np.ones((4, 2)), "weight_hh": np.ones((4, 4))}, FormatError, ["there are 'weight_ih', 'weight_hh'"]),
        (LSTM | {"bias_ih_l0": np.ones(16, int)}, FormatError, ["'bias_ih_l0': got int64 values, wanted floats"]),
        (LSTM | {"bias_ih_l0": [[1.0], [1.0, 2.0]]}, FormatError, ["'bias_ih_l0': not an array of numbers"]),
        (LSTM | {"bias_ih_l0": Tensor(None, "torch.bfloat16", "meta").numpy}, FormatError, ["'bias_ih_l0': got object values"]),
        (LSTM | {"x" * 5000 + "\n": np.ones(1)}, FormatError, ["is not known"]),
        ([LSTM], OptionError, ["got list, wanted a state dict"]),
        ({1: np.ones(1)}, OptionError, ["got dict, wanted a state dict"]),
        (None, OptionError, ["got NoneType"]),
    ],
)  # fmt: skip
def test_state_dicts_that_are_refused(given, error, words):
    with refused(error, *words):
        gw.from_pytorch(given)


def test_what_a_convolution_does_not_tell():
    with refused(FormatError, "'conv.weight' is an nn.Conv1d's", "('conv', gw.Conv1D(3, 4, 4, …))"):
        gw.from_pytorch(state_dict("waves"), layers=["conv", "norm", "past", "gru"])


@pytest.mark.parametrize(
    ("layers", "error", "words"),
    [
        (["lstm"], FormatError, ["'fc.bias', 'fc.weight': no entry of layers= reads it"]),
        (["lstm", "head"], FormatError, ["nothing under 'head'; there are 'fc', 'lstm'"]),
        (["lstm", "fc", "fc"], OptionError, ["'fc' stands there twice"]),
        (["fc", "lstm"], ShapeError, ["takes 3 features, and layer 0 gives 2"]),
        (["lstm", ("fc", gw.Dense(8, 3))], ShapeError, ["fc.weight: got shape (2, 8), wanted (3, 8) for Dense(8, 3)"]),
        (["lstm", ("fc", gw.Dense(8, 2, bias=False))], FormatError, ["'fc.bias' is not known"]),
        ([("lstm", gw.Bidirectional(gw.LSTM(F, H))), "fc"], OptionError, ["lstm.Bidirectional", "LSTM, GRU, Dense"]),
        ([("lstm", gw.LSTM(F, H, go_backwards=True)), "fc"], OptionError, ["PyTorch, which knows go_backwards=False only"]),
        (["lstm", ("fc", "fc")], OptionError, ["layers: got ('fc', 'fc'), wanted a name such as 'lstm'"]),
        (["lstm", gw.Dense(8, 2)], OptionError, ["layers: got Dense(8, 2), wanted"]),
        ("lstm", OptionError, ["layers: got 'lstm', wanted a list"]),
        ([], OptionError, ["layers: got [], wanted a list"]),
    ],
)
def test_layers_that_are_refused(layers, error, words):
    with refused(error, *words):
        gw.from_pytorch(TAGGER, layers=layers)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"activation": "elu"}, ["activation='elu' is unknown; known: 'tanh', 'relu'"]),
        ({"activation": "relu"}, ["activation='relu' is about nn.RNN, and there is none"]),
        ({"prefix": 3}, ["prefix: got 3"]),
        ({"dtype": "float16"}, ["dtype='float16' is unknown"]),
        ({"kernel": "fast"}, ["kernel='fast'"]),
    ],
)
def test_options_that_are_refused(options, words):
    with refused(OptionError, *words):
        gw.from_pytorch(LSTM, **options)


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    with refused(MissingFileError, str(path), "there is no such file"):
        gw.from_pytorch(path)
    whole = save(LSTM)
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with refused(FormatError, str(path), "not a whole safetensors file"):
            gw.from_pytorch(path)
    save_file(LSTM | {"bias_ih_l0": np.ones(4, np.float32)}, path)
    with refused(FormatError, str(path), "bias_ih_l0: got shape (4,), wanted (16,)"):  # of a file, so no ShapeError
        gw.from_pytorch(path)
    save_file(LSTM | {"steps": np.ones((), int)}, path)
    with refused(FormatError, str(path), "'steps': got I64 values, wanted floats"):
        gw.from_pytorch(path)


def test_flipped_bits_in_a_file(tmp_path):
    """One clear line, or a model of other numbers: nothing else."""
    whole, path = bytearray(save(LSTM)), tmp_path / "net.safetensors"
    size = 8 + struct.unpack("<Q", whole[:8])[0]
    said = []
    for place in range(size):
        changed = whole.copy()
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            gw.from_pytorch(path)
        except FormatError as error:
            said.append(str(error))
    assert len(said) > size // 2
    assert all(str(path) in line and "\n" not in line for line in said)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (gw.GRU(F, H, reset_after=False), ["PyTorch, which knows reset_after=True only"]),
        (gw.LSTM(F, H, activation="relu"), ["activation=tanh only"]),
        (gw.RNN(F, H, activation="elu"), ["activation=tanh or relu only"]),
        (gw.GRU(F, H, recurrent_activation="hard_sigmoid"), ["recurrent_activation=sigmoid only"]),
        (gw.RNN(F, H, learn_initial_state=True), ["learn_initial_state=False only"]),
        (gw.Sequential(gw.Embedding(9, F, mask_zero=True)), ["0.Embedding", "mask_zero=False only"]),
        (gw.Sequential(gw.Dense(F, H), gw.Residual(gw.LSTM(H, H))), ["1.Residual", "have one"]),
    ],
)
def test_what_pytorch_has_not_does_not_go_out(layer, words):
    with refused(OptionError, "has no counterpart in PyTorch", *words):
        gw.Model(layer, seed=0).to_pytorch()


def test_names_that_do_not_fit():
    model = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dropout(0.5), gw.Dense(3, 1)), seed=0)
    for names in (["lstm"], "ab", ["a", "b", "c"]):
        with refused(OptionError, "wanted 2 names, one a layer that has parameters"):
            model.to_pytorch(names)
    with refused(OptionError, "layers: got ['lstm'], but LSTM(2, 3) alone has no name"):
        gw.Model(gw.LSTM(2, 3), seed=0).to_pytorch(["lstm"])
