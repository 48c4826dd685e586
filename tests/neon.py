"""Kernels for aarch64 run on any machine: linked with a driver of a few lines, under qemu's user mode, no compiler needed.

The driver reads a piece of memory from its input to ARENA, calls a kernel, and writes the memory out again. Before the kernel
stand the kernel's number and where its argument block is; arrays keep their order, and every address in the block is moved.
"""

import ctypes
import functools
import shutil
import struct
import subprocess

import numpy as np

from gatewright.kernels import build, catalogue, code, library
from gatewright.kernels.call import Call

TOOLS = ("qemu-aarch64", "aarch64-linux-gnu-as", "aarch64-linux-gnu-ld")
MISSING = "qemu-user and binutils-aarch64-linux-gnu are not installed"
ARENA, ROOM = 1 << 29, 1 << 26
DRIVER = """
    .section .arena, "aw", %nobits
    .skip {room}
    .data
    .balign 8
table: .quad {kernels}
    .text
    .globl _start
_start:
    ldr x19, ={arena}
    mov x20, x19            // where the next bytes go
read:
    mov x0, #0
    mov x1, x20
    mov x2, #65536
    mov x8, #63             // read
    svc #0
    add x20, x20, x0
    cmp x0, #0
    b.gt read
    b.lt failed
    ldp x1, x0, [x19]       // the kernel's number, its argument block
    ldr x2, =table
    ldr x2, [x2, x1, lsl #3]
    blr x2
write:
    mov x0, #1
    mov x1, x19
    sub x2, x20, x19
    mov x8, #64             // write
    svc #0
    cmp x0, #0
    b.le failed
    add x19, x19, x0
    cmp x19, x20
    b.lt write
    mov x0, #0
    b leave
failed:
    mov x0, #1
leave:
    mov x8, #93             // exit
    svc #0
"""


def available():
    """Whether all tools are there."""
    return all(map(shutil.which, TOOLS))


def arrays_in(value):
    """All arrays in a nest of tuples, lists and whatever else."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in arrays_in(part)] if isinstance(value, (tuple, list)) else []


class Emulated:
    """A kernel that is run by an Emulator."""

    call = None

    def __init__(self, name):
        self.number = list(catalogue.KERNELS).index(name)


class Emulator:
    """All kernels of the catalogue, for four lanes of aarch64; `calls` counts how often one has run."""

    def __init__(self, folder):
        self.program, self.calls = folder / "kernels", 0
        build.build_foreign(folder / "kernels.o")
        symbols = ", ".join(library.symbol(name, 4) for name in catalogue.KERNELS)
        (folder / "driver.s").write_text(DRIVER.format(room=ROOM, arena=ARENA, kernels=symbols))
        subprocess.run([TOOLS[1], "-o", folder / "driver.o", folder / "driver.s"], check=True)
        place = f"--section-start=.arena={ARENA:#x}"
        files = [folder / "driver.o", folder / "kernels.o"]
        subprocess.run([TOOLS[2], "-static", place, "-o", self.program, *files], check=True)

    def take_over(self, patch):
        """Runs whatever is for four lanes from now on; other widths run here, as ever."""
        compiled, run = code.compiled, Call.run
        patch.setattr(code, "compiled", lambda name, target: Emulated(name) if target.lanes == 4 else compiled(name, target))
        patch.setattr(Call, "run", lambda call: self.run(call) if isinstance(call._kept[0], Emulated) else run(call))

    def run(self, call):
        """What Call.run does, on aarch64: the arrays are taken there and back."""
        kernel, kept = call._kept
        regions = merged(np.lib.array_utils.byte_bounds(array) for array in arrays_in(kept) if array.size)
        numbers, memory, moved = struct.unpack(f"{len(call._block) // 8}q", call._block), bytearray(16), {}
        for low, high in regions:
            memory += bytes((low - len(memory)) % 64)  # aligned as it was
            moved[low] = ARENA + len(memory)
            memory += ctypes.string_at(low, high - low)
        memory += bytes(-len(memory) % 64)
        struct.pack_into("qq", memory, 0, kernel.number, ARENA + len(memory))
        memory += struct.pack(f"{len(numbers)}q", *map(functools.partial(relocated, regions, moved), numbers))
        assert len(memory) < ROOM
        done = subprocess.run([TOOLS[0], self.program], input=bytes(memory), capture_output=True, check=True).stdout
        assert len(done) == len(memory)
        self.calls += 1
        for low, high in regions:
            begin = moved[low] - ARENA
            ctypes.memmove(low, done[begin : begin + high - low], high - low)


def merged(bounds):
    """Stretches of memory, those that overlap joined."""
    found = []
    for low, high in sorted(bounds):
        if found and low < found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def relocated(regions, moved, number):
    """An address in one of the regions, or at its end, where it is in the arena; any other number as it is."""
    inside = [low for low, high in regions if low <= number < high] or [low for low, high in regions if number == high]
    return moved[inside[0]] + number - inside[0] if inside else number
