"""Qwen3 (arXiv 2505.09388) as an encoder: Qwen3-Embedding and -Reranker. RMS norms, rotary positions, shared heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Attention, Embeddings, Encoder, FeedForward, Layer, Linear, Norm, Rotary, Table
from edgebert.config import BertConfig, HeadLayers, flag_faults
from edgebert.families import rope
from edgebert.families.family import Family
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY", "RENAMES", "DecoderConfig", "layer", "rms_norm"]


@dataclasses.dataclass(frozen=True)
class DecoderConfig(BertConfig):
    """Heads have a size of their own (``head_size``, 0 for what the hidden size leaves each); keys and values fewer."""

    num_key_value_heads: int = 0
    head_size: int = 0
    rope_theta: float = 10000.0
    attention_bias: bool = False

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.head_size or super().head_dim

    @property
    def head_layers(self) -> HeadLayers:
        """A classifier of texts stands right behind the last token, which has seen all the others."""
        return HeadLayers("lasttoken", pooler=False, output_bias=False)

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults = []
        heads, shared, size = (values[name] for name in ("num_attention_heads", "num_key_value_heads", "head_size"))
        if type(shared) is not int or shared < 0 or (shared and heads % shared):
            faults.append(f"num_key_value_heads is {shared!r}, expected a divisor of num_attention_heads, {heads}")
        if type(size) is not int or not 0 <= size <= 2**12 or size % 2:
            faults.append(f"head_dim is {size!r}, expected an even number up to {2**12}")
        faults += rope.base_faults(values, *(name for name in values if name.startswith("rope_")))
        return faults + flag_faults(values, "attention_bias")


def encoder(config: DecoderConfig) -> Encoder:
    """Return the parts of its encoder."""
    H = config.hidden_size
    return Encoder(
        embeddings=Embeddings(Table("embeddings.word_embeddings", config.vocab_size, H), None, None, None),
        layers=tuple(_layer(f"encoder.layer.{i}", config) for i in range(config.num_hidden_layers)),
        hidden_size=H,
        longest=config.max_position_embeddings,
        final_norm=rms_norm("encoder.final_norm", H, config),
    )


def _layer(name: str, config: DecoderConfig) -> Layer:
    result = layer(name, config, Rotary(float(config.rope_theta)))
    return result._replace(attention=result.attention._replace(causal=True))


def layer(name: str, config: DecoderConfig, rotary: Rotary) -> Layer:
    """Return a layer whose tensors' names begin with `name`."""
    H, I = config.hidden_size, config.intermediate_size  # noqa: E741 (the field's own name)
    heads, key_heads, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    sizes = tuple(count * size for count in (heads, key_heads or heads, key_heads or heads))
    parts = tuple(f"{name}.attention.self.{part}" for part in ("query", "key", "value"))
    joined = f"{name}.attention.self.query_key_value"
    return Layer(
        attention=Attention(
            heads=heads,
            head_dim=size,
            query_key_value=Linear(joined, sum(sizes), H, parts, config.attention_bias, sizes),
            output=Linear(f"{name}.attention.output.dense", H, heads * size, bias=config.attention_bias),
            rotary=rotary,
            key_value_heads=key_heads,
            query_norm=rms_norm(f"{name}.attention.self.query_norm", size, config),
            key_norm=rms_norm(f"{name}.attention.self.key_norm", size, config),
        ),
        attention_norm=rms_norm(f"{name}.attention.norm", H, config),
        feed_forward=FeedForward(
            intermediate=Linear(
                f"{name}.intermediate.dense",
                2 * I,
                H,
                (f"{name}.intermediate.gate", f"{name}.intermediate.up"),
                bias=False,
            ),
            activation=config.activation,
            output=Linear(f"{name}.output.dense", H, I, bias=False),
            factor=f"{name}.intermediate.factor",
            gated=True,
        ),
        feed_forward_norm=rms_norm(f"{name}.intermediate.norm", H, config),
    )


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return rope.read_bases(values, rope.BASES)


def rms_norm(name: str, size: int, config: DecoderConfig) -> Norm:
    """Return an RMSNorm."""
    return Norm(name, size, config.layer_norm_eps, bias=False, rms=True)


RENAMES = (
    (r"^embed_tokens\.", "embeddings.word_embeddings."),
    (r"^norm\.", "encoder.final_norm."),
    (r"^layers\.", "encoder.layer."),
    (r"^score\.", "classifier."),
    (r"\.input_layernorm\.", ".attention.norm."),
    (r"\.self_attn\.q_proj\.", ".attention.self.query."),
    (r"\.self_attn\.k_proj\.", ".attention.self.key."),
    (r"\.self_attn\.v_proj\.", ".attention.self.value."),
    (r"\.self_attn\.o_proj\.", ".attention.output.dense."),
    (r"\.self_attn\.q_norm\.", ".attention.self.query_norm."),
    (r"\.self_attn\.k_norm\.", ".attention.self.key_norm."),
    (r"\.mlp\.gate_proj\.", ".intermediate.gate."),
    (r"\.mlp\.up_proj\.", ".intermediate.up."),
    (r"\.mlp\.down_proj\.", ".output.dense."),
)
"""From the names that these families share; those of the norms round feed-forward parts are each its own."""

FAMILY = Family(
    "qwen3",
    "Qwen3",
    "model.",
    (*RENAMES, (r"\.post_attention_layernorm\.", ".intermediate.norm."), (r"^lm_head\.", "unused.lm_head.")),
    encoder,
    fields={"layer_norm_eps": "rms_norm_eps", "head_size": "head_dim"},
    defaults={
        "vocab_size": 151936,
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 32768,
    },
    fixed={"type_vocab_size": 1, "pad_token_id": 0},
    token_types=False,
    tokenizer="PreTrainedTokenizer",
    heads={"ForCausalLM": ()},
    rules={
        **honoured("the encoder's", "num_key_value_heads head_dim rms_norm_eps rope_theta attention_bias"),
        **refused("windows", "use_sliding_window", unless=(False,)),
        **rope.RULES,
        **without_effect("of windows, which are not used", "sliding_window max_window_layers layer_types"),
        **without_effect("for training", "attention_dropout"),
        **without_effect("of writing text", "use_cache bos_token_id eos_token_id"),
    },
    config=DecoderConfig,
    translate=_translate,
)
