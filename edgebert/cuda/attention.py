"""Masked multi-head self-attention (arXiv 1706.03762, section 3.2): the mask is where a sequence ends, and a reach.

A warp attends from 16 queries of one head to the keys of their sequence, 32 at a time; scores never leave its
registers (FlashAttention, arXiv 2205.14135). They are computed twice, once for their maximum, so that the numerators
are the whole numbers of the numeric law (`edgebert.kernels.reference.attend`) and not those of a maximum so far. They
take 14 bits: eight and six, two products of bytes.

Where a token attends to a window, or to none behind itself, the blocks of keys are those that the 16 queries reach.
Only the largest scale of the values is the whole sequence's, as that law has it. Several heads may share a key and a
value.

Which key a lane has is chosen so that it holds the scores of eight neighbours: of those the numerators are packed into
the words that the second product wants of this lane. A key's weight and the sum of the weights depend on no order:
the result is the same wherever in a batch the sequence begins.
"""

from __future__ import annotations

import numpy as np

from edgebert.cuda.activation import exp2
from edgebert.cuda.layout import HEADER, KEY_BLOCK, QUERY_ROWS, QUERY_TILES, TILE_WORDS, TILES, TOKENS
from edgebert.cuda.ops import as_float, as_int, byte_perm, cuda, device, fma, load2, load4, mma_s8, mma_u8, shuffle_xor
from edgebert.cuda.shape import ATTEND_WARPS as WARPS
from edgebert.kernels.constants import LOWEST_SCORE, NUMERATOR_LEVELS
from edgebert.kernels.polynomials import ROUND, ROUND_BITS

f32 = np.float32

START = np.int32(ROUND_BITS)
"""A whole number below 2**22 added to the bits of `ROUND` makes the float32 that is so much larger."""
SCALE_BLOCK = 128
"""Scales of values that a warp reads at a time."""
UPPER = f32(256.0)
"""What the upper eight bits of a numerator count for."""


@device
def pack(w0, w1, w2, w3, byte):
    """Return byte 0 or 1 of four words as one."""
    first = 0x0040 if byte == 0 else 0x0051
    return byte_perm(byte_perm(w0, w1, first), byte_perm(w2, w3, first), 0x5410)


@device
def largest_of_quad(value):
    """Return the largest of the values of four lanes."""
    value = max(value, shuffle_xor(value, 1))
    return max(value, shuffle_xor(value, 2))


@device
def total_of_quad(value):
    """Return the sum of the whole numbers of four lanes."""
    value += as_int(shuffle_xor(as_float(value), 1))
    return value + as_int(shuffle_xor(as_float(value), 2))


@device
def largest_of_warp(value):
    """Return the largest of the values of a warp's lanes."""
    for mask in (16, 8, 4, 2, 1):
        value = max(value, shuffle_xor(value, mask))
    return value


