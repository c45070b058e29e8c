"""The int8 matmul and its epilogue: Y = sum over groups of (A - zero) W * scales, + bias."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import INTERMEDIATE, LINEAR, RESIDUAL
from edgebert.kernels.schedule import TASKS_PER_THREAD, row_blocks, share
from edgebert.kernels.scratch import PANELS, ROWS
from edgebert.kernels.simd.families import LANES, current
from edgebert.kernels.simd.ops import record
from edgebert.kernels.simd.tile import PANEL_BYTES, linear_tile

linear_at = record(LINEAR)


# Layers of two int16 steps have tiles of their own where that pays.
HAS_DEEP_TILE = 2 in current().tiles
DEEP_ROWS, DEEP_PANELS = current().tiles.get(2, (ROWS, PANELS))

tile = linear_tile()


@kernel
def steps_of_tile(linear):
    """Return the steps of K that the tiles of a linear layer take at a time."""
    return np.int64(linear.depth if HAS_DEEP_TILE else 1)


@kernel
def rows_of_tile(linear):
    """Return the rows of the largest tile of a linear layer."""
    return np.int64(DEEP_ROWS if linear.depth == 2 else ROWS)


@kernel
def panels_of_tile(linear):
    """Return the panels of the largest tile of a linear layer."""
    return np.int64(DEEP_PANELS if linear.depth == 2 else PANELS)


@kernel
def quantized_rows(plan, step):
    """Return the addresses of the quantized rows that a step reads, of their scales and of their zero points."""
    if step.source == INTERMEDIATE:
        return plan.inner, plan.inner_scale, plan.inner_zero
    return plan.quantized, plan.row_scale, plan.row_zero


@kernel
def matmul_block(plan, step, rows, panels_of_block, out, out_row, scratch):
    """Multiply quantized rows by a linear layer; exact in int32, then the same float operations everywhere.

    Computes rows first..last and panels first..last, each a pair, of Y into float32 `out`, which begins with these.
    Rows are uint8 [M, K] with scales and zero points float32 [M, groups], readable for 16 rows more; `scratch` has
    room for a tile. Twin: `reference.matmul`.
    """
    begin, M = rows[0], rows[1] - rows[0]
    first, last = panels_of_block
    linear = linear_at(step.linear)
    x, x_scale, x_zero = quantized_rows(plan, step)
    K, group, groups = linear.K, linear.group, linear.groups
    x += begin * K
    x_scale += 4 * begin * groups
    x_zero += 4 * begin * groups
    panel_stride = K // 4 * PANEL_BYTES
    int16_steps, most_rows, most_panels = steps_of_tile(linear), rows_of_tile(linear), panels_of_tile(linear)
    tiles = (M + most_rows - 1) // most_rows
    panel = first
    while panel < last:
        panels = min(last - panel, most_panels)
        before, before_row = linear.bias + PANEL_BYTES * panel, np.int64(0)
        # Groups outside, rows inside: a group of the weights and of the activations fit the first-level cache.
        for g in range(groups):
            k = g * group
            weight = linear.weight + panel * panel_stride + k // 4 * PANEL_BYTES
            column = 4 * (g * linear.N + LANES * panel)
            for i in range(tiles):
                m = share(M, i, tiles)
                rows = share(M, i + 1, tiles) - m
                tile(
                    int16_steps,
                    rows,
                    panels,
                    min(group, K - k) // 4,
                    x + m * K + k,
                    K,
                    4,
                    weight,
                    panel_stride,
                    PANEL_BYTES,
                    out + m * out_row + PANEL_BYTES * (panel - first),
                    out_row,
                    x_zero + 4 * (m * groups + g),
                    x_scale + 4 * (m * groups + g),
                    4 * groups,
                    linear.column_sums + column,
                    linear.scale + column,
                    before + m * before_row,
                    before_row,
                    scratch,
                )
            before, before_row = out + PANEL_BYTES * (panel - first), out_row
        panel += panels


@kernel
def column_groups(linear):
    """Return how many groups of panels, each as wide as a tile, the columns of a linear layer are."""
    panels = panels_of_tile(linear)
    return (linear.N // LANES + panels - 1) // panels


@kernel
def column_ranges(M, linear, parts):
    """Return into how many ranges of columns each block of rows is cut, so that `parts` threads have tasks."""
    blocks = row_blocks(M, parts)
    if parts == 1:
        return np.int64(1)
    return min(column_groups(linear), (TASKS_PER_THREAD * parts + blocks - 1) // blocks)


@kernel
def project_tasks(plan, step):
    """Return into how many tasks a multiplication by a linear layer is cut."""
    return row_blocks(plan.tokens, plan.threads) * column_ranges(plan.tokens, linear_at(step.linear), plan.threads)


@kernel
def project(plan, step, scratch, task):
    """Multiply a block of rows by a range of the columns of a linear layer."""
    linear, M, parts = linear_at(step.linear), plan.tokens, plan.threads
    groups, ranges, width = column_groups(linear), column_ranges(M, linear, parts), panels_of_tile(linear)
    blocks = row_blocks(M, parts)
    block, columns = task // ranges, task % ranges
    first = share(groups, columns, ranges) * width
    last = min(share(groups, columns + 1, ranges) * width, linear.N // LANES)
    m = share(M, block, blocks)
    out = plan.hidden if step.target == RESIDUAL else plan.narrow
    out += 4 * (m * linear.N + LANES * first)
    matmul_block(plan, step, (m, share(M, block + 1, blocks)), (first, last), out, 4 * linear.N, scratch)
