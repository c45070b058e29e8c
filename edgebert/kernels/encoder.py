"""The forward pass of BERT's encoder (arXiv 1810.04805, section 3): every thread of a team runs `encode`."""

import numpy as np

from edgebert.kernels.attention import attend, attend_tasks
from edgebert.kernels.embeddings import embed_token
from edgebert.kernels.jit import kernel
from edgebert.kernels.layer_norm import add_row, layer_norm
from edgebert.kernels.matmul import linear_at, matmul, matmul_tasks
from edgebert.kernels.plan import LAYER, NORM, PLAN
from edgebert.kernels.quantize_rows import quantize_row
from edgebert.kernels.schedule import TASKS_PER_THREAD, complete, draw, finish_and_draw, share, wait_for
from edgebert.kernels.simd.ops import atomic_add, atomic_load, load_index, record

plan_at = record(PLAN)
layer_at = record(LAYER)
norm_at = record(NORM)
LAYER_BYTES = LAYER.itemsize


@kernel
def encode(plan_address, epoch, thread):
    """Run one batch through the encoder: thread `thread` of a team.

    Reads a PLAN; leaves the last hidden states in `plan.hidden`. Thread 0 returns when they are there and no
    other thread reads the plan any more; the others help as far as they come in time, that is while the plan
    is in this `epoch`. Twin: `reference.encode`.
    """
    plan = plan_at(plan_address)
    # First counted, then checked: thread 0 ends the epoch first, and waits for the count then.
    atomic_add(plan.active, 1)
    if atomic_load(plan.epoch) == epoch:
        forward(plan, plan.scratch + thread * plan.scratch_bytes)
    atomic_add(plan.active, -1)
    if thread == 0:
        atomic_add(plan.epoch, 1)
        wait_for(plan.active, 0, plan.yield_processor)
    return 0


@kernel
def forward(plan, scratch):
    """Embed; then in each layer project, attend, add and normalise, feed forward, add and normalise."""
    width = plan.num_attention_heads * plan.head_dim
    stride, intermediate_stride = plan.hidden_stride, plan.intermediate_stride
    stream = plan.embeddings_norm
    stage = embed(plan, np.int64(0))
    for i in range(plan.num_hidden_layers):
        layer = layer_at(plan.layers + i * LAYER_BYTES)
        stage = project(plan, stage, layer.query_key_value, plan.wide, 3 * width, scratch)
        stage = attend_within_sequences(plan, stage, scratch)
        stage = quantize_buffer(plan, stage, plan.narrow, width)
        stage = project(plan, stage, layer.attention_output, plan.narrow, stride, scratch)
        stage = add_and_norm(plan, stage, stream, layer.attention_norm)
        stage = project(plan, stage, layer.intermediate, plan.wide, intermediate_stride, scratch)
        stage = quantize_buffer(plan, stage, plan.wide, intermediate_stride)
        stage = project(plan, stage, layer.output, plan.narrow, stride, scratch)
        stage = add_and_norm(plan, stage, layer.attention_norm, layer.output_norm)
        stream = layer.output_norm


@kernel
def row_tasks(plan):
    """Return into how many tasks the rows of a batch are cut."""
    return min(plan.tokens, TASKS_PER_THREAD * plan.threads)


@kernel
def embed(plan, stage):
    """Embed, normalise and quantize every token."""
    norm = norm_at(plan.embeddings_norm)
    stride = plan.hidden_stride
    tasks = row_tasks(plan)
    task = draw(plan.stages, stage)
    while task < tasks:
        for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
            word = load_index(plan.input_ids + 4 * t)
            position = load_index(plan.position_ids + 4 * t)
            token_type = load_index(plan.token_type_ids + 4 * t)
            row = plan.hidden + 4 * t * stride
            embed_token(
                plan.word_weight + word * stride,
                plan.word_scale + 4 * word,
                plan.position_embeddings + 4 * position * stride,
                plan.token_type_embeddings + 4 * token_type * stride,
                row,
                stride,
            )
            layer_norm(row, plan.hidden_size, stride, norm.weight, norm.bias, plan.layer_norm_eps)
            quantize(plan, row, stride, t)
        task = finish_and_draw(plan.stages, stage)
    return complete(plan.stages, stage, tasks, plan.yield_processor)


@kernel
def project(plan, stage, linear, out, out_stride, scratch):
    """Multiply the quantized rows by a linear layer into `out`."""
    tasks = matmul_tasks(plan.tokens, linear_at(linear).N, plan.threads)
    task = draw(plan.stages, stage)
    while task < tasks:
        matmul(
            plan.quantized,
            plan.row_scale,
            plan.row_zero,
            plan.tokens,
            linear,
            out,
            out_stride,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan.stages, stage)
    return complete(plan.stages, stage, tasks, plan.yield_processor)


@kernel
def attend_within_sequences(plan, stage, scratch):
    """Attend, from query, key and value in the wide buffer to the context in the narrow one."""
    tasks = attend_tasks(plan.sequences, plan.num_attention_heads, plan.threads)
    task = draw(plan.stages, stage)
    while task < tasks:
        attend(
            plan.wide,
            plan.cu_seqlens,
            plan.sequences,
            plan.num_attention_heads,
            plan.head_dim,
            plan.softmax_scale,
            plan.narrow,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan.stages, stage)
    return complete(plan.stages, stage, tasks, plan.yield_processor)


@kernel
def quantize_buffer(plan, stage, buffer, K):
    """Quantize the rows of a dense float32 buffer."""
    tasks = row_tasks(plan)
    task = draw(plan.stages, stage)
    while task < tasks:
        for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
            quantize(plan, buffer + 4 * t * K, K, t)
        task = finish_and_draw(plan.stages, stage)
    return complete(plan.stages, stage, tasks, plan.yield_processor)


@kernel
def add_and_norm(plan, stage, before, after):
    """Add the narrow buffer to the residual stream, normalise and quantize every row.

    `before` is the address of the LayerNorm that the stream comes from, `after` of the one it goes through.
    """
    smoothing = norm_at(before).smoothing
    norm = norm_at(after)
    stride = plan.hidden_stride
    tasks = row_tasks(plan)
    task = draw(plan.stages, stage)
    while task < tasks:
        for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
            row = plan.hidden + 4 * t * stride
            add_row(row, smoothing, plan.narrow + 4 * t * stride, stride)
            layer_norm(row, plan.hidden_size, stride, norm.weight, norm.bias, plan.layer_norm_eps)
            quantize(plan, row, stride, t)
        task = finish_and_draw(plan.stages, stage)
    return complete(plan.stages, stage, tasks, plan.yield_processor)


@kernel
def quantize(plan, row, K, t):
    """Quantize the float32 row of token t into the buffer of quantized rows."""
    quantize_row(row, K, plan.quantized + t * K, plan.row_scale + 4 * t, plan.row_zero + 4 * t)
