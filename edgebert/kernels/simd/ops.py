"""Operations on vectors and addresses, as Numba intrinsics: each is one or a few instructions of LLVM."""

from __future__ import annotations

import sys

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from edgebert.kernels.simd.families import LANES, MATRIX, current
from edgebert.kernels.simd.lowering import broadcast_value, intrinsic_call, pointer, splat
from edgebert.kernels.simd.multiply_add import multiply_add
from edgebert.kernels.simd.vector import F32, I32, f32x16, i32x16, llvm_type

I8 = ir.IntType(8)
I64 = ir.IntType(64)
_CLOCK_MONOTONIC = 6 if sys.platform == "darwin" else 1
_F32X = llvm_type(f32x16)
_I32X = llvm_type(i32x16)


def _operation(result, *arguments):
    """Make an intrinsic of fixed types from a function (builder, *values) -> value."""

    def decorate(emit):
        def codegen(context, builder, sig, args):
            value = emit(builder, *args)
            return context.get_dummy_value() if value is None else value

        names = [f"a{i}" for i in range(len(arguments))]
        # An intrinsic's typing function must name its arguments: Numba reads the signature.
        scope = {"sig": result(*arguments), "codegen": codegen}
        exec(f"def {emit.__name__}(context, {', '.join(names)}): return sig, codegen", scope)
        typing_function = scope[emit.__name__]
        typing_function.__doc__ = emit.__doc__
        typing_function.__module__ = emit.__module__
        return intrinsic(typing_function)

    return decorate


# Memory


@_operation(f32x16, types.int64)
def load(builder, address):
    """Load 16 float32."""
    return builder.load(pointer(builder, address, _F32X), align=4)


@_operation(types.void, types.int64, f32x16)
def store(builder, address, value):
    """Store 16 float32."""
    builder.store(value, pointer(builder, address, _F32X), align=4)


@_operation(i32x16, types.int64)
def load_i32(builder, address):
    """Load 16 int32."""
    return builder.load(pointer(builder, address, _I32X), align=4)


@_operation(types.void, types.int64, i32x16)
def store_i32(builder, address, value):
    """Store 16 int32."""
    builder.store(value, pointer(builder, address, _I32X), align=4)


@_operation(i32x16, types.int64)
def load_i8(builder, address):
    """Load 16 int8, widened to int32."""
    narrow = ir.VectorType(I8, LANES)
    return builder.sext(builder.load(pointer(builder, address, narrow), align=1), _I32X)


@_operation(types.void, types.int64, i32x16)
def store_u8(builder, address, value):
    """Store the low byte of each lane: 16 uint8."""
    narrow = ir.VectorType(I8, LANES)
    builder.store(builder.trunc(value, narrow), pointer(builder, address, narrow), align=1)


@_operation(types.float32, types.int64)
def load_scalar(builder, address):
    """Load one float32."""
    return builder.load(pointer(builder, address, F32), align=4)


@_operation(types.void, types.int64, types.float32)
def store_scalar(builder, address, value):
    """Store one float32."""
    builder.store(value, pointer(builder, address, F32), align=4)


@_operation(types.int64, types.int64)
def load_index(builder, address):
    """Load one int32, widened to int64."""
    return builder.sext(builder.load(pointer(builder, address, I32), align=4), I64)


def _quarters(distance):
    """Return the shuffles of two rows that swap the off-diagonal quarters of every square of side 2 * distance."""
    upper = [lane if not lane & distance else LANES + lane - distance for lane in range(LANES)]
    lower = [lane + distance if not lane & distance else LANES + lane for lane in range(LANES)]
    return upper, lower


@_operation(types.void, types.int64, types.int64, types.int64)
def interleave(builder, source, source_row, target):
    """Write 16 lanes of four bytes: lane i has byte i of each of four rows, `source_row` bytes apart."""
    narrow = ir.VectorType(I8, LANES)
    lanes = None
    for r in range(4):
        address = builder.add(source, builder.mul(source_row, I64(r)))
        wide = builder.zext(builder.load(pointer(builder, address, narrow), align=1), _I32X)
        wide = builder.shl(wide, splat(8 * r)) if r else wide
        lanes = builder.or_(lanes, wide) if r else wide
    builder.store(lanes, pointer(builder, target, _I32X), align=4)


