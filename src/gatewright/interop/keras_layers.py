"""Keras' layers -> ours, one by one: a configuration and its weights, in the order of get_weights().

Keras' kernels are as ours, (inputs, outputs), and so is the order of its gates; of a GRU's two biases, (2, 3H), only the one of
the gate n stays apart. A layer is looked up by its class in BUILDERS, everything else is refused; an option that is neither
honoured nor known to change no number is refused too.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop import gates, keras_graph
from gatewright.layers import (
    GRU,
    LSTM,
    RNN,
    Activate,
    BatchNorm,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    Masking,
)  # fmt: skip

ACTIVATIONS = {name: name for name in (
    "linear", "tanh", "sigmoid", "relu", "softplus", "silu", "softmax", "softsign", "elu", "leaky_relu", "gelu", "hard_sigmoid",
    "log_softmax", "selu",
)} | {"swish": "silu"}  # fmt: skip
POLICIES = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")
# What begins the weights or bounds their training: of no effect on a network that is read to be run.
SILENT = {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "autocast", "seed", "implementation", "unroll",
          "unit_forget_bias", "input_length", "input_dim", "input_shape", "kernel_initializer", "recurrent_initializer",
          "bias_initializer", "embeddings_initializer", "beta_initializer", "gamma_initializer",
          "moving_mean_initializer", "moving_variance_initializer"}  # fmt: skip
# What training would want, and has no counterpart here yet: told in one warning.
TRAINING = {*(
    f"{what}_{kind}" for what in ("kernel", "recurrent", "bias", "embeddings", "beta", "gamma", "activity")
    for kind in ("regularizer", "constraint")
)}  # fmt: skip
KINDS: dict[str, type[RNN] | type[LSTM] | type[GRU]] = {"SimpleRNN": RNN, "LSTM": LSTM, "GRU": GRU}


class Built(NamedTuple):
    """A layer, its parameters, and the names of those that Keras doesn't have or doesn't train."""

    layer: Layer
    arrays: dict[str, Array]
    frozen: tuple[str, ...] = ()


class Given(NamedTuple):
    """One layer of a file."""

    config: dict[str, Any]
    weights: list[Array]
    major: int  # Keras' version
    told: list[str]  # what is to be warned of
    rank: int | None = None  # of x, the batch counted

    def option(self, name: str, kind: type, *default: Any) -> Any:
        """An option of this type. Raises FormatError for another type, or where there is none and no default."""
        if name not in self.config and default:
            return default[0]
        value = self.config.get(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FormatError(f"{name}={short(value)}, wanted {kind.__name__}")
        return value

    def number(self, name: str, *default: float) -> float:
        """A finite number. Raises FormatError for anything else, or where there is none and no default."""
        value = self.config.get(name, *default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FormatError(f"{name}={short(value)}, wanted a number")
        return float(value)

    def activation(self, name: str) -> Activation:
        """The Activation that an option names."""
        value = self.config.get(name, "linear" if name == "activation" else None)
        value = "linear" if value is None and name in self.config else value
        if not isinstance(value, str) or value not in ACTIVATIONS:
            raise FormatError(f"{name}={short(value)} is not supported; known: {', '.join(ACTIVATIONS)}")
        constants = (0.2, 0.5) if value == "hard_sigmoid" and self.major < 3 else ()  # it changed in Keras 3
        return Activation(ACTIVATIONS[value], *constants)

    def only(self, name: str, *known: Any) -> None:
        """Raises FormatError unless an option, if it is there, is one of `known`."""
        if name in self.config and not any(type(self.config[name]) is type(k) and self.config[name] == k for k in known):
            raise FormatError(f"{name}={short(self.config[name])} is not supported")

    def check(self, honoured: str) -> None:
        """Raises FormatError for an option that would be lost."""
        for name, value in self.config.items():
            if name in TRAINING:
                self.told.extend([f"{name}={short(value)}"] if value else [])
            elif name not in SILENT and name not in honoured.split() and value not in (None, False):
                raise FormatError(f"{name.strip()[:60]!r}: {short(value)} is not supported")
        policy = self.config.get("dtype", "float32")
        inner = policy.get("config") if isinstance(policy, dict) else {"name": policy}
        kind = inner.get("name") if isinstance(inner, dict) else inner
        if kind not in POLICIES:
            raise FormatError(f"dtype={short(kind)} is not supported; known: {', '.join(POLICIES)}")

    def arrays(self, layer: Layer, *names: str) -> dict[str, Array]:
        """The weights by our names. Raises FormatError unless there are as many, of the layer's shapes."""
        shapes = layer.shapes()
        wanted = [shapes[name] for name in names]
        if wanted != [array.shape for array in self.weights]:
            raise FormatError(f"got weights of shapes {short([a.shape for a in self.weights])}, wanted {wanted} for {layer}")
        return dict(zip(names, self.weights, strict=True))

    def features(self) -> int:
        """The number of inputs, which a kernel (inputs, outputs) tells."""
        if not self.weights or self.weights[0].ndim != 2 or not self.weights[0].size:
            raise FormatError(f"got weights of shapes {short([a.shape for a in self.weights])}, wanted a kernel first")
        return int(self.weights[0].shape[0])


