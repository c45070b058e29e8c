"""The int8 dot product in the instructions of x86-64."""

from __future__ import annotations

from llvmlite import ir

from edgebert.kernels.simd.dot import I8, step_by_step
from edgebert.kernels.simd.lowering import intrinsic_call

__all__ = ["LOWERINGS"]

I16 = ir.IntType(16)


def _vpdpbusd(bits):
    """VNNI: multiply, sum of four and accumulate in one instruction."""
    lanes = bits // 32

    def dot(builder, acc, a, w):
        for activations, weights in zip(a, w, strict=True):
            acc = intrinsic_call(builder, f"llvm.x86.avx512.vpdpbusd.{bits}", acc.type, acc, activations, weights)
        return acc

    return step_by_step(lanes, dot)


def _vpmaddubsw(bits):
    """Pairs into 16 bits, where those of several steps are added; then neighbours into 32, and an addition."""
    lanes = bits // 32
    narrow, wide = (
        ("llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512")
        if bits == 512
        else ("llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd")
    )

    def dot(builder, acc, a, w):
        bytes_type, words = ir.VectorType(I8, lanes * 4), ir.VectorType(I16, lanes * 2)
        pairs = None
        for activations, weights in zip(a, w, strict=True):
            operands = [builder.bitcast(operand, bytes_type) for operand in (activations, weights)]
            product = intrinsic_call(builder, narrow, words, *operands)
            pairs = builder.add(pairs, product) if pairs else product
        ones = ir.Constant(words, [1] * (lanes * 2))
        return builder.add(acc, intrinsic_call(builder, wide, acc.type, pairs, ones))

    return step_by_step(lanes, dot)


LOWERINGS = {
    "vpdpbusd_512": _vpdpbusd(512),
    "vpdpbusd_256": _vpdpbusd(256),
    "vpmaddubsw_512": _vpmaddubsw(512),
    "vpmaddubsw_256": _vpmaddubsw(256),
}
