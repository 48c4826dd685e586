"""The activation at a network's end, and the same network without it: how losses take logits."""

from gatewright.activations import Activation
from gatewright.layers.base import Layer
from gatewright.layers.containers import Sequential, Shared
from gatewright.layers.simple import Dense


def final_activation(layer: Layer) -> Activation | None:
    """The activation that makes the output, where the last layer is a Dense; None elsewhere."""
    if isinstance(layer, Dense):
        return layer.activation
    if isinstance(layer, Sequential):
        return final_activation(layer.layers[-1])
    return final_activation(layer.layer) if isinstance(layer, Shared) else None


def fold_final(layer: Layer, name: str) -> Layer | None:
    """The same layer whose output is what goes into its final activation `name`, with the same parameters.

    None if the output is made by another activation. A gw.Shared at the end can't be changed in one place alone: None too.
    """
    if isinstance(layer, Dense) and layer.activation.name == name:
        return layer.replace(activation=None)
    if isinstance(layer, Sequential):
        last = fold_final(layer.layers[-1], name)
        return None if last is None else layer.replace(layers=(*layer.layers[:-1], last))
    return None
