"""What words may stand in a place: the first task of BERT's pre-training (arXiv 1810.04805, section 3.1)."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend, Layers
from edgebert.functions import layer_norm
from edgebert.heads.dense import Dense, activate
from edgebert.heads.head import Head, Part

__all__ = ["MaskedLM"]

_TRANSFORM, _DECODER = "cls.predictions.transform", "cls.predictions.decoder"


class MaskedLM(Head):
    """Transform and decoder of ``BertForMaskedLM``; the decoder, the widest layer of a model, is in int8."""

    name = "masked_lm"
    architecture = "ForMaskedLM"
    tasks = ("fill_mask", "score")
    serves = "fill_mask() and score()"
    has_labels = False
    decision = "word"

    def __init__(self, tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Backend) -> None:
        self._transform = Transform(tensors, config, backend)
        self._decoder = backend.linear(tensors, _DECODER, config.vocab_size)

    @classmethod
    def is_among(cls, names: Container[str]) -> bool:
        """Tell by the names of a checkpoint's tensors whether it has this head."""
        return f"{_TRANSFORM}.dense.weight" in names

    @staticmethod
    def parts(config: BertConfig, num_labels: int) -> list[Part]:  # noqa: ARG004 (as every head)
        """Return its layers."""
        H, E = config.hidden_size, config.embedding_width
        return [
            Part(f"{_TRANSFORM}.dense", E, H, "float16"),
            Part(f"{_TRANSFORM}.LayerNorm", E, None),
            Part(_DECODER, config.vocab_size, E, "int8"),
        ]

    def logits(self, hidden: np.ndarray) -> np.ndarray:
        """Return float32 (M, vocab_size) for the hidden states of M tokens, (M, H)."""
        return self._decoder(self._transform(hidden))

    @staticmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:
        """Return the indices of the masked tokens."""
        return np.flatnonzero(batch.input_ids == mask_id)

    @staticmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:  # noqa: ARG004
        """Return the best word in each place."""
        return logits.argmax(axis=1)


class Transform:
    """What comes before the decoder: dense, activation, LayerNorm."""

    def __init__(self, tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Layers) -> None:
        self._dense = Dense(tensors, f"{_TRANSFORM}.dense", backend)
        self._weight, self._bias = (tensors[f"{_TRANSFORM}.LayerNorm.{part}"] for part in ("weight", "bias"))
        self._activation, self._eps = config.transform_act or config.hidden_act, config.layer_norm_eps

    def __call__(self, hidden: np.ndarray) -> np.ndarray:
        """Transform the hidden states of M tokens: float32 (M, H) -> (M, embedding size)."""
        x = activate(self._dense(hidden), self._activation)
        return layer_norm(x, self._weight, self._bias, self._eps)
