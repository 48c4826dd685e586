"""A network and its parameters -> the .keras file of a network of Keras' that computes the same.

The layers are walked as they run; each becomes one layer of Keras' or several. What Keras can't say is refused with its place.

Dead steps: Keras hands a mask from layer to layer, as we do, and its recurrent layers don't read dead steps either. What stands
there is zero here; in Keras it is for RNN, LSTM and GRU as `masked_output` says, and for Dense, say, whatever comes out. So the
walk keeps what Keras' mask is (`Flow.mask`), and refuses a layer for which it would be wrong.
"""

import math
from collections.abc import Callable
from typing import Any

from gatewright import checks, files, layers
from gatewright.errors import OptionError, ShapeError
from gatewright.interop.keras_cells import bidirectional, recurrent
from gatewright.interop.keras_flow import TURNED, Flow, Place, Writer, activation, activation_layer
from gatewright.interop.keras_pack import Graph, Tensor, batch_shape, pack
from gatewright.layers import BatchNorm, Conv1D, Dense, Embedding, Layer, LayerNorm, Masking, Parallel, Sequential, Shared
from gatewright.layers.base import in_scope
from gatewright.parameters import Parameters

TIME = 720_720  # steps of the input, where shapes are asked for
EXACT = 2**24  # the whole numbers that float32 has


def write(network: Sequential, params: Parameters, path: Any, batch_size: int | None) -> None:
    """Writes the file; the arguments are those of Model.to_keras. Raises OptionError for what Keras has not."""
    path = files.checked_path(path)
    if batch_size is not None:
        checks.whole_number("batch_size", batch_size)
    writer = Writer(params, Graph(params.dtype.name, batch_size))
    end = _put(writer, Place(network, "", ""), _input(writer.graph, network))
    files.write_bytes(path, pack(writer.graph, end.tensor))


def _input(graph: Graph, network: Sequential) -> Flow:
    """The InputLayer: rows where the network takes them, else sequences."""
    if network.takes_indices:
        shape: tuple[int, ...] = (1, TIME)
    elif network.features_in is None:
        raise OptionError(f"{network}: no layer says how many features x has, and Keras wants to know")
    else:
        shape = (1, network.features_in)
        try:
            network.shape_out(shape)
        except ShapeError:
            shape = (1, TIME, network.features_in)
    first = Tensor("", 0, shape)
    largest = max((layer.count for layer in layers.leaves(network) if isinstance(layer, Embedding)), default=0)
    config = {
        "batch_shape": batch_shape(graph, first, network.takes_indices),
        "dtype": "int32" if largest > EXACT else graph.dtype,
    }
    return Flow(graph.call("input", "InputLayer", config, {}, [])._replace(shape=shape))


def _put(writer: Writer, place: Place, flow: Flow) -> Flow:
    """What comes out of a layer that reads `flow`."""
    if type(place.layer) not in WRITERS:
        known = ", ".join(kind.__name__ for kind in WRITERS)
        raise place.refused(f"such a layer has no counterpart in Keras; {known} have one")
    return WRITERS[type(place.layer)](writer, place, flow)


# --- layers made of layers


def _each(writer: Writer, place: Place, flow: Flow) -> Flow:
    if isinstance(place.layer, Shared) and any(getattr(layer, "stateful", False) for layer in layers.leaves(place.layer)):
        raise place.refused("stateful=True: in Keras a shared layer would carry one state through all its places")
    for key in place.layer.children:
        flow = _put(writer, place.child(key), flow)
    return flow


def _residual(writer: Writer, place: Place, flow: Flow) -> Flow:
    return writer.merge(place, "Add", [flow, _put(writer, place.child(""), flow)])


def _parallel(writer: Writer, place: Place, flow: Flow) -> Flow:
    assert isinstance(place.layer, Parallel)
    names = {"concat": "Concatenate", "sum": "Add", "mul": "Multiply", "ave": "Average"}
    found = writer.merge(
        place, names[place.layer.merge], [_put(writer, place.child(key), flow) for key in place.layer.children]
    )
    return found._replace(tensor=found.tensor._replace(shape=place.layer.shape_out(flow.tensor.shape)))


# --- layers that treat every step by itself


def _dense(writer: Writer, place: Place, flow: Flow) -> Flow:
    layer = place.layer
    assert isinstance(layer, Dense)
    return writer.activated(place, "Dense", {"units": layer.output_size, "use_bias": layer.bias}, list(layer.shapes()), flow)


