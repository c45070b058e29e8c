"""Whether a text follows another: the second task of BERT's pre-training (arXiv 1810.04805, section 3.1)."""

from __future__ import annotations

from edgebert.config import BertConfig
from edgebert.heads.head import Part
from edgebert.heads.pooler import PooledHead

__all__ = ["NEXT_SENTENCE_LABELS", "NextSentence"]

NEXT_SENTENCE_LABELS = ("IsNext", "NotNext")
"""In the order of the logits; the names are the paper's."""


class NextSentence(PooledHead):
    """The pooler and the last layer of ``BertForNextSentencePrediction``."""

    name = "next_sentence"
    architecture = "ForNextSentencePrediction"
    tasks = ("next_sentence",)
    serves = "next_sentence()"
    has_labels = False
    output = "cls.seq_relationship"

    @staticmethod
    def parts(config: BertConfig, num_labels: int) -> list[Part]:  # noqa: ARG004 (as every head)
        """Return its layers."""
        return NextSentence._parts(config, len(NEXT_SENTENCE_LABELS))
