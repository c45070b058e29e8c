"""The families of models that are BERT encoders: how each spells its config and its tensors.

One short description a family; everything behind it knows BERT's names alone (`edgebert.checkpoint.names`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from edgebert.errors import CheckpointError, UnsupportedModelError

__all__ = ["FAMILIES", "Family", "canonical_values", "family_of"]

_EITHER_NAME = ("hidden_size", "num_attention_heads", "num_hidden_layers")
"""Sizes that transformers takes by BERT's name too, where a family has its own."""

Renames = tuple[tuple[str, str], ...]

_BERT: Renames = (
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
    (r"^cls\.predictions\.bias$", "cls.predictions.decoder.bias"),
)
_ROBERTA: Renames = (
    (r"^pooler\.", "unused.pooler."),  # left from the encoder: the classifier has a dense layer of its own
    (r"^classifier\.dense\.", "pooler.dense."),
    (r"^classifier\.out_proj\.", "classifier."),
    (r"^lm_head\.dense\.", "cls.predictions.transform.dense."),
    (r"^lm_head\.layer_norm\.", "cls.predictions.transform.LayerNorm."),
    (r"^lm_head\.(decoder\.)?(weight|bias)$", r"cls.predictions.decoder.\2"),
)
_DISTILBERT: Renames = (
    (r"^transformer\.layer\.", "encoder.layer."),
    (r"\.attention\.q_lin\.", ".attention.self.query."),
    (r"\.attention\.k_lin\.", ".attention.self.key."),
    (r"\.attention\.v_lin\.", ".attention.self.value."),
    (r"\.attention\.out_lin\.", ".attention.output.dense."),
    (r"\.sa_layer_norm\.", ".attention.output.LayerNorm."),
    (r"\.ffn\.lin1\.", ".intermediate.dense."),
    (r"\.ffn\.lin2\.", ".output.dense."),
    (r"\.output_layer_norm\.", ".output.LayerNorm."),
    (r"^pre_classifier\.", "pooler.dense."),
    (r"^vocab_transform\.", "cls.predictions.transform.dense."),
    (r"^vocab_layer_norm\.", "cls.predictions.transform.LayerNorm."),
    (r"^vocab_projector\.", "cls.predictions.decoder."),
)
_ELECTRA: Renames = (
    *_BERT[:2],
    (r"^classifier\.dense\.", "pooler.dense."),
    (r"^classifier\.out_proj\.", "classifier."),
    (r"^generator_predictions\.", "cls.predictions.transform."),
    (r"^generator_lm_head\.", "cls.predictions.decoder."),
)
_MPNET: Renames = (
    (r"\.attention\.attn\.q\.", ".attention.self.query."),
    (r"\.attention\.attn\.k\.", ".attention.self.key."),
    (r"\.attention\.attn\.v\.", ".attention.self.value."),
    (r"\.attention\.attn\.o\.", ".attention.output.dense."),
    (r"\.attention\.LayerNorm\.", ".attention.output.LayerNorm."),
    *_ROBERTA,
)


@dataclasses.dataclass(frozen=True)
class Family:
    """What sets a family apart from BERT.

    Attributes
    ----------
    classes : str
        How the names of its classes begin: ``"Roberta"`` of RobertaForMaskedLM.
    prefix : str
        What stands before the names of its encoder's tensors, in a model with a head.
    renames : tuple of (pattern, replacement)
        From its names of tensors to BERT's.
    fields : dict of str to str
        BERT's name of a field of config.json -> its own.
    defaults : dict
        Values of fields that its config.json leaves out, where they are others than BERT's.
    fixed : dict
        Values that its config.json has no field for.
    positions_follow_padding : bool
        Whether the row ``pad_token_id`` of the position embeddings is that of this token, and the first position the
        one behind it.
    token_types : bool
        Whether it has embeddings of token types.
    """

    classes: str
    prefix: str
    renames: Renames
    fields: Mapping[str, str] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    positions_follow_padding: bool = False
    token_types: bool = True

    def canonical_name(self, name: str) -> str:
        """Return BERT's name of a tensor, without prefix."""
        name = name.removeprefix(self.prefix)
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name


def _roberta(classes: str, **defaults: Any) -> Family:
    return Family(
        classes,
        "roberta.",
        _ROBERTA,
        defaults={"vocab_size": 50265, "pad_token_id": 1, **defaults},
        fixed={"transform_act": "gelu"},
        positions_follow_padding=True,
    )


FAMILIES = {
    "bert": Family("Bert", "bert.", _BERT),
    "distilbert": Family(
        "DistilBert",
        "distilbert.",
        _DISTILBERT,
        fields={
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
        },
        defaults={"n_layers": 6},
        fixed={"type_vocab_size": 1, "pooler_act": "relu", "layer_norm_eps": 1e-12},
        token_types=False,
    ),
    "roberta": _roberta("Roberta"),
    "xlm-roberta": _roberta("XLMRoberta", vocab_size=30522),
    "camembert": _roberta("Camembert", vocab_size=30522),
    "electra": Family(
        "Electra",
        "electra.",
        _ELECTRA,
        defaults={"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024, "embedding_size": 128},
        fixed={"pooler_act": "gelu", "transform_act": "gelu"},
    ),
    "mpnet": Family(
        "MPNet",
        "mpnet.",
        _MPNET,
        defaults={"vocab_size": 30527, "relative_attention_num_buckets": 32},
        fixed={"type_vocab_size": 1, "transform_act": "gelu", "pad_token_id": 1},  # whatever its config.json says
        positions_follow_padding=True,
        token_types=False,
    ),
}
"""``model_type`` of a config.json -> its family."""


def family_of(values: Mapping[str, Any], *, source: str) -> Family:
    """Return the family that a config.json names.

    Raises
    ------
    UnsupportedModelError
        Naming its ``model_type``, and what is supported.
    """
    model_type = values.get("model_type") or "bert"
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise UnsupportedModelError(f"{source} is a model of type {model_type!r}; edgebert runs {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def canonical_values(values: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Return a config.json's values as a BERT's would say them (`edgebert.config.BertConfig.from_dict`).

    Raises
    ------
    CheckpointError
        A size is given by the family's name and by BERT's, and they differ.
    """
    result = {**family.defaults, **{name: value for name, value in values.items() if value is not None}}
    # What BERT does not have, other families' configs are not to bring in by chance.
    for name in ("pooler_act", "transform_act", *(() if "embedding_size" in family.defaults else ("embedding_size",))):
        result.pop(name, None)
    if "relative_attention_num_buckets" not in family.defaults:
        result.pop("relative_attention_num_buckets", None)
    for name, own in family.fields.items():
        general = result.pop(name, None)
        given = values.get(own) is not None
        if given and name in _EITHER_NAME and general not in (None, result[own]):
            raise CheckpointError(f"config.json has {own} {result[own]!r} and {name} {general!r}, expected one of them")
        if name in _EITHER_NAME and general is not None:
            result[name] = general
        elif own in result:
            result[name] = result[own]
    result |= family.fixed
    result["positions_follow_padding"] = family.positions_follow_padding
    positions, padding = result.get("max_position_embeddings", 512), result.get("pad_token_id", 0)
    if family.positions_follow_padding and type(positions) is type(padding) is int:
        result["max_position_embeddings"] = positions - padding - 1
    if result.get("embedding_size") == result.get("hidden_size"):
        result.pop("embedding_size", None)
    return result
