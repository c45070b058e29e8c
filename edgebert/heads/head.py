"""What every head is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping, Sequence
from typing import ClassVar

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend
from edgebert.heads.chain import Chain, Part

__all__ = ["Head"]


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

    def __init__(self, tensors: Mapping[str, np.ndarray], config: BertConfig, backend: Backend) -> None:
        self._layers = Chain(self.parts(config), tensors, config, backend)

    @staticmethod
    @abstractmethod
    def parts(config: BertConfig, num_labels: int = 0) -> list[Part]:
        """Return its layers in order; `num_labels` is needed for the size of the last one alone, if it has labels."""

    @classmethod
    @abstractmethod
    def is_among(cls, names: Container[str], config: BertConfig) -> bool:
        """Tell by the names of a checkpoint's tensors whether it may have this head, if its config names no class."""

    @classmethod
    def label_names(cls, labels: Sequence[str]) -> Sequence[str]:
        """Return what its outputs are called, of a model with these labels."""
        return labels

    @classmethod
    def function(cls, problem_type: str) -> str:  # noqa: ARG003
        """Return what makes scores of its logits: ``"softmax"``, ``"sigmoid"`` or ``"none"``."""
        return "softmax"

    def logits(self, hidden: np.ndarray) -> np.ndarray:
        """Return float32 (M, outputs) for the hidden states of M tokens, or for what `of_text` makes of M texts'."""
        return self._layers(hidden)

    def inputs(self, hidden: np.ndarray, batch: PackedBatch, mask_id: int | None) -> np.ndarray:
        """Return what `logits` takes of the hidden states (T, H) of a batch: a row for each token that it reads."""
        return hidden[self.reads(batch, mask_id)]

    def of_text(self, states: np.ndarray) -> np.ndarray:
        """Return what `logits` takes of the hidden states (T, H) of one text, (H,); for heads of whole texts."""
        raise NotImplementedError(f"{self.name} looks at tokens")

    @staticmethod
    @abstractmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:
        """Return the indices of the tokens of a batch that it answers for; of whole texts, their first ones."""

    @staticmethod
    @abstractmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:
        """Return what it decides, in whole numbers, which a quantized model should decide alike.

        `logits` as above for tokens of several texts, `text` int (M,) the text that each belongs to.
        """
