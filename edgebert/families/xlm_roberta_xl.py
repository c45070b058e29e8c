"""XLM-RoBERTa-XL (arXiv 2105.00572): LayerNorms before attention and feed-forward, and none behind the embeddings."""

from __future__ import annotations

import dataclasses

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.families import roberta, roberta_prelayernorm

__all__ = ["FAMILY"]


def encoder(config: BertConfig) -> Encoder:
    """Return the parts of its encoder."""
    result = roberta_prelayernorm.encoder(config)
    return dataclasses.replace(result, embeddings=result.embeddings._replace(norm=None))


FAMILY = dataclasses.replace(
    roberta.family(
        "xlm-roberta-xl",
        "XLMRobertaXL",
        vocab_size=250880,
        hidden_size=2560,
        num_hidden_layers=36,
        num_attention_heads=32,
        intermediate_size=10240,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    ),
    renames=(
        (r"^encoder\.LayerNorm\.", "encoder.final_norm."),
        (r"\.self_attn_layer_norm\.", ".LayerNorm."),
        (r"^(encoder\.layer\.\d+)\.LayerNorm\.", r"\1.intermediate.LayerNorm."),
        *roberta.HEADS,
    ),
    encoder=encoder,
    tokenizer="XLMRobertaTokenizer",
)
