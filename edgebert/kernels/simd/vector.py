"""The vector types ``f32x16`` and ``i32x16``: what Numba sees, and their operators.

Arithmetic carries no fast-math flag: LLVM may neither fuse nor reorder it, so a lane's result is what
the source says, on every processor. A fused multiply-add is asked for by name (`ops.fma`).
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from edgebert.kernels.simd.families import LANES

__all__ = ["F32", "I32", "Vector", "f32x16", "i32x16", "llvm_type"]

F32 = ir.FloatType()
I32 = ir.IntType(32)


class Vector(types.Type):
    """The Numba type of `LANES` elements in vector registers."""

    def __init__(self, element: str) -> None:
        self.element = element
        super().__init__(name=f"{element}x{LANES}")


f32x16 = Vector("f32")
i32x16 = Vector("i32")


def llvm_type(vector: Vector) -> ir.VectorType:
    """Return the LLVM type of a vector."""
    return ir.VectorType(F32 if vector.element == "f32" else I32, LANES)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_type(fe_type))


def _binary(function, instructions):
    @infer_global(function)
    class _Template(ConcreteTemplate):
        cases = [signature(vector, vector, vector) for vector in instructions]  # noqa: RUF012

    for vector, instruction in instructions.items():

        def lower(context, builder, sig, args, instruction=instruction):
            return getattr(builder, instruction)(*args)

        lower_builtin(function, vector, vector)(lower)


_binary(operator.add, {f32x16: "fadd", i32x16: "add"})
_binary(operator.sub, {f32x16: "fsub", i32x16: "sub"})
_binary(operator.mul, {f32x16: "fmul", i32x16: "mul"})
_binary(operator.truediv, {f32x16: "fdiv"})
