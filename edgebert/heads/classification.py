"""Labels and scores for a text (arXiv 1810.04805, section 4.1)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from edgebert.choices import FUNCTIONS
from edgebert.config import BertConfig
from edgebert.heads.chain import Part
from edgebert.heads.pooler import PooledHead, has_pooler

__all__ = ["SequenceClassification", "pool_windows", "ranked", "scores", "softmax"]


class SequenceClassification(PooledHead):
    """The pooler and the classifier of ``BertForSequenceClassification``."""

    name = "sequence_classification"
    architecture = "ForSequenceClassification"
    tasks = ("classify", "rank")
    serves = "classify() or, with one label, rank()"
    has_labels = True
    decision = "label"
    exported = "text"
    output = "classifier"

    @classmethod
    def is_among(cls, names: Container[str], config: BertConfig) -> bool:
        """Tell by the names of a checkpoint's tensors whether it may have this head."""
        layers = config.head_layers
        return "classifier.weight" in names and (layers.transform or not layers.pooler or has_pooler(names))

    @classmethod
    def function(cls, problem_type: str) -> str:
        """Return what makes scores of its logits."""
        return FUNCTIONS[problem_type]

    @staticmethod
    def parts(config: BertConfig, num_labels: int = 0) -> list[Part]:
        """Return its layers."""
        return SequenceClassification._parts(config, num_labels)


def scores(logits: np.ndarray, function: str) -> np.ndarray:
    """Turn logits (..., labels) into scores: ``"softmax"``, ``"sigmoid"``, or ``"none"`` for the logits themselves."""
    exact = logits.astype(np.float64)
    if function == "none":
        return exact
    if function == "sigmoid":
        with np.errstate(over="ignore"):  # of a logit below -709, whose score is 0
            return 1 / (1 + np.exp(-exact))
    return softmax(exact)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def pool_windows(values: np.ndarray, pool: str) -> np.ndarray:
    """Pool what the windows of one text say, (windows, labels), to (labels,): ``"mean"``, ``"max"`` or ``"first"``."""
    if len(values) == 1 or pool == "first":
        return values[0]
    return values.max(axis=0) if pool == "max" else values.mean(axis=0)


def ranked(values: np.ndarray, labels: Sequence[str], top_k: int | None) -> list[dict[str, Any]]:
    """Return the best labels with their scores, the best first, as transformers' pipelines do; None for all."""
    order = np.argsort(-values, kind="stable")[:top_k]
    return [{"label": labels[i], "score": float(values[i])} for i in order]
