"""Masked multi-head self-attention (arXiv 1706.03762, section 3.2): the mask is where a sequence ends."""

import numpy as np

from edgebert.kernels.activation import exp2
from edgebert.kernels.jit import kernel
from edgebert.kernels.schedule import TASKS_PER_THREAD, share
from edgebert.kernels.simd.families import LANES, current
from edgebert.kernels.simd.ops import (
    broadcast,
    fma,
    load,
    load_index,
    maximum,
    reduce_add,
    reduce_maximum,
    store,
    transpose,
    where_before,
)
from edgebert.kernels.simd.tile import PANEL_BYTES, fma_tile

f32 = np.float32

ROWS = current().fma_rows
PANELS = current().fma_panels

wide_tile = fma_tile(PANELS)
tail_tile = fma_tile(1)


@kernel
def product(rows, K, a, a_row, b, b_step, panels, out, out_row):
    """Multiply a few rows of float32 by a matrix of `panels` * 16 columns; strides in bytes."""
    panel = np.int64(0)
    while panel < panels:
        offset = panel * PANEL_BYTES
        if panels - panel >= PANELS:
            wide_tile(rows, K, a, a_row, 4, b + offset, PANEL_BYTES, b_step, out + offset, out_row)
            panel += PANELS
        else:
            tail_tile(rows, K, a, a_row, 4, b + offset, PANEL_BYTES, b_step, out + offset, out_row)
            panel += 1


@kernel
def softmax_numerators(scores, length, scale):
    """Replace one row of scores by 2**(scale * (score - highest)), zero from `length` on; return their sum."""
    lowest = broadcast(f32(-1e30))
    highest = lowest
    for k in range(0, length, LANES):
        highest = maximum(highest, where_before(length - k, load(scores + 4 * k), lowest))
    scales = broadcast(scale)
    offset = broadcast(-(reduce_maximum(highest) * scale))
    total = broadcast(f32(0.0))
    for k in range(0, length, LANES):
        numerator = exp2(fma(load(scores + 4 * k), scales, offset))
        numerator = where_before(length - k, numerator, broadcast(f32(0.0)))
        store(scores + 4 * k, numerator)
        total = total + numerator
    return reduce_add(total)


@kernel
def attend_head(query, key, value, row, first, last, length, head_dim, scale, context, context_row, scratch):
    """Attend from queries first..last of one head of one sequence to all of its `length` keys.

    `query`, `key`, `value` are addresses of float32 rows, `row` bytes apart; so is `context`, which is written.
    """
    panels = (length + LANES - 1) // LANES
    keys_row = panels * PANEL_BYTES
    keys = scratch
    scores = keys + head_dim * keys_row
    for p in range(panels):
        for d in range(0, head_dim, LANES):
            # The last block may read rows of the next sequence: their scores are masked below.
            source = key + p * LANES * row + 4 * d
            transpose(source, row, keys + d * keys_row + p * PANEL_BYTES, keys_row)
    tiles = (last - first + ROWS - 1) // ROWS
    for i in range(tiles):
        begin = first + share(last - first, i, tiles)
        rows = first + share(last - first, i + 1, tiles) - begin
        out = context + begin * context_row
        product(rows, head_dim, query + begin * row, row, keys, keys_row, panels, scores, keys_row)
        for r in range(rows):
            total = softmax_numerators(scores + r * keys_row, length, scale)
            # One vector for each row lies behind the scores: the divisor waits there.
            store(scores + ROWS * keys_row + r * PANEL_BYTES, broadcast(f32(1.0) / total))
        product(rows, length, scores, keys_row, value, row, head_dim // LANES, out, context_row)
        for r in range(rows):
            divisor = load(scores + ROWS * keys_row + r * PANEL_BYTES)
            for d in range(0, head_dim, LANES):
                address = out + r * context_row + 4 * d
                store(address, load(address) * divisor)


@kernel
def query_ranges(sequences, heads, parts):
    """Return into how many ranges of queries each head is cut, so that `parts` threads have tasks."""
    tasks = sequences * heads
    if parts == 1:
        return np.int64(1)
    return (TASKS_PER_THREAD * parts + tasks - 1) // tasks


@kernel
def attend_tasks(sequences, heads, parts):
    """Return the number of tasks of attention for a team of `parts` threads."""
    return sequences * heads * query_ranges(sequences, heads, parts)


@kernel
def attend(query_key_value, cu_seqlens, sequences, heads, head_dim, scale, context, scratch, task, parts):
    """Compute a part of the context; what a token attends to ends with its sequence.

    `query_key_value` float32 [T, 3 * heads * head_dim], `cu_seqlens` int32 [sequences + 1], `context` float32
    [T, heads * head_dim]. Computes task `task` of `attend_tasks(...)`: a range of the queries of one head of one
    sequence. Twin: `reference.attend`.
    """
    width = 4 * heads * head_dim
    ranges = query_ranges(sequences, heads, parts)
    part = task % ranges
    head = task // ranges % heads
    sequence = task // ranges // heads
    begin = load_index(cu_seqlens + 4 * sequence)
    length = load_index(cu_seqlens + 4 * sequence + 4) - begin
    query = query_key_value + begin * 3 * width + 4 * head * head_dim
    attend_head(
        query,
        query + width,
        query + 2 * width,
        3 * width,
        share(length, part, ranges),
        share(length, part + 1, ranges),
        length,
        head_dim,
        scale,
        context + begin * width + 4 * head * head_dim,
        width,
        scratch,
    )
