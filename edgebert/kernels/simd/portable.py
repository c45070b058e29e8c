"""The int8 dot product in plain LLVM, for any processor."""

from __future__ import annotations

from llvmlite import ir

from edgebert.kernels.simd.dot import step_by_step
from edgebert.kernels.simd.families import LANES

__all__ = ["LOWERINGS"]

_I16 = ir.VectorType(ir.IntType(16), 2 * LANES)
_I32 = ir.IntType(32)


def _portable():
    """Plain LLVM: even and odd bytes become 16 bits, whose products are added in pairs, which many processors can."""

    def halves(builder, vector, extend):
        """Return the even bytes of a vector and the odd ones, as 16 bits."""
        eight = ir.Constant(_I16, [8] * 2 * LANES)
        both = builder.bitcast(vector, _I16)
        return extend(builder.shl(both, eight), eight), extend(both, eight)

    def every_other(builder, vector, first):
        places = ir.Constant(ir.VectorType(_I32, LANES), list(range(first, 2 * LANES, 2)))
        return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), places)

    def dot(builder, acc, a, w):
        wide = ir.VectorType(_I32, 2 * LANES)
        for activations, weights in zip(a, w, strict=True):
            unsigned, signed = halves(builder, activations, builder.lshr), halves(builder, weights, builder.ashr)
            for pair in zip(unsigned, signed, strict=True):
                products = builder.mul(*(builder.sext(x, wide) for x in pair))
                acc = builder.add(acc, builder.add(*(every_other(builder, products, first) for first in (0, 1))))
        return acc

    return step_by_step(LANES, dot)


LOWERINGS = {"portable": _portable()}
