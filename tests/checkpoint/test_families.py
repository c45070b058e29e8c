"""What a config.json that leaves fields out means: the defaults of its family, as transformers 5.24 has them."""

from __future__ import annotations

import json

import pytest

from edgebert.checkpoint.fields_models import check_fields, config_fields
from edgebert.errors import CheckpointError, UnsupportedModelError
from edgebert.families import FAMILIES, config_of, encoder_of, family_of

BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "embedding_size": 0,
    "relative_attention_num_buckets": 0,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "pooler_act": "tanh",
    "transform_act": "",
    "vocab_size": 30522,
    "pad_token_id": 0,
    "positions_follow_padding": False,
}
# Of 512 rows of position embeddings, the padding takes the second, and none the first.
ROBERTA = {"transform_act": "gelu", "pad_token_id": 1, "positions_follow_padding": True, "max_position_embeddings": 510}
OWN = {
    "bert": {},
    "distilbert": {"num_hidden_layers": 6, "type_vocab_size": 1, "pooler_act": "relu"},
    "roberta": {**ROBERTA, "vocab_size": 50265},
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "electra": {
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "embedding_size": 128,
        "pooler_act": "gelu",
        "transform_act": "gelu",
    },
    "mpnet": {**ROBERTA, "vocab_size": 30527, "type_vocab_size": 1, "relative_attention_num_buckets": 32},
    "albert": {
        "vocab_size": 30000,
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
        "embedding_size": 128,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
    },
    "modernbert": {
        "vocab_size": 50368,
        "num_hidden_layers": 22,
        "intermediate_size": 1152,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 8192,
        "type_vocab_size": 1,
        "transform_act": "gelu",
        "pad_token_id": 50283,
        "global_attn_every_n_layers": 3,
        "local_attention": 128,
        "layer_types": (),
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "norm_bias": False,
        "classifier_bias": False,
        "decoder_bias": True,
        "classifier_pooling": "cls",
    },
    "ernie": {},
    "data2vec-text": ROBERTA,
    "roberta-prelayernorm": {**ROBERTA, "vocab_size": 50265},
    "xlm-roberta-xl": {
        **ROBERTA,
        "vocab_size": 250880,
        "hidden_size": 2560,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "intermediate_size": 10240,
        "max_position_embeddings": 512,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    },
    "qwen3": {
        "vocab_size": 151936,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "intermediate_size": 22016,
        "hidden_act": "silu",
        "layer_norm_eps": 1e-6,
        "max_position_embeddings": 32768,
        "type_vocab_size": 1,
        "num_key_value_heads": 32,
        "head_size": 128,
        "rope_theta": 10000.0,
        "attention_bias": False,
    },
    "gemma3_text": {
        "vocab_size": 262208,
        "hidden_size": 2304,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "intermediate_size": 9216,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-6,
        "max_position_embeddings": 131072,
        "type_vocab_size": 1,
        "num_key_value_heads": 4,
        "head_size": 256,
        "rope_theta": 1000000.0,
        "attention_bias": False,
        "rope_local_base_freq": 10000.0,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "layer_types": (*(["sliding_attention"] * 5 + ["full_attention"]) * 4, *["sliding_attention"] * 2),
        "use_bidirectional_attention": False,
    },
    "eurobert": {
        "vocab_size": 128256,
        "hidden_act": "silu",
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 8192,
        "type_vocab_size": 1,
        "num_key_value_heads": 0,
        "head_size": 0,
        "rope_theta": 10000.0,
        "attention_bias": False,
    },
    "nomic_bert": {
        "vocab_size": 30528,
        "hidden_act": "silu",
        "max_position_embeddings": 2048,
        "rope_theta": 1000.0,
    },
    "new": {
        "vocab_size": 30528,
        "max_position_embeddings": 2048,
        "type_vocab_size": 1,
        "rope_theta": 10000.0,
        "rope_factor": 1.0,
        "has_types": True,
    },
    "jina_bert": {"transform_act": "gelu"},
    "deberta-v2": {
        "vocab_size": 128100,
        "hidden_size": 1536,
        "num_hidden_layers": 24,
        "num_attention_heads": 24,
        "intermediate_size": 6144,
        "layer_norm_eps": 1e-7,
        "type_vocab_size": 1,
        "pooler_act": "gelu",
        "position_buckets": -1,
        "max_relative_positions": -1,
        "norm_rel_ebd": "none",
        "position_biased_input": True,
        "relative_attention": False,
        "share_att_key": False,
        "pos_att_type": "",
        "has_types": False,
    },
    "esm": {
        "vocab_size": 33,
        "pad_token_id": 1,
        "max_position_embeddings": 1026,
        "type_vocab_size": 1,
        "transform_act": "gelu",
        "rope_theta": 10000.0,
        "token_dropout": True,
        "emb_layer_norm_before": False,
        "mask_token_id": 32,
    },
}
"""Family -> what differs from BERT."""
NEEDED = {"esm": {"position_embedding_type": "rotary"}}
"""Family -> without which its config.json is refused."""


