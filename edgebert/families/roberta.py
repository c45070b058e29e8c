"""RoBERTa (arXiv 1907.11692), whose positions begin behind the padding's."""

from __future__ import annotations

from typing import Any

from edgebert.families.bert import encoder
from edgebert.families.family import Family, Renames

__all__ = ["FAMILY", "HEADS", "family"]

HEADS: Renames = (
    (r"^pooler\.", "unused.pooler."),  # left from the encoder: the classifier has a dense layer of its own
    (r"^classifier\.dense\.", "pooler.dense."),
    (r"^classifier\.out_proj\.", "classifier."),
    (r"^lm_head\.dense\.", "cls.predictions.transform.dense."),
    (r"^lm_head\.layer_norm\.", "cls.predictions.transform.LayerNorm."),
    (r"^lm_head\.(decoder\.)?(weight|bias)$", r"cls.predictions.decoder.\2"),
)


def family(model_type: str, classes: str, **defaults: Any) -> Family:
    """Return a family that is RoBERTa by other names, or with other defaults."""
    return Family(
        model_type,
        classes,
        "roberta.",
        HEADS,
        encoder,
        defaults={"vocab_size": 50265, "pad_token_id": 1, **defaults},
        fixed={"transform_act": "gelu"},
        positions_follow_padding=True,
        tokenizer=f"{classes}Tokenizer",
    )


FAMILY = family("roberta", "Roberta")
