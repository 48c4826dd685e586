"""Keras' files -> a layer and its parameters: which layers a network has, and what they are together."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.errors import FormatError, GatewrightError, MissingExtraError, MissingFileError, OptionError
from gatewright.interop import keras_files, keras_graph
from gatewright.interop.keras_layers import BUILDERS, Built, Given, folded, short
from gatewright.layers import GRU, LSTM, RNN, Bidirectional, Embedding, Layer, Masking, Sequential
from gatewright.parameters import Parameters


def read(source: Any, dtype: Any) -> tuple[Layer, Parameters, list[str]]:
    """The layer, its parameters and what to warn of; the arguments are those of gw.from_keras."""
    if not isinstance(source, str | os.PathLike):
        raise OptionError(f"path: got {short(source)}, wanted the name of a .keras or .h5 file")
    try:
        stored = keras_files.read(Path(source))
        return _network(stored, dtype)
    except (MissingFileError, MissingExtraError):
        raise
    except GatewrightError as error:
        raise FormatError(f"{os.fspath(source)}: {error}") from None


def _network(stored: keras_files.Stored, dtype: Any) -> tuple[Layer, Parameters, list[str]]:
    layers = keras_graph.entries(stored.config)
    lists = stored.weights(layers)
    chain = keras_graph.chain(stored.config, layers)
    first = layers[chain[0]]["config"] if chain else {}
    shape = first.get("batch_shape", first.get("batch_input_shape"))
    rank = len(shape) if isinstance(shape, list) else None
    built: list[Built] = []
    told: list[str] = []
    for index in chain:
        class_name, config = layers[index]["class_name"], layers[index]["config"]
        here: list[str] = []
        given = Given(config, lists[index], stored.major, here, rank)
        try:
            if class_name not in BUILDERS:
                raise FormatError(f"such a layer is not supported; known: {', '.join(BUILDERS)}")
            found = BUILDERS[class_name](given)
            if class_name == "Activation":
                built[-1:] = [folded(given, built)]
            elif found is not None:
                built.append(found)
                rank = _rank(found.layer, rank)
        except GatewrightError as error:
            raise FormatError(f"{class_name} {short(config.get('name'))}: {error}") from None
        told += [f"{class_name} {short(config.get('name'))}: {', '.join(here)}"] if here else []
    wide = any(array.itemsize > 4 for arrays in lists for array in arrays)
    own = np.float64 if wide else np.float32
    return *_joined(_shown(built), own if dtype is None else dtype), told


def _joined(built: list[Built], dtype: Any) -> tuple[Layer, Parameters]:
    """A Sequential and its parameters."""
    if not built:
        raise FormatError("there is no layer in it that computes anything")
    whole = Sequential(*(part.layer for part in built))
    arrays = {f"{index}.{name}": array for index, part in enumerate(built) for name, array in part.arrays.items()}
    frozen = [f"{index}.{name}" for index, part in enumerate(built) for name in part.frozen]
    kept = {name: arrays[name].astype(float) for name in whole.shapes()}
    return whole, Parameters.of(kept, frozen, dtype)


def _rank(layer: Layer, rank: int | None) -> int | None:
    """The rank of a layer's output."""
    if isinstance(layer, Embedding | RNN | LSTM | GRU | Bidirectional):
        inner = layer.layer if isinstance(layer, Bidirectional) else layer
        return 3 if getattr(inner, "return_sequences", True) else 2
    return rank


def _shown(built: list[Built]) -> list[Built]:
    """The layers, with Keras' rule for the outputs of masked steps where they can be seen: at the end."""
    masks = any(isinstance(part.layer, Masking) or getattr(part.layer, "mask_zero", False) for part in built[:1])
    for index, (layer, arrays, frozen) in enumerate(built):
        last = index == len(built) - 1
        if not isinstance(layer, RNN | LSTM | GRU) or layer.bidirectional or not layer.return_sequences:
            continue
        if (
            layer.go_backwards
            and masks
            and any(isinstance(part.layer, RNN | LSTM | GRU | Bidirectional) for part in built[index + 1 :])
        ):
            raise FormatError(f"{layer} with a mask in front: Keras turns the steps round, but not the mask for what follows")
        zero = layer.masked_output == "zero"
        if zero and layer.go_backwards and masks:
            raise FormatError(f"{layer}: zero_output_for_mask=True with go_backwards=True behind a mask is not supported")
        if not zero and not last and not layer.go_backwards:
            built[index] = Built(layer.replace(masked_output="zero"), arrays, frozen)
    return built
