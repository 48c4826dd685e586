"""A network and its parameters as an ONNX file."""

from typing import Any, NamedTuple

import numpy as np

from gatewright import checks, files
from gatewright.errors import OptionError
from gatewright.interop.onnx import draft, write_layers
from gatewright.interop.onnx.draft import BATCH, TIME, Dims, Draft, Place, Port, Value
from gatewright.layers import Sequential
from gatewright.parameters import Parameters

OPSETS = range(17, 23)  # LayerNormalization came with the first; the last is the newest that is known here
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
    draft.require()
    files.write_bytes(path, draft.encode(_drafted(network, parameters, choices)))


def _drafted(network: Sequential, parameters: Parameters, choices: Choices) -> Draft:
    if network.gives_states:
        raise OptionError("the output is states (return_state_sequence=True): ONNX's operators give the last cell state alone")
    made = Draft(parameters.dtype, int(choices.opset), bool(choices.lengths), bool(choices.state))
    whole: Dims = (BATCH, TIME)
    if network.takes_indices:
        made.inputs.append(Port("x", np.int64, whole))
    elif (features := network.features_in) is not None:
        made.inputs.append(Port("x", parameters.dtype, (*whole, features)))
    else:
        raise OptionError(f"{network}: no layer says how many features x has, so that there is no input to declare")
    if choices.lengths:
        made.inputs.append(Port("lengths", np.int32, (BATCH,)))
    given = [port.dims[-1] for port in made.inputs[:1] if len(port.dims) == 3]
    y = write_layers.write(made, network, Place("", "", parameters), Value("x", clean=False))
    shape = network.shape_out((1, 1, *map(int, given)))
    made.outputs.insert(0, Port("y", parameters.dtype, (*((BATCH, TIME)[: len(shape) - 1]), shape[-1])))
    made.nodes.append(draft.Node("Identity", [made.cleaned(y)], ["y"], {}))
    return made
