"""ALBERT (arXiv 1909.11942): BERT whose layers share their weights; its embeddings are narrower, and projected."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.families import bert
from edgebert.families.family import Family
from edgebert.families.rules import honoured, without_effect

__all__ = ["FAMILY", "AlbertConfig"]

_MOST = 1000
"""Layers in all: a damaged config must not ask for a billion."""


@dataclasses.dataclass(frozen=True)
class AlbertConfig(BertConfig):
    """Of ``num_hidden_layers`` passes, each goes through one of the groups, which have ``inner_group_num`` layers."""

    num_hidden_groups: int = 1
    inner_group_num: int = 1

    @property
    def projects_embeddings(self) -> bool:
        """True even where the embeddings are as wide as the encoder."""
        return True

    @classmethod
    def own_faults(cls, values: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the numbers of groups and of their layers."""
        passes, groups, inner = (values[name] for name in ("num_hidden_layers", "num_hidden_groups", "inner_group_num"))
        faults = []
        if type(groups) is not int or not 1 <= groups <= passes:
            faults.append(f"num_hidden_groups is {groups!r}, expected a whole number from 1 to {passes}, its layers")
        if type(inner) is not int or not 1 <= inner <= _MOST // passes:
            faults.append(f"inner_group_num is {inner!r}, expected a whole number from 1 to {_MOST // passes}")
        return faults


def encoder(config: AlbertConfig) -> Encoder:
    """Return the parts of its encoder; a layer stands there as often as it is used."""
    passes, groups = config.num_hidden_layers, config.num_hidden_groups
    names = [
        f"encoder.layer.{int(i / (passes / groups))}.{inner}"
        for i in range(passes)
        for inner in range(config.inner_group_num)
    ]
    *layers, last = (bert.layer(name, config) for name in names)
    norm = last.feed_forward_norm._replace(name="encoder.LayerNorm", source=last.feed_forward_norm.name)
    return Encoder(
        embeddings=bert.embeddings(config),
        layers=(*layers, last._replace(feed_forward_norm=norm)),
        hidden_size=config.hidden_size,
        longest=config.max_position_embeddings,
    )


FAMILY = Family(
    "albert",
    "Albert",
    "albert.",
    (
        (r"^encoder\.embedding_hidden_mapping_in\.", "embeddings_project."),
        (r"^encoder\.albert_layer_groups\.(\d+)\.albert_layers\.(\d+)\.", r"encoder.layer.\1.\2."),
        (r"\.attention\.(query|key|value)\.", r".attention.self.\1."),
        (r"\.attention\.(dense|LayerNorm)\.", r".attention.output.\1."),
        (r"\.ffn\.", ".intermediate.dense."),
        (r"\.ffn_output\.", ".output.dense."),
        (r"\.full_layer_layer_norm\.", ".output.LayerNorm."),
        (r"^pooler\.", "pooler.dense."),
        (r"^predictions\.(dense|LayerNorm)\.", r"cls.predictions.transform.\1."),
        (r"^predictions\.(decoder\.)?(weight|bias)$", r"cls.predictions.decoder.\2"),
        (r"^sop_classifier\.", "unused.sop_classifier."),  # it tells swapped texts, which is no task here
    ),
    encoder,
    defaults={
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
    },
    pooler=True,
    tokenizer="AlbertTokenizer",
    heads={"ForPreTraining": ("masked_lm",)},
    rules={
        **honoured("the encoder's", "embedding_size num_hidden_groups inner_group_num"),
        **without_effect("for training", "classifier_dropout_prob"),
        **without_effect(
            "left from Google's files, and read by no ALBERT",
            "down_scale_factor gap_size net_structure_type num_memory_blocks",
        ),
    },
    config=AlbertConfig,
)
