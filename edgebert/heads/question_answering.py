"""Where in a text the answer to a question stands (arXiv 1810.04805, section 4.2)."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.heads.chain import Part, transform
from edgebert.heads.classification import softmax
from edgebert.heads.head import Head

__all__ = ["QuestionAnswering", "best_spans"]


class QuestionAnswering(Head):
    """The last layer of ``BertForQuestionAnswering``: how well an answer begins, and ends, at each token."""

    name = "question_answering"
    architecture = "ForQuestionAnswering"
    tasks = ("answer",)
    serves = "answer()"
    has_labels = False
    decision = "span"

    @classmethod
    def is_among(cls, names: Container[str], config: BertConfig) -> bool:  # noqa: ARG003 (as every head)
        """Tell by the names of a checkpoint's tensors whether it may have this head."""
        return "qa_outputs.weight" in names

    @staticmethod
    def parts(config: BertConfig, num_labels: int = 0) -> list[Part]:  # noqa: ARG004 (as every head)
        """Return its layers; the two outputs are begin and end."""
        before = transform(config) if config.head_layers.transform else []
        return [*before, Part("qa_outputs", 2, config.hidden_size)]

    @staticmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:  # noqa: ARG004
        """Return the indices of all tokens."""
        return np.arange(len(batch.input_ids))

    @staticmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:
        """Return the best begin and the best end within each text, counted from its own first token."""
        bounds = np.flatnonzero(np.diff(text, prepend=-1))
        each = np.split(logits, bounds[1:])
        return np.concatenate([rows.argmax(axis=0) for rows in each])


def best_spans(
    logits: np.ndarray, allowed: np.ndarray, longest: int, count: int
) -> tuple[list[tuple[int, int, float]], float]:
    """Find the best answers in one window (as transformers 4's pipeline for question answering does).

    Parameters
    ----------
    logits : ndarray [shape=(T, 2), dtype=float32]
    allowed : ndarray [shape=(T,), dtype=bool]
        Tokens of the text to answer from. The first token, which is none of them, stands for no answer.
    longest : int
        Tokens that an answer may have.
    count : int
        Answers to return.

    Returns
    -------
    spans : list of (first token, last token, score)
        The best first.
    no_answer : float
        The score of there being none.
    """
    seen = allowed.copy()
    seen[0] = True
    begin, end = (np.where(seen, softmax(np.where(seen, column, -1e4)), 0) for column in logits.T)
    no_answer = float(begin[0] * end[0])
    begin[0] = end[0] = 0
    # A band above the diagonal: answers of 1 to `longest` tokens, one diagonal for each length.
    best: list[tuple[float, int, int]] = []
    T = len(begin)
    for length in range(min(longest, T)):
        products = begin[: T - length] * end[length:]
        for i in np.argsort(-products, kind="stable")[:count]:
            best.append((float(products[i]), int(i), int(i) + length))
    best.sort(key=lambda span: (-span[0], span[1], span[2]))
    return [(first, last, score) for score, first, last in best[:count]], no_answer
