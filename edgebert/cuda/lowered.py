"""The operations of `edgebert.cuda.ops` as PTX, for the target that is compiled for."""

from __future__ import annotations

import functools
import inspect

from llvmlite import ir
from numba import cuda
from numba.cuda import types
from numba.cuda.extending import intrinsic

from edgebert.cuda.target import current

I32, I64, F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_SHARED_SPACE = 3

device = functools.partial(cuda.jit, device=True, forceinline=True)
"""The decorator for functions that kernels call: always inlined, so that their arrays stay in registers."""


def unrolled(count):
    """Make a decorator: the function is called with 0 to count - 1 and its other arguments.

    For loops that LLVM finds too long to unroll: what is indexed by a loop's variable cannot be in registers.
    """

    def decorate(function):
        others = ", ".join(list(inspect.signature(function).parameters)[1:])
        scope = {"function": device(function)}
        calls = "".join(f"    function({i}, {others})\n" for i in range(count))
        exec(f"def repeated({others}):\n{calls}", scope)
        return device(scope["repeated"])

    return decorate


def _assembly(builder, template, result, constraints, operands, *, effects=False, together=False):
    """Emit inline PTX, whose $0, $1, ... are first the results, then the operands.

    `together` says that all lanes of a warp have to come there at once: LLVM must not move it under a condition.
    """
    kind = ir.FunctionType(result, [operand.type for operand in operands])
    assembly = ir.InlineAsm(kind, template, constraints, side_effect=effects)
    return builder.call(assembly, operands, attrs=("convergent",) if together else ())


def _operation(result, *arguments):
    """Make an intrinsic of fixed types from a function (builder, *values) -> value."""

    def decorate(emit):
        def codegen(context, builder, signature, values):
            return emit(builder, *values)

        def typed(typing_context, *given):
            return result(*arguments), codegen

        # Numba reads how many arguments there are off the function's signature.
        names = ", ".join(f"a{i}" for i in range(len(arguments)))
        scope = {"typed": typed}
        exec(f"def {emit.__name__}(context{', ' if names else ''}{names}):\n    return typed(context)", scope)
        return intrinsic(scope[emit.__name__])

    return decorate


def _tuple(builder, values):
    """Return values of one type as Numba keeps a tuple of them."""
    result = ir.Constant(ir.ArrayType(values[0].type, len(values)), ir.Undefined)
    for i, value in enumerate(values):
        result = builder.insert_value(result, value, i)
    return result


_i32, _f32 = types.int32, types.float32
_four = types.UniTuple(_i32, 4)


def _product(kind, c, a, b):
    """Return a function of a builder that emits c + a b: rows of 32 bytes, `kind` u8 or s8, by columns of 32 s8."""
    # Read when the kernel is compiled, not when this module is imported.
    product = current().product
    if product == "m16n8k32":
        return lambda builder: _tensor(builder, "m16n8k32", kind, c, a, b)
    if product == "m8n8k16":
        return lambda builder: _tensor_by_four(builder, kind, c, a, b)
    return lambda builder: _dot_by_four(builder, kind, c, a, b)


def _tensor(builder, shape, kind, c, a, b):
    """Emit one instruction of the tensor cores (PTX ISA, "mma"), and return its results."""

    def names(first, count):
        return "{" + ", ".join(f"${first + i}" for i in range(count)) + "}"

    n, m, k = len(c), len(a), len(b)
    template = (
        f"mma.sync.aligned.{shape}.row.col.s32.{kind}.s8.s32"
        f" {names(0, n)}, {names(2 * n, m)}, {names(2 * n + m, k)}, {names(n, n)};"
    )
    result = ir.LiteralStructType([I32] * n)
    constraints = ",".join(["=r"] * n + ["r"] * (n + m + k))
    product = _assembly(builder, template, result, constraints, [*c, *a, *b], together=True)
    return [builder.extract_value(product, i) for i in range(n)]


