"""What words may stand in a place: the first task of BERT's pre-training (arXiv 1810.04805, section 3.1)."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.heads.chain import TRANSFORM, Part, transform
from edgebert.heads.head import Head

__all__ = ["MaskedLM"]

_DECODER = "cls.predictions.decoder"


class MaskedLM(Head):
    """Transform and decoder of ``BertForMaskedLM``; the decoder, the widest layer of a model, is in int8."""

    name = "masked_lm"
    architecture = "ForMaskedLM"
    tasks = ("fill_mask", "score", "embed_sparse")
    serves = "fill_mask(), score() and embed_sparse()"
    has_labels = False
    decision = "word"

    @classmethod
    def is_among(cls, names: Container[str], config: BertConfig) -> bool:
        """Tell by the names of a checkpoint's tensors whether it may have this head."""
        shared = config.head_layers.transform and "classifier.weight" in names  # then the transform is a classifier's
        return f"{TRANSFORM}.dense.weight" in names and not shared

    @staticmethod
    def parts(config: BertConfig, num_labels: int = 0) -> list[Part]:  # noqa: ARG004 (as every head)
        """Return its layers."""
        bias = config.head_layers.decoder_bias
        return [*transform(config), Part(_DECODER, config.vocab_size, config.embedding_width, "int8", bias=bias)]

    @staticmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:
        """Return the indices of the masked tokens."""
        return np.flatnonzero(batch.input_ids == mask_id)

    @staticmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:  # noqa: ARG004
        """Return the best word in each place."""
        return logits.argmax(axis=1)
