"""What `to_onnx` writes, run by gw.OnnxGraph."""

import inspect
from collections import Counter

import numpy as np
import onnx_networks
import pytest

import gatewright as gw
from gatewright.state import tree_fill, tree_items

F, H = onnx_networks.F, onnx_networks.H
SIZES = (3, 7), (2, 5)
LENGTHS = [5, 2, 4]
EXACT = {"float32": 3e-6, "float64": 1e-12}
# Constants that float32 can't hold: alpha, clip, epsilon, selu's own. In the file they are what float32 makes of them.
ROUNDED = {"lstm_cell_activation", "lstm_both_clip", "conv_stride", "global_average", "selu", "selu_conv", "pool_both"}


def test_every_option_is_in_two_networks():
    count = Counter(each for name in onnx_networks.LAYERS for each in onnx_networks.options(onnx_networks.layer_of(name)))
    assert len(count) > 40
    assert {each for each, number in count.items() if number < 2} == set()
    wanted = (
        set(inspect.signature(gw.LSTM).parameters)
        - onnx_networks.TRAINING
        - {"projection", "masked_output", "return_state_sequence"}
    )
    wanted -= {"input_size", "hidden_size", "init", "chrono_steps", "trainable", "input_dropout", "recurrent_dropout"}
    assert {option for kind, option in count if kind == "recurrent"} >= wanted


def draws(model, batch):
    """A random state, and its arrays by the names of the file's inputs."""
    rng = np.random.default_rng(7)
    return tree_fill(model.network.state_shape(batch), lambda shape: rng.standard_normal(shape).astype(model.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", onnx_networks.LAYERS)
def test_files_compute_what_the_model_does(tmp_path, name, dtype):
    """With lengths and states and without, at two sizes: the values and the last states."""
    model = onnx_networks.model_of(name, dtype)
    network = gw.Model(model.network, dtype=dtype, parameters=model.parameters)
    tolerance = 5e-7 if name in ROUNDED and dtype == "float64" else EXACT[dtype]
    for with_state in (False, True):
        for with_lengths in (False, True):
            model.to_onnx(tmp_path / "m.onnx", lengths=with_lengths, state=with_state)
            graph = gw.OnnxGraph(tmp_path / "m.onnx")
            for batch, time in SIZES:
                x = onnx_networks.inputs(model, batch, time)
                lengths = LENGTHS[:batch] if with_lengths else None
                state = draws(network, batch) if with_state else None
                named = [key for key in graph.inputs if key not in ("x", "lengths")]
                given = {"x": x} | dict(zip(named, [array for _, array in tree_items(state)], strict=True))
                got = graph.run(given | ({"lengths": np.array(lengths, np.int32)} if with_lengths else {}))
                y, after = network.run(x, state, lengths=lengths)
                wanted = [y, *([array for _, array in tree_items(after)] if with_state else [])]
                for key, array in zip(got, wanted, strict=True):
                    assert got[key].dtype == dtype
                    np.testing.assert_allclose(got[key], array, rtol=0, atol=tolerance, err_msg=key)