@_operation(types.void, types.int64, types.int64, types.int64, types.int64)
def transpose(builder, source, source_row, target, target_row):
    """Transpose a block of 16 x 16 float32; strides in bytes."""
    rows = [
        builder.load(pointer(builder, builder.add(source, builder.mul(source_row, I64(r))), _F32X), align=4)
        for r in range(LANES)
    ]
    distance = LANES // 2
    while distance:
        upper, lower = _quarters(distance)
        for r in (r for r in range(LANES) if not r & distance):
            a, b = rows[r], rows[r + distance]
            for i, mask in ((r, upper), (r + distance, lower)):
                rows[i] = builder.shuffle_vector(a, b, ir.Constant(_I32X, mask))
        distance //= 2
    for r in range(LANES):
        address = builder.add(target, builder.mul(target_row, I64(r)))
        builder.store(rows[r], pointer(builder, address, _F32X), align=4)


# Arithmetic


@_operation(f32x16, types.float32)
def broadcast(builder, scalar):
    """Copy a float32 into every lane."""
    return broadcast_value(builder, scalar)


@_operation(i32x16, types.int64)
def broadcast_i32(builder, scalar):
    """Copy an int64 that fits an int32 into every lane."""
    return broadcast_value(builder, builder.trunc(scalar, I32))


@_operation(f32x16, f32x16, f32x16, f32x16)
def fma(builder, a, b, c):
    """Return a * b + c."""
    return multiply_add(builder, a, b, c)


