"""What an .edgebert file says of its model: read and checked without anything being computed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgebert.artifact import damaged, read_artifact
from edgebert.config import HEAD_ACTIVATIONS, BertConfig
from edgebert.errors import CheckpointError
from edgebert.heads import HEADS, architecture_of, serves
from edgebert.heads.classification import FUNCTIONS
from edgebert.heads.pooling import POOLINGS, DenseStep, Pipeline, poolings_of
from edgebert.layout import EMBEDDINGS, TOKENIZER, check_tensors, expected_tensors, unpack_tokenizer
from edgebert.tokens import TRUNCATION_SIDES

__all__ = ["Described", "Description"]

_MOST_FAULTS = 20
_DENSE = "[outputs, inputs, activation] of each module, each reading what the one before gives"


class Described(Protocol):
    """What has to be known of a model for it to be asked anything.

    Attributes
    ----------
    path : Path
    config : BertConfig
    tensors : mapping of str to ndarray
        As in `edgebert.layout`, views of the mapped file; or a checkpoint's.
    heads : tuple of str
    problem_type, mask_token, default_prompt : str
    pipeline : Pipeline
        What comes behind the encoder of a model for embeddings.
    include_prompt : bool
        Whether the tokens of a prompt count when a text's are pooled.
    labels : tuple of str
    prompts : dict of str to str
    max_length : int
    truncation_side : str
        Which end of a text is cut off where only one window of it is seen: ``"right"`` or ``"left"``.
    tokenizer : str
        A ``tokenizer.json``.
    card : str
        What the model's makers say of it; empty where they say nothing.

    """

    path: Path
    config: BertConfig
    tensors: Mapping[str, np.ndarray]
    heads: tuple[str, ...]
    problem_type: str
    mask_token: str
    default_prompt: str
    pipeline: Pipeline
    include_prompt: bool
    labels: tuple[str, ...]
    prompts: dict[str, str]
    max_length: int
    truncation_side: str
    tokenizer: str
    card: str

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""

    def check_unchanged(self) -> None:
        """Raise ArtifactError when somebody has written over the file that `tensors` are views of."""


class Description:
    """A model in an .edgebert file.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    embeddings : str
        What the word embeddings are kept in. The others are those of `Described`.

    Raises
    ------
    ArtifactError
        When the file is missing, damaged, or of a newer format; every fault of its contents is named.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._artifact = artifact = read_artifact(path)
        self.path = artifact.path
        self.tensors: Mapping[str, np.ndarray] = artifact.tensors
        try:
            self.config = BertConfig.from_dict(artifact.json("config"))
        except (CheckpointError, AttributeError) as error:
            raise damaged(artifact.path, str(error)) from error
        self.problem_type, self.embeddings, self.mask_token, self.default_prompt, self.card = (
            artifact.metadata.get(name, "")
            for name in ("problem_type", "embeddings", "mask_token", "default_prompt", "model_card")
        )
        self.truncation_side = artifact.metadata.get("truncation_side", "right")
        self.heads: tuple[str, ...] = tuple(self._json("heads", list, str))
        self.include_prompt: bool = self._json("include_prompt", bool)
        self.labels: tuple[str, ...] = tuple(self._json("labels", list, str))
        self.prompts: dict[str, str] = self._json("prompts", dict, str)
        self.max_length: int = self._json("max_length", int)
        self.pipeline = self._pipeline()
        self._check()
        try:
            self.tokenizer = unpack_tokenizer(self.tensors[TOKENIZER])
        except ValueError as error:
            raise damaged(artifact.path, str(error)) from error

    def _json(self, key: str, kind: type, inner: type = object) -> Any:
        """Return a value that was stored as JSON, of a type; a list or a dict of values of another."""
        value = self._artifact.json(key)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if type(value) is not kind or not all(isinstance(each, inner) for each in inside):
            raise damaged(self.path, f"its {key} is {value!r}, expected a {kind.__name__}")
        return value

    def _pipeline(self) -> Pipeline:
        """Return what comes behind the encoder; files of older versions truncate no vectors."""
        rows = self._json("dense", list, list)
        try:
            dense = tuple(DenseStep(*row) for row in rows)
        except TypeError as error:
            raise damaged(self.path, f"its dense is {rows!r}, expected {_DENSE}") from error
        truncate_dim = self._json("truncate_dim", int) if "truncate_dim" in self._artifact.metadata else 0
        return Pipeline(self._artifact.metadata.get("pooling", ""), dense, self._json("normalize", bool), truncate_dim)

    def _pipeline_faults(self) -> list[str]:
        """Return what no vector could be made with."""
        pipeline, faults = self.pipeline, []
        names = poolings_of(pipeline.pooling)
        if not set(names) <= set(POOLINGS):
            faults.append(f"pooling is {pipeline.pooling!r}, expected one of {', '.join(POOLINGS)}, or several with +")
        inputs = [self.config.hidden_size * len(names), *(step.N for step in pipeline.dense)]
        sound = all(
            type(step.N) is int
            and step.N > 0
            and step.K == K
            and step.activation in ("", *HEAD_ACTIVATIONS)
            and type(step.unit_input) is bool
            for step, K in zip(pipeline.dense, inputs, strict=False)
        )
        if not sound:
            faults.append(f"dense is {[step.row for step in pipeline.dense]!r}, expected {_DENSE}")
        if pipeline.truncate_dim < 0:
            faults.append(f"truncate_dim is {pipeline.truncate_dim}, expected a number of values, or 0 for all")
        return faults

    def _check(self) -> None:
        """Compare the file with the table of what it must hold."""
        longest = self.config.max_position_embeddings
        faults = [f"there is no head {head!r}, expected {', '.join(HEADS)}" for head in self.heads if head not in HEADS]
        if self.default_prompt and self.default_prompt not in self.prompts:
            faults.append(f"default_prompt is {self.default_prompt!r}, expected one of {', '.join(self.prompts)}")
        if self.embeddings not in EMBEDDINGS:
            faults.append(f"embeddings is {self.embeddings!r}, expected one of {', '.join(EMBEDDINGS)}")
        if "sequence_classification" in self.heads and self.problem_type not in FUNCTIONS:
            faults.append(f"problem_type is {self.problem_type!r}, expected one of {', '.join(FUNCTIONS)}")
        if self.truncation_side not in TRUNCATION_SIDES:
            faults.append(f"truncation_side is {self.truncation_side!r}, expected {' or '.join(TRUNCATION_SIDES)}")
        if not 3 <= self.max_length <= longest:
            faults.append(f"max_length is {self.max_length!r}, expected 3 to {longest}")
        if not self.labels and any(HEADS[head].has_labels for head in self.heads if head in HEADS):
            faults.append("there are no labels, expected one at least")
        faults += self._pipeline_faults()
        if not faults:
            sizes = [(step.N, step.K) for step in self.pipeline.dense]
            expected = expected_tensors(self.config, self.heads, len(self.labels), sizes, self.embeddings)
            faults += check_tensors(self.tensors, expected)
        if faults:
            raise damaged(self.path, "; ".join(faults[:_MOST_FAULTS]))

    def check_unchanged(self) -> None:
        """Check that the file is what it was, as `edgebert.artifact.Artifact` does; raise ArtifactError."""
        self._artifact.check_unchanged()

    @property
    def pooling(self) -> str:
        """The pooling, several joined by ``+``."""
        return self.pipeline.pooling

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""
        metadata = self._artifact.metadata
        parameters = sum(array.size for name, array in self.tensors.items() if name.endswith((".weight", ".bias")))
        if self.embeddings == "int4":  # two values a byte
            parameters += self.tensors["embeddings.word_embeddings.weight"].size
        return {
            "file": str(self.path),
            "size_bytes": self._artifact.size,
            "format_version": int(metadata["format_version"]),
            "source": metadata.get("source", ""),
            "source_sha256": metadata.get("source_sha256", ""),
            "architecture": architecture_of(self.heads),
            "heads": list(self.heads),
            "serves": serves(self.heads),
            "parameters": parameters,
            **self.config.to_dict(),
            "scheme": metadata.get("scheme", ""),
            "embeddings": self.embeddings,
            "max_length": self.max_length,
            "truncation_side": self.truncation_side,
            "labels": list(self.labels),
            "problem_type": self.problem_type,
            "pooling": self.pipeline.pooling,
            "dense": [step.row for step in self.pipeline.dense],
            "normalize": self.pipeline.normalize,
            "truncate_dim": self.pipeline.truncate_dim,
            "prompts": list(self.prompts),
            "receipt": self._artifact.json("receipt"),
        }
