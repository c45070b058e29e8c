"""How weights and batches lie on the GPU."""

from __future__ import annotations

import numpy as np

from edgebert.batch import pack
from edgebert.cuda.layout import HEADER, TILE_WORDS, TILES, TOKENS, batch_words, constants, describe_batch, in_fragments


def test_fragments_have_every_weight_where_its_lane_reads_it():
    N, K = 48, 96
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (K, N)).astype(np.int8)
    panels = np.ascontiguousarray(weight.reshape(K // 4, 4, N // 16, 16).transpose(2, 0, 3, 1))
    got = in_fragments(panels, 32)
    assert got.shape == (4, K // 32, 128)
    words = got.view(np.int8).reshape(4, K // 32, 32, 2, 2, 4)
    for n in range(64):
        for k in range(K):
            # PTX ISA, "matrix fragments for mma.m16n8k32": lane, half of the columns, half of the inputs, byte
            lane = n % 8 * 4 + k % 16 // 4
            value = words[n // 16, k // 32, lane, n % 16 // 8, k % 32 // 16, k % 4]
            assert value == (weight[k, n] if n < N else 0)


def test_constants_are_padded():
    got = constants(np.full((2, 48), 3, np.float32), np.full((2, 48), -5), np.full(48, 7, np.float32), 32)
    assert got.shape == (5, 64)
    assert got.dtype == np.float32
    assert (got[:, 48:] == 0).all()
    assert got[:, 0].tolist() == [3, 3, -5, -5, 7]


def test_a_batch_lists_its_tiles_of_queries():
    lengths = [1, 33, 16]
    batch = pack([[7] * length for length in lengths])
    words = np.full(batch_words(50), -1, np.int32)
    end = describe_batch(batch, words)
    assert (words[TOKENS], words[TILES]) == (50, 5)
    assert (words[HEADER : HEADER + 50] == 7).all()
    tiles = words[HEADER + 150 : end].reshape(-1, TILE_WORDS).tolist()
    assert tiles == [[0, 1, 0, 1], [1, 33, 0, 33], [1, 33, 16, 33], [1, 33, 32, 33], [34, 16, 0, 16]]
    assert (words[end:] == -1).all()
    end = describe_batch(batch._replace(key_counts=np.array([1, 20, 9], np.int32)), words)
    assert words[HEADER + 150 : end].reshape(-1, TILE_WORDS)[:, 3].tolist() == [1, 20, 20, 20, 9]


def test_the_longest_description_fits():
    batch = pack([[1]] * 20)
    assert describe_batch(batch, np.zeros(batch_words(20), np.int32)) == batch_words(20)