def read(**values):
    values = {**NEEDED.get(values["model_type"], {}), **values}
    """Return what a config.json with these fields says."""
    return family_of(values, source="it").read_config(values).to_dict()


def test_every_family_is_here():
    assert set(OWN) == set(FAMILIES)


@pytest.mark.parametrize("name", OWN)
def test_a_config_that_says_nothing(name):
    assert read(model_type=name) == {"model_type": name, **BASE, **OWN[name]}


@pytest.mark.parametrize("name", OWN)
def test_what_only_other_families_have_is_not_read(name):
    """Nor what no config.json says at all: what stands behind a dense layer of a head."""
    foreign = {
        "embedding_size": 64,
        "relative_attention_num_buckets": 16,
        "pooler_act": "silu",
        "transform_act": "silu",
    }
    own = {"mpnet": {"relative_attention_num_buckets": 16}}.get(name, {})
    if name in ("electra", "albert"):
        own = {"embedding_size": 64}
    assert read(model_type=name, **foreign) == {"model_type": name, **BASE, **OWN[name], **own}


@pytest.mark.parametrize(("padding", "rows", "longest"), [(0, 100, 99), (1, 100, 98), (7, 514, 506)])
def test_how_many_positions_are_left_behind_the_padding(padding, rows, longest):
    found = read(model_type="roberta", pad_token_id=padding, max_position_embeddings=rows)
    assert (found["max_position_embeddings"], found["pad_token_id"]) == (longest, padding)


def test_the_padding_of_mpnet_is_the_second_row_whatever_it_says():
    found = read(model_type="mpnet", pad_token_id=5, max_position_embeddings=514)
    assert (found["pad_token_id"], found["max_position_embeddings"]) == (1, 512)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("distilbert", "hidden_act", "relu"),
        ("distilbert", "intermediate_size", 64),
        ("distilbert", "type_vocab_size", 3),
        ("distilbert", "layer_norm_eps", 0.5),
        ("mpnet", "type_vocab_size", 3),
        ("electra", "generator_size", 0.25),
        ("modernbert", "hidden_act", "relu"),
        ("modernbert", "layer_norm_eps", 0.5),
        ("modernbert", "type_vocab_size", 3),
        ("modernbert", "position_embedding_type", "sans_pos"),
        ("modernbert", "sparse_prediction", True),
    ],
)
def test_what_a_family_does_not_read_changes_nothing_and_is_no_unknown_field(name, field, value):
    assert read(model_type=name, **{field: value}) == {"model_type": name, **BASE, **OWN[name]}
    assert check_fields({field: value}, config_fields(name), where="it") == []


def test_embeddings_as_wide_as_the_encoder_are_not_projected():
    assert read(model_type="electra", embedding_size=256)["embedding_size"] == 0


def albert(**values):
    """Return the config of a small ALBERT."""
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "embedding_size": 8}
    return family_of({"model_type": "albert"}, source="it").read_config({"model_type": "albert", **sizes, **values})


def test_albert_projects_embeddings_that_are_as_wide_as_the_encoder():
    project = encoder_of(albert()).embeddings.project
    assert (project.N, project.K) == (8, 8)


@pytest.mark.parametrize(
    ("passes", "groups", "inner", "layers"),
    [
        (3, 1, 1, ["0.0", "0.0", "0.0"]),
        (3, 2, 1, ["0.0", "0.0", "1.0"]),
        (2, 2, 2, ["0.0", "0.1", "1.0", "1.1"]),
        (2, 1, 2, ["0.0", "0.1", "0.0", "0.1"]),
        (5, 3, 1, ["0.0", "0.0", "1.0", "1.0", "2.0"]),
    ],
)
def test_which_layers_of_albert_follow_each_other(passes, groups, inner, layers):
    """As int(i / (num_hidden_layers / num_hidden_groups)) says in transformers, each time with all of its layers."""
    config = albert(num_hidden_layers=passes, num_hidden_groups=groups, inner_group_num=inner)
    encoder = encoder_of(config)
    found = [layer.attention.output.name for layer in encoder.layers]
    assert found == [f"encoder.layer.{layer}.attention.output.dense" for layer in layers]
    assert len(encoder.linears()) == 1 + 4 * len(set(layers))
    assert config_of(config.to_dict()) == config


def test_the_last_layernorm_of_albert_is_its_own_in_the_file_alone():
    """What the others make is divided by the smoothing of the next layer, which nothing undoes behind the last."""
    *others, last = encoder_of(albert(num_hidden_layers=3)).layers
    assert last.feed_forward_norm not in [layer.feed_forward_norm for layer in others]
    assert {layer.feed_forward_norm.stored for layer in (*others, last)} == {"encoder.layer.0.0.output.LayerNorm"}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"num_hidden_groups": 4}, "num_hidden_groups is 4, expected a whole number from 1 to 3"),
        ({"num_hidden_groups": True}, "num_hidden_groups is True, expected a whole number from 1 to 3"),
        ({"inner_group_num": 0}, "inner_group_num is 0, expected a whole number from 1 to 333"),
        ({"inner_group_num": 334, "num_hidden_groups": 0}, "from 1 to 3, its layers; inner_group_num is 334"),
        ({"num_hidden_layers": 0, "inner_group_num": 0}, "num_hidden_layers is 0, expected a whole number from 1"),
    ],
)
def test_groups_that_cannot_be(fields, fault):
    with pytest.raises(CheckpointError, match=fault):
        albert(**{"num_hidden_layers": 3, **fields})


