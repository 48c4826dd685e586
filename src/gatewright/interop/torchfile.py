"""Files that torch.save wrote -> the dicts and tensors in them, without PyTorch.

Such a file is a zip archive of uncompressed members: `NAME/data.pkl`, a pickle of dicts, numbers, texts and tensors, and
`NAME/data/KEY`, the raw numbers of a storage, of which tensors are views. A pickle is a program; here only those of its
instructions are carried out that a state dict is made of, on values that are checked first, and nothing of Python is called.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gatewright.arrays import Array
from gatewright.errors import FormatError, MissingFileError
from gatewright.interop.tensors import few
from gatewright.interop.torcharchive import ADVICE, BFLOAT16, Archive, Storage, Tensor

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
ZIP = b"PK\x03\x04"
LONGEST = 4 << 20  # bytes of data.pkl; a tensor takes about 150
DEEPEST = 10_000  # values that wait on the stack; of a dict's there are never more than 2,000
RANK = 8
KINDS = {  # of storages
    **{"torch.DoubleStorage": "f8", "torch.FloatStorage": "f4", "torch.HalfStorage": "f2", "torch.BFloat16Storage": BFLOAT16},
    **{"torch.LongStorage": "i8", "torch.IntStorage": "i4", "torch.ShortStorage": "i2", "torch.CharStorage": "i1"},
    **{"torch.ByteStorage": "u1", "torch.BoolStorage": "b1"},
}
DICT, TENSOR, PARAMETER = "collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"


def is_one(source: Any) -> bool:
    """Whether `source` is the path of a file for `read`: by its name, or by what it begins with."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    if path.suffix.lower() in SUFFIXES or not path.is_file():
        return path.suffix.lower() in SUFFIXES
    with path.open("rb") as file:
        return file.read(len(ZIP)) == ZIP


def read(source: Any) -> dict[str, Any]:
    """The dict in a file that torch.save wrote. Its tensors, however deep in it, become arrays by np.asarray.

    Raises MissingFileError or FormatError, also later, when an array is asked for: whether a tensor's numbers are there, and
    are what the file says, is looked at only then. All else in the dict refuses to become one.
    """
    path = Path(source)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    archive = Archive(path.read_bytes())
    if archive.size("data.pkl") > LONGEST:
        raise FormatError(f"data.pkl: got {archive.size('data.pkl')} bytes, a state dict's are at most {LONGEST}")
    value = Program(archive.member("data.pkl"), archive).run()
    if not isinstance(value, dict) or any(not isinstance(name, str) for name in value):
        raise FormatError(f"got {_told(value)}{' without names' * isinstance(value, dict)}, {ADVICE}")
    return value


class Other:
    """A value of a file that is no tensor and no dict: kept is what it was, in words."""

    def __init__(self, told: str) -> None:
        self.told = told

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        raise FormatError(f"got {self.told}, wanted a tensor")


class Name(NamedTuple):
    """A class or function of Python, by its full name: nothing but the name is here."""

    text: str


class Program:
    """A pickle, protocol 2, and the values that its instructions have made so far.

    run() carries out the instructions. Each takes the values on top of the stack, or those above the last mark, and puts one
    on it; the memo keeps values by number, for later use. All are None, bools, numbers, texts, tuples, dicts, and the classes
    above. A list is an `Other`: no state dict has one, and what stands beside it is not asked for.
    """

    def __init__(self, content: bytes, archive: Archive) -> None:
        self.content, self.archive, self.at = content, archive, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that the whole program makes."""
        if (start := self.take(2)) != b"\x80\x02":
            raise FormatError(f"data.pkl: begins with {start!r}, wanted protocol 2, with which torch.save writes by default")
        while (code := self.take(1)) != b".":
            if code in MAKE:
                self.stack.append(MAKE[code](self))
            elif code in CHANGE:
                CHANGE[code](self)
            else:
                raise FormatError(f"data.pkl: instruction {UNKNOWN.get(code, code)} at byte {self.at - 1}, {ADVICE}")
            if len(self.stack) + len(self.marks) > DEEPEST:
                raise FormatError(f"data.pkl: more than {DEEPEST} values at once, {ADVICE}")
        value = self.pop()
        if self.stack or self.marks or self.at < len(self.content):
            raise FormatError("data.pkl: there is more after its end")
        return value

    # --- what the instructions say

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > len(self.content) - self.at:
            raise FormatError("data.pkl: ends in the middle of an instruction")
        self.at += size
        return self.content[self.at - size : self.at]

    def number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def long(self) -> int:
        size = self.number(1)
        if size > 8:
            raise FormatError(f"data.pkl: an integer of {size} bytes")
        return self.number(size, signed=True)

    def text(self) -> str:
        try:
            return self.take(self.number(4)).decode()
        except UnicodeDecodeError:
            raise FormatError("data.pkl: a text that is not UTF-8") from None

    def name(self) -> Name:
        end = self.content.find(b"\n", self.content.find(b"\n", self.at) + 1) + 1
        text = self.take(max(end - self.at, 1))[:-1].decode(errors="replace").replace("\n", ".")
        if text not in KINDS and text not in (DICT, TENSOR, PARAMETER):
            raise FormatError(f"holds a Python object, {few([text])}, and only tensors and dicts are read: {ADVICE}")
        return Name(text)

    # --- what they take and change

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise FormatError("data.pkl: an instruction lacks its value")
        return self.stack.pop()

    def several(self, count: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(count)][::-1])

    def above_mark(self) -> list[Any]:
        if not self.marks:
            raise FormatError("data.pkl: an instruction lacks its mark")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def keep(self, number: int) -> None:
        self.memo[number] = self.top(object)

    def kept(self, number: int) -> Any:
        if number not in self.memo:
            raise FormatError(f"data.pkl: nothing is kept under {number}")
        return self.memo[number]

    def top(self, kind: type[Any]) -> Any:
        """The topmost value, which stays; it has to be of a kind."""
        value = self.pop()
        if not isinstance(value, kind):
            raise FormatError(f"data.pkl: an instruction would change {_told(value)}")
        self.stack.append(value)
        return value

    def put(self, items: list[Any] | tuple[Any, ...]) -> None:
        """Puts (key, value, key, value …) into the dict on top."""
        found = self.top(dict)
        if len(items) % 2:
            raise FormatError("data.pkl: a key without its value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise FormatError(f"data.pkl: {_told(key)} as a key of a dict")
            if key in found:
                raise FormatError(f"data.pkl: the key {few([str(key)])} is there twice")
            found[key] = value if isinstance(value, Tensor | dict) else Other(_told(value))

    def build(self) -> None:
        """Attributes of the dict on top. PyTorch's `_metadata`, the versions of the modules, says nothing of the numbers."""
        state = self.pop()
        self.top(dict)
        if not isinstance(state, dict) or state.keys() != {"_metadata"}:
            raise FormatError(f"data.pkl: attributes of a dict other than _metadata, {ADVICE}")

    def append(self, items: list[Any] | tuple[Any, ...]) -> None:
        """Puts values into the list on top, which does not keep them."""
        self.top(Other)

    # --- what a call of a function would give

    def storage(self) -> Storage:
        """Of the id ("storage", type, key, device, count)."""
        match self.pop():
            case ("storage", Name(kind), str(key), str(), int(count)) if kind in KINDS and count >= 0:
                return Storage(self.archive, KINDS[kind], key, count)
        raise FormatError("data.pkl: the id of a storage makes no sense")

    def called(self) -> Any:
        """What the function that was named gives for its arguments."""
        function, arguments = self.several(2)
        match function, arguments:
            case Name(text), () if text == DICT:
                return {}
            case Name(text), (Tensor() as tensor, bool(), dict()) if text == PARAMETER:
                return tensor
            case Name(text), (Storage() as storage, offset, tuple(shape), tuple(strides), bool(), dict()) if text == TENSOR:
                numbers = (offset, *shape, *strides)
                if len(shape) == len(strides) <= RANK and all(type(n) is int and n >= 0 for n in numbers):
                    return Tensor(storage, offset, shape, strides)
        raise FormatError(f"data.pkl: {_told(function)} with arguments that make no sense, or are not known")


