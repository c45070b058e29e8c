"""The int8 linear layers on tensor cores, each with what follows: Y = sum over groups of (A - zero) W * scales + bias.

A block of threads computes a tile of Y at a time, its warps tiles of that tile. Activations and weights come through
shared memory, some steps of 64 inputs ahead of the arithmetic; weights lie as the lanes of a warp want them
(`edgebert.cuda.layout.in_fragments`). Sums are exact integers, and what is done with them is done to each element
alike: a row's results depend on no other row.
"""

from __future__ import annotations

import numpy as np
from numba.cuda import types

from edgebert.cuda.activation import activation_function
from edgebert.cuda.heads import head_functions
from edgebert.cuda.layout import K_WORDS, PANEL_WORDS, PITCH_WORDS, TOKENS, Tile
from edgebert.cuda.ops import (
    barrier,
    copy_async,
    copy_commit,
    copy_wait,
    cuda,
    device,
    fma,
    load2,
    load4,
    mma_u8,
    shuffle_xor,
    unrolled,
)
from edgebert.cuda.rows import level, quantize

f32 = np.float32


def tile_function(tile: Tile):
    """Make the device function that computes one tile of a linear layer.

    It leaves the warp's part in `y`, float32 of each lane: 2 halves of 8 rows for each 16 rows of the warp, in each of
    them 2 columns for each 8 of the warp's, in the order (16 rows, 8 columns, half, column).
    """
    threads, stages, stage_words = tile.threads, tile.stages, tile.stage_words
    row_blocks, panels, octets = tile.warp_rows // 16, tile.warp_columns // 16, tile.warp_columns // 8
    row_words = tile.rows * PITCH_WORDS
    row_chunks, weight_chunks = tile.rows * 4, tile.columns * 4
    column_warps, rows, columns = tile.column_warps, tile.rows, tile.columns
    warp_rows, warp_columns = tile.warp_rows, tile.warp_columns
    a_words, row_count, values = 4 * row_blocks, 2 * row_blocks, tile.values
    ahead = stages - 1
    waiting = max(stages - 2, 0)

    @device
    def copy_stage(shared, base, x, x_at, x_row, weight, weight_at, weight_panel, thread):
        for i in range((row_chunks + threads - 1) // threads):
            chunk = thread + i * threads
            if row_chunks % threads == 0 or chunk < row_chunks:
                row, part = chunk >> 2, chunk & 3
                copy_async(shared, base + row * PITCH_WORDS + part * 4, x, x_at + row * x_row + part * 4)
        for i in range((weight_chunks + threads - 1) // threads):
            chunk = thread + i * threads
            if weight_chunks % threads == 0 or chunk < weight_chunks:
                panel, part = chunk >> 6, chunk & 63
                to = base + row_words + panel * 2 * PANEL_WORDS + part * 4
                copy_async(shared, to, weight, weight_at + panel * weight_panel + part * 4)

    @device
    def begin_step(shared, step, steps, x, x_at, x_row, weight, weight_at, weight_panel, thread):
        """Begin to copy a step's 64 inputs of the tile's rows and columns, 16 bytes at a time, where there is one."""
        if step < steps:
            base = step % stages * stage_words
            x_step, weight_step = x_at + step * K_WORDS, weight_at + step * 2 * PANEL_WORDS
            copy_stage(shared, base, x, x_step, x_row, weight, weight_step, weight_panel, thread)
        copy_commit()

    @device
    def multiply_stage(shared, base, sums, row, panel, lane):
        """Multiply 64 inputs of the warp's rows and columns."""
        a = cuda.local.array(a_words, np.int32)
        for k in range(2):
            for m in range(row_blocks):
                at = base + (row + m * 16 + (lane >> 2)) * PITCH_WORDS + k * 8 + (lane & 3)
                a[4 * m] = shared[at]
                a[4 * m + 1] = shared[at + 8 * PITCH_WORDS]
                a[4 * m + 2] = shared[at + 4]
                a[4 * m + 3] = shared[at + 8 * PITCH_WORDS + 4]
            for p in range(panels):
                at = base + row_words + ((panel + p) * 2 + k) * PANEL_WORDS + lane * 4
                b0, b1, b2, b3 = load4(shared, at)
                for m in range(row_blocks):
                    c = 4 * (m * octets + 2 * p)
                    sums[c], sums[c + 1], sums[c + 2], sums[c + 3] = mma_u8(
                        sums[c],
                        sums[c + 1],
                        sums[c + 2],
                        sums[c + 3],
                        a[4 * m],
                        a[4 * m + 1],
                        a[4 * m + 2],
                        a[4 * m + 3],
                        b0,
                        b1,
                    )
                    c += 4
                    sums[c], sums[c + 1], sums[c + 2], sums[c + 3] = mma_u8(
                        sums[c],
                        sums[c + 1],
                        sums[c + 2],
                        sums[c + 3],
                        a[4 * m],
                        a[4 * m + 1],
                        a[4 * m + 2],
                        a[4 * m + 3],
                        b2,
                        b3,
                    )

    @device
    def add_group(y, sums, ranges, row, group, groups, constants, width, column):
        """Scale the sums of one group of inputs and add them to `y`: rows from `row` on, columns from `column` on."""
        scales = cuda.local.array(row_count, np.float32)
        zeros = cuda.local.array(row_count, np.float32)
        for r in range(2 * row_blocks):
            scales[r], zero = load2(ranges, ((row + 8 * r) * groups + group) * 2)
            zeros[r] = -zero
        for n in range(octets):
            at = column + 8 * n
            factor = load2(constants, group * width + at)
            column_sum = load2(constants, (groups + group) * width + at)
            for r in range(2 * row_blocks):
                for i in range(2):
                    k = 4 * ((r >> 1) * octets + n) + 2 * (r & 1) + i
                    # Whole numbers below 2**24: exact.
                    exact = fma(zeros[r], column_sum[i], f32(sums[k]))
                    y[k] = fma(exact * scales[r], factor[i], y[k])

    @device
    def compute_tile(shared, y, item, x, ranges, K, group, groups, weight, constants, width):
        """Compute tile `item`, column tiles first; return its first row and column that are this lane's."""
        sums = cuda.local.array(values, np.int32)
        thread = cuda.threadIdx.x
        lane, warp = thread & 31, thread >> 5
        column_tiles = width // columns
        m, n = item // column_tiles * rows, item % column_tiles * columns
        x_row, weight_panel = K >> 2, K * 4
        x_at, weight_at = np.int64(m) * x_row, np.int64(n >> 4) * weight_panel
        row = warp // column_warps * warp_rows
        column = warp % column_warps * warp_columns
        steps = K // (4 * K_WORDS)
        # Until all warps have finished the tile before, its stages are still read.
        barrier()
        for s in range(ahead):
            begin_step(shared, s, steps, x, x_at, x_row, weight, weight_at, weight_panel, thread)
        lane_row, lane_column = m + row + (lane >> 2), n + column + 2 * (lane & 3)
        for j in range(octets):
            bias = load2(constants, 2 * groups * width + lane_column + 8 * j)
            for r in range(2 * row_blocks):
                for i in range(2):
                    y[4 * ((r >> 1) * octets + j) + 2 * (r & 1) + i] = bias[i]
        step = 0
        for g in range(groups):
            for i in range(4 * row_blocks * octets):
                sums[i] = 0
            for _ in range(min(group, K - g * group) // (4 * K_WORDS)):
                if ahead == 0:
                    # The one stage is free when all warps have read it.
                    barrier()
                    begin_step(shared, step, steps, x, x_at, x_row, weight, weight_at, weight_panel, thread)
                copy_wait(waiting)
                barrier()
                if ahead > 0:
                    begin_step(shared, step + ahead, steps, x, x_at, x_row, weight, weight_at, weight_panel, thread)
                multiply_stage(shared, step % stages * stage_words, sums, row, column >> 4, lane)
                step += 1
            add_group(y, sums, ranges, lane_row, g, groups, constants, width, lane_column)
        return lane_row, lane_column

    return compute_tile


def project_kernel(tile: Tile):
    """Make the kernel of a linear layer whose outputs stay float32."""
    compute_tile = tile_function(tile)
    row_blocks, octets, rows, columns = tile.warp_rows // 16, tile.warp_columns // 8, tile.rows, tile.columns
    values = tile.values

    def project(batch, x, ranges, K, group, groups, weight, constants, width, N, out, out_row):
        """Multiply quantized rows by a linear layer into `out`, float32 [rows, out_row].

        `x` words of uint8 [rows, K]; `ranges` float32 [rows, groups, 2]; `weight` words, `constants` float32
        [2 groups + 1, width] as `edgebert.cuda.layout` makes them, of which N columns are written. Twin:
        `reference.matmul`.
        """
        shared = cuda.shared.array(0, types.int32)
        y = cuda.local.array(values, np.float32)
        items = (batch[TOKENS] + rows - 1) // rows * (width // columns)
        for item in range(cuda.blockIdx.x, items, cuda.gridDim.x):
            m, n = compute_tile(shared, y, item, x, ranges, K, group, groups, weight, constants, width)
            for r in range(2 * row_blocks):
                for j in range(octets):
                    if n + 8 * j < N:
                        k = 4 * ((r >> 1) * octets + j) + 2 * (r & 1)
                        at = np.int64(m + 8 * r) * out_row + n + 8 * j
                        out[at] = y[k]
                        out[at + 1] = y[k + 1]

    return project


def project_heads_kernel(tile: Tile, head_dim: int, *, rotary: bool, normed: bool):
    """Make the kernel of query, key and value, with a warp's columns made up of whole heads.

    `rotary` says whether queries and keys are turned by the positions of their tokens, `normed` whether some of their
    heads are normalised before.
    """
    compute_tile = tile_function(tile)
    normalise_head, rotate_head, quantize_head = head_functions(tile, head_dim)
    rows, columns, values = tile.rows, tile.columns, tile.values

    def project_heads(
        batch,
        x,
        ranges,
        K,
        group,
        groups,
        weight,
        constants,
        width,
        heads,
        key_heads,
        query_size,
        query_weight,
        query_eps,
        key_size,
        key_weight,
        key_eps,
        angles,
        pairs,
        transposed,
        head_scale,
        capacity,
    ):
        """Multiply quantized rows by the projections of query, key and value, and quantize every head of each token.

        The first as in `project`. Keys have `key_heads` heads, and so have values; a norm's size is 0 where there is
        none, its weight float32 [head_dim]. `angles` float32 [positions, 2, head_dim / 2], cosines and sines;
        `pairs` of int8 [heads + key_heads, capacity, head_dim] gets queries and keys, `transposed` int8 [key_heads,
        head_dim, capacity] the values; `head_scale` float32 [heads + 2 key_heads, capacity]. Twins:
        `reference.normalise_heads`, `rotate_heads`, `quantize_heads`.
        """
        shared = cuda.shared.array(0, types.int32)
        y = cuda.local.array(values, np.float32)
        items = (batch[TOKENS] + rows - 1) // rows * (width // columns)
        keys_end = heads + key_heads
        place = cuda.threadIdx.x & 3
        for item in range(cuda.blockIdx.x, items, cuda.gridDim.x):
            m, n = compute_tile(shared, y, item, x, ranges, K, group, groups, weight, constants, width)
            if normed:
                normalise_head(y, n, place, (0, heads), query_size, query_weight, query_eps)
                normalise_head(y, n, place, (heads, keys_end), key_size, key_weight, key_eps)
            if rotary:
                rotate_head(y, m, n, place, keys_end, batch, angles)
            quantize_head(y, m, n, place, heads, key_heads, pairs, transposed, head_scale, capacity)

    return project_heads


def expand_kernel(tile: Tile, out_group: int, form: str, *, gated: bool):
    """Make the kernel of the intermediate layer, with a tile's columns made up of whole groups of its outputs.

    Where it is `gated`, 16 columns that are activated and the 16 that they are multiplied by stand in turn.
    """
    compute_tile = tile_function(tile)
    row_blocks, octets, rows, columns = tile.warp_rows // 16, tile.warp_columns // 8, tile.rows, tile.columns
    values = tile.values
    column_warps, warp_rows = tile.column_warps, tile.warp_rows
    pieces = 2 if gated else 1
    row_count, group_warps = 2 * row_blocks, pieces * out_group // tile.warp_columns
    out_octets = octets // pieces
    activation = activation_function(form)

    @device
    def place_of(r, j):
        """Return where in `y` two neighbours of a row stand, of octet j of what is activated."""
        octet = j + j // 2 * 2 if gated else j
        return 4 * ((r >> 1) * octets + octet) + 2 * (r & 1)

    @unrolled(2 * row_blocks * out_octets)
    def activate(i, y, factor, column, low, high):
        """Apply the activation, the gate and the factor to two neighbours, and widen the range of their row."""
        r, j = i // out_octets, i % out_octets
        k = place_of(r, j)
        f0, f1 = load2(factor, column + 8 * j)
        y0, y1 = activation(y[k]), activation(y[k + 1])
        if gated:
            y0, y1 = y0 * y[k + 8], y1 * y[k + 9]
        y0, y1 = y0 * f0, y1 * f1
        low[r] = min(low[r], y0, y1)
        high[r] = max(high[r], y0, y1)
        y[k], y[k + 1] = y0, y1

    @unrolled(2 * row_blocks)
    def quantize_group(r, y, row, column, N, low, high, out_groups, pairs, out_ranges, first):
        """Quantize the lane's part of a row, whose range is known; `first` says whether to write that down."""
        token = np.int64(row + 8 * r)
        scale, inverse, zero = quantize(low[r], high[r])
        if column < N and first:
            at = (token * out_groups + column // out_group) * 2
            out_ranges[at] = scale
            out_ranges[at + 1] = f32(zero)
        for j in range(out_octets):
            if column + 8 * j < N:
                k = place_of(r, j)
                pair = level(y[k], inverse, zero) | level(y[k + 1], inverse, zero) << 8
                pairs[(token * N + column + 8 * j) >> 1] = pair

    def expand(batch, x, ranges, K, group, groups, weight, constants, width, N, factor, out_groups, pairs, out_ranges):
        """Multiply quantized rows by a linear layer, activate them, apply `factor`, and quantize each group of outputs.

        The first as in `project`; `factor` float32 [width], or half of it where they are gated; `pairs` of uint8
        [rows, N], `out_ranges` float32 [rows, out_groups, 2]. Twins: `reference.linear`, `activate_gated`,
        `quantize_rows`.
        """
        shared = cuda.shared.array(0, types.int32)
        # The stages have been read when the ends of the groups are exchanged in their place.
        ends = cuda.shared.array(0, types.float32)
        y = cuda.local.array(values, np.float32)
        low = cuda.local.array(row_count, np.float32)
        high = cuda.local.array(row_count, np.float32)
        items = (batch[TOKENS] + rows - 1) // rows * (width // columns)
        thread = cuda.threadIdx.x
        warp = thread >> 5
        own = warp // column_warps * warp_rows + ((thread & 31) >> 2)
        column_warp = warp % column_warps
        # What a warp finds of the rows' ends, it writes behind what the warps before it have found.
        ends_at = 2 * (column_warp * rows + own)
        group_at = 2 * (column_warp // group_warps * group_warps * rows + own)
        for item in range(cuda.blockIdx.x, items, cuda.gridDim.x):
            m, n = compute_tile(shared, y, item, x, ranges, K, group, groups, weight, constants, width)
            if gated:
                # Half of the columns are left: a lane's two neighbours stay with it.
                n = n // 2 + (thread & 3)
            barrier()
            for r in range(row_count):
                low[r] = high[r] = f32(0.0)
            activate(y, factor, n, low, high)
            for r in range(row_count):
                for mask in (1, 2):
                    low[r] = min(low[r], shuffle_xor(low[r], mask))
                    high[r] = max(high[r], shuffle_xor(high[r], mask))
                if thread & 3 == 0:
                    ends[ends_at + 16 * r] = low[r]
                    ends[ends_at + 16 * r + 1] = high[r]
            barrier()
            for r in range(row_count):
                for w in range(group_warps):
                    own_low, own_high = load2(ends, group_at + 2 * rows * w + 16 * r)
                    low[r] = min(low[r], own_low)
                    high[r] = max(high[r], own_high)
            first = thread & 3 == 0 and column_warp % group_warps == 0
            quantize_group(y, m, n, N, low, high, out_groups, pairs, out_ranges, first)

    return expand
