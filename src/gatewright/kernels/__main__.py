"""`python -m gatewright.kernels`: says which code runs here and why; `… build` makes the library."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from gatewright.errors import GatewrightError, OptionError
from gatewright.kernels import library, target

BAD_INPUT = 2


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def parser() -> argparse.ArgumentParser:
    """The commands with their options."""
    top = Parser(prog="python -m gatewright.kernels", description="The compiled kernels: which are used here, and the library.")
    top.set_defaults(run=show)
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    commands.add_parser("show", help="say which code runs here, and why (what happens without a command)")
    command = commands.add_parser(
        "build",
        help="compile all kernels ahead of time, into a library that needs no llvmlite",
        description="Makes the library of this machine's kind; beside the package it is found and used from then on.",
    )
    command.add_argument("-o", dest="output", type=Path, metavar="PATH", help="the folder (default: beside the package)")
    command.add_argument("--aarch64", action="store_true", help="write an object file for aarch64 instead; -o names it")
    command.set_defaults(run=build)
    return top


def show(args: argparse.Namespace) -> None:
    """Prints what runs here and why."""
    found, problem = library.find(), target.problem()
    at_hand = "llvmlite is there" if find_spec("llvmlite") else "llvmlite is not installed"
    if found.library:
        widths = " and ".join(map(str, found.library.widths))
        print(f"library   {found.library.path}: {len(found.library.kernels)} kernels for {widths} lanes")
    else:
        why = found.remark.strip(" ()") or "there is none; `python -m gatewright.kernels build` makes it"
        print(f"library   {library.path()}: {why}")
    print(f"compiler  {at_hand}" + (", and not needed" if found.library else ""))
    if problem:
        print(f"path      NumPy: {problem}")
    else:
        how = "ahead of time" if found.library else "at first use"
        print(f"path      compiled {how}, {target.host().lanes} lanes ({target.machine()})")


def build(args: argparse.Namespace) -> None:
    """Makes the library, or the object file for aarch64."""
    if find_spec("llvmlite") is None:
        raise OptionError("building needs llvmlite: pip install 'gatewright[fast]'")
    from gatewright.kernels import build as builder

    if args.aarch64 and args.output is None:
        raise OptionError("--aarch64: name the object file with -o FILE.o")
    if args.aarch64:
        builder.build_foreign(args.output)
    print(args.output if args.aarch64 else builder.build(args.output or library.FOLDER))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command: 0 if all went well, 2 for bad input or where the library can't be made."""
    args = parser().parse_args(argv)
    try:
        args.run(args)
    except (GatewrightError, OSError) as error:
        print("python -m gatewright.kernels:", " ".join(str(error).split()), file=sys.stderr)
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
