"""`gatewright inspect`: what stands in a file of a model, whatever its format."""

import argparse
from pathlib import Path
from typing import Any

from gatewright import files
from gatewright.cli import models
from gatewright.errors import GatewrightError
from gatewright.interop import formats, tensors, torchfile


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
        return _tensors(args.file, args.prefix)
    if kind == "gatewright":
        arrays, description = files.load(args.file)
        return [f"a {description['kind']}, with {len(arrays)} arrays"] if "kind" in description else []
    return []


def _tensors(path: str, prefix: str | None) -> list[str]:
    """The arrays of a state dict by name."""
    given = torchfile.read(path) if torchfile.is_one(path) else path
    arrays, dtype = tensors.read(given, (prefix or "").removesuffix("."))
    width = max(map(len, arrays), default=0)
    return [f"{len(arrays)} arrays, {dtype.__name__}", *(f"  {name:{width}}  {array.shape}" for name, array in arrays.items())]
