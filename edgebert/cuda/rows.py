"""Kernels that go row by row, a warp for each: embedding, addition, layer normalisation, quantization.

A warp holds a row in registers: lane l has values 64 j + 2 l and 64 j + 2 l + 1.
"""

from __future__ import annotations

import numpy as np

from edgebert.cuda.layout import HEADER, POSITIONS, TOKEN_TYPES, TOKENS
from edgebert.cuda.ops import cuda, device, fma, load2, multiply, round_to_int, shuffle_xor, square_root
from edgebert.cuda.shape import ROW_WARPS as WARPS
from edgebert.kernels.constants import ACTIVATION_LEVELS, SMALLEST
from edgebert.kernels.plan import INT4_GROUP

f32 = np.float32

STEP = 64
HALF = INT4_GROUP // 2


@device
def sum_of_lanes(value):
    """Add up the values of a warp's lanes."""
    for mask in (16, 8, 4, 2, 1):
        value = value + shuffle_xor(value, mask)
    return value


@device
def quantize(low, high):
    """Return the scale of a range with 0 in it, its inverse and the zero point (`edgebert.quantize.law`)."""
    extent = high - low
    if not extent >= SMALLEST:
        low = f32(0.0)
        extent = ACTIVATION_LEVELS
    inverse = ACTIVATION_LEVELS / extent
    # Zero lies on a level: it is rounded first, and the values are rounded on top of it.
    return extent / ACTIVATION_LEVELS, inverse, round_to_int(-low * inverse)


@device
def level(value, inverse, zero):
    """Return the level of a value, a whole number from 0 to 255."""
    # Both ends of the range may round up by half a level, to 256 levels in all.
    return min(round_to_int(value * inverse) + zero, np.int32(ACTIVATION_LEVELS))


