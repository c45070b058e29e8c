"""Register tiles: the innermost loops of the int8 and float32 matmuls, emitted as LLVM whole.

A tile keeps `rows` x `panels` accumulators of 16 columns in registers, walks K once, and stores them.
``tile(rows, ...)`` is a switch over one small function for each number of rows, so that the last rows of a
matrix cost what they are.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from edgebert.kernels.simd import neon, portable, x86
from edgebert.kernels.simd.dot import Dot, broadcast_steps
from edgebert.kernels.simd.families import LANES, MATRIX, current
from edgebert.kernels.simd.lowering import broadcast_value, intrinsic_call, pointer
from edgebert.kernels.simd.multiply_add import multiply_add
from edgebert.kernels.simd.ops import I8, I64, tile_call
from edgebert.kernels.simd.vector import F32, I32

__all__ = ["PANEL_BYTES", "dot_tile", "fma_tile", "linear_tile"]

PANEL_BYTES = LANES * 4
"""Bytes of one step of a weight panel: 16 columns by 4 int8 (or by one float32)."""

PREFETCH_BYTES = 1024
"""How far ahead of its use a weight is asked for: with few rows it comes from the third-level cache, or from memory."""

LOWERINGS = {**x86.LOWERINGS, **neon.LOWERINGS, **portable.LOWERINGS}
"""Name, as in `InstructionSet.dot` -> lowering."""

assert all(LANES % dot.lanes == 0 for dot in LOWERINGS.values())

_EPILOGUE = ("x_zero", "x_scale", "x_row", "column_sums", "scale", "before", "before_row", "scratch")
"""Arguments that the tile of a linear layer has beside those of a product; see `linear_tile`."""


def _function(module, name, extra):
    """Declare the function of one tile shape; its arguments are those of `dot_tile`, and `extra`."""
    names = ["rows", "steps", "a", "a_row", "a_step", "b", "b_panel", "b_step", "out", "out_row", *extra]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * len(names)), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    return function, SimpleNamespace(**dict(zip(names, function.args, strict=True)))


def _at(builder, address, stride, count, offset=0):
    """Return address + stride * count + offset."""
    if count:
        address = builder.add(address, builder.mul(stride, I64(count)))
    return builder.add(address, I64(offset)) if offset else address


def _prefetch(builder, address):
    """Ask for a cache line; an address that is not mapped does no harm."""
    read, all_levels, data = I32(0), I32(3), I32(1)
    line = builder.inttoptr(address, I8.as_pointer())
    intrinsic_call(builder, "llvm.prefetch.p0", ir.VoidType(), line, read, all_levels, data)


def _emit(module, name, rows, panels, element, int16_steps, dot, finish, extra):
    """Add the function of one tile shape to the module, unless it is there.

    It takes at least `int16_steps` steps at a time through ``dot``. ``finish(builder, arguments, r, offset, sums)``
    stores what a vector of row r has come to, `offset` bytes into it. With `extra`, b is a weight, which is asked for
    ahead of its use.
    """
    if name in module.globals:
        return module.globals[name]
    function, given = _function(module, name, extra)
    vector = ir.VectorType(element, dot.lanes)
    per_panel = LANES // dot.lanes
    vectors, steps = panels * per_panel, max(int16_steps, dot.steps)
    # Rows that make one operand; where the last operand has too few, its last row stands in.
    groups = [[min(r + i, rows - 1) for i in range(dot.rows)] for r in range(0, rows, dot.rows)]
    entry, loop, done = (function.append_basic_block(label) for label in ("entry", "loop", "done"))

    builder = ir.IRBuilder(entry)
    row_addresses = [_at(builder, given.a, given.a_row, r) for r in range(rows)]
    panel_addresses = [_at(builder, given.b, given.b_panel, p) for p in range(panels)]
    zero = ir.Constant(vector, None)
    builder.cbranch(builder.icmp_signed(">", given.steps, I64(0)), loop, done)

    builder = ir.IRBuilder(loop)
    count, a_offset, b_offset = (builder.phi(I64) for _ in range(3))
    acc = [[[builder.phi(vector) for _ in range(dot.parts)] for _ in range(vectors)] for _ in groups]
    a_offsets = [_at(builder, a_offset, given.a_step, s) for s in range(steps)]
    b_offsets = [_at(builder, b_offset, given.b_step, s) for s in range(steps)]

    def weights_of(v, turn=slice(None)):
        panel, offset = panel_addresses[v // per_panel], I64(v % per_panel * dot.lanes * 4)
        addresses = [builder.add(builder.add(panel, each), offset) for each in b_offsets[turn]]
        if extra and v % per_panel == 0:
            for address in addresses:
                _prefetch(builder, builder.add(address, I64(PREFETCH_BYTES)))
        return [builder.load(pointer(builder, address, vector), align=4) for address in addresses]

    def activations_of(group):
        addresses = [[builder.add(row_addresses[r], each) for each in a_offsets] for r in group]
        return dot.activations(builder, addresses)

    following = [list(sums) for sums in acc]
    if dot.turn:
        # All rows' activations stay in registers, and one vector's weights of a turn.
        operands = [activations_of(group) for group in groups]
        for turn in (slice(begin, begin + dot.turn) for begin in range(0, steps, dot.turn)):
            for v in range(vectors):
                weights = weights_of(v, turn)
                for g, a in enumerate(operands):
                    following[g][v] = dot.multiply_add(builder, following[g][v], a[turn], weights)
    else:
        every = [weights_of(v) for v in range(vectors)]
        for g, group in enumerate(groups):
            a = activations_of(group)
            following[g] = [dot.multiply_add(builder, acc[g][v], a, every[v]) for v in range(vectors)]
    next_count = builder.add(count, I64(steps))
    end = builder.block  # a multiply-add may have branched
    for phi, start, later in (
        (count, I64(0), next_count),
        (a_offset, I64(0), _at(builder, a_offset, given.a_step, steps)),
        (b_offset, I64(0), _at(builder, b_offset, given.b_step, steps)),
    ):
        phi.add_incoming(start, entry)
        phi.add_incoming(later, end)
    builder.cbranch(builder.icmp_signed("<", next_count, given.steps), loop, done)

    builder = ir.IRBuilder(done)
    for g, v, part in itertools.product(range(len(groups)), range(vectors), range(dot.parts)):
        acc[g][v][part].add_incoming(zero, entry)
        acc[g][v][part].add_incoming(following[g][v][part], end)
        result = builder.phi(vector)
        result.add_incoming(zero, entry)
        result.add_incoming(following[g][v][part], end)
        following[g][v][part] = result
    for g, group in enumerate(groups):
        folded = [dot.fold(builder, following[g][v]) for v in range(vectors)]
        for i, r in enumerate(sorted(set(group))):
            for v in range(vectors):
                finish(builder, given, I64(r), v * dot.lanes * 4, folded[v][i])
    builder.ret_void()
    return function


def _store_sums(builder, given, r, offset, sums):
    """Finish a product: store the sums."""
    address = builder.add(builder.add(given.out, builder.mul(given.out_row, r)), I64(offset))
    builder.store(sums, pointer(builder, address, sums.type), align=4)


def _store_outputs(builder, given, r, offset, sums):
    """Finish a linear layer: scale the sums of one group and add what came before it, the other groups or the bias.

    fma((sums - zero * column_sums) * x_scale, scale, before); sums and their difference are whole and below 2**24.
    """
    lanes = sums.type.count
    vector = ir.VectorType(F32, lanes)

    def row_value(base):
        address = builder.add(base, builder.mul(given.x_row, r))
        return broadcast_value(builder, builder.load(pointer(builder, address, F32), align=4), lanes)

    def columns(base, row_bytes=None):
        address = builder.add(base, builder.mul(row_bytes, r)) if row_bytes else base
        return builder.load(pointer(builder, builder.add(address, I64(offset)), vector), align=4)

    negative_zero = builder.fneg(row_value(given.x_zero))
    exact = multiply_add(builder, negative_zero, columns(given.column_sums), builder.sitofp(sums, vector))
    scaled = builder.fmul(exact, row_value(given.x_scale))
    y = multiply_add(builder, scaled, columns(given.scale), columns(given.before, given.before_row))
    _store_sums(builder, given, r, offset, y)


def _tile(kind, shapes, element, dot, finish=_store_sums, extra=()):
    """Make the intrinsic that switches over the tiles of each number of int16 steps: 1..rows rows by 1..panels panels.

    `shapes` holds rows and panels by int16 steps.
    """

    def emit(builder, int16_steps, row_count, panel_count, args):
        done = builder.append_basic_block("tile.done")
        # Row counts are below 64, panel counts below 16.
        chosen = builder.add(row_count, builder.mul(panel_count, I64(64)))
        switch = builder.switch(builder.add(chosen, builder.mul(int16_steps, I64(1024))), done)
        for d, (rows, panels) in shapes.items():
            for r, p in itertools.product(range(1, rows + 1), range(1, panels + 1)):
                name = f"{kind}_tile_{d}x{r}x{p}"
                block = builder.append_basic_block(name)
                switch.add_case(I64(r + 64 * p + 1024 * d), block)
                function = _emit(builder.module, name, r, p, element, d, dot, finish, extra)
                with builder.goto_block(block):
                    builder.call(function, [row_count, *args])
                    builder.branch(done)
        builder.position_at_end(done)

    return _intrinsic(emit, extra)


def _intrinsic(emit, extra):
    """Make an intrinsic without a result from a function (builder, int16 steps, rows, panels, other arguments)."""
    # A product alone has no int16 steps of its own: it takes a step at a time.
    signature = types.void(*[types.int64] * (11 + (1 + len(extra) if extra else 0)))

    def codegen(context, builder, sig, args):
        int16_steps, rows, panels, *others = args if extra else (I64(1), *args)
        emit(builder, int16_steps, rows, panels, others)
        return context.get_dummy_value()

    # An intrinsic's typing function must name its arguments: Numba reads the signature.
    if extra:

        @intrinsic
        def linear(
            context, int16_steps, rows, panels, steps, a, a_row, a_step, b, b_panel, b_step, out, out_row,
            x_zero, x_scale, x_row, column_sums, scale, before, before_row, scratch,
        ):  # fmt: skip
            return signature, codegen

        return linear

    @intrinsic
    def tile(context, rows, panels, steps, a, a_row, a_step, b, b_panel, b_step, out, out_row):
        return signature, codegen

    return tile


def _emit_matrix(module, name, row_tiles, panels, extra):
    """Add the function that fills `row_tiles` x `panels` tile registers of 16 x 16 sums, like `_emit`.

    Of the eight tile registers the first four hold sums, two more activations and two weights. Rows up to a multiple
    of 16 and steps up to one of 16 are read, the last tile of rows ending with the last row where there are two.
    With `extra` the sums go to `scratch`, and from there through the epilogue.
    """
    if name in module.globals:
        return module.globals[name]
    function, given = _function(module, name, extra)
    entry, loop, done = (function.append_basic_block(label) for label in ("entry", "loop", "done"))
    byte_pointer = I8.as_pointer()

    def move(builder, instruction, register, address, row_bytes):
        tile_call(builder, instruction, I8(register), builder.inttoptr(address, byte_pointer), row_bytes)

    sums = [[panels * t + p for p in range(panels)] for t in range(row_tiles)]
    builder = ir.IRBuilder(entry)
    starts = [I64(0), builder.sub(given.rows, I64(LANES))][:row_tiles]
    row_addresses = [builder.add(given.a, builder.mul(given.a_row, start)) for start in starts]
    panel_addresses = [_at(builder, given.b, given.b_panel, p) for p in range(panels)]
    for register in itertools.chain(*sums):
        tile_call(builder, "tilezero", I8(register))
    builder.branch(loop)

    builder = ir.IRBuilder(loop)
    step = builder.phi(I64)
    a_offset, b_offset = builder.mul(step, I64(4)), builder.mul(step, given.b_step)
    for t in range(row_tiles):
        move(builder, "tileloadd64", 4 + t, builder.add(row_addresses[t], a_offset), given.a_row)
    for p in range(panels):
        move(builder, "tileloadd64", 6 + p, builder.add(panel_addresses[p], b_offset), given.b_step)
        for t in range(row_tiles):
            tile_call(builder, "tdpbusd", I8(sums[t][p]), I8(4 + t), I8(6 + p))
    next_step = builder.add(step, I64(LANES))
    step.add_incoming(I64(0), entry)
    step.add_incoming(next_step, loop)
    builder.cbranch(builder.icmp_signed("<", next_step, given.steps), loop, done)

    builder = ir.IRBuilder(done)
    row_bytes = I64(panels * LANES * 4) if extra else given.out_row
    target = given.scratch if extra else given.out
    for t in range(row_tiles):
        row_address = builder.add(target, builder.mul(row_bytes, starts[t]))
        for p in range(panels):
            move(builder, "tilestored64", sums[t][p], builder.add(row_address, I64(p * LANES * 4)), row_bytes)
    if extra:
        with cgutils.for_range(builder, given.rows) as row:
            row_address = builder.add(target, builder.mul(row_bytes, row.index))
            for p in range(panels):
                address = builder.add(row_address, I64(p * LANES * 4))
                acc = builder.load(pointer(builder, address, ir.VectorType(I32, LANES)), align=4)
                _store_outputs(builder, given, row.index, p * LANES * 4, acc)
    builder.ret_void()
    return function


def _matrix_tile(kind, panels, extra=()):
    """Make the intrinsic of `_emit_matrix` for up to 32 rows and `panels` panels."""

    def emit(builder, _int16_steps, row_count, panel_count, args):
        done = builder.append_basic_block("tile.done")
        row_tiles = builder.zext(builder.icmp_signed(">", row_count, I64(LANES)), I64)
        switch = builder.switch(builder.add(row_tiles, builder.mul(panel_count, I64(2))), done)
        for t, p in itertools.product((1, 2), range(1, panels + 1)):
            block = builder.append_basic_block(f"tile.{t}.{p}")
            switch.add_case(I64(t - 1 + 2 * p), block)
            function = _emit_matrix(builder.module, f"{kind}_tile_{t}x{p}", t, p, extra)
            with builder.goto_block(block):
                builder.call(function, [row_count, *args])
                builder.branch(done)
        builder.position_at_end(done)

    return _intrinsic(emit, extra)


def dot_tile():
    """Make the int8 tile: out[r, n] = sum_k a[r, k] * b[k, n], int32, exact.

    Called as ``tile(rows, panels, steps, a, a_row, a_step, b, b_panel, b_step, out, out_row)``: at most the family's
    rows and panels; `steps` steps of four along K; addresses of uint8 `a` and of int8 `b` in panels; bytes from row to
    row and step to step of `a`, from panel to panel and step to step of `b`, from row to row of the int32 result `out`
    (rows, panels * 16).

    Matrix instructions read and write rows up to a multiple of 16, and read steps up to one of 16, where either
    operand must be zero; a vector family reads steps up to a multiple of its `Dot.steps`.
    """
    family = current()
    if family.dot == MATRIX:
        return _matrix_tile("dot", family.tile_panels)
    return _tile("dot", {1: family.tiles[1]}, I32, LOWERINGS[family.dot])


def linear_tile():
    """Make the tile of a linear layer: an int8 product, and its epilogue while the sums are in registers.

    Called as ``tile(int16_steps, <as a dot_tile's>, x_zero, x_scale, x_row, column_sums, scale, before, before_row,
    scratch)``: int16 steps that the family has tiles for, of which `steps` is a multiple; addresses of the float32 zero
    point and scale of each row, bytes from row to row of these; of a float32 for each column; of the float32 outputs so
    far, bytes from row to row of them (0 for the bias); of room for a tile of sums. `out` is float32. The rows and
    panels are at most those that the family has for them.
    """
    family = current()
    if family.dot == MATRIX:
        return _matrix_tile("linear", family.tile_panels, _EPILOGUE)
    return _tile("linear", family.tiles, I32, LOWERINGS[family.dot], _store_outputs, _EPILOGUE)


def fma_tile():
    """Make the float32 tile of one panel: like `dot_tile`, with one float32 where that has four bytes.

    Each product is added with one rounding, in the order of K.
    """

    def activations(builder, addresses):
        return broadcast_steps(builder, addresses, F32)

    def multiply(builder, parts, a, b):
        return [multiply_add(builder, a[0], b[0], parts[0])]

    return _tile("fma", {1: (current().fma_rows, 1)}, F32, Dot(LANES, activations, multiply))
