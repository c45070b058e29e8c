"""A model in an .edgebert file: read and checked without anything being computed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebert.artifact import damaged, read_artifact
from edgebert.families import encoder_of
from edgebert.heads import architecture_of
from edgebert.layout import EMBEDDINGS, TOKENIZER, check_tensors, expected_tensors, unpack_tokenizer
from edgebert.model_info import ModelInfo

__all__ = ["ModelFile"]

_MOST_FAULTS = 20


class ModelFile:
    """A model in an .edgebert file.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    path : Path
    info : ModelInfo
    tensors : mapping of str to ndarray
        As in `edgebert.layout`, views of the mapped file.
    embeddings : str
        What the word embeddings are kept in.

    Raises
    ------
    ArtifactError
        When the file is missing, damaged, or of a newer format; every fault of its contents is named.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._artifact = artifact = read_artifact(path)
        self.path = artifact.path
        self.tensors: Mapping[str, np.ndarray] = artifact.tensors
        self.embeddings = artifact.metadata.get("embeddings", "")
        info = ModelInfo.from_artifact(artifact)
        self._check(info)
        try:
            self.info = dataclasses.replace(info, tokenizer=unpack_tokenizer(self.tensors[TOKENIZER]))
        except ValueError as error:
            raise damaged(artifact.path, str(error)) from error

    def _check(self, info: ModelInfo) -> None:
        """Compare the file with the table of what it must hold."""
        faults = info.faults()
        if self.embeddings not in EMBEDDINGS:
            faults.append(f"embeddings is {self.embeddings!r}, expected one of {', '.join(EMBEDDINGS)}")
        if not faults:
            sizes = [(step.N, step.K) for step in info.pipeline.dense]
            queries = info.sparse is not None and info.sparse.query_weights
            factor = f"{encoder_of(info.config).embeddings.words.name}.factor" in self.tensors
            expected = expected_tensors(info.config, info.parts, sizes, self.embeddings, queries, factor)
            faults += check_tensors(self.tensors, expected)
        if faults:
            raise damaged(self.path, "; ".join(faults[:_MOST_FAULTS]))

    def check_unchanged(self) -> None:
        """Check that the file is what it was, as `edgebert.artifact.Artifact` does; raise ArtifactError."""
        self._artifact.check_unchanged()

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about the model, in the order of reading them."""
        metadata, info = self._artifact.metadata, self.info
        parameters = sum(array.size for name, array in self.tensors.items() if name.endswith((".weight", ".bias")))
        if self.embeddings == "int4":  # two values a byte
            parameters += self.tensors[f"{encoder_of(info.config).embeddings.words.name}.weight"].size
        return {
            "file": str(self.path),
            "size_bytes": self._artifact.size,
            "format_version": int(metadata["format_version"]),
            "source": info.source,
            "source_sha256": info.source_sha256,
            "license": info.licence,
            "language": list(info.languages),
            "checksum": self._artifact.checksum,
            "architecture": architecture_of(info.heads),
            "heads": list(info.heads),
            "serves": info.serves,
            "parameters": parameters,
            **info.config.to_dict(),
            "scheme": metadata.get("scheme", ""),
            "embeddings": self.embeddings,
            "max_length": info.max_length,
            "dimensions": info.pipeline.dimensions(info.config.hidden_size),
            "truncation_side": info.truncation_side,
            "labels": list(info.labels),
            "problem_type": info.problem_type,
            "pooling": info.pipeline.pooling,
            "dense": [step.row for step in info.pipeline.dense],
            "normalize": info.pipeline.normalize,
            "truncate_dim": info.pipeline.truncate_dim,
            **({"sparse": info.sparse._asdict()} if info.sparse else {}),
            **({"late_interaction": info.late_interaction._asdict()} if info.late_interaction else {}),
            **({"gliner": info.gliner._asdict()} if info.gliner else {}),
            **({"pair_texts": list(info.pair_texts)} if info.pair_texts else {}),
            "prompts": list(info.prompts),
            "receipt": self._artifact.json("receipt"),
        }
