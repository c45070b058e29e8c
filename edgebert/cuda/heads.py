"""What becomes of each head of a query, key or value that a warp holds: normalised, turned, quantized."""

from __future__ import annotations

import numpy as np

from edgebert.cuda.layout import HEADER, POSITIONS, TOKENS, Tile
from edgebert.cuda.ops import device, fma, load2, multiply, round_to_int, shuffle_xor, square_root, unrolled
from edgebert.kernels.constants import HEAD_LEVELS, QUERY_LEVELS, SMALLEST

f32 = np.float32


def head_functions(tile: Tile, head_dim: int):
    """Make the device functions for heads of `head_dim` values, of which a warp's part of a tile has whole ones.

    In them `y` is what `edgebert.cuda.matmul.tile_function` leaves, from `row` and `column` on; `place` is which of the
    four lanes that have parts of a head this one is.

    Returns
    -------
    normalise_head, rotate_head, quantize_head : device functions
    """
    row_blocks, octets = tile.warp_rows // 16, tile.warp_columns // 8
    head_octets, half = head_dim // 8, head_dim // 16
    pieces = 2 * row_blocks * (octets // head_octets)

    @device
    def place_of(i, row, column):
        """Return where in `y` head i of the lane begins, which slot it is, and its token."""
        h, r = i // (2 * row_blocks), i % (2 * row_blocks)
        first = 4 * ((r >> 1) * octets + h * head_octets) + 2 * (r & 1)
        return first, column // head_dim + h, row + 8 * r

    @unrolled(pieces)
    def normalise_head(i, y, column, place, slots, size, weight, eps):
        """Normalise one head of one token, of which four lanes have parts, where its slot is one of two: from, to.

        Twin: `reference.normalise_heads`.
        """
        first, slot, _ = place_of(i, 0, column)
        squares = f32(0.0)
        for j in range(head_octets):
            for k in range(2):
                squares = fma(y[first + 4 * j + k], y[first + 4 * j + k], squares)
        squares = squares + shuffle_xor(squares, 1)
        squares = squares + shuffle_xor(squares, 2)
        if size and slots[0] <= slot and slot < slots[1]:
            inverse = f32(1.0) / square_root(squares / f32(size) + eps)
            for j in range(head_octets):
                own = load2(weight, 8 * j + 2 * place)
                for k in range(2):
                    y[first + 4 * j + k] = y[first + 4 * j + k] * inverse * own[k]

    @unrolled(pieces)
    def rotate_head(i, y, row, column, place, turned, batch, angles):
        """Turn one head of one token, of which the lane has whole points. Twin: `positions.rotate`."""
        first, slot, token = place_of(i, row, column)
        if slot < turned:
            tokens = batch[TOKENS]
            # Rows behind the last token are computed too, and read by nobody.
            position = np.int64(batch[HEADER + POSITIONS * tokens + min(token, tokens - 1)])
            for j in range(half):
                at = position * head_dim + 8 * j + 2 * place
                cosine, sine = load2(angles, at), load2(angles, at + head_dim // 2)
                for k in range(2):
                    one, two = first + 4 * j + k, first + 4 * (j + half) + k
                    a, b = y[one], y[two]
                    y[one] = multiply(a, cosine[k]) - multiply(b, sine[k])
                    y[two] = multiply(b, cosine[k]) + multiply(a, sine[k])

    @unrolled(pieces)
    def quantize_head(i, y, row, column, place, heads, key_heads, pairs, transposed, head_scale, capacity):
        """Quantize one head of one token, of which four lanes have parts: symmetric, with a scale of its own."""
        first, slot, token = place_of(i, np.int64(row), column)
        levels = QUERY_LEVELS if slot < heads else HEAD_LEVELS
        largest = f32(0.0)
        for j in range(head_octets):
            largest = max(largest, abs(y[first + 4 * j]), abs(y[first + 4 * j + 1]))
        largest = max(largest, shuffle_xor(largest, 1))
        largest = max(largest, shuffle_xor(largest, 2))
        if not largest > SMALLEST:
            largest = levels
        inverse = levels / largest
        if slot < heads + 2 * key_heads:
            if place == 0:
                head_scale[slot * np.int64(capacity) + token] = largest / levels
            for j in range(head_octets):
                q0 = round_to_int(y[first + 4 * j] * inverse)
                q1 = round_to_int(y[first + 4 * j + 1] * inverse)
                d = 8 * j + 2 * place
                if slot < heads + key_heads:
                    at = (slot * np.int64(capacity) + token) * head_dim + d
                    pairs[at >> 1] = q0 & 255 | (q1 & 255) << 8
                else:
                    at = ((slot - heads - key_heads) * head_dim + d) * np.int64(capacity) + token
                    transposed[at] = q0
                    transposed[at + capacity] = q1

    return normalise_head, rotate_head, quantize_head
