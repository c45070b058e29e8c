"""Vectors in blocks: what is found is what an exact comparison finds."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.search.vectors import BLOCK, Block, nearest, packed
from edgebert.tasks.similarity import cosines


def unit_rows(count, dimensions, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def blocks_of(vectors):
    return [
        packed([*range(i, i + len(part))], part)
        for i in range(0, len(vectors), BLOCK)
        if len(part := vectors[i : i + BLOCK])
    ]


@pytest.mark.parametrize("dimensions", [3, 384, 1500])
def test_the_nearest_are_among_those_found(dimensions):
    vectors, (query,) = unit_rows(3000, dimensions), unit_rows(1, dimensions, seed=1)
    exact = vectors.astype(np.float64) @ query
    found = nearest(blocks_of(vectors), query, 200)
    assert found == sorted(found)
    assert len(found) == 200
    assert set(np.argsort(-exact)[:50].tolist()) <= set(found)
    np.testing.assert_allclose(cosines(vectors[found], query[None])[:, 0], exact[found], atol=1e-6)


def test_of_equal_ones_the_first_are_found():
    vectors = np.repeat(unit_rows(1, 8), 50, axis=0)
    assert nearest(blocks_of(vectors), vectors[0], 7) == [*range(7)]


def test_few_none_and_zero():
    vectors = unit_rows(3, 8)
    assert nearest(blocks_of(vectors), vectors[1], 200) == [0, 1, 2]
    assert nearest([], vectors[0], 5) == []
    assert nearest(blocks_of(np.zeros((2, 8), np.float32)), vectors[0], 1) == [0]


def test_a_block_that_is_cut_short_is_refused():
    (block,) = blocks_of(unit_rows(4, 8))
    with pytest.raises(ValueError, match="reshape"):
        nearest([Block(block.ids, block.scales, block.codes[:-1])], unit_rows(1, 8)[0], 2)


def test_a_cosine_does_not_hang_on_its_neighbours():
    vectors = unit_rows(50, 384)
    among = cosines(vectors, vectors)
    assert (among.dtype, among.max()) == (np.float32, 1)
    assert (among == among.T).all()
    for i in (0, 17, 49):
        assert (cosines(vectors[i : i + 1], vectors[::-1])[0, ::-1] == among[i]).all()
