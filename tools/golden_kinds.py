"""The tiny models that `make_golden_kinds` makes: what is unusual about each."""

from __future__ import annotations

from typing import Any, NamedTuple

LAYOUT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
POSITIONS = 40
WORDS_KEPT = 2
"""Tokens of each sequence whose logits are kept."""
SPREAD = 0.25
"""Standard deviation of the weights: an activation then reaches well beyond the bend at 0."""
SMALLER = 0.15
"""Of models whose layers would otherwise make a little noise a lot: gates and sharp attention, one behind the other."""


class Kind(NamedTuple):
    """A model to make: its class, where its tokenizer comes from, its config, the ids that it is asked.

    ``hub`` is the ``model_type`` whose config.json it gets, where the class was another's code before it was one of
    transformers. With several token types, a third of each sequence has the first, a third the second, and so on.
    """

    model: str
    tokenizer: str
    config: dict[str, Any]
    ids: list[list[int]]
    types: int = 1
    hub: str = ""
    spread: float = SPREAD


PADDED = [[0, 20, 1, 30, 1, 1, 40, 2], [1, 1, 1], [0, 50, 60, 2, 2, 7, 5, 1], [0, 1, 21, 22, 5, 2]]
PLAIN = [[2, 20, 30, 40, 50, 3], [2, 3], [2, *range(5, 35), 3]]
LONG = [[0, *(5 + 7 * i % 50 for i in range(147)), 2], [0, 9, 8, 7, 2]]
TAGS = ["I-LOC", "B-PER", "O", "B-LOC", "I-PER"]
TURNED = {
    "full_attention": {"rope_type": "default", "rope_theta": 400.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
}
ONE_BASE = {"rope_parameters": {"rope_type": "default", "rope_theta": 90.0}}
STRETCHED = 3.0
ALIBI = {"position_embedding_type": "alibi", "emb_pooler": "mean", "tie_word_embeddings": False}
HUB = {
    "nomic_bert": {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_position_embeddings": "n_positions",
        "layer_norm_eps": "layer_norm_epsilon",
    },
    "new": {},
}
"""``model_type`` -> how its config.json calls what transformers calls otherwise."""
STARS = ["two", "four", "one", "three"]


def labelled(names: list[str]) -> dict[str, Any]:
    """Return what a config says of labels."""
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


KINDS = {
    # The padding in places where no padding is.
    "roberta-padding": Kind("RobertaModel", "roberta-token", {"pad_token_id": 1}, PADDED),
    # Every text begins with the token that the config takes for padding.
    "xlm-roberta-padding": Kind("XLMRobertaModel", "xlm-roberta-token", {"pad_token_id": 0}, PADDED),
    # MPNet's padding is 1, whatever the config says.
    "mpnet-padding": Kind("MPNetModel", "mpnet-token", {"pad_token_id": 5}, PADDED),
    "bert-relu": Kind("BertForMaskedLM", "bert-masked", {"hidden_act": "relu"}, PLAIN),
    "bert-silu": Kind("BertForMaskedLM", "bert-masked", {"hidden_act": "silu"}, PLAIN),
    "bert-odd": Kind(
        "BertForPreTraining",
        "bert-pretraining",
        {"hidden_size": 36, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 56}
        | {"hidden_act": "gelu_new", "layer_norm_eps": 0.5, "type_vocab_size": 3, "pad_token_id": 7}
        | {"max_position_embeddings": 33},
        PLAIN,
        3,
    ),
    # The transform before its decoder has GELU, whatever the layers have.
    "electra-odd": Kind(
        "ElectraForMaskedLM",
        "electra-masked",
        {"hidden_size": 40, "num_hidden_layers": 1, "num_attention_heads": 5, "intermediate_size": 72}
        | {"hidden_act": "relu", "layer_norm_eps": 0.3, "type_vocab_size": 4, "pad_token_id": 6}
        | {"max_position_embeddings": 35, "embedding_size": 20},
        PLAIN,
        4,
    ),
    # Longer than the distances that have buckets of their own.
    "mpnet-odd": Kind(
        "MPNetForTokenClassification",
        "mpnet-token",
        {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 6, "intermediate_size": 88}
        | {"layer_norm_eps": 0.2, "max_position_embeddings": 160}
        | labelled(TAGS),
        LONG,
    ),
    "xlm-roberta-odd": Kind(
        "XLMRobertaForSequenceClassification",
        "xlm-roberta-classifier",
        {"hidden_size": 28, "num_hidden_layers": 2, "num_attention_heads": 7, "intermediate_size": 104}
        | {"layer_norm_eps": 0.4, "type_vocab_size": 2, "pad_token_id": 5, "max_position_embeddings": 44}
        | {"problem_type": "multi_label_classification"}
        | labelled(STARS),
        [[0, 20, 30, 40, 2], [0, 50, 60, 2, 2, 7, 5, 5, 8, 2], [0, *range(6, 36), 2]],
        2,
    ),
    # Of its three passes two go through the first group, each through two layers; embeddings of the encoder's width.
    "albert-odd": Kind(
        "AlbertForMaskedLM",
        "albert-masked",
        {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 56}
        | {"num_hidden_groups": 2, "inner_group_num": 2, "embedding_size": 32, "hidden_act": "relu"}
        | {"layer_norm_eps": 0.25, "type_vocab_size": 3, "pad_token_id": 7, "max_position_embeddings": 37},
        PLAIN,
        3,
    ),
    # Biases everywhere, and layers in an order that no number tells; each half of a head fills no vector.
    "modernbert-odd": Kind(
        "ModernBertForSequenceClassification",
        "modernbert-classifier",
        {"hidden_size": 36, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 28}
        | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"]}
        | {"local_attention": 14, "hidden_activation": "relu", "classifier_activation": "silu", "norm_eps": 0.2}
        | {"rope_parameters": TURNED, "classifier_pooling": "mean", "pad_token_id": 7, "max_position_embeddings": 170}
        | dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), True)
        | labelled(STARS),
        LONG,
    ),
    "modernbert-untied": Kind(
        "ModernBertForMaskedLM",
        "modernbert-masked",
        {"hidden_size": 28, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 30}
        | {"global_attn_every_n_layers": 2, "local_attention": 22, "hidden_activation": "silu", "norm_eps": 0.1}
        | {"classifier_activation": "relu", "decoder_bias": False, "tie_word_embeddings": False}
        | {"rope_parameters": TURNED, "pad_token_id": 3, "max_position_embeddings": 160},
        LONG,
    ),
    # Heads whose width is not the hidden size's share, and of which three have a key and a value together.
    "qwen3-shared": Kind(
        "Qwen3Model",
        "modernbert-masked",
        {"hidden_size": 64, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 12}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "max_position_embeddings": 160}
        | {"rms_norm_eps": 0.2, "intermediate_size": 96},
        LONG,
    ),
    # One key for all heads, and biases; each half of a head fills a vector and a bit.
    "qwen3-odd": Kind(
        "Qwen3Model",
        "modernbert-masked",
        {"hidden_size": 36, "num_hidden_layers": 3, "num_attention_heads": 3, "num_key_value_heads": 1}
        | {"head_dim": 36, "intermediate_size": 52, "hidden_act": "gelu", "attention_bias": True}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 40.0}, "max_position_embeddings": 170}
        | {"rms_norm_eps": 0.3},
        LONG,
    ),
    "gemma3-causal": Kind(
        "Gemma3TextModel",
        "modernbert-masked",
        {"hidden_size": 36, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
        | {"head_dim": 14, "intermediate_size": 48, "sliding_window": 9, "query_pre_attn_scalar": 20}
        | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "rope_parameters": TURNED}
        | {"rms_norm_eps": 0.2, "max_position_embeddings": 160},
        LONG,
    ),
    # As EmbeddingGemma: every token sees those behind it too; types of layers by a pattern.
    "gemma3-bidirectional": Kind(
        "Gemma3TextModel",
        "modernbert-masked",
        {"hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 3, "num_key_value_heads": 1}
        | {"head_dim": 20, "intermediate_size": 60, "sliding_window": 14, "query_pre_attn_scalar": 12}
        | {"sliding_window_pattern": 2, "rope_parameters": TURNED, "use_bidirectional_attention": True}
        | {"attention_bias": True, "hidden_activation": "silu", "rms_norm_eps": 0.1, "max_position_embeddings": 155},
        LONG,
    ),
    # Of its four heads two have a key and a value together; with biases.
    "eurobert-shared": Kind(
        "EuroBertModel",
        "modernbert-masked",
        {"hidden_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        | {"intermediate_size": 72, "attention_bias": True, "rms_norm_eps": 0.2, "max_position_embeddings": 160}
        | {"pad_token_id": 3}
        | ONE_BASE,
        LONG,
        spread=SMALLER,
    ),
    "eurobert-token": Kind(
        "EuroBertForTokenClassification",
        "modernbert-token",
        {"hidden_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2}
        | {"intermediate_size": 52, "hidden_act": "gelu", "rms_norm_eps": 0.1, "max_position_embeddings": 150}
        | {"pad_token_id": 3}
        | ONE_BASE
        | labelled(TAGS),
        LONG,
        spread=SMALLER,
    ),
    # As transformers 5 writes it, and as the hub has it.
    "nomic-types": Kind(
        "NomicBertModel",
        "bert-masked",
        {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 64}
        | {"layer_norm_eps": 0.2, "type_vocab_size": 3, "max_position_embeddings": 60, "hidden_act": "gelu"}
        | ONE_BASE,
        PLAIN,
        3,
        spread=SMALLER,
    ),
    "nomic-hub": Kind(
        "NomicBertModel",
        "bert-masked",
        {"hidden_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 56}
        | {"layer_norm_eps": 0.1, "max_position_embeddings": 160}
        | ONE_BASE,
        LONG,
        hub="nomic_bert",
        spread=SMALLER,
    ),
    # Stretched positions; with types of tokens, and without.
    "new-types": Kind(
        "GteModel",
        "bert-masked",
        {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 64}
        | {"layer_norm_eps": 0.2, "type_vocab_size": 2, "max_position_embeddings": 70, "pad_token_id": 0}
        | ONE_BASE,
        PLAIN,
        2,
        hub="new",
        spread=SMALLER,
    ),
    "new-stretched": Kind(
        "GteModel",
        "modernbert-masked",
        {"hidden_size": 60, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 44}
        | {"layer_norm_eps": 0.1, "type_vocab_size": 0, "max_position_embeddings": 170, "hidden_act": "silu"}
        | ONE_BASE,
        LONG,
        hub="new",
        spread=SMALLER,
    ),
    "new-classifier": Kind(
        "GteForSequenceClassification",
        "bert-classifier",
        {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 40}
        | {"layer_norm_eps": 0.1, "type_vocab_size": 1, "max_position_embeddings": 160, "pad_token_id": 0}
        | ONE_BASE
        | labelled(STARS),
        LONG,
        hub="new",
        spread=SMALLER,
    ),
    "new-token": Kind(
        "GteForTokenClassification",
        "bert-token",
        {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 40}
        | {"layer_norm_eps": 0.1, "type_vocab_size": 1, "max_position_embeddings": 160, "pad_token_id": 0}
        | ONE_BASE
        | labelled(TAGS),
        LONG,
        hub="new",
        spread=SMALLER,
    ),
    "new-masked": Kind(
        "GteForMaskedLM",
        "bert-masked",
        {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 40}
        | {"layer_norm_eps": 0.1, "type_vocab_size": 1, "max_position_embeddings": 160, "pad_token_id": 0}
        | ONE_BASE,
        LONG,
        hub="new",
        spread=SMALLER,
    ),
    # Gated by GELU, or by ReLU where GELU is the transform's; heads that are no power of two; several types of tokens.
    "jina-types": Kind(
        "JinaBertModel",
        "bert-masked",
        {"hidden_size": 60, "num_hidden_layers": 3, "num_attention_heads": 5, "intermediate_size": 44}
        | {"layer_norm_eps": 0.2, "type_vocab_size": 3, "max_position_embeddings": 70}
        | {"feed_forward_type": "geglu", **ALIBI},
        PLAIN,
        3,
        spread=SMALLER,
    ),
    "jina-masked": Kind(
        "JinaBertForMaskedLM",
        "bert-masked",
        {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 64}
        | {"layer_norm_eps": 0.1, "type_vocab_size": 1, "max_position_embeddings": 160}
        | {"feed_forward_type": "reglu", **ALIBI},
        LONG,
        spread=SMALLER,
    ),
    "jina-classifier": Kind(
        "JinaBertForSequenceClassification",
        "bert-classifier",
        {"hidden_size": 40, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 56}
        | {"layer_norm_eps": 0.1, "max_position_embeddings": 160, "feed_forward_type": "geglu", **ALIBI}
        | labelled(STARS),
        LONG,
        spread=SMALLER,
    ),
    "jina-token": Kind(
        "JinaBertForTokenClassification",
        "bert-token",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
        | {"layer_norm_eps": 0.1, "max_position_embeddings": 160, "feed_forward_type": "geglu", **ALIBI}
        | labelled(TAGS),
        LONG,
        spread=SMALLER,
    ),
    # As the third version is: distances that share rows, normalised; no positions in the embeddings.
    "deberta-v2-third": Kind(
        "DebertaV2ForSequenceClassification",
        "xlm-roberta-classifier",
        {"hidden_size": 48, "num_attention_heads": 3, "max_position_embeddings": 160, "layer_norm_eps": 1e-3}
        | {"position_buckets": 8, "max_relative_positions": -1, "norm_rel_ebd": "layer_norm", "type_vocab_size": 0}
        | {"relative_attention": True, "share_att_key": True, "pos_att_type": ["p2c", "c2p"]}
        | {"position_biased_input": False, "pooler_hidden_act": "gelu", "pooler_hidden_size": 48}
        | labelled(STARS),
        LONG,
        spread=SMALLER,
    ),
    # A row for each distance up to a largest one, as they are; positions and token types in the embeddings.
    "deberta-v2-odd": Kind(
        "DebertaV2ForMaskedLM",
        "bert-masked",
        {"hidden_size": 40, "num_attention_heads": 5, "max_position_embeddings": 45, "layer_norm_eps": 0.1}
        | {"max_relative_positions": 11, "relative_attention": True, "share_att_key": True, "type_vocab_size": 3}
        | {"pos_att_type": ["c2p", "p2c"], "position_biased_input": True, "hidden_act": "silu", "pad_token_id": 7},
        PLAIN,
        3,
        spread=SMALLER,
    ),
    # Behind the last token, without a bias; and behind every token, with one.
    "qwen3-classifier": Kind(
        "Qwen3ForSequenceClassification",
        "modernbert-masked",
        {"hidden_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 14}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 70.0}, "max_position_embeddings": 160}
        | {"rms_norm_eps": 0.1, "intermediate_size": 44, "pad_token_id": 4}
        | labelled(STARS),
        LONG,
        spread=SMALLER,
    ),
    "qwen3-token": Kind(
        "Qwen3ForTokenClassification",
        "modernbert-masked",
        {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 20}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 60.0}, "max_position_embeddings": 155}
        | {"rms_norm_eps": 0.3, "intermediate_size": 52}
        | labelled(TAGS),
        LONG,
        spread=SMALLER,
    ),
    "gemma3-classifier": Kind(
        "Gemma3TextForSequenceClassification",
        "modernbert-masked",
        {"hidden_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
        | {"intermediate_size": 36, "sliding_window": 30, "query_pre_attn_scalar": 15, "rms_norm_eps": 0.2}
        | {"layer_types": ["sliding_attention", "full_attention"], "rope_parameters": TURNED}
        | {"max_position_embeddings": 165, "pad_token_id": 3}
        | labelled(STARS),
        LONG,
        spread=SMALLER,
    ),
    # A LayerNorm on the words, whose masked ones are like any other; and words weighed by the share of masked ones.
    "esm-masked": Kind(
        "EsmForMaskedLM",
        "bert-masked",
        {"hidden_size": 40, "num_attention_heads": 5, "intermediate_size": 44, "layer_norm_eps": 0.1}
        | {"position_embedding_type": "rotary", "max_position_embeddings": 120, "emb_layer_norm_before": True}
        | {"token_dropout": False, "mask_token_id": 4, "pad_token_id": 0},
        PLAIN,
        spread=0.08,
    ),
    "esm-token": Kind(
        "EsmForTokenClassification",
        "modernbert-masked",
        {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 36, "layer_norm_eps": 0.2}
        | {"position_embedding_type": "rotary", "max_position_embeddings": 160, "emb_layer_norm_before": False}
        | {"token_dropout": True, "mask_token_id": 299, "pad_token_id": 3}
        | labelled(TAGS),
        LONG,
        spread=SMALLER,
    ),
}
