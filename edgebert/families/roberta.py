"""RoBERTa (arXiv 1907.11692), XLM-RoBERTa (1911.02116) and CamemBERT (1911.03894).

Their positions begin behind the padding's.
"""

from __future__ import annotations

from typing import Any

from edgebert.families.bert import encoder
from edgebert.families.family import Family, Renames

__all__ = ["CAMEMBERT", "HEADS", "ROBERTA", "XLM_ROBERTA"]

HEADS: Renames = (
    (r"^pooler\.", "unused.pooler."),  # left from the encoder: the classifier has a dense layer of its own
    (r"^classifier\.dense\.", "pooler.dense."),
    (r"^classifier\.out_proj\.", "classifier."),
    (r"^lm_head\.dense\.", "cls.predictions.transform.dense."),
    (r"^lm_head\.layer_norm\.", "cls.predictions.transform.LayerNorm."),
    (r"^lm_head\.(decoder\.)?(weight|bias)$", r"cls.predictions.decoder.\2"),
)


def _family(model_type: str, classes: str, **defaults: Any) -> Family:
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


ROBERTA = _family("roberta", "Roberta")
XLM_ROBERTA = _family("xlm-roberta", "XLMRoberta", vocab_size=30522)
CAMEMBERT = _family("camembert", "Camembert", vocab_size=30522)
