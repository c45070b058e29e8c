"""a * b + c with one rounding, on processors without that instruction too: the same bits on every family."""

from __future__ import annotations

from llvmlite import ir

from edgebert.kernels.simd.families import current
from edgebert.kernels.simd.lowering import intrinsic_call, splat
from edgebert.kernels.simd.vector import I32

__all__ = ["multiply_add"]

_I64 = ir.IntType(64)
_BELOW = 0x1FFFFFFF
"""The bits of a float64's significand that a float32 has no place for."""
_HALF = 0x10000000
"""The same bits where a float64 lies in the middle between two float32."""
_SMALLEST_NORMAL = 0x00800000
"""2**-126 as float32: below it a float32 has fewer bits, and its middles lie elsewhere."""


def multiply_add(builder, a, b, c):
    """Emit a * b + c, float32, with one rounding."""
    if not current().has_fma:
        return _in_double(builder, a, b, c)
    return intrinsic_call(builder, f"llvm.fma.v{a.type.count}f32", a.type, a, b, c)


def _in_double(builder, a, b, c):
    """Emit a * b + c by way of float64, where the product is exact and the sum is rounded.

    Rounding that sum once more, to float32, does harm only where it lies in the middle between two float32 and was not
    exact; lanes where it may are seldom, so the whole vector then goes the long way.
    """
    lanes = a.type.count
    double = ir.VectorType(ir.DoubleType(), lanes)
    product = builder.fmul(builder.fpext(a, double), builder.fpext(b, double))
    addend = builder.fpext(c, double)
    total = builder.fadd(product, addend)
    result = builder.fptrunc(total, a.type)

    whole = ir.VectorType(I32, lanes)
    lower = builder.trunc(builder.bitcast(total, ir.VectorType(_I64, lanes)), whole)
    middle = builder.icmp_signed("==", builder.and_(lower, splat(_BELOW, lanes)), splat(_HALF, lanes))
    size = builder.and_(builder.bitcast(result, whole), splat(0x7FFFFFFF, lanes))
    # From 1 to 2**-126: a zero is right, since a sum as small as to become one was exact.
    small = builder.icmp_unsigned("<", builder.sub(size, splat(1, lanes)), splat(_SMALLEST_NORMAL, lanes))
    flags = builder.bitcast(builder.or_(middle, small), ir.IntType(lanes))
    doubtful = builder.icmp_unsigned("!=", flags, ir.Constant(flags.type, 0))

    before = builder.block
    with builder.if_then(doubtful, likely=False):
        careful = builder.fptrunc(_rounded_to_odd(builder, product, addend, total), a.type)
        after = builder.block
    chosen = builder.phi(a.type)
    chosen.add_incoming(result, before)
    chosen.add_incoming(careful, after)
    return chosen


def _rounded_to_odd(builder, product, addend, total):
    """Emit product + addend, float64, rounded to odd: after that, a second rounding does no harm.

    Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", doi 10.1109/TC.2007.70819, section 4. `total` is
    the sum rounded as usual.
    """
    lanes = total.type.count
    whole = ir.VectorType(_I64, lanes)

    def constant(kind, value):
        return ir.Constant(kind, [value] * lanes)

    # What the sum lost, exactly (Knuth's TwoSum).
    part = builder.fsub(total, product)
    lost = builder.fadd(builder.fsub(product, builder.fsub(total, part)), builder.fsub(addend, part))
    bits = builder.bitcast(total, whole)
    zero = constant(total.type, 0.0)
    even = builder.icmp_signed("==", builder.and_(bits, constant(whole, 1)), constant(whole, 0))
    inexact = builder.and_(builder.fcmp_ordered("!=", lost, zero), even)
    outward = builder.icmp_signed("==", builder.fcmp_ordered(">", lost, zero), builder.fcmp_ordered(">", total, zero))
    step = builder.select(outward, constant(whole, 1), constant(whole, -1))
    return builder.bitcast(builder.select(inexact, builder.add(bits, step), bits), total.type)
