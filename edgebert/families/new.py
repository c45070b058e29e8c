"""Alibaba's "new" encoders (arXiv 2407.19669): gte-multilingual, gte-en-v1.5, snowflake-arctic-embed-m-v2.0.

BERT with rotary positions, which may be stretched, and gated feed-forward.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Encoder, FeedForward, Layer, Linear, Rotary
from edgebert.config import flag_faults
from edgebert.errors import UnsupportedModelError
from edgebert.families import bert
from edgebert.families.family import Family, said_of_types
from edgebert.families.rope import RotaryConfig
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY", "NewConfig"]


@dataclasses.dataclass(frozen=True)
class NewConfig(RotaryConfig):
    """Positions are for texts ``rope_factor`` times as long as in training; ``has_types`` of tokens, or none."""

    rope_factor: float = 1.0
    has_types: bool = True

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults, factor = super().own_faults(values), values["rope_factor"]
        if type(factor) not in (int, float) or not 1 <= factor <= 1e3:
            faults.append(f"rope_scaling has the factor {factor!r}, expected a number from 1 to 1000")
        return faults + flag_faults(values, "has_types")


def encoder(config: NewConfig) -> Encoder:
    """Return the parts of its encoder."""
    result = bert.encoder(config)
    types = result.embeddings.token_types if config.has_types else None
    return dataclasses.replace(
        result,
        embeddings=result.embeddings._replace(positions=None, token_types=types),
        layers=tuple(_layer(f"encoder.layer.{i}", config) for i in range(config.num_hidden_layers)),
    )


def _layer(name: str, config: NewConfig) -> Layer:
    layer, H, I = bert.layer(name, config), config.hidden_size, config.intermediate_size  # noqa: E741
    factor = float(config.rope_factor)
    # A larger base for all points, and all of them a little slower: the slowest turn by 1 / factor of what they did.
    rotary = Rotary(config.rope_theta * factor, factor ** (2 / config.head_dim))
    return layer._replace(
        attention=layer.attention._replace(
            query_key_value=Linear(layer.attention.query_key_value.name, 3 * H, H), rotary=rotary
        ),
        feed_forward=FeedForward(
            intermediate=Linear(f"{name}.intermediate.dense", 2 * I, H, bias=False),
            activation=config.activation,
            output=layer.feed_forward.output,
            factor=layer.feed_forward.factor,
            gated=True,
            gate_first=True,
        ),
    )


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    result = {**values, **said_of_types(values, default=1), "rope_factor": 1.0}
    given = values.get("rope_scaling") or {}
    if given:
        if not isinstance(given, dict) or given.keys() - {"type", "factor"} or given.get("type") != "ntk":
            raise UnsupportedModelError(
                f"config.json has rope_scaling {given!r}; edgebert stretches positions of the type 'ntk' by a factor"
            )
        result["rope_factor"] = given.get("factor")
    return result


FAMILY = Family(
    "new",
    "New",
    "new.",
    (
        (r"\.attention\.qkv_proj\.", ".attention.self.query_key_value."),
        (r"\.attention\.o_proj\.", ".attention.output.dense."),
        (r"\.attn_ln\.", ".attention.output.LayerNorm."),
        (r"\.mlp_ln\.", ".output.LayerNorm."),
        (r"\.mlp\.up_gate_proj\.", ".intermediate.dense."),
        (r"\.mlp\.down_proj\.", ".output.dense."),
        (r"^lm_head\.dense\.", "cls.predictions.transform.dense."),
        (r"^lm_head\.norm\.", "cls.predictions.transform.LayerNorm."),
        (r"^lm_head\.decoder\.", "cls.predictions.decoder."),
    ),
    encoder,
    defaults={"vocab_size": 30528, "max_position_embeddings": 2048, "type_vocab_size": 1},
    fixed={"position_embedding_type": None},
    tokenizer="PreTrainedTokenizer",
    heads={"ForQuestionAnswering": None},  # nothing here was compared with one
    rules={
        **honoured("the encoder's", "rope_theta rope_scaling"),
        **refused("the family has rotary positions here", "position_embedding_type", unless=("rope",)),
        **refused("the family has LayerNorms here", "layer_norm_type", unless=("layer_norm",)),
        **refused("queries, keys and values are one layer here", "pack_qkv", unless=(True,)),
        **refused("edgebert does not scale scores by a text's length", "logn_attention_scale", unless=(False,)),
        **without_effect("of scores by a text's length, which are not used", "logn_attention_clip1"),
        **without_effect("how it is computed", "unpad_inputs use_memory_efficient_attention"),
        **without_effect("names code that is not run", "auto_map"),
    },
    config=NewConfig,
    translate=_translate,
)
