"""Keras' files of weights alone, read into a network of ours; and the trees of weights that Keras 2.13 to 2.15 wrote."""

import json
import zipfile
from io import BytesIO

import h5py
import numpy as np
import pytest
from keras_goldens import GOLDEN, content, golden, keras2, tree, weights2, zipped2
from refusals import refused

import gatewright as gw
from gatewright.errors import FormatError, OptionError

pytestmark = pytest.mark.usefixtures("quick")

LAST = {"return_sequences": False}


def inside(name):
    """The weights in a .keras file."""
    with zipfile.ZipFile(BytesIO(content(name))) as archive:
        return archive.read("model.weights.h5")


def at_the_root(name):
    """The weights of a whole model's .h5 file as save_weights("x.h5") of Keras 2 writes them."""
    file = BytesIO()
    with h5py.File(BytesIO(content(name))) as old, h5py.File(file, "w") as new:
        for layer in old["model_weights"]:
            old.copy(f"model_weights/{layer}", new)
        new.attrs["layer_names"] = old["model_weights"].attrs["layer_names"]
    return file.getvalue()


# ------------------------------------------------------------------------------------------------ the same numbers


NESTED = gw.Sequential(
    gw.Sequential(gw.Conv1D(2, 3, 2), gw.BatchNorm(3), gw.Dense(3, 3), gw.BatchNorm(3), gw.LSTM(3, 2, **LAST)), gw.Dense(2, 2)
)


@pytest.mark.parametrize("case", ["stack", "words", "nested_frozen", "branches", "conv_same"])
def test_recorded_weights(read, case):
    """The network that Keras' own file of the whole model gives."""
    whole, x = golden(read, f"{case}.keras"), GOLDEN[case][1]["x"]
    network = NESTED if case == "nested_frozen" else whole.layer  # which was taken apart
    alone = read(f"{case}.weights.h5", network=network)
    assert alone.dtype == "float32"
    assert alone.layer is network
    np.testing.assert_array_equal(alone.predict(x), whole.predict(x))


def test_models_of_both_kinds_in_a_model(read):
    """Keras counts Sequential and Functional apart, so that the file doesn't say which came first."""
    inner = gw.Sequential(gw.Dense(2, 3), gw.GRU(3, 3))
    with refused(FormatError, "sequential and functional", "order"):
        read("nested.weights.h5", network=gw.Sequential(inner, gw.RNN(3, 2)))


SKIPPED = {
    "before", "before_plain", "norm", "options_norm",  # a normalisation lacks gain or shift: weights alone don't tell which
    "norm_steps",  # TimeDistributed of all kinds
    "average", "bridge", "dense_skips", "multiply", "residual_plus", "shared_branches", "states",  # a kind in several branches
    "branches", "branches_masked", "branches_words",
    "nested_twice", "nested", "nested_masked", "nested_still", "nested_frozen",  # taken apart here
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case in GOLDEN if case not in SKIPPED])
def test_every_network(read, case):
    """The layers of the whole file, given as a network, find the same weights in both layouts."""
    whole = golden(read, f"{case}.keras")
    for name, data in (("x.weights.h5", inside(f"{case}.keras")), ("x.h5", at_the_root(f"{case}.h5"))):
        alone = read(name, data, network=whole.layer)
        assert alone.dtype == whole.dtype
        assert alone.parameters.flat.tobytes() == whole.parameters.flat.tobytes()


def test_stacks_and_a_layer_alone(read):
    """Two of Keras' layers are one of ours with num_layers=2."""
    rng = np.random.default_rng(4)
    wanted = gw.Model(gw.Sequential(gw.GRU(2, 3, num_layers=2, bidirectional=True), gw.Dense(6, 1)), seed=1)
    wanted.set_weights([rng.standard_normal(w.shape) for w in wanted.get_weights()])
    weights = wanted.get_weights()
    arrays = {
        f"layers/bidirectional{'_1' * k}/{way}_layer/cell/vars/{n}": weights[6 * k + 3 * (way == "backward") + n]
        for k in range(2) for way in ("backward", "forward") for n in range(3)
    }  # fmt: skip
    head = {"layers/time_distributed/layer/vars/0": weights[12], "layers/time_distributed/layer/vars/1": weights[13]}
    got = read("x.weights.h5", tree(arrays | head), network=wanted.layer, dtype="float64")
    assert got.dtype == "float64"
    np.testing.assert_array_equal(got.parameters.flat, wanted.parameters.astype(float).flat)
    alone = read("x.weights.h5", tree(arrays), network=gw.GRU(2, 3, num_layers=2, bidirectional=True))
    assert alone.layer == gw.GRU(2, 3, num_layers=2, bidirectional=True)
    np.testing.assert_array_equal(alone.parameters.flat, wanted.parameters.flat[: alone.parameters.flat.size])


