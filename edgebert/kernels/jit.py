"""The decorator for kernels: Numba compiles them to LLVM, and stops there.

Machine code is made later, by `edgebert.kernels.compile`, for a processor that need not be this one; Numba
on its own would also translate each kernel for the processor at hand, which LLVM cannot do (it aborts) when
a kernel uses an instruction that is missing here.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

__all__ = ["Kernel", "export", "kernel"]


def _leave_untranslated(library: JITCodeLibrary) -> None:
    """Do nothing where Numba would make machine code of a kernel that another one calls."""


# Numba has no setting for it; this process compiles kernels and nothing else.
JITCodeLibrary._finalize_specific = _leave_untranslated  # type: ignore[method-assign]


class _ToLLVM(CompilerBase):
    """Numba's usual pipeline without its last step."""

    def define_pipelines(self):
        flags = self.state.flags
        flags.no_compile = True
        flags.no_cpython_wrapper = True
        flags.no_cfunc_wrapper = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


class Kernel(CPUDispatcher):
    """A function that other kernels can call and that is never run from Python."""

    def add_overload(self, cres):
        """Register a compiled signature under a name, there being no machine code to register it by."""
        arguments = tuple(cres.signature.args)
        name = f"kernel {cres.fndesc.llvm_func_name}"  # unique, unlike the name of a function made in a function
        cres.target_context.insert_user_function(name, cres.fndesc, [cres.library])
        self.overloads[arguments] = cres._replace(entry_point=name)


def kernel(function):
    """Declare a kernel. Arithmetic has no fast-math flag; integer division is never checked for zero."""
    return Kernel(function, targetoptions={"nopython": True, "error_model": "numpy"}, pipeline_class=_ToLLVM)


def export(function, signature, symbol):
    """Compile a kernel for a signature and give it a C entry point.

    Parameters
    ----------
    function : Kernel
    signature : numba signature of scalars
    symbol : str
        Name of the C function, of the same arguments and result.

    Returns
    -------
    tuple of str
        LLVM IR of the entry point, and of the kernel with all that it calls.
    """
    function.compile(signature)
    compiled = function.overloads[signature.args]
    context = compiled.target_context
    module = ir.Module(f"{symbol}.entry")
    convention = context.call_conv
    callee = ir.Function(
        module,
        convention.get_function_type(compiled.fndesc.restype, compiled.fndesc.argtypes),
        compiled.fndesc.llvm_func_name,
    )
    result = context.get_value_type(signature.return_type)
    arguments = [context.get_value_type(kind) for kind in signature.args]
    entry = ir.Function(module, ir.FunctionType(result, arguments), symbol)
    builder = ir.IRBuilder(entry.append_basic_block())
    _, value = convention.call_function(builder, callee, compiled.fndesc.restype, compiled.fndesc.argtypes, entry.args)
    builder.ret(value)
    with global_compiler_lock:
        compiled.library.finalize()  # links what the kernel calls
    return cgutils.normalize_ir_text(str(module)), compiled.library.get_llvm_str()
