"""Reads an HDF5 file in a process of its own, for some broken ones hang the library or make it take all memory.

`python hdf5_child.py ROOT ROOT …` takes the file from the standard input and gives on the standard output, as safetensors,
every array of floats under the groups ROOT by its path, and under "json" what the attributes say. Of a file with an attribute
layer_names all groups count that it names. An error is one line on the standard error. It imports nothing of gatewright, so
that it starts faster.
"""

import json
import sys
from typing import Any

DEPTH = 12  # groups inside each other
TEXTS = ("model_config", "keras_version")


def limit(size: int, seconds: int) -> None:
    """Bounds this process' memory and processor time, where the system can do that."""
    if sys.platform != "win32":
        import contextlib
        import resource

        for kind, most in ((resource.RLIMIT_AS, 2**30 + 6 * size), (resource.RLIMIT_CPU, seconds)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))


def read(content: bytes, roots: list[str]) -> bytes:
    """The arrays and attributes of an HDF5 file, as safetensors. Raises whatever the library does, and ValueError."""
    import io

    import h5py
    import numpy as np
    from safetensors.numpy import save

    found: dict[str, Any] = {}
    lists: dict[str, list[str]] = {}
    left = len(content)  # Keras compresses nothing: all numbers stand in the file

    def names(group: Any, key: str) -> list[str]:
        """A list of names, in parts where it is long."""
        parts = [group.attrs[key]] if key in group.attrs else []
        while f"{key}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{key}{len(parts)}"])
        return [name.decode() if isinstance(name, bytes) else str(name) for part in parts for name in part]

    def walk(group: Any, path: str, depth: int) -> None:
        nonlocal left
        if depth > DEPTH:
            raise ValueError("groups inside each other without end")
        if "weight_names" in group.attrs or "weight_names0" in group.attrs:
            lists[path] = names(group, "weight_names")
        for name in group:
            here = f"{path}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{here[:100]} is a link to elsewhere")
            item = group[name]
            left -= 8  # so that many empty things end too
            if isinstance(item, h5py.Group):
                walk(item, here, depth + 1)
            elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu" or item.external or item.is_virtual:
                raise ValueError(f"{here[:100]} is no plain array of numbers")
            elif item.dtype.kind == "f":  # whole numbers are counters and seeds
                left -= item.size * item.dtype.itemsize
                if left < 0:
                    raise ValueError(f"{here[:100]}: more numbers than the file has room for")
                here = here.replace("\\", "/")  # Keras 2 wrote paths so on Windows
                if here in found or here.count("/") > 2 * DEPTH:
                    raise ValueError(f"{here[:100]} is there twice, or in groups without end")
                found[here] = np.ascontiguousarray(item[()], item.dtype.newbyteorder("="))

    with h5py.File(io.BytesIO(content), "r") as file:
        texts = {key: file.attrs[key] for key in TEXTS if key in file.attrs}
        texts = {key: text.decode() if isinstance(text, bytes) else str(text) for key, text in texts.items()}
        layers = names(file, "layer_names")
        for name in file:
            if name.split("\\")[0] in roots or name in layers:
                if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Group):
                    raise ValueError(f"{name[:100]} is no group")
                walk(file[name], name, 0)
    about = json.dumps({**texts, "layer_names": layers, "weight_names": lists}).encode()
    return save({**found, "json": np.frombuffer(about, np.uint8)})


def main() -> int:
    """Returns the exit status."""
    content = sys.stdin.buffer.read()
    limit(len(content), 20 + len(content) // 10**7)
    try:
        result = read(content, sys.argv[1:])
    except Exception as error:
        print(" ".join(str(error).split())[:200] or type(error).__name__, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
