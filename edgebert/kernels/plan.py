"""What the engine hands to the compiled kernels: records of addresses and sizes, one layout for both sides.

Sizes marked "padded" are rounded up to 16, the lanes of a vector; what lies beyond the true size is zero, in
weights and in buffers. T is the number of tokens of a batch, H the hidden size, I the intermediate size.
"""

from __future__ import annotations

import numpy as np

from edgebert.kernels.simd.families import LANES

__all__ = [
    "ACTIVATION_CODES",
    "CODE_ERF",
    "CODE_NONE",
    "CODE_TANH",
    "FINISHED_OFFSET",
    "LAYER",
    "LINEAR",
    "NORM",
    "PANEL_COLUMNS",
    "PANEL_DEPTH",
    "PLAN",
    "STAGES_PER_LAYER",
    "STAGE_BYTES",
    "padded",
]

CODE_NONE, CODE_ERF, CODE_TANH = 0, 1, 2
PANEL_COLUMNS, PANEL_DEPTH = LANES, 4
"""A panel of a weight: so many outputs, of which so many inputs at a time lie side by side."""

STAGES_PER_LAYER = 9
STAGE_BYTES, FINISHED_OFFSET = 128, 64
"""Two counters for each stage, int64, on a cache line each."""

ACTIVATION_CODES = {"none": CODE_NONE, "erf": CODE_ERF, "tanh": CODE_TANH}
"""Name of an activation -> what `LINEAR["activation"]` holds."""

_ADDRESS = np.int64

LINEAR = np.dtype(
    [
        ("N", np.int64),  # outputs, padded
        ("K", np.int64),  # inputs, padded
        ("weight", _ADDRESS),  # int8 [N/16, K/4, 16, 4]: panels
        ("scale", _ADDRESS),  # float32 [N]
        ("column_sums", _ADDRESS),  # int32 [N]: the sum of each column's weights
        ("bias", _ADDRESS),  # float32 [N]
        ("activation", np.int64),  # a code above
    ]
)
"""One int8 linear layer."""

NORM = np.dtype([("weight", _ADDRESS), ("bias", _ADDRESS), ("smoothing", _ADDRESS)])
"""One LayerNorm: float32 [H padded], all. Its output is divided by `smoothing`: weight and bias are so already."""

LAYER = np.dtype(
    [
        ("query_key_value", _ADDRESS),  # a LINEAR with N = 3 * heads * head_dim
        ("attention_output", _ADDRESS),  # a LINEAR
        ("attention_norm", _ADDRESS),  # a NORM
        ("intermediate", _ADDRESS),  # a LINEAR
        ("output", _ADDRESS),  # a LINEAR
        ("output_norm", _ADDRESS),  # a NORM
    ]
)
"""One encoder layer: addresses of its parts."""

PLAN = np.dtype(
    [
        # the model
        ("hidden_size", np.int64),
        ("hidden_stride", np.int64),  # H padded, elements
        ("intermediate_stride", np.int64),  # I padded
        ("num_attention_heads", np.int64),
        ("head_dim", np.int64),  # padded
        ("num_hidden_layers", np.int64),
        ("layers", _ADDRESS),  # LAYER [num_hidden_layers]
        ("word_weight", _ADDRESS),  # int8 [vocab_size, H padded]
        ("word_scale", _ADDRESS),  # float32 [vocab_size]
        ("position_embeddings", _ADDRESS),  # float32 [max_position_embeddings, H padded]
        ("token_type_embeddings", _ADDRESS),  # float32 [type_vocab_size, H padded]
        ("embeddings_norm", _ADDRESS),  # a NORM
        ("layer_norm_eps", np.float32),
        ("softmax_scale", np.float32),  # log2(e) / sqrt(head_dim)
        # the batch
        ("tokens", np.int64),  # T
        ("sequences", np.int64),  # B
        ("input_ids", _ADDRESS),  # int32 [T]
        ("token_type_ids", _ADDRESS),  # int32 [T]
        ("position_ids", _ADDRESS),  # int32 [T]
        ("cu_seqlens", _ADDRESS),  # int32 [B + 1]
        # the workspace
        ("hidden", _ADDRESS),  # float32 [T, H padded]: the residual stream, smoothed, and the result
        ("wide", _ADDRESS),  # float32 [T, max(3H, I)]: query, key, value; then the intermediate
        ("narrow", _ADDRESS),  # float32 [T, H]: context; then each output projection
        ("quantized", _ADDRESS),  # uint8 [T, max(H, I)]
        ("row_scale", _ADDRESS),  # float32 [T]
        ("row_zero", _ADDRESS),  # int32 [T]
        ("scratch", _ADDRESS),  # bytes, one piece for each thread
        ("scratch_bytes", np.int64),  # size of a piece
        # the team
        ("threads", np.int64),
        ("stages", _ADDRESS),  # a record of STAGE_BYTES for each stage: tasks drawn, tasks finished
        ("epoch", _ADDRESS),  # int64: which forward pass is on
        ("active", _ADDRESS),  # int64: how many threads are in it
        ("yield_processor", _ADDRESS),  # a C function
    ],
    align=True,
)
"""One forward pass."""


def padded(size: int) -> int:
    """Round a size up to a whole number of vectors."""
    return -(-size // LANES) * LANES
