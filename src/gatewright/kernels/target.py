"""The machine: which vectors it has, and what fits into its registers."""

import functools
import platform
from typing import NamedTuple


class Target(NamedTuple):
    """How wide a vector is and what fits into the registers."""

    lanes: int  # float32 in a vector
    rows: int  # at most so many batch rows in a tile
    registers: int  # at most so many vectors of sums in a tile


TARGETS = {  # by what the host has; fewer lanes run on a wider machine too, to the same bits
    16: Target(16, 6, 24),  # AVX-512: 32 registers
    8: Target(8, 3, 12),  # AVX2: 16 registers
    4: Target(4, 6, 24),  # NEON: 32 registers
}
NAMES = {"amd64": "x86_64", "arm64": "aarch64"}  # what Windows and macOS call the two kinds of machine


def machine() -> str:
    """The kind of this machine: "x86_64", "aarch64", or one for which nothing is generated."""
    kind = platform.machine().lower()
    return NAMES.get(kind, kind)


@functools.cache
def problem() -> str | None:
    """Why this machine can't run kernels, or None."""
    from gatewright.kernels import library

    if machine() not in NAMES.values():
        return f"no kernels are generated for {machine()}"
    found = library.find()
    if found.library:
        return None
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return "llvmlite is not installed, which makes inference faster: pip install 'gatewright[fast]'" + found.remark
    if not hasattr(llvm, "create_pass_builder"):
        return "this llvmlite is too old: pip install 'gatewright[fast]' brings 0.44 or newer"
    fused = machine() != "x86_64" or _features().get("fma")
    return None if fused else "this processor has no fused multiply-add (FMA)"


@functools.cache
def host() -> Target:
    """The widest target that this machine has, of those in the library if that is what runs."""
    from gatewright.kernels import library

    found = library.find()
    if found.library:
        return TARGETS[found.library.lanes]
    features = _features()
    return TARGETS[16 if features.get("avx512f") else 8 if features.get("avx2") else 4]


def _features() -> dict[str, bool]:
    import llvmlite.binding as llvm

    return dict(llvm.get_host_cpu_features())
