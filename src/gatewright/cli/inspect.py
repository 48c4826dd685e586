"""`gatewright inspect`: what stands in a file of a model, whatever its format."""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatewright import files
from gatewright.arrays import Array
from gatewright.cli import models
from gatewright.errors import FormatError, GatewrightError
from gatewright.interop import formats, keras_files, pytorch


def add_to(commands: Any) -> None:
    """Adds the command to the others."""
    command = commands.add_parser(
        "inspect",
        help="what stands in a file of a model",
        description="Tells the format of a file, and of the model in it the layers with their options, the shapes, the "
        "parameters and the size; of what is no whole model, what is there, and why it is none.",
    )
    command.add_argument("file", metavar="FILE", help="of Keras, PyTorch, ONNX, RTNeural or gatewright")
    models.add_reading_options(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does it: 2 if nothing at all can be read."""
    kind = formats.recognise(args.file)
    print(f"{args.file}: {models.NAMES[kind]}'s format, {Path(args.file).stat().st_size:,} bytes")
    about = _contents(kind, args)
    for line in about:
        print(line)
    try:
        found = models.read(args.file, args)
    except GatewrightError as error:
        if not about:
            raise
        print(f"not read as a model: {error}")
        return 0
    for note in found.notes:
        print(f"note: {note}")
    print(found.model.summary())
    return 0


def _contents(kind: str, args: argparse.Namespace) -> list[str]:
    """What a file that need not be a whole model holds, a line each."""
    if kind == "pytorch":
        return _arrays(pytorch.arrays(args.file, args.prefix or ""))
    if kind == "keras":
        stored = _keras(args.file)
        written = f"written by Keras {stored.major}"
        return [written] if stored.config is not None else [f"{written}, weights alone", *_arrays(stored.arrays)]
    if kind == "onnx":
        return _graph(args.file)
    if kind == "gatewright":
        arrays, description = files.load(args.file)
        return [f"a {description['kind']}, with {len(arrays)} arrays"] if "kind" in description else []
    return []


def _keras(path: str) -> keras_files.Stored:
    try:
        return keras_files.read(Path(path))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def _arrays(arrays: Mapping[str, Array]) -> list[str]:
    """Arrays by name, with their shapes."""
    width = max(map(len, arrays), default=0)
    return [f"{len(arrays)} arrays", *(f"  {name:{width}}  {array.shape}" for name, array in arrays.items())]


def _graph(path: str) -> list[str]:
    """The inputs, outputs and operators of an ONNX graph."""
    from gatewright.interop.onnx import reader

    graph = reader.read(path)
    values = [(word, part) for word, part in (("input", graph.inputs), ("output", graph.outputs))]
    lines = [
        f"  {word:6}  {name}: {value.dtype} ({', '.join(map(str, value.shape)) if value.shape is not None else 'any shape'})"
        for word, part in values
        for name, value in part.items()
        if name not in graph.constants
    ]
    counts = Counter(node.op for node in graph.nodes)
    return [f"opset {graph.opset}", *lines, f"  operators: {', '.join(f'{op} {count}' for op, count in counts.items())}"]
