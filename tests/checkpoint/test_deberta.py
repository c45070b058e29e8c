"""DeBERTa v2 and v3: how a config.json describes what queries and keys say of distances, and what cannot be."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.shapes import SHAPES
from edgebert.checkpoint.fields_models import check_fields, config_fields
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families import FAMILIES, config_of, encoder_of

FAMILY = FAMILIES["deberta-v2"]
V3_SMALL = SHAPES["deberta-v3-small"]
"""As microsoft/deberta-v3-small has it."""


def read(**changes):
    """Return the config of a model, read back from what a file has of it."""
    config = FAMILY.read_config({**V3_SMALL, **changes})
    assert config_of(json.loads(json.dumps(config.to_dict()))) == config
    return config


def test_the_third_version():
    encoder = encoder_of(read())
    assert encoder.embeddings.positions is None
    assert encoder.embeddings.token_types is None
    assert encoder.embeddings.norm.eps == 1e-7
    (positions, attention), *others = encoder.disentangled()
    assert len(others) == 5
    assert (positions.table.name, positions.table.rows) == ("encoder.rel_embeddings", 512)
    assert (positions.norm.name, positions.exact, positions.largest) == ("encoder.LayerNorm", 128, 512)
    assert attention.score_scale == 1 / math.sqrt(3 * 64)
    names = [part.name for part in encoder.parts()]
    assert names.count("encoder.rel_embeddings") == names.count("encoder.LayerNorm") == 1
    kept = {part.name for part in (*encoder.tables(), *encoder.norms())}
    assert not kept & {"encoder.rel_embeddings", "encoder.LayerNorm"}


@pytest.mark.parametrize(
    ("changes", "rows", "exact", "largest"),
    [
        ({"position_buckets": -1}, 1024, 512, 512),
        ({"position_buckets": -1, "max_relative_positions": 20}, 40, 20, 20),
        ({"position_buckets": 16, "max_relative_positions": 20}, 32, 8, 20),
        ({"position_buckets": 64, "max_position_embeddings": 200}, 128, 32, 200),
    ],
)
def test_rows(changes, rows, exact, largest):
    (positions, _), *_ = encoder_of(read(**changes)).disentangled()
    assert (positions.table.rows, positions.exact, positions.largest) == (rows, exact, largest)


def test_what_the_second_version_may_have():
    config = read(position_biased_input=True, type_vocab_size=3, norm_rel_ebd="none", pos_att_type=["c2p", "p2c"])
    encoder = encoder_of(config)
    assert encoder.embeddings.positions.rows == 512
    assert encoder.embeddings.token_types.rows == 3
    (positions, _), *_ = encoder.disentangled()
    assert positions.norm is None


@pytest.mark.parametrize(("terms", "parts"), [(None, 1), ("c2p", 2), ("P2C | c2p", 3)])
def test_attention_that_is_not_relative(terms, parts):
    """Its scores are divided by as many terms all the same."""
    encoder = encoder_of(read(relative_attention=False, share_att_key=None, pos_att_type=terms))
    assert encoder.disentangled() == []
    assert encoder.layers[0].attention.score_scale == 1 / math.sqrt(parts * 64)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"relative_attention": 1}, "relative_attention is 1, expected true or false"),
        ({"share_att_key": None}, "share_att_key is False, expected true where attention is relative"),
        ({"pos_att_type": "c2p"}, r"pos_att_type is 'c2p', expected c2p\|p2c where attention is relative"),
        ({"pos_att_type": ["c2p", 3]}, r"pos_att_type is 'c2p\|3'"),
        ({"pos_att_type": 7}, "pos_att_type is 7, "),
        ({"norm_rel_ebd": "batch_norm"}, "norm_rel_ebd is 'batch_norm', expected 'none' or 'layer_norm'"),
        ({"position_buckets": 2.5}, "position_buckets is 2.5, expected a whole number from -1 to"),
        ({"position_buckets": 7}, "position_buckets is 7, expected an even number from 4"),
        ({"position_buckets": 1022}, "less than twice the largest distance, 511"),
        ({"position_buckets": 40, "max_relative_positions": 21}, "less than twice the largest distance, 20"),
        ({"max_relative_positions": 2**15 + 1}, "max_relative_positions is 32769"),
        ({"position_biased_input": 1}, "position_biased_input is 1, expected true or false"),
    ],
)
def test_what_cannot_be(changes, fault):
    with pytest.raises(CheckpointError, match=fault):
        read(**changes)


@pytest.mark.parametrize("field", [{"conv_kernel_size": 3}, {"legacy": False}, {"attention_head_size": 32}])
def test_what_is_not_followed_is_refused_by_name(field):
    with pytest.raises(UnsupportedModelError, match=next(iter(field))):
        check_fields({**V3_SMALL, **field}, config_fields("deberta-v2"), where="config.json")


def test_heads_of_pretraining_are_left_out():
    for name in ("lm_predictions.lm_head.dense.weight", "mask_predictions.classifier.weight"):
        assert FAMILY.canonical_name(name) == f"unused.{name}"
    assert FAMILY.canonical_name("deberta.encoder.layer.0.attention.self.key_proj.bias").endswith("self.key.bias")
