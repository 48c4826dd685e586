"""Mutants of files that torch.save wrote, read under a limit of memory: only FormatError may come out.

usage: python fuzz_torchfile.py GOLDEN FILE COUNT SEED        GOLDEN: torch_files.safetensors; FILE: where mutants are written

A mutant has flipped bits, or is cut, or its pickle's instructions were changed, doubled, dropped or shuffled, and the archive
made anew around it, so that the checksums are right. Prints how many were read and how many refused.
"""

import io
import itertools
import pickletools
import random
import resource
import sys
import warnings
import zipfile
from pathlib import Path

from safetensors.numpy import load_file

from gatewright.errors import FormatError
from gatewright.interop import tensors, torchfile

ROOM = 200 << 20  # bytes of memory beyond what Python has at the start
EXTRA = [
    b"(",
    b"t",
    b"}",
    b")",
    b"u",
    b"s",
    b"b",
    b"R",
    b"Q",
    b"h\x00",
    b"q\x00",
    b"e",
    b"]",
    b"N",
    b"K\x07",
    b"\x8a\x08" + b"\x7f" * 8,
]


def flipped(content, rng):
    """Some bits the other way round."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 3, 20))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def instructions(content):
    """The pieces that a pickle is made of."""
    places = [place for _, _, place in pickletools.genops(content)] + [len(content)]
    return [content[start:stop] for start, stop in itertools.pairwise(places)]


def rearranged(content, rng):
    """Other instructions, or the same elsewhere."""
    pieces = instructions(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        here, there = rng.randrange(1, len(pieces)), rng.randrange(1, len(pieces))
        kind = rng.randrange(5)
        if kind == 0:
            pieces[here] = rng.choice(EXTRA)
        elif kind == 1:
            pieces.insert(here, pieces[there])
        elif kind == 2 and len(pieces) > 2:
            del pieces[here]
        elif kind == 3:
            pieces[here], pieces[there] = pieces[there], pieces[here]
        else:
            pieces[here] = flipped(pieces[here], rng)
    return b"".join(pieces)


def mutant(content, rng):
    """One of a file."""
    kind = rng.randrange(6)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        return flipped(content, rng)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            member = old.read(name)
            if name.endswith("data.pkl"):
                member = flipped(member, rng) if kind == 2 else rearranged(member, rng)
            new.writestr(name, member)
    return file.getvalue()


def main(golden, file, count, seed):
    rng = random.Random(int(seed))
    originals = [array.tobytes() for name, array in sorted(load_file(golden).items()) if name.endswith("/file")]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    done = {"read": 0, "refused": 0}
    for _ in range(int(count)):
        Path(file).write_bytes(mutant(rng.choice(originals), rng))
        try:
            tensors.read(torchfile.read(file), rng.choice(("", "", "model_state_dict", "optimizer_state_dict")))
        except FormatError as error:
            if "\n" in str(error) or len(str(error)) >= 600:
                sys.exit(f"not one short line: {error}")
            done["refused"] += 1
        else:
            done["read"] += 1
    print(done["read"], done["refused"])


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(*sys.argv[1:])