def short(value: Any) -> str:
    """A value for a message, which stays one short line."""
    text = repr(value)
    return text if len(text) < 60 else f"{text[:60]}…"


def frozen(given: Given, arrays: dict[str, Array]) -> tuple[str, ...]:
    return () if given.option("trainable", bool, True) else tuple(arrays)


def _recurrent(class_name: str) -> Callable[[Given], Built]:
    return lambda given: _cell(given, KINDS[class_name])


def _cell(given: Given, kind: type[RNN] | type[LSTM] | type[GRU], inside: bool = False) -> Built:
    """SimpleRNN, LSTM or GRU; inside: of a Bidirectional, which sees to directions and masked steps itself."""
    given.check(
        "units activation recurrent_activation use_bias return_sequences return_state go_backwards stateful reset_after "
        "zero_output_for_mask dropout recurrent_dropout"
    )
    sequences, zero = given.option("return_sequences", bool, False), given.option("zero_output_for_mask", bool, False)
    options: dict[str, Any] = {"activation": given.activation("activation"), "bias": given.option("use_bias", bool, True)}
    if kind is not RNN:
        options["recurrent_activation"] = given.activation("recurrent_activation")
    if kind is GRU:
        options["reset_after"] = given.option("reset_after", bool, False)  # before Keras 2.2 there was no other
    options |= {"stateful": given.option("stateful", bool, False)}
    options |= {"input_dropout": given.number("dropout", 0.0), "recurrent_dropout": given.number("recurrent_dropout", 0.0)}
    if zero and not sequences:
        raise FormatError("zero_output_for_mask=True with return_sequences=False is not supported")
    if not inside:
        options |= {"go_backwards": given.option("go_backwards", bool, False)}
        options |= {"masked_output": "repeat"} if sequences and not zero else {}
    layer = kind(given.features(), given.option("units", int), return_sequences=sequences, **options)
    if kind is not GRU or not layer.bias or not options["reset_after"]:
        arrays = given.arrays(layer, *(["W", "U", "b"] if layer.bias else ["W", "U"]))
        return Built(layer, arrays, frozen(given, arrays))
    *kernels, b = given.weights
    if b.shape != (2, 3 * layer.hidden_size) or len(kernels) != 2:
        raise FormatError(
            f"got weights of shapes {short([a.shape for a in given.weights])}, wanted a bias (2, {3 * layer.hidden_size})"
        )
    merged = gates.merge(b[0].astype(float), b[1].astype(float), 3, apart=True)
    arrays = {"W": kernels[0], "U": kernels[1], **merged}
    given._replace(weights=list(arrays.values())).arrays(layer, *arrays)
    return Built(layer, arrays, frozen(given, arrays))


def _bidirectional(given: Given) -> Built:
    """One of our bidirectional layers where both directions are the same and joined, else gw.Bidirectional."""
    given.check("layer backward_layer merge_mode")
    names = ["layer", "backward_layer" if given.config.get("backward_layer") is not None else "layer"]
    half, parts = len(given.weights) // 2, []
    for name, weights in zip(names, (given.weights[:half], given.weights[half:]), strict=True):
        class_name, config = keras_graph.entry(given.config.get(name))
        if class_name not in KINDS:
            raise FormatError(f"{class_name} inside is not supported; known: {', '.join(KINDS)}")
        if config.get("go_backwards", False) is not (name == "backward_layer"):
            raise FormatError(f"{name}: go_backwards={short(config.get('go_backwards'))} inside is not supported")
        if config.get("return_sequences"):  # Keras then gives zeros, whatever this says
            config = {**config, "zero_output_for_mask": False}
        parts.append(_cell(given._replace(config=config, weights=weights), KINDS[class_name], inside=True))
    forward, backward = parts
    merge = given.config.get("merge_mode")
    if merge is None:
        raise FormatError("merge_mode=None, which gives two outputs, is not supported")
    whole: Layer = Bidirectional(forward.layer, merge, backward_layer=backward.layer)  # type: ignore[arg-type]
    if merge == "concat" and isinstance(forward.layer, RNN | LSTM | GRU) and forward.layer == backward.layer:
        whole = forward.layer.replace(bidirectional=True)
    arrays = {
        f"{way}.{name}": a for way, part in zip(("forward", "backward"), parts, strict=True) for name, a in part.arrays.items()
    }
    still = {f"{way}.{name}" for way, part in zip(("forward", "backward"), parts, strict=True) for name in part.frozen}
    return Built(whole, arrays, tuple(still | set(frozen(given, arrays))))


def _dense(given: Given) -> Built:
    given.check("units activation use_bias")
    bias = given.option("use_bias", bool, True)
    layer = Dense(given.features(), given.option("units", int), given.activation("activation"), bias=bias)
    arrays = given.arrays(layer, *(["W", "b"] if bias else ["W"]))
    return Built(layer, arrays, frozen(given, arrays))


