"""ModernBERT (arXiv 2412.13663): rotary positions, windows in most layers, gated GELU, LayerNorms before, no biases."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Attention, Embeddings, Encoder, FeedForward, Layer, Linear, Norm, Rotary, Table
from edgebert.config import BertConfig
from edgebert.families.family import Family
from edgebert.families.rules import honoured, without_effect

__all__ = ["FAMILY", "ModernBertConfig"]

_BIASES = ("attention_bias", "mlp_bias", "norm_bias", "classifier_bias", "decoder_bias")


@dataclasses.dataclass(frozen=True)
class ModernBertConfig(BertConfig):
    """Every ``global_attn_every_n_layers``-th layer sees all tokens, the others ``local_attention`` around each."""

    global_attn_every_n_layers: int = 3
    local_attention: int = 128
    global_rope_theta: float = 160000.0
    local_rope_theta: float = 10000.0
    attention_bias: bool = False
    mlp_bias: bool = False
    norm_bias: bool = False
    classifier_bias: bool = False
    decoder_bias: bool = True
    classifier_pooling: str = "cls"

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults = [
            f"{name} is {values[name]!r}, expected true or false" for name in _BIASES if type(values[name]) is not bool
        ]
        for name, least in (("global_attn_every_n_layers", 1), ("local_attention", 2)):
            if type(values[name]) is not int or not least <= values[name] <= 2**20:
                faults.append(f"{name} is {values[name]!r}, expected a whole number from {least} to {2**20}")
        for name in ("global_rope_theta", "local_rope_theta"):
            if type(values[name]) not in (int, float) or not 1 < values[name] <= 1e12:
                faults.append(f"{name} is {values[name]!r}, expected a number above 1, at most 1e12")
        if values["classifier_pooling"] not in ("cls", "mean"):
            faults.append(f"classifier_pooling is {values['classifier_pooling']!r}, expected 'cls' or 'mean'")
        if values["hidden_size"] // values["num_attention_heads"] % 2:
            faults.append(
                f"hidden_size {values['hidden_size']} in {values['num_attention_heads']} attention heads gives each an"
                " odd number of values, expected an even one, which are turned in pairs"
            )
        return faults


def encoder(config: ModernBertConfig) -> Encoder:
    """Return the parts of its encoder."""
    H = config.hidden_size
    return Encoder(
        embeddings=Embeddings(
            words=Table("embeddings.word_embeddings", config.vocab_size, H),
            positions=None,
            token_types=None,
            norm=_norm("embeddings.LayerNorm", config),
        ),
        layers=tuple(_layer(i, config) for i in range(config.num_hidden_layers)),
        hidden_size=H,
        longest=config.max_position_embeddings,
        final_norm=_norm("encoder.final_norm", config),
    )


def _layer(i: int, config: ModernBertConfig) -> Layer:
    H, I = config.hidden_size, config.intermediate_size  # noqa: E741 (the field's own name)
    name, is_global = f"encoder.layer.{i}", i % config.global_attn_every_n_layers == 0
    query_key_value = Linear(f"{name}.attention.self.query_key_value", 3 * H, H, bias=config.attention_bias)
    return Layer(
        attention=Attention(
            heads=config.num_attention_heads,
            head_dim=config.head_dim,
            query_key_value=query_key_value,
            output=Linear(f"{name}.attention.output.dense", H, H, bias=config.attention_bias),
            rotary=Rotary(float(config.global_rope_theta if is_global else config.local_rope_theta)),
            window=0 if is_global else config.local_attention // 2,
        ),
        attention_norm=_norm(f"{name}.attention.LayerNorm", config) if i else None,
        feed_forward=FeedForward(
            intermediate=Linear(f"{name}.intermediate.dense", 2 * I, H, bias=config.mlp_bias),
            activation=config.activation,
            output=Linear(f"{name}.output.dense", H, I, bias=config.mlp_bias),
            factor=f"{name}.intermediate.factor",
            gated=True,
        ),
        feed_forward_norm=_norm(f"{name}.intermediate.LayerNorm", config),
    )


def _norm(name: str, config: ModernBertConfig) -> Norm:
    return Norm(name, config.hidden_size, config.layer_norm_eps, bias=config.norm_bias)


FAMILY = Family(
    "modernbert",
    "ModernBert",
    "model.",
    (
        (r"^embeddings\.tok_embeddings\.", "embeddings.word_embeddings."),
        (r"^embeddings\.norm\.", "embeddings.LayerNorm."),
        (r"^final_norm\.", "encoder.final_norm."),
        (r"^layers\.", "encoder.layer."),
        (r"\.attn_norm\.", ".attention.LayerNorm."),
        (r"\.attn\.Wqkv\.", ".attention.self.query_key_value."),
        (r"\.attn\.Wo\.", ".attention.output.dense."),
        (r"\.mlp_norm\.", ".intermediate.LayerNorm."),
        (r"\.mlp\.Wi\.", ".intermediate.dense."),
        (r"\.mlp\.Wo\.", ".output.dense."),
    ),
    encoder,
    fields={"hidden_act": "hidden_activation", "layer_norm_eps": "norm_eps"},
    defaults={
        "vocab_size": 50368,
        "intermediate_size": 1152,
        "num_hidden_layers": 22,
        "max_position_embeddings": 8192,
        "norm_eps": 1e-5,
        "pad_token_id": 50283,
    },
    fixed={"type_vocab_size": 1},
    token_types=False,
    tokenizer="PreTrainedTokenizer",
    rules={
        **honoured(
            "the encoder's",
            "hidden_activation norm_eps norm_bias attention_bias mlp_bias",
            "global_attn_every_n_layers local_attention global_rope_theta local_rope_theta",
        ),
        **honoured("the heads'", "classifier_bias classifier_activation classifier_pooling decoder_bias"),
        **without_effect("for training", "attention_dropout embedding_dropout mlp_dropout initializer_cutoff_factor"),
        **without_effect("of its code for GPUs", "deterministic_flash_attn reference_compile repad_logits_with_grad"),
        **without_effect("all logits are computed", "sparse_prediction sparse_pred_ignore_index"),
        **without_effect("the tokenizer has them", "bos_token_id cls_token_id eos_token_id sep_token_id"),
    },
    config=ModernBertConfig,
)