def _tensor_by_four(builder, kind, c, a, b):
    """Emit the same product on tensor cores that multiply 8 rows of 16 bytes: each lane holds the same parts of it."""
    upper, lower = list(c[:2]), list(c[2:])
    for half in (0, 1):
        upper = _tensor(builder, "m8n8k16", kind, upper, [a[2 * half]], [b[half]])
        lower = _tensor(builder, "m8n8k16", kind, lower, [a[2 * half + 1]], [b[half]])
    return upper + lower


def _shuffled(builder, value, lane):
    """Emit the exchange of a word with another lane of the warp (PTX ISA, "shfl.sync", mode idx)."""
    template = "shfl.sync.idx.b32 $0, $1, $2, 31, -1;"
    return _assembly(builder, template, I32, "=r,r,r", [value, lane], effects=True, together=True)


def _dot_by_four(builder, kind, c, a, b):
    """Emit the same product without tensor cores (PTX ISA, "dp4a"): lanes tell each other what they hold."""
    lane = _assembly(builder, "mov.u32 $0, %laneid;", I32, "=r", [])
    quad, place = builder.and_(lane, I32(28)), builder.and_(lane, I32(3))
    c = list(c)
    template = f"dp4a.{'u32' if kind == 'u8' else 's32'}.s32 $0, $1, $2, $3;"
    for part in range(4):
        rows = [_shuffled(builder, word, builder.or_(quad, I32(part))) for word in a]
        for column in (0, 1):
            # Column 2 * place + column of the product is held by the four lanes from four times that on.
            first = builder.shl(builder.or_(builder.shl(place, I32(1)), I32(column)), I32(2))
            own = [_shuffled(builder, word, builder.or_(first, I32(part))) for word in b]
            for row in (0, 1):
                for half in (0, 1):
                    at = 2 * row + column
                    operands = [rows[2 * half + row], own[half], c[at]]
                    c[at] = _assembly(builder, template, I32, "=r,r,r,r", operands)
    return c


@_operation(_four, *[_i32] * 10)
def mma_u8(builder, *values):
    """Return c + a b, a unsigned: four words of c, four of a, two of b, as the lanes of "m16n8k32" hold them."""
    return _tuple(builder, _product("u8", values[:4], values[4:8], values[8:])(builder))


@_operation(_four, *[_i32] * 10)
def mma_s8(builder, *values):
    """Return c + a b, a signed."""
    return _tuple(builder, _product("s8", values[:4], values[4:8], values[8:])(builder))


@_operation(_f32, _f32, _f32, _f32)
def fma(builder, a, b, c):
    """Return a * b + c with one rounding."""
    return _assembly(builder, "fma.rn.f32 $0, $1, $2, $3;", F32, "=f,f,f,f", [a, b, c])


@_operation(_f32, _f32, _f32)
def multiply(builder, a, b):
    """Return a * b, rounded by itself, where a sum follows that a compiler would take together with it."""
    return _assembly(builder, "mul.rn.f32 $0, $1, $2;", F32, "=f,f,f", [a, b])


@_operation(_f32, _f32)
def square_root(builder, x):
    """Return the square root, rounded to nearest."""
    return _assembly(builder, "sqrt.rn.f32 $0, $1;", F32, "=f,f", [x])


@_operation(_i32, _f32)
def as_int(builder, x):
    """Return the bits of a float32."""
    return builder.bitcast(x, I32)


@_operation(_f32, _i32)
def as_float(builder, bits):
    """Return the float32 of bits."""
    return builder.bitcast(bits, F32)


@_operation(_i32, _f32)
def round_to_int(builder, x):
    """Return the nearest whole number, of two the even one."""
    return _assembly(builder, "cvt.rni.s32.f32 $0, $1;", I32, "=r,f", [x])


