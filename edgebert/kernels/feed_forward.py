"""The intermediate layer in one go: matmul, activation, and the quantization that its reader asks for."""

from edgebert.kernels.activation import activate
from edgebert.kernels.jit import kernel
from edgebert.kernels.matmul import ROWS, TILE_BYTES, linear_at, matmul_block
from edgebert.kernels.quantize_rows import quantize_range
from edgebert.kernels.schedule import row_blocks, share
from edgebert.kernels.simd.families import LANES


@kernel
def expand_blocks(M, groups, parts):
    """Return into how many blocks rows are cut when each gives `groups` tasks, so that `parts` threads have some."""
    blocks = row_blocks(M, parts)
    # No block has less than about a tile of depth 1.
    if parts > 1 and blocks * groups < 2 * parts:
        blocks = max(blocks, min((M + ROWS - 1) // ROWS, (2 * parts + groups - 1) // groups))
    return blocks


@kernel
def expand_tasks(M, groups, parts):
    """Return the number of tasks of `expand` for a team of `parts` threads; `groups` are its outputs'."""
    return expand_blocks(M, groups, parts) * groups


@kernel
def expand(
    x, x_scale, x_zero, M, linear_address, activation, factor, group, groups, q, scale, zero, scratch, task, parts
):
    """Multiply quantized rows by a linear layer, apply `activation` and `factor`, and quantize each `group` of outputs.

    `x`, `x_scale`, `x_zero`, M and `scratch` as in `matmul`, with room for a block of float32 behind the tile;
    `factor` float32 [N]; `q`
    uint8 [M, N], `scale` and `zero` float32 [M, groups]. Computes task `task` of `expand_tasks(...)`: a block of
    rows, a group of outputs, so that the float32 values never leave the cache. Twin: `reference.linear`, `activate`,
    `quantize_rows`.
    """
    linear = linear_at(linear_address)
    blocks = expand_blocks(M, groups, parts)
    block, g = task // groups, task % groups
    m = share(M, block, blocks)
    rows = share(M, block + 1, blocks) - m
    first = g * group
    size = min(group, linear.N - first)
    values = scratch + TILE_BYTES
    matmul_block(
        x,
        x_scale,
        x_zero,
        m,
        rows,
        linear,
        first // LANES,
        (first + size) // LANES,
        values,
        4 * size,
        scratch,
    )
    for r in range(rows):
        row = values + 4 * r * size
        low, high = activate(row, factor + 4 * first, size, activation)
        at = 4 * ((m + r) * groups + g)
        quantize_range(row, size, low, high, q + (m + r) * linear.N + first, scale + at, zero + at)
