"""What every head is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend

__all__ = ["Head", "Part"]


class Part(NamedTuple):
    """A layer of a head: its weight has shape (N, K), its bias (N,).

    ``K`` is None for a LayerNorm over N values. ``kind`` is what an .edgebert file keeps the weight in: ``"float32"``,
    ``"float16"``, or ``"int8"``, in which it is computed too.
    """

    name: str
    N: int
    K: int | None
    kind: str = "float32"


class Head(ABC):
    """A head: from the hidden states of some tokens to logits.

    Attributes
    ----------
    name : str
        In an .edgebert file.
    architecture : str
        The name of the class in Hugging Face's libraries, without the family's.
    tasks : tuple of str
        The methods of `edgebert.Model` that need it.
    serves : str
        The same for people, with what else they need.
    has_labels : bool
        Whether the model's labels are those of this head.
    decision : str
        What it decides, in a word, for receipts: ``"label"``.
    exported : str
        What a C program asks it about: ``"text"``, for one label of each, or ``"tokens"``; empty where it cannot.
    """

    name: ClassVar[str]
    architecture: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]
    serves: ClassVar[str]
    has_labels: ClassVar[bool]
    decision: ClassVar[str]
    exported: ClassVar[str] = ""

    @abstractmethod
    def __init__(self, tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Backend) -> None: ...

    @staticmethod
    @abstractmethod
    def parts(config: BertConfig, num_labels: int) -> list[Part]:
        """Return its layers."""

    @classmethod
    @abstractmethod
    def is_among(cls, names: Container[str]) -> bool:
        """Tell by the names of a checkpoint's tensors whether it has this head, where its config names no class."""

    @classmethod
    def label_names(cls, labels: Sequence[str]) -> Sequence[str]:
        """Return what its outputs are called, of a model with these labels."""
        return labels

    @classmethod
    def function(cls, problem_type: str) -> str:  # noqa: ARG003
        """Return what makes scores of its logits: ``"softmax"``, ``"sigmoid"`` or ``"none"``."""
        return "softmax"

    @classmethod
    def chain(cls, config: BertConfig) -> list[tuple[str, str]]:
        """Return the names of its layers with the activation behind each, where it is nothing but float32 layers."""
        raise NotImplementedError(f"{cls.name} is more than a chain of layers")

    @abstractmethod
    def logits(self, hidden: np.ndarray) -> np.ndarray:
        """Return float32 (M, outputs) for the hidden states of M tokens, (M, H)."""

    @staticmethod
    @abstractmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:
        """Return the indices of the tokens of a batch whose hidden states it reads."""

    @staticmethod
    @abstractmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:
        """Return what it decides, in whole numbers, which a quantized model should decide alike.

        `logits` as above for tokens of several texts, `text` int (M,) the text that each belongs to.
        """
