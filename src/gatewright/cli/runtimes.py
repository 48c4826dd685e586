"""The frameworks' own runtimes, asked by `gatewright convert --verify` where they are installed; nothing else needs them."""

import argparse
import os
from importlib import metadata
from typing import Any, NamedTuple, Protocol

import numpy as np

from gatewright import importers
from gatewright.activations import Activation
from gatewright.arrays import Array
from gatewright.cli import models
from gatewright.errors import OptionError, ShapeError
from gatewright.interop import tensors, torchfile
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
    leaves,
)  # fmt: skip
from gatewright.model import Model

BATCH, TIME = 3, 32


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

    def pair(self, path: str, model: Model, args: argparse.Namespace) -> tuple[Array, Array]:
        """(theirs, ours): what the network in a file gives for random input, and what `model` gives, which is the same one."""


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

    def pair(self, path: str, model: Model, args: argparse.Namespace) -> tuple[Array, Array]:
        os.environ["KERAS_BACKEND"] = self._backend() or ""
        import keras

        network = keras.models.load_model(path, compile=False)
        batch, steps = (*network.input_shape, None)[:2]
        x = draw(model, batch or BATCH, steps or TIME)
        return np.asarray(network.predict(x, verbose=0, batch_size=len(x))), model.run(x)[0]


class OnnxRuntime(NamedTuple):
    """onnxruntime; initial states that the file takes are zero."""

    def missing(self) -> str | None:
        return None if installed("onnxruntime") else "onnxruntime"

    def name(self) -> str:
        return f"onnxruntime {metadata.version('onnxruntime')}"

    def pair(self, path: str, model: Model, args: argparse.Namespace) -> tuple[Array, Array]:
        import onnxruntime

        from gatewright.interop.onnx import network

        found = network.example(path, args.output)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        theirs = np.asarray(session.run([found.output], found.feed)[0])
        ours = model.run(found.x, lengths=found.lengths)[0]
        return found.like(theirs, ours), ours


class PyTorch(NamedTuple):
    """PyTorch's modules, built as the model that was read says, with the weights that PyTorch itself loads."""

    def missing(self) -> str | None:
        return None if installed("torch") else "torch"

    def name(self) -> str:
        return f"PyTorch {metadata.version('torch')}"

    def pair(self, path: str, model: Model, args: argparse.Namespace) -> tuple[Array, Array]:
        import torch

        given = torch.load(path, weights_only=True) if torchfile.is_one(path) else path
        arrays, _ = tensors.read(given, (args.prefix or "").removesuffix("."), leave=COUNTER)
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
        parts = model.layer.layers if isinstance(model.layer, Sequential) else (model.layer,)
        names = iter(_names(model, args))
        x = start = draw(model, BATCH, TIME)
        for part in (part for part in parts if not isinstance(part, Dropout)):
            if isinstance(part, Activate):
                x = part.activation.forward(x)
                continue
            module = _module(part).to(getattr(torch, model.dtype.name))
            module.load_state_dict(tensors.under(state, next(names)), strict=True)
            first = isinstance(part, BatchNorm | Conv1D) and x.ndim == 3  # for these PyTorch wants the channels before the time
            padded = torch.from_numpy(_padded(part, x))
            with torch.inference_mode():
                x = _output(part, module(padded.mT).mT if first else module(padded))
        return x, model.run(start)[0]


RUNTIMES: dict[str, Runtime] = {"keras": Keras(), "onnx": OnnxRuntime(), "pytorch": PyTorch()}


def draw(model: Model, batch: int, steps: int) -> Array:
    """Random input (B, T, F), (B, F) where the network takes rows alone, or (B, T) indices: no zero, which may mean padding."""
    rng = np.random.default_rng(0)
    words = next((inner.count for inner in leaves(model.layer) if isinstance(inner, Embedding)), None)
    if model.network.takes_indices and words is not None:
        return rng.integers(min(1, words - 1), words, (batch, steps))
    features = model.network.features_in
    if features is None:
        raise OptionError("--verify: the model doesn't say how many features it takes")
    try:
        model.network.shape_out((batch, steps, features))
    except ShapeError:
        steps = 0
    return rng.standard_normal((batch, steps, features) if steps else (batch, features)).astype(model.dtype)


def from_state_dict(path: str, model: Model) -> Model:
    """The state dict that `model` was written as, read again."""
    if not isinstance(model.layer, Sequential):
        relu = isinstance(model.layer, RNN) and model.layer.activation == Activation("relu")
        return importers.from_pytorch(path, activation="relu" if relu else "tanh")
    entries = [(str(index), layer) if layer.shapes() else layer for index, layer in enumerate(model.layer.layers)]
    return importers.from_pytorch(path, layers=entries)


def _names(model: Model, args: argparse.Namespace) -> list[str]:
    """The names of the layers with weights in a state dict: those asked for, or the indices that we write."""
    if args.layers is not None:
        return models.names(args.layers)
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
