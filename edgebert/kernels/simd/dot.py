"""The int8 dot product of four, over some steps of K: ``acc[i] += sum_s sum_j a[s][i][j] * w[s][i][j]``.

``a`` is unsigned (activations, 0..255), ``w`` signed (weights, -127..127). There is one lowering per family. The 16
bits in which ``vpmaddubsw`` adds two products, and in which those of two steps are added, would overflow, but for the
limit on weights that meet (`edgebert.quantize.law`), and in attention for operands of seven bits, a step at a time
(127 * 127 * 2 = 32258). So every family gives the same integers.
Operands are LLVM vectors of i32, each lane holding four bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from edgebert.kernels.simd.families import LANES

__all__ = ["LOWERINGS", "Dot"]

I16 = ir.IntType(16)
I8 = ir.IntType(8)


class Dot(NamedTuple):
    """One lowering.

    Attributes
    ----------
    lanes : int
        Lanes of i32 in one operand.
    multiply_add : callable
        ``(builder, acc, [a, ...], [w, ...]) -> acc``, with an operand of each kind for every step.
    """

    lanes: int
    multiply_add: Callable


def _call(builder, name, result, *operands):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [operand.type for operand in operands]), name
    )
    return builder.call(function, operands)


def _vpdpbusd(bits):
    """VNNI: multiply, sum of four and accumulate in one instruction."""
    lanes = bits // 32

    def dot(builder, acc, a, w):
        for activations, weights in zip(a, w, strict=True):
            acc = _call(builder, f"llvm.x86.avx512.vpdpbusd.{bits}", acc.type, acc, activations, weights)
        return acc

    return Dot(lanes, dot)


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
            product = _call(builder, narrow, words, *operands)
            pairs = builder.add(pairs, product) if pairs else product
        ones = ir.Constant(words, [1] * (lanes * 2))
        return builder.add(acc, _call(builder, wide, acc.type, pairs, ones))

    return Dot(lanes, dot)


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

    return Dot(LANES, dot)


LOWERINGS = {
    "vpdpbusd_512": _vpdpbusd(512),
    "vpdpbusd_256": _vpdpbusd(256),
    "vpmaddubsw_512": _vpmaddubsw(512),
    "vpmaddubsw_256": _vpmaddubsw(256),
    "portable": _portable(),
}
"""Name, as in `Family.dot` -> lowering."""

assert all(LANES % dot.lanes == 0 for dot in LOWERINGS.values())