@_operation(_i32, _i32, _i32, _i32)
def byte_perm(builder, a, b, selector):
    """Return four of the eight bytes of a and b (PTX ISA, "prmt"): nibble i of `selector` says which is byte i."""
    return _assembly(builder, "prmt.b32 $0, $1, $2, $3;", I32, "=r,r,r,r", [a, b, selector])


@_operation(_f32, _f32, _i32)
def shuffle_xor(builder, value, mask):
    """Return the value that the lane of this number, exclusive or `mask`, gives; all of a warp call it at once."""
    template = "shfl.sync.bfly.b32 $0, $1, $2, 31, -1;"
    return _assembly(builder, template, F32, "=f,f,r", [value, mask], effects=True, together=True)


@device
def barrier():
    """Wait until all threads of the block have come here."""
    cuda.syncthreads()


def _address(context, builder, array_type, array, index):
    """Return the address of an element of a pointer or an array; the index is a signed 64-bit integer."""
    if isinstance(array_type, types.CPointer):
        return builder.gep(array, [index])
    struct = context.make_array(array_type)(context, builder, array)
    return builder.gep(struct.data, [index])


def _load(count):
    """Make the intrinsic that loads so many neighbours at once; their address is a multiple of their size."""

    def codegen(context, builder, signature, args):
        array_type, index_type = signature.args
        index = context.cast(builder, args[1], index_type, types.int64)
        address = _address(context, builder, array_type, args[0], index)
        element = address.type.pointee
        vector = ir.VectorType(element, count)
        size = 4 * count
        together = builder.load(builder.bitcast(address, vector.as_pointer()), align=size)
        return _tuple(builder, [builder.extract_element(together, I32(i)) for i in range(count)])

    def typed(typing_context, array, index):
        return types.UniTuple(array.dtype, count)(array, index), codegen

    return intrinsic(typed)


load2, load4 = _load(2), _load(4)


@intrinsic
def copy_async(typing_context, shared, at, source, index):
    """Copy 16 bytes from global to shared memory (PTX ISA, "cp.async"): elements of four bytes, addresses by 16.

    They are there for all threads after `copy_commit`, `copy_wait` and `barrier`.
    """

    def codegen(context, builder, signature, args):
        shared_type, at_type, source_type, index_type = signature.args
        at = context.cast(builder, args[1], at_type, types.int64)
        index = context.cast(builder, args[3], index_type, types.int64)
        to = _address(context, builder, shared_type, args[0], at)
        source = _address(context, builder, source_type, args[2], index)
        if not current().copies_alone:
            four = ir.VectorType(I32, 4).as_pointer()
            value = builder.load(builder.bitcast(source, four), align=16)
            builder.store(value, builder.bitcast(to, four), align=16)
            return context.get_dummy_value()
        if to.type.addrspace != _SHARED_SPACE:
            to = builder.addrspacecast(to, ir.PointerType(to.type.pointee, _SHARED_SPACE))
        template = "cp.async.cg.shared.global [$0], [$1], 16;"
        operands = [builder.ptrtoint(to, I32), builder.ptrtoint(source, I64)]
        _assembly(builder, template, ir.VoidType(), "r,l,~{memory}", operands, effects=True)
        return context.get_dummy_value()

    return types.void(shared, at, source, index), codegen


@intrinsic
def copy_commit(typing_context):
    """Close a group of copies: those that this thread has begun since the last one."""

    def codegen(context, builder, signature, args):
        if current().copies_alone:
            _assembly(builder, "cp.async.commit_group;", ir.VoidType(), "~{memory}", [], effects=True)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def copy_wait(typing_context, groups):
    """Wait until at most `groups` (a constant) of this thread's groups of copies are under way."""
    if not isinstance(groups, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        if current().copies_alone:
            template = f"cp.async.wait_group {groups.literal_value};"
            _assembly(builder, template, ir.VoidType(), "~{memory}", [], effects=True)
        return context.get_dummy_value()

    return types.void(groups), codegen
