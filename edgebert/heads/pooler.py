"""The pooler: what a text's first token says of the whole (arXiv 1810.04805, section 4.1), and what reads it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend
from edgebert.heads.dense import Dense, activate
from edgebert.heads.head import Head, Part

__all__ = ["PooledHead"]


class PooledHead(Head):
    """A linear layer on the pooler: the common part of the heads that look at a whole text."""

    output = ""
    """The name of that layer."""

    def __init__(self, tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Backend) -> None:
        self._pooler = Dense(tensors, "pooler.dense", backend)
        self._output = Dense(tensors, self.output, backend)
        self._activation = config.pooler_act

    @classmethod
    def _parts(cls, config: BertConfig, outputs: int) -> list[Part]:
        H = config.hidden_size
        return [Part("pooler.dense", H, H, "float16"), Part(cls.output, outputs, H)]

    def logits(self, hidden: np.ndarray) -> np.ndarray:
        """Return float32 (texts, outputs) for the hidden states of the texts' first tokens, (texts, H)."""
        return self._output(activate(self._pooler(hidden), self._activation))

    @staticmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:  # noqa: ARG004 (as every head)
        """Return the indices of the first tokens."""
        return batch.cu_seqlens[:-1]

    @staticmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:  # noqa: ARG004
        """Return the best label of each text."""
        return logits.argmax(axis=1)
