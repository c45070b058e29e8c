"""BertConfig: what it reads from a config.json, and what it refuses."""

from __future__ import annotations

import pytest

from edgebert.config import BertConfig
from edgebert.errors import CheckpointError


def test_an_empty_config_is_bert_base():
    config = BertConfig.from_dict({})
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (30522, 768, 12)
    assert (config.head_dim, config.activation, config.layer_norm_eps) == (64, "erf", 1e-12)


def test_fields_are_read_and_the_rest_is_ignored():
    config = BertConfig.from_dict(
        {"hidden_size": 36, "num_attention_heads": 3, "hidden_act": "gelu_new", "torch_dtype": "float16"}
    )
    assert (config.hidden_size, config.head_dim, config.activation) == (36, 12, "tanh")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *((name, "erf") for name in ("gelu", "gelu_python")),
        *(
            (name, "tanh")
            for name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate")
        ),
        *(("relu", "relu"), ("silu", "silu"), ("swish", "silu"), ("quick_gelu", "quick")),
    ],
)
def test_spellings_of_activations(name, form):
    config = BertConfig.from_dict({"hidden_act": name, "pooler_act": name, "transform_act": name})
    assert config.activation == form


def test_null_means_the_default():
    values = {"pad_token_id": None, "hidden_act": None, "position_embedding_type": None}
    assert BertConfig.from_dict(values) == BertConfig()


def test_to_dict_is_read_back():
    config = BertConfig(hidden_size=48, num_attention_heads=4, layer_norm_eps=1e-5)
    assert BertConfig.from_dict(config.to_dict()) == config


def test_padding_has_a_row_of_its_own_where_positions_follow_it():
    config = BertConfig(pad_token_id=1, max_position_embeddings=32)
    assert (config.padding, config.position_rows) == (None, 32)
    config = BertConfig(pad_token_id=0, max_position_embeddings=32, positions_follow_padding=True)
    assert (config.padding, config.position_rows) == (0, 33)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vocab_size": 0}, "vocab_size is 0, expected a whole number from 1 to 2147483647"),
        ({"hidden_size": "768"}, "hidden_size is '768'"),
        (
            {"max_position_embeddings": 133_145},
            "max_position_embeddings is 133145, expected a whole number from 1 to 133144",
        ),
        ({"relative_attention_num_buckets": 32.0}, "relative_attention_num_buckets is 32.0"),
        ({"pad_token_id": 2**31}, "pad_token_id is 2147483648"),
        ({"hidden_size": 10**12}, "hidden_size is 1000000000000, expected a whole number from 1 to 65536"),
        ({"num_hidden_layers": 2**30}, "num_hidden_layers is 1073741824"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"intermediate_size": 3072.0}, "intermediate_size is 3072.0"),
        ({"hidden_act": "relu6"}, "hidden_act is 'relu6', expected one of gelu, gelu_python"),
        ({"hidden_act": ["gelu"]}, "hidden_act is ['gelu']"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps is '1e-12'"),
        ({"pad_token_id": -1}, "pad_token_id is -1"),
        ({"embedding_size": -1}, "embedding_size is -1, expected a whole number from 0 to 65536"),
        ({"embedding_size": 2**16 + 1}, "embedding_size is 65537"),
        ({"embedding_size": True}, "embedding_size is True"),
        ({"relative_attention_num_buckets": 2}, "relative_attention_num_buckets is 2, expected 0, or an even number"),
        ({"relative_attention_num_buckets": 33}, "relative_attention_num_buckets is 33"),
        ({"relative_attention_num_buckets": 512}, "relative_attention_num_buckets is 512"),
        ({"pooler_act": "relu6"}, "pooler_act is 'relu6', expected one of tanh, gelu"),
        ({"transform_act": "tanh"}, "transform_act is 'tanh', expected one of gelu"),
        ({"model_type": 3}, "model_type is 3, expected a name"),
        ({"positions_follow_padding": 1}, "positions_follow_padding is 1, expected true or false"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "bidirectional encoder"),
        ({"add_cross_attention": True}, "bidirectional encoder"),
        ({"num_attention_heads": 5}, "hidden_size 768 does not divide into 5 attention heads"),
    ],
)
def test_what_cannot_be_used_is_named(values, message):
    with pytest.raises(CheckpointError) as error:
        BertConfig.from_dict(values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"embedding_size": 0},
        {"embedding_size": 2**16},
        {"relative_attention_num_buckets": 4},
        {"relative_attention_num_buckets": 510},
        {"hidden_size": 2**16, "num_attention_heads": 2**16},
        {"pooler_act": "tanh", "transform_act": ""},
        {"layer_norm_eps": 0.999, "pad_token_id": 0},
        {"num_hidden_layers": 1000, "vocab_size": 2**31 - 1, "intermediate_size": 2**20},
    ],
)
def test_the_last_values_that_can_be_used(values):
    config = BertConfig.from_dict(values).to_dict()
    assert {name: config[name] for name in values} == values


def test_every_fault_is_named_at_once():
    with pytest.raises(CheckpointError) as error:
        BertConfig.from_dict({"vocab_size": -1, "hidden_act": "mish", "type_vocab_size": None, "hidden_size": 0})
    message = str(error.value)
    assert "vocab_size is -1" in message
    assert "hidden_act is 'mish'" in message
    assert "hidden_size is 0" in message
    assert "type_vocab_size" not in message
