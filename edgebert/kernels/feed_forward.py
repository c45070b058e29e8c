"""The intermediate layer in one go: matmul, activation, and the quantization that its reader asks for."""

from edgebert.kernels.activation import activate, activate_gated
from edgebert.kernels.jit import kernel
from edgebert.kernels.matmul import linear_at, matmul_block
from edgebert.kernels.quantize_rows import quantize_range
from edgebert.kernels.schedule import row_blocks, share
from edgebert.kernels.scratch import ROWS, block_places
from edgebert.kernels.simd.families import LANES


@kernel
def expand_blocks(plan, groups):
    """Return into how many blocks rows are cut when each gives `groups` tasks, so that all threads have some."""
    M, parts = plan.tokens, plan.threads
    blocks = row_blocks(M, parts)
    # No block has less than about a tile of one int16 step.
    if parts > 1 and blocks * groups < 2 * parts:
        blocks = max(blocks, min((M + ROWS - 1) // ROWS, (2 * parts + groups - 1) // groups))
    return blocks


@kernel
def expand_tasks(plan, step):
    """Return into how many tasks the intermediate layer is cut: of each block of rows, each group of its outputs."""
    groups = linear_at(step.reader).groups
    return expand_blocks(plan, groups) * groups


@kernel
def expand(plan, step, scratch, task):
    """Multiply a block of rows, apply the activation, the gate and the factor, and quantize one group of outputs.

    So the float32 values never leave the cache. Twin: `reference.linear`, `reference.activate_gated`,
    `reference.quantize_rows`.
    """
    reader = linear_at(step.reader)
    group, groups = reader.group, reader.groups
    blocks = expand_blocks(plan, groups)
    block, g = task // groups, task % groups
    m = share(plan.tokens, block, blocks)
    rows = share(plan.tokens, block + 1, blocks) - m
    first = g * group
    size = min(group, reader.K - first)
    pieces = 1 + step.gated
    row_bytes = 4 * pieces * size
    values = scratch + block_places(rows, row_bytes)[0]
    panels = (pieces * first // LANES, pieces * (first + size) // LANES)
    matmul_block(plan, step, (m, m + rows), panels, values, row_bytes, scratch)
    for r in range(rows):
        row = values + r * row_bytes
        if step.gated != 0:
            low, high = activate_gated(row, step.factor + 4 * first, size, step.activation)
        else:
            low, high = activate(row, step.factor + 4 * first, size, step.activation)
        at = 4 * ((m + r) * groups + g)
        q = plan.inner + (m + r) * reader.K + first
        quantize_range(row, size, low, high, q, plan.inner_scale + at, plan.inner_zero + at)
