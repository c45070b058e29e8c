"""Register tiles: the innermost loops of the int8 and float32 matmuls, emitted as LLVM whole.

A tile keeps `rows` x `panels` accumulators of 16 columns in registers, walks K once, and stores them.
``tile(rows, ...)`` is a switch over one small function for each number of rows, so that the last rows of a
matrix cost what they are.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from edgebert.kernels.simd.dot import LOWERINGS
from edgebert.kernels.simd.families import LANES, current
from edgebert.kernels.simd.ops import I64, broadcast_value, multiply_add, pointer
from edgebert.kernels.simd.vector import F32, I32

__all__ = ["PANEL_BYTES", "dot_tile", "fma_tile"]

PANEL_BYTES = LANES * 4
"""Bytes of one step of a weight panel: 16 columns by 4 int8 (or by one float32)."""


def _emit(module, name, rows, vectors, lanes, element, step):
    """Add the function of one tile shape to the module, unless it is there.

    Its arguments are the addresses and strides of `dot_tile`; `vectors` registers of `lanes` hold the columns.
    ``step(builder, acc, a, b)`` is the multiply-add.
    """
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 9), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    steps, a, a_row, a_step, b, b_panel, b_step, out, out_row = function.args
    vector = ir.VectorType(element, lanes)
    panels = vectors * lanes // LANES
    per_panel = LANES // lanes
    entry, loop, done = (function.append_basic_block(label) for label in ("entry", "loop", "done"))

    builder = ir.IRBuilder(entry)
    row_addresses = [builder.add(a, builder.mul(a_row, I64(r))) for r in range(rows)]
    panel_addresses = [builder.add(b, builder.mul(b_panel, I64(p))) for p in range(panels)]
    zero = ir.Constant(vector, None)
    builder.cbranch(builder.icmp_signed(">", steps, I64(0)), loop, done)

    builder = ir.IRBuilder(loop)
    count, a_offset, b_offset = (builder.phi(I64) for _ in range(3))
    acc = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
    weights = [
        builder.load(
            pointer(
                builder,
                builder.add(builder.add(panel_addresses[v // per_panel], b_offset), I64(v % per_panel * lanes * 4)),
                vector,
            ),
            align=4,
        )
        for v in range(vectors)
    ]
    following = []
    for r in range(rows):
        scalar = builder.load(pointer(builder, builder.add(row_addresses[r], a_offset), element), align=1)
        value = broadcast_value(builder, scalar, lanes)
        following.append([step(builder, acc[r][v], value, weights[v]) for v in range(vectors)])
    next_count = builder.add(count, I64(1))
    for phi, start, later in (
        (count, I64(0), next_count),
        (a_offset, I64(0), builder.add(a_offset, a_step)),
        (b_offset, I64(0), builder.add(b_offset, b_step)),
    ):
        phi.add_incoming(start, entry)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", next_count, steps), loop, done)

    builder = ir.IRBuilder(done)
    for r in range(rows):
        for v in range(vectors):
            acc[r][v].add_incoming(zero, entry)
            acc[r][v].add_incoming(following[r][v], loop)
            result = builder.phi(vector)
            result.add_incoming(zero, entry)
            result.add_incoming(following[r][v], loop)
            following[r][v] = result
    for r in range(rows):
        for v in range(vectors):
            row_address = builder.add(out, builder.mul(out_row, I64(r)))
            address = builder.add(row_address, I64(v * lanes * 4))
            builder.store(following[r][v], pointer(builder, address, vector), align=4)
    builder.ret_void()
    return function


def _tile(kind, rows, panels, lanes, element, step):
    """Make the intrinsic that switches over the tiles of 1..rows rows."""
    vectors = panels * LANES // lanes

    @intrinsic
    def tile(context, count, steps, a, a_row, a_step, b, b_panel, b_step, out, out_row):
        def codegen(context, builder, sig, args):
            done = builder.append_basic_block("tile.done")
            switch = builder.switch(args[0], done)
            for r in range(1, rows + 1):
                block = builder.append_basic_block(f"tile.{r}")
                switch.add_case(I64(r), block)
                name = f"{kind}_tile_{r}x{panels}"
                function = _emit(builder.module, name, r, vectors, lanes, element, step)
                with builder.goto_block(block):
                    builder.call(function, args[1:])
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), codegen

    return tile


def dot_tile(panels):
    """Make the int8 tile of `panels` panels: out[r, n] = sum_k a[r, k] * b[k, n], int32, exact.

    Called as ``tile(rows, steps, a, a_row, a_step, b, b_panel, b_step, out, out_row)``: `steps` steps of four along K;
    addresses of uint8 `a` and of int8 `b` in panels; bytes from row to row and step to step of `a`, from panel to
    panel and step to step of `b`, from row to row of the int32 result `out` (rows, panels * 16).
    """
    lanes, step = LOWERINGS[current().dot]
    return _tile("dot", current().tile_rows, panels, lanes, I32, step)


def fma_tile(panels):
    """Make the float32 tile: like `dot_tile`, with one float32 where that has four bytes.

    Each product is added with one rounding, in the order of K.
    """

    def step(builder, acc, a, b):
        return multiply_add(builder, a, b, acc)

    return _tile("fma", current().fma_rows, panels, LANES, F32, step)
