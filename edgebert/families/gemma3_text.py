"""Gemma 3 (arXiv 2503.19786) as an encoder: EmbeddingGemma (arXiv 2509.20354). What is added is normalised, too."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebert.architecture import Embeddings, Encoder, Layer, Norm, Rotary, Table
from edgebert.config import flag_faults
from edgebert.families import qwen3, rope
from edgebert.families.family import Family
from edgebert.families.qwen3 import DecoderConfig
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY", "GemmaConfig"]

_KINDS = ("sliding_attention", "full_attention")
_BASES = {_KINDS[0]: "rope_local_base_freq", _KINDS[1]: "rope_theta"}


@dataclasses.dataclass(frozen=True)
class GemmaConfig(DecoderConfig):
    """Of ``layer_types``, those of sliding attention see ``sliding_window`` tokens, by positions of another base."""

    rope_local_base_freq: float = 10000.0
    query_pre_attn_scalar: float = 256
    sliding_window: int = 4096
    layer_types: tuple[str, ...] = ()
    use_bidirectional_attention: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GemmaConfig:
        """Read the known fields of a ``config.json`` and check them; without types, every sixth layer sees all."""
        types, pattern = values.get("layer_types"), values.get("sliding_window_pattern") or 6
        if types is None and type(pattern) is int and type(layers := values.get("num_hidden_layers")) is int:
            types = [_KINDS[(i + 1) % max(pattern, 1) == 0] for i in range(min(layers, 1000))]
        known = tuple(types) if isinstance(types, list) else types
        return super().from_dict({**values, "layer_types": known})  # type: ignore[return-value]

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults = super().own_faults(values)
        types, layers = values["layer_types"], values["num_hidden_layers"]
        if not isinstance(types, tuple) or len(types) != layers or any(each not in _KINDS for each in types):
            faults.append(f"layer_types is {types!r}, expected {layers} of {' and '.join(_KINDS)}")
        if type(values["sliding_window"]) is not int or not 1 <= values["sliding_window"] <= 2**20:
            faults.append(f"sliding_window is {values['sliding_window']!r}, expected a whole number from 1 to {2**20}")
        scalar = values["query_pre_attn_scalar"]
        if type(scalar) not in (int, float) or not 1e-6 <= scalar <= 1e6:
            faults.append(f"query_pre_attn_scalar is {scalar!r}, expected a number from 1e-6 to 1e6")
        return faults + flag_faults(values, "use_bidirectional_attention")


def encoder(config: GemmaConfig) -> Encoder:
    """Return the parts of its encoder."""
    H = config.hidden_size
    return Encoder(
        embeddings=Embeddings(
            Table("embeddings.word_embeddings", config.vocab_size, H),
            None,
            None,
            None,
            scale=float(np.float32(H**0.5)),
        ),
        layers=tuple(_layer(i, config) for i in range(config.num_hidden_layers)),
        hidden_size=H,
        longest=config.max_position_embeddings,
        final_norm=_norm("encoder.final_norm", H, config),
    )


def _layer(i: int, config: GemmaConfig) -> Layer:
    name, H, slides = f"encoder.layer.{i}", config.hidden_size, config.layer_types[i] == _KINDS[0]
    layer = qwen3.layer(name, config, Rotary(float(config.rope_local_base_freq if slides else config.rope_theta)))
    window = config.sliding_window
    # Of itself and those before, as many as the window is; or half of them on either side.
    reach = window // 2 if config.use_bidirectional_attention else window - 1
    attention, size = layer.attention, config.head_dim
    return layer._replace(
        attention=attention._replace(
            window=reach if slides else 0,
            causal=not config.use_bidirectional_attention,
            scale=float(config.query_pre_attn_scalar**-0.5),
            query_norm=_norm(f"{name}.attention.self.query_norm", size, config),
            key_norm=_norm(f"{name}.attention.self.key_norm", size, config),
        ),
        attention_norm=_norm(f"{name}.attention.norm", H, config),
        attention_branch_norm=_norm(f"{name}.attention.output.norm", H, config),
        feed_forward_norm=_norm(f"{name}.intermediate.norm", H, config),
        feed_forward_branch_norm=_norm(f"{name}.output.norm", H, config),
    )


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return rope.read_bases(values, _BASES)


def _norm(name: str, size: int, config: GemmaConfig) -> Norm:
    return qwen3.rms_norm(name, size, config)._replace(offset=1.0)


FAMILY = Family(
    "gemma3_text",
    "Gemma3Text",
    "model.",
    (
        *qwen3.RENAMES,
        (r"\.post_attention_layernorm\.", ".attention.output.norm."),
        (r"\.pre_feedforward_layernorm\.", ".intermediate.norm."),
        (r"\.post_feedforward_layernorm\.", ".output.norm."),
    ),
    encoder,
    fields={"hidden_act": "hidden_activation", "layer_norm_eps": "rms_norm_eps", "head_size": "head_dim"},
    defaults={
        "vocab_size": 262208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "max_position_embeddings": 131072,
    },
    fixed={"type_vocab_size": 1},
    token_types=False,
    tokenizer="PreTrainedTokenizer",
    heads={"Model": ()},
    rules={
        **honoured(
            "the encoder's",
            "num_key_value_heads head_dim rms_norm_eps rope_theta rope_local_base_freq attention_bias",
            "hidden_activation",
            "query_pre_attn_scalar sliding_window layer_types sliding_window_pattern",
            "use_bidirectional_attention",
        ),
        **rope.RULES,
        **refused("scores or logits that are bent", "attn_logit_softcapping final_logit_softcapping"),
        **without_effect("kept beside sliding_window_pattern, and not read", "_sliding_window_pattern"),
        **without_effect("for training", "attention_dropout"),
        **without_effect("of writing text", "use_cache bos_token_id eos_token_id"),
    },
    config=GemmaConfig,
    translate=_translate,
)
