"""Labels and scores for a text, from its first token (arXiv 1810.04805, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgebert.engine.backend import Backend
from edgebert.heads.dense import Dense

__all__ = ["SequenceClassification", "scores"]


class SequenceClassification:
    """The pooler and the classifier of ``BertForSequenceClassification``.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With ``pooler.dense`` and ``classifier``.
    labels : sequence of str
    problem_type : str
    backend : Backend
    """

    def __init__(
        self, tensors: Mapping[str, np.ndarray], labels: Sequence[str], problem_type: str, backend: Backend
    ) -> None:
        self.labels, self.problem_type = tuple(labels), problem_type
        self._pooler = Dense(tensors["pooler.dense.weight"], tensors["pooler.dense.bias"], backend)
        self._classifier = Dense(tensors["classifier.weight"], tensors["classifier.bias"], backend)

    def logits(self, first_tokens: np.ndarray) -> np.ndarray:
        """Return float32 (texts, labels) for the hidden states of the texts' first tokens, (texts, H)."""
        pooled = np.tanh(self._pooler(first_tokens), dtype=np.float64)
        return self._classifier(pooled.astype(np.float32))

    def best(self, logits: np.ndarray) -> dict[str, str | float]:
        """Return the best label of one text and its score, as transformers' pipelines do."""
        values = scores(logits, self.problem_type)
        index = int(values.argmax())
        return {"label": self.labels[index], "score": float(values[index])}


def scores(logits: np.ndarray, problem_type: str) -> np.ndarray:
    """Turn the logits of one text into scores.

    Softmax for a single label, the logistic function where several can hold, the logits themselves for a regression.
    """
    exact = logits.astype(np.float64)
    if problem_type == "regression":
        return exact
    if problem_type == "multi_label_classification":
        return 1 / (1 + np.exp(-exact))
    powers = np.exp(exact - exact.max())
    return powers / powers.sum()
