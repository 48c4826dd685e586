"""`gatewright convert`: a model from one format to another, and how far the runtimes of both are from it."""

import argparse
from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.cli import models, runtimes
from gatewright.errors import OptionError
from gatewright.interop.formats import FORMATS
from gatewright.layers import Embedding, leaves
from gatewright.model import Model

BATCH, TIME, TOLERANCE = 3, 32, 1e-5


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
    """Prints how far every runtime, and B read again, is from the model; whether all are near."""
    x = _input(found.model, runtimes.steps(found.kind, args.source) or TIME)
    y = found.model.predict(x)
    scale = max(1.0, float(np.abs(y).max()))
    good = True
    for format_, path in ((found.kind, args.source), (kind, args.target)):
        runtime = runtimes.RUNTIMES.get(format_)
        if runtime is None:
            continue
        missing = runtime.missing()
        if missing:
            print(f"verify: {path}: {missing} is not installed, so {models.NAMES[format_]}'s own runtime was not asked")
        else:
            good &= _told(f"{path} run by {runtime.name()}", runtime.run(path, x, found.model, args), y, scale)
    return good & _told(f"{args.target} read again", _again(args, kind, found.model).predict(x), y, scale)


def _again(args: argparse.Namespace, kind: str, model: Model) -> Model:
    """The model in B."""
    bare = argparse.Namespace(layers=None, prefix=None, activation=None)
    if kind == "pytorch":
        return runtimes.from_state_dict(args.target, model)
    return models.read(args.target, bare).model


def _told(what: str, got: Array, y: Array, scale: float) -> bool:
    """Prints the largest deviation of an output from ours; whether it is small."""
    if got.shape != y.shape:
        print(f"verify: {what}: an output of shape {got.shape}, where gatewright gives {y.shape}")
        return False
    worst = float(np.abs(got - y).max(initial=0))
    print(f"verify: {what}: largest deviation {worst:.2g}, of outputs up to {np.abs(y).max(initial=0):.2g}")
    return worst <= TOLERANCE * scale


def _input(model: Model, steps: int) -> Array:
    """Random input (B, T, F), or (B, T) indices, none of them zero, which may mean padding."""
    rng = np.random.default_rng(0)
    words = next((inner.count for inner in leaves(model.layer) if isinstance(inner, Embedding)), None)
    if model.network.takes_indices and words is not None:
        return rng.integers(min(1, words - 1), words, (BATCH, steps))
    features = model.network.features_in
    if features is None:
        raise OptionError("--verify: the model doesn't say how many features it takes")
    return rng.standard_normal((BATCH, steps, features)).astype(model.dtype)
