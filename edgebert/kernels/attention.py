"""Masked multi-head self-attention (arXiv 1706.03762, section 3.2): the mask is where a sequence ends.

Scores and context are int8 products; the softmax between them is float32. Its numerators take 14 bits, as two of
seven, so that many small ones are not lost beside a large one.
"""

import numpy as np

from edgebert.kernels.activation import exp2
from edgebert.kernels.constants import LOWEST_SCORE, NUMERATOR_LEVELS
from edgebert.kernels.distances import score_distances
from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import K_MULTIPLE, WINDOW_BLOCK
from edgebert.kernels.polynomials import ROUND
from edgebert.kernels.product import product
from edgebert.kernels.schedule import TASKS_PER_THREAD, share
from edgebert.kernels.scratch import ROWS, attention_places
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
from edgebert.kernels.simd.tile import PANEL_BYTES

f32 = np.float32

UPPER = f32(128.0)
"""What the upper half of a numerator counts for."""


@kernel
def pack_keys(key, row, length, head_dim, out):
    """Lay the keys of one head out as panels of 16 keys; beyond head_dim they are zero, up to a multiple of 64."""
    padded_dim = (head_dim + K_MULTIPLE - 1) // K_MULTIPLE * K_MULTIPLE
    for p in range((length + LANES - 1) // LANES):
        for d in range(0, padded_dim, K_MULTIPLE):
            # The last panel reads beyond the sequence: those scores are masked.
            transpose(key + p * LANES * row + d, row, out + (p * padded_dim + d) * LANES, PANEL_BYTES)
        for d in range(head_dim, padded_dim, 4):
            store_i32(out + (p * padded_dim + d) * LANES, broadcast_i32(np.int64(0)))


@kernel
def pack_values(value, row, length, head_dim, out, out_panel):
    """Lay the values of one head out as panels of 16 columns; keys beyond the sequence have a weight of zero."""
    for k in range(0, length, 4):
        for d in range(0, head_dim, LANES):
            interleave(value + k * row + d, row, out + d // LANES * out_panel + k * LANES)


@kernel
def softmax_numerators(scores, length, padded_length, query_scale, bias, columns, upper, lower):
    """Turn a row of scores into the numerators of its softmax, each times the scale of its value; return their sum.

    `scores` int32 [length], overwritten; `bias` float32 [length] is added to the scaled scores, 0 for none;
    `columns` are the addresses of the three rows that `prepare_columns` leaves; `upper` and `lower` uint8
    [padded_length] get the two halves of the numerators, zero from `length` on.
    """
    size = (length + LANES - 1) // LANES * LANES
    scale, offset, value_scale = columns
    highest = broadcast(LOWEST_SCORE)
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
    for k in range(size, padded_length, LANES):
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
        store(columns + 4 * (size + k), where_before(left, load(offset + 4 * k), broadcast(LOWEST_SCORE)))
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
def attend_head(plan, step, head, sequence, queries, scratch):
    """Attend from a range of the queries of one head of one sequence, a pair, to the keys that they see."""
    begin = load_index(plan.cu_seqlens + 4 * sequence)
    attended = load_index(plan.cu_seqlens + 4 * sequence + 4) - begin
    if plan.key_counts != 0:
        attended = load_index(plan.key_counts + 4 * sequence)
    first, last = queries
    heads, key_heads, head_dim = plan.num_attention_heads, plan.num_key_value_heads, plan.head_dim
    # Keys lie behind the queries of all heads, and values behind the keys; so do their scales.
    shared_head = head * key_heads // heads
    key_slot, value_slot = heads + shared_head, heads + key_heads + shared_head
    row = (heads + 2 * key_heads) * head_dim
    rows_begin = plan.heads + begin * row
    query = rows_begin + head * head_dim
    query_scale = plan.head_scale + 4 * (head * plan.rows + begin)
    key_scale = plan.head_scale + 4 * (key_slot * plan.rows + begin)
    value_scale = plan.head_scale + 4 * (value_slot * plan.rows + begin)
    bias = step.bias
    if bias != 0:
        bias += 4 * (head * step.bias_row + step.bias_centre)
    context = plan.narrow + 4 * (begin * plan.context_stride + head * head_dim)
    # The keys of the range, from a whole panel on: so a sum has the same order, however the queries are cut.
    low = max(first - step.before, 0) // LANES * LANES
    seen = min(last + step.behind, attended) - low
    padded_seen = (seen + K_MULTIPLE - 1) // K_MULTIPLE * K_MULTIPLE
    padded_dim = (head_dim + K_MULTIPLE - 1) // K_MULTIPLE * K_MULTIPLE
    places = attention_places(seen, head_dim)
    keys, values, columns, scores = scratch, scratch + places[0], scratch + places[1], scratch + places[2]
    upper, lower = scratch + places[3], scratch + places[4]
    upper_sums, lower_sums, totals = scratch + places[5], scratch + places[6], scratch + places[7]
    of_distances = (scratch + places[8], scratch + places[9])
    columns_row = (seen + LANES - 1) // LANES * PANEL_BYTES
    scores_row, sums_row, values_row = columns_row, 4 * head_dim, padded_seen * LANES
    pack_keys(rows_begin + key_slot * head_dim + low * row, row, seen, head_dim, keys)
    pack_values(rows_begin + value_slot * head_dim + low * row, row, seen, head_dim, values, values_row)
    largest_value = largest_of(value_scale, attended)
    value_unit = largest_value / NUMERATOR_LEVELS
    offset = plan.key_offset + 4 * (shared_head * plan.rows + begin + low)
    value_factor = NUMERATOR_LEVELS / largest_value
    prepare_columns(key_scale + 4 * low, offset, value_scale + 4 * low, value_factor, seen, columns)
    tiles = (last - first + ROWS - 1) // ROWS
    for i in range(tiles):
        at = first + share(last - first, i, tiles)
        rows = first + share(last - first, i + 1, tiles) - at
        # Of these keys, those that a tile's queries attend to.
        start = max(at - step.before, 0) // LANES * LANES
        count = min(at + rows + step.behind, attended) - start
        padded_count = (count + K_MULTIPLE - 1) // K_MULTIPLE * K_MULTIPLE
        panels = (count + LANES - 1) // LANES
        own = start - low
        column = columns + 4 * own
        columns_of_tile = (column, column + columns_row, column + 2 * columns_row)
        product(
            rows,
            head_dim // 4,
            query + at * row,
            row,
            keys + own * padded_dim,
            padded_dim * LANES,
            panels,
            scores,
            scores_row,
        )
        added, added_row = bias, np.int64(-4)
        if bias != 0:
            added += 4 * (start - at)
        elif step.distances != 0:
            added, added_row = score_distances(
                plan,
                step,
                head,
                (at, rows, row),
                query + at * row,
                query_scale + 4 * at,
                keys,
                (columns, columns + columns_row),
                seen,
                of_distances,
            )
        for r in range(rows):
            total = softmax_numerators(
                scores + r * scores_row,
                count,
                padded_count,
                load_scalar(query_scale + 4 * (at + r)) * plan.softmax_scale,
                added + r * added_row if added != 0 else added,
                columns_of_tile,
                upper + r * padded_count,
                lower + r * padded_count,
            )
            store_scalar(totals + 4 * r, value_unit / total)
        steps = (count + 3) // 4
        value = values + own * LANES
        columns_of_values = head_dim // LANES
        product(rows, steps, upper, padded_count, value, values_row, columns_of_values, upper_sums, sums_row)
        product(rows, steps, lower, padded_count, value, values_row, columns_of_values, lower_sums, sums_row)
        for r in range(rows):
            unit = broadcast(load_scalar(totals + 4 * r))
            out = context + 4 * (at + r) * plan.context_stride
            for d in range(0, head_dim, LANES):
                sums = r * sums_row + 4 * d
                high = to_float(load_i32(upper_sums + sums))
                whole = fma(high, broadcast(UPPER), to_float(load_i32(lower_sums + sums)))
                store(out + 4 * d, whole * unit)


@kernel
def query_ranges(plan, step):
    """Return into how many ranges of queries each head is cut: all threads have tasks, and what they see is small."""
    tasks = plan.sequences * plan.num_attention_heads
    ranges = np.int64(1)
    if plan.threads != 1:
        ranges = (TASKS_PER_THREAD * plan.threads + tasks - 1) // tasks
    if step.before + step.behind < plan.longest:
        ranges = max(ranges, (plan.longest + WINDOW_BLOCK - 1) // WINDOW_BLOCK)
    return ranges


@kernel
def attend_tasks(plan, step):
    """Return into how many tasks attention is cut."""
    return plan.sequences * plan.num_attention_heads * query_ranges(plan, step)


@kernel
def attend(plan, step, scratch, task):
    """Compute the context of a range of the queries of one head of one sequence, where what they attend to ends.

    Reads `plan.heads`, `plan.head_scale` and `plan.key_offset` as `project_heads` leaves them, readable for 16 rows
    more, and `step.bias`, in whose rows the distance from query i to key k stands at bias_centre + k - i, readable for
    16 values more; where not all is seen, it masks the rest. Keys are the first `plan.key_counts` tokens of a sequence,
    or all. Writes `plan.narrow`, float32 [T, context_stride]. Twin:
    `reference.attend`.
    """
    ranges = query_ranges(plan, step)
    part = task % ranges
    head = task // ranges % plan.num_attention_heads
    sequence = task // ranges // plan.num_attention_heads
    length = load_index(plan.cu_seqlens + 4 * sequence + 4) - load_index(plan.cu_seqlens + 4 * sequence)
    if length > 0:
        queries = (share(length, part, ranges), share(length, part + 1, ranges))
        if queries[0] < queries[1]:
            attend_head(plan, step, head, sequence, queries, scratch)