MAKE: dict[bytes, Callable[[Program], Any]] = {  # instructions that put a value on the stack, in the words of pickletools
    b"N": lambda p: None,  # NONE
    b"\x88": lambda p: True,  # NEWTRUE
    b"\x89": lambda p: False,  # NEWFALSE
    b"K": lambda p: p.number(1),  # BININT1
    b"M": lambda p: p.number(2),  # BININT2
    b"J": lambda p: p.number(4, signed=True),  # BININT
    b"\x8a": lambda p: p.long(),  # LONG1
    b"G": lambda p: struct.unpack(">d", p.take(8))[0],  # BINFLOAT
    b"X": lambda p: p.text(),  # BINUNICODE
    b"}": lambda p: {},  # EMPTY_DICT
    b"]": lambda p: Other("a list"),  # EMPTY_LIST
    b")": lambda p: (),  # EMPTY_TUPLE
    b"\x85": lambda p: p.several(1),  # TUPLE1
    b"\x86": lambda p: p.several(2),  # TUPLE2
    b"\x87": lambda p: p.several(3),  # TUPLE3
    b"t": lambda p: tuple(p.above_mark()),  # TUPLE
    b"h": lambda p: p.kept(p.number(1)),  # BINGET
    b"j": lambda p: p.kept(p.number(4)),  # LONG_BINGET
    b"c": lambda p: p.name(),  # GLOBAL
    b"Q": lambda p: p.storage(),  # BINPERSID
    b"R": lambda p: p.called(),  # REDUCE
}
CHANGE: dict[bytes, Callable[[Program], None]] = {  # instructions that change what is there
    b"(": lambda p: p.mark(),  # MARK
    b"q": lambda p: p.keep(p.number(1)),  # BINPUT
    b"r": lambda p: p.keep(p.number(4)),  # LONG_BINPUT
    b"a": lambda p: p.append(p.several(1)),  # APPEND
    b"e": lambda p: p.append(p.above_mark()),  # APPENDS
    b"s": lambda p: p.put(p.several(2)),  # SETITEM
    b"u": lambda p: p.put(p.above_mark()),  # SETITEMS
    b"b": lambda p: p.build(),  # BUILD
}
UNKNOWN = {  # the names of some that stand in other pickles
    **{b"i": "INST", b"o": "OBJ", b"\x81": "NEWOBJ", b"\x92": "NEWOBJ_EX", b"\x93": "STACK_GLOBAL", b"P": "PERSID"},
    **{b"\x82": "EXT1", b"\x83": "EXT2", b"\x84": "EXT4", b"\x95": "FRAME", b"\x94": "MEMOIZE", b"B": "BINBYTES"},
}


def _told(value: Any) -> str:
    """What a value is, in words."""
    names = {Tensor: "a tensor", dict: "a dict", tuple: "a tuple", str: "a text", bool: "a bool", int: "a number"}
    names |= {float: "a number", Storage: "a storage"}
    if isinstance(value, Name):
        return value.text
    return value.told if isinstance(value, Other) else names.get(type(value), "nothing")
