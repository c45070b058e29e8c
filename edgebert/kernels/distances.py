"""What queries and keys say of the distance of two tokens (DeBERTa, arXiv 2006.03654, section 3.1).

Each distance has a key, which queries are multiplied by, and a query, which keys are multiplied by. Both tables go from
the farthest key before a query to the farthest behind it, so that what a query says of its keys lies side by side. What
a key says does not: in a matrix of distances by keys, a query's is a diagonal.
"""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import DISTANCES, K_MULTIPLE
from edgebert.kernels.product import product
from edgebert.kernels.scratch import ROWS, distances_row
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import (
    broadcast,
    fma,
    load,
    load_i32,
    load_scalar,
    record,
    store,
    to_float,
    where_bit,
)
from edgebert.kernels.simd.tile import PANEL_BYTES

distances_at = record(DISTANCES)


@kernel
def skew(x, count, bit):
    """Move the lanes whose number has a bit up by so many rows: `count` rows of 16, from as many more, in place."""
    for i in range(count):
        row = x + i * PANEL_BYTES
        store(row, where_bit(bit, load(row), load(row + bit * PANEL_BYTES)))


@kernel
def diagonals(x, count):
    """Let row i have the diagonal that begins there, for `count` of `count` + 15 rows of 16 lanes of 32 bits."""
    skew(x, count + 7, 8)
    skew(x, count + 3, 4)
    skew(x, count + 1, 2)
    skew(x, count, 1)


@kernel
def score_distances(plan, step, head, tile, query, query_scale, keys, columns, count, places):
    """Leave what the distances of the queries of a tile from their keys add to the logarithm of a key's weight.

    `tile` says at which token the queries begin, how many there are, and their bytes from row to row; `keys` is where
    `pack_keys` left them, `columns` what `prepare_columns` did, each key's scale and offset; `count` of keys, from the
    first of the sequence on. `places` are the addresses of the two parts of scratch memory (`attention_places`).

    Returns
    -------
    tuple of int
        Where what adds to the score of the first query stands, float32 [keys rounded up to 16], and how many bytes
        further that of the next.
    """
    at, rows, row = tile
    scores, x = places
    key_scale, key_offset = columns
    table = distances_at(step.distances)
    head_dim = plan.head_dim
    padded_dim = (head_dim + K_MULTIPLE - 1) // K_MULTIPLE * K_MULTIPLE
    of_head = head * table.row
    content_scale = table.scales + 4 * 3 * of_head
    content_offset, position_scale = content_scale + 4 * table.row, content_scale + 8 * table.row
    padded_count = (count + LANES - 1) // LANES * LANES
    # The last query's distance to the first key, and the panel that it is in.
    first = table.centre - (at + rows - 1)
    begin = first // LANES * LANES
    panels = (table.centre + padded_count - at - begin + LANES - 1) // LANES
    scores_row = distances_row(count)
    distance_keys = table.keys + (of_head + begin) * padded_dim
    product(rows, head_dim // 4, query, row, distance_keys, padded_dim * LANES, panels, scores, scores_row)
    for k in range(0, padded_count, LANES):
        distance_queries = table.queries + (of_head + first + k) * head_dim
        i = np.int64(0)
        while i < rows + LANES - 1:
            own = min(rows + LANES - 1 - i, ROWS)
            out = x + i * PANEL_BYTES
            panel = keys + k * padded_dim
            product(own, head_dim // 4, distance_queries + i * head_dim, head_dim, panel, 0, 1, out, PANEL_BYTES)
            i += own
        diagonals(x, rows)
        scale, offset = load(key_scale + 4 * k), load(key_offset + 4 * k)
        for r in range(rows):
            i = rows - 1 - r
            column = 4 * (first + i + k)
            place = scores + r * scores_row + column - 4 * begin
            of_key = fma(to_float(load_i32(x + i * PANEL_BYTES)), scale, offset) * load(position_scale + column)
            of_query = fma(to_float(load_i32(place)), load(content_scale + column), load(content_offset + column))
            scaled = broadcast(load_scalar(query_scale + 4 * r) * plan.softmax_scale)
            store(place, fma(of_query, scaled, of_key))
    return scores + 4 * (first + rows - 1 - begin), scores_row - 4
