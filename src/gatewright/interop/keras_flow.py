"""What is known while a network is written for Keras: where a layer stands, what goes to the next one, the growing graph."""

from typing import Any, NamedTuple

from gatewright.activations import Activation
from gatewright.errors import OptionError
from gatewright.interop.keras_layers import ACTIVATIONS
from gatewright.interop.keras_pack import Graph, Tensor
from gatewright.layers import Layer
from gatewright.layers.base import in_scope
from gatewright.parameters import SHARED, Parameters

TURNED = "turned"  # the mask of steps that go_backwards has turned round, of which Keras knows nothing

COUNTED = ("mean", "var")  # never trained, in Keras neither


class Flow(NamedTuple):
    """What goes from layer to layer."""

    tensor: Tensor
    mask: str | None = None  # which steps Keras takes for dead, in words, or TURNED; None: none


class Place(NamedTuple):
    """A layer where it stands."""

    layer: Layer
    scope: str  # under which its parameters are kept
    path: str  # the indices that lead there

    def child(self, key: str) -> "Place":
        """The layer inside of that name; a shared one is the same wherever it stands."""
        path = key if key.startswith(SHARED) else ".".join(part for part in (self.path, key or "inside") if part)
        return Place(self.layer.children[key], in_scope(self.scope, key), path)

    def refused(self, why: str) -> OptionError:
        """The one line that says what Keras can't be."""
        return OptionError(f"layer {self.path}, {self.layer}: {why}")


class Writer(NamedTuple):
    """The parameters, and the graph that grows."""

    params: Parameters
    graph: Graph

    def call(self, place: Place, name: str, config: dict[str, Any], names: list[str], flow: Flow) -> Flow:
        """One layer of Keras' for one of ours; the names of its parameters in Keras' order."""
        held = {f"vars/{k}": self.params[in_scope(place.scope, own)] for k, own in enumerate(names)}
        config = {**config, "trainable": self.trains(place, place.scope, *(name for name in names if name not in COUNTED))}
        tensor = self.graph.call(f"{place.path} {name}", name, config, held, [flow.tensor])
        return flow._replace(tensor=tensor._replace(shape=place.layer.shape_out(flow.tensor.shape)))

    def activated(self, place: Place, name: str, config: dict[str, Any], names: list[str], flow: Flow) -> Flow:
        """The same of a layer with an activation; one with constants of its own becomes a layer behind it."""
        layer: Any = place.layer
        own = activation_layer(layer.activation)
        if own is None:
            return self.call(place, name, {**config, "activation": activation(place, layer, "activation")}, names, flow)
        flow = self.call(place, name, {**config, "activation": "linear"}, names, flow)
        return flow._replace(tensor=self.graph.call(f"{place.path} {own[0]}", *own, {}, [flow.tensor]))

    def merge(self, place: Place, name: str, flows: list[Flow]) -> Flow:
        """The outputs of branches as one. Keras' mask is then of the steps that live in any branch, ours of those in all."""
        if len(flows) == 1:
            return flows[0]
        if len({flow.mask for flow in flows}) > 1 or flows[0].mask == TURNED:
            raise place.refused("its branches mask other steps than each other, and Keras joins masks in another way")
        config = {"axis": -1} if name == "Concatenate" else {}
        return Flow(self.graph.call(f"{place.path} {name}", name, config, {}, [flow.tensor for flow in flows]), flows[0].mask)

    def trains(self, place: Place, scope: str, *names: str) -> bool:
        """Whether a layer of Keras' that holds these parameters is trained: all of it or nothing."""
        found = {name: self.params.trainable[in_scope(scope, name)] for name in names}
        if len(set(found.values())) > 1:
            frozen = ", ".join(in_scope(scope, name) for name, trained in found.items() if not trained)
            raise place.refused(f"Keras freezes whole layers, and here {frozen} alone would be frozen")
        return all(found.values())


def activation_layer(activation: Activation) -> tuple[str, dict[str, Any]] | None:
    """(class, configuration) of the layer by which Keras says an activation that it has no name for; None if it has a name."""
    plain = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
    if activation.name == "relu" and activation.clip is not None:
        return "ReLU", {**plain, "max_value": activation.clip}
    if activation.clip is not None or activation.alpha is None or activation.alpha < 0:
        return None
    if activation.name == "thresholded_relu":
        return "ReLU", {**plain, "threshold": activation.alpha}
    if activation.plain:
        return None
    found = {"leaky_relu": ("LeakyReLU", "negative_slope"), "elu": ("ELU", "alpha")}.get(activation.name)
    return found and (found[0], {found[1]: activation.alpha})


def activation(place: Place, layer: Any, option: str) -> str:
    """The name that Keras has for an activation."""
    activation: Activation = getattr(layer, option)
    if activation.name not in ACTIVATIONS.values():
        raise place.refused(f"{option}={activation.name!r} has no counterpart in Keras")
    if activation != Activation(activation.name):
        raise place.refused(f"{option}={activation!r}: Keras' {activation.name} has no such constants")
    return activation.name
