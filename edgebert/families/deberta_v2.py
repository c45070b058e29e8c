"""DeBERTa v2 and v3 (arXiv 2006.03654, 2111.09543): queries and keys score the distance of two tokens themselves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Disentangled, Encoder, Layer, Norm, Table
from edgebert.config import BertConfig, flag_faults
from edgebert.families import bert
from edgebert.families.family import Family, said_of_types
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY", "DebertaConfig"]

_TERMS = ("c2p", "p2c")
"""What adds to a score: the query and the distance (content to position), the distance and the key."""


@dataclasses.dataclass(frozen=True)
class DebertaConfig(BertConfig):
    """With ``relative_attention``, queries and keys score distances, as the two terms of ``pos_att_type`` say.

    Distances have ``position_buckets`` rows in each direction (-1: one each, up to ``max_relative_positions``).

    ``norm_rel_ebd`` is ``"layer_norm"`` where these rows are normalised. ``position_biased_input``: whether positions
    add to the embeddings, too; ``has_types``: whether token types do.
    """

    pooler_act: str = "gelu"
    position_buckets: int = -1
    max_relative_positions: int = -1
    norm_rel_ebd: str = "none"
    position_biased_input: bool = True
    relative_attention: bool = False
    share_att_key: bool = False
    pos_att_type: str = ""
    has_types: bool = False

    @property
    def largest_distance(self) -> int:
        """Beyond it all distances are one."""
        return self.max_relative_positions if self.max_relative_positions > 0 else self.max_position_embeddings

    @property
    def span(self) -> int:
        """Rows for each direction."""
        return self.position_buckets if self.position_buckets > 0 else self.largest_distance

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults = flag_faults(values, "position_biased_input", "has_types", "relative_attention")
        relative, given = values["relative_attention"] is True, values["pos_att_type"]
        if not isinstance(given, str) or (relative and _terms(given) != set(_TERMS)):
            faults.append(f"pos_att_type is {given!r}, expected {'|'.join(_TERMS)} where attention is relative")
        if relative and values["share_att_key"] is not True:
            faults.append(f"share_att_key is {values['share_att_key']!r}, expected true where attention is relative")
        if values["norm_rel_ebd"] not in ("none", "layer_norm"):
            faults.append(f"norm_rel_ebd is {values['norm_rel_ebd']!r}, expected 'none' or 'layer_norm'")
        for name in ("position_buckets", "max_relative_positions"):
            if type(values[name]) is not int or not -1 <= values[name] <= 2**15:
                faults.append(f"{name} is {values[name]!r}, expected a whole number from -1 to {2**15}")
        buckets = values["position_buckets"]
        if not faults and buckets > 0:
            longest = values["max_relative_positions"]
            longest = longest if longest > 0 else values["max_position_embeddings"]
            if buckets % 2 or not 4 <= buckets < 2 * (longest - 1):
                faults.append(
                    f"position_buckets is {buckets}, expected an even number from 4 and less than twice the largest"
                    f" distance, {longest - 1}"
                )
        return faults


def encoder(config: DebertaConfig) -> Encoder:
    """Return the parts of its encoder."""
    result = bert.encoder(config)
    embeddings = result.embeddings
    return dataclasses.replace(
        result,
        embeddings=embeddings._replace(
            positions=embeddings.positions if config.position_biased_input else None,
            token_types=embeddings.token_types if config.has_types else None,
        ),
        layers=tuple(_layer(layer, f"encoder.layer.{i}", config) for i, layer in enumerate(result.layers)),
    )


def _layer(layer: Layer, name: str, config: DebertaConfig) -> Layer:
    has_buckets = config.position_buckets > 0
    distances = Disentangled(
        table=Table("encoder.rel_embeddings", 2 * config.span, config.hidden_size),
        norm=Norm("encoder.LayerNorm", config.hidden_size, config.layer_norm_eps)
        if config.norm_rel_ebd == "layer_norm"
        else None,
        exact=config.span // 2 if has_buckets else config.span,
        largest=config.largest_distance,
        queries=f"{name}.attention.self.distance_queries",
        keys=f"{name}.attention.self.distance_keys",
    )
    scale = 1 / math.sqrt(config.head_dim * (1 + len(_terms(config.pos_att_type))))
    positions = distances if config.relative_attention else None
    return layer._replace(attention=layer.attention._replace(disentangled=positions, scale=scale))


def _terms(pos_att_type: str) -> set[str]:
    return {term.strip() for term in pos_att_type.lower().split("|")} & set(_TERMS)


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    result = {**values, **said_of_types(values, default=0)}
    if isinstance(given := result.get("pos_att_type"), list):
        result["pos_att_type"] = "|".join(map(str, given))
    if isinstance(given := result.get("norm_rel_ebd"), str):
        result["norm_rel_ebd"] = given.strip().lower()
    return result


FAMILY = Family(
    "deberta-v2",
    "DebertaV2",
    "deberta.",
    (
        *bert.LEGACY_NORMS,
        (r"\.attention\.self\.(query|key|value)_proj\.", r".attention.self.\1."),
        (r"^cls\.predictions\.bias$", "cls.predictions.decoder.bias"),
        # Microsoft's own heads of pre-training, which transformers does not run as they were trained.
        (r"^(lm_predictions|mask_predictions)\.", r"unused.\1."),
    ),
    encoder,
    fields={"pooler_act": "pooler_hidden_act"},
    defaults={
        "vocab_size": 128100,
        "hidden_size": 1536,
        "num_hidden_layers": 24,
        "num_attention_heads": 24,
        "intermediate_size": 6144,
        "layer_norm_eps": 1e-7,
        "pooler_hidden_act": "gelu",
    },
    tokenizer="PreTrainedTokenizer",
    rules={
        **honoured(
            "the encoder's",
            "position_buckets max_relative_positions norm_rel_ebd position_biased_input relative_attention",
            "share_att_key pos_att_type",
        ),
        **honoured("the pooler's", "pooler_hidden_act"),
        **refused(
            "the largest of the family have a convolution behind the first layer; edgebert runs those without, as"
            " DeBERTa v3 is",
            "conv_kernel_size",
            unless=(0,),
        ),
        **refused("heads have the share of the hidden size here", "attention_head_size"),
        **refused("the head for masked words of transformers is the older one here", "legacy", unless=(True,)),
        **without_effect("of a convolution, which is not there", "conv_act conv_groups"),
        **without_effect("the pooler's weights say it", "pooler_hidden_size pooler_size"),
        **without_effect("for training", "pooler_dropout"),
    },
    config=DebertaConfig,
    translate=_translate,
)
