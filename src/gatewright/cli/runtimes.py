"""The frameworks' own runtimes, asked by `gatewright convert --verify` where they are installed; nothing else needs them."""

import argparse
import os
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from gatewright import importers
from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.errors import OptionError
from gatewright.interop import keras_files, keras_graph, tensors, torchfile
from gatewright.interop.pytorch import COUNTER
from gatewright.layers import (
    GRU,
    LSTM,
    RNN,
    Activate,
    BatchNorm,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    Sequential,
)  # fmt: skip
from gatewright.model import Model


def installed(package: str) -> bool:
    """Whether a package is installed; it is not imported."""
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


class Runtime(Protocol):
    """A framework that runs its own files."""

    def missing(self) -> str | None:
        """The package that is not installed, or None."""

    def name(self) -> str:
        """The framework and its version."""

    def run(self, path: str, x: Array, model: Model, args: argparse.Namespace) -> Array:
        """The output for x (B, T, F), or (B, T) indices, of the network in a file; `model` is what we read from it."""


class Keras(NamedTuple):
    """Keras, on whichever of its backends is installed."""

    def missing(self) -> str | None:
        if not installed("keras"):
            return "keras"
        return None if self._backend() else "a backend of keras's (tensorflow, jax or torch)"

    def _backend(self) -> str | None:
        chosen = os.environ.get("KERAS_BACKEND")
        return chosen or next(filter(installed, ("tensorflow", "jax", "torch")), None)

    def name(self) -> str:
        return f"Keras {metadata.version('keras')}"

    def run(self, path: str, x: Array, model: Model, args: argparse.Namespace) -> Array:
        os.environ["KERAS_BACKEND"] = self._backend() or ""
        import keras

        return np.asarray(keras.models.load_model(path, compile=False).predict(x, verbose=0))


class OnnxRuntime(NamedTuple):
    """onnxruntime, on one input and one output; states, if the file takes some, begin with zero."""

    def missing(self) -> str | None:
        return None if installed("onnxruntime") else "onnxruntime"

    def name(self) -> str:
        return f"onnxruntime {metadata.version('onnxruntime')}"

    def run(self, path: str, x: Array, model: Model, args: argparse.Namespace) -> Array:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        given = session.get_inputs()
        if len(given) > 1:
            raise OptionError(f"--verify: {path} takes {len(given)} inputs, and random numbers are drawn for one only")
        kind = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32"}
        if given[0].type not in kind:
            raise OptionError(
                f"--verify: {path} takes {given[0].type}, and random numbers are drawn for floats and indices only"
            )
        return np.asarray(session.run(None, {given[0].name: x.astype(kind[given[0].type])})[0])


class PyTorch(NamedTuple):
    """PyTorch's modules, built as the model that was read says, with the weights that PyTorch itself loads."""

    def missing(self) -> str | None:
        return None if installed("torch") else "torch"

    def name(self) -> str:
        return f"PyTorch {metadata.version('torch')}"

    def run(self, path: str, x: Array, model: Model, args: argparse.Namespace) -> Array:
        import torch

        given = torch.load(path, weights_only=True) if torchfile.is_one(path) else path
        arrays, _ = tensors.read(given, (args.prefix or "").removesuffix("."), leave=COUNTER)
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        parts = model.layer.layers if isinstance(model.layer, Sequential) else (model.layer,)
        names = iter(_names(model, args, state))
        for part in (part for part in parts if not isinstance(part, Dropout)):
            if isinstance(part, Activate):
                x = part.activation.forward(x)
                continue
            module = _module(part).to(getattr(torch, model.dtype.name))
            module.load_state_dict(tensors.under(state, next(names)), strict=True)
            first = isinstance(part, BatchNorm | Conv1D) and x.ndim == 3  # for these PyTorch wants the channels before the time
            given = torch.from_numpy(_padded(part, x))
            with torch.inference_mode():
                x = _output(part, module(given.mT).mT if first else module(given))
        return x


RUNTIMES: dict[str, Runtime] = {"keras": Keras(), "onnx": OnnxRuntime(), "pytorch": PyTorch()}


