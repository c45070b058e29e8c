"""The int8 dot product of four, over some steps of K: ``acc[i] += sum_s sum_j a[s][i][j] * w[s][i][j]``.

``a`` is unsigned (activations, 0..255), ``w`` signed (weights, -127..127). Each instruction has a lowering (in `x86`,
`neon` or `portable`). The 16 bits in which ``vpmaddubsw`` adds two products, and in which those of two steps are added,
would overflow, but for the limit on weights that meet (`edgebert.quantize.law`), and in attention for operands of seven
bits, a step at a time (127 * 127 * 2 = 32258). So every family gives the same integers; those with signed products
(`InstructionSet.signed`) of activations that are stored less by 128, as are their zero points. Operands are LLVM
vectors of i32, each lane holding four bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.lowering import broadcast_value, pointer
from edgebert.kernels.simd.vector import I32

__all__ = ["I8", "Dot", "broadcast_steps", "step_by_step"]

I8 = ir.IntType(8)


def broadcast_steps(builder, addresses, element=I32, lanes=LANES):
    """Load one element for each step of a row, and copy it into every lane."""
    (steps,) = addresses
    scalars = [builder.load(pointer(builder, address, element), align=1) for address in steps]
    return [broadcast_value(builder, scalar, lanes) for scalar in scalars]


class Dot(NamedTuple):
    """One lowering.

    Attributes
    ----------
    lanes : int
        Lanes of i32 in one operand of weights, and of the sums of its columns.
    activations : callable
        ``(builder, [[address, ...], ...]) -> [a, ...]``: the operand of each step, made of some rows, from the address
        of each step of each row.
    multiply_add : callable
        ``(builder, [acc, ...], [a, ...], [w, ...]) -> [acc, ...]``, with an operand of each kind for every step.
    fold : callable
        ``(builder, [acc, ...]) -> [sums, ...]``, for each row the sums of the columns.
    rows, parts : int
        Rows that make one operand; accumulators that these need for each operand of weights.
    steps, turn : int
        Steps that activations are loaded for at a time, at least: steps up to a multiple of that are read, where either
        operand must be zero. And those of them that are multiplied at a time; 0 for all.
    """

    lanes: int
    activations: Callable[..., Any]
    multiply_add: Callable[..., Any]
    fold: Callable[..., Any] = lambda _, parts: parts
    rows: int = 1
    parts: int = 1
    steps: int = 1
    turn: int = 0


def step_by_step(lanes, dot):
    """Make the lowering of ``dot(builder, acc, [a, ...], [w, ...]) -> acc``; an `a` is a row's step, broadcast."""

    def activations(builder, addresses):
        return broadcast_steps(builder, addresses, lanes=lanes)

    def multiply_add(builder, parts, a, w):
        return [dot(builder, parts[0], a, w)]

    return Dot(lanes, activations, multiply_add)
