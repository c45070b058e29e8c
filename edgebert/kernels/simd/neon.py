"""The int8 dot product in the instructions of AArch64: of signed activations, in vectors of 128 bits.

A row's activations of four steps are loaded at once, and a step's four bytes are multiplied from their lane: copying
them into every lane of a vector is work for the same pipelines as multiplying (Arm, Cortex-A76 and Cortex-A72 Software
Optimization Guides, section 4).
"""

from __future__ import annotations

from llvmlite import ir

from edgebert.kernels.simd.dot import I8, Dot
from edgebert.kernels.simd.lowering import intrinsic_call, pointer
from edgebert.kernels.simd.vector import I32

__all__ = ["LOWERINGS"]

_STEPS = 4
_QUAD = ir.VectorType(I32, 4)
_BYTES = ir.VectorType(I8, 16)
_WORDS = ir.VectorType(ir.IntType(16), 8)


def _select(builder, a, b, lanes):
    """Choose lanes of two vectors, counted through both."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes)))


def _as_bytes(builder, vector):
    return builder.bitcast(vector, _BYTES)


def _rows(builder, addresses):
    """Load the steps of each row."""
    return [builder.load(pointer(builder, steps[0], ir.VectorType(I32, len(steps))), align=1) for steps in addresses]


def _lanes(builder, addresses):
    """Load the four steps of one row; return each step's four bytes in every lane."""
    (row,) = _rows(builder, addresses)
    return [_as_bytes(builder, _select(builder, row, row, [step] * 4)) for step in range(_STEPS)]


def _sdot():
    """Four products and their sum to a lane, in one instruction, which reads the activations from their lane."""

    def multiply_add(builder, parts, a, w):
        (acc,) = parts
        for activations, weights in zip(a, w, strict=True):
            weights = _as_bytes(builder, weights)
            acc = intrinsic_call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", _QUAD, acc, weights, activations)
        return [acc]

    return Dot(4, _lanes, multiply_add, steps=_STEPS, turn=1)


def _smlal():
    """Eight products to 16 bits, those of two steps added there; then neighbours into 32.

    Two products are at most 2 * 128 * 127 = 32512. An accumulator holds two sums for each of two columns, so that four
    columns take two accumulators.
    """

    def halves(builder, vector):
        return [_select(builder, vector, vector, range(begin, begin + 8)) for begin in (0, 8)]

    def multiply_add(builder, parts, a, w):
        operands = [(halves(builder, _as_bytes(builder, w[step])), halves(builder, a[step])) for step in (0, 1)]
        following = []
        for half, acc in enumerate(parts):
            first, second = (
                intrinsic_call(builder, "llvm.aarch64.neon.smull.v8i16", _WORDS, weights[half], activations[half])
                for weights, activations in operands
            )
            pairs = builder.add(first, second)
            widened = intrinsic_call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", _QUAD, pairs)
            following.append(builder.add(acc, widened))
        return following

    def fold(builder, parts):
        return [intrinsic_call(builder, "llvm.aarch64.neon.addp.v4i32", _QUAD, *parts)]

    return Dot(4, _lanes, multiply_add, fold, parts=2, steps=_STEPS, turn=2)


def _smmla():
    """A product of 2 x 8 by 8 x 2 in one instruction: two rows and two columns at a time, two steps."""
    # Of two vectors of four lanes: the first two lanes of both, and their last two; and both interleaved.
    first, last = (0, 1, 4, 5), (2, 3, 6, 7)
    low, high = (0, 4, 1, 5), (2, 6, 3, 7)

    def activations(builder, addresses):
        above, below = _rows(builder, addresses)
        return [_as_bytes(builder, _select(builder, above, below, range(4)))] * 2  # an operand serves two steps

    def multiply_add(builder, parts, a, w):
        name, following = "llvm.aarch64.neon.smmla.v4i32.v16i8", []
        earlier, later = w
        for acc, lanes in zip(parts, (low, high), strict=True):
            columns = _as_bytes(builder, _select(builder, earlier, later, lanes))
            following.append(intrinsic_call(builder, name, _QUAD, acc, a[0], columns))
        return following

    def fold(builder, parts):
        left, right = parts
        return [_select(builder, left, right, lanes) for lanes in (first, last)]

    return Dot(4, activations, multiply_add, fold, rows=2, parts=2, steps=2, turn=2)


LOWERINGS = {"sdot": _sdot(), "smlal": _smlal(), "smmla": _smmla()}
