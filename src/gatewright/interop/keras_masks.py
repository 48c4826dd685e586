"""How Keras hands masks from layer to layer, and what of it a network of ours can do.

Here a dead step is zero, and dead for all layers that follow. In Keras most layers hand the mask on, and what they give at
masked steps is read by nobody; a convolution or pooling drops it, and then reads those steps too. That is the same as a network
without the mask, if no layer before used it; where one did, the network is refused. So are merged outputs of different masks.
"""

from typing import Any, NamedTuple

from gatewright.errors import FormatError
from gatewright.interop.keras_graph import INPUT, Call, Graph, called, is_operation

RECURRENT = ("SimpleRNN", "LSTM", "GRU")
USES = (*RECURRENT, "Bidirectional", "GlobalAveragePooling1D")
DROPS = ("Conv1D", "MaxPooling1D", "AveragePooling1D", "GlobalMaxPooling1D", "RepeatVector")
MERGES = {"Concatenate": "concat", "Add": "sum", "Multiply": "mul", "Average": "ave"}


class Mask(NamedTuple):
    """The mask of a tensor."""

    origin: int  # the call of the Embedding or Masking that made it
    turned: bool = False  # the steps stand in reverse since a layer with go_backwards, but Keras' mask does not


MIXED = Mask(-2)  # different ones, joined


class Masks(NamedTuple):
    """What is known of a network's masks."""

    unmasked: set[int]  # the calls that must make no mask, for it would be dropped
    given: list[Mask | None]  # by call: the mask of its (first) input


class _Flow(NamedTuple):
    given: list[Mask | None]
    made: list[Mask | None]
    used: dict[int, Call]  # by origin: a layer that uses its mask
    dropped: dict[int, Call]  # by origin: a layer that drops it
    mixed: list[Call]  # that merge tensors of different masks


def follow(graph: Graph, states: set[int]) -> Masks:
    """Follows the masks. states: the calls of which the last state alone is taken. Raises FormatError for the impossible."""
    flow = _flow(graph, states, set())
    for index, call in enumerate(graph.calls):
        _check_said(graph, call, flow.given[index])
    for origin, call in flow.dropped.items():
        source = graph.calls[origin]
        if origin in flow.used:
            raise FormatError(
                f"{called(call.layer)} also reads the steps that {called(source.layer)} masks, and "
                f"{called(flow.used[origin].layer)} does not: this is not supported"
            )
        if source.kind == "Masking" and source.layer["config"].get("mask_value", 0.0) != 0:
            raise FormatError(
                f"{called(call.layer)} also reads the steps that {called(source.layer)} masks: supported for mask_value=0 only"
            )
    unmasked = set(flow.dropped)
    flow = _flow(graph, states, unmasked)
    if flow.mixed:
        raise FormatError(f"{called(flow.mixed[0].layer)} joins outputs with different masks, which is not supported")
    return Masks(unmasked, flow.given)


def _flow(graph: Graph, states: set[int], unmasked: set[int]) -> _Flow:
    """The masks of all tensors where the calls `unmasked` make none."""
    flow = _Flow([], [], {}, {}, [])
    for index, call in enumerate(graph.calls):
        masks = [None if tensor == INPUT else flow.made[tensor[0]] for tensor in call.inputs]
        mask = masks[0] if masks else None
        if any(other != mask for other in masks):
            flow.mixed.append(call)
            mask = MIXED
        flow.given.append(mask)
        if mask and call.kind in USES:
            flow.used.setdefault(mask.origin, call)
            if mask.turned:
                raise FormatError(
                    f"{called(call.layer)} behind go_backwards=True and a mask: Keras turns the steps round, but not the mask"
                )
        inner = call.layer["config"].get("layer") if call.kind == "TimeDistributed" else call.layer
        if mask and isinstance(inner, dict) and inner.get("class_name") == "Softmax":
            raise FormatError(f"{called(call.layer)} with a mask is not supported")
        if mask and mask != MIXED and (call.kind in DROPS or is_operation(call.layer)):
            flow.dropped.setdefault(mask.origin, call)
        flow.made.append(_after(index, call, mask, states, unmasked))
    return flow


def _after(index: int, call: Call, mask: Mask | None, states: set[int], unmasked: set[int]) -> Mask | None:
    """The mask of a call's output."""
    config = call.layer["config"]
    if call.kind == "Masking" or call.kind == "Embedding":
        makes = call.kind == "Masking" or config.get("mask_zero") is True
        return Mask(index) if makes and index not in unmasked else None
    if call.kind in DROPS or call.kind == "GlobalAveragePooling1D" or is_operation(call.layer):
        return None
    if call.kind == "Bidirectional":
        inner = config.get("layer")
        config = inner["config"] if isinstance(inner, dict) and isinstance(inner.get("config"), dict) else {}
    if call.kind in (*RECURRENT, "Bidirectional"):
        if config.get("return_sequences") is not True or index in states:
            return None
        turns = call.kind != "Bidirectional" and config.get("go_backwards") is True
        return mask and mask._replace(turned=turns)
    return mask


def _check_said(graph: Graph, call: Call, mask: Mask | None) -> None:
    """Raises FormatError where a file says another mask than the one that comes with the input."""
    if call.mask is None or mask == MIXED:
        return
    wanted: frozenset[Any] = frozenset({"all"})
    if mask is not None:
        source = graph.calls[mask.origin]
        value = 0 if source.kind == "Embedding" else source.layer["config"].get("mask_value")
        wanted = frozenset({(source.inputs[0], value if isinstance(value, int | float) else str(value))})
    if call.mask != wanted and not (mask is None and "all" in call.mask):
        raise FormatError(f"{called(call.layer)}: its mask is not that of its input, and no other is supported")