def test_what_the_network_freezes_stays_so(read):
    network = gw.Sequential(gw.LSTM(2, 3, trainable=False), gw.Dense(3, 1))
    arrays = {f"layers/lstm/cell/vars/{n}": np.ones(s) for n, s in enumerate([(2, 12), (3, 12), (12,)])}
    arrays |= {"layers/dense/vars/0": np.ones((3, 1)), "layers/dense/vars/1": np.ones(1)}
    trainable = read("x.weights.h5", tree(arrays), network=network).parameters.trainable
    assert trainable == {"0.W": False, "0.U": False, "0.b": False, "1.W": True, "1.b": True}


# ------------------------------------------------------------------------------------------------ what is refused

DENSE = {"layers/dense/vars/0": np.ones((3, 1)), "layers/dense/vars/1": np.ones(1)}
BOTH = DENSE | {"layers/time_distributed/layer/vars/0": np.ones((1, 1)), "layers/time_distributed/layer/vars/1": np.ones(1)}
HEAD = gw.Dense(3, 1)


@pytest.mark.parametrize(
    ("arrays", "network", "error", "words"),
    [
        (DENSE, None, FormatError, ["weights alone", "network="]),
        (DENSE, "LSTM", OptionError, ["network", "'LSTM'"]),
        (DENSE, gw.Dense(2, 1), FormatError, ["layers/dense/vars/0", "(3, 1)", "(2, 1)", "0.W"]),
        (DENSE, gw.Dense(3, 1, bias=False), FormatError, ["layers/dense/vars/0", "layers/dense/vars/1", "1 array"]),
        (DENSE, gw.Sequential(HEAD, gw.Dense(1, 1)), FormatError, ["dense", "no such group", "1.W"]),
        (DENSE, gw.Sequential(gw.LSTM(3, 3), HEAD), FormatError, ["lstm", "no such group", "0.W"]),
        (DENSE, gw.Sequential(gw.Sequential(gw.LSTM(3, 3)), HEAD), FormatError, ["lstm", "no such group", "0.0.W"]),
        (DENSE | {"layers/gru/cell/vars/0": np.ones(3)}, HEAD, FormatError, ["layers/gru/cell/vars/0", "no layer"]),
        (DENSE | {"layers/dense_1/vars/0": np.ones(3)}, HEAD, FormatError, ["layers/dense_1/vars/0", "no layer"]),
        (DENSE | {"vars/0": np.ones(3)}, HEAD, FormatError, ["vars/0", "no layer"]),
        ({"layers/dense_1/vars/0": np.ones((3, 1))}, HEAD, FormatError, ["got none", "2 arrays", "0.W"]),
        (BOTH, gw.Sequential(HEAD, gw.Dense(1, 1)), FormatError, ["dense and time_distributed", "order"]),
        ({}, HEAD, FormatError, ["no such group"]),
        ({}, gw.LSTM(2, 3, peepholes=True), OptionError, ["network", "LSTM", "P"]),
        ({}, gw.LSTM(2, 3, learn_initial_state=True), OptionError, ["network", "LSTM", "h0"]),
        (DENSE, gw.Parallel([HEAD, HEAD]), OptionError, ["network", "several branches", "dense"]),
    ],
)
def test_weights_that_do_not_fit(read, arrays, network, error, words):
    with refused(error, *words):
        read("x.weights.h5", tree(arrays), network=network)


OLD = {"a": {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((3, 12)), "bias": np.ones(12)}, "n": {},
       "b": {"kernel": np.ones((3, 1)), "bias": np.ones(1)}}  # fmt: skip
NET = gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 1))


@pytest.mark.parametrize(
    ("weights", "network", "words"),
    [
        ({"a": OLD["a"]}, NET, ["the kernel of 1.W"]),
        ({"b": OLD["b"], "a": OLD["a"]}, NET, ["b/b/bias:0", "the recurrent_kernel of 0.U"]),
        (OLD | {"z": {"gamma": np.ones(3)}}, NET, ["z/z/gamma:0", "no layer"]),
        (OLD, gw.Sequential(gw.LSTM(2, 4), gw.Dense(4, 1)), ["a/a/kernel:0", "(2, 12)", "(2, 16)", "0.W"]),
    ],
)
def test_old_weights_that_do_not_fit(read, weights, network, words):
    assert read("x.h5", weights2(OLD), network=NET).layer == NET
    with refused(FormatError, "x.h5", *words):
        read("x.h5", weights2(weights), network=network)


