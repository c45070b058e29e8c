"""From many sequences of token ids to one packed batch without padding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edgebert.errors import InputError

__all__ = ["Ids", "PackedBatch", "batches", "check_ids", "pack", "spans"]

Ids = Sequence[int] | np.ndarray


class PackedBatch(NamedTuple):
    """Sequences end to end; where they end is the attention mask.

    Attributes
    ----------
    input_ids, token_type_ids, position_ids : ndarray [shape=(T,), dtype=int32]
    cu_seqlens : ndarray [shape=(B + 1,), dtype=int32]
        Where each sequence begins, and T.
    key_counts : ndarray [shape=(B,), dtype=int32] or None
        How many of each sequence's first tokens are attended to; None for all of them.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    position_ids: np.ndarray
    cu_seqlens: np.ndarray
    key_counts: np.ndarray | None = None


def spans(cu_seqlens: np.ndarray, key_counts: np.ndarray | None) -> Iterator[tuple[int, int, int]]:
    """Yield where each sequence of a `PackedBatch` begins, where it ends, and how many of its tokens are seen."""
    counts = np.diff(cu_seqlens) if key_counts is None else key_counts
    yield from zip(cu_seqlens[:-1].tolist(), cu_seqlens[1:].tolist(), counts.tolist(), strict=True)


def pack(
    sequences: Sequence[Ids],
    token_types: Sequence[Ids] | None = None,
    padding: int | None = None,
    unattended: Sequence[int] | None = None,
) -> PackedBatch:
    """Lay sequences of token ids end to end.

    Parameters
    ----------
    sequences : sequences of int
    token_types : the same shape, optional
        Zeros by default.
    padding : int, optional
        `BertConfig.padding`: the token that stands at position 0 wherever it is; the others are counted from 1.
        Without it all tokens are counted, from 0.
    unattended : sequence of int, optional
        How many of the last tokens of each sequence attend, but are not attended to; less than it has, or 0.
    """
    if unattended is not None and any(unattended):
        counts = [len(ids) - count for ids, count in zip(sequences, unattended, strict=True)]
        return pack(sequences, token_types, padding)._replace(key_counts=np.array(counts, np.int32))
    if len(sequences) == 1:  # what a program that answers at once has: a third of the time
        return _alone(sequences[0], None if token_types is None else token_types[0], padding)
    lengths = np.fromiter(map(len, sequences), np.int32, len(sequences))
    cu_seqlens = np.zeros(len(sequences) + 1, np.int32)
    np.cumsum(lengths, out=cu_seqlens[1:])
    input_ids = _concatenated(sequences)
    types = np.zeros_like(input_ids) if token_types is None else _concatenated(token_types)
    position_ids = np.arange(len(input_ids), dtype=np.int32) - np.repeat(cu_seqlens[:-1], lengths)
    if padding is not None:
        position_ids = _beside_padding(position_ids, input_ids, cu_seqlens, padding)
    return PackedBatch(input_ids, types, position_ids.astype(np.int32), cu_seqlens)


def _alone(ids: Ids, types: Ids | None, padding: int | None) -> PackedBatch:
    input_ids = np.array(ids, np.int32)
    token_types = np.zeros(len(input_ids), np.int32) if types is None else np.array(types, np.int32)
    positions = np.arange(len(input_ids), dtype=np.int32)
    cu_seqlens = np.array([0, len(input_ids)], np.int32)
    if padding is not None:
        positions = _beside_padding(positions, input_ids, cu_seqlens, padding)
    return PackedBatch(input_ids, token_types, positions, cu_seqlens)


def _beside_padding(places: np.ndarray, input_ids: np.ndarray, cu_seqlens: np.ndarray, padding: int) -> np.ndarray:
    """Return the positions of tokens, given their places in their sequences: int32 (T,)."""
    passed_over = input_ids == padding
    positions = places + np.int32(1)
    if not passed_over.any():
        return positions
    so_far = np.zeros(len(input_ids) + 1, np.int32)
    np.cumsum(passed_over, out=so_far[1:])
    positions -= so_far[1:] - np.repeat(so_far[cu_seqlens[:-1]], np.diff(cu_seqlens))
    positions[passed_over] = 0
    return positions


def _concatenated(sequences: Sequence[Ids]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int32), *(np.asarray(ids, np.int32) for ids in sequences)])


def check_ids(sequences: Sequence[Ids], count: int, longest: int, name: str = "token_ids") -> list[np.ndarray]:
    """Check sequences of ids, each from 0 to `count` - 1; return them as int32 arrays.

    Raises
    ------
    InputError
        Naming the first sequence that is no list of whole numbers or too long, or else the first with an id outside of
        that range. `name` is what the sequences are called.
    """
    checked = [_array_of(ids, longest, f"{name}[{i}]") for i, ids in enumerate(sequences)]
    # All at once, which for many short texts takes a fraction of the time; one by one only to name the first.
    together = np.concatenate([np.zeros(1, np.int32), *checked])
    if together.min() < 0 or together.max() >= count:
        for i, array in enumerate(checked):
            outside = (array < 0) | (array >= count)
            if outside.any():
                at = int(outside.argmax())
                raise InputError(f"{name}[{i}][{at}] is {array[at]}, expected 0 to {count - 1}")
    # Copies: what was checked is what is used, whatever the caller does with his own arrays meanwhile.
    ends = list(itertools.accumulate(map(len, checked), initial=1))
    whole = together.astype(np.int32, copy=False)
    return [whole[begin:end] for begin, end in itertools.pairwise(ends)]


def _array_of(ids: Ids, longest: int, name: str) -> np.ndarray:
    try:
        length = len(ids)
        # What is too long is refused without being read.
        array = np.asarray(ids if length <= longest else ids[:1])
    except Exception as error:  # of numbers that are no rectangle; or the caller's own code
        raise InputError(f"{name} is no sequence of whole numbers; expected one list of ids for each text") from error
    if array.size == 0:
        array = np.zeros(0, np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{name} is no sequence of whole numbers; expected one list of ids for each text")
    if length > longest:
        raise InputError(f"{name} has {length} tokens, the model takes at most {longest}")
    return array


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Cut texts into batches of similar lengths, each of at most `budget` tokens.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each text, none more than the budget.
    budget : int

    Yields
    ------
    list of int
        Indices of the texts of one batch; every text is in one, the longest come first.
    """
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and tokens + lengths[index] > budget:
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += lengths[index]
    if batch:
        yield batch
