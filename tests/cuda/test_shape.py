"""Tiles that fit what a block of threads has, and models that a GPU does not compute."""

from __future__ import annotations

import dataclasses

import pytest

from edgebert.cuda.shape import MOST_HEAD_DIM, expand_tile, shape_of
from edgebert.cuda.target import target_of
from edgebert.errors import SettingError
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


def altered(layer, attention, feed_forward):
    """Replace parts of a layer."""
    return layer._replace(
        attention=layer.attention._replace(**attention), feed_forward=layer.feed_forward._replace(**feed_forward)
    )


@pytest.mark.parametrize(
    ("attention", "feed_forward", "found"),
    [
        ({"rotary": None}, {}, "not turned with gated erf and others that are turned with gated erf"),
        ({}, {"gated": False}, "turned with erf and others that are turned with gated erf"),
        ({}, {"activation": "relu"}, "turned with gated erf and others that are turned with gated relu"),
    ],
)
def test_layers_of_two_kinds_are_refused(attention, feed_forward, found):
    whole = encoder(ModernBertConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=2))
    first, second = whole.layers
    mixed = dataclasses.replace(whole, layers=(first, altered(second, attention, feed_forward)))
    with pytest.raises(SettingError, match=f"layers that are {found}, a GPU computes one kind: use cpu"):
        shape_of(mixed, {})


def test_wide_heads_are_refused_by_the_width_that_is_computed():
    """Of turned heads each half is padded."""
    config = ModernBertConfig(hidden_size=194, num_hidden_layers=1, num_attention_heads=1)
    with pytest.raises(SettingError, match=f"heads of 224 values, a GPU computes at most {MOST_HEAD_DIM}"):
        shape_of(encoder(config), {})
