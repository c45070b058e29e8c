"""The sizes of a model that its kernels on a GPU are compiled for, and the tiles that their blocks compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgebert.architecture import Encoder, FeedForward
from edgebert.cuda.layout import Tile
from edgebert.cuda.target import Target
from edgebert.errors import SettingError
from edgebert.kernels.plan import group_of_count, head_width, padded
from edgebert.steps import Normalise, steps

__all__ = [
    "ATTEND_WARPS",
    "MOST_HEAD_DIM",
    "ROW_WARPS",
    "Shape",
    "expand_tile",
    "group_of",
    "heads_tile",
    "project_tile",
    "shape_of",
]

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
        Widths of the rows that are quantized by themselves: the context, embeddings projected or normalised later.
    reaches : tuple of (int, bool)
        How many tokens to either side a token attends to, 0 for all, and whether to none behind itself: each that a
        layer has.
    positions, token_types : bool
        Whether embeddings of these are added to the words'.
    rotary : bool
        Whether queries and keys are turned.
    head_norms : bool
        Whether heads of queries or keys are normalised.
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
    reaches: tuple[tuple[int, bool], ...]
    positions: bool
    token_types: bool
    rotary: bool
    head_norms: bool
    gated: bool
    pre_norm: bool


def group_of(tensors: Mapping[str, np.ndarray], name: str) -> int:
    """Return the size of the groups that the inputs of a linear layer are cut into."""
    _, quads, _, inputs = tensors[f"{name}.weight"].shape
    return group_of_count(quads * inputs, len(tensors[f"{name}.scale"]))


def shape_of(encoder: Encoder, tensors: Mapping[str, np.ndarray]) -> Shape:
    """Return what of a model its kernels are made for.

    Raises
    ------
    SettingError
        When its heads are wider than the kernels can have them, or its layers are not of one kind.
    """
    attention, feed_forward = encoder.layers[0].attention, encoder.layers[0].feed_forward
    kinds = sorted({_kind(layer.feed_forward) for layer in encoder.layers})
    if len(kinds) > 1:
        raise SettingError(
            f"this model has layers with {' and others with '.join(kinds)}, a GPU computes one kind: use cpu"
        )
    if attention.disentangled:
        raise SettingError("this model's queries and keys score distances, which a GPU does not compute: use cpu")
    embeddings = encoder.embeddings
    head_dim = head_width(attention)
    if head_dim > MOST_HEAD_DIM:
        raise SettingError(
            f"this model has heads of {head_dim} values, a GPU computes at most {MOST_HEAD_DIM}: use cpu"
        )
    strides = {padded(attention.heads * head_dim)}
    if embeddings.project or any(isinstance(step, Normalise) for step in steps(encoder)):
        strides.add(padded(encoder.hidden_size))
    return Shape(
        embedding_stride=padded(embeddings.words.width),
        hidden_stride=padded(encoder.hidden_size),
        head_dim=head_dim,
        int4=tensors[f"{embeddings.words.name}.scale"].ndim == 2,
        biased=attention.distances is not None or bool(attention.slopes),
        longest=encoder.longest,
        form=feed_forward.activation,
        inner_groups=tuple(sorted({group_of(tensors, layer.feed_forward.output.name) for layer in encoder.layers})),
        quantized_strides=tuple(sorted(strides)),
        reaches=tuple(sorted({(layer.attention.window, layer.attention.causal) for layer in encoder.layers})),
        positions=embeddings.positions is not None,
        token_types=embeddings.token_types is not None,
        rotary=attention.rotary is not None,
        head_norms=any(layer.attention.head_norms for layer in encoder.layers),
        gated=feed_forward.gated,
        pre_norm=encoder.final_norm is not None,
    )


def _kind(feed_forward: FeedForward) -> str:
    """Say of a layer what its kernels are made for, and all of a model have to share."""
    return f"{'gated ' if feed_forward.gated else ''}{feed_forward.activation}"


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
