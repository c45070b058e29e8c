"""The C functions of a kernel library: the forward pass, and single kernels over whole arrays.

The latter serve the heads and the tests; all arguments are addresses and sizes, as in the kernels themselves.
"""

from numba.core import types

from edgebert.kernels.activation import activate
from edgebert.kernels.attention import attend, attend_tasks
from edgebert.kernels.dense import dense
from edgebert.kernels.encoder import encode
from edgebert.kernels.feed_forward import expand, expand_tasks
from edgebert.kernels.heads import project_heads, project_heads_tasks
from edgebert.kernels.jit import kernel
from edgebert.kernels.layer_norm import add_row, layer_norm
from edgebert.kernels.matmul import linear_at, matmul, matmul_tasks
from edgebert.kernels.quantize_rows import quantize_row
from edgebert.kernels.simd.ops import configure_tiles, release_tiles


@kernel
def quantize_rows(x, M, K, group, q, scale, zero):
    """Quantize M rows of K float32."""
    groups = (K + group - 1) // group
    for m in range(M):
        quantize_row(x + 4 * m * K, K, group, q + m * K, scale + 4 * m * groups, zero + 4 * m * groups)
    return 0


@kernel
def add_layer_norm(x, smoothing, y, M, hidden_size, hidden_stride, weight, bias, eps):
    """Multiply `x` by `smoothing`, add `y` and normalise, in place, M rows."""
    for m in range(M):
        row = x + 4 * m * hidden_stride
        add_row(row, smoothing, y + 4 * m * hidden_stride, hidden_stride)
        layer_norm(row, hidden_size, hidden_stride, weight, bias, eps)
    return 0


@kernel
def activate_all(x, factor, count, code):
    """Apply an activation and a factor to `count` float32 in place."""
    activate(x, factor, count, code)
    return 0


@kernel
def multiply(x, x_scale, x_zero, M, linear, out, out_stride, scratch, part, parts):
    """Compute the tasks of an int8 matmul that fall to one of `parts` threads when each takes every so many-th."""
    configure_tiles()
    for task in range(part, matmul_tasks(M, linear_at(linear), parts), parts):
        matmul(x, x_scale, x_zero, M, linear, out, out_stride, scratch, task, parts)
    release_tiles()
    return 0


@kernel
def expand_all(x, x_scale, x_zero, M, linear, activation, factor, group, groups, q, scale, zero, scratch, part, parts):
    """Compute the tasks of an intermediate layer that fall to one of `parts` threads."""
    configure_tiles()
    for task in range(part, expand_tasks(M, groups, parts), parts):
        expand(x, x_scale, x_zero, M, linear, activation, factor, group, groups, q, scale, zero, scratch, task, parts)
    release_tiles()
    return 0


@kernel
def project_all_heads(
    x, x_scale, x_zero, M, linear, heads, head_dim, out, scale, offset, scale_row, scratch, part, parts
):
    """Compute the tasks of query, key and value that fall to one of `parts` threads."""
    configure_tiles()
    for task in range(part, project_heads_tasks(M, 3 * heads, head_dim, parts), parts):
        project_heads(
            x, x_scale, x_zero, M, linear, heads, head_dim, out, scale, offset, scale_row, scratch, task, parts
        )
    release_tiles()
    return 0


@kernel
def attend_all(
    query_key_value,
    head_scale,
    key_offset,
    scale_row,
    cu_seqlens,
    sequences,
    heads,
    head_dim,
    scale,
    position_bias,
    position_bias_row,
    position_bias_centre,
    context,
    context_stride,
    scratch,
    part,
    parts,
):
    """Compute the tasks of attention that fall to one of `parts` threads when each takes every so many-th."""
    configure_tiles()
    for task in range(part, attend_tasks(sequences, heads, parts), parts):
        attend(
            query_key_value,
            head_scale,
            key_offset,
            scale_row,
            cu_seqlens,
            sequences,
            heads,
            head_dim,
            scale,
            position_bias,
            position_bias_row,
            position_bias_centre,
            context,
            context_stride,
            scratch,
            task,
            parts,
        )
    release_tiles()
    return 0


_I, _F = types.int64, types.float32

ENTRIES = {
    "edgebert_kernel_encode": (encode, _I(_I, _I, _I)),
    "edgebert_kernel_dense": (dense, _I(*[_I] * 6)),
    "edgebert_kernel_quantize_rows": (quantize_rows, _I(*[_I] * 7)),
    "edgebert_kernel_add_layer_norm": (add_layer_norm, _I(*[_I] * 8, _F)),
    "edgebert_kernel_activate": (activate_all, _I(*[_I] * 4)),
    "edgebert_kernel_matmul": (multiply, _I(*[_I] * 10)),
    "edgebert_kernel_expand": (expand_all, _I(*[_I] * 15)),
    "edgebert_kernel_project_heads": (project_all_heads, _I(*[_I] * 14)),
    "edgebert_kernel_attend": (attend_all, _I(*[_I] * 8, _F, *[_I] * 8)),
}
"""C name -> (kernel, signature)."""
