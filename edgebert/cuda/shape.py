"""The sizes of a model that its kernels on a GPU are compiled for, and the tiles that their blocks compute."""

from __future__ import annotations

from typing import NamedTuple

from edgebert.cuda.layout import Tile
from edgebert.cuda.target import Target
from edgebert.errors import SettingError

__all__ = ["ATTEND_WARPS", "MOST_HEAD_DIM", "ROW_WARPS", "Shape", "expand_tile", "heads_tile", "project_tile"]

ROW_WARPS = 4
"""Warps of a block that goes row by row."""
ATTEND_WARPS = 4

_WARP_COLUMNS = 96
"""Columns of a warp: with 32 rows, as many sums and results as its registers hold."""
MOST_HEAD_DIM = 2 * _WARP_COLUMNS
_MOST_STAGES = 4


class Shape(NamedTuple):
    """The constants of a model's kernels.

    Attributes
    ----------
    embedding_stride, hidden_stride : int
        E and H, padded.
    head_dim : int
        Padded.
    int4 : bool
        Whether word embeddings take four bits.
    biased : bool
        Whether the distance of two tokens adds to their score.
    longest : int
        Most tokens of a sequence.
    form : str
        Of the activation.
    inner_groups : tuple of int
        Sizes of the groups that intermediate activations are quantized in.
    quantized_strides : tuple of int
        Widths of the rows that are quantized by themselves: the context, projected embeddings.
    windows : tuple of int
        How many tokens to either side a token attends to, each that a layer has; 0 for all.
    summed : bool
        Whether embeddings of positions and token types are added to the words'.
    rotary : bool
        Whether queries and keys are turned.
    gated : bool
        Whether activations are multiplied by gates.
    pre_norm : bool
        Whether what is normalised stands beside the stream, which goes on as a sum.
    """

    embedding_stride: int
    hidden_stride: int
    head_dim: int
    int4: bool
    biased: bool
    longest: int
    form: str
    inner_groups: tuple[int, ...]
    quantized_strides: tuple[int, ...]
    windows: tuple[int, ...] = (0,)
    summed: bool = True
    rotary: bool = False
    gated: bool = False
    pre_norm: bool = False


def _staged(target: Target, row_warps: int, column_warps: int, warp_rows: int, warp_columns: int) -> Tile:
    """Return a tile with as many stages as shared memory holds; raise SettingError where it holds none."""
    tile = Tile(row_warps, column_warps, warp_rows, warp_columns, 1)
    stages = min(_MOST_STAGES, target.shared_bytes // tile.shared_bytes)
    if not stages:
        major, minor = target.capability
        raise SettingError(
            f"this model needs {tile.shared_bytes} bytes of shared memory, a GPU of compute capability"
            f" {major}.{minor} has {target.shared_bytes}: use cpu"
        )
    return tile._replace(stages=stages)


def project_tile(target: Target) -> Tile:
    """Return the tile of a linear layer whose outputs stay float32."""
    return _staged(target, target.warps // 2, 2, 32, _WARP_COLUMNS)


def heads_tile(target: Target, head_dim: int) -> Tile:
    """Return the tile of query, key and value: a warp has whole heads."""
    columns = head_dim * max(1, _WARP_COLUMNS // head_dim)
    return _staged(target, target.warps // 2, 2, 32 if columns <= _WARP_COLUMNS else 16, columns)


def expand_tile(target: Target, out_group: int, *, gated: bool = False) -> Tile:
    """Return the tile of the intermediate layer: it has whole groups of outputs, a warp a whole part of one.

    Where these are gated, so are their gates: a warp has both of an output.
    """
    columns, part = (2 * out_group, 32) if gated else (out_group, 16)
    group_warps = next(n for n in (1, 2, 4, 8, 10) if columns // n <= _WARP_COLUMNS and columns // n % part == 0)
    column_warps = max(group_warps, min(4, target.warps))
    return _staged(target, max(1, target.warps // column_warps), column_warps, 32, columns // group_warps)
