"""Models of all formats, for the commands that read and write them."""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gatewright import importers
from gatewright.errors import OptionError
from gatewright.interop import formats, pytorch, tensors
from gatewright.layers import Embedding
from gatewright.model import Model

NAMES = {"gatewright": "gatewright", "keras": "Keras", "pytorch": "PyTorch", "onnx": "ONNX", "rtneural": "RTNeural"}
SUFFIXES = {".safetensors": "gatewright", ".keras": "keras", ".onnx": "onnx", ".json": "rtneural"}


class Read(NamedTuple):
    """A model that was read."""

    kind: str  # one of formats.FORMATS
    model: Model
    notes: list[str]  # what its reader warned of


# An option of the readers, and the one format that it is about.
OPTIONS = {"layers": "pytorch", "prefix": "pytorch", "activation": "pytorch", "output": "onnx"}


def add_reading_options(command: argparse.ArgumentParser) -> None:
    """Adds the options that say what is not in a PyTorch state dict, and which output of an ONNX graph is wanted."""
    command.add_argument("--output", metavar="NAME", help="which output of an ONNX graph (default: the first)")
    group = command.add_argument_group("of PyTorch's state dicts, which hold names and numbers alone")
    group.add_argument(
        "--layers",
        metavar="A,B,…",
        help="the parts of a network in the order of application, such as lstm,fc; what names and shapes don't say stands "
        "behind a colon: embed:embedding, and lstm:last for the last output alone",
    )
    group.add_argument("--prefix", metavar="NAME", help="read only what stands under this name")
    group.add_argument("--activation", choices=("tanh", "relu"), help="of an nn.RNN (default tanh)")


def read(path: str, args: argparse.Namespace) -> Read:
    """The model in a file of any format."""
    kind = formats.recognise(path)
    options = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    for name in options:
        if OPTIONS[name] != kind:
            raise OptionError(f"--{name} is for {NAMES[OPTIONS[name]]}'s files, and {path} is {NAMES[kind]}'s")
    if "layers" in options:
        options["layers"] = _entries(path, args)
    readers: dict[str, Callable[[], Model]] = {
        "gatewright": lambda: importers.load(path),
        "keras": lambda: importers.from_keras(path),
        "pytorch": lambda: importers.from_pytorch(path, **options),
        "onnx": lambda: importers.from_onnx(path, **options),
        "rtneural": lambda: importers.from_rtneural(path),
    }
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = readers[kind]()
    return Read(kind, model, [" ".join(str(warning.message).split()) for warning in said])


def names(layers: str) -> list[str]:
    """The names in --layers, without what is said of them."""
    return [entry.partition(":")[0].removesuffix(".") for entry in layers.split(",")]


def _entries(path: str, args: argparse.Namespace) -> list[Any]:
    """--layers as from_pytorch takes it. Raises OptionError for what can't be said so."""
    given = [entry.partition(":")[2] for entry in args.layers.split(",")]
    if not any(given):
        return names(args.layers)
    entries: list[Any] = []
    arrays = pytorch.arrays(path, args.prefix or "")
    for name, word in zip(names(args.layers), given, strict=True):
        part = tensors.under(arrays, name)
        weight = part.get("weight")
        if word == "embedding" and weight is not None and weight.ndim == 2 and weight.size:
            entries.append((name, Embedding(*weight.shape)))
        elif word == "last" and "weight_ih_l0" in part:
            layer = pytorch.guess(part, name, args.activation or "tanh")
            entries.append((name, layer.replace(return_sequences=False)))
        elif word:
            known = "embedding, and last of a recurrent layer"
            raise OptionError(f"--layers: {name}:{word} can't be said of {tensors.few(part)}; known: {known}")
        else:
            entries.append(name)
    return entries


def target(path: str, asked: str | None) -> str:
    """The format in which to write a file: as asked for, or as its name ends."""
    suffix = Path(path).suffix.lower()
    if suffix in (".pt", ".pth"):
        raise OptionError(f"{path}: a pickle is not written; --to pytorch {Path(path).stem}.safetensors holds the state dict")
    if asked is None and suffix not in SUFFIXES:
        raise OptionError(f"{path}: got {suffix!r}, wanted {', '.join(SUFFIXES)}, or --to FORMAT")
    if asked == "keras" and suffix != ".keras":
        raise OptionError(f"{path}: Keras opens files whose names end in .keras only")
    return SUFFIXES[suffix] if asked is None else asked


def write(model: Model, path: str, kind: str) -> None:
    """Writes a model in a format. Raises OptionError for what the format can't say."""
    writers: dict[str, Callable[[], object]] = {
        "gatewright": lambda: model.save(path),
        "keras": lambda: model.to_keras(path),
        "pytorch": lambda: tensors.write(path, model.to_pytorch()),
        "onnx": lambda: model.to_onnx(path),
        "rtneural": lambda: model.to_rtneural(path),
    }
    writers[kind]()
