"""The machine: which vectors it has, and LLVM text turned into something to call."""

import ctypes
import functools
import platform
from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding as llvm


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


@functools.cache
def problem() -> str | None:
    """Why this machine can't run kernels, or None."""
    if not hasattr(llvm, "create_pass_builder"):
        return "this llvmlite is too old: pip install 'gatewright[fast]' brings 0.44 or newer"
    kind = platform.machine().lower()
    if kind in ("x86_64", "amd64"):
        return None if _features().get("fma") else "this processor has no fused multiply-add (FMA)"
    return None if kind in ("aarch64", "arm64") else f"no kernels are generated for {kind}"


@functools.cache
def host() -> Target:
    """The widest target that this machine has."""
    features = _features()
    return TARGETS[16 if features.get("avx512f") else 8 if features.get("avx2") else 4]


def _features() -> dict[str, bool]:
    return dict(llvm.get_host_cpu_features())


class Code:
    """A compiled function of an argument block; calling it frees Python's global lock."""

    def __init__(self, text: str, name: str) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features().flatten() + ",-prefer-256-bit"
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)
        module = llvm.parse_assembly(text)
        module.verify()
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
        passes.getModulePassManager().run(module, passes)
        self._engine: Any = llvm.create_mcjit_compiler(module, machine)  # keeps the code alive
        self._engine.finalize_object()
        self.call: Callable[[bytes], None] = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(self._engine.get_function_address(name))
