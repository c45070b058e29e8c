"""The steps that go row by row: each token on its own, quantized for the linear layer that reads it."""

import numpy as np

from edgebert.kernels.embeddings import embed_token
from edgebert.kernels.jit import kernel
from edgebert.kernels.layer_norm import add_row, copy_row, layer_norm, norm_at
from edgebert.kernels.matmul import linear_at
from edgebert.kernels.plan import RESIDUAL
from edgebert.kernels.quantize_rows import quantize_row
from edgebert.kernels.schedule import TASKS_PER_THREAD, share
from edgebert.kernels.simd.ops import load_index


@kernel
def row_tasks(plan, step):
    """Return into how many tasks the rows of a batch are cut."""
    return min(plan.tokens, TASKS_PER_THREAD * plan.threads)


@kernel
def rows_at(plan, place):
    """Return the address of the float32 rows of a place."""
    return plan.hidden if place == RESIDUAL else plan.narrow


@kernel
def embed(plan, step, scratch, task):
    """Embed some of the tokens; normalise and quantize them, where that is asked for."""
    tasks = row_tasks(plan, step)
    stride = plan.embedding_stride
    word_bytes, word_scales = stride, 4
    if plan.word_groups != 0:
        word_bytes, word_scales = stride // 2, 4 * plan.word_groups
    out = rows_at(plan, step.target)
    for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
        word = load_index(plan.input_ids + 4 * t)
        row = out + 4 * t * stride
        position = token_type = np.int64(0)
        if plan.position_embeddings != 0:
            position = plan.position_embeddings + 4 * load_index(plan.position_ids + 4 * t) * stride
        if plan.token_type_embeddings != 0:
            token_type = plan.token_type_embeddings + 4 * load_index(plan.token_type_ids + 4 * t) * stride
        embed_token(
            plan.word_weight + word * word_bytes,
            plan.word_scale + word * word_scales,
            plan.word_factor,
            plan.word_groups,
            position,
            token_type,
            row,
            stride,
        )
        if step.norm != 0:
            layer_norm(row, stride, norm_at(step.norm))
        quantize_for_reader(plan, step, row, stride, stride, t)


@kernel
def normalise(plan, step, scratch, task):
    """Normalise some rows of the stream, beside it, and quantize them."""
    tasks = row_tasks(plan, step)
    stride = plan.hidden_stride
    for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
        row = plan.narrow + 4 * t * stride
        copy_row(plan.hidden + 4 * t * stride, row, stride)
        layer_norm(row, stride, norm_at(step.norm))
        quantize_for_reader(plan, step, row, stride, stride, t)


@kernel
def quantize(plan, step, scratch, task):
    """Quantize some rows: of the stream, or of the context, whose heads may be narrower than its stride."""
    tasks = row_tasks(plan, step)
    size, stride = plan.hidden_stride, plan.hidden_stride
    if step.source != RESIDUAL:
        size, stride = plan.num_attention_heads * plan.head_dim, plan.context_stride
    x = rows_at(plan, step.source)
    for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
        quantize_for_reader(plan, step, x + 4 * t * stride, size, stride, t)


@kernel
def add_and_norm(plan, step, scratch, task):
    """Undo the smoothing of some rows of the stream, add the branch's, normalise and quantize.

    Where the step's target is not the stream, this goes on as a sum, and what is normalised takes the branch's place.
    """
    tasks = row_tasks(plan, step)
    stride = plan.hidden_stride
    for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
        row, branch = plan.hidden + 4 * t * stride, plan.narrow + 4 * t * stride
        if step.branch_norm != 0:
            layer_norm(branch, stride, norm_at(step.branch_norm))
        add_row(row, step.undo, branch, stride)
        if step.target != RESIDUAL:
            copy_row(row, branch, stride)
            row = branch
        layer_norm(row, stride, norm_at(step.norm))
        quantize_for_reader(plan, step, row, stride, stride, t)


@kernel
def quantize_for_reader(plan, step, row, size, stride, t):
    """Quantize `size` float32 of token t for the linear layer that reads them, if one does."""
    if step.reader != 0:
        linear = linear_at(step.reader)
        at = 4 * t * linear.groups
        quantize_row(row, size, linear.group, plan.quantized + t * stride, plan.row_scale + at, plan.row_zero + at)
