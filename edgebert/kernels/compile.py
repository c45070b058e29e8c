"""Compile the kernels for one instruction family: ``python -m edgebert.kernels.compile FAMILY > OBJECT``.

Runs in a process of its own, so that Numba and LLVM take no memory in the one that computes, and a failure of
LLVM, which aborts, cannot take it down. The result is an object file without undefined symbols.
"""

from __future__ import annotations

import argparse
import os
import sys

import llvmlite.binding as llvm

from edgebert.kernels.simd.families import FAMILIES, InstructionSet, select

__all__ = ["compile_family"]


_NOT_ASKED_FOR = {
    "x86_64": (
        *("bmi", "lzcnt", "movbe", "f16c", "gfni", "avxvnni", "avx512vnni", "avx512bf16", "avx512fp16", "avx512ifma"),
        *("avx512vbmi", "avx512vbmi2", "avx512bitalg", "avx512vpopcntdq", "avx512vp2intersect"),
    ),
    "aarch64": ("lse", "rcpc", "rdm", "fullfp16", "dotprod", "crc", "aes", "sha2"),
}
"""Machine -> what LLVM takes the processors for granted to have that families are scheduled for, and could use.

What a family does not need, a processor that it runs on may lack: a virtual machine that masks ``bmi1``, an Arm
processor with ``dotprod`` and no ``lrcpc``.
"""


def _features(family: InstructionSet) -> str:
    """Return a family's features as LLVM wants them, and without what its processor has besides."""
    others = (name for name in _NOT_ASKED_FOR.get(family.machine, ()) if name not in family.needs)
    return ",".join([*(f"-{name}" for name in others), *(f"+{name}" for name in family.needs)])


def _target_machine(family: InstructionSet, triple: str) -> llvm.TargetMachine:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=family.cpu, features=_features(family), opt=3, reloc="pic", codemodel="jitdefault"
    )


def _optimise(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    # The kernels say where vectors are; what is left scalar is left so on purpose.
    options.loop_vectorization = options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def compile_family(name: str, *, triple: str | None = None, report=None):
    """Compile every entry point for one family.

    Parameters
    ----------
    name : str
        A name in `FAMILIES`. One process can compile one family.
    triple : str, optional
        LLVM's target triple; this machine's by default.
    report : callable, optional
        Called with (entries done, entries in all).

    Returns
    -------
    (llvmlite TargetMachine, llvmlite ModuleRef)
        Ready for ``emit_object`` or ``emit_assembly``.
    """
    family = select(name)
    # LLVM optimises the linked kernels once, below, for the right processor; Numba's own passes would only double the
    # time. It reads this when it is first imported.
    os.environ["NUMBA_OPT"] = "0"
    from edgebert.kernels.entries import ENTRIES
    from edgebert.kernels.jit import export

    triple = triple or llvm.get_process_triple()
    machine = _target_machine(family, triple)
    whole = llvm.parse_assembly("")
    for done, (symbol, (kernel, signature)) in enumerate(ENTRIES.items()):
        if report:
            report(done, len(ENTRIES) + 1)
        for text in export(kernel, signature, symbol):
            # The entry point comes first: LLVM links a function that may be dropped only where it is used.
            part = llvm.parse_assembly(text)
            for function in part.functions:
                if not function.is_declaration and function.name not in ENTRIES:
                    function.linkage = "linkonce_odr"
            whole.link_in(part)
    if report:
        report(len(ENTRIES), len(ENTRIES) + 1)
    whole.triple = triple
    whole.data_layout = str(machine.target_data)
    whole.verify()
    for function in whole.functions:
        if not function.is_declaration and function.name not in ENTRIES:
            function.linkage = "internal"
    for variable in whole.global_variables:
        variable.linkage = "internal"
    _optimise(whole, machine)
    return machine, whole


def main(arguments: list[str] | None = None) -> None:
    """Compile; write the object file to stdout and 'done total' lines to stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--triple", help="LLVM's name of another platform")
    parser.add_argument("--assembly", action="store_true", help="write assembly instead of an object file")
    options = parser.parse_args(arguments)

    def report(done: int, total: int) -> None:
        sys.stderr.write(f"{done} {total}\n")
        sys.stderr.flush()

    machine, module = compile_family(options.family, triple=options.triple, report=report)
    if options.assembly:
        data = machine.emit_assembly(module).encode()
    else:
        data = machine.emit_object(module)
    sys.stdout.buffer.write(data)


if __name__ == "__main__":
    main()
