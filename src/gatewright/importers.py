"""Models from files: our own, and other frameworks', whose readers are loaded with their first use."""

import warnings
from collections.abc import Sequence
from typing import Any

from gatewright import files
from gatewright.arrays import Array, float_dtype
from gatewright.errors import FormatError
from gatewright.layers import Layer
from gatewright.model import Model


def load(path: Any, *, kernel: str = "auto", threads: int | None = None) -> Model:
    """The Model in a file that `model.save` wrote; `kernel` and `threads` as in gw.Model.

    Raises MissingFileError, or FormatError for a file that is truncated, foreign or of a newer version.
    """
    try:
        tensors, description = files.load(path)
    except FormatError as error:
        raise FormatError(f"{error}{_who_reads(path)}") from None
    return build(tensors, description, path, kernel=kernel, threads=threads)


def _who_reads(path: Any) -> str:
    """Which function reads a file that is none of ours, for the end of a message; nothing if there is none."""
    from gatewright.interop import formats

    try:
        kind = formats.recognise(path)
    except FormatError:
        return ""
    return "" if kind == "gatewright" else f": gw.from_{kind} reads such a file"


def build(
    tensors: dict[str, Array], description: dict[str, Any], path: Any, *, kernel: str = "auto", threads: int | None = None
) -> Model:
    """The Model that `describe` described, with these tensors."""
    layer, parameters = files.read_model(description, tensors, path)
    return Model(layer, dtype=parameters.dtype, parameters=parameters, kernel=kernel, threads=threads)


def from_pytorch(
    source: Any,
    *,
    layers: Sequence[str | tuple[str, Layer] | Layer] | None = None,
    prefix: str = "",
    activation: str = "tanh",
    dtype: Any = None,
    kernel: str = "auto",
    threads: int | None = None,
) -> Model:
    """The Model that computes what a PyTorch network computes, from its state dict; PyTorch need not be installed.

    source: `net.state_dict()`, any mapping of names to arrays or tensors, or the path of a file of one: .safetensors, or .pt or
    .pth as torch.save writes it, of which tensors and dicts are read and nothing is run. In a checkpoint, dicts in a dict, the
    names are joined by dots, and `prefix` picks one: `prefix="model_state_dict"`.
    Of nn.RNN, nn.LSTM or nn.GRU the names and shapes say all, but for the `activation` of nn.RNN, "tanh" or "relu".
    layers: for a network, its parts by name in the order of application: `["lstm", "fc"]`. What names and shapes don't say, the
    layer itself does: `["embed", ("lstm", gw.LSTM(8, 16, return_sequences=False)), gw.Dropout(0.5), ("fc", gw.Dense(16, 3,
    "relu"))]`; an nn.Embedding, an nn.Conv1d, and an nn.Linear without bias, need that. prefix: only the names under it are
    read. dtype: "float32", "float64", or None for that of the arrays (half types become float32). The two biases are merged
    into one, so that a network which is trained on has one. kernel and threads: as in gw.Model.

    Raises FormatError or ShapeError for names and shapes that don't fit, and for what would be left over, MissingFileError, and
    OptionError for impossible options.
    """
    from gatewright.interop import pytorch

    dtype = None if dtype is None else float_dtype(dtype)
    layer, parameters = pytorch.read(source, layers, prefix, activation, dtype)
    return Model(layer, dtype=parameters.dtype, kernel=kernel, threads=threads, parameters=parameters)


def from_rtneural(source: Any, *, dtype: Any = "float32", kernel: str = "auto", threads: int | None = None) -> Model:
    """The Model of a JSON file of RTNeural's, a gw.Sequential of LSTM, GRU and Dense layers, ready to stream.

    source: the path. dtype: "float32" or "float64". kernel and threads: as in gw.Model. An activation that stands as a layer is
    read after a dense layer. Raises MissingFileError, and FormatError for what RTNeural has and this version has not, by name.
    """
    from gatewright.interop import rtneural

    layer, parameters = rtneural.read(source, float_dtype(dtype))
    return Model(layer, dtype=parameters.dtype, kernel=kernel, threads=threads, parameters=parameters)


