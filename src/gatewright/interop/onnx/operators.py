"""All operators that graphs may have, by name: which form of them an opset means, and how a node is bound to it."""

from collections.abc import Mapping

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx import calls, elementwise, linear, places, recurrent, reductions, shapes, windows
from gatewright.interop.onnx.calls import Call, Form, Forms, Setting
from gatewright.interop.onnx.graph import Node

FORMS: Forms = (
    elementwise.FORMS | reductions.FORMS | shapes.FORMS | places.FORMS | linear.FORMS | windows.FORMS | recurrent.FORMS
)
# Their time is that of reading and writing their arrays, so that a file's constants can go through them when it is read.
CHEAP = frozenset(elementwise.FORMS | reductions.FORMS | shapes.FORMS | places.FORMS)
SUBGRAPHS = ("If", "Loop", "Scan", "SequenceMap")


def form_of(op: str, opset: int) -> Form:
    """The form that an operator has in an opset. Raises FormatError for one that is not known."""
    if op in SUBGRAPHS:
        raise FormatError("operators with subgraphs are not supported")
    if op not in FORMS:
        raise FormatError("the operator is not supported")
    found = [form for form in FORMS[op] if form.since <= opset]
    if not found:
        raise FormatError(f"the operator is not supported before opset {FORMS[op][0].since}, and the file means opset {opset}")
    return found[-1]


def bind(node: Node, setting: Setting, constants: Mapping[str, Array]) -> Call:
    """The call of a node: its form and its attributes. Raises FormatError, with the node's name, for what is not known."""
    try:
        return calls.bind(node, form_of(node.op, setting.opset), setting, constants)
    except FormatError as error:
        raise FormatError(f"{node.place}: {error}") from None
