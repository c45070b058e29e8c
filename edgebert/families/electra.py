"""ELECTRA (arXiv 2003.10555): BERT whose embeddings may be narrower, and projected."""

from __future__ import annotations

from edgebert.families.bert import LEGACY_NORMS, encoder
from edgebert.families.family import Family
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY"]

FAMILY = Family(
    "electra",
    "Electra",
    "electra.",
    (
        *LEGACY_NORMS,
        (r"^classifier\.dense\.", "pooler.dense."),
        (r"^classifier\.out_proj\.", "classifier."),
        (r"^generator_predictions\.", "cls.predictions.transform."),
        (r"^generator_lm_head\.", "cls.predictions.decoder."),
    ),
    encoder,
    defaults={"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024, "embedding_size": 128},
    fixed={"pooler_act": "gelu", "transform_act": "gelu"},
    heads={"ForPreTraining": None},  # it tells replaced words, which is no task here
    rules={
        **honoured("the encoder's", "embedding_size"),
        **refused("the family's classifiers have another", "classifier_activation", unless=("gelu",)),
        **without_effect(
            "of the head for multiple choice",
            "summary_activation summary_last_dropout summary_type summary_use_proj",
            "summary_first_dropout",
        ),
        **without_effect("of another model", "generator_size generator_layers"),
    },
)
