"""A network and its parameters as an ONNX file."""

from typing import Any, NamedTuple

import numpy as np

from gatewright import checks, files
from gatewright.errors import OptionError, ShapeError
from gatewright.interop.onnx import draft, write_layers
from gatewright.interop.onnx.draft import BATCH, TIME, Dims, Draft, Place, Port, Value
from gatewright.layers import Sequential
from gatewright.parameters import Parameters

OPSETS = range(17, 23)  # LayerNormalization came with the first; the last is the newest that is known here
MANY = 2**30  # steps, enough for every window
LARGEST = 2**31 - 2**20  # bytes of parameters


class Choices(NamedTuple):
    """What `to_onnx` was asked for."""

    lengths: bool
    state: bool
    opset: int


def write(network: Sequential, parameters: Parameters, path: Any, choices: Choices) -> None:
    """Writes the file whole or not at all. Raises OptionError for what ONNX can't say, MissingExtraError without onnx."""
    checks.true_or_false("lengths", choices.lengths)
    checks.true_or_false("state", choices.state)
    if isinstance(choices.opset, bool) or choices.opset not in OPSETS:
        raise OptionError(f"opset: got {choices.opset!r}, wanted a whole number from {OPSETS[0]} to {OPSETS[-1]}")
    if parameters.flat.nbytes > LARGEST:
        raise OptionError(f"{parameters.flat.nbytes:,} bytes of parameters: an ONNX file holds less than 2 GB")
    draft.require(int(choices.opset))
    files.write_bytes(path, draft.encode(_drafted(network, parameters, choices)))


def _drafted(network: Sequential, parameters: Parameters, choices: Choices) -> Draft:
    if network.gives_states:
        raise OptionError("the output is states (return_state_sequence=True): ONNX's operators give the last cell state alone")
    made = Draft(parameters.dtype, int(choices.opset), bool(choices.state))
    whole: Dims = (BATCH, TIME) if _takes_steps(network) else (BATCH,)
    if network.takes_indices:
        made.inputs.append(Port("x", np.int64, whole))
    elif (features := network.features_in) is not None:
        made.inputs.append(Port("x", parameters.dtype, (*whole, features)))
    else:
        raise OptionError(f"{network}: no layer says how many features x has, so that there is no input to declare")
    if choices.lengths:
        made.inputs.append(Port("lengths", np.int32, (BATCH,)))
    if choices.lengths and len(whole) == 1:
        raise OptionError(f"lengths=True: {network} takes no steps")
    x = Value("x", timed=len(whole) == 2, clean=False, lengths="lengths" if choices.lengths else "")
    y = write_layers.write(made, network, Place("", "", parameters), x)
    made.outputs.insert(0, Port("y", parameters.dtype, _dims(network, made.inputs[0].dims)))
    made.nodes.append(draft.Node("Identity", [made.cleaned(y)], ["y"], {}))
    return made


def _takes_steps(network: Sequential) -> bool:
    """Whether x is (B, T, F) and not (B, F)."""
    try:
        network.shape_out((1, MANY) if network.takes_indices else (1, MANY, network.features_in or 1))
    except ShapeError:
        return False
    return True


def _dims(network: Sequential, x: Dims) -> Dims:
    """The sizes of y: its steps are those of x, a fixed number, or another one."""
    first, second = (
        network.shape_out((1, *(many if size == TIME else int(size) for size in x[1:]))) for many in (MANY, 2 * MANY)
    )
    if len(first) == 2:
        return BATCH, first[-1]
    steps = TIME if (first[1], second[1]) == (MANY, 2 * MANY) else first[1] if first == second else "time_out"
    return BATCH, steps, first[-1]