def _norm(writer: Writer, place: Place, flow: Flow) -> Flow:
    """Without a gain or a shift where that is frozen at what changes nothing, and the other one is not."""
    layer = place.layer
    assert isinstance(layer, LayerNorm | BatchNorm)
    kept = {"gain": 1.0, "shift": 0.0}
    names = {name: in_scope(place.scope, name) for name in kept}
    if any(writer.params.trainable[name] for name in names.values()):
        for name, neutral in list(kept.items()):
            if not writer.params.trainable[names[name]] and (writer.params[names[name]] == neutral).all():
                del kept[name]
    config = {"axis": -1, "epsilon": layer.epsilon, "scale": "gain" in kept, "center": "shift" in kept}
    if isinstance(layer, LayerNorm):
        return writer.call(place, "LayerNormalization", config, list(kept), flow)
    return writer.call(place, "BatchNormalization", config, [*kept, "mean", "var"], flow)


def _dropout(writer: Writer, place: Place, flow: Flow) -> Flow:
    assert isinstance(place.layer, layers.Dropout)
    return writer.call(place, "Dropout", {"rate": place.layer.rate}, [], flow)


def _activate(writer: Writer, place: Place, flow: Flow) -> Flow:
    assert isinstance(place.layer, layers.Activate)
    own = activation_layer(place.layer.activation)
    if own is not None:
        return writer.call(place, *own, [], flow)
    return writer.call(place, "Activation", {"activation": activation(place, place.layer, "activation")}, [], flow)


# --- layers that make other steps


def _refuse_mask(place: Place, flow: Flow) -> None:
    if flow.mask is not None:
        raise place.refused("behind a mask, which this layer of Keras' loses: it would read dead steps")


def _convolution(writer: Writer, place: Place, flow: Flow) -> Flow:
    layer = place.layer
    assert isinstance(layer, Conv1D)
    _refuse_mask(place, flow)
    if layer.stride > 1 and layer.dilation > 1:
        raise place.refused(f"stride={layer.stride} with dilation={layer.dilation} has no counterpart in Keras")
    config = {
        "filters": layer.output_size, "kernel_size": [layer.kernel_size], "strides": [layer.stride], "padding": layer.padding,
        "dilation_rate": [layer.dilation], "groups": layer.groups, "use_bias": layer.bias,
    }  # fmt: skip
    return writer.activated(place, "Conv1D", config, list(layer.shapes()), flow)


def _pooling(writer: Writer, place: Place, flow: Flow) -> Flow:
    layer = place.layer
    assert isinstance(layer, layers.MaxPooling1D | layers.AveragePooling1D)
    _refuse_mask(place, flow)
    config = {"pool_size": [layer.size], "strides": [layer.window.stride], "padding": layer.padding}
    return writer.call(place, type(layer).__name__, config, [], flow)


def _global(writer: Writer, place: Place, flow: Flow) -> Flow:
    """Keras' mean takes the mask into account, its maximum does not."""
    mean = isinstance(place.layer, layers.GlobalAveragePooling1D)
    if not mean or flow.mask == TURNED:
        _refuse_mask(place, flow)
    return writer.call(place, type(place.layer).__name__, {}, [], flow)._replace(mask=None)


def _repeat(writer: Writer, place: Place, flow: Flow) -> Flow:
    assert isinstance(place.layer, layers.RepeatVector)
    return writer.call(place, "RepeatVector", {"n": place.layer.count}, [], flow)


# --- layers that stand first


def _embedding(writer: Writer, place: Place, flow: Flow) -> Flow:
    layer = place.layer
    assert isinstance(layer, Embedding)
    config = {"input_dim": layer.count, "output_dim": layer.size, "mask_zero": layer.mask_zero}
    found = writer.call(place, "Embedding", config, ["E"], flow)
    return found._replace(mask="where x is 0" if layer.mask_zero else None)


def _masking(writer: Writer, place: Place, flow: Flow) -> Flow:
    assert isinstance(place.layer, Masking)
    value = float(place.layer.value)
    if not math.isfinite(value):
        raise place.refused("a file of Keras' can't hold a value that is not finite")
    return writer.call(place, "Masking", {"mask_value": value}, [], flow)._replace(mask=f"where x is {value}")


WRITERS: dict[type[Layer], Callable[[Writer, Place, Flow], Flow]] = {
    **dict.fromkeys((layers.RNN, layers.LSTM, layers.GRU), recurrent),
    layers.Bidirectional: bidirectional,
    Dense: _dense,
    Embedding: _embedding,
    Masking: _masking,
    **dict.fromkeys((LayerNorm, BatchNorm), _norm),
    layers.Activate: _activate,
    Conv1D: _convolution,
    **dict.fromkeys((layers.MaxPooling1D, layers.AveragePooling1D), _pooling),
    **dict.fromkeys((layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D), _global),
    layers.RepeatVector: _repeat,
    layers.Dropout: _dropout,
    **dict.fromkeys((Sequential, Shared), _each),
    layers.Residual: _residual,
    Parallel: _parallel,
}
