"""What the engine hands to the compiled kernels: records of addresses and sizes, one layout for both sides.

Sizes marked "padded" are rounded up: heads to 16, the lanes of a vector, inputs and outputs of linear layers to 64,
`K_MULTIPLE`. What lies beyond the true size is zero, in weights and in buffers. T is the number of
tokens of a batch, H the hidden size, I the intermediate size, W = heads * head_dim, both padded; G is the number of
groups that the inputs of a linear layer are cut into (`group_size`). A slot is a head of a query, of a key or of a
value, in this order; keys and values have as many heads as queries, or fewer, which several queries share.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebert.architecture import Attention
from edgebert.kernels.simd.families import LANES
from edgebert.steps import AddAndNorm, Attend, Embed, Expand, Normalise, Place, Project, ProjectHeads, Quantize

__all__ = [
    "ACTIVATION_CODES",
    "ADDRESS",
    "BEYOND_WINDOW",
    "BLOCK_ROWS",
    "BRANCH",
    "CODE_ADD_AND_NORM",
    "CODE_ATTEND",
    "CODE_EMBED",
    "CODE_ERF",
    "CODE_EXPAND",
    "CODE_NORMALISE",
    "CODE_PROJECT",
    "CODE_PROJECT_HEADS",
    "CODE_QUANTIZE",
    "CODE_QUICK",
    "CODE_RELU",
    "CODE_SILU",
    "CODE_TANH",
    "DISTANCES",
    "GROUP_LARGEST",
    "HEADS",
    "INT4_GROUP",
    "INT16_STEPS",
    "INTERMEDIATE",
    "K_MULTIPLE",
    "LANES",
    "LINEAR",
    "LONGEST_TEXT",
    "NORM",
    "PANEL_COLUMNS",
    "PANEL_K",
    "PLAN",
    "RESIDUAL",
    "STAGE_BYTES",
    "STEP",
    "STEP_CODES",
    "TIME_OFFSET",
    "WINDOW_BLOCK",
    "addresses",
    "finer_groups",
    "group_of_count",
    "group_size",
    "head_width",
    "padded",
    "whole_vectors",
]

CODE_ERF, CODE_TANH, CODE_RELU, CODE_SILU, CODE_QUICK = range(5)
(
    CODE_EMBED,
    CODE_QUANTIZE,
    CODE_PROJECT,
    CODE_PROJECT_HEADS,
    CODE_ATTEND,
    CODE_ADD_AND_NORM,
    CODE_EXPAND,
    CODE_NORMALISE,
) = range(8)
RESIDUAL, BRANCH, HEADS, INTERMEDIATE = map(int, Place)
PANEL_COLUMNS, PANEL_K = LANES, 4
"""A panel of a weight: so many outputs, of which so many inputs at a time lie side by side."""

K_MULTIPLE = 64
"""Most inputs that an instruction multiplies at a time: inputs and outputs of linear layers are padded to it."""
INT16_STEPS = (1, 2)
"""Steps of four inputs over which the products of a linear layer may be added in 16 bits (`edgebert.quantize.law`):
what the ``depth`` of a layer may be."""
LONGEST_TEXT = (2**31 - 1) // (127 * 127)
"""Most tokens of a text, 133,144: attention adds so many products of seven bits (the halves of softmax numerators by
values, at most 127 each) in int32."""
GROUP_LARGEST = 384
"""Most inputs of a linear layer that share a scale."""
INT4_GROUP = 64
"""Values of a word embedding in four bits that share a scale."""

WINDOW_BLOCK = 256
"""Most queries of a task where tokens attend to a window: the keys that a task lays out are not many more."""
BEYOND_WINDOW = 64
"""Distances beyond a window on either side that a tile of scores may have: its queries, and the rest of two panels."""

BLOCK_ROWS = 64
"""Rows that one group of panels meets before the next: their activations stay in the second-level cache."""

STAGE_BYTES, TIME_OFFSET = 64, 32
"""A record for each step: the tasks finished, int64; and when all were: int64 seconds, nanoseconds. Behind it follows
a record of the same size for each thread: the tasks drawn of its share. Each is a cache line."""

ACTIVATION_CODES = {"erf": CODE_ERF, "tanh": CODE_TANH, "relu": CODE_RELU, "silu": CODE_SILU, "quick": CODE_QUICK}
"""Name of an activation -> what ``STEP["activation"]`` holds."""

ADDRESS = np.dtype(np.int64, metadata={"address": True})
"""An address in a record; with it `addresses` tells these fields from numbers."""

LINEAR = np.dtype(
    [
        ("N", np.int64),  # outputs, padded
        ("K", np.int64),  # inputs, padded
        ("group", np.int64),  # inputs that share a scale
        ("groups", np.int64),  # G
        ("depth", np.int64),  # one of INT16_STEPS
        ("weight", ADDRESS),  # int8 [N/16, K/4, 16, 4]: panels
        ("scale", ADDRESS),  # float32 [G, N]
        ("column_sums", ADDRESS),  # float32 [G, N], whole numbers: the sum of each column's weights in a group
        ("bias", ADDRESS),  # float32 [N]
    ]
)
"""One int8 linear layer."""

NORM = np.dtype(
    [
        ("size", np.int64),  # values that are normalised; beyond them, up to the stride, all is zero
        ("rms", np.int64),  # 1 where no mean is taken off: an RMSNorm
        ("weight", ADDRESS),  # float32 [size padded], divided by the smoothing of its output; so is the bias
        ("bias", ADDRESS),  # float32 [size padded]
        ("eps", np.float32),
    ],
    align=True,
)
"""One LayerNorm."""

DISTANCES = np.dtype(
    [
        ("row", np.int64),  # distances, padded to 16, as far as a tile of scores may reach
        ("centre", np.int64),  # which of them is 0; those of keys behind their query come after it
        ("keys", ADDRESS),  # int8 [heads, row / 16, head_dim padded to 64 / 4, 16, 4]: panels
        ("queries", ADDRESS),  # uint8 [heads, row, head_dim], and 64 bytes that may be read
        ("scales", ADDRESS),  # float32 [heads, 3, row]: of keys; what zero points of queries add; of queries, in log2
    ]
)
"""The queries and keys that stand for distances (`edgebert.architecture.Disentangled`), a row for each distance."""

STEP_CODES = {
    Embed: CODE_EMBED,
    Quantize: CODE_QUANTIZE,
    Project: CODE_PROJECT,
    ProjectHeads: CODE_PROJECT_HEADS,
    Attend: CODE_ATTEND,
    AddAndNorm: CODE_ADD_AND_NORM,
    Expand: CODE_EXPAND,
    Normalise: CODE_NORMALISE,
}
"""Kind of a step (`edgebert.steps`) -> what ``STEP["code"]`` holds."""

STEP = np.dtype(
    [
        ("code", np.int64),  # of STEP_CODES
        ("source", np.int64),  # an `edgebert.steps.Place`
        ("target", np.int64),  # the same
        ("activation", np.int64),  # of ACTIVATION_CODES; -1 where a step has none
        ("linear", ADDRESS),  # the LINEAR that it multiplies by; 0 where none
        ("norm", ADDRESS),  # the NORM that it normalises with; 0 where none
        ("undo", ADDRESS),  # float32 [H padded]: what the stream that it adds to is divided by; 0 where it is not
        ("reader", ADDRESS),  # the LINEAR that its result is quantized for; 0 where nothing reads it
        ("factor", ADDRESS),  # float32 [I padded]: what activations are multiplied by; 0 where there are none
        ("gated", np.int64),  # 1 where 16 activations and what they are multiplied by stand in turn
        ("angles", ADDRESS),  # float32 [positions, 2, head_dim / 2]: cosines and sines that heads turn by; 0 for none
        ("bias", ADDRESS),  # float32 [heads or 1, bias_row]: what a distance adds to log2 weights; 0 for none
        ("bias_row", np.int64),  # 0 where it is the same for all heads
        ("bias_centre", np.int64),  # where in a row distance 0 stands; key behind query is to the right
        ("distances", ADDRESS),  # the DISTANCES that queries and keys score; 0 for none
        ("before", np.int64),  # tokens before itself that a token attends to
        ("behind", np.int64),  # and behind itself
        ("branch_norm", ADDRESS),  # the NORM of what is added to the stream; 0 for none
        ("query_norm", ADDRESS),  # the NORM of each head of a query; 0 for none
        ("key_norm", ADDRESS),  # and of a key
    ]
)
"""One step of the forward pass (`edgebert.steps`)."""

PLAN = np.dtype(
    [
        # the model
        ("hidden_stride", np.int64),  # H padded, elements
        ("intermediate_stride", np.int64),  # I padded
        ("num_attention_heads", np.int64),
        ("num_key_value_heads", np.int64),
        ("head_dim", np.int64),  # padded
        ("context_stride", np.int64),  # W padded to 64
        ("step_count", np.int64),
        ("steps", ADDRESS),  # STEP [step_count]
        ("embedding_stride", np.int64),  # E padded
        ("word_weight", ADDRESS),  # int8 [vocab_size, E padded], or two values of four bits a byte
        ("word_scale", ADDRESS),  # float32 [vocab_size, word_groups or 1]
        ("word_factor", ADDRESS),  # float32 [E padded], powers of two: what each column of the words is multiplied by
        ("word_groups", np.int64),  # of INT4_GROUP values in four bits; 0 for eight bits
        ("position_embeddings", ADDRESS),  # float32 [position_rows, E padded]; 0 where there are none
        ("token_type_embeddings", ADDRESS),  # float32 [type_vocab_size, E padded]; 0 where there are none
        ("softmax_scale", np.float32),  # log2(e) times the scale of the scores
        # the batch
        ("tokens", np.int64),  # T
        ("sequences", np.int64),  # B
        ("longest", np.int64),  # tokens of the longest sequence
        ("input_ids", ADDRESS),  # int32 [T]
        ("token_type_ids", ADDRESS),  # int32 [T]
        ("position_ids", ADDRESS),  # int32 [T]
        ("cu_seqlens", ADDRESS),  # int32 [B + 1]
        ("key_counts", ADDRESS),  # int32 [B]: how many of a sequence's first tokens are attended to; 0 for all
        # the workspace
        ("hidden", ADDRESS),  # float32 [T, H padded]: the residual stream, smoothed, and the result
        ("narrow", ADDRESS),  # float32 [T, max(W, H, E) padded]: context; then each output projection
        ("heads", ADDRESS),  # bytes [T, slots * head_dim]: query uint8, key and value int8
        ("head_scale", ADDRESS),  # float32 [slots, rows]: a scale for each token of each head
        ("key_offset", ADDRESS),  # float32 [key heads, rows]: what the query's zero point adds to a score
        ("rows", np.int64),  # tokens that the workspace has room for
        ("quantized", ADDRESS),  # uint8 [T, max(W, H, E) padded]
        ("row_scale", ADDRESS),  # float32 [T, G]
        ("row_zero", ADDRESS),  # float32 [T, G], whole numbers
        ("inner", ADDRESS),  # uint8 [T, I padded]: the intermediate activations
        ("inner_scale", ADDRESS),  # float32 [T, G]
        ("inner_zero", ADDRESS),  # float32 [T, G], whole numbers
        ("scratch", ADDRESS),  # bytes, one piece for each thread
        ("scratch_bytes", np.int64),  # size of a piece
        # the team
        ("threads", np.int64),
        ("stages", ADDRESS),  # records of STAGE_BYTES, 1 + threads for each step
        ("epoch", ADDRESS),  # int64: which forward pass is on
        ("active", ADDRESS),  # int64: how many threads are in it
        ("yield_processor", ADDRESS),  # a C function
        ("clock", ADDRESS),  # clock_gettime, or 0 when no times are asked for
    ],
    align=True,
)
"""One forward pass."""


def addresses(record: np.dtype) -> list[str]:
    """Return the names of a record's fields that are addresses."""
    assert record.names is not None
    return [name for name in record.names if record[name].metadata]


