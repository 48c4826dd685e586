"""A look at a protobuf file before it is parsed: how many messages there are in it.

An empty message has two bytes in a file and some hundred in memory, so that a parser can be made to take fifty times what it
is given; numbers and bytes, which is what a true model consists of, take about what they have in the file.
"""

from gatewright.errors import FormatError

MESSAGES = 1 << 20  # a large network has ten thousand nodes, each with some attributes

# The fields that hold messages of which there may be many: {message: {field: message}}.
INNER = {
    "model": {7: "graph", 8: "leaf", 14: "leaf", 20: "training", 25: "function", 26: "leaf"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 14: "leaf", 15: "sparse", 16: "leaf"},
    "node": {5: "attribute", 9: "leaf", 10: "leaf"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 14: "type", 15: "type", 22: "sparse", 23: "sparse"},
    "tensor": {3: "leaf", 13: "leaf", 16: "leaf"},
    "sparse": {1: "tensor", 2: "tensor"},
    "value": {2: "type", 4: "leaf"},
    "type": {1: "array", 4: "type", 5: "type", 8: "array", 9: "type"},
    "array": {2: "shape"},
    "shape": {1: "leaf"},
    "function": {7: "node", 9: "leaf", 11: "attribute", 12: "value", 14: "leaf"},
    "training": {1: "graph", 2: "graph", 3: "leaf", 4: "leaf"},
    "leaf": dict[int, str](),
}


def check(content: bytes) -> None:
    """Raises FormatError for a file with more messages than any model has, or one that is no protobuf message at all."""
    waiting, count = [("model", 0, len(content))], 0
    while waiting:
        kind, place, stop = waiting.pop()
        inner = INNER[kind]
        while place < stop:
            key, place = _varint(content, place, stop)
            field, form = key >> 3, key & 7
            if form == 0:
                _, place = _varint(content, place, stop)
            elif form in (1, 5):
                place += 8 if form == 1 else 4
            elif form == 2:
                length, place = _varint(content, place, stop)
                if field in inner and place + length <= stop:
                    count += 1
                    if INNER[inner[field]]:
                        waiting.append((inner[field], place, place + length))
                place += length
            else:
                raise FormatError("not a whole ONNX file")
            if place > stop:
                raise FormatError("not a whole ONNX file")
            if count > MESSAGES:
                raise FormatError(f"more than {MESSAGES} messages, which no model has")


def _varint(content: bytes, place: int, stop: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte, and the place behind it."""
    value = shift = 0
    while place < stop and shift < 70:
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise FormatError("not a whole ONNX file")
