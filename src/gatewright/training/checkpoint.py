"""Checkpoints: everything that decides how training goes on, in one file that is never half written."""

import functools
import os
import platform
import re
import warnings
import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from gatewright import files
from gatewright.arrays import Array
from gatewright.checks import whole_number
from gatewright.errors import FormatError, OptionError
from gatewright.layers import Layer
from gatewright.parameters import Parameters
from gatewright.steps import Steps
from gatewright.training.batches import Data

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class ResumeWarning(UserWarning):
    """The training goes on with another NumPy, BLAS, number of threads or kind of processor: the last bits may differ."""


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often training is kept, as `checkpoint.safetensors` in `folder`.

    After each `every_epochs` epochs, also after each `every_updates` updates if given, and at the end. `resume=True` goes on
    from it, or begins where there is none yet; without `resume` a checkpoint that is already there is an OptionError, as
    an impossible value is. The folder is made where it is missing. A file that is not a checkpoint is a FormatError, one of
    another training run an OptionError, one whose options differ included. There a function is its code, its defaults and the
    values that it encloses (bytecode: another Python's is another function), and an object of your own is its repr.
    """

    folder: str | Path
    every_epochs: int = 1
    every_updates: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str | Path) or not str(self.folder):
            raise OptionError(f"checkpoint: got {self.folder!r}, wanted the name of a folder, or gw.Checkpoint(folder)")
        whole_number("Checkpoint: every_epochs", self.every_epochs)
        if self.every_updates is not None:
            whole_number("Checkpoint: every_updates", self.every_updates)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.folder) / "checkpoint.safetensors"

    def prepare(self, resume: bool) -> None:
        """Makes the folder and removes what killed writes left in it; raises OptionError rather than lose a checkpoint."""
        import tempfile  # slow to load, and only training needs it

        folder = self.path.parent
        try:
            if self.path.exists() and not resume:
                raise OptionError(
                    f"{self.path} is there already: resume=True goes on from it; or use another folder, or remove it"
                )
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise OptionError(f"checkpoint: {folder} can't be written to: {error.strerror}") from None
        for left in folder.glob(f".{self.path.name}.*"):
            left.unlink(missing_ok=True)

    def save(self, tensors: dict[str, Array], progress: dict[str, Any], setup: dict[str, str]) -> None:
        """Writes tensors and JSON values, with the set-up of the training and of the machine."""
        description = {"checkpoint": progress, "setup": setup, "machine": machine()}
        files.save(self.path, tensors, description, sync=True)

    def load(self, setup: dict[str, str]) -> tuple[dict[str, Array], dict[str, Any]]:
        """(tensors, JSON values) as `save` got them.

        Raises FormatError for a file that is not a checkpoint, OptionError naming what differs for one of another set-up. Warns
        with ResumeWarning if the machine's arithmetic may differ.
        """
        tensors, description = files.load(self.path)
        if not all(isinstance(description.get(key), dict) for key in ("checkpoint", "setup", "machine")):
            raise FormatError(f"{self.path}: a file of gatewright's, but not a checkpoint")
        then = description["setup"]
        for key in [*setup, *then]:
            if setup.get(key) != then.get(key):
                raise OptionError(
                    f"{self.path} belongs to another training run: "
                    f"{key} was {_short(then.get(key))}, and is {_short(setup.get(key))}"
                )
        was, now = description["machine"], machine()
        changes = [f"{key} was {was.get(key)}, and is {now[key]}" for key in now if now[key] != was.get(key)]
        if changes:
            # Level 5 is the caller of model.fit: load, begin, trainer.fit and model.fit stand between.
            warnings.warn(f"{self.path}: {'; '.join(changes)}: the last bits may differ", ResumeWarning, stacklevel=5)
        return tensors, description["checkpoint"]


def get(checkpoint: Any) -> Checkpoint | None:
    """The Checkpoint that is meant: one, the name of a folder, or None."""
    return checkpoint if checkpoint is None or isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


def machine() -> dict[str, str]:
    """What the last bits depend on: NumPy, BLAS, its threads and the kind of processor."""
    return {"numpy": np.__version__, "processor": platform.machine()} | _blas()


def _blas() -> dict[str, str]:
    try:
        import threadpoolctl
    except ImportError:
        built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return {
            "blas": f"{built.get('name')} {built.get('version')}",
            "threads": ", ".join(f"{name}={os.environ.get(name)}" for name in THREADS),
        }
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return {
        "blas": ", ".join(f"{pool['internal_api']} {pool['version']}" for pool in pools),
        "threads": ", ".join(str(pool["num_threads"]) for pool in pools),
    }


def told(value: Any) -> str:
    """A value as a text that is the same in every process, and another for another value.

    Arrays are told by their checksum; functions by that of their code, defaults and enclosed values, not of the global names
    that they use; objects of one's own by their repr where they have one.
    """
    return value if isinstance(value, str) else _described(value, ())


def _described(value: Any, outer: tuple[Any, ...]) -> str:
    """`value` as a text; `outer` are the functions that it is enclosed in."""
    if isinstance(value, np.ndarray):
        return _told_array(value)
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_described(item, outer)}' for key, item in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"({', '.join(_described(item, outer) for item in value)})"
    if isinstance(value, Set):  # their order is another one in each process
        return f"{{{', '.join(sorted(_described(item, outer) for item in value))}}}"
    if isinstance(value, functools.partial):
        return f"partial{_described((value.func, value.args, value.keywords), outer)}"
    if is_dataclass(value):
        options = (f"{f.name}={_described(getattr(value, f.name), outer)}" for f in fields(value))
        return f"{type(value).__qualname__}({', '.join(options)})"
    if hasattr(value, "__code__"):
        return _told_function(value, outer)
    if repr(value) == object.__repr__(value):
        return type(value).__qualname__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _told_function(function: Any, outer: tuple[Any, ...]) -> str:
    name = str(function.__qualname__)
    if function in outer:  # it calls itself
        return name
    enclosed = [cell.cell_contents for cell in function.__closure__ or ()]
    parts = (_told_code(function.__code__), function.__defaults__, function.__kwdefaults__, enclosed)
    return f"{name} (checksum {zlib.crc32(_described(parts, (*outer, function)).encode()):08x})"


def _told_code(code: CodeType) -> tuple[Any, ...]:
    constants = [_told_code(each) if isinstance(each, CodeType) else each for each in code.co_consts]
    return code.co_code, code.co_names, constants


def setup(layer: Layer, params: Parameters, data: tuple[Data, Data | None]) -> dict[str, str]:
    """What a training is of: the network, its parameters, the data and the validation data, as texts."""
    frozen = [name for name, free in params.trainable.items() if not free]
    said = {"network": repr(layer), "dtype": params.dtype.name, "the frozen parameters": ", ".join(frozen) or "none"}
    for prefix, given in zip(("", "validation "), data, strict=True):
        x, y, steps, weight = given or (None, None, None, None)
        arrays = {"x": x, "y": y, "sample_weight": weight, **(steps or Steps())._asdict()}
        said |= {prefix + name: _told_array(array) for name, array in arrays.items()}
    return said


def _told_array(array: Any) -> str:
    if array is None:
        return "None"
    array = np.asarray(array)
    return f"{array.shape} {array.dtype} (checksum {zlib.crc32(np.ascontiguousarray(array).data):08x})"


def generator_state(rng: np.random.Generator) -> Any:
    """The state of a random generator as a JSON value."""
    return _plain(rng.bit_generator.state)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _short(text: Any) -> str:
    text = str(text)
    return text if len(text) <= 100 else f"{text[:60]} … {text[-30:]}"
