"""LLVM's text to machine code: in memory, for this machine, or as an object file for a kind of machine."""

from collections.abc import Iterable
from typing import Any

import llvmlite.binding as llvm

from gatewright.kernels.code import Code


def in_memory(text: str) -> Code:
    """The one public function of a module, compiled for exactly this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten() + ",-prefer-256-bit"
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)
    module = _parsed(text)
    _optimise(module, machine)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return Code(engine.get_function_address(_public(module).name), engine)


def renamed(text: str, name: str) -> str:
    """A module with its one public function under another name."""
    module = _parsed(text)
    _public(module).name = name
    return str(module)


def object_file(texts: Iterable[str], triple: str, cpu: str, features: str) -> bytes:
    """Modules as one object file for a kind of machine, in LLVM's words."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()  # of the instructions in processor.py
    target = llvm.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default")
    whole = llvm.parse_assembly("")
    whole.triple = triple
    for text in texts:
        module = _parsed(text)
        module.triple = triple
        whole.link_in(module)
    _optimise(whole, machine)
    made: bytes = machine.emit_object(whole)
    return made


def default_triple() -> str:
    """What LLVM calls this machine and its system."""
    triple: str = llvm.get_default_triple()
    return triple


def _parsed(text: str) -> Any:
    module = llvm.parse_assembly(text)
    module.verify()
    return module


def _public(module: Any) -> Any:
    (function,) = (f for f in module.functions if not f.is_declaration and f.linkage == llvm.Linkage.external)
    return function


def _optimise(module: Any, machine: Any) -> None:
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