def _time_distributed(given: Given) -> Built:
    given.check("layer")
    class_name, config = keras_graph.entry(given.config.get("layer"))
    if class_name not in STEPWISE:
        raise FormatError(f"{class_name} inside is not supported; known: {', '.join(STEPWISE)}")
    rank = None if given.rank is None else given.rank - 1
    found = STEPWISE[class_name](given._replace(config=config, rank=rank))
    return found._replace(frozen=tuple({*found.frozen, *frozen(given, found.arrays)}))


def _embedding(given: Given) -> Built:
    given.check("input_dim output_dim mask_zero")
    sizes = given.option("input_dim", int), given.option("output_dim", int)
    layer = Embedding(*sizes, mask_zero=given.option("mask_zero", bool, False))
    arrays = given.arrays(layer, "E")
    return Built(layer, arrays, frozen(given, arrays))


def _layer_norm(given: Given) -> Built:
    given.check("axis epsilon center scale")
    given.only("axis", -1, [-1], *(() if given.rank is None else (given.rank - 1, [given.rank - 1])))
    there = {name: given.option(option, bool, True) for name, option in (("gain", "scale"), ("shift", "center"))}
    if not any(there.values()):
        raise FormatError("center=False with scale=False is not supported")
    return _normalized(given, LayerNorm, there)


def _normalized(given: Given, kind: type[LayerNorm] | type[BatchNorm], there: dict[str, bool]) -> Built:
    """A normalisation; of the weights some are not there: such a gain is one, such a shift zero, and stays so."""
    if not given.weights or given.weights[0].ndim != 1 or not given.weights[0].size:
        raise FormatError("there are no weights")
    layer = kind(len(given.weights[0]), epsilon=given.number("epsilon", 1e-3))
    arrays = given.arrays(layer, *(name for name, known in there.items() if known))
    still = {name for name in layer.shapes() if not there[name] or name in ("mean", "var")} | set(frozen(given, arrays))
    plain = {"gain": np.ones(layer.size, np.float32), "shift": np.zeros(layer.size, np.float32)}
    return Built(layer, {**plain, **arrays}, tuple(still))


def _masking(given: Given) -> Built:
    given.check("mask_value")
    value = given.config.get("mask_value", 0.0)
    given.arrays(layer := Masking(value))
    return Built(layer, {})


def _dropout(given: Given) -> Built:
    given.check("rate noise_shape")
    given.only("noise_shape", None)
    given.arrays(layer := Dropout(given.number("rate")))
    return Built(layer, {})


def _noise(given: Given) -> None:
    """A layer that only training sees, of a kind that we don't have."""
    given.check("rate stddev noise_shape")
    given.told.append("only training sees it: left out")


def _activation(given: Given) -> Built:
    given.check("activation")
    return _activate(given, given.activation("activation"))


def _activate(given: Given, activation: Activation) -> Built:
    given.arrays(layer := Activate(activation))
    return Built(layer, {})


def _relu(given: Given) -> Built:
    given.check("max_value negative_slope threshold")
    top = None if given.config.get("max_value") is None else given.number("max_value")
    slope, threshold = given.number("negative_slope", 0.0), given.number("threshold", 0.0)
    if sum(option not in (None, 0) for option in (top, slope, threshold)) > 1 or top == 0:
        raise FormatError(f"max_value={top}, negative_slope={slope}, threshold={threshold}: one of them at most is supported")
    if slope:
        return _activate(given, Activation("leaky_relu", slope))
    return _activate(given, Activation("thresholded_relu", threshold) if threshold else Activation("relu", clip=top))


def _leaky_relu(given: Given) -> Built:
    given.check("negative_slope alpha")
    name = "alpha" if "alpha" in given.config else "negative_slope"  # Keras 2's name
    return _activate(given, Activation("leaky_relu", given.number(name, 0.3)))


def _elu(given: Given) -> Built:
    given.check("alpha")
    return _activate(given, Activation("elu", given.number("alpha", 1.0)))


def _softmax(given: Given) -> Built:
    given.check("axis")
    given.only("axis", -1, [-1], *(() if given.rank is None else (given.rank - 1, [given.rank - 1])))
    return _activate(given, Activation("softmax"))


def _batch_norm(given: Given) -> Built:
    given.check("axis momentum epsilon center scale renorm_momentum")
    given.only("axis", -1, [-1], *(() if given.rank is None else (given.rank - 1, [given.rank - 1])))
    if given.option("trainable", bool, True):
        given.told.append("training leaves its mean and variance as they are")
    options = (("gain", "scale"), ("shift", "center"), ("mean", ""), ("var", ""))
    return _normalized(
        given, BatchNorm, {name: bool(not option or given.option(option, bool, True)) for name, option in options}
    )


def _input(given: Given) -> None:
    given.check("batch_shape shape sparse ragged optional")
    for name in ("sparse", "ragged"):
        given.only(name, False)


STEPWISE: dict[str, Callable[[Given], Built]] = {  # which do the same at every step
    "Dense": _dense,
    "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
}
BUILDERS: dict[str, Callable[[Given], Built | None]] = {
    "InputLayer": _input,
    **{name: _recurrent(name) for name in KINDS},
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
    "Embedding": _embedding,
    "Masking": _masking,
    **dict.fromkeys(("SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"), _noise),
    **STEPWISE,
}