def steps(kind: str, path: str) -> int | None:
    """How many steps a network must be given, where its file says so."""
    if kind != "keras":
        return None
    layers = keras_graph.entries(keras_files.read(Path(path)).config)
    shape = layers[0]["config"].get("batch_shape", layers[0]["config"].get("batch_input_shape"))
    return shape[1] if isinstance(shape, list) and len(shape) > 1 else None


def from_state_dict(path: str, model: Model) -> Model:
    """The state dict that `model` was written as, read again."""
    if not isinstance(model.layer, Sequential):
        relu = isinstance(model.layer, RNN) and model.layer.activation == Activation("relu")
        return importers.from_pytorch(path, activation="relu" if relu else "tanh")
    entries = [(str(index), layer) if layer.shapes() else layer for index, layer in enumerate(model.layer.layers)]
    return importers.from_pytorch(path, layers=entries)


def _names(model: Model, args: argparse.Namespace, state: dict[str, Any]) -> list[str]:
    """The names of the layers with weights in a state dict: those asked for, or the indices that we write."""
    if args.layers is not None:
        return [name.removesuffix(".") for name in args.layers.split(",")]
    if not isinstance(model.layer, Sequential):
        return [""]
    return [str(index) for index, layer in enumerate(model.layer.layers) if layer.shapes()]


def _module(layer: Layer) -> Any:
    """The module of PyTorch's that a layer equals."""
    from torch import nn

    if isinstance(layer, Embedding):
        return nn.Embedding(layer.count, layer.size)
    if isinstance(layer, LayerNorm):
        return nn.LayerNorm(layer.size, eps=layer.epsilon)
    if isinstance(layer, Dense):
        return nn.Linear(layer.input_size, layer.output_size, bias=layer.bias)
    if isinstance(layer, BatchNorm):
        return nn.BatchNorm1d(layer.size, eps=layer.epsilon).eval()
    if isinstance(layer, Conv1D):
        sizes = layer.input_size, layer.output_size, layer.kernel_size, layer.stride
        return nn.Conv1d(*sizes, dilation=layer.dilation, groups=layer.groups, bias=layer.bias)
    if not isinstance(layer, RNN | LSTM | GRU):
        raise OptionError(f"--verify: no module of PyTorch's is known for {layer}")
    options: dict[str, Any] = {}
    if isinstance(layer, RNN):
        options["nonlinearity"] = "relu" if layer.activation == Activation("relu") else "tanh"
    if isinstance(layer, LSTM) and layer.projection:
        options["proj_size"] = layer.projection
    kind = {RNN: nn.RNN, LSTM: nn.LSTM, GRU: nn.GRU}[type(layer)]
    return kind(
        layer.input_size, layer.hidden_size, layer.num_layers, bias=layer.bias, batch_first=True,
        bidirectional=layer.bidirectional, **options,
    )  # fmt: skip


def _padded(layer: Layer, x: Array) -> Array:
    """x (B, T, F) with the zeros around it that a convolution's padding means."""
    if not isinstance(layer, Conv1D) or layer.padding == "valid":
        return x
    reach = (layer.kernel_size - 1) * layer.dilation
    outputs = -(-x.shape[1] // layer.stride)
    total = max((outputs - 1) * layer.stride + reach + 1 - x.shape[1], 0)
    before, after = (reach, 0) if layer.padding == "causal" else (total // 2, total - total // 2)
    return np.pad(x, ((0, 0), (before, after), (0, 0)))


def _output(layer: Layer, given: Any) -> Array:
    """What a module gave, as the layer gives it: with the activation, which no module knows, or the last step alone."""
    if isinstance(layer, Dense | Conv1D):
        return layer.activation.forward(given.numpy())
    if not isinstance(layer, RNN | LSTM | GRU):
        return np.asarray(given.numpy())
    y, state = given
    if layer.return_sequences:
        return np.asarray(y.numpy())
    last = (state[0] if isinstance(state, tuple) else state).numpy()
    return np.concatenate(last[-len(layer.directions) :], axis=-1)
