"""Layers as JSON values and back: the architecture in a model file. Only layers on the list are built."""

import math
from typing import Any

from gatewright.activations import Activation
from gatewright.errors import FormatError, OptionError, ShapeError
from gatewright.layers.base import Layer
from gatewright.layers.bidirectional import Bidirectional
from gatewright.layers.containers import Residual, Sequential, Shared
from gatewright.layers.convolution import Conv1D
from gatewright.layers.first import Embedding, Masking
from gatewright.layers.gated import GRU, LSTM, RNN
from gatewright.layers.parallel import Parallel
from gatewright.layers.pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from gatewright.layers.simple import Dense, Dropout, LayerNorm
from gatewright.layers.stepwise import Activate, BatchNorm, RepeatVector

_KINDS = (
    *(RNN, LSTM, GRU, Bidirectional),
    *(Dense, Embedding, LayerNorm, Dropout, Masking, Activate, BatchNorm, RepeatVector),
    *(Conv1D, MaxPooling1D, AveragePooling1D, GlobalMaxPooling1D, GlobalAveragePooling1D),
    *(Sequential, Residual, Parallel, Shared),
)
KNOWN: dict[str, type[Layer]] = {kind.__name__: kind for kind in _KINDS}
NOT_FINITE = {name: float(name) for name in ("nan", "inf", "-inf")}


def to_json(value: Any) -> Any:
    """A layer, or an argument of one, as a JSON value."""
    if isinstance(value, Layer):
        if type(value) is not KNOWN.get(type(value).__name__):
            raise OptionError(f"{type(value).__name__} is no layer of gatewright's own, so no file can name it")
        return {"type": type(value).__name__, **{name: to_json(item) for name, item in value.config().items()}}
    if isinstance(value, Activation):
        words = {"activation": value.name, "alpha": value.alpha, "beta": value.beta}
        return words | ({} if value.clip is None else {"clip": value.clip})
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    return {"number": str(value)} if isinstance(value, float) and not math.isfinite(value) else value  # JSON has no NaN


def from_json(value: Any) -> Any:
    """Undoes `to_json`. Raises FormatError for anything that `to_json` does not write."""
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "type" not in value:
        return NOT_FINITE[value["number"]] if value.get("number") in tuple(NOT_FINITE) else _activation(value)
    kind = KNOWN.get(str(value["type"]))
    if kind is None:
        raise FormatError(f"layer {value['type']!r} is unknown; known: {', '.join(KNOWN)}")
    arguments = {name: from_json(item) for name, item in value.items() if name != "type"}
    try:
        if kind is Sequential:
            return Sequential(*arguments.pop("layers"), **arguments)
        return kind(**arguments)
    except (TypeError, KeyError, OptionError, ShapeError) as error:
        raise FormatError(f"layer {kind.__name__}: {error}") from None


def _activation(value: dict[str, Any]) -> Activation:
    if set(value) - {"activation", "alpha", "beta", "clip"}:
        raise FormatError(f"activation {value!r}: wanted a name, alpha, beta and clip")
    try:
        return Activation(value["activation"], value.get("alpha"), value.get("beta"), value.get("clip"))
    except (TypeError, KeyError, ValueError) as error:
        raise FormatError(f"activation {value!r}: {error}") from None
