"""ALBERT (arXiv 1909.11942): layers that share their weights, in groups, and narrow embeddings that are projected."""

from __future__ import annotations

import dataclasses

from edgebert.architecture import Encoder
from edgebert.config import BertConfig
from edgebert.families import bert
from edgebert.families.family import Family
from edgebert.families.rules import honoured, without_effect

__all__ = ["ALBERT", "AlbertConfig"]


@dataclasses.dataclass(frozen=True)
class AlbertConfig(BertConfig):
    """BERT's hyperparameters and two more.

    ``num_hidden_layers`` counts the passes; they fall into ``num_hidden_groups``, of which each has weights of its own:
    those of ``inner_group_num`` layers, one after the other, which every pass of the group takes.
    """

    num_hidden_groups: int = 1
    inner_group_num: int = 1

    @property
    def projects_embeddings(self) -> bool:
        """True: also where the widths are the same."""
        return True

    def own_faults(self) -> list[str]:
        """Return what is wrong with the two."""
        most = self.num_hidden_layers
        return [
            f"{name} is {getattr(self, name)!r}, expected a whole number from 1 to {most}, the layers"
            for name in ("num_hidden_groups", "inner_group_num")
            if type(getattr(self, name)) is not int or not 1 <= getattr(self, name) <= most
        ]


def encoder(config: AlbertConfig) -> Encoder:
    """Return the parts of ALBERT's encoder: its layers stand there as often as they are computed."""
    groups = [
        [bert.layer(f"encoder.layer.{group}.{i}", config) for i in range(config.inner_group_num)]
        for group in range(config.num_hidden_groups)
    ]
    of_group = config.num_hidden_layers / config.num_hidden_groups  # as transformers divides, where it leaves a rest
    *layers, last = [layer for i in range(config.num_hidden_layers) for layer in groups[int(i / of_group)]]
    # What smoothing divides, the next layer reads. Behind the last there is none: its result is to be whole.
    result = dataclasses.replace(last.output_norm, name="encoder.result.LayerNorm", part=last.output_norm.name)
    return Encoder(
        embeddings=bert.embeddings(config),
        layers=(*layers, dataclasses.replace(last, output_norm=result)),
        hidden_size=config.hidden_size,
        longest=config.max_position_embeddings,
    )


ALBERT = Family(
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
        (r"^sop_classifier\.", "unused.sop_classifier."),
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
    heads={"ForPreTraining": ("masked_lm",)},  # the other tells the order of sentences, which is no task here
    tokenizer="AlbertTokenizer",
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
