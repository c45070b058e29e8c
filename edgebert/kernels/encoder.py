"""The forward pass of BERT's encoder (arXiv 1810.04805, section 3): every thread of a team runs `encode`."""

from edgebert.kernels.attention import attend
from edgebert.kernels.barrier import wait
from edgebert.kernels.embeddings import embed_token
from edgebert.kernels.jit import kernel
from edgebert.kernels.layer_norm import add_row, layer_norm
from edgebert.kernels.matmul import matmul, share
from edgebert.kernels.plan import LAYER, NORM, PLAN
from edgebert.kernels.quantize_rows import quantize_row
from edgebert.kernels.simd.ops import load_index, record

plan_at = record(PLAN)
layer_at = record(LAYER)
norm_at = record(NORM)
LAYER_BYTES = LAYER.itemsize


@kernel
def embed(plan, begin, end):
    """Embed tokens begin..end, normalise and quantize them."""
    norm = norm_at(plan.embeddings_norm)
    stride = plan.hidden_stride
    for t in range(begin, end):
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


@kernel
def quantize(plan, row, K, t):
    """Quantize the float32 row of token t into the buffer of quantized rows."""
    quantize_row(row, K, plan.quantized + t * K, plan.row_scale + 4 * t, plan.row_zero + 4 * t)


@kernel
def quantize_buffer(plan, buffer, K, begin, end):
    """Quantize rows begin..end of a dense float32 buffer."""
    for t in range(begin, end):
        quantize(plan, buffer + 4 * t * K, K, t)


@kernel
def add_and_norm(plan, before, after, begin, end):
    """Add the narrow buffer to the residual stream, normalise and quantize rows begin..end.

    `before` is the address of the LayerNorm that the stream comes from, `after` of the one it goes through.
    """
    smoothing = norm_at(before).smoothing
    norm = norm_at(after)
    stride = plan.hidden_stride
    for t in range(begin, end):
        row = plan.hidden + 4 * t * stride
        add_row(row, smoothing, plan.narrow + 4 * t * stride, stride)
        layer_norm(row, plan.hidden_size, stride, norm.weight, norm.bias, plan.layer_norm_eps)
        quantize(plan, row, stride, t)


@kernel
def project(plan, linear, out, out_stride, thread, scratch):
    """Multiply the quantized rows by a linear layer into `out`."""
    matmul(
        plan.quantized,
        plan.row_scale,
        plan.row_zero,
        plan.tokens,
        linear,
        out,
        out_stride,
        scratch,
        thread,
        plan.threads,
    )


@kernel
def meet(plan, arrivals):
    """Wait until so many arrivals have been counted; return how many the next barrier waits for."""
    wait(plan.arrived, arrivals, plan.yield_processor)
    return arrivals + plan.threads


@kernel
def encode(plan_address, thread):
    """Run one batch through the encoder: thread `thread` of `plan.threads`, all of which must call.

    Reads a PLAN; leaves the last hidden states in `plan.hidden`. Twin: `reference.encode`.
    """
    plan = plan_at(plan_address)
    begin = share(plan.tokens, thread, plan.threads)
    end = share(plan.tokens, thread + 1, plan.threads)
    scratch = plan.scratch + thread * plan.scratch_bytes
    heads, head_dim = plan.num_attention_heads, plan.head_dim
    width = heads * head_dim
    intermediate_stride = plan.intermediate_stride
    norm = plan.embeddings_norm
    arrivals = plan.arrivals_before + plan.threads

    embed(plan, begin, end)
    for i in range(plan.num_hidden_layers):
        layer = layer_at(plan.layers + i * LAYER_BYTES)
        arrivals = meet(plan, arrivals)
        project(plan, layer.query_key_value, plan.wide, 3 * width, thread, scratch)
        arrivals = meet(plan, arrivals)
        attend(
            plan.wide,
            plan.cu_seqlens,
            plan.sequences,
            heads,
            head_dim,
            plan.softmax_scale,
            plan.narrow,
            scratch,
            plan.next_task + 8 * i,
            plan.threads,
        )
        arrivals = meet(plan, arrivals)
        quantize_buffer(plan, plan.narrow, width, begin, end)
        arrivals = meet(plan, arrivals)
        project(plan, layer.attention_output, plan.narrow, plan.hidden_stride, thread, scratch)
        arrivals = meet(plan, arrivals)
        add_and_norm(plan, norm, layer.attention_norm, begin, end)
        arrivals = meet(plan, arrivals)
        project(plan, layer.intermediate, plan.wide, intermediate_stride, thread, scratch)
        arrivals = meet(plan, arrivals)
        quantize_buffer(plan, plan.wide, intermediate_stride, begin, end)
        arrivals = meet(plan, arrivals)
        project(plan, layer.output, plan.narrow, plan.hidden_stride, thread, scratch)
        arrivals = meet(plan, arrivals)
        add_and_norm(plan, layer.attention_norm, layer.output_norm, begin, end)
        norm = layer.output_norm
    meet(plan, arrivals)
    return 0
