"""The command `gatewright`: what it understands, and its errors, one line each."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from gatewright.cli import check, classify, convert, explore, forecast, inspect, predict, text
from gatewright.errors import GatewrightError
from gatewright.forecasting.report import version

BAD_INPUT, INTERRUPTED = 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} ({self.prog} --help says more)\n")


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    top = Parser(
        prog="gatewright",
        description="Recurrent networks in NumPy: forecast a series, classify sequences, learn a text, check the gradients.",
    )
    top.add_argument("--version", action="version", version=f"gatewright {version()}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (forecast, classify, predict, text, explore, check, convert, inspect):
        module.add_to(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command: 0 if all went well, 1 if a check failed, 2 for bad input, 130 after Ctrl-C."""
    args = parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has enough, as in `gatewright … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (GatewrightError, OSError) as error:
        print("gatewright:", " ".join(str(error).split()), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("gatewright: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED
    return code
