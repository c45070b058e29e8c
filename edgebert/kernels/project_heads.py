"""Query, key and value in one go: matmul, and their quantization head by head."""

import numpy as np

from edgebert.kernels.constants import HEAD_LEVELS, QUERY_LEVELS, QUERY_ZERO, SMALLEST
from edgebert.kernels.jit import kernel
from edgebert.kernels.matmul import matmul_block
from edgebert.kernels.plan import GROUP_LARGEST
from edgebert.kernels.polynomials import ROUND, ROUND_BITS
from edgebert.kernels.schedule import TASKS_PER_THREAD, row_blocks, share
from edgebert.kernels.scratch import FOLD_BYTES, block_places
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import (
    absolute,
    bits,
    broadcast,
    broadcast_i32,
    fold_add,
    fold_maximum,
    load,
    load_index,
    load_scalar,
    maximum,
    store,
    store_i32,
    store_scalar,
    store_u8,
    to_float,
    where_positive,
)

f32 = np.float32


@kernel
def store_first(address, value, count, scratch):
    """Store the first `count` lanes of a vector."""
    if count == LANES:
        store(address, value)
    else:
        store(scratch, value)
        for i in range(count):
            store_scalar(address + 4 * i, load_scalar(scratch + 4 * i))


@kernel
def quantize_heads(x, x_row, rows, head_dim, slot, heads, out, out_row, scale, offset, scratch):
    """Quantize one head of the query, key or value of up to 16 tokens: symmetric, a scale for each token.

    Addresses of float32 `x` and of bytes `out`, with bytes from row to row; `slot` counts the heads of the queries,
    then of the keys, then of the values. `scale` float32 [16]; for keys, `offset` float32 [16] gets what the query's
    zero point adds to each score. `scratch` FOLD_BYTES. Twin: `reference.quantize_heads`.
    """
    is_query, is_key = slot < heads, heads <= slot < 2 * heads
    for r in range(rows):
        largest = absolute(load(x + r * x_row))
        for d in range(LANES, head_dim, LANES):
            largest = maximum(largest, absolute(load(x + r * x_row + 4 * d)))
        store(scratch + 4 * LANES * r, largest)
    levels = QUERY_LEVELS if is_query else HEAD_LEVELS
    largest = fold_maximum(scratch)
    # What is too small to divide by is all zero.
    largest = where_positive(largest - broadcast(SMALLEST), largest, broadcast(levels))
    inverse = broadcast(levels) / largest
    scales = largest / broadcast(levels)
    store_first(scale, scales, rows, scratch)
    store(scratch + FOLD_BYTES, inverse)
    zero = broadcast_i32((QUERY_ZERO if is_query else 0) - ROUND_BITS)
    for r in range(rows):
        inverses = broadcast(load_scalar(scratch + FOLD_BYTES + 4 * r))
        total = broadcast_i32(np.int64(0))
        for d in range(0, head_dim, LANES):
            value = bits(load(x + r * x_row + 4 * d) * inverses + broadcast(ROUND)) + zero
            store_u8(out + r * out_row + d, value)
            total = total + value
        store_i32(scratch + 4 * LANES * r, total)
    if is_key:
        shift = to_float(fold_add(scratch)) * broadcast(f32(-QUERY_ZERO)) * scales
        store_first(offset, shift, rows, scratch)


@kernel
def rotate(x, angles, head_dim):
    """Turn the points of one head of a token: float32 [head_dim] in place; `angles` float32 [2, head_dim / 2].

    Each operation is rounded by itself. Twin: `positions.rotate`.
    """
    half = head_dim // 2
    for d in range(0, half, LANES):
        first, second = load(x + 4 * d), load(x + 4 * (half + d))
        cosine, sine = load(angles + 4 * d), load(angles + 4 * (half + d))
        store(x + 4 * d, first * cosine - second * sine)
        store(x + 4 * (half + d), second * cosine + first * sine)


@kernel
def slot_ranges(plan):
    """Return into how many ranges the heads of query, key and value are cut for each block of rows."""
    parts, slots = plan.threads, 3 * plan.num_attention_heads
    blocks = row_blocks(plan.tokens, parts)
    ranges = (slots * plan.head_dim + GROUP_LARGEST - 1) // GROUP_LARGEST
    if parts > 1:
        ranges = max(ranges, (TASKS_PER_THREAD * parts + blocks - 1) // blocks)
    return min(slots, ranges)


@kernel
def project_heads_tasks(plan, step):
    """Return into how many tasks the projections of query, key and value are cut."""
    return row_blocks(plan.tokens, plan.threads) * slot_ranges(plan)


@kernel
def project_heads(plan, step, scratch, task):
    """Multiply a block of rows by the projections of a range of heads; turn and quantize every head of each token.

    Writes `plan.heads`, bytes [M, 3 * heads * head_dim], query uint8, key and value int8; `plan.head_scale` float32
    [3 * heads, rows] and `plan.key_offset` float32 [heads, rows].
    """
    heads, head_dim, M, parts = plan.num_attention_heads, plan.head_dim, plan.tokens, plan.threads
    slots = 3 * heads
    ranges = slot_ranges(plan)
    blocks = row_blocks(M, parts)
    block, part = task // ranges, task % ranges
    m = share(M, block, blocks)
    rows = share(M, block + 1, blocks) - m
    first = share(slots, part, ranges)
    last = share(slots, part + 1, ranges)
    row_bytes = 4 * (last - first) * head_dim
    places = block_places(rows, row_bytes)
    values, fold = scratch + places[0], scratch + places[1]
    panels = (first * head_dim // LANES, last * head_dim // LANES)
    matmul_block(plan, step, (m, m + rows), panels, values, row_bytes, scratch)
    width = slots * head_dim
    if step.angles != 0:
        for r in range(rows):
            angles = step.angles + 4 * load_index(plan.position_ids + 4 * (m + r)) * head_dim
            for slot in range(first, min(last, 2 * heads)):
                rotate(values + r * row_bytes + 4 * (slot - first) * head_dim, angles, head_dim)
    for slot in range(first, last):
        for r in range(0, rows, LANES):
            t = m + r
            quantize_heads(
                values + r * row_bytes + 4 * (slot - first) * head_dim,
                row_bytes,
                min(LANES, rows - r),
                head_dim,
                slot,
                heads,
                plan.heads + t * width + slot * head_dim,
                width,
                plan.head_scale + 4 * (slot * plan.rows + t),
                plan.key_offset + 4 * ((slot - heads) * plan.rows + t),
                fold,
            )
