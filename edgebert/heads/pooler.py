"""The pooler: what a text's first token says of the whole (arXiv 1810.04805, section 4.1), and what reads it."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend
from edgebert.heads.chain import Part, transform
from edgebert.heads.head import Head
from edgebert.heads.pooling import pool

__all__ = ["PooledHead", "has_pooler"]

_POOLER = "pooler.dense"


def has_pooler(names: Container[str]) -> bool:
    """Tell whether the pooler is among a checkpoint's tensors, by their names."""
    return f"{_POOLER}.weight" in names and f"{_POOLER}.bias" in names


class PooledHead(Head):
    """A linear layer on the pooler: the common part of the heads that look at a whole text."""

    output = ""
    """The name of that layer."""

    def __init__(self, tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Backend) -> None:
        super().__init__(tensors, config, backend)
        self._pooling = config.head_layers.pooling

    @classmethod
    def _parts(cls, config: BertConfig, outputs: int) -> list[Part]:
        H, layers = config.hidden_size, config.head_layers
        pooler = [Part(_POOLER, H, H, "float16", config.pooler_act)] if layers.pooler else []
        before = transform(config) if layers.transform else pooler
        return [*before, Part(cls.output, outputs, H, bias=layers.output_bias)]

    def inputs(self, hidden: np.ndarray, batch: PackedBatch, mask_id: int | None) -> np.ndarray:  # noqa: ARG002
        """Return the vector of each text of a batch."""
        return np.stack([self.of_text(states) for states in np.split(hidden, batch.cu_seqlens[1:-1])])

    def of_text(self, states: np.ndarray) -> np.ndarray:
        """Return the vector of a text: by default the hidden state of its first token."""
        return pool(states, self._pooling)

    @staticmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:  # noqa: ARG004 (as every head)
        """Return the indices of the first tokens."""
        return batch.cu_seqlens[:-1]

    @staticmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:  # noqa: ARG004
        """Return the best label of each text."""
        return logits.argmax(axis=1)
