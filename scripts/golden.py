"""Records the golden files again, in a scratch folder, and compares them with the committed ones.

usage: python scripts/golden.py [NAME...]       with the bench extra installed; NAME picks record_*.py whose name contains it

A script tests/golden/record_*.py writes its files beside itself, so a copy of it writes them into the scratch folder.
Texts and whole numbers have to be equal; floats may differ by what another processor's rounding changes, relative to the
largest of their array. The frameworks' versions are told apart in the report, but don't count as a difference.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors import safe_open

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
VERSIONS = ("framework", "version", "versions")  # keys whose values say who recorded


def _json(value, prefix=""):
    """{path: leaf} of nested lists and dicts; lists of numbers are arrays."""
    if isinstance(value, dict):
        return {path: leaf for key, part in value.items() for path, leaf in _json(part, f"{prefix}/{key}").items()}
    if isinstance(value, list):
        try:
            array = np.array(value)
        except ValueError:  # ragged
            array = np.array(None)
        if array.dtype.kind in "fiu":
            return {prefix: array}
        return {path: leaf for key, part in enumerate(value) for path, leaf in _json(part, f"{prefix}/{key}").items()}
    return {prefix: np.array(value) if isinstance(value, float) else value}


def leaves(path):
    """{name: array or text} of a golden file."""
    if path.suffix == ".safetensors":
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()} | (file.metadata() or {})  # noqa: SIM118
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    return _json(json.loads(path.read_text(encoding="utf-8")))


def difference(old, new):
    """What differs between two leaves, in words, or None."""
    if not isinstance(old, np.ndarray) or not isinstance(new, np.ndarray):
        return None if type(old) is type(new) and old == new else f"{old!r} became {new!r}"
    if old.dtype != new.dtype or old.shape != new.shape:
        return f"{old.dtype} {old.shape} became {new.dtype} {new.shape}"
    if old.dtype.name not in TOLERANCE:
        return None if np.array_equal(old, new) else "the values differ"
    if not np.array_equal(np.isfinite(old), np.isfinite(new)):
        return "other values are infinite or NaN"
    tolerance = TOLERANCE[old.dtype.name]
    old, new = (np.where(np.isfinite(array), array, 0).astype(float) for array in (old, new))
    gap = np.abs(old - new).max(initial=0)
    allowed = tolerance * np.abs(old).max(initial=0)
    return None if gap <= allowed else f"differs by {gap:.2e}, allowed are {allowed:.2e}"


def compare(old, new):
    """The lines that tell how two golden files differ, and whether one of them counts."""
    before, after = leaves(old), leaves(new)
    lines, bad = [], False
    for name in sorted({*before, *after}):
        if name not in before or name not in after:
            lines.append(f"  {name}: only in the {'new' if name in after else 'committed'} file")
            bad = True
        elif said := difference(before[name], after[name]):
            about_version = name.rpartition("/")[2] in VERSIONS
            lines.append(f"  {name}: {said}" + (" (recorded by another version)" if about_version else ""))
            bad |= not about_version
    return lines, bad


def main(names):
    """Returns the exit status: 1 if a script fails, or a file differs, is missing, or nobody records it."""
    scripts = [s for s in sorted(GOLDEN.glob("record_*.py")) if not names or any(name in s.name for name in names)]
    committed = {p.name for p in GOLDEN.iterdir() if p.suffix in (".safetensors", ".npz", ".json")}
    status, path = 0, os.pathsep.join([str(GOLDEN.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as scratch:
        for script in scripts:
            print(f"{script.name} …", flush=True)
            copy = shutil.copy(script, scratch)
            status |= (
                subprocess.run([sys.executable, copy], cwd=scratch, env={**os.environ, "PYTHONPATH": path}).returncode != 0
            )
        recorded = {p.name for p in Path(scratch).iterdir() if p.suffix in (".safetensors", ".npz", ".json")}
        for name in sorted(recorded | (set() if names else committed)):
            if name not in recorded or name not in committed:
                print(f"{name}: {'no script records it' if name in committed else 'not among the committed files'}")
                status = 1
                continue
            lines, bad = compare(GOLDEN / name, Path(scratch) / name)
            print(f"{name}: {'differs' if bad else 'as committed'}", *lines, sep="\n")
            status |= bad
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
