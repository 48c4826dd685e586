"""RNN, LSTM, GRU and Bidirectional -> Keras' layers: a stack becomes single ones, with what is dropped between them."""

from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.interop import gates
from gatewright.interop.keras_flow import TURNED, Flow, Place, Writer, activation
from gatewright.interop.keras_layers import KINDS
from gatewright.interop.keras_pack import Tensor, described
from gatewright.layers import GRU, RNN, Bidirectional, Layer, Recurrent
from gatewright.layers.base import in_scope

PLAIN: dict[str, Any] = {  # what Keras' recurrent layers can be, where ours can be more
    "return_state_sequence": False,
    "learn_initial_state": False,
    "clip": None,
    "peepholes": False,
    "coupled": False,
    "projection": None,
    "cell_activation": None,
}
NAMES: dict[type[Layer], str] = {kind: name for name, kind in KINDS.items()}


class Half(NamedTuple):
    """One layer and direction of Keras'."""

    class_name: str
    config: dict[str, Any]
    arrays: list[Array]


def _check_cell(place: Place, layer: Recurrent) -> None:
    for option, plain in PLAIN.items():
        if getattr(layer, option, plain) != plain:
            raise place.refused(f"{option}={getattr(layer, option)!r} has no counterpart in Keras")


def _check_mask(place: Place, layer: Recurrent, mask: str | None) -> None:
    """Raises OptionError where Keras' rule for dead steps would give other live ones, or other places."""
    if mask == TURNED:
        raise place.refused("Keras' mask is not turned round with the steps that go_backwards turns, so nothing can read it")
    if layer.bidirectional and layer.masked_output == "repeat":
        raise place.refused("masked_output='repeat': Keras' bidirectional layers give zeros at dead steps")
    if mask is not None and layer.go_backwards and layer.num_layers > 1:
        raise place.refused(
            "go_backwards=True with num_layers > 1 behind a mask, which Keras does not turn round for the second"
        )
    if mask is not None and layer.go_backwards and layer.return_sequences and layer.masked_output == "zero":
        raise place.refused("go_backwards=True behind a mask: in Keras dead steps stay among the others, as with 'repeat'")


def _cell(writer: Writer, place: Place, layer: Recurrent, scope: str, **options: Any) -> Half:
    """One layer and direction, whose parameters are under `scope`."""
    if layer.stateful and writer.graph.batch is None:
        raise place.refused("stateful=True: Keras builds it for one number of rows: say batch_size=…")
    names = [name for name in ("W", "U", "b", "bn") if in_scope(scope, name) in writer.params]
    W, U, *biases = (writer.params[in_scope(scope, name)] for name in names)
    config = {
        "units": layer.hidden_size, "activation": activation(place, layer, "activation"), "use_bias": layer.bias,
        "dropout": layer.input_dropout, "recurrent_dropout": layer.recurrent_dropout, "stateful": layer.stateful,
        "trainable": writer.trains(place, scope, *names), **options,
    }  # fmt: skip
    if not isinstance(layer, RNN):
        config["recurrent_activation"] = activation(place, layer, "recurrent_activation")
    if isinstance(layer, GRU):
        config["reset_after"] = layer.reset_after
    return Half(NAMES[type(layer)], config, [W, U, *([np.stack(gates.split(*biases))] if len(biases) == 2 else biases)])


def recurrent(writer: Writer, place: Place, flow: Flow) -> Flow:
    """A layer of Keras' for each of the stack, with what is dropped between them."""
    layer = place.layer
    assert isinstance(layer, Recurrent)
    _check_cell(place, layer)
    _check_mask(place, layer, flow.mask)
    ways, tensor = len(layer.directions), flow.tensor
    for k in range(layer.num_layers):
        who, last = f"{place.path} {k}", k == layer.num_layers - 1
        if k and layer.dropout:
            tensor = writer.graph.call(f"{who} Dropout", "Dropout", {"rate": layer.dropout}, {}, [tensor])
        sequences = layer.return_sequences or not last
        zero = sequences and flow.mask is not None and not (last and layer.masked_output == "repeat")
        options = {"return_sequences": sequences, "go_backwards": layer.go_backwards and not k, "zero_output_for_mask": zero}
        scopes = [in_scope(place.scope, prefix) for prefix in layer.prefixes[k * ways : (k + 1) * ways]]
        halves = [_cell(writer, place, way, scope, **options) for way, scope in zip(layer.ways, scopes, strict=True)]
        tensor = _both(writer, who, halves, "concat", tensor) if ways == 2 else _one(writer, who, halves[0], tensor)
        size = layer.hidden_size * ways
        tensor = tensor._replace(shape=(1, tensor.shape[1], size) if sequences else (1, size))
    turned = TURNED if flow.mask is not None and layer.go_backwards else flow.mask
    return Flow(tensor, turned if layer.return_sequences else None)


def _one(writer: Writer, who: str, half: Half, given: Tensor) -> Tensor:
    held = {f"cell/vars/{k}": array for k, array in enumerate(half.arrays)}
    return writer.graph.call(who, half.class_name, half.config, held, [given])


def _both(writer: Writer, who: str, halves: list[Half], merge: str, given: Tensor) -> Tensor:
    """A Bidirectional of Keras', in which it is the second layer that has go_backwards."""
    config: dict[str, Any] = {"merge_mode": merge, "trainable": any(half.config["trainable"] for half in halves)}
    held: dict[str, Array] = {}
    for way, half in zip(("forward", "backward"), halves, strict=True):
        named = {"name": f"{way}_{half.class_name.lower()}", "dtype": writer.graph.dtype}
        about = {**named, **half.config, "go_backwards": way == "backward"}
        config["layer" if way == "forward" else "backward_layer"] = described(half.class_name, about)
        held |= {f"{way}_layer/cell/vars/{k}": array for k, array in enumerate(half.arrays)}
    return writer.graph.call(who, "Bidirectional", config, held, [given])


def bidirectional(writer: Writer, place: Place, flow: Flow) -> Flow:
    whole = place.layer
    assert isinstance(whole, Bidirectional)
    layers = (whole.layer, whole.backward_layer)
    for layer in layers:
        _check_cell(place, layer)
        if layer.num_layers > 1:
            raise place.refused(f"num_layers={layer.num_layers} inside: Keras joins both directions after every layer")
        if layer.stateful != layers[0].stateful:
            raise place.refused("stateful of one direction alone has no counterpart in Keras")
    if flow.mask == TURNED:
        _check_mask(place, layers[0], flow.mask)
    options = {"return_sequences": layers[0].return_sequences, "zero_output_for_mask": layers[0].return_sequences}
    scopes = [in_scope(place.scope, key) for key in whole.children]
    halves = [_cell(writer, place, layer, scope, **options) for layer, scope in zip(layers, scopes, strict=True)]
    tensor = _both(writer, place.path, halves, whole.merge, flow.tensor)
    shape = whole.shape_out(flow.tensor.shape)
    return Flow(tensor._replace(shape=shape), flow.mask if layers[0].return_sequences else None)
