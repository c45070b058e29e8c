"""Whether a text follows another: the second task of BERT's pre-training (arXiv 1810.04805, section 3.1)."""

from __future__ import annotations

from collections.abc import Container, Sequence

from edgebert.config import BertConfig
from edgebert.heads.chain import Part
from edgebert.heads.pooler import PooledHead, has_pooler

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
    decision = "label"
    exported = "text"
    output = "cls.seq_relationship"

    @classmethod
    def is_among(cls, names: Container[str], config: BertConfig) -> bool:  # noqa: ARG003 (as every head)
        """Tell by the names of a checkpoint's tensors whether it may have this head."""
        return f"{cls.output}.weight" in names and has_pooler(names)

    @classmethod
    def label_names(cls, labels: Sequence[str]) -> Sequence[str]:  # noqa: ARG003
        """Return the names of its two outputs."""
        return NEXT_SENTENCE_LABELS

    @staticmethod
    def parts(config: BertConfig, num_labels: int = 0) -> list[Part]:  # noqa: ARG004 (as every head)
        """Return its layers."""
        return NextSentence._parts(config, len(NEXT_SENTENCE_LABELS))
