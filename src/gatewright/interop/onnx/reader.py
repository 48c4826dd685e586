"""ONNX files -> Graph. The onnx package parses; what it gives is checked before anything is made of it."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from gatewright.arrays import Array, readonly
from gatewright.errors import FormatError, MissingFileError, missing_extra
from gatewright.interop.onnx import external, wire
from gatewright.interop.onnx.external import Source
from gatewright.interop.onnx.graph import Attribute, DType, Graph, Node, Value, check
from gatewright.interop.tensors import few

OPSETS = 7, 28  # the first and the last whose operators the tables know
IR_VERSIONS = 3, 14
FILE_LIMIT = 2**31 - 1  # bytes, which is protobuf's own
RANK = 32  # axes: NumPy 2 has 64, and a few are left for what operators do
# TensorProto.DataType, by number. bfloat16 is a dtype that comes with the onnx package.
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
# The field that holds a type's numbers where raw_data does not, and what the field's numbers are.
FIELDS = {"float32": "float_data", "float64": "double_data", "int64": "int64_data", "uint32": "uint64_data"}
FIELDS |= {"uint64": "uint64_data"}
KINDS = {1: "float", 2: "int", 3: "string", 4: "tensor", 6: "floats", 7: "ints", 8: "strings"}  # AttributeProto.AttributeType
DOMAINS = ("", "ai.onnx")


def read(name: Any) -> Graph:
    """The graph in a file. Raises MissingFileError, MissingExtraError, or FormatError with the file's name."""
    path = Path(name)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    try:
        return _graph(_parse(path), Source(path, {}))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def dtype(number: int) -> DType:
    """The dtype of a number of TensorProto.DataType. Raises FormatError for those that there is none for."""
    try:
        from onnx import TensorProto, helper
    except ImportError:
        raise missing_extra("onnx", "onnx", "reading ONNX files") from None
    if number not in DTYPES:
        known = number in TensorProto.DataType.values()
        raise FormatError(f"values of type {TensorProto.DataType.Name(number) if known else number} are not supported")
    found = np.dtype(helper.tensor_dtype_to_np_dtype(number))
    if found.name != DTYPES[number]:
        raise FormatError(f"values of type {DTYPES[number]} need a newer onnx package, with ml_dtypes")
    return found


def _parse(path: Path) -> Any:
    """The ModelProto of a file."""
    try:
        import onnx
    except ImportError:
        raise missing_extra("onnx", "onnx", "reading ONNX files") from None
    size = path.stat().st_size
    if size > FILE_LIMIT:
        raise FormatError(f"{size} bytes, and a file of one protobuf message has at most {FILE_LIMIT}")
    content = path.read_bytes()
    wire.check(content)
    try:
        return onnx.ModelProto.FromString(content)
    except Exception:  # protobuf's DecodeError, whose package is onnx's business, and what else a parser may stumble on
        raise FormatError("not a whole ONNX file") from None


def _graph(model: Any, source: Source) -> Graph:
    """The checked graph of a ModelProto."""
    if not model.HasField("graph"):
        raise FormatError("not an ONNX file: there is no graph in it")
    if not IR_VERSIONS[0] <= model.ir_version <= IR_VERSIONS[1]:
        raise FormatError(f"IR version {model.ir_version}, wanted {IR_VERSIONS[0]} to {IR_VERSIONS[1]}")
    opset, found = _opset(model), model.graph
    for what, given in (
        ("functions of its own", model.functions),
        ("training_info", model.training_info),
        ("sparse initializers", found.sparse_initializer),
        ("quantization_annotation", found.quantization_annotation),
    ):
        if len(given):
            raise FormatError(f"it has {what}, which are not supported")
    constants: dict[str, Array] = {}
    for tensor in found.initializer:
        _new(tensor.name, constants, "initializer")
        constants[tensor.name] = _tensor(tensor, f"initializer {few([tensor.name])}", source)
    nodes = tuple(_node(node, index, source) for index, node in enumerate(found.node))
    graph = Graph(str(source.path), opset, nodes, _values(found.input, "input"), _values(found.output, "output"), constants)
    for name in graph.inputs.keys() & constants.keys():
        _fits(constants[name], graph.inputs[name], name)
    check(graph)
    return graph


def _opset(model: Any) -> int:
    """The version of ONNX's own operators that a file means."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if len(versions) != 1:
        raise FormatError(f"got opset versions {few(map(str, versions))} of ONNX's operators, wanted one")
    if not OPSETS[0] <= versions[0] <= OPSETS[1]:
        raise FormatError(f"opset {versions[0]} is not supported; known: {OPSETS[0]} to {OPSETS[1]}")
    return int(versions[0])


def _new(name: str, known: Iterable[str], what: str) -> None:
    if not name or not isinstance(name, str):  # protobuf gives bytes for what is no UTF-8
        raise FormatError(f"an {what} without a name")
    if name in known:
        raise FormatError(f"the {what} {few([name])} is there twice")


def _values(given: Any, what: str) -> dict[str, Value]:
    """The graph's inputs or outputs."""
    values: dict[str, Value] = {}
    for info in given:
        _new(info.name, values, what)
        place = f"{what} {few([info.name])}"
        kind = info.type.WhichOneof("value")
        if kind != "tensor_type":
            raise FormatError(f"{place}: {kind or 'nothing'} is not supported, wanted a tensor")
        tensor = info.type.tensor_type
        shape = None
        if tensor.HasField("shape"):
            shape = tuple(_size(dim, place) for dim in tensor.shape.dim)
            if len(shape) > RANK:
                raise FormatError(f"{place}: {len(shape)} axes, wanted at most {RANK}")
        try:
            values[info.name] = Value(dtype(tensor.elem_type), shape)
        except FormatError as error:
            raise FormatError(f"{place}: {error}") from None
    return values


