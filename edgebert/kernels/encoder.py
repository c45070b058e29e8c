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
        forward(plan, thread)
        release_tiles()
    atomic_add(plan.active, -1)
    if thread == 0:
        atomic_add(plan.epoch, 1)
        wait_for(plan.active, 0, plan.yield_processor)
    else:
        linger(epoch_address, epoch, active, yield_processor)
    return 0


@kernel
def forward(plan, thread):
    """Embed; then in each layer project, attend, add and normalise, feed forward, add and normalise."""
    scratch = plan.scratch + thread * plan.scratch_bytes
    first = layer_at(plan.layers).query_key_value
    if plan.embeddings_project == 0:
        stream = plan.embeddings_norm
        stage = embed(plan, thread, np.int64(0), plan.hidden, first)
    else:
        stream = plan.projected_norm
        linear, hidden = plan.embeddings_project, plan.hidden
        stage = embed(plan, thread, np.int64(0), plan.narrow, linear)
        stage = project(plan, thread, stage, linear, plan.quantized, plan.row_scale, plan.row_zero, hidden, scratch)
        stage = quantize_rows(plan, thread, stage, hidden, plan.hidden_stride, plan.hidden_stride, first)
    for i in range(plan.num_hidden_layers):
        layer = layer_at(plan.layers + i * LAYER_BYTES)
        stage = project_query_key_value(plan, thread, stage, layer.query_key_value, scratch)
        stage = attend_within_sequences(plan, thread, stage, scratch)
        width, narrow = plan.num_attention_heads * plan.head_dim, plan.narrow
        stage = quantize_rows(plan, thread, stage, narrow, width, plan.context_stride, layer.attention_output)
        stage = project(
            plan, thread, stage, layer.attention_output, plan.quantized, plan.row_scale, plan.row_zero, narrow, scratch
        )
        stage = add_and_norm(plan, thread, stage, stream, layer.attention_norm, layer.intermediate)
        stage = feed_forward(plan, thread, stage, layer, scratch)
        stage = project(
            plan, thread, stage, layer.output, plan.inner, plan.inner_scale, plan.inner_zero, narrow, scratch
        )
        # The last layer's output has no reader; it is quantized like the others, for its own.
        following = layer_at(plan.layers + min(i + 1, plan.num_hidden_layers - 1) * LAYER_BYTES)
        stage = add_and_norm(plan, thread, stage, layer.attention_norm, layer.output_norm, following.query_key_value)
        stream = layer.output_norm


@kernel
def row_tasks(plan):
    """Return into how many tasks the rows of a batch are cut."""
    return min(plan.tokens, TASKS_PER_THREAD * plan.threads)


@kernel
def embed(plan, thread, stage, out, reader):
    """Embed and normalise every token into float32 rows `out`, and quantize it for the linear layer `reader`."""
    norm = norm_at(plan.embeddings_norm)
    stride = plan.embedding_stride
    word_bytes, word_scales = stride, 4
    if plan.word_groups != 0:
        word_bytes, word_scales = stride // 2, 4 * plan.word_groups
    tasks = row_tasks(plan)
    task = draw(plan, stage, tasks, thread)
    while task < tasks:
        for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
            word = load_index(plan.input_ids + 4 * t)
            position = load_index(plan.position_ids + 4 * t)
            token_type = load_index(plan.token_type_ids + 4 * t)
            row = out + 4 * t * stride
            embed_token(
                plan.word_weight + word * word_bytes,
                plan.word_scale + word * word_scales,
                plan.word_groups,
                plan.position_embeddings + 4 * position * stride,
                plan.token_type_embeddings + 4 * token_type * stride,
                row,
                stride,
            )
            layer_norm(row, plan.embedding_size, stride, norm.weight, norm.bias, plan.layer_norm_eps)
            quantize(plan, row, stride, stride, reader, t)
        task = finish_and_draw(plan, stage, tasks, thread)
    return complete(plan, stage, tasks)


