"""The activation at a network's end, and the same network without it: how losses take logits."""

from gatewright.activations import Activation
from gatewright.layers.base import Layer
from gatewright.layers.bidirectional import Bidirectional
from gatewright.layers.containers import Sequential, Shared
from gatewright.layers.convolution import Conv1D
from gatewright.layers.first import Masking
from gatewright.layers.gated import RNN
from gatewright.layers.parallel import Parallel
from gatewright.layers.pooling import GlobalPooling, Pooling
from gatewright.layers.simple import Dense, Dropout
from gatewright.layers.stepwise import Activate, RepeatVector

PROBABILITIES = ("softmax", "sigmoid")
# What goes through these is still a probability, or a mean of some.
THROUGH = (Dropout, Masking, Pooling, GlobalPooling, RepeatVector)


def final_activation(layer: Layer) -> Activation | None:
    """The activation that makes the output, seen through layers that change little or nothing; None where there is none."""
    if isinstance(layer, Dense | Conv1D | Activate | RNN):
        both = layer.activation if isinstance(layer.activation, tuple) else (layer.activation,)
        return next((final for final in both if final.name in PROBABILITIES), both[0])
    if isinstance(layer, Sequential):
        before = [inner for inner in layer.layers if not isinstance(inner, THROUGH) and inner != Activate(None)]
        return final_activation(before[-1]) if before else None
    if isinstance(layer, Shared):
        return final_activation(layer.layer)
    if isinstance(layer, Parallel | Bidirectional):
        found = [final_activation(inner) for inner in layer.children.values()]
        return next((final for final in found if final and final.name in PROBABILITIES), None)
    return None


def fold_final(layer: Layer, name: str) -> Layer | None:
    """The same layer whose output is what goes into its final activation `name`, with the same parameters.

    None where there is no such layer: the output is made by another activation, or that one can't be taken off in this place
    alone (in a gw.Shared, an RNN, parallel branches, or with dropout or pooling behind it).
    """
    if isinstance(layer, Dense | Conv1D | Activate) and layer.activation == Activation(name):
        return layer.replace(activation=None)
    if isinstance(layer, Sequential):
        last = fold_final(layer.layers[-1], name)
        return None if last is None else layer.replace(layers=(*layer.layers[:-1], last))
    return None
