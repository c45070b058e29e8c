"""RoBERTa with LayerNorms before attention and feed-forward (arXiv 2202.08005)."""

from __future__ import annotations

import dataclasses

from edgebert.architecture import Encoder, Layer, Norm
from edgebert.config import BertConfig
from edgebert.families import bert, roberta

__all__ = ["FAMILY", "encoder"]


def encoder(config: BertConfig) -> Encoder:
    """Return the parts of its encoder."""
    return dataclasses.replace(
        bert.encoder(config),
        layers=tuple(_layer(f"encoder.layer.{i}", config) for i in range(config.num_hidden_layers)),
        final_norm=_norm("encoder.final_norm", config),
    )


def _layer(name: str, config: BertConfig) -> Layer:
    return bert.layer(name, config)._replace(
        attention_norm=_norm(f"{name}.attention.LayerNorm", config),
        feed_forward_norm=_norm(f"{name}.intermediate.LayerNorm", config),
    )


def _norm(name: str, config: BertConfig) -> Norm:
    return Norm(name, config.hidden_size, config.layer_norm_eps)


FAMILY = dataclasses.replace(
    roberta.family("roberta-prelayernorm", "RobertaPreLayerNorm"),
    prefix="roberta_prelayernorm.",
    renames=((r"^LayerNorm\.", "encoder.final_norm."), *roberta.HEADS),
    encoder=encoder,
    tokenizer="RobertaTokenizer",
)
