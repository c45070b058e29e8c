"""How data lies on the GPU: tiles, weights in the order in which warps read them, batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgebert.batch import PackedBatch

__all__ = [
    "HEADER",
    "KEY_BLOCK",
    "K_WORDS",
    "PANEL_WORDS",
    "PITCH_WORDS",
    "POSITIONS",
    "QUERY_ROWS",
    "QUERY_TILES",
    "TILES",
    "TILE_WORDS",
    "TOKENS",
    "TOKEN_TYPES",
    "Tile",
    "batch_words",
    "constants",
    "describe_batch",
    "in_fragments",
]

K_WORDS = 16
"""Words of four inputs that a stage of a matmul has of each row: 64 inputs."""
PITCH_WORDS = K_WORDS + 4
"""From row to row in shared memory: so much apart, eight rows of four words fall on different banks."""
PANEL_WORDS = 128
"""A panel of a weight: 16 columns, of which 32 inputs lie together, four words for each lane of a warp."""
QUERY_ROWS = 16
"""Queries that a warp attends from at a time."""
KEY_BLOCK = 32
"""Keys that it attends to at a time; blocks begin at multiples of it, counted over the whole batch."""

TOKENS, TILES = 0, 1
"""Where a batch says how many tokens it has, and how many tiles of queries."""
HEADER = 8
"""Where the batch's lists begin, the first of them the ids of its tokens."""
TOKEN_TYPES, POSITIONS, QUERY_TILES = 1, 2, 3
"""Which list is which, each a word for each token long but for the last."""
TILE_WORDS = 4
"""What the last list has for each tile of queries: the sequence's first token, its length, the tile's first query, and
how many of the sequence's tokens are attended to."""


class Tile(NamedTuple):
    """How a block of threads computes a product.

    Attributes
    ----------
    row_warps, column_warps : int
        How its warps share a tile of the result.
    warp_rows, warp_columns : int
        What each of them computes: 16 or 32 rows, a multiple of 16 columns.
    stages : int
        Steps of 64 inputs that are in shared memory at once; with one, none is copied while another is multiplied.
    """

    row_warps: int
    column_warps: int
    warp_rows: int
    warp_columns: int
    stages: int

    @property
    def rows(self) -> int:
        """Rows of the whole tile."""
        return self.row_warps * self.warp_rows

    @property
    def columns(self) -> int:
        """Columns of the whole tile."""
        return self.column_warps * self.warp_columns

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return 32 * self.row_warps * self.column_warps

    @property
    def values(self) -> int:
        """Values of a warp's part that a lane holds."""
        return self.warp_rows * self.warp_columns // 32

    @property
    def stage_words(self) -> int:
        """Words of shared memory that a stage takes."""
        return self.rows * PITCH_WORDS + self.columns // 16 * 2 * PANEL_WORDS

    @property
    def shared_bytes(self) -> int:
        """Bytes of shared memory that a block takes."""
        return 4 * self.stages * self.stage_words


def in_fragments(panels: np.ndarray, columns: int) -> np.ndarray:
    """Lay a weight out as the lanes of a warp hold it for ``mma.m16n8k32``.

    Lane l holds column l // 4 of eight, of which inputs 4 (l % 4) to that + 3, and those 16 further (PTX ISA, "matrix
    fragments for mma.m16n8k32"); two such fragments lie together, 16 bytes for each lane.

    Parameters
    ----------
    panels : ndarray [shape=(N / 16, K / 4, 16, 4), dtype=int8]
    columns : int
        Of a tile: the result has a multiple of it, the columns that are added being zero.

    Returns
    -------
    ndarray [shape=(N padded / 16, K / 32, 128), dtype=int32]
    """
    outer, steps, _, _ = panels.shape
    # panel, 32 inputs, half of them, 4 inputs, half of the columns, column, input
    parts = panels.reshape(outer, steps // 8, 2, 4, 2, 8, 4).transpose(0, 1, 5, 3, 4, 2, 6)
    width = -(-outer * 16 // columns) * columns
    whole = np.zeros((width // 16, steps // 8, 8, 4, 2, 2, 4), np.int8)
    whole[:outer] = parts
    return whole.reshape(width // 16, steps // 8, PANEL_WORDS * 4).view(np.int32)


def constants(scale: np.ndarray, column_sums: np.ndarray, bias: np.ndarray, columns: int) -> np.ndarray:
    """Put what a linear layer does to its sums together: rows of scales, of column sums, and the bias.

    Parameters
    ----------
    scale, column_sums : ndarray [shape=(G, N)]
    bias : ndarray [shape=(N,), dtype=float32]
    columns : int
        As in `in_fragments`.

    Returns
    -------
    ndarray [shape=(2 G + 1, N padded), dtype=float32]
    """
    rows = np.concatenate([scale, column_sums.astype(np.float32), bias[None]])
    return np.pad(rows, [(0, 0), (0, -rows.shape[1] % columns)])


def batch_words(tokens: int) -> int:
    """Return the most words that a batch of so many tokens takes: each a sequence of its own."""
    return HEADER + (3 + TILE_WORDS) * tokens


def describe_batch(batch: PackedBatch, words: np.ndarray) -> int:
    """Write a batch as the kernels read it.

    Parameters
    ----------
    batch : PackedBatch
    words : ndarray [dtype=int32]
        Of `batch_words`.

    Returns
    -------
    int
        How many of the words are used.
    """
    tokens = len(batch.input_ids)
    lengths = np.diff(batch.cu_seqlens)
    counts = -(-lengths // QUERY_ROWS)
    of = np.repeat(np.arange(len(lengths)), counts)
    ends = np.cumsum(counts)
    first = (np.arange(len(of)) - np.repeat(ends - counts, counts)) * QUERY_ROWS
    words[:HEADER] = 0
    words[TOKENS], words[TILES] = tokens, len(of)
    begin = HEADER
    for part in (batch.input_ids, batch.token_type_ids, batch.position_ids):
        words[begin : begin + tokens] = part
        begin += tokens
    end = begin + TILE_WORDS * len(of)
    attended = lengths if batch.key_counts is None else batch.key_counts
    words[begin:end].reshape(-1, TILE_WORDS)[:] = np.stack([batch.cu_seqlens[of], lengths[of], first, attended[of]], 1)
    return end
