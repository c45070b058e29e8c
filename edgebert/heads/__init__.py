"""What stands on the encoder: one file a head, with its layers and the task that it serves.

A new head is a file with a class as `Head` describes it, and its name in `HEADS`.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebert.config import BertConfig
from edgebert.heads.chain import Part
from edgebert.heads.classification import SequenceClassification
from edgebert.heads.head import Head
from edgebert.heads.masked_lm import MaskedLM
from edgebert.heads.next_sentence import NextSentence
from edgebert.heads.question_answering import QuestionAnswering
from edgebert.heads.tokens import TokenClassification

__all__ = [
    "HEADS",
    "HEAD_OF_TASK",
    "PRETRAINING",
    "Head",
    "architecture_of",
    "decision_of",
    "head_parts",
    "head_shapes",
    "serves",
]

_ALL: tuple[type[Head], ...] = (
    MaskedLM,
    NextSentence,
    SequenceClassification,
    TokenClassification,
    QuestionAnswering,
)
HEADS: dict[str, type[Head]] = {head.name: head for head in _ALL}
"""Name -> class."""

HEAD_OF_TASK: dict[str, type[Head]] = {task: head for head in _ALL for task in head.tasks}
"""Method of `edgebert.Model` -> the head that it needs."""


PRETRAINING = (MaskedLM.name, NextSentence.name)
"""The heads of ``BertForPreTraining``."""


def head_parts(heads: Sequence[str], config: BertConfig, num_labels: int) -> dict[str, Part]:
    """Return the layers of heads by name; what two of them share is there once."""
    return {part.name: part for head in heads for part in HEADS[head].parts(config, num_labels)}


def head_shapes(head: str, config: BertConfig, num_labels: int) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every tensor of a head, as a checkpoint has them."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part in HEADS[head].parts(config, num_labels):
        shapes[f"{part.name}.weight"] = (part.N,) if part.K is None else (part.N, part.K)
        shapes[f"{part.name}.bias"] = (part.N,)
    return shapes


def decision_of(head: str) -> str:
    """Return what a head decides, in a word; ``"gliner"`` is what finds spans of any labels."""
    return "span" if head == "gliner" else HEADS[head].decision


def architecture_of(heads: Sequence[str]) -> str:
    """Return the name of BERT's class with these heads."""
    if set(heads) == set(PRETRAINING):
        return "BertForPreTraining"
    return f"Bert{HEADS[heads[0]].architecture}" if heads else "BertModel"


def serves(heads: Sequence[str]) -> str:
    """Return what a model with these heads can be asked, in the names of `edgebert.Model`'s methods."""
    return ", ".join(HEADS[head].serves for head in heads) or "embed()"
