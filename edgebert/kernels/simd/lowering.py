"""What every lowering emits: addresses as pointers, constants, LLVM's own intrinsics."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.vector import F32, I32

__all__ = ["broadcast_value", "intrinsic_call", "pointer", "splat"]


def pointer(builder, address, element):
    """Turn an integer address into a typed pointer."""
    return builder.inttoptr(address, element.as_pointer())


def splat(value, lanes=LANES):
    """Return a constant vector with the same value in every lane."""
    element = I32 if isinstance(value, int) else F32
    return ir.Constant(ir.VectorType(element, lanes), [value] * lanes)


def broadcast_value(builder, scalar, lanes=LANES):
    """Copy a scalar into every lane."""
    vector = ir.VectorType(scalar.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    return builder.shuffle_vector(
        one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def intrinsic_call(builder, name, result, *operands):
    """Emit a call of one of LLVM's intrinsics."""
    kind = ir.FunctionType(result, [operand.type for operand in operands])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)
