"""The int8 dot product of four: ``acc[i] += sum_j a[i][j] * w[i][j]``, one lowering per family.

``a`` is unsigned (activations, 0..255), ``w`` signed (weights, -127..127). The 16 bits in which ``vpmaddubsw`` adds two
products would saturate, but for the rule of pairs (`edgebert.quantize.law`), and in attention for operands of seven
bits (127 * 127 * 2 = 32258); so every family gives the same integers.
Operands are LLVM vectors of i32, each lane holding four bytes.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from edgebert.kernels.simd.families import LANES

__all__ = ["LOWERINGS"]

I16 = ir.IntType(16)
I8 = ir.IntType(8)


def _call(builder, name, result, *operands):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [operand.type for operand in operands]), name
    )
    return builder.call(function, operands)


def _vpdpbusd(bits):
    """VNNI: multiply, sum of four and accumulate in one instruction."""
    lanes = bits // 32

    def dot(builder, acc, a, w):
        return _call(builder, f"llvm.x86.avx512.vpdpbusd.{bits}", acc.type, acc, a, w)

    return lanes, dot


def _vpmaddubsw(bits):
    """Pairs into 16 bits, pairs of those into 32, and an addition."""
    lanes = bits // 32
    narrow, wide = (
        ("llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512")
        if bits == 512
        else ("llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd")
    )

    def dot(builder, acc, a, w):
        bytes_type, words = ir.VectorType(I8, lanes * 4), ir.VectorType(I16, lanes * 2)
        pairs = _call(builder, narrow, words, builder.bitcast(a, bytes_type), builder.bitcast(w, bytes_type))
        ones = ir.Constant(words, [1] * (lanes * 2))
        return builder.add(acc, _call(builder, wide, acc.type, pairs, ones))

    return lanes, dot


def _portable():
    """Plain LLVM: bytes are moved to the top of their lane and shifted back, which extends them."""

    def shift(builder, how, vector, count):
        return getattr(builder, how)(vector, ir.Constant(vector.type, [count] * LANES))

    def dot(builder, acc, a, w):
        for position in range(4):
            up = 24 - 8 * position
            unsigned = shift(builder, "lshr", shift(builder, "shl", a, up), 24)
            signed = shift(builder, "ashr", shift(builder, "shl", w, up), 24)
            acc = builder.add(acc, builder.mul(unsigned, signed))
        return acc

    return LANES, dot


LOWERINGS = {
    "vpdpbusd_512": _vpdpbusd(512),
    "vpdpbusd_256": _vpdpbusd(256),
    "vpmaddubsw_512": _vpmaddubsw(512),
    "vpmaddubsw_256": _vpmaddubsw(256),
    "portable": _portable(),
}
"""Name -> (lanes of i32 in one operand, function (builder, acc, a, w) -> acc)."""

assert all(LANES % lanes == 0 for lanes, _ in LOWERINGS.values())
