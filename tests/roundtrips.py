"""Recorded networks of Keras', PyTorch's and ONNX's, out in every format and in again: how far they are from the recording.

For interop/test_roundtrips.py, and for scripts/roundtrips.py, which writes the table.
"""

import inspect
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import goldens
import keras_goldens
import numpy as np
import onnx_networks as written
import torch_goldens

import gatewright as gw
from gatewright.interop import hdf5
from gatewright.layers import Recurrent, leaves

FORMATS = ("Keras", "PyTorch", "ONNX", "RTNeural")
# Arguments that are no options.
OTHERS = {"input_size", "hidden_size", "output_size", "kernel_size", "size", "count", "num_layers", "layers", "layer", "name"}
OTHERS |= {"init", "forget_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer"}


class Network(NamedTuple):
    """A recorded network, read."""

    source: str
    name: str
    model: gw.Model
    x: np.ndarray
    state: object  # the initial one, or None
    lengths: np.ndarray | None
    y: np.ndarray  # as recorded
    live: np.ndarray  # bool, of the shape of y: what is compared


class Trip(NamedTuple):
    """One network into one format and back."""

    network: Network
    target: str
    deviation: float | None  # from the recording, relative to its largest number or 1; None where the format can't say it
    why: str  # then


def keras_networks(folder: Path) -> Iterator[Network]:
    """Those in golden/keras_networks.tar.xz."""
    read = keras_goldens.reader(folder)
    for name, (_, arrays) in keras_goldens.GOLDEN.items():
        model = keras_goldens.golden(read, f"{name}.keras")
        live = np.ones(arrays["y"].shape, bool)
        yield Network("Keras", name, model, arrays["x"], None, None, arrays["y"], live)


def torch_networks(folder: Path) -> Iterator[Network]:
    """Those in golden/torch_networks.safetensors, as they come from a .safetensors file."""
    for name, (_, a) in torch_goldens.GOLDEN.items():
        model = torch_goldens.read(name)
        states = [a[key] for key in ("h0", "c0") if key in a]
        state = model.layer.cell.State(*states) if states else None
        yield Network("PyTorch", name, model, a["x"], state, None, a["y"], np.ones(a["y"].shape, bool))


def written_networks(folder: Path) -> Iterator[Network]:
    """Those of onnx_networks.py, as onnxruntime ran the files that `to_onnx` wrote of them."""
    for name, (_, a) in goldens.load("onnx_written").items():
        written.model_of(name).to_onnx(folder / "a.onnx")
        yield Network(
            "ONNX", f"written {name}", gw.from_onnx(folder / "a.onnx"), a["x"], None, None, a["y"], np.ones(a["y"].shape, bool)
        )


def onnx_networks(folder: Path) -> Iterator[Network]:
    """Those in golden/onnx_networks.zip."""
    with zipfile.ZipFile(goldens.GOLDEN / "onnx_networks.zip") as archive:
        archive.extractall(folder)
    for name, (about, a) in goldens.load("onnx_networks").items():
        x, y, lengths = a["x"], a["y"], a.get("lengths")
        if about["time_major"]:
            x, y = x.swapaxes(0, 1), y.swapaxes(0, 1)
        live = np.ones(y.shape, bool)
        if lengths is not None:
            live &= (np.arange(x.shape[1]) < lengths[:, None])[..., None]
        yield Network("ONNX", name, gw.from_onnx(folder / f"{name}.onnx"), x, None, lengths, y, live)


def networks(folder: Path) -> list[Network]:
    """All of them."""
    return [*keras_networks(folder), *torch_networks(folder), *onnx_networks(folder), *written_networks(folder)]


def trip(network: Network, target: str, folder: Path) -> Trip:
    """A network into a format and back."""
    try:
        back = through(network.model, target, folder, network.lengths is not None, len(network.x))
    except (gw.OptionError, gw.FormatError) as error:
        return Trip(network, target, None, str(error))
    return Trip(network, target, deviation(network, back), "")


def through(model: gw.Model, target: str, folder: Path, lengths: bool, rows: int) -> gw.Model:
    """The model in a format, read again."""
    if target == "Keras":
        stateful = any(getattr(layer, "stateful", False) for layer in leaves(model.network))
        model.to_keras(folder / "a.keras", batch_size=rows if stateful else None)
        return gw.from_keras(folder / "a.keras")
    if target == "ONNX":
        model.to_onnx(folder / "a.onnx", lengths=lengths)
        return gw.from_onnx(folder / "a.onnx")
    if target == "RTNeural":
        model.to_rtneural(folder / "a.json")
        return gw.from_rtneural(folder / "a.json", dtype=model.dtype)
    entries = [(str(index), layer) if layer.shapes() else layer for index, layer in enumerate(model.network.layers)]
    if isinstance(model.layer, gw.Sequential):
        return gw.from_pytorch(model.to_pytorch(), layers=entries)
    return gw.from_pytorch({f"0.{name}": array for name, array in model.to_pytorch().items()}, layers=entries)


def deviation(network: Network, model: gw.Model) -> float:
    """How far a model's output is from the recording."""
    y = model.run(network.x, _like(network.state, model), lengths=network.lengths)[0]
    y = y.reshape(network.y.shape)
    return float(np.abs(np.where(network.live, y - network.y, 0)).max() / max(1, np.abs(network.y).max()))


def _like(state: object, model: gw.Model) -> object:
    """The state of a recurrent layer for a model in which it may have become a Sequential of single layers."""
    if state is None or isinstance(model.layer, Recurrent):
        return state
    parts, first = [], 0
    for layer in model.network.layers:
        if not isinstance(layer, Recurrent):
            parts.append(None)
            continue
        last = first + layer.num_layers * len(layer.directions)
        parts.append(type(state)(*(array[first:last] for array in state)))
        first = last
    return tuple(parts)


def options(model: gw.Model) -> set[str]:
    """What layers a network has, and which of their options are not the default."""
    found = set()
    for layer in leaves(model.network):
        kind, said = type(layer).__name__, layer.config()
        parameters = inspect.signature(type(layer)).parameters
        needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
        plain = {} if layer.children else type(layer)(**{name: said[name] for name in needed}).config()
        found.add(kind)
        for name in said.keys() - OTHERS:
            default = plain.get(name, parameters[name].default if name in parameters else None)
            if name == "num_layers" or name in needed or said[name] == default:
                continue
            found.add(f"{kind} {name}={said[name]!r}" if isinstance(said[name], str) else f"{kind} {name}")
        found |= {f"{kind} num_layers"} if getattr(layer, "num_layers", 1) > 1 else set()
    return found - {"Sequential"}


def trips() -> list[Trip]:
    """Every network into every format."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stateful=True; what training alone would miss
        place, real = Path(folder), hdf5.read
        hdf5.read = keras_goldens.here  # no process for every file: these are whole
        try:
            return [trip(network, target, place) for network in networks(place) for target in FORMATS]
        finally:
            hdf5.read = real
