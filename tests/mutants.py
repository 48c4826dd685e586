"""Mutants of a forecaster's file: its header or its description changed in a place, bits flipped, its end cut off."""

import copy
import json

VALUES = [
    None, True, 0, -1, 1, 7, 2**31, 2**63, 10**400, 1e308, -0.5, float("nan"), float("inf"), "", "y", "gru", [], {}, [[]],
    "log", ["y", "y"], [0, 2**62], {"kind": "log", "mean": 0, "std": 0}, "a" * 5000,
]  # fmt: skip


def places(value):
    """Every (container, key) in a JSON value."""
    found, waiting = [], [value]
    while waiting:
        here = waiting.pop()
        for key in here if isinstance(here, dict) else range(len(here)):
            found.append((here, key))
            if isinstance(here[key], dict | list):
                waiting.append(here[key])
    return found


def changed(text, rng):
    """JSON with something else in some places."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        found = places(value)
        if not found:
            break
        (here, key), (there, other) = rng.choice(found), rng.choice(found)
        kind = rng.randrange(6)
        if kind == 0:
            del here[key]
        elif kind == 1:
            here[key] = copy.deepcopy(there[other])
        elif kind == 2 and isinstance(here, dict):
            here[rng.choice((key + "x", "window", "kind", "9"))] = here.pop(key)
        elif kind == 3 and isinstance(here[key], int | float) and not isinstance(here[key], bool):
            here[key] *= rng.choice((-1, 2, 0.5, 10**9, 10**40) if abs(here[key]) < 1e200 else (-1, 2))
        elif kind == 4 and isinstance(here, list):
            here.append(copy.deepcopy(here[key]))
        else:
            here[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(value)


def mutant(content, rng):
    """One of a whole file: bytes."""
    kind = rng.randrange(8)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        flipped = bytearray(content)
        for _ in range(rng.choice((1, 1, 3, 30))):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    size = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + size].decode(), content[8 + size :]
    if kind == 2:
        header = changed(header, rng)
    else:
        about = json.loads(header)
        about["__metadata__"]["gatewright"] = changed(about["__metadata__"]["gatewright"], rng)
        header = json.dumps(about)
    return len(header.encode()).to_bytes(8, "little") + header.encode() + rest
