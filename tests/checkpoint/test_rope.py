"""Rotary positions in config.json, as transformers 4 and 5 write them; the windows and heads of Qwen3 and Gemma 3."""

from __future__ import annotations

import json

import pytest

from edgebert.checkpoint.fields_models import check_fields, config_fields
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families import FAMILIES, config_of, encoder_of

SIZES = {
    "hidden_size": 24,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_hidden_layers": 4,
    "intermediate_size": 16,
    "head_dim": 10,
}
FULL, SLIDING = "full_attention", "sliding_attention"


def read(name, **values):
    """Return the attentions of the layers of a small model."""
    config = FAMILIES[name].read_config({"model_type": name, **SIZES, **values})
    assert config_of(json.loads(json.dumps(config.to_dict()))) == config
    return [layer.attention for layer in encoder_of(config).layers]


@pytest.mark.parametrize(
    ("fields", "base"),
    [
        ({}, 10000),
        ({"rope_theta": 1000000, "rope_scaling": None}, 1e6),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 70.5}, "rope_theta": 9}, 70.5),
        ({"rope_parameters": {"rope_type": "default"}, "rope_theta": 9}, 9),
        ({"rope_parameters": {}}, 10000),
    ],
)
def test_one_base_for_all_layers(fields, base):
    for attention in read("qwen3", **fields):
        assert (attention.rotary.base, attention.window, attention.causal) == (base, 0, True)
        assert (attention.slots, attention.head_dim) == ((2, 1, 1), 10)


@pytest.mark.parametrize(
    ("fields", "windows", "bases"),
    [
        ({}, [4095] * 4, [10000] * 4),
        ({"sliding_window_pattern": 2, "sliding_window": 9}, [8, 0, 8, 0], [10000, 1e6, 10000, 1e6]),
        (
            {"layer_types": [FULL, SLIDING, FULL, FULL], "rope_theta": 60.0, "rope_local_base_freq": 5.0},
            [0, 4095, 0, 0],
            [60, 5, 60, 60],
        ),
        (
            {"layer_types": [FULL, SLIDING] * 2, "rope_parameters": {SLIDING: {"rope_theta": 3.0}, FULL: {}}},
            [0, 4095, 0, 4095],
            [1e6, 3, 1e6, 3],
        ),
        # Half of the window lies on either side.
        (
            {"sliding_window": 9, "use_bidirectional_attention": True, "sliding_window_pattern": 3},
            [4, 4, 0, 4],
            [10000, 10000, 1e6, 10000],
        ),
    ],
)
def test_a_base_for_each_type_of_layers(fields, windows, bases):
    attentions = read("gemma3_text", **fields)
    assert [attention.window for attention in attentions] == windows
    assert [attention.rotary.base for attention in attentions] == bases
    assert {attention.causal for attention in attentions} == {not fields.get("use_bidirectional_attention", False)}


@pytest.mark.parametrize(
    ("name", "fields", "fault"),
    [
        ("qwen3", {"rope_parameters": [3]}, r"rope_parameters \[3\], expected an object$"),
        ("qwen3", {"rope_parameters": {"rope_theta": 1}}, "rope_theta is 1, expected a number above 1"),
        ("qwen3", {"num_key_value_heads": 3}, "num_key_value_heads is 3, expected a divisor of num_attention_heads, 2"),
        ("qwen3", {"head_dim": 7}, "head_dim is 7, expected an even number"),
        ("gemma3_text", {"rope_parameters": {"rope_theta": 5.0}}, "expected an object for sliding_attention and full_"),
        ("gemma3_text", {"rope_local_base_freq": "5"}, "rope_local_base_freq is '5', expected a number above 1"),
        ("gemma3_text", {"sliding_window": 0}, "sliding_window is 0, expected a whole number from 1"),
        ("gemma3_text", {"layer_types": [FULL]}, "layer_types is .*, expected 4 of"),
        ("gemma3_text", {"query_pre_attn_scalar": 0}, "query_pre_attn_scalar is 0, expected a number from 1e-6 to 1e6"),
        ("gemma3_text", {"use_bidirectional_attention": 1}, "use_bidirectional_attention is 1, expected true or false"),
    ],
)
def test_what_cannot_be(name, fields, fault):
    with pytest.raises(CheckpointError, match=fault):
        read(name, **fields)