def padded(size: int) -> int:
    """Round the inputs or outputs of a linear layer up to a whole number of matrix tiles."""
    return -(-size // K_MULTIPLE) * K_MULTIPLE


def whole_vectors(size: int) -> int:
    """Round the size of an attention head up to a whole number of vectors."""
    return -(-size // LANES) * LANES


def head_width(attention: Attention) -> int:
    """Return the size of a head as kernels compute it: whole vectors, or two halves of these where they are turned."""
    if attention.rotary is None:
        return whole_vectors(attention.head_dim)
    return 2 * whole_vectors(attention.head_dim // 2)


def group_size(K: int) -> int:
    """Return how many of K inputs (padded) share a scale: groups are equal but for the last, which may be smaller."""
    return padded(-(-K // -(-K // GROUP_LARGEST)))


def word_factor(tensors: Mapping[str, np.ndarray], name: str, width: int) -> np.ndarray:
    """Return what the columns of a table of words are multiplied by, float32 (width padded,): 1 without factors."""
    factor = tensors.get(f"{name}.factor")
    return np.ones(padded(width), np.float32) if factor is None else factor


def group_of_count(K: int, groups: int) -> int:
    """Return the size of the groups when K inputs (padded) fall into so many; raise ValueError when they cannot."""
    size = padded(-(-K // groups)) if groups > 0 else 0
    if not size or -(-K // size) != groups or size > GROUP_LARGEST:
        raise ValueError(f"{K} inputs cannot fall into {groups} groups")
    return size


def finer_groups(K: int) -> list[int]:
    """Return the sizes of groups to choose from, the usual one first."""
    sizes = {group_size(K), *(size for size in (192, 128, 64) if size < group_size(K))}
    return sorted((size for size in sizes if group_of_count(K, -(-K // size)) == size), reverse=True)
