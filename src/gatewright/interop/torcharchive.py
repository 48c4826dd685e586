"""The archive that a file of torch.save is: numbers in storages, and tensors that are views of them."""

import math
import re
import struct
from io import BytesIO
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.tensors import few

BEFORE_1_6 = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # what the format before PyTorch 1.6 begins with
UNREADABLE = (BadZipFile, EOFError, OSError, RuntimeError, ValueError, OverflowError, struct.error)  # what zipfile raises
REPEATS = 16  # how often tensors may share the numbers of the file
BFLOAT16 = "bf2"  # the upper half of a float32, which NumPy has no type for
ADVICE = "wanted what torch.save(net.state_dict(), path) writes"


class Archive:
    """The members of such a file, which together are no larger than it is."""

    def __init__(self, content: bytes) -> None:
        if content.startswith(BEFORE_1_6):
            raise FormatError("the format of PyTorch before 1.6: torch.save(torch.load(path), path) writes it in today's")
        try:
            self._zip = ZipFile(BytesIO(content))
        except UNREADABLE as error:
            raise FormatError(f"not a whole file of torch.save ({few([str(error)])})") from None
        members = self._zip.infolist()
        for member in members:
            if member.compress_type != ZIP_STORED or member.flag_bits & 1 or member.compress_size != member.file_size:
                raise FormatError(f"{few([member.filename])} is compressed or encrypted, which torch.save does not do")
        self._sizes = {member.filename: member.file_size for member in members}
        if len(self._sizes) < len(members) or sum(self._sizes.values()) > len(content):
            raise FormatError("not a whole file of torch.save: two of its members have one name or one place")
        roots = [name.removesuffix("data.pkl") for name in self._sizes if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(roots) != 1 or f"{roots[0]}constants.pkl" in self._sizes:
            raise FormatError(f"an archive of another kind (torch.jit.save writes one, too), {ADVICE}")
        self._root = roots[0]
        self._read: dict[str, bytes] = {}
        self._left = REPEATS * len(content)
        order = self.member("byteorder") if f"{self._root}byteorder" in self._sizes else b"little"  # PyTorch 1 wrote none
        if order not in (b"little", b"big"):
            raise FormatError(f"byteorder: got {few([repr(order)])}, wanted little or big")
        self.order = "<" if order == b"little" else ">"

    def size(self, name: str) -> int:
        """The bytes of a member, the folder left out of its name. Raises FormatError where there is none."""
        if self._root + name not in self._sizes:
            raise FormatError(f"{few([name])} is missing in the archive")
        return self._sizes[self._root + name]

    def member(self, name: str) -> bytes:
        """What stands under `name`. Raises FormatError where it is not there, or not whole."""
        size = self.size(name)
        if name not in self._read:
            try:
                self._read[name] = self._zip.read(self._root + name)
            except UNREADABLE as error:
                raise FormatError(f"{few([name])}: not whole ({few([str(error)])})") from None
        if len(self._read[name]) != size:
            raise FormatError(f"{few([name])}: not whole (got {len(self._read[name])} bytes, wanted {size})")
        return self._read[name]

    def spend(self, size: int) -> None:
        """Counts the bytes of arrays. Raises FormatError where the file is too small to have so many."""
        self._left -= size
        if self._left < 0:
            raise FormatError(f"the tensors share their numbers more than {REPEATS} times over")


class Storage(NamedTuple):
    """Numbers in the archive, for tensors to be views of."""

    archive: Archive
    kind: str  # NumPy's, or BFLOAT16: the last digit is the bytes of a number
    key: str
    size: int  # in numbers


class Tensor(NamedTuple):
    """What a file says of a tensor: where its numbers begin, its shape and strides, counted in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Its numbers, bfloat16 as float32. Raises FormatError where they are not all in the storage."""
        archive, kind, key, size = self.storage
        item, name = int(kind[-1]), f"data/{key}"
        if archive.size(name) != size * item:
            raise FormatError(f"{few([name])}: got {archive.size(name)} bytes, wanted {size} numbers of {item} bytes")
        steps = [stride if n > 1 else 0 for n, stride in zip(self.shape, self.strides, strict=True)]
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, steps, strict=True))
        if not 0 < math.prod(self.shape) <= size or last >= size:
            raise FormatError(f"got a tensor that is empty or has more numbers than the {size} of its storage")
        archive.spend(math.prod(self.shape) * item)
        bits = "u2" if kind == BFLOAT16 else kind
        array: Array = np.ndarray(
            self.shape, archive.order + bits, archive.member(name), self.offset * item, [step * item for step in steps]
        )
        return (array.astype("u4") << 16).view("f4") if kind == BFLOAT16 else array
