"""Keras' files -> a layer and its parameters: which layers a network has, and what they are together."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError, GatewrightError, MissingExtraError, MissingFileError, OptionError
from gatewright.interop import (
    keras_alone,
    keras_files,
    keras_graph,
    keras_layers,
    keras_masks,
    keras_weights,
    keras_wiring,
    tensors,
)
from gatewright.interop.keras_graph import Graph, called, is_operation
from gatewright.interop.keras_layers import Built, Given, short
from gatewright.interop.keras_windows import WINDOWS
from gatewright.layers import GRU, LSTM, RNN, Layer, Sequential
from gatewright.layers.base import ANY_TIME
from gatewright.parameters import Parameters

BUILDERS = {**keras_layers.BUILDERS, **WINDOWS}
STATES = {"SimpleRNN": "h", "GRU": "h", "LSTM": "hc"}  # what comes out beside the outputs


def read(source: Any, network: Layer | None, dtype: Any) -> tuple[Layer, Parameters, list[str]]:
    """The layer, its parameters and what to warn of; the arguments are those of gw.from_keras."""
    if not isinstance(source, str | os.PathLike):
        raise OptionError(f"path: got {short(source)}, wanted the name of a .keras or .h5 file")
    if network is not None and not isinstance(network, Layer):
        raise OptionError(f"network: got {short(network)}, wanted a layer such as gw.Sequential(gw.LSTM(1, 32), …)")
    try:
        stored = keras_files.read(Path(source))
        if stored.config is not None:
            if network is not None:
                raise OptionError("network= is for a file of weights alone, and this one says what network it is")
            return _whole(stored, stored.config, dtype)
        if network is None:
            raise FormatError("a file of weights alone: network=gw.Sequential(…) says of which layers")
        parameters = keras_alone.parameters(stored, network)
        return network, parameters if dtype is None else parameters.astype(dtype), []
    except (MissingFileError, MissingExtraError):
        raise
    except GatewrightError as error:
        kind = OptionError if isinstance(error, OptionError) and str(error).startswith("network") else FormatError
        text = str(error)  # which may have a whole network in it
        raise kind(f"{os.fspath(source)}: {text if len(text) < 500 else f'{text[:480]}…'}") from None


def _whole(stored: keras_files.Stored, config: dict[str, Any], dtype: Any) -> tuple[Layer, Parameters, list[str]]:
    """A file that says what network it is."""
    layers, graph = keras_graph.entries(config), keras_graph.graph(config)
    lists = keras_weights.of_model(stored, layers)
    idle = sorted(place for place in lists.keys() - {call.place for call in graph.calls} if lists[place])
    if idle:
        raise FormatError(f"{keras_graph.at(layers, idle[0])}: it has weights, but is not called")
    told: list[str] = []
    parts = keras_wiring.network(graph, _parts(graph, lists, stored.major, told), told)
    if not parts:
        raise FormatError("there is no layer in it that computes anything")
    whole = Sequential(*(part.layer for part in parts))
    _check_input(whole, graph.shape)
    built = keras_wiring.inside(whole, parts)
    wide = any(array.itemsize > 4 for array in stored.arrays.values())
    own = np.float64 if wide else np.float32
    kept = {name: built.arrays[name].astype(float) for name in whole.shapes()}
    return whole, tensors.parameters(kept, built.frozen, own if dtype is None else dtype), list(dict.fromkeys(told))


def _check_input(whole: Sequential, shape: list[Any] | None) -> None:
    """Raises FormatError or ShapeError where the network can't take what the file says its input is."""
    if shape is None or (shape[-1:] == [None] and not whole.takes_indices):
        return
    sizes = [ANY_TIME if size is None else size for size in shape[1:]]
    if len(sizes) not in (1, 2) or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        raise FormatError(f"got an input of shape {short(shape)}, wanted rows, sequences or indices")
    whole.shape_out((1, *sizes))


