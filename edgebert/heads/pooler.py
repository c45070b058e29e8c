"""The pooler: what a text's first token says of the whole (arXiv 1810.04805, section 4.1), and what reads it."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend
from edgebert.heads.dense import Dense, activate
from edgebert.heads.head import Head, Part

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
        self._chain = [(Dense(tensors, name, backend), activation) for name, activation in self.chain(config)]

    @classmethod
    def chain(cls, config: BertConfig) -> list[tuple[str, str]]:
        """Return the names of its layers with the activation behind each."""
        return [(_POOLER, config.pooler_act), (cls.output, "")]

    @classmethod
    def _parts(cls, config: BertConfig, outputs: int) -> list[Part]:
        H = config.hidden_size
        return [Part(_POOLER, H, H, "float16"), Part(cls.output, outputs, H)]

    def logits(self, hidden: np.ndarray) -> np.ndarray:
        """Return float32 (texts, outputs) for the hidden states of the texts' first tokens, (texts, H)."""
        x = hidden
        for dense, activation in self._chain:
            x = dense(x)
            x = activate(x, activation) if activation else x
        return x

    @staticmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:  # noqa: ARG004 (as every head)
        """Return the indices of the first tokens."""
        return batch.cu_seqlens[:-1]

    @staticmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:  # noqa: ARG004
        """Return the best label of each text."""
        return logits.argmax(axis=1)
