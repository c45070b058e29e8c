"""Masked multi-head self-attention (arXiv 1706.03762, section 3.2): the mask is where a sequence ends.

Scores and context are int8 products; the softmax between them is float32. Its numerators take 14 bits, as two of
seven, so that many small ones are not lost beside a large one.
"""

import numpy as np

from edgebert.kernels.activation import exp2
from edgebert.kernels.jit import kernel
from edgebert.kernels.matmul import PANELS, ROWS
from edgebert.kernels.plan import DEPTH
from edgebert.kernels.polynomials import ROUND
from edgebert.kernels.schedule import TASKS_PER_THREAD, share
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import (
    bits,
    broadcast,
    broadcast_i32,
    fma,
    interleave,
    load,
    load_i32,
    load_index,
    load_scalar,
    lower_seven_bits,
    maximum,
    reduce_add,
    reduce_maximum,
    store,
    store_i32,
    store_scalar,
    store_u8,
    to_float,
    transpose,
    upper_seven_bits,
    where_before,
)
from edgebert.kernels.simd.tile import PANEL_BYTES, dot_tile

f32 = np.float32

NUMERATOR_LEVELS = f32(16383.0)
UPPER = f32(128.0)
LOWEST = f32(-1e37)
"""A score that no key comes near: its numerator is 2**-126."""


tile = dot_tile()


@kernel
def product(rows, steps, a, a_row, b, b_panel, panels, out, out_row):
    """Multiply a few rows of uint8 by a matrix of `panels` * 16 columns, `steps` * 4 deep, into int32."""
    panel = np.int64(0)
    while panel < panels:
        count = min(panels - panel, PANELS)
        weight = b + panel * b_panel
        tile(rows, count, steps, a, a_row, 4, weight, b_panel, PANEL_BYTES, out + panel * PANEL_BYTES, out_row)
        panel += count