def test_a_group_that_is_not_there(read):
    file = BytesIO()
    with h5py.File(file, "w") as h5:
        h5.attrs["layer_names"] = ["a"]
    with refused(FormatError, "'a'", "no group"):
        read("x.h5", file.getvalue(), network=HEAD)


def test_a_network_for_a_file_that_has_its_own(read):
    for end in (".keras", ".h5"):
        with refused(OptionError, f"lstm{end}", "network="):
            read("lstm" + end, network=gw.LSTM(2, 3))


def test_paths_that_are_two_things(read):
    """A backslash is a slash of Keras 2's; so a group's name can say what an array's says."""
    file = BytesIO()
    with h5py.File(file, "w") as h5:
        h5["layers/dense/vars/0"] = np.ones((3, 1))
        h5["layers/dense/vars\\0\\1"] = np.ones((3, 1))
    with refused(FormatError, "layers/dense/vars/0"):
        read("x.weights.h5", file.getvalue(), network=HEAD)


def test_an_old_model_in_a_model_with_too_many_weights(read):
    dense = {"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "linear"}}
    layers = [("Sequential", {"layers": [dense]})]
    with refused(FormatError, "weight_2", "no layer of Sequential 'l0'"):
        read("old.h5", keras2(layers, [[np.ones((2, 1)), np.ones(1), np.ones(1)]]))
    with refused(FormatError, "got none", "the bias of Dense 'd'"):
        read("old.h5", keras2(layers, [[np.ones((2, 1))]]))


# ------------------------------------------------------------------------------------------------ .keras of Keras 2


def keras2_tree(name, count):
    """A recorded .keras file with its weights as Keras 2 has them: no file that it wrote was at hand.

    count: how a group's number comes from that in Keras 3. Some versions counted every layer with weights twice.
    """
    arrays = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and path.startswith("layers/"):
            parts = path.split("/")
            for k in range(len(parts) - 1):
                if parts[k] == "layers":
                    parts[k] = "_layer_checkpoint_dependencies"
                    kind, _, number = parts[k + 1].rpartition("_")
                    if number.isdigit():
                        parts[k + 1] = f"{kind}_{count(int(number))}"
            arrays["/".join(parts)] = item[()]

    with h5py.File(BytesIO(inside(name))) as file:
        file.visititems(visit)
    with zipfile.ZipFile(BytesIO(content(name))) as archive:
        return zipped2(json.loads(archive.read("config.json")), arrays)


@pytest.mark.parametrize("count", [lambda n: n, lambda n: 2 * n], ids=["as Keras 3", "twice"])
@pytest.mark.parametrize(
    "case", ["stack", "before_plain", "rnn", "nested", "nested_twice", "relus", "own_backward", "norm_steps"]
)
def test_a_tree_of_keras_2(read, case, count):
    wanted, got = golden(read, f"{case}.keras"), golden(read, f"{case}.keras", data=keras2_tree(f"{case}.keras", count))
    assert got.layer == wanted.layer
    assert got.parameters.flat.tobytes() == wanted.parameters.flat.tobytes()


def test_windows_paths(read):
    """Keras 2 joined names by a backslash there."""
    file = BytesIO()
    with h5py.File(file, "w") as h5:
        group = h5.create_group("_layer_checkpoint_dependencies\\dense").create_group("vars")
        group["0"], group["1"] = np.ones((3, 1)), np.ones(1)
    assert read("x.weights.h5", file.getvalue(), network=HEAD).layer == HEAD


def test_a_tree_of_keras_2_with_too_much(read):
    arrays = {f"_layer_checkpoint_dependencies/{name}/vars/0": np.ones((2, 2)) for name in ("dense", "dense_2")}
    layers = [{"class_name": "Dense", "config": {"name": "d", "units": 2, "use_bias": False, "activation": "linear"}}]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    with refused(FormatError, "_layer_checkpoint_dependencies/dense_2/vars/0", "no layer"):
        read("x.keras", zipped2(config, arrays))
    layers *= 3
    layers = [{**layer, "config": {**layer["config"], "name": f"d{k}"}} for k, layer in enumerate(layers)]
    with refused(FormatError, "Dense 'd2'", "wanted a kernel"):
        read("x.keras", zipped2({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}, arrays))
