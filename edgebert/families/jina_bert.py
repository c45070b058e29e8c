"""Jina BERT v2 (arXiv 2310.19923): BERT whose scores fall with the distance (ALiBi), with gated feed-forward.

Its config.json calls itself "bert"; ``position_embedding_type`` tells it (`edgebert.families.family_of`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Encoder, FeedForward, Layer, Linear
from edgebert.config import BertConfig
from edgebert.errors import UnsupportedModelError
from edgebert.families import bert
from edgebert.families.family import Family
from edgebert.families.rules import honoured, refused, without_effect

__all__ = ["FAMILY", "slopes"]

_ACTIVATIONS = {"geglu": "gelu", "reglu": "relu"}


def slopes(heads: int) -> tuple[float, ...]:
    """Return what each head's scores lose with every token between two (arXiv 2108.12409, section 3).

    They are powers of 2 ** (-8 / `heads`). Where `heads` is no power of two, those of the largest power of two below
    it, and then every other one of twice as many heads.
    """
    whole = 1 << (heads.bit_length() - 1)
    first = [2.0 ** (-8 * i / whole) for i in range(1, whole + 1)]
    between = [2.0 ** (-4 * i / whole) for i in range(1, 2 * (heads - whole), 2)]
    return (*first, *between)


def encoder(config: BertConfig) -> Encoder:
    """Return the parts of its encoder."""
    result = bert.encoder(config)
    return dataclasses.replace(
        result,
        embeddings=result.embeddings._replace(positions=None),
        layers=tuple(_layer(f"encoder.layer.{i}", config) for i in range(config.num_hidden_layers)),
    )


def _layer(name: str, config: BertConfig) -> Layer:
    layer = bert.layer(name, config)
    return layer._replace(
        attention=layer.attention._replace(slopes=slopes(config.num_attention_heads)),
        feed_forward=FeedForward(
            intermediate=Linear(
                f"{name}.intermediate.dense", 2 * config.intermediate_size, config.hidden_size, bias=False
            ),
            activation=config.activation,
            output=layer.feed_forward.output,
            factor=layer.feed_forward.factor,
            gated=True,
        ),
    )


def _translate(values: Mapping[str, Any]) -> Mapping[str, Any]:
    gated, given = values.get("feed_forward_type"), values.get("hidden_act")
    result = {**values, "transform_act": given}  # hidden_act is the heads' alone where the layers have their own
    if gated is not None:
        if not isinstance(gated, str) or gated not in _ACTIVATIONS:
            raise UnsupportedModelError(
                f"config.json has feed_forward_type {gated!r}; edgebert runs {' and '.join(_ACTIVATIONS)}"
            )
        result["hidden_act"] = _ACTIVATIONS[gated]
    return result


FAMILY = Family(
    "jina_bert",
    "JinaBert",
    "bert.",
    (
        *bert.FAMILY.renames,
        (r"\.mlp\.gated_layers\.", ".intermediate.dense."),
        (r"\.mlp\.wo\.", ".output.dense."),
        (r"\.mlp\.layernorm\.", ".output.LayerNorm."),
    ),
    encoder,
    defaults={"transform_act": "gelu"},
    fixed={"position_embedding_type": None},
    pooler=True,
    heads=dict.fromkeys(("ForPreTraining", "ForQuestionAnswering")),  # nothing here was compared with one
    rules={
        **honoured("the encoder's", "feed_forward_type"),
        **refused("the family's scores fall with the distance here", "position_embedding_type", unless=("alibi",)),
        **refused("where no module says how, edgebert takes the mean of a text", "emb_pooler", unless=("mean",)),
        **without_effect("the tokenizer says it, and max_position_embeddings", "model_max_length"),
        **without_effect("names code that is not run", "auto_map"),
    },
    translate=_translate,
)
