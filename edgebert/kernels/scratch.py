"""Where a thread keeps what: the layout of its scratch memory.

All sizes and places are in bytes, from where the thread's memory begins. Who reserves it asks `scratch_bytes`, which is
a C function of every kernel library.
"""

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import BLOCK_ROWS, GROUP_LARGEST, K_MULTIPLE, LANES
from edgebert.kernels.simd.families import current

ROWS, PANELS = current().tile_rows, current().tile_panels
"""The largest tile."""
TILE_BYTES = 4 * LANES * ROWS * PANELS
"""The int32 sums of one tile."""
FOLD_BYTES = 4 * LANES * LANES
"""16 vectors, to be reduced together."""
ALIGNMENT = 64


@kernel
def attention_places(length, head_dim):
    """Return where a head of attention keeps what, for a sequence of `length` tokens and ROWS queries at a time.

    Returns
    -------
    tuple of int
        Values (the keys come first), what keys bring to every row of scores, scores, upper and lower halves of the
        softmax's numerators, sums of the upper and of the lower ones, the factor of each row, what queries say of
        distances, what keys say of them; and the end.
    """
    keys = (length + LANES - 1) // LANES * LANES
    padded_length = (length + K_MULTIPLE - 1) // K_MULTIPLE * K_MULTIPLE
    padded_dim = (head_dim + K_MULTIPLE - 1) // K_MULTIPLE * K_MULTIPLE
    values = keys * padded_dim
    # A row of numerators may begin at any panel, and is read in whole steps.
    columns = values + padded_length * head_dim + K_MULTIPLE * LANES
    scores = columns + 3 * 4 * keys
    upper = scores + ROWS * 4 * keys
    lower = upper + ROWS * padded_length
    upper_sums = lower + ROWS * padded_length
    lower_sums = upper_sums + ROWS * 4 * head_dim
    totals = lower_sums + ROWS * 4 * head_dim
    by_query = totals + 4 * ROWS
    by_key = by_query + ROWS * distances_row(length)
    end = by_key + (ROWS + LANES) * 4 * LANES
    return values, columns, scores, upper, lower, upper_sums, lower_sums, totals, by_query, by_key, end


@kernel
def distances_row(length):
    """Return the bytes of a row of what queries say of distances: those of ROWS queries from `length` keys."""
    return ((length + ROWS + 2 * LANES) // LANES + 1) * 4 * LANES


@kernel
def block_places(rows, row_bytes):
    """Return where a block of a linear layer's outputs is kept, of `rows` float32 rows that take `row_bytes` each.

    Returns
    -------
    tuple of int
        The block (the int32 sums of a tile come first), vectors to reduce; and the end.
    """
    fold = TILE_BYTES + rows * row_bytes
    return TILE_BYTES, fold, fold + 2 * FOLD_BYTES


@kernel
def scratch_bytes(head_dim, longest):
    """Return how much memory a thread needs, for heads of padded `head_dim` and texts of up to `longest` tokens."""
    attention = attention_places(longest, head_dim)[-1]
    # A block has whole groups, gated ones with their gates, or whole heads.
    block = block_places(BLOCK_ROWS, 4 * (2 * GROUP_LARGEST + head_dim))[-1]
    return (max(attention, block) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