def modernbert(**values):
    """Return the config of a small ModernBERT."""
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 4, "intermediate_size": 16}
    return FAMILIES["modernbert"].read_config({"model_type": "modernbert", **sizes, **values})


ROPE = {"rope_type": "default"}
FULL, SLIDING = "full_attention", "sliding_attention"


@pytest.mark.parametrize(
    ("fields", "windows", "bases"),
    [
        ({}, [0, 64, 64, 0], [160000, 10000]),
        ({"global_attn_every_n_layers": 2, "local_attention": 21}, [0, 10, 0, 10], [160000, 10000]),
        ({"global_rope_theta": 300, "local_rope_theta": 20.5}, [0, 64, 64, 0], [300, 20.5]),
        (
            {"layer_types": [FULL, FULL, SLIDING, FULL], "global_attn_every_n_layers": 2},
            [0, 0, 64, 0],
            [160000, 10000],
        ),
        (
            {"rope_parameters": {SLIDING: {**ROPE, "rope_theta": 7}, FULL: ROPE}, "local_rope_theta": 6},
            [0, 64, 64, 0],
            [160000, 7],
        ),
        ({"rope_parameters": {FULL: {"rope_theta": 9}}, "local_rope_theta": 6}, [0, 64, 64, 0], [9, 6]),
        ({"rope_parameters": {}, "layer_types": None, "rope_scaling": None}, [0, 64, 64, 0], [160000, 10000]),
    ],
)
def test_windows_and_rotations_of_modernbert(fields, windows, bases):
    """As transformers 4 says it, and as 5 does: layer by layer, and by type of layer."""
    config = modernbert(**fields)
    attentions = [layer.attention for layer in encoder_of(config).layers]
    assert [attention.window for attention in attentions] == windows
    assert [attention.rotary.base for attention in attentions] == [bases[bool(window)] for window in windows]
    assert config_of(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"layer_types": [FULL]}, "layer_types is .*, expected 'full_attention' or .* for each of 4 layers"),
        ({"layer_types": [FULL] * 3 + ["chunked"]}, "layer_types is .*'chunked'"),
        ({"layer_types": {FULL: 4}}, "layer_types is {'full_attention': 4}, expected"),
        ({"layer_types": [FULL] * 3 + [[]]}, "layer_types is "),
        (
            {"rope_parameters": [1]},
            r"rope_parameters \[1\], expected an object for full_attention and sliding_attention",
        ),
        ({"rope_parameters": {"rope_theta": 5.0}}, "rope_parameters .*, expected an object for"),
        ({"rope_parameters": {FULL: {"rope_theta": "5"}}}, "global_rope_theta is '5', expected a number above 1"),
        ({"rope_parameters": {SLIDING: {**ROPE, "rope_theta": 0}}}, "local_rope_theta is 0, expected a number above 1"),
        (
            {"rope_parameters": {FULL: {"rope_type": "yarn", "factor": 4}}},
            "edgebert turns positions by rope_theta alone",
        ),
        ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers is 0"),
        ({"local_attention": 1}, "local_attention is 1"),
        ({"norm_bias": 1}, "norm_bias is 1, expected true or false"),
        ({"classifier_pooling": "max"}, "classifier_pooling is 'max', expected 'cls' or 'mean'"),
        ({"classifier_activation": "mish"}, "transform_act is 'mish'"),
        ({"num_attention_heads": 8}, "gives each an odd number of values, expected an even one"),
    ],
)
def test_modernberts_that_cannot_be(fields, fault):
    with pytest.raises(CheckpointError, match=fault):
        modernbert(**fields)


def test_a_size_that_is_null_is_not_given():
    assert read(model_type="distilbert", n_heads=None, num_attention_heads=3)["num_attention_heads"] == 3


def test_a_bert_whose_scores_fall_with_the_distance_is_jina_s():
    values = {"model_type": "bert", "position_embedding_type": "alibi", "hidden_size": 60, "num_attention_heads": 5}
    family = family_of(values, source="it")
    assert family.model_type == "jina_bert"
    config = family.read_config({**values, "feed_forward_type": "reglu", "hidden_act": "gelu"})
    assert config_of(json.loads(json.dumps(config.to_dict()))) == config
    assert (config.hidden_act, config.transform_act) == ("relu", "gelu")
    encoder = encoder_of(config)
    assert encoder.embeddings.positions is None
    assert {layer.attention.slopes for layer in encoder.layers} == {(2**-2, 2**-4, 2**-6, 2**-8, 2**-1)}
    for name, gates in (("original", "geglu and reglu"), (["geglu"], r"\['geglu'\]")):
        with pytest.raises(UnsupportedModelError, match=gates):
            family.read_config({**values, "feed_forward_type": name})
