"""Makes the library (see `library.py`): every kernel of the catalogue for every width of a kind of machine, then linked."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from gatewright.errors import GatewrightError
from gatewright.kernels import backend, catalogue, library, processor
from gatewright.kernels.emitter import Emitter
from gatewright.kernels.target import TARGETS, machine

PROCESSORS = {  # by machine: what each width is compiled for
    "x86_64": {16: ("x86-64-v4", "-prefer-256-bit"), 8: ("x86-64-v3", "")},
    "aarch64": {4: ("generic", "")},
}
BASELINE = {"x86_64": ("x86-64", ""), "aarch64": ("generic", "")}  # runs on every machine of a kind
LINKERS = ("cc", "ld", "ld.lld")
FOREIGN = "aarch64-unknown-linux-gnu"


class BuildError(GatewrightError):
    """What stands in the way of a library."""


def build(folder: Path) -> Path:
    """Makes the library of this machine's kind in a folder, under a temporary name first; returns where it is.

    Raises BuildError where no linker is found or it fails, OSError where the folder can't be written.
    """
    linker = next(filter(None, map(shutil.which, LINKERS)), None)
    if linker is None:
        raise BuildError(f"no linker found: tried {', '.join(LINKERS)}; on Debian `apt-get install binutils` brings ld")
    if machine() not in PROCESSORS:
        raise BuildError(f"no kernels are generated for {machine()}")
    with tempfile.TemporaryDirectory(prefix=".gatewright-", dir=folder) as scratch:
        files = []
        for k, content in enumerate(objects(machine(), backend.default_triple())):
            files.append(Path(scratch, f"{k}.o"))
            files[-1].write_bytes(content)
        made = Path(scratch, library.file_name())
        run = subprocess.run([linker, "-shared", "-o", str(made), *map(str, files)], capture_output=True, text=True)
        if run.returncode:
            raise BuildError(f"{linker} failed: {run.stderr}")
        made.write_bytes(library.sealed(made.read_bytes()))
        os.replace(made, folder / library.file_name())
    return folder / library.file_name()


def build_foreign(file: Path) -> None:
    """Writes an object file with the kernels for aarch64, on whatever machine."""
    (content,) = objects("aarch64", FOREIGN)
    scratch = file.with_name(f".{file.name}.new")
    scratch.write_bytes(content)
    os.replace(scratch, file)


def objects(kind: str, triple: str) -> list[bytes]:
    """The object files of a kind of machine, one for each processor in PROCESSORS and BASELINE."""
    texts = {BASELINE[kind]: [_about(kind)]}
    for lanes, chip in PROCESSORS[kind].items():
        kernels = [(library.symbol(name, lanes), text(TARGETS[lanes])) for name, text in catalogue.KERNELS.items()]
        texts.setdefault(chip, []).extend(backend.renamed(text, name) for name, text in kernels)
    return [backend.object_file(modules, triple, *chip) for chip, modules in texts.items()]


def _about(kind: str) -> str:
    """The module that says what the library is, and on x86-64 asks the processor what it has."""
    e = Emitter(4)
    said = {"generator": library.generator(), "kernels": list(catalogue.KERNELS), "lanes": list(PROCESSORS[kind])}
    content = bytearray(json.dumps(said).encode() + b"\0")
    array = e.ir.ArrayType(e.ir.IntType(8), len(content))
    constant = e.ir.GlobalVariable(e.module, array, library.ABOUT)
    constant.initializer, constant.global_constant = array(content), True
    if kind == "x86_64":
        processor.emit(e)
    return e.text()