def from_keras(
    path: Any, *, network: Layer | None = None, dtype: Any = None, kernel: str = "auto", threads: int | None = None
) -> Model:
    """The Model that computes what a network of Keras' computes, from its file; it needs h5py (`gatewright[keras]`), not Keras.

    path: a .keras file (Keras 3, and 2.13 on), an .h5 file of a whole model (Keras 2 and 3), or one of weights alone, of
    `save_weights`; that needs network=, our layers in the order of Keras': `network=gw.Sequential(gw.LSTM(1, 32), …)`.
    The network is a Sequential or a graph with one input and one output, models in models too, of SimpleRNN, LSTM, GRU,
    Bidirectional, Dense, Embedding, Masking, Conv1D, pooling in 1D, LayerNormalization, BatchNormalization, Dropout and its
    kin, activations, RepeatVector, TimeDistributed, and Concatenate, Add, Multiply and Average of branches. Layers that are
    called several times become gw.Shared. dtype: "float32", "float64", or None for that of the weights (half types become
    float32). kernel and threads: as in gw.Model.

    Masked steps have Keras' output where the network ends in the recurrent layer itself, elsewhere zero. One UserWarning names
    what predictions don't show and training here would lack: regularizers, constraints, noise.

    Raises FormatError, with the file's name, for a file that is broken, or that says what is not supported;
    MissingFileError, MissingExtraError, and OptionError for impossible options.
    """
    from gatewright.interop import keras

    layer, parameters, told = keras.read(path, network, None if dtype is None else float_dtype(dtype))
    if told:
        warnings.warn(f"{path}: not kept, as it has no counterpart here: {'; '.join(told)}", UserWarning, stacklevel=2)
    return Model(layer, dtype=parameters.dtype, kernel=kernel, threads=threads, parameters=parameters)


def from_onnx(
    path: Any,
    *,
    output: str | None = None,
    dtype: Any = None,
    compat: str | None = None,
    kernel: str = "auto",
    threads: int | None = None,
) -> Model:
    """The Model that computes what an ONNX file computes, where its graph is a chain of layers; gw.OnnxGraph runs any graph.

    It needs the onnx package (`gatewright[onnx]`), and takes what `to_onnx` and other exporters write of layers one after the
    other, in branches that are merged, or around which their input is added. x is (B, T, F) here, or (B, T) indices, whichever
    way round the file has them, and the output batch first too, with one axis of features. Lengths that are an input of the
    file are `lengths=` here; outputs at dead steps are zero. Initial states that are inputs, and last states that are outputs,
    are left to `run`: a fresh state is zero, or what the file has as constants. Weights in several places are shared where the
    layers are equal, else copied, of which a UserWarning tells.

    output: the name of the output that is wanted, whatever others there are; None: the first, and all others are last states.
    dtype: "float32", "float64", or None for that of the file (half types become float32). compat: "onnxruntime" reads what that
    runtime does where it differs from the specification, as in gw.OnnxGraph. kernel and threads: as in gw.Model.

    The graph is run twice as it is read, on random numbers, and the layers must give the same. Raises FormatError, with the
    file's name and the node's, for a file that is broken, or that no chain of layers computes; MissingFileError,
    MissingExtraError, and OptionError for impossible options.
    """
    from gatewright.interop.onnx import network

    layer, parameters, copied = network.read(path, output, None if dtype is None else float_dtype(dtype), compat)
    if copied:
        told = f"{copied} weights of the file stand in several layers here, and training would change each for itself"
        warnings.warn(f"{path}: {told}", UserWarning, stacklevel=2)
    return Model(layer, dtype=parameters.dtype, kernel=kernel, threads=threads, parameters=parameters)
