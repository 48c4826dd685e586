"""Mutants of RTNeural's JSON and of safetensors files, PyTorch's and ours, read under a limit of memory.

usage: python fuzz_json.py SECONDS SEED        by hand; only FormatError and ShapeError may come out, in one short line

A mutant has flipped bytes, is cut, or its JSON, or a safetensors file's header, was changed in a place: a value for another, a
key gone or doubled, a number as large as numbers get, a list in lists.
"""

import copy
import json
import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import gatewright as gw
from gatewright.errors import FormatError, ShapeError
from gatewright.interop import tensors

ROOM = 300 << 20  # bytes of memory beyond what Python has at the start
VALUES = [
    None,
    True,
    0,
    -1,
    7,
    2**31,
    2**63,
    1e308,
    float("nan"),
    "",
    "lstm",
    "tanh",
    "F32",
    [],
    {},
    [[]],
    [0, 2**62],
    "0.W",
    "a" * 5000,
]
READERS = {"rtneural.json": gw.from_rtneural, "pytorch.safetensors": gw.from_pytorch, "gatewright.safetensors": gw.load}


def originals(folder):
    """{name: bytes} of whole files."""
    model = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.GRU(3, 3), gw.Dense(3, 2, "tanh")), seed=0)
    model.to_rtneural(folder / "rtneural.json")
    model.save(folder / "gatewright.safetensors")
    tensors.write(folder / "pytorch.safetensors", gw.Model(gw.GRU(2, 3, num_layers=2), seed=0).to_pytorch())
    return {name: (folder / name).read_bytes() for name in READERS}


def places(value, found):
    """All (container, key) in a JSON value."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found.append((value, key))
        places(item, found)
    return found


def changed(text, rng):
    """JSON with something else in it."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        found = places(value, [])
        if not found:
            break
        container, key = rng.choice(found)
        kind = rng.randrange(5)
        if kind == 0:
            del container[key]
        elif kind == 1:
            other, where = rng.choice(found)
            container[key] = json.loads(json.dumps(other[where])) if where in range(len(other)) or where in other else None
        elif isinstance(container, dict) and kind == 2:
            container[rng.choice((key + "x", "units", "weights", "__metadata__", "9"))] = container.pop(key)
        else:
            container[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(value).encode()


def mutant(name, content, rng):
    """One of a file."""
    kind = rng.randrange(4)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        return bytes(byte ^ (1 << rng.randrange(8)) if rng.random() < 2 / len(content) else byte for byte in content)
    if name.endswith(".json"):
        return changed(content, rng)
    size = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + size], content[8 + size :]
    if name.startswith("gatewright") and kind == 2:
        about = json.loads(header)
        about["__metadata__"]["gatewright"] = changed(about["__metadata__"]["gatewright"], rng).decode()
        header = json.dumps(about).encode()
    else:
        header = changed(header, rng)
    return len(header).to_bytes(8, "little") + header + rest


def main(seconds, seed):
    rng = random.Random(int(seed))
    done = {(name, what): 0 for name in READERS for what in ("read", "refused")}
    with tempfile.TemporaryDirectory() as folder:
        whole = originals(Path(folder))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            name = rng.choice(list(whole))
            path = Path(folder) / name
            path.write_bytes(content := mutant(name, whole[name], rng))
            start = time.monotonic()
            try:
                READERS[name](path)
                done[name, "read"] += 1
            except (FormatError, ShapeError) as error:
                if "\n" in str(error) or len(str(error)) >= 700 or str(path) not in str(error):
                    sys.exit(f"not one short line with the file's name: {error}")
                done[name, "refused"] += 1
            except BaseException:
                print(name, content, sep="\n")
                raise
            if time.monotonic() - start > 2:
                sys.exit(f"took too long: {content!r}")
    print(*(f"{name}: {what} {count}" for (name, what), count in done.items()), sep="\n")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(*sys.argv[1:])
