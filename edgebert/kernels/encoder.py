"""The forward pass of BERT's encoder (arXiv 1810.04805, section 3): every thread of a team runs `encode`."""

import numpy as np

from edgebert.kernels.attention import attend, attend_tasks
from edgebert.kernels.embeddings import embed_token
from edgebert.kernels.feed_forward import expand, expand_tasks
from edgebert.kernels.heads import project_heads, project_heads_tasks
from edgebert.kernels.jit import kernel
from edgebert.kernels.layer_norm import add_row, layer_norm
from edgebert.kernels.matmul import linear_at, matmul, matmul_tasks
from edgebert.kernels.plan import LAYER, NORM, PLAN
from edgebert.kernels.quantize_rows import quantize_row
from edgebert.kernels.schedule import TASKS_PER_THREAD, complete, draw, finish_and_draw, linger, share, wait_for
from edgebert.kernels.simd.ops import atomic_add, atomic_load, configure_tiles, load_index, record, release_tiles

plan_at = record(PLAN)
layer_at = record(LAYER)
norm_at = record(NORM)
LAYER_BYTES = LAYER.itemsize


@kernel
def encode(plan_address, epoch, thread):
    """Run one batch through the encoder: thread `thread` of a team.

    Reads a PLAN; leaves the last hidden states in `plan.hidden`. Thread 0 returns when they are there and no
    other thread reads the plan any more; the others help as far as they come in time, that is while the plan
    is in this `epoch`, and linger for the next. Twin: `reference.encode`.
    """
    plan = plan_at(plan_address)
    epoch_address, active, yield_processor = plan.epoch, plan.active, plan.yield_processor
    # First counted, then checked: thread 0 ends the epoch first, and waits for the count then.
    atomic_add(plan.active, 1)
    if atomic_load(plan.epoch) == epoch:
        configure_tiles()
        forward(plan, plan.scratch + thread * plan.scratch_bytes)
        release_tiles()
    atomic_add(plan.active, -1)
    if thread == 0:
        atomic_add(plan.epoch, 1)
        wait_for(plan.active, 0, plan.yield_processor)
    else:
        linger(epoch_address, epoch, active, yield_processor)
    return 0


@kernel
def forward(plan, scratch):
    """Embed; then in each layer project, attend, add and normalise, feed forward, add and normalise."""
    stream = plan.embeddings_norm
    stage = embed(plan, np.int64(0))
    for i in range(plan.num_hidden_layers):
        layer = layer_at(plan.layers + i * LAYER_BYTES)
        stage = project_query_key_value(plan, stage, layer.query_key_value, scratch)
        stage = attend_within_sequences(plan, stage, scratch)
        stage = quantize_context(plan, stage, layer.attention_output)
        stage = project(plan, stage, layer.attention_output, plan.quantized, plan.row_scale, plan.row_zero, scratch)
        stage = add_and_norm(plan, stage, stream, layer.attention_norm, layer.intermediate)
        stage = feed_forward(plan, stage, layer, scratch)
        stage = project(plan, stage, layer.output, plan.inner, plan.inner_scale, plan.inner_zero, scratch)
        # The last layer's output has no reader; it is quantized like the others, for its own.
        following = layer_at(plan.layers + min(i + 1, plan.num_hidden_layers - 1) * LAYER_BYTES)
        stage = add_and_norm(plan, stage, layer.attention_norm, layer.output_norm, following.query_key_value)
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
            quantize(plan, row, stride, stride, layer_at(plan.layers).query_key_value, t)
        task = finish_and_draw(plan.stages, stage)
    return complete(plan, stage, tasks)


@kernel
def project_query_key_value(plan, stage, linear, scratch):
    """Multiply the quantized rows by the three projections of attention, and quantize every head."""
    heads = plan.num_attention_heads
    tasks = project_heads_tasks(plan.tokens, 3 * heads, plan.head_dim, plan.threads)
    task = draw(plan.stages, stage)
    while task < tasks:
        project_heads(
            plan.quantized,
            plan.row_scale,
            plan.row_zero,
            plan.tokens,
            linear,
            heads,
            plan.head_dim,
            plan.heads,
            plan.head_scale,
            plan.key_offset,
            plan.rows,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan.stages, stage)
    return complete(plan, stage, tasks)


@kernel
def attend_within_sequences(plan, stage, scratch):
    """Attend, from query, key and value to the context in the narrow buffer."""
    tasks = attend_tasks(plan.sequences, plan.num_attention_heads, plan.threads)
    task = draw(plan.stages, stage)
    while task < tasks:
        attend(
            plan.heads,
            plan.head_scale,
            plan.key_offset,
            plan.rows,
            plan.cu_seqlens,
            plan.sequences,
            plan.num_attention_heads,
            plan.head_dim,
            plan.softmax_scale,
            plan.narrow,
            plan.context_stride,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan.stages, stage)
    return complete(plan, stage, tasks)


@kernel
def quantize_context(plan, stage, linear):
    """Quantize the context for the linear layer that reads it."""
    width, stride = plan.num_attention_heads * plan.head_dim, plan.context_stride
    tasks = row_tasks(plan)
    task = draw(plan.stages, stage)
    while task < tasks:
        for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
            quantize(plan, plan.narrow + 4 * t * stride, width, stride, linear, t)
        task = finish_and_draw(plan.stages, stage)
    return complete(plan, stage, tasks)


@kernel
def project(plan, stage, linear, x, x_scale, x_zero, scratch):
    """Multiply quantized rows by a linear layer into the narrow buffer."""
    tasks = matmul_tasks(plan.tokens, plan.hidden_stride, plan.threads)
    task = draw(plan.stages, stage)
    while task < tasks:
        matmul(
            x,
            x_scale,
            x_zero,
            plan.tokens,
            linear,
            plan.narrow,
            plan.hidden_stride,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan.stages, stage)
    return complete(plan, stage, tasks)


@kernel
def feed_forward(plan, stage, layer, scratch):
    """Multiply the quantized rows by the intermediate layer, activate, and quantize for the output layer."""
    output = linear_at(layer.output)
    groups = output.groups
    tasks = expand_tasks(plan.tokens, groups, plan.threads)
    task = draw(plan.stages, stage)
    while task < tasks:
        expand(
            plan.quantized,
            plan.row_scale,
            plan.row_zero,
            plan.tokens,
            layer.intermediate,
            plan.activation,
            layer.intermediate_factor,
            output.group,
            groups,
            plan.inner,
            plan.inner_scale,
            plan.inner_zero,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan.stages, stage)
    return complete(plan, stage, tasks)


@kernel
def add_and_norm(plan, stage, before, after, reader):
    """Add the narrow buffer to the residual stream, normalise, and quantize every row for the linear layer `reader`.

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
            quantize(plan, row, stride, stride, reader, t)
        task = finish_and_draw(plan.stages, stage)
    return complete(plan, stage, tasks)


@kernel
def quantize(plan, row, size, stride, reader, t):
    """Quantize the float32 row of token t into the buffer of quantized rows, for the linear layer `reader`."""
    linear = linear_at(reader)
    at = 4 * t * linear.groups
    quantize_row(row, size, linear.group, plan.quantized + t * stride, plan.row_scale + at, plan.row_zero + at)
