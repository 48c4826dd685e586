"""`gatewright convert`: a model from one format to another, and how far the runtimes of both are from it."""

import argparse
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.cli import models, runtimes
from gatewright.interop.formats import FORMATS
from gatewright.model import Model

TOLERANCE = 1e-5  # relative to the largest output, or to 1
_PLAIN = argparse.Namespace(**dict.fromkeys(models.OPTIONS))  # B says all by itself


def add_to(commands: Any) -> None:
    """Adds the command to the others."""
    command = commands.add_parser(
        "convert",
        help="a model from one format to another",
        description="Reads a model of Keras (.keras, .h5), PyTorch (.pt, .safetensors), ONNX, RTNeural (.json) or gatewright "
        "and writes it as another: .keras, .onnx, .json, .safetensors. What the other can't say is refused by name.",
    )
    command.add_argument("source", metavar="A", help="the file to read; what it is, is seen from its content")
    command.add_argument("target", metavar="B", help="the file to write; its name says the format")
    command.add_argument("--to", choices=FORMATS, help="the format of B (.safetensors: gatewright's, or PyTorch's state dict)")
    command.add_argument(
        "--verify",
        action="store_true",
        help="run A and B by their own runtimes, where they are installed, on random input, and print the largest deviation; "
        f"exits with 1 if one is above {TOLERANCE:g}",
    )
    models.add_reading_options(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does it: 0, or 1 if --verify found a deviation that is too large."""
    kind = models.target(args.target, args.to)
    found = models.read(args.source, args)
    models.write(found.model, args.target, kind)
    for note in found.notes:
        print(f"note: {note}")
    print(f"{args.source} ({models.NAMES[found.kind]}) -> {args.target} ({models.NAMES[kind]})")
    print(found.model.summary())
    return 0 if not args.verify or _verified(found, args, kind) else 1


def _verified(found: models.Read, args: argparse.Namespace, kind: str) -> bool:
    """Prints how far the runtimes of both files, and B read again, are from the model; whether all are near."""
    again = runtimes.from_state_dict(args.target, found.model) if kind == "pytorch" else models.read(args.target, _PLAIN).model
    near = []
    for format_, path, said in ((found.kind, args.source, args), (kind, args.target, _PLAIN)):
        runtime = runtimes.RUNTIMES.get(format_)
        if runtime is not None and runtime.missing():
            print(f"verify: {path}: {runtime.missing()} is not installed, so {models.NAMES[format_]}'s runtime was not asked")
        elif runtime is not None:
            near.append(_asked(runtime, path, found.model, said))
    x = runtimes.draw(found.model, runtimes.BATCH, runtimes.TIME)
    return all([*near, _told(f"{args.target} read again", again.run(x)[0], found.model.run(x)[0])])


def _asked(runtime: runtimes.Runtime, path: str, model: Model, args: argparse.Namespace) -> bool:
    """Prints how far a framework's runtime is from ours; whether it is near."""
    what = f"{path} run by {runtime.name()}"
    try:
        pair = runtime.pair(path, model, args)
    except Exception as error:  # whatever a framework raises
        print(f"verify: {what}: failed: {' '.join(str(error).split())[:300]}")
        return False
    return _told(what, *pair)


def _told(what: str, theirs: Array, ours: Array) -> bool:
    """Prints the largest deviation of an output from ours; whether it is small."""
    if theirs.shape != ours.shape:
        print(f"verify: {what}: an output of shape {theirs.shape}, where gatewright gives {ours.shape}")
        return False
    worst, largest = (float(np.abs(array).max(initial=0)) for array in (theirs - ours, ours))
    print(f"verify: {what}: largest deviation {worst:.2g}, of outputs up to {largest:.2g}")
    return worst <= TOLERANCE * max(1.0, largest)