@pytest.mark.parametrize(
    ("name", "fields", "fault"),
    [
        ("qwen3", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_theta alone"),
        ("gemma3_text", {"rope_parameters": {FULL: {"rope_type": "linear", "factor": 8}}}, "for full_attention; "),
    ],
)
def test_positions_that_are_stretched(name, fields, fault):
    with pytest.raises(UnsupportedModelError, match=fault):
        read(name, **fields)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("qwen3", {"use_sliding_window": True}),
        ("qwen3", {"rope_scaling": {"type": "yarn", "factor": 4.0}}),
        ("gemma3_text", {"final_logit_softcapping": 30.0}),
        ("gemma3_text", {"attn_logit_softcapping": 30.0}),
    ],
)
def test_what_is_not_followed_is_refused_by_name(name, fields):
    with pytest.raises(UnsupportedModelError, match=next(iter(fields))):
        check_fields(fields, config_fields(name), where="config.json")


BERT_SIZES = {name: SIZES[name] for name in ("hidden_size", "num_attention_heads", "num_hidden_layers")}
GPT2 = {"n_embd": 24, "n_head": 2, "n_layer": 4, "n_inner": 16, "n_positions": 8192, "rotary_emb_base": 70.0}


def config_by(name, **values):
    """Return a config, read back from what a file has of it."""
    config = FAMILIES[name].read_config({"model_type": name, **values})
    assert config_of(json.loads(json.dumps(config.to_dict()))) == config
    return config


def test_nomic_by_either_s_names():
    by_gpt2 = config_by("nomic_bert", **GPT2, activation_function="geglu", layer_norm_epsilon=0.5)
    by_bert = config_by(
        "nomic_bert",
        **BERT_SIZES,
        intermediate_size=16,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 70.0},
        hidden_act="gelu",
        layer_norm_eps=0.5,
        head_dim=12,
    )
    assert by_gpt2 == by_bert
    with pytest.raises(CheckpointError, match="n_embd 24 and hidden_size 48, expected one of them"):
        config_by("nomic_bert", **GPT2, hidden_size=48)
    with pytest.raises(UnsupportedModelError, match="activation_function 'gelu'; edgebert runs those with gates"):
        config_by("nomic_bert", **GPT2, activation_function="gelu")
    with pytest.raises(UnsupportedModelError, match="head_dim 8, expected hidden_size / num_attention_heads, 12"):
        config_by("nomic_bert", **BERT_SIZES, head_dim=8)


@pytest.mark.parametrize(
    ("fields", "longest"),
    [
        ({}, 8192),
        ({"rotary_scaling_factor": 2}, 2048),
        ({"rotary_scaling_factor": 2, "max_trained_positions": 512}, 512),
        ({"max_trained_positions": 512}, 8192),
    ],
)
def test_texts_end_where_nomic_would_stretch_positions(fields, longest):
    assert config_by("nomic_bert", **GPT2, **fields).max_position_embeddings == longest


def test_positions_of_alibaba_s_models_are_stretched():
    plain, stretched = (
        config_by("new", **BERT_SIZES, rope_theta=50.0, rope_scaling=each)
        for each in (None, {"type": "ntk", "factor": 4.0})
    )
    (before, *_), (after, *_) = (encoder_of(config).layers for config in (plain, stretched))
    assert before.attention.rotary == (50.0, 1.0)
    assert after.attention.rotary == (200.0, 4.0 ** (1 / 6))
    assert encoder_of(plain).embeddings.token_types
    assert not encoder_of(config_by("new", **BERT_SIZES, type_vocab_size=0)).embeddings.token_types
    for fault in ({"type": "dynamic", "factor": 2.0}, {"type": "ntk", "factor": 2.0, "mixed_b": 0.6}):
        with pytest.raises(UnsupportedModelError, match="of the type 'ntk' by a factor"):
            config_by("new", **BERT_SIZES, rope_scaling=fault)
    with pytest.raises(CheckpointError, match=r"rope_scaling has the factor 0\.5, expected a number from 1"):
        config_by("new", **BERT_SIZES, rope_scaling={"type": "ntk", "factor": 0.5})
    with pytest.raises(CheckpointError, match="expected an even one, which are turned in pairs"):
        config_by("new", **{**BERT_SIZES, "num_attention_heads": 8})
