"""What an operator is, and what one call of it is: its attributes, checked, and how much it may make."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx.graph import DType, Node
from gatewright.interop.tensors import few

MANY = 2**31 - 1  # of inputs or outputs, as ONNX writes it
NEEDED: Any = ...  # in place of the default of an attribute that has none
Made: TypeAlias = Array | tuple[Array | None, ...]
Attributes: TypeAlias = Mapping[str, tuple[str, Any]]  # {name: (kind, default)}; None: it may be missing


class Form(NamedTuple):
    """An operator as it is from some opset on.

    function(call, *inputs) gives the output, or a tuple of them; an input that is left out is None. With `binds`,
    function(call) gives what is called with the inputs alone.
    """

    since: int
    function: Callable[..., Any]
    inputs: tuple[int, int] = (1, 1)  # fewest, most
    attributes: Attributes = MappingProxyType({})
    outputs: tuple[int, int] = (1, 1)
    binds: bool = False
    halves: bool = False  # takes float16 and bfloat16 as they are; else they are float32 on the way in, and back on the way out


Forms: TypeAlias = dict[str, tuple[Form, ...]]  # oldest first


class Setting(NamedTuple):
    """What the whole graph is run with."""

    opset: int
    limit: int  # bytes that one value may have, and all that are kept at a time
    compat: str | None
    kernel: str
    threads: Any


@dataclass(frozen=True)
class Call:
    """One node, bound: `call["axis"]` is an attribute or its default."""

    node: Node
    form: Form
    attributes: Mapping[str, Any]
    setting: Setting
    constants: Mapping[str, Array]  # of the graph so far; an input's default too, which a caller may replace

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]

    def room(self, shape: Sequence[int], dtype: Any = np.float64) -> None:
        """Raises FormatError if an array of that shape is more than may be made."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > self.setting.limit or any(n < 0 for n in shape):
            limit = f"more than the limit of {self.setting.limit} (limit=)"
            raise FormatError(f"it would make an array of shape {str(tuple(shape))[:100]}, {size} bytes, {limit}")

    def choice(self, name: str, known: Sequence[Any]) -> Any:
        """An attribute that must be one of `known`."""
        if self[name] not in known:
            got = few([self[name]]) if isinstance(self[name], str) else self[name]
            raise FormatError(f"{name}: {got} is not supported; known: {', '.join(map(str, known))}")
        return self[name]


def bind(node: Node, form: Form, setting: Setting, constants: Mapping[str, Array]) -> Call:
    """The call of a node. Raises FormatError for an attribute that its operator has not, or a wrong number of names."""
    for what, names, (fewest, most) in (("inputs", node.inputs, form.inputs), ("outputs", node.outputs, form.outputs)):
        if not fewest <= len(names) <= most:
            wanted = str(fewest) if fewest == most else f"at least {fewest}" if most == MANY else f"{fewest} to {most}"
            raise FormatError(f"{len(names)} {what}, wanted {wanted}")
    if not all(node.inputs[: form.inputs[0]]) or (form.inputs[1] == MANY and not all(node.inputs)):
        raise FormatError(f"input {node.inputs.index('')} is left out, and the operator needs it")
    if "" in node.outputs and form.outputs == (1, 1):
        raise FormatError("its output has no name")
    values: dict[str, Any] = {}
    for name, (kind, default) in form.attributes.items():
        given = node.attributes.get(name)
        if given is None and default is NEEDED:
            raise FormatError(f"the attribute {name} is missing")
        if given is not None and given.kind != kind:
            raise FormatError(f"the attribute {name} is {given.kind}, wanted {kind}")
        values[name] = default if given is None else given.value
    for name in node.attributes:
        if name not in form.attributes:
            known = ", ".join(form.attributes) or "none"
            raise FormatError(f"the attribute {few([name])} is not known in opset {setting.opset}; known: {known}")
    return Call(node, form, values, setting, constants)


# --- what operators check


def half(dtype: DType) -> bool:
    """Whether it is float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind in "fV"


def floats(*arrays: Array) -> None:
    """Raises FormatError unless all hold floats; halves come as float32, or to those who take them as they are."""
    for array in arrays:
        if array.dtype.kind not in "fV":
            raise FormatError(f"got {array.dtype} values, wanted floats")


def same(*arrays: Array) -> None:
    """Raises FormatError unless all are of one type."""
    if len({array.dtype for array in arrays}) > 1:
        raise FormatError(f"inputs of types {' and '.join(sorted({str(array.dtype) for array in arrays}))}, wanted one")


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise FormatError(f"axis {axis} of an array of {rank} axes")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, each once."""
    found = tuple(axis_of(axis, rank) for axis in axes)
    if len(set(found)) < len(found):
        raise FormatError(f"the axes {str(tuple(axes))[:100]} name one twice")
    return found


def ints(array: Array, what: str) -> tuple[int, ...]:
    """The numbers of a vector, or of a single number."""
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise FormatError(f"{what}: got {array.dtype} of shape {array.shape}, wanted a vector of whole numbers")
    return tuple(array.reshape(-1).tolist())


def one(array: Array, what: str) -> Any:
    """The one number of an array."""
    if array.size != 1:
        raise FormatError(f"{what}: got shape {array.shape}, wanted one number")
    return array.reshape(-1)[0].item()


def broadcast(call: Call, *arrays: Array) -> tuple[int, ...]:
    """The shape that arrays have together, small enough to be made."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    call.room(shape, max((array.dtype for array in arrays), key=lambda dtype: dtype.itemsize))
    return shape
