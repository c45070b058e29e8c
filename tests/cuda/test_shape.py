"""Tiles that fit what a block of threads has, and models that a GPU does not compute."""

from __future__ import annotations

import dataclasses

import pytest

from edgebert.cuda.shape import MOST_HEAD_DIM, expand_tile, shape_of
from edgebert.cuda.target import target_of
from edgebert.errors import SettingError
from edgebert.families import deberta_v2
from edgebert.families.deberta_v2 import DebertaConfig
from edgebert.families.modernbert import ModernBertConfig, encoder

REGISTERS = 65536
"""Of a block, in every generation."""


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 6), (9, 0), (12, 0)])
@pytest.mark.parametrize("gated", [False, True])
def test_the_intermediate_layer_has_a_tile_for_every_group(capability, gated):
    target = target_of(capability)
    for group in range(64, 385, 64):
        tile, pieces = expand_tile(target, group, gated=gated), 1 + gated
        assert tile.stages >= 1
        assert tile.shared_bytes <= target.shared_bytes
        assert tile.warp_columns % (16 * pieces) == 0
        assert tile.columns % (pieces * group) == 0
        assert pieces * group % tile.warp_columns == 0
        # The sums, the results, and a few more.
        assert tile.threads * (2 * tile.values + 48) <= REGISTERS


def test_a_gpu_without_shared_memory_for_a_tile_is_refused():
    with pytest.raises(SettingError, match=r"needs 51712 bytes of shared memory.* 7\.0 has 49152: use cpu"):
        expand_tile(target_of((7, 0)), 384, gated=True)


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"gated": False}, "erf and others with gated erf"),
        ({"activation": "relu"}, "gated erf and others with gated relu"),
    ],
)
def test_layers_of_two_kinds_are_refused(parts, found):
    whole = encoder(ModernBertConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=2))
    first, second = whole.layers
    second = second._replace(feed_forward=second.feed_forward._replace(**parts))
    mixed = dataclasses.replace(whole, layers=(first, second))
    with pytest.raises(SettingError, match=f"layers with {found}, a GPU computes one kind: use cpu"):
        shape_of(mixed, {})


def test_wide_heads_are_refused_by_the_width_that_is_computed():
    """Of turned heads each half is padded."""
    config = ModernBertConfig(hidden_size=194, num_hidden_layers=1, num_attention_heads=1)
    with pytest.raises(SettingError, match=f"heads of 224 values, a GPU computes at most {MOST_HEAD_DIM}"):
        shape_of(encoder(config), {})


def test_distances_that_queries_and_keys_score_are_refused():
    config = DebertaConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        relative_attention=True,
        share_att_key=True,
        pos_att_type="c2p|p2c",
    )
    with pytest.raises(SettingError, match="queries and keys score distances, which a GPU does not compute: use cpu"):
        shape_of(deberta_v2.encoder(config), {})