@_operation(f32x16, f32x16, f32x16)
def maximum(builder, a, b):
    """Return the larger of two finite values, lane by lane."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@_operation(f32x16, f32x16, f32x16)
def minimum(builder, a, b):
    """Return the smaller of two finite values, lane by lane."""
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


@_operation(f32x16, f32x16)
def absolute(builder, a):
    """Return |a|."""
    bits = builder.and_(builder.bitcast(a, _I32X), splat(0x7FFFFFFF))
    return builder.bitcast(bits, _F32X)


@_operation(f32x16, f32x16, f32x16, f32x16)
def where_positive(builder, condition, positive, otherwise):
    """Return `positive` where condition > 0, else `otherwise`."""
    return builder.select(builder.fcmp_ordered(">", condition, splat(0.0)), positive, otherwise)


@_operation(f32x16, types.int64, f32x16, f32x16)
def where_before(builder, count, first, rest):
    """Return `first` in the lanes before `count`, `rest` from there on."""
    lanes = ir.Constant(_I32X, list(range(LANES)))
    limit = broadcast_value(builder, builder.trunc(count, I32))
    return builder.select(builder.icmp_signed("<", lanes, limit), first, rest)


@_operation(f32x16, types.int64, f32x16, f32x16)
def where_bit(builder, bit, without, having):
    """Return `having` in the lanes whose number has a bit, `without` in the others."""
    lanes = ir.Constant(_I32X, list(range(LANES)))
    own = builder.and_(lanes, broadcast_value(builder, builder.trunc(bit, I32)))
    return builder.select(builder.icmp_signed("==", own, splat(0)), without, having)


@_operation(f32x16, i32x16)
def to_float(builder, a):
    """Convert int32 to float32, rounding half to even."""
    return builder.sitofp(a, _F32X)


@_operation(i32x16, f32x16)
def bits(builder, a):
    """Reinterpret float32 as int32."""
    return builder.bitcast(a, _I32X)


@_operation(f32x16, i32x16)
def from_bits(builder, a):
    """Reinterpret int32 as float32."""
    return builder.bitcast(a, _F32X)


@_operation(i32x16, i32x16)
def exponent(builder, a):
    """Shift an integer into the exponent field of a float32."""
    return builder.shl(a, splat(23))


@_operation(i32x16, i32x16)
def upper_seven_bits(builder, a):
    """Return the upper half of the lowest 14 bits."""
    return builder.and_(builder.lshr(a, splat(7)), splat(127))


@_operation(i32x16, i32x16)
def lower_seven_bits(builder, a):
    """Return the lower half of the lowest 14 bits."""
    return builder.and_(a, splat(127))


@_operation(types.float32, types.float32)
def square_root(builder, a):
    """Return the square root of a float32, correctly rounded."""
    return intrinsic_call(builder, "llvm.sqrt.f32", F32, a)


# Reductions: always halves onto halves (lane i with i + 8, then i + 4, i + 2, i + 1)


def _reduce(builder, vector, combine):
    width = LANES
    while width > 1:
        width //= 2
        halves = [
            builder.shuffle_vector(
                vector,
                ir.Constant(vector.type, ir.Undefined),
                ir.Constant(ir.VectorType(I32, width), list(range(start, start + width))),
            )
            for start in (0, width)
        ]
        vector = combine(*halves)
    return builder.extract_element(vector, I32(0))


@_operation(types.float32, f32x16)
def reduce_add(builder, a):
    """Sum the lanes, halves onto halves."""
    return _reduce(builder, a, builder.fadd)


@_operation(types.float32, f32x16)
def reduce_maximum(builder, a):
    """Return the largest lane."""
    return _reduce(builder, a, lambda x, y: builder.select(builder.fcmp_ordered(">", x, y), x, y))


@_operation(types.float32, f32x16)
def reduce_minimum(builder, a):
    """Return the smallest lane."""
    return _reduce(builder, a, lambda x, y: builder.select(builder.fcmp_ordered("<", x, y), x, y))


def _fold(builder, address, vector, combine):
    """Reduce 16 vectors that lie one after the other, each to one lane of the result."""
    rows = [
        builder.load(pointer(builder, builder.add(address, I64(4 * LANES * r)), vector), align=4) for r in range(LANES)
    ]
    distance = LANES // 2
    while distance:
        upper, lower = (ir.Constant(_I32X, mask) for mask in _quarters(distance))
        pairs = list(zip(rows[:distance], rows[distance:], strict=True))
        rows = [combine(builder.shuffle_vector(a, b, upper), builder.shuffle_vector(a, b, lower)) for a, b in pairs]
        distance //= 2
    return rows[0]


@_operation(f32x16, types.int64)
def fold_maximum(builder, address):
    """Return the largest lane of each of 16 vectors of float32 in memory."""
    return _fold(builder, address, _F32X, lambda x, y: builder.select(builder.fcmp_ordered(">", x, y), x, y))


@_operation(i32x16, types.int64)
def fold_add(builder, address):
    """Return the sum of the lanes of each of 16 vectors of int32 in memory."""
    return _fold(builder, address, _I32X, builder.add)


# Matrix tiles


@_operation(types.void)
def configure_tiles(builder):
    """Shape the tile registers, where the family has some: eight of 16 rows of 64 bytes."""
    if current().dot == MATRIX:
        load_tile_shapes(builder)


@_operation(types.void)
def release_tiles(builder):
    """Give the tile registers back, so that the operating system need not save them."""
    if current().dot == MATRIX:
        tile_call(builder, "tilerelease")


def load_tile_shapes(builder):
    """Emit what shapes the tile registers."""
    # Palette 1; from byte 16 on the bytes of a row, 16 bits each; from byte 48 on the rows.
    layout = [1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8]
    kind = ir.ArrayType(I8, len(layout))
    constant = cgutils.global_constant(builder, "tile_shapes", ir.Constant(kind, layout))
    tile_call(builder, "ldtilecfg", builder.bitcast(constant, I8.as_pointer()))


def tile_call(builder, instruction, *operands):
    """Emit an instruction on tile registers; these are named by their number, an i8."""
    intrinsic_call(builder, f"llvm.x86.{instruction}", ir.VoidType(), *operands)


# Threads


@_operation(types.int64, types.int64, types.int64)
def atomic_add(builder, address, value):
    """Add to an int64 in memory, sequentially consistent; return what it was before."""
    return builder.atomic_rmw("add", pointer(builder, address, I64), value, "seq_cst")


@_operation(types.int64, types.int64)
def atomic_load(builder, address):
    """Load an int64, sequentially consistent: never before an `atomic_add` that comes first."""
    return builder.load_atomic(pointer(builder, address, I64), "seq_cst", 8)


@_operation(types.void)
def pause(builder):
    """Tell the processor that this is a spin loop."""
    if current().machine == "x86_64":
        intrinsic_call(builder, "llvm.x86.sse2.pause", ir.VoidType())
    elif current().machine == "aarch64":
        # `yield` does nothing on most of them; a barrier for instructions takes about as long as a pause of x86.
        intrinsic_call(builder, "llvm.aarch64.isb", ir.VoidType(), I32(15))


@_operation(types.void, types.int64)
def call(builder, address):
    """Call a C function without arguments, given by its address."""
    function = ir.FunctionType(I32, [])
    builder.call(builder.inttoptr(address, function.as_pointer()), [])


@_operation(types.void, types.int64, types.int64)
def read_clock(builder, function, time):
    """Call ``clock_gettime(CLOCK_MONOTONIC, time)``; both are addresses."""
    kind = ir.FunctionType(I32, [I32, I64])
    builder.call(builder.inttoptr(function, kind.as_pointer()), [I32(_CLOCK_MONOTONIC), time])


def record(dtype: np.dtype):
    """Make the function that reads a record of `dtype` at an address: its fields become attributes."""
    from numba.np.numpy_support import from_dtype

    kind = from_dtype(dtype)

    @intrinsic
    def at(context, address):
        def codegen(context, builder, sig, args):
            return builder.inttoptr(args[0], context.get_value_type(kind))

        return kind(types.int64), codegen

    return at
