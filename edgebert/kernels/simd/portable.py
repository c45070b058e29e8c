"""The int8 dot product in plain LLVM, for any processor."""

from __future__ import annotations

import itertools

from llvmlite import ir

from edgebert.kernels.simd.dot import step_by_step
from edgebert.kernels.simd.families import LANES

__all__ = ["LOWERINGS"]


def _portable():
    """Plain LLVM: bytes are moved to the top of their lane and shifted back, which extends them."""

    def shift(builder, how, vector, count):
        return getattr(builder, how)(vector, ir.Constant(vector.type, [count] * LANES))

    def dot(builder, acc, a, w):
        for (activations, weights), position in itertools.product(zip(a, w, strict=True), range(4)):
            up = 24 - 8 * position
            unsigned = shift(builder, "lshr", shift(builder, "shl", activations, up), 24)
            signed = shift(builder, "ashr", shift(builder, "shl", weights, up), 24)
            acc = builder.add(acc, builder.mul(unsigned, signed))
        return acc

    return step_by_step(LANES, dot)


LOWERINGS = {"portable": _portable()}
