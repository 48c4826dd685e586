"""HDF5 files, read by a child process under limits of memory and time."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
from safetensors import deserialize

from gatewright.arrays import Array
from gatewright.errors import FormatError, missing_extra
from gatewright.interop import hdf5_child

SECONDS = 60  # and a tenth of one a megabyte
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}  # safetensors' names


def read(content: bytes, *roots: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """(every array of floats under the groups `roots`, or those that layer_names has, by its path; what the attributes say).

    The second has "model_config" and "keras_version", where the file has them, "layer_names", and "weight_names", a list a
    group. Costs a quarter of a second, for the process. Raises MissingExtraError without h5py, FormatError for what is no
    whole HDF5 file.
    """
    if find_spec("h5py") is None:
        raise missing_extra("h5py", "keras", "reading Keras' files")
    # One thread: many take address space, which is bounded. No plugins: a file could ask for one.
    extra = {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    command = [sys.executable, "-P", hdf5_child.__file__, *roots]
    try:
        run = subprocess.run(
            command, input=content, capture_output=True, env={**os.environ, **extra}, timeout=SECONDS + len(content) // 10**7
        )
    except subprocess.TimeoutExpired:
        raise FormatError("not a whole HDF5 file (reading it found no end)") from None
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip().splitlines() if run.returncode == 1 else []
        raise FormatError(f"not a whole HDF5 file ({said[-1] if said else 'reading it took too much time or memory'})")
    found = dict(deserialize(run.stdout))  # type: ignore[no-untyped-call]
    about = json.loads(np.frombuffer(found.pop("json")["data"], np.uint8).tobytes())
    arrays = {name: np.frombuffer(a["data"], DTYPES[a["dtype"]]).reshape(a["shape"]) for name, a in found.items()}
    return arrays, about
