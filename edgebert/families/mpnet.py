"""MPNet (arXiv 2004.09297): learned distances between tokens add to the scores of attention."""

from __future__ import annotations

from edgebert.families import roberta
from edgebert.families.bert import encoder
from edgebert.families.family import Family
from edgebert.families.rules import honoured, without_effect

__all__ = ["FAMILY"]

FAMILY = Family(
    "mpnet",
    "MPNet",
    "mpnet.",
    (
        (r"\.attention\.attn\.q\.", ".attention.self.query."),
        (r"\.attention\.attn\.k\.", ".attention.self.key."),
        (r"\.attention\.attn\.v\.", ".attention.self.value."),
        (r"\.attention\.attn\.o\.", ".attention.output.dense."),
        (r"\.attention\.LayerNorm\.", ".attention.output.LayerNorm."),
        *roberta.HEADS,
    ),
    encoder,
    defaults={"vocab_size": 30527, "relative_attention_num_buckets": 32},
    fixed={"type_vocab_size": 1, "transform_act": "gelu", "pad_token_id": 1},  # whatever its config.json says
    positions_follow_padding=True,
    token_types=False,
    tokenizer="MPNetTokenizer",
    rules={
        **honoured("the encoder's", "relative_attention_num_buckets"),
        **without_effect("the family has no types", "type_vocab_size"),
    },
)
