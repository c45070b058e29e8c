"""Vectors of passages in an index: kept exactly, and as eight-bit numbers that a query is quickly compared with.

All eight-bit numbers of a hundred thousand passages are read and multiplied in some 50 ms; the best few hundred of them
are then compared exactly. Sums are of whole numbers that float32 holds exactly, so that BLAS may add in any order: the
same query finds the same passages on every computer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

__all__ = ["BLOCK", "Block", "nearest", "packed"]

BLOCK = 1024
"""Passages whose numbers lie together in one row of the index: those whose number divided by this is the same."""

_LARGEST = 127
_EXACT = 2**24
"""Whole numbers up to this are float32's own."""


class Block(NamedTuple):
    """The vectors of neighbouring passages, as the index has them.

    Attributes
    ----------
    ids : bytes
        Numbers of the passages, in order: little-endian int64.
    scales : bytes
        What the numbers of each vector are multiplied by: little-endian float32.
    codes : bytes
        The numbers: int8 (passages, dimensions).
    """

    ids: bytes
    scales: bytes
    codes: bytes


def packed(ids: list[int], vectors: np.ndarray) -> Block:
    """Make a block of vectors, float32 (len(ids), dimensions)."""
    scales = np.abs(vectors).max(axis=1) / np.float32(_LARGEST)
    codes = np.rint(vectors / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    return Block(np.array(ids, "<i8").tobytes(), scales.astype("<f4").tobytes(), codes.tobytes())


def nearest(blocks: Iterable[Block], query: np.ndarray, count: int) -> list[int]:
    """Return the passages whose vectors are nearest to a query's, nearly: in the order of their numbers.

    Parameters
    ----------
    blocks : iterable of Block
    query : ndarray [shape=(dimensions,), dtype=float32], of length one
    count : int
        How many; more than are wanted, for the eight-bit numbers are not exact.

    Raises
    ------
    ValueError
        When a block is not as `packed` makes it.
    """
    # As fine as it may be for sums to stay exact.
    room = _EXACT / _LARGEST - len(query)
    whole = np.rint(query * np.float32(room / max(float(np.abs(query).sum()), 1e-30))).astype(np.float32)
    ids, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    rows = np.empty((BLOCK, len(query)), np.float32)
    for block in blocks:
        own = np.frombuffer(block.ids, "<i8")
        codes = np.frombuffer(block.codes, np.int8).reshape(len(own), len(query))
        np.copyto(rows[: len(own)], codes)  # in a buffer that stays in the cache
        ids.append(own)
        scores.append(rows[: len(own)] @ whole * np.frombuffer(block.scales, "<f4"))
    every, values = np.concatenate(ids), np.concatenate(scores)
    if len(every) > count:
        # The last of them and those that are as near: so which of equals is taken does not hang on a sort.
        edge = np.partition(values, len(values) - count)[len(values) - count]
        best = np.flatnonzero(values >= edge)
        best = best[np.argsort(-values[best], kind="stable")][:count]
    else:
        best = np.arange(len(every))
    return sorted(every[best].tolist())
