"""A token's embedding: word, position and token type."""

from edgebert.kernels.jit import kernel
from edgebert.kernels.simd.ops import broadcast, fma, load, load_i8, load_scalar, store, to_float


@kernel
def embed_token(word, word_scale, position, token_type, out, size):
    """Sum the three embeddings of one token (arXiv 1810.04805, figure 2).

    Addresses of: int8 [size] and its float32 scale; float32 [size] position and token type; float32 [size] out.
    """
    scale = broadcast(load_scalar(word_scale))
    for i in range(0, size, 16):
        rest = load(position + 4 * i) + load(token_type + 4 * i)
        store(out + 4 * i, fma(to_float(load_i8(word + i)), scale, rest))
