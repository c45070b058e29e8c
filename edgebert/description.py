"""What an .edgebert file says of its model: read and checked without anything being computed."""

from __future__ import annotations

import os
from typing import Any

from edgebert.artifact import damaged, read_artifact
from edgebert.config import BertConfig
from edgebert.errors import CheckpointError
from edgebert.heads.pooling import POOLINGS
from edgebert.layout import TOKENIZER, check_tensors, expected_tensors, unpack_tokenizer

__all__ = ["Description"]

_HEADS = {"none": "BertModel", "sequence_classification": "BertForSequenceClassification"}
_MOST_FAULTS = 20


class Description:
    """A model, described.

    Parameters
    ----------
    path : path
        An .edgebert file.

    Attributes
    ----------
    config : BertConfig
    tensors : dict of str to ndarray
        As in `edgebert.layout`; views of the mapped file.
    head, problem_type, pooling : str
    normalize : bool
    labels : tuple of str
    max_length : int
    tokenizer : str
        A ``tokenizer.json``.
    card : str
        What the model's makers say of it; empty where they say nothing.

    Raises
    ------
    ArtifactError
        When the file is missing, damaged, or of a newer format; every fault of its contents is named.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._artifact = artifact = read_artifact(path)
        self.path, self.tensors = artifact.path, artifact.tensors
        try:
            self.config = BertConfig.from_dict(artifact.json("config"))
        except (CheckpointError, AttributeError) as error:
            raise damaged(artifact.path, str(error)) from error
        self.head = artifact.metadata.get("head", "")
        self.problem_type = artifact.metadata.get("problem_type", "")
        self.pooling = artifact.metadata.get("pooling", "")
        self.card = artifact.metadata.get("model_card", "")
        self.normalize: bool = artifact.json("normalize")
        self.labels: tuple[str, ...] = tuple(artifact.json("labels"))
        self.max_length: int = artifact.json("max_length")
        self._check()
        try:
            self.tokenizer = unpack_tokenizer(self.tensors[TOKENIZER])
        except ValueError as error:
            raise damaged(artifact.path, str(error)) from error

    def _check(self) -> None:
        """Compare the file with the table of what it must hold."""
        longest = self.config.max_position_embeddings
        faults = check_tensors(self.tensors, expected_tensors(self.config, self.head, len(self.labels)))
        if self.head not in _HEADS:
            faults.append(f"head is {self.head!r}, expected one of {', '.join(_HEADS)}")
        if type(self.max_length) is not int or not 3 <= self.max_length <= longest:
            faults.append(f"max_length is {self.max_length!r}, expected 3 to {longest}")
        if self.pooling not in POOLINGS:
            faults.append(f"pooling is {self.pooling!r}, expected one of {', '.join(POOLINGS)}")
        if faults:
            raise damaged(self.path, "; ".join(faults[:_MOST_FAULTS]))

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""
        metadata = self._artifact.metadata
        parameters = sum(array.size for name, array in self.tensors.items() if name.endswith((".weight", ".bias")))
        return {
            "file": str(self.path),
            "size_bytes": self._artifact.size,
            "format_version": int(metadata["format_version"]),
            "source": metadata.get("source", ""),
            "source_sha256": metadata.get("source_sha256", ""),
            "architecture": _HEADS[self.head],
            "parameters": parameters,
            **self.config.to_dict(),
            "scheme": metadata.get("scheme", ""),
            "max_length": self.max_length,
            "labels": list(self.labels),
            "problem_type": self.problem_type,
            "pooling": self.pooling,
            "normalize": self.normalize,
            "receipt": self._artifact.json("receipt"),
        }