def attend_kernel(head_dim: int, longest: int, window: int, *, causal: bool, biased: bool):
    """Make the kernel of attention.

    Parameters
    ----------
    head_dim : int
        Padded.
    longest : int
        Most tokens of a sequence.
    window : int
        Tokens to either side that a token attends to; 0 for all.
    causal : bool
        Whether a token attends to none behind itself.
    biased : bool
        Whether the distance of two tokens adds to their score.
    """
    steps, octets = -(-head_dim // 32), head_dim // 8
    key_words, query_words, values = 2 * steps, 4 * steps, 4 * octets
    # The sum of the numerators is taken in whole numbers, as fine as 31 bits allow.
    before = window or longest
    behind = 0 if causal else before
    all_seen = before + behind >= 2 * longest
    most_keys = min(longest, before + behind + 1)
    unit_bits = min(21, 30 - (most_keys - 1).bit_length())
    sum_levels, sum_unit = f32(2.0**unit_bits), f32(2.0**-unit_bits)

    @device
    def load_rows(words, at, lane, rows):
        """Load the lane's part of rows of head_dim bytes: 8 bytes of each 32, in `rows` two words for each."""
        for s in range(steps):
            rows[2 * s] = rows[2 * s + 1] = np.int32(0)
            if 32 * s + 8 * (lane & 3) < head_dim:
                rows[2 * s], rows[2 * s + 1] = load2(words, at + 8 * s + 2 * (lane & 3))

    @device
    def score(sums, query, words, keys_at, lane):
        """Multiply 16 queries by 32 keys: sums [4 tiles of 8 keys, 4], to which the bits of `ROUND` are added."""
        key = cuda.local.array(key_words, np.int32)
        group = lane >> 2
        for j in range(4):
            row = 8 * (group >> 1) + 2 * j + (group & 1)
            load_rows(words, keys_at + row * (head_dim // 4), lane, key)
            c0 = c1 = c2 = c3 = START
            for s in range(steps):
                c0, c1, c2, c3 = mma_s8(
                    c0,
                    c1,
                    c2,
                    c3,
                    query[4 * s],
                    query[4 * s + 1],
                    query[4 * s + 2],
                    query[4 * s + 3],
                    key[2 * s],
                    key[2 * s + 1],
                )
            sums[4 * j], sums[4 * j + 1], sums[4 * j + 2], sums[4 * j + 3] = c0, c1, c2, c3

    @device
    def add_product(out, c, weights, byte, v0, v1):
        """Multiply one byte of the weights of 16 queries and 32 keys by eight columns of the values."""
        out[c], out[c + 1], out[c + 2], out[c + 3] = mma_u8(
            out[c],
            out[c + 1],
            out[c + 2],
            out[c + 3],
            pack(weights[0], weights[1], weights[2], weights[3], byte),
            pack(weights[8], weights[9], weights[10], weights[11], byte),
            pack(weights[4], weights[5], weights[6], weights[7], byte),
            pack(weights[12], weights[13], weights[14], weights[15], byte),
            v0,
            v1,
        )

    @device
    def load_scales(head_scale, at, scales):
        """Load the scales of the lane's eight keys."""
        scales[0], scales[1], scales[2], scales[3] = load4(head_scale, at)
        scales[4], scales[5], scales[6], scales[7] = load4(head_scale, at + 4)

    @device
    def is_seen(key, query, begin, end):
        """Say whether a query attends to a key."""
        inside = begin <= key and key < end
        if not all_seen:
            inside = inside and key - query <= behind and query - key <= before
        return inside

    @device
    def largest_scale(head_scale, scales_at, begin, end, lane):
        """Return the largest scale of the values of a sequence, of which a warp reads 128 at a time."""
        largest = f32(0.0)
        for k in range(begin // SCALE_BLOCK * SCALE_BLOCK, end, SCALE_BLOCK):
            four = load4(head_scale, scales_at + k + 4 * lane)
            for i in range(4):
                key = k + 4 * lane + i
                if begin <= key and key < end:
                    largest = max(largest, four[i])
        return largest_of_warp(largest)

    def attend(
        batch,
        pairs,
        transposed,
        head_scale,
        capacity,
        heads,
        key_heads,
        softmax_scale,
        position_bias,
        bias_row,
        bias_centre,
        context,
        context_row,
    ):
        """Compute the context of every token; what it attends to ends with its sequence, and its reach.

        `batch` int32 as `edgebert.cuda.layout` says; `pairs`, words of int8 [heads + key_heads, capacity, head_dim],
        queries and keys; `transposed`, words of int8 [key_heads, head_dim, capacity], values; `head_scale` float32
        [heads + 2 key_heads, capacity], of a multiple of 128 tokens; `softmax_scale` log2(e) times the scale of the
        scores; `position_bias` float32 [heads, bias_row], in which the distance from query i to key k stands at
        bias_centre + k - i; `context` float32 [rows, context_row]. Twin: `reference.attend`.
        """
        query = cuda.local.array(query_words, np.int32)
        rows = cuda.local.array(key_words, np.int32)
        sums = cuda.local.array(16, np.int32)
        bytes_of = cuda.local.array(16, np.int32)
        upper = cuda.local.array(values, np.int32)
        lower = cuda.local.array(values, np.int32)
        highest = cuda.local.array(2, np.float32)
        query_scale = cuda.local.array(2, np.float32)
        total = cuda.local.array(2, np.int32)
        key_scale = cuda.local.array(8, np.float32)
        value_scale = cuda.local.array(8, np.float32)
        lane = cuda.threadIdx.x & 31
        group, place = lane >> 2, lane & 3
        row_words = head_dim // 4
        tiles = batch[TILES]
        tokens = batch[TOKENS]
        warp = cuda.blockIdx.x * WARPS + (cuda.threadIdx.x >> 5)
        for item in range(warp, tiles * heads, cuda.gridDim.x * WARPS):
            head, tile = item // tiles, HEADER + QUERY_TILES * tokens + TILE_WORDS * (item % tiles)
            begin, length, first = np.int64(batch[tile]), batch[tile + 1], batch[tile + 2]
            end = begin + batch[tile + 3]
            own = begin + first + group
            own_scales = head * np.int64(capacity)
            shared_head = head * key_heads // heads
            key_scales = (heads + shared_head) * np.int64(capacity)
            value_scales = (heads + key_heads + shared_head) * np.int64(capacity)
            keys_at = key_scales * row_words
            distances = head * np.int64(bias_row) + bias_centre
            for half in range(2):
                load_rows(pairs, (own_scales + own + 8 * half) * row_words, lane, rows)
                for s in range(steps):
                    query[4 * s + half] = rows[2 * s]
                    query[4 * s + 2 + half] = rows[2 * s + 1]
                query_scale[half] = head_scale[own_scales + own + 8 * half] * softmax_scale
                highest[half] = LOWEST_SCORE
                total[half] = 0
            largest = f32(0.0)
            low, high = begin, end
            if not all_seen:
                low, high = max(begin, begin + first - before), min(end, begin + first + QUERY_ROWS + behind)
                largest = largest_scale(head_scale, value_scales, begin, end, lane)
            for k in range(low // KEY_BLOCK * KEY_BLOCK, high, KEY_BLOCK):
                score(sums, query, pairs, keys_at + k * row_words, lane)
                load_scales(head_scale, key_scales + k + 8 * place, key_scale)
                load_scales(head_scale, value_scales + k + 8 * place, value_scale)
                for e in range(8):
                    key = k + 8 * place + e
                    if all_seen and begin <= key and key < end:
                        largest = max(largest, value_scale[e])
                    for half in range(2):
                        if is_seen(key, own + 8 * half, begin, end):
                            value = (as_float(sums[4 * (e >> 1) + 2 * half + (e & 1)]) - ROUND) * key_scale[e]
                            if biased:
                                distance = key - own - 8 * half
                                value = fma(value, query_scale[half], position_bias[distances + distance])
                            highest[half] = max(highest[half], value)
            largest = largest_of_quad(largest)
            for half in range(2):
                highest[half] = largest_of_quad(highest[half])
            value_factor = NUMERATOR_LEVELS / largest
            for i in range(4 * octets):
                upper[i] = lower[i] = 0
            for k in range(low // KEY_BLOCK * KEY_BLOCK, high, KEY_BLOCK):
                score(sums, query, pairs, keys_at + k * row_words, lane)
                load_scales(head_scale, key_scales + k + 8 * place, key_scale)
                load_scales(head_scale, value_scales + k + 8 * place, value_scale)
                for e in range(8):
                    key = k + 8 * place + e
                    for half in range(2):
                        inside = is_seen(key, own + 8 * half, begin, end)
                        scale = key_scale[e] if inside else f32(0.0)
                        unit = value_scale[e] * value_factor if inside else f32(0.0)
                        value = (as_float(sums[4 * (e >> 1) + 2 * half + (e & 1)]) - ROUND) * scale
                        # Taken off before it is scaled, the highest score cannot leave a rest above zero.
                        if biased:
                            distance = key - own - 8 * half
                            bias = position_bias[distances + distance] if inside else f32(0.0)
                            exponent = fma(value, query_scale[half], bias) - highest[half]
                        else:
                            exponent = (value - highest[half]) * query_scale[half]
                        numerator = exp2(exponent if inside else LOWEST_SCORE)
                        total[half] += as_int(fma(numerator, sum_levels, ROUND)) - START
                        bytes_of[8 * half + e] = as_int(fma(numerator, unit, ROUND))
                for d in range(octets):
                    at = (shared_head * head_dim + 8 * d + group) * np.int64(capacity) + k + 8 * place
                    v0, v1 = load2(transposed, at >> 2)
                    add_product(upper, 4 * d, bytes_of, 1, v0, v1)
                    add_product(lower, 4 * d, bytes_of, 0, v0, v1)
            for half in range(2):
                # The four lanes of a row.
                sum_of_row = total_of_quad(total[half])
                if first + group + 8 * half < length:
                    unit = largest / NUMERATOR_LEVELS / (f32(sum_of_row) * sum_unit)
                    at = (own + 8 * half) * context_row + head * head_dim + 2 * place
                    for d in range(octets):
                        for i in range(2):
                            c = 4 * d + 2 * half + i
                            whole = fma(f32(upper[c]), UPPER, f32(lower[c]))
                            context[at + 8 * d + i] = whole * unit

    return attend
