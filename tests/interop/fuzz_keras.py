"""Mutants of files that Keras wrote, read under limits of memory and time: only FormatError may come out.

usage: python fuzz_keras.py FOLDER SECONDS SEED        FOLDER: where mutants are written

A mutant has flipped bits, or is cut; or its configuration has other values in some places, parts doubled, dropped or exchanged;
or a member of the zip is a bomb; or the HDF5 inside is broken while the zip is whole. HDF5 that is whole is read here, for a
process of its own for every file takes a tenth of a second. Prints how many were read, how many refused, and the longest time
that one took.
"""

import io
import json
import random
import resource
import sys
import time
import warnings
import zipfile
from pathlib import Path

import h5py

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras_goldens
from mutants import places

import gatewright as gw
from gatewright.errors import FormatError
from gatewright.interop import hdf5

ROOM = 400 << 20  # bytes of memory beyond what Python has at the start
LONGEST = 60  # seconds for one file
VALUES = [None, True, False, -1, 0, 1, 2, 3, 2**31, 2**70, -0.5, 1e300, float("nan"), float("inf"), "", "LSTM", "Dense", "x",
          "tanh", [], [[]], [None], {}, {"config": {}}, {"class_name": "LSTM", "config": {}}, ["lstm", 0, 0], "a" * 100_000,
          [0] * 1000]  # fmt: skip


def flipped(content, rng):
    """Some bits the other way round, in one place or many."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 3, 20, 100))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def edited(text, rng):
    """Another configuration."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        known = places(value)
        if not known:
            break
        (here, key), (there, other) = rng.choice(known), rng.choice(known)
        kind = rng.randrange(6)
        if kind == 0:
            here[key] = json.loads(json.dumps(rng.choice(VALUES)))  # its own
        elif kind == 1:
            here[key] = json.loads(json.dumps(there[other]))
        elif kind == 2:
            first, second = json.dumps(here[key]), json.dumps(there[other])
            here[key], there[other] = json.loads(second), json.loads(first)
        elif kind == 3 and isinstance(here, list):
            here.append(json.loads(json.dumps(here[key])))
        elif kind == 4:
            here.pop(key)
        elif isinstance(here[key], int | float) and not isinstance(here[key], bool):
            here[key] *= rng.choice((-1, 2, 10**9, 0.5))
    return json.dumps(value).encode()


def rezipped(content, rng):
    """(a .keras file with one member changed, whether the HDF5 in it is whole)."""
    target = rng.choice(("config.json", "config.json", "config.json", "model.weights.h5", "metadata.json"))
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", rng.choice((0, 8))) as new:
        for name in old.namelist():
            member = old.read(name)
            if name == target:
                member = flipped(member, rng) if name.endswith("h5") or rng.random() < 0.1 else edited(member, rng)
                if rng.random() < 0.02:
                    member += bytes(1 << 26)  # which deflates to nothing
            new.writestr(name, member)
    return file.getvalue(), target != "model.weights.h5"


def mutant(name, content, rng):
    """(one of a file, whether the HDF5 in it is whole)."""
    kind = rng.randrange(100)
    if kind == 0:
        return content[: rng.randrange(len(content))], False
    if kind < 3 or name.endswith(".weights.h5"):
        return flipped(content, rng), False
    return rezipped(content, rng) if name.endswith(".keras") else (described(content, rng), True)


def described(content, rng):
    """A whole model's .h5 file that says another configuration."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as h5:
        text = edited(h5.attrs["model_config"], rng)
        del h5.attrs["model_config"]
        h5.attrs["model_config"] = text[:60_000]  # an attribute holds no more
    return file.getvalue()


class Reader:
    """hdf5.read, without a process of its own for files that are whole."""

    def __init__(self):
        self.whole = False

    def __call__(self, content, *roots):
        return (keras_goldens.here if self.whole else keras_goldens.REAL)(content, *roots)


def main(folder, seconds, seed):
    rng = random.Random(int(seed))
    originals = sorted(keras_goldens.files().items())
    networks = [gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 2)), gw.Sequential(gw.Conv1D(2, 3, 4), gw.BatchNorm(3), gw.GRU(3, 2))]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    hdf5.read = reader = Reader()
    done, end, longest = {"read": 0, "refused": 0}, time.monotonic() + float(seconds), 0.0
    while time.monotonic() < end:
        name, content = rng.choice(originals)
        path = Path(folder, f"mutant{Path(name).suffix}")
        data, reader.whole = mutant(name, content, rng)
        path.write_bytes(data)
        network = rng.choice(networks) if name.endswith(".weights.h5") else None
        begin = time.monotonic()
        try:
            gw.from_keras(path, network=network)
        except FormatError as error:
            if "\n" in str(error) or len(str(error)) >= 600:
                sys.exit(f"not one short line: {error}")
            done["refused"] += 1
        else:
            done["read"] += 1
        took = time.monotonic() - begin
        longest = max(longest, took)
        if took > LONGEST:
            sys.exit(f"{path}: {took} s")
    print(done["read"], done["refused"], f"{longest:.1f} s for the slowest")


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    main(*sys.argv[1:])
