"""Keras' layers that read several steps at once -> ours: convolution, pooling, and the one that makes steps of a row."""

from collections.abc import Callable
from typing import Any

from gatewright.errors import FormatError
from gatewright.interop.keras_layers import Built, Given, frozen, short
from gatewright.layers import (
    AveragePooling1D,
    Conv1D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Layer,
    MaxPooling1D,
    RepeatVector,
)  # fmt: skip


def _one(given: Given, name: str, *default: Any) -> int:
    """A whole number, which Keras also writes as a list of one."""
    value = given.config.get(name, *default)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(f"{name}={short(given.config.get(name))}, wanted a whole number")
    return value


def _padding(given: Given) -> str:
    value = given.config.get("padding", "valid")
    if not isinstance(value, str):
        raise FormatError(f"padding={short(value)}, wanted a word")
    return value


def _conv(given: Given) -> Built:
    given.check("filters kernel_size strides padding data_format dilation_rate groups activation use_bias")
    given.only("data_format", "channels_last", None)
    size, groups = _one(given, "kernel_size"), _one(given, "groups", 1)
    if not given.weights or given.weights[0].ndim != 3 or not given.weights[0].size or len(given.weights[0]) != size:
        raise FormatError(
            f"got weights of shapes {short([a.shape for a in given.weights])}, wanted a kernel of {size} steps first"
        )
    layer = Conv1D(
        given.weights[0].shape[1] * groups, given.option("filters", int), size, stride=_one(given, "strides", 1),
        padding=_padding(given), dilation=_one(given, "dilation_rate", 1), groups=groups,
        activation=given.activation("activation"), bias=given.option("use_bias", bool, True),
    )  # fmt: skip
    arrays = given.arrays(layer, *layer.shapes())
    return Built(layer, arrays, frozen(given, arrays))


def _pooling(kind: type[MaxPooling1D] | type[AveragePooling1D]) -> Callable[[Given], Built]:
    def build(given: Given) -> Built:
        given.check("pool_size strides padding data_format")
        given.only("data_format", "channels_last", None)
        size = _one(given, "pool_size", 2)
        stride = size if given.config.get("strides") is None else _one(given, "strides")
        given.arrays(layer := kind(size, stride=stride, padding=_padding(given)))
        return Built(layer, {})

    return build


def _global(layer: Layer) -> Callable[[Given], Built]:
    def build(given: Given) -> Built:
        given.check("data_format")  # and keepdims, where it is False
        given.only("data_format", "channels_last", None)
        given.arrays(layer)
        return Built(layer, {})

    return build


def _repeat(given: Given) -> Built:
    given.check("n")
    given.arrays(layer := RepeatVector(_one(given, "n")))
    return Built(layer, {})


WINDOWS: dict[str, Callable[[Given], Built | None]] = {
    "Conv1D": _conv,
    "MaxPooling1D": _pooling(MaxPooling1D),
    "AveragePooling1D": _pooling(AveragePooling1D),
    "GlobalMaxPooling1D": _global(GlobalMaxPooling1D()),
    "GlobalAveragePooling1D": _global(GlobalAveragePooling1D()),
    "RepeatVector": _repeat,
}