@kernel
def pack_keys(key, row, length, head_dim, out):
    """Lay the keys of one head out as panels of 16 keys; beyond head_dim they are zero, to a depth of 64 at least."""
    depth = (head_dim + DEPTH - 1) // DEPTH * DEPTH
    for p in range((length + LANES - 1) // LANES):
        for d in range(0, depth, DEPTH):
            # The last panel reads beyond the sequence: those scores are masked.
            transpose(key + p * LANES * row + d, row, out + (p * depth + d) * LANES, PANEL_BYTES)
        for d in range(head_dim, depth, 4):
            store_i32(out + (p * depth + d) * LANES, broadcast_i32(np.int64(0)))


@kernel
def pack_values(value, row, length, head_dim, out, out_panel):
    """Lay the values of one head out as panels of 16 columns; keys beyond the sequence have a weight of zero."""
    for k in range(0, length, 4):
        for d in range(0, head_dim, LANES):
            interleave(value + k * row + d, row, out + d // LANES * out_panel + k * LANES)


@kernel
def softmax_numerators(scores, length, depth, query_scale, bias, columns, upper, lower):
    """Turn a row of scores into the numerators of its softmax, each times the scale of its value; return their sum.

    `scores` int32 [length], overwritten; `bias` float32 [length] is added to the scaled scores, 0 for none;
    `columns` as `prepare_columns` leaves them; `upper` and `lower` uint8 [depth] get the two halves of the numerators,
    zero from `length` on.
    """
    size = (length + LANES - 1) // LANES * LANES
    scale, offset, value_scale = columns, columns + 4 * size, columns + 8 * size
    highest = broadcast(LOWEST)
    scales = broadcast(query_scale)
    if bias == 0:
        for k in range(0, size, LANES):
            score = fma(to_float(load_i32(scores + 4 * k)), load(scale + 4 * k), load(offset + 4 * k))
            store(scores + 4 * k, score)
            highest = maximum(highest, score)
    else:
        for k in range(0, size, LANES):
            score = fma(to_float(load_i32(scores + 4 * k)), load(scale + 4 * k), load(offset + 4 * k))
            score = fma(score, scales, load(bias + 4 * k))
            store(scores + 4 * k, score)
            highest = maximum(highest, score)
        scales = broadcast(f32(1.0))
    highest = broadcast(reduce_maximum(highest))
    total = broadcast(f32(0.0))
    for k in range(0, size, LANES):
        # Taken off before it is scaled, the highest score cannot leave a rest above zero.
        numerator = exp2((load(scores + 4 * k) - highest) * scales)
        total = total + numerator
        whole = bits(fma(numerator, load(value_scale + 4 * k), broadcast(ROUND)))
        # The constant's own bits lie above the seventh and fourteenth, which the halves leave out.
        store_u8(upper + k, upper_seven_bits(whole))
        store_u8(lower + k, lower_seven_bits(whole))
    for k in range(size, depth, LANES):
        store_u8(upper + k, broadcast_i32(np.int64(0)))
        store_u8(lower + k, broadcast_i32(np.int64(0)))
    return reduce_add(total)


@kernel
def prepare_columns(key_scale, offset, value_scale, value_factor, length, columns):
    """Copy what the keys of a head bring to every row of scores, so that keys beyond the sequence weigh nothing.

    `columns` float32 [3, length rounded up to 16]: scale, offset, and the scale of the value in units of a numerator.
    """
    size = (length + LANES - 1) // LANES * LANES
    nothing = broadcast(f32(0.0))
    for k in range(0, size, LANES):
        left = length - k
        store(columns + 4 * k, where_before(left, load(key_scale + 4 * k), nothing))
        store(columns + 4 * (size + k), where_before(left, load(offset + 4 * k), broadcast(LOWEST)))
        scale = where_before(left, load(value_scale + 4 * k) * broadcast(value_factor), nothing)
        store(columns + 4 * (2 * size + k), scale)


@kernel
def largest_of(values, length):
    """Return the largest of `length` float32, which are not negative."""
    highest = broadcast(f32(0.0))
    for k in range(0, length, LANES):
        highest = maximum(highest, where_before(length - k, load(values + 4 * k), broadcast(f32(0.0))))
    return reduce_maximum(highest)


@kernel
def attend_head(
    query,
    row,
    key_bytes,
    first,
    last,
    length,
    head_dim,
    query_scale,
    scale_bytes,
    offset,
    scale,
    bias,
    context,
    context_row,
    scratch,
):
    """Attend from queries first..last of one head of one sequence to all of its `length` keys.

    `query` is the address of the head's queries, `row` bytes apart; its keys lie `key_bytes` further, its values twice
    that. `query_scale` float32 [length], with the scales of the keys `scale_bytes` further and those of the values
    twice that; `offset` float32 [length]; `bias` is where distance 0 stands in the row of this head, or 0. Writes
    float32 `context`.
    """
    panels = (length + LANES - 1) // LANES
    depth = (length + DEPTH - 1) // DEPTH * DEPTH
    key_depth = (head_dim + DEPTH - 1) // DEPTH * DEPTH
    value_scale = query_scale + 2 * scale_bytes
    keys = scratch
    values = keys + panels * LANES * key_depth
    columns = values + depth * head_dim
    scores = columns + 3 * panels * PANEL_BYTES
    scores_row = panels * PANEL_BYTES
    upper = scores + ROWS * scores_row
    lower = upper + ROWS * depth
    upper_sums = lower + ROWS * depth
    sums_row = 4 * head_dim
    lower_sums = upper_sums + ROWS * sums_row
    totals = lower_sums + ROWS * sums_row
    pack_keys(query + key_bytes, row, length, head_dim, keys)
    pack_values(query + 2 * key_bytes, row, length, head_dim, values, depth * LANES)
    largest_value = largest_of(value_scale, length)
    value_unit = largest_value / NUMERATOR_LEVELS
    prepare_columns(query_scale + scale_bytes, offset, value_scale, NUMERATOR_LEVELS / largest_value, length, columns)
    tiles = (last - first + ROWS - 1) // ROWS
    for i in range(tiles):
        begin = first + share(last - first, i, tiles)
        rows = first + share(last - first, i + 1, tiles) - begin
        product(rows, head_dim // 4, query + begin * row, row, keys, key_depth * LANES, panels, scores, scores_row)
        for r in range(rows):
            total = softmax_numerators(
                scores + r * scores_row,
                length,
                depth,
                load_scalar(query_scale + 4 * (begin + r)) * scale,
                bias - 4 * (begin + r) if bias != 0 else bias,
                columns,
                upper + r * depth,
                lower + r * depth,
            )
            store_scalar(totals + 4 * r, value_unit / total)
        steps = (length + 3) // 4
        count = head_dim // LANES
        product(rows, steps, upper, depth, values, depth * LANES, count, upper_sums, sums_row)
        product(rows, steps, lower, depth, values, depth * LANES, count, lower_sums, sums_row)
        for r in range(rows):
            unit = broadcast(load_scalar(totals + 4 * r))
            for d in range(0, head_dim, LANES):
                at = r * sums_row + 4 * d
                whole = fma(to_float(load_i32(upper_sums + at)), broadcast(UPPER), to_float(load_i32(lower_sums + at)))
                store(context + (begin + r) * context_row + 4 * d, whole * unit)


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
def attend(
    query_key_value,
    head_scale,
    key_offset,
    scale_row,
    cu_seqlens,
    sequences,
    heads,
    head_dim,
    scale,
    position_bias,
    position_bias_row,
    position_bias_centre,
    context,
    context_stride,
    scratch,
    task,
    parts,
):
    """Compute a part of the context; what a token attends to ends with its sequence.

    `query_key_value`, `head_scale` and `key_offset` as `project_heads` leaves them, readable for 16 rows more;
    `cu_seqlens` int32 [sequences + 1]; `position_bias` float32 [heads, position_bias_row], in which the distance from
    query i to key k stands at position_bias_centre + k - i, readable for 16 values more, or 0; `context` float32
    [T, context_stride]. Computes task `task` of `attend_tasks(...)`: a range of the queries of one head of one
    sequence. Twin: `reference.attend`.
    """
    width = heads * head_dim
    ranges = query_ranges(sequences, heads, parts)
    part = task % ranges
    head = task // ranges % heads
    sequence = task // ranges // heads
    begin = load_index(cu_seqlens + 4 * sequence)
    length = load_index(cu_seqlens + 4 * sequence + 4) - begin
    bias = position_bias
    if bias != 0:
        bias += 4 * (head * position_bias_row + position_bias_centre)
    if length > 0:
        attend_head(
            query_key_value + begin * 3 * width + head * head_dim,
            3 * width,
            width,
            share(length, part, ranges),
            share(length, part + 1, ranges),
            length,
            head_dim,
            head_scale + 4 * (head * scale_row + begin),
            4 * heads * scale_row,
            key_offset + 4 * (head * scale_row + begin),
            scale,
            bias,
            context + 4 * (begin * context_stride + head * head_dim),
            4 * context_stride,
            scratch,
        )
