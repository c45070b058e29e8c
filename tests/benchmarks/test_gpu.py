"""What the benchmark of GPUs gives its engines."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gpu import SIZES, padded, sequences
from edgebert.batch import check_ids


@pytest.mark.parametrize("tokens", SIZES)
def test_sequences_have_the_tokens_asked_for(tokens):
    ids = sequences(tokens, 512, 30522)
    assert sum(map(len, ids)) == tokens
    check_ids(ids, 30522, 512)


def test_padded_batches_lose_no_token():
    ids = sequences(2048, 512, 30522)
    batches = padded(ids, 32)
    assert sum(int(mask.sum()) for _, mask in batches) == 2048
    rows = [row[own == 1] for rows, mask in batches for row, own in zip(rows, mask, strict=True)]
    assert sorted(map(tuple, rows)) == sorted(map(tuple, ids))
    assert all(np.diff([len(own[own == 1]) for _, mask in batches for own in mask]) <= 0)
