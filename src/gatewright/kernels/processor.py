"""How wide a vector an x86-64 processor has: the library asks it, without llvmlite. The bits are Intel's and AMD's."""

from collections.abc import Callable
from typing import NamedTuple

from gatewright.kernels.emitter import Emitter

CPUID, XGETBV = "gw_cpuid", "gw_xgetbv"


class Registers(NamedTuple):
    """What an instruction left behind."""

    eax: int
    ebx: int
    ecx: int
    edx: int


Ask = Callable[..., Registers]  # (CPUID, leaf), or (XGETBV, 0)

# What LLVM takes for granted under the names x86-64-v3 and x86-64-v4: (leaf of cpuid, register, bits).
V3 = (
    (0x1, "ecx", (0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29)),  # SSE3 SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT OSXSAVE AVX F16C
    (0x7, "ebx", (3, 5, 8)),  # BMI1 AVX2 BMI2
    (0x80000001, "ecx", (0, 5)),  # LAHF LZCNT
)
V4 = ((0x7, "ebx", (16, 17, 28, 30, 31)),)  # AVX-512: F DQ CD BW VL
SAVED = {8: 0x06, 16: 0xE6}  # of the registers, which the system keeps for each thread


def lanes(ask: Ask) -> int:
    """16 with AVX-512, 8 with AVX2 and FMA, else 0."""
    if ask(CPUID, 0).eax < 7 or not _has(V3, ask):
        return 0
    saved = ask(XGETBV, 0).eax
    fits = [width for width, needs in ((16, V4), (8, ())) if _has(needs, ask) and saved & SAVED[width] == SAVED[width]]
    return max(fits, default=0)


def _has(needs: tuple[tuple[int, str, tuple[int, ...]], ...], ask: Ask) -> bool:
    return all(getattr(ask(CPUID, leaf), register) >> bit & 1 for leaf, register, bits in needs for bit in bits)


def emit(e: Emitter) -> None:
    """The two functions of (leaf, where the registers are to be written)."""
    for name, instruction, written in ((CPUID, "cpuid", "abcd"), (XGETBV, "xgetbv", "ad")):
        with e.function(name, 2, public=True) as (leaf, place):
            kind = e.ir.FunctionType(e.ir.LiteralStructType([e.i32] * len(written)), [e.i32, e.i32])
            inputs = (e.b.trunc(leaf, e.i32), e.i32(0)) if name == CPUID else (e.i32(0), e.b.trunc(leaf, e.i32))
            constraints = ",".join([*(f"={{{letter}x}}" for letter in written), "{ax}", "{cx}"])
            found = e.b.asm(kind, instruction, constraints, inputs, side_effect=True)
            for k, letter in enumerate(written):
                there = e.add(place, 4 * "abcd".index(letter))
                e.b.store(e.b.extract_value(found, k), e.b.inttoptr(there, e.ir.PointerType(e.i32)))