def row_kernels(stride):
    """Make the device functions for rows of `stride` values, a multiple of 64.

    Returns
    -------
    quantize_row, normalise, finish_row : device functions
    """
    steps = stride // STEP

    @device
    def quantize_row(values, group, groups, q, ranges, row, lane):
        """Quantize a row that the warp holds, each group of its values on its own.

        `values` float32 [stride / 32] of each lane; `q` pairs of uint8 [rows, stride / 2], `ranges` float32
        [rows, groups, 2] get the levels, and scale and zero point; `groups` is 0 where nothing reads it. Twin:
        `reference.quantize_rows`.
        """
        for g in range(groups):
            first, last = g * group, (g + 1) * group
            low = high = f32(0.0)
            for j in range(steps):
                if first <= j * STEP and j * STEP < last:
                    for i in range(2):
                        low = min(low, values[2 * j + i])
                        high = max(high, values[2 * j + i])
            for mask in (16, 8, 4, 2, 1):
                low = min(low, shuffle_xor(low, mask))
                high = max(high, shuffle_xor(high, mask))
            scale, inverse, zero = quantize(low, high)
            if lane == 0:
                ranges[(row * groups + g) * 2] = scale
                ranges[(row * groups + g) * 2 + 1] = f32(zero)
            for j in range(steps):
                if first <= j * STEP and j * STEP < last:
                    pair = level(values[2 * j], inverse, zero) | level(values[2 * j + 1], inverse, zero) << 8
                    q[row * (stride // 2) + j * (STEP // 2) + lane] = pair

    @device
    def layer_norm(values, size, rms, weight, bias, eps, lane):
        """Normalise a row that the warp holds in place (arXiv 1607.06450, equation 4).

        With `rms` the mean counts as 0 (arXiv 1910.07467, equation 4). `size` is the true size of the row, behind which
        values, weight and bias are zero, and values stay so. Twins: `functions.layer_norm`, `functions.rms_norm`.
        """
        total = f32(0.0)
        for k in range(2 * steps):
            total = total + values[k]
        mean = sum_of_lanes(total) / f32(size)
        if rms:
            mean = f32(0.0)
        squares = f32(0.0)
        for j in range(steps):
            for i in range(2):
                difference = values[2 * j + i] - mean
                if j * STEP + 2 * lane + i >= size:
                    difference = f32(0.0)
                squares = fma(difference, difference, squares)
        inverse = f32(1.0) / square_root(sum_of_lanes(squares) / f32(size) + eps)
        for j in range(steps):
            at = j * STEP + 2 * lane
            w0, w1 = load2(weight, at)
            b0, b1 = load2(bias, at)
            values[2 * j] = fma((values[2 * j] - mean) * inverse, w0, b0)
            values[2 * j + 1] = fma((values[2 * j + 1] - mean) * inverse, w1, b1)

    @device
    def normalise(values, size, rms, weight, bias, eps, lane):
        """Normalise a row that the warp holds in place, where there is a norm: else its `size` is 0."""
        if size:
            layer_norm(values, size, rms, weight, bias, eps, lane)

    @device
    def finish_row(values, row, lane, size, rms, weight, bias, eps, hidden, group, groups, q, ranges):
        """Normalise a row that the warp holds, write it to `hidden`, and quantize it for what follows."""
        normalise(values, size, rms, weight, bias, eps, lane)
        for j in range(steps):
            at = row * stride + j * STEP + 2 * lane
            hidden[at] = values[2 * j]
            hidden[at + 1] = values[2 * j + 1]
        quantize_row(values, group, groups, q, ranges, row, lane)

    return quantize_row, normalise, finish_row


def embed_kernel(stride, *, int4, positions, token_types):
    """Make the kernel of the embeddings (arXiv 1810.04805, figure 2), for rows of `stride` values.

    `int4` says whether word embeddings take four bits a value, `positions` and `token_types` whether these are there.
    """
    has_positions, has_types = positions, token_types
    alone = has_positions != has_types
    _, _, finish_row = row_kernels(stride)
    steps, count = stride // STEP, stride // 32

    @device
    def word_value(byte, upper):
        """Return a value in four bits: the upper half of a signed byte, or the lower half less 8."""
        whole = np.int32(byte)
        return f32(whole >> 4) if upper else f32((whole & 15) - 8)

    def embed(
        batch,
        words,
        word_scale,
        word_factor,
        positions,
        token_types,
        size,
        rms,
        weight,
        bias,
        eps,
        hidden,
        group,
        groups,
        q,
        ranges,
    ):
        """Sum the embeddings of every token, normalise, and quantize for the linear layer that follows, if one does.

        `batch` int32 as `edgebert.cuda.layout` says; `words` int8 [vocab, stride], or two values a byte; `word_scale`
        float32 [vocab], or [vocab, stride / 64]; `word_factor` float32 [stride]; `positions`, `token_types` float32
        [..., stride]; `hidden` float32 [rows, stride]; `size` is 0 where there is no norm. Twins: `reference.embed`,
        `normalise`, `quantize_rows`.
        """
        values = cuda.local.array(count, np.float32)
        lane = cuda.threadIdx.x & 31
        tokens = batch[TOKENS]
        first = cuda.blockIdx.x * WARPS + (cuda.threadIdx.x >> 5)
        for row in range(first, tokens, cuda.gridDim.x * WARPS):
            word = np.int64(batch[HEADER + row])
            position = np.int64(batch[HEADER + POSITIONS * tokens + row])
            token_type = np.int64(batch[HEADER + TOKEN_TYPES * tokens + row])
            for j in range(steps):
                at = j * STEP + 2 * lane
                factor0, factor1 = load2(word_factor, at)
                rest0 = rest1 = f32(0.0)
                if has_positions:
                    rest0, rest1 = load2(positions, position * stride + at)
                if has_types:
                    t0, t1 = load2(token_types, token_type * stride + at)
                    rest0, rest1 = rest0 + t0, rest1 + t1
                if int4:
                    unit = word_scale[word * steps + j]
                    byte = word * (stride // 2) + j * HALF + (2 * lane) % HALF
                    upper = 2 * lane < HALF
                    values[2 * j] = multiply(word_value(words[byte], upper), unit * factor0) + rest0
                    values[2 * j + 1] = multiply(word_value(words[byte + 1], upper), unit * factor1) + rest1
                else:
                    unit0, unit1 = word_scale[word] * factor0, word_scale[word] * factor1
                    w0, w1 = f32(words[word * stride + at]), f32(words[word * stride + at + 1])
                    # As the processor rounds: a product with the sum of both, or by itself before the one.
                    values[2 * j] = multiply(w0, unit0) + rest0 if alone else fma(w0, unit0, rest0)
                    values[2 * j + 1] = multiply(w1, unit1) + rest1 if alone else fma(w1, unit1, rest1)
            finish_row(values, row, lane, size, rms, weight, bias, eps, hidden, group, groups, q, ranges)

    return embed


def add_and_norm_kernel(stride, *, beside):
    """Make the kernel that adds to the residual stream and normalises it, for rows of `stride` values.

    `beside` says that the stream goes on as a sum: what is normalised is quantized, and not kept.
    """
    quantize_row, normalise, finish_row = row_kernels(stride)
    steps, count = stride // STEP, stride // 32

    def add_and_norm(
        batch,
        hidden,
        smoothing,
        narrow,
        branch_size,
        branch_rms,
        branch_weight,
        branch_bias,
        branch_eps,
        size,
        rms,
        weight,
        bias,
        eps,
        group,
        groups,
        q,
        ranges,
    ):
        """Undo the smoothing of `hidden`, add `narrow`, normalise, and quantize for the linear layer that follows.

        `hidden`, `narrow` float32 [rows, stride]; `smoothing`, `weight`, `bias` float32 [stride]. What is added is
        normalised first, where `branch_size` is not 0. Overwrites `hidden`. Twins: `reference.normalise`,
        `quantize_rows`.
        """
        values = cuda.local.array(count, np.float32)
        lane = cuda.threadIdx.x & 31
        first = cuda.blockIdx.x * WARPS + (cuda.threadIdx.x >> 5)
        for row in range(first, batch[TOKENS], cuda.gridDim.x * WARPS):
            for j in range(steps):
                values[2 * j], values[2 * j + 1] = load2(narrow, row * stride + j * STEP + 2 * lane)
            normalise(values, branch_size, branch_rms, branch_weight, branch_bias, branch_eps, lane)
            for j in range(steps):
                at = j * STEP + 2 * lane
                x0, x1 = load2(hidden, row * stride + at)
                s0, s1 = load2(smoothing, at)
                values[2 * j] = fma(x0, s0, values[2 * j])
                values[2 * j + 1] = fma(x1, s1, values[2 * j + 1])
                if beside:
                    hidden[row * stride + at] = values[2 * j]
                    hidden[row * stride + at + 1] = values[2 * j + 1]
            if beside:
                normalise(values, size, rms, weight, bias, eps, lane)
                quantize_row(values, group, groups, q, ranges, row, lane)
            else:
                finish_row(values, row, lane, size, rms, weight, bias, eps, hidden, group, groups, q, ranges)

    return add_and_norm


def quantize_rows_kernel(stride):
    """Make the kernel that quantizes rows of `stride` float32 for a linear layer."""
    quantize_row, normalise, _ = row_kernels(stride)
    steps, count = stride // STEP, stride // 32

    def quantize_rows(batch, x, size, rms, weight, bias, eps, group, groups, q, ranges):
        """Quantize `x` float32 [rows, stride], normalised where `size` is not 0.

        Twins: `reference.normalise`, `quantize_rows`.
        """
        values = cuda.local.array(count, np.float32)
        lane = cuda.threadIdx.x & 31
        first = cuda.blockIdx.x * WARPS + (cuda.threadIdx.x >> 5)
        for row in range(first, batch[TOKENS], cuda.gridDim.x * WARPS):
            for j in range(steps):
                values[2 * j], values[2 * j + 1] = load2(x, row * stride + j * STEP + 2 * lane)
            normalise(values, size, rms, weight, bias, eps, lane)
            quantize_row(values, group, groups, q, ranges, row, lane)

    return quantize_rows
