"""Packing, and cutting into batches."""

from __future__ import annotations

import numpy as np
import pytest

from edgebert.batch import batches, check_ids, pack
from edgebert.errors import InputError


def test_pack_lays_sequences_end_to_end():
    batch = pack([[5, 6, 7], [], [8]], [[0, 0, 1], [], [1]])
    assert batch.input_ids.tolist() == [5, 6, 7, 8]
    assert batch.token_type_ids.tolist() == [0, 0, 1, 1]
    assert batch.position_ids.tolist() == [0, 1, 2, 0]
    assert batch.cu_seqlens.tolist() == [0, 3, 3, 4]
    assert {array.dtype for array in batch[:4]} == {np.dtype(np.int32)}
    assert batch.key_counts is None


def test_pack_of_nothing():
    batch = pack([])
    assert batch.input_ids.size == 0
    assert batch.cu_seqlens.tolist() == [0]


@pytest.mark.parametrize(
    ("sequences", "positions"),
    [
        ([[5, 6, 7]], [1, 2, 3]),
        ([[9, 6, 7]], [0, 1, 2]),
        ([[5, 9, 9, 7, 9]], [1, 0, 0, 2, 0]),
        ([[9, 9]], [0, 0]),
        ([[]], []),
        ([[5, 6], [], [7]], [1, 2, 1]),
        ([[5, 9, 6], [9], [], [7, 9, 8, 9, 6], [6]], [1, 0, 2, 0, 1, 0, 2, 0, 3, 1]),
    ],
)
def test_the_padding_is_not_counted(sequences, positions):
    batch = pack(sequences, padding=9)
    assert batch.position_ids.tolist() == positions
    assert batch.position_ids.dtype == np.int32
    alone = [pack([ids], padding=9).position_ids for ids in sequences]
    assert np.concatenate(alone).tolist() == positions
    assert pack(sequences).position_ids.tolist() == [i for ids in sequences for i in range(len(ids))]


def test_batches_hold_every_text_once_within_the_budget():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, 500).tolist()
    found = list(batches(lengths, 64))
    assert sorted(index for batch in found for index in batch) == list(range(500))
    assert all(sum(lengths[i] for i in batch) <= 64 for batch in found)
    flat = [lengths[i] for batch in found for i in batch]
    assert flat == sorted(lengths, reverse=True)


def test_batches_of_nothing():
    assert list(batches([], 64)) == []


@pytest.mark.parametrize(
    ("ids", "complaint"),
    [
        ([[1, 2], [3, 10]], r"token_ids\[1\]\[1\] is 10, expected 0 to 9"),
        ([[0, 9], [0, 10, 11], [12]], r"token_ids\[1\]\[1\] is 10, expected 0 to 9"),
        ([[-1]], r"token_ids\[0\]\[0\] is -1, expected 0 to 9"),
        ([[2**40]], r"is 1099511627776, expected 0 to 9"),
        ([[1.5]], "no sequence of whole numbers"),
        ([["a"]], "no sequence of whole numbers"),
        ([3], "no sequence of whole numbers"),
        ([[[1]]], "no sequence of whole numbers"),
        ([[1] * 9], "has 9 tokens, the model takes at most 8"),
    ],
)
def test_ids_that_no_model_takes(ids, complaint):
    with pytest.raises(InputError, match=complaint):
        check_ids(ids, 10, 8)


def test_ids_of_every_kind_of_sequence():
    checked = check_ids([[1, 2], (3,), np.array([4, 5], np.uint16), []], 10, 8)
    assert [ids.tolist() for ids in checked] == [[1, 2], [3], [4, 5], []]
    assert all(ids.dtype == np.int32 for ids in checked)


def test_checked_ids_are_copies():
    """A caller who changes his arrays while the kernels run must not bring in ids that nobody has checked."""
    ids = [np.arange(5, dtype=np.int32), np.arange(3, dtype=np.int32)]
    checked = check_ids(ids, 10, 8)
    assert not any(np.shares_memory(own, copy) for own in ids for copy in checked)
    assert [array.tolist() for array in checked] == [array.tolist() for array in ids]
