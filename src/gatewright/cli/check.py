"""`gatewright check`: proves the gradients of a network that the options describe."""

import argparse
from typing import Any

import numpy as np

from gatewright.activations import FORMULAS, NEEDED, ROWWISE
from gatewright.checking import METHODS, gradcheck
from gatewright.checks import whole_number
from gatewright.forecasting.settings import CELLS

NUMBERS = (
    ("--layers", 1, "layers on top of each other"),
    ("--steps", 7, "time steps"),
    ("--features", 3, "inputs a step"),
    ("--hidden", 4, "units a layer"),
    ("--batch", 2, "sequences"),
)


def add_to(commands: Any) -> None:
    """Adds the command to the others."""
    command = commands.add_parser(
        "check",
        help="prove the gradients of a recurrent network",
        description="Compares every gradient of a random network with a numerical derivative; exits with 1 if one is wrong.",
    )
    command.add_argument("cell", choices=tuple(CELLS))
    for flag, default, text in NUMBERS:
        command.add_argument(flag, type=int, default=default, metavar="N", help=f"{text} (default {default})")
    command.add_argument("--bidirectional", action="store_true", help="run it in both directions")
    names = tuple(name for name, formula in FORMULAS.items() if name not in ROWWISE and formula.alpha != NEEDED)
    command.add_argument(
        "--activation", choices=names, default=None, help="of the candidate, or for rnn of the state (default tanh)"
    )
    command.add_argument("--method", choices=METHODS, default="auto", help="the numerical derivative (default auto)")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (default 0)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Does it: 0 if every gradient is right, else 1."""
    for name in (flag[2:] for flag, _, _ in NUMBERS):
        whole_number(f"--{name}", getattr(args, name))
    whole_number("--seed", args.seed, 0)
    activation = args.activation or "tanh"
    layer = CELLS[args.cell](
        args.features, args.hidden, num_layers=args.layers, bidirectional=args.bidirectional, activation=activation
    )
    x = np.random.default_rng(args.seed).standard_normal((args.batch, args.steps, args.features))
    report = gradcheck(layer, x, seed=args.seed, method=args.method)
    print(report)
    return 0 if report.ok else 1