@kernel
def project_query_key_value(plan, thread, stage, linear, scratch):
    """Multiply the quantized rows by the three projections of attention, and quantize every head."""
    heads = plan.num_attention_heads
    tasks = project_heads_tasks(plan.tokens, 3 * heads, plan.head_dim, plan.threads)
    task = draw(plan, stage, tasks, thread)
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
        task = finish_and_draw(plan, stage, tasks, thread)
    return complete(plan, stage, tasks)


@kernel
def attend_within_sequences(plan, thread, stage, scratch):
    """Attend, from query, key and value to the context in the narrow buffer."""
    tasks = attend_tasks(plan.sequences, plan.num_attention_heads, plan.threads)
    task = draw(plan, stage, tasks, thread)
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
            plan.position_bias,
            plan.position_bias_row,
            plan.position_bias_centre,
            plan.narrow,
            plan.context_stride,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan, stage, tasks, thread)
    return complete(plan, stage, tasks)


@kernel
def quantize_rows(plan, thread, stage, x, size, stride, reader):
    """Quantize float32 rows of `size` values, `stride` apart, for the linear layer `reader`."""
    tasks = row_tasks(plan)
    task = draw(plan, stage, tasks, thread)
    while task < tasks:
        for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
            quantize(plan, x + 4 * t * stride, size, stride, reader, t)
        task = finish_and_draw(plan, stage, tasks, thread)
    return complete(plan, stage, tasks)


@kernel
def project(plan, thread, stage, linear, x, x_scale, x_zero, out, scratch):
    """Multiply quantized rows by a linear layer of as many outputs as the hidden size into `out`."""
    tasks = matmul_tasks(plan.tokens, linear_at(linear), plan.threads)
    task = draw(plan, stage, tasks, thread)
    while task < tasks:
        matmul(
            x,
            x_scale,
            x_zero,
            plan.tokens,
            linear,
            out,
            plan.hidden_stride,
            scratch,
            task,
            plan.threads,
        )
        task = finish_and_draw(plan, stage, tasks, thread)
    return complete(plan, stage, tasks)


@kernel
def feed_forward(plan, thread, stage, layer, scratch):
    """Multiply the quantized rows by the intermediate layer, activate, and quantize for the output layer."""
    output = linear_at(layer.output)
    groups = output.groups
    tasks = expand_tasks(plan.tokens, groups, plan.threads)
    task = draw(plan, stage, tasks, thread)
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
        task = finish_and_draw(plan, stage, tasks, thread)
    return complete(plan, stage, tasks)


@kernel
def add_and_norm(plan, thread, stage, before, after, reader):
    """Add the narrow buffer to the residual stream, normalise, and quantize every row for the linear layer `reader`.

    `before` is the address of the LayerNorm that the stream comes from, `after` of the one it goes through.
    """
    smoothing = norm_at(before).smoothing
    norm = norm_at(after)
    stride = plan.hidden_stride
    tasks = row_tasks(plan)
    task = draw(plan, stage, tasks, thread)
    while task < tasks:
        for t in range(share(plan.tokens, task, tasks), share(plan.tokens, task + 1, tasks)):
            row = plan.hidden + 4 * t * stride
            add_row(row, smoothing, plan.narrow + 4 * t * stride, stride)
            layer_norm(row, plan.hidden_size, stride, norm.weight, norm.bias, plan.layer_norm_eps)
            quantize(plan, row, stride, stride, reader, t)
        task = finish_and_draw(plan, stage, tasks, thread)
    return complete(plan, stage, tasks)


@kernel
def quantize(plan, row, size, stride, reader, t):
    """Quantize the float32 row of token t into the buffer of quantized rows, for the linear layer `reader`."""
    linear = linear_at(reader)
    at = 4 * t * linear.groups
    quantize_row(row, size, linear.group, plan.quantized + t * stride, plan.row_scale + at, plan.row_zero + at)