def _parts(graph: Graph, lists: dict[keras_graph.Place, list[Array]], major: int, told: list[str]) -> list[Built | None]:
    """Our layer for every call; None for what does nothing when it is run, or merges."""
    states = _states(graph)
    masks = keras_masks.follow(graph, states)
    ranks: list[int | None] = []
    parts: list[Built | None] = []
    times = Counter(call.place for call in graph.calls)
    for index, call in enumerate(graph.calls):
        config, here = call.layer["config"], list[str]()
        first = call.inputs[0]
        rank = ranks[first[0]] if first != keras_graph.INPUT else None if graph.shape is None else len(graph.shape)
        if index in states:
            config = {**config, "return_sequences": False, "zero_output_for_mask": False}
        if index in masks.unmasked:
            config = {**config, "mask_zero": False}
        given = Given(config, lists.get(call.place, []), major, here, rank)
        try:
            shown = index == graph.output[0] and times[call.place] == 1
            part = _with_mask(_part(call, given), masks.given[index] is not None, shown)
            ranks.append(_rank(call.kind, config, rank))
        except GatewrightError as error:
            raise FormatError(f"{called(call.layer)}: {error}") from None
        parts.append(None if index in masks.unmasked and call.kind == "Masking" else part)
        told += [f"{called(call.layer)}: {', '.join(here)}"] if here else []
    return parts


def _states(graph: Graph) -> set[int]:
    """The calls of recurrent layers of which the last state h alone is taken. Raises FormatError for other states."""
    taken: dict[int, set[int]] = {}
    for source, output in [*(tensor for call in graph.calls for tensor in call.inputs), graph.output]:
        taken.setdefault(source, set()).add(output)
    found = set[int]()
    for index, outputs in taken.items():
        if outputs == {0}:
            continue
        call = graph.calls[index]
        config, states = call.layer["config"], STATES.get(call.kind, "")
        if max(outputs) > len(states) or config.get("return_state") is not True:
            raise FormatError(f"{called(call.layer)}: its output {max(outputs)} is taken, which is not supported")
        if 2 in outputs:
            raise FormatError(f"{called(call.layer)}: its cell state c is taken, which is not supported")
        if outputs == {0, 1} and config.get("return_sequences") is True:
            raise FormatError(f"{called(call.layer)}: both its outputs and its last state h are taken, which is not supported")
        found.add(index)
    return found


def _part(call: keras_graph.Call, given: Given) -> Built | None:
    """Our layer for one call."""
    if call.kind in keras_masks.MERGES:
        if is_operation(call.layer):
            return None
        given.check("axis")
        given.only("axis", -1, *(() if given.rank is None else (given.rank - 1,)))
        return None
    if call.kind not in BUILDERS:
        raise FormatError(f"such a layer is not supported; known: {', '.join([*BUILDERS, *keras_masks.MERGES])}")
    if len(call.inputs) != 1:
        raise FormatError(f"it is called on {len(call.inputs)} tensors, wanted one: an initial_state is not supported")
    return BUILDERS[call.kind](given)


def _rank(kind: str, config: dict[str, Any], rank: int | None) -> int | None:
    """The rank of a layer's output, the batch counted."""
    if kind == "Bidirectional":
        return _rank("LSTM", config["layer"]["config"], rank)
    if kind in STATES:
        return 3 if config.get("return_sequences") else 2
    return {"Embedding": 3, "RepeatVector": 3, "GlobalAveragePooling1D": 2, "GlobalMaxPooling1D": 2}.get(kind, rank)


def _with_mask(part: Built | None, masked: bool, shown: bool) -> Built | None:
    """A layer with Keras' rule for the outputs of masked steps where there are some and they can be seen: at the end."""
    layer = part.layer if part is not None else None
    if part is None or not isinstance(layer, RNN | LSTM | GRU) or layer.bidirectional or not layer.return_sequences:
        return part
    zero, turned = layer.masked_output == "zero", layer.go_backwards
    if zero and turned and masked:
        raise FormatError("zero_output_for_mask=True with go_backwards=True behind a mask is not supported")
    seen = masked and (shown or turned)
    return part if zero or seen else part._replace(layer=layer.replace(masked_output="zero"))