def _size(dim: Any, place: str) -> int | str | None:
    """One axis of a shape: a number, a name, or None."""
    kind = dim.WhichOneof("value")
    if kind == "dim_value" and dim.dim_value < 0:
        raise FormatError(f"{place}: an axis of {dim.dim_value}")
    return int(dim.dim_value) if kind == "dim_value" else str(dim.dim_param) or None if kind else None


def _fits(array: Array, value: Value, name: str) -> None:
    """Raises FormatError unless an input's default is what the input is said to be."""
    sizes = zip(array.shape, value.shape or (), strict=False)
    wrong = value.shape is not None and len(value.shape) != array.ndim
    if wrong or array.dtype != value.dtype or any(isinstance(size, int) and size != n for n, size in sizes):
        raise FormatError(f"input {few([name])}: its default is {array.dtype} of shape {array.shape}, which it can't be")


# --- nodes


def _node(node: Any, index: int, source: Source) -> Node:
    """One node, its attributes as plain values."""
    found = Node(node.op_type, node.name, index, tuple(node.input), tuple(node.output), {})
    if not all(isinstance(name, str) for name in (node.op_type, node.name, *node.input, *node.output)):
        raise FormatError(f"node {index}: a name that is no text")
    if node.domain not in DOMAINS:
        raise FormatError(f"{found.place}: the domain {few([node.domain])} is not supported, only ONNX's own operators are")
    attributes: dict[str, Attribute] = {}
    for attribute in node.attribute:
        place = f"{found.place}: attribute {few([attribute.name])}"
        if attribute.name in attributes:
            raise FormatError(f"{place} is there twice")
        attributes[attribute.name] = _attribute(attribute, place, source)
    return found._replace(attributes=attributes)


def _attribute(attribute: Any, place: str, source: Source) -> Attribute:
    """One attribute's kind and value."""
    if attribute.ref_attr_name:
        raise FormatError(f"{place} refers to a function's, and functions are not supported")
    kind = KINDS.get(attribute.type)
    if kind is None:
        subgraph = "a subgraph" if attribute.type in (5, 10) else f"of type {attribute.type}"
        raise FormatError(f"{place} is {subgraph}, which is not supported")
    if kind == "tensor":
        return Attribute(kind, _tensor(attribute.t, place, source))
    if kind == "string":
        return Attribute(kind, _text(attribute.s, place))
    if kind == "strings":
        return Attribute(kind, tuple(_text(s, place) for s in attribute.strings))
    if kind in ("int", "float"):
        return Attribute(kind, attribute.i if kind == "int" else attribute.f)
    return Attribute(kind, tuple(getattr(attribute, kind)))


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FormatError(f"{place} is no text") from None


# --- tensors


def _tensor(tensor: Any, place: str, source: Source) -> Array:
    """The array, read-only, of a TensorProto. Raises FormatError unless there are just as many bytes as its shape needs."""
    try:
        return readonly(_array(tensor, source))
    except FormatError as error:
        raise FormatError(f"{place}: {error}") from None


def _array(tensor: Any, source: Source) -> Array:
    kind, shape = dtype(tensor.data_type), tuple(tensor.dims)
    if len(shape) > RANK or any(size < 0 for size in shape):
        raise FormatError(f"the shape {str(shape)[:100]} is impossible")
    if tensor.HasField("segment"):
        raise FormatError("a segment of a larger tensor, which is not supported")
    count = math.prod(shape)
    fields = {*FIELDS.values(), "int32_data", "string_data"}
    told = [name for name in sorted(fields) if len(getattr(tensor, name))]
    told += ["raw_data"] if tensor.HasField("raw_data") else []
    told += ["external_data"] if tensor.data_location == 1 else []
    if len(told) > 1 or (tensor.external_data and tensor.data_location != 1):
        raise FormatError(f"its numbers are in {' and '.join(told) or 'several places'}, wanted one place")
    if told == ["external_data"]:
        return _from_bytes(external.read(tensor.external_data, source, count * kind.itemsize), kind, shape)
    if told == ["raw_data"]:
        return _from_bytes(tensor.raw_data, kind, shape)
    field = FIELDS.get(kind.name, "int32_data")
    if told not in ([], [field]) or len(getattr(tensor, field)) != count:
        found = sum(len(getattr(tensor, name)) for name in told)
        raise FormatError(f"{found} numbers in {told[0] if told else field}, wanted {count} in {field} for the shape {shape}")
    return _from_field(getattr(tensor, field), kind).reshape(shape)


def _from_bytes(content: bytes, kind: DType, shape: tuple[int, ...]) -> Array:
    """The array of little-endian bytes."""
    if len(content) != math.prod(shape) * kind.itemsize:
        raise FormatError(f"{len(content)} bytes, wanted {math.prod(shape) * kind.itemsize} for {kind.name} of shape {shape}")
    if kind.kind == "b" and content.strip(b"\0\1"):
        raise FormatError("bools other than 0 and 1")
    return np.frombuffer(content, kind.newbyteorder("<") if kind.kind != "V" else kind).astype(kind, copy=False).reshape(shape)


def _from_field(given: Any, kind: DType) -> Array:
    """The numbers of a repeated field, which may be wider than they: halves are there as their bits."""
    if kind.name in ("float16", "bfloat16"):
        return _from_field(given, np.dtype(np.uint16)).view(kind)
    if kind.kind == "f":
        return np.array(given, kind)
    wide = np.array(given, np.uint64 if kind.kind == "u" and kind.itemsize > 2 else np.int64)
    narrow = wide.astype(kind)
    if not np.array_equal(narrow.astype(wide.dtype), wide):
        raise FormatError(f"numbers that are no {kind.name}")
    return narrow
