"""A token's embedding: word, and position and token type where there are any."""

import numpy as np

from edgebert.kernels.jit import kernel
from edgebert.kernels.plan import INT4_GROUP
from edgebert.kernels.polynomials import ROUND
from edgebert.kernels.simd.families import LANES
from edgebert.kernels.simd.ops import broadcast, fma, load, load_i8, load_scalar, store, to_float

f32 = np.float32
HALF = INT4_GROUP // 2


@kernel
def embed_token(word, word_scale, word_factor, word_groups, position, token_type, out, size):
    """Sum the embeddings of one token (arXiv 1810.04805, figure 2).

    Addresses of: the word, int8 [size] and its float32 scale, or with `word_groups` above 0 `unpack_int4`'s; float32
    [size] factors of its columns, position and token type, either of the last two may be 0; float32 [size] out. Twin:
    `reference.embed`.
    """
    if word_groups != 0:
        unpack_int4(word, word_scale, word_factor, word_groups, out)
        if position != 0 and token_type != 0:
            for i in range(0, size, LANES):
                store(out + 4 * i, load(out + 4 * i) + (load(position + 4 * i) + load(token_type + 4 * i)))
        elif position + token_type != 0:
            for i in range(0, size, LANES):
                store(out + 4 * i, load(out + 4 * i) + load(position + token_type + 4 * i))
    elif position == 0 or token_type == 0:
        scale = broadcast(load_scalar(word_scale))
        for i in range(0, size, LANES):
            value = to_float(load_i8(word + i)) * (scale * load(word_factor + 4 * i))
            if position + token_type != 0:
                value = value + load(position + token_type + 4 * i)
            store(out + 4 * i, value)
    else:
        scale = broadcast(load_scalar(word_scale))
        for i in range(0, size, LANES):
            rest = load(position + 4 * i) + load(token_type + 4 * i)
            store(out + 4 * i, fma(to_float(load_i8(word + i)), scale * load(word_factor + 4 * i), rest))


@kernel
def unpack_int4(q, scale, factor, groups, out):
    """Unpack a row of values in four bits, -8..7: float32 [64 * groups] out.

    Byte i of a group of 64 holds value i in its upper half and value 32 + i, plus 8, in its lower one, so that as a
    signed number it is 16 * upper + lower + 8; `scale` float32 [groups], `factor` float32 [64 * groups].
    """
    for g in range(groups):
        unit = broadcast(load_scalar(scale + 4 * g))
        for i in range(0, HALF, LANES):
            both = to_float(load_i8(q + g * HALF + i))
            # The lower half, 0..15, is made even about the middle, then rounding drops it: never a tie.
            shifted = fma(both, broadcast(f32(1 / 16)), broadcast(f32(-15 / 32)))
            upper = (shifted + broadcast(ROUND)) - broadcast(ROUND)
            lower = fma(upper, broadcast(f32(-16.0)), both) - broadcast(f32(8.0))
            first, second = 4 * (g * INT4_GROUP + i), 4 * (g * INT4_GROUP + HALF + i)
            store(out + first, upper * (unit * load(factor + first)))
            store(out + second, lower * (unit * load(factor + second)))
