"""ESM-2, for proteins (doi 10.1126/science.ade2574): LayerNorms before, rotary positions; a token is an amino acid."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Encoder, Rotary
from edgebert.config import flag_faults
from edgebert.errors import UnsupportedModelError
from edgebert.families import bert, roberta, roberta_prelayernorm, rope
from edgebert.families.family import Family
from edgebert.families.rope import RotaryConfig
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY"]

_UNMASKED = 1 - 0.15 * 0.8
"""The share of words that were left in training: all are multiplied by it, as in dropout, and divided by their own."""


@dataclasses.dataclass(frozen=True)
class EsmConfig(RotaryConfig):
    """Words may be multiplied by the share that was left of them in training (``token_dropout``)."""

    token_dropout: bool = True
    emb_layer_norm_before: bool = False
    mask_token_id: int = 32

    @property
    def refused_id(self) -> int | None:
        """The id that no text may have: how many words are masked would decide about all others."""
        return self.mask_token_id if self.token_dropout else None

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the fields that BERT has not."""
        faults = super().own_faults(values) + flag_faults(values, "token_dropout", "emb_layer_norm_before")
        mask, count = values["mask_token_id"], values["vocab_size"]
        if type(mask) is not int or not 0 <= mask < count:
            faults.append(f"mask_token_id is {mask!r}, expected 0 to {count - 1}")
        return faults


def encoder(config: EsmConfig) -> Encoder:
    """Return the parts of its encoder: RoBERTa's with LayerNorms before, whose positions are turned."""
    plain, rotary = roberta_prelayernorm.encoder(config), Rotary(float(config.rope_theta))
    return dataclasses.replace(
        plain,
        embeddings=plain.embeddings._replace(
            positions=None,
            token_types=None,
            norm=plain.embeddings.norm if config.emb_layer_norm_before else None,
            scale=_UNMASKED if config.token_dropout else 1.0,
        ),
        layers=tuple(layer._replace(attention=layer.attention._replace(rotary=rotary)) for layer in plain.layers),
    )


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    if values.get("position_embedding_type") != "rotary":  # transformers takes one that is missing for learned ones
        raise UnsupportedModelError(
            f"config.json has position_embedding_type {values.get('position_embedding_type')!r}; edgebert runs ESM-2,"
            " whose positions are 'rotary'"
        )
    return rope.read_bases(values, rope.BASES)


FAMILY = Family(
    "esm",
    "Esm",
    "esm.",
    (
        *bert.LEGACY_NORMS,
        (r"^encoder\.emb_layer_norm_after\.", "encoder.final_norm."),
        (r"^embeddings\.layer_norm\.", "embeddings.LayerNorm."),
        (r"^(encoder\.layer\.\d+)\.LayerNorm\.", r"\1.intermediate.LayerNorm."),
        (r"^contact_head\.", "unused.contact_head."),
        (r"^.*rotary_embeddings\.inv_freq$", "unused.inv_freq"),
        (r"^embeddings\.position_embeddings\.", "unused.position_embeddings."),
        *roberta.HEADS,
    ),
    encoder,
    defaults={"vocab_size": 33, "pad_token_id": 1, "layer_norm_eps": 1e-12, "max_position_embeddings": 1026},
    fixed={"position_embedding_type": None, "type_vocab_size": 1, "transform_act": "gelu", "hidden_act": "gelu"},
    token_types=False,
    tokenizer="EsmTokenizer",
    rules={
        **honoured("the encoder's", "token_dropout emb_layer_norm_before mask_token_id rope_theta"),
        **honoured("checked with the rest", "position_embedding_type"),
        **refused("edgebert folds no proteins", "is_folding_model", unless=(False,)),
        **refused("edgebert folds no proteins", "esmfold_config"),
        **rope.RULES,
        **without_effect("its activation is GELU whatever it says", "hidden_act"),
        **without_effect("the tokenizer has it", "vocab_list"),
    },
    config=EsmConfig,
    translate=_translate,
)
