"""What is known of a model beside its weights, and how an .edgebert file keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from edgebert.artifact import Artifact, damaged
from edgebert.choices import FUNCTIONS, POOLINGS, TRUNCATION_SIDES
from edgebert.config import HEAD_ACTIVATIONS, BertConfig
from edgebert.errors import CheckpointError
from edgebert.families import config_of
from edgebert.heads import HEADS, head_parts, serves
from edgebert.heads.chain import Part
from edgebert.heads.gliner import Gliner, gliner_parts
from edgebert.heads.late_interaction import LateInteraction
from edgebert.heads.pooling import DenseStep, Pipeline, poolings_of
from edgebert.heads.splade import Splade

__all__ = ["ModelInfo", "ModelSource"]

_Record = TypeVar("_Record")
_DENSE = "[outputs, inputs, activation] of each module, each reading what the one before gives"


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What has to be known of a model for it to be asked anything.

    Attributes
    ----------
    config : BertConfig
        The encoder's sizes.
    heads : tuple of str
        Among `edgebert.heads.HEADS`; empty for an encoder alone.
    labels : tuple of str
        In the order of their ids; empty without a head that has labels.
    problem_type : str
        Among `edgebert.choices.FUNCTIONS`; empty without a classifier of texts.
    pipeline : Pipeline
        What comes behind the encoder of a model for embeddings.
    sparse : Splade or None
        How a model that was made for sparse vectors makes them; None for one that was not.
    late_interaction : LateInteraction or None
        How a model that was made for vectors of tokens makes them; None for one that was not.
    gliner : Gliner or None
        How a model that finds spans of any labels finds them; None for one of another kind.
    pair_texts : tuple of str or None
        What stands before the first text of a pair, between both, and behind the second, in place of what the
        tokenizer puts there; None where that does.
    prompts : mapping of str to str
        Texts to put before others, by name.
    default_prompt : str
        The name of the one that is used unless another is asked for; empty for none.
    include_prompt : bool
        Whether the tokens of a prompt count when a text's are pooled.
    mask_token : str
        What stands for a masked word; empty where the tokenizer has none.
    max_length : int
        Tokens that one text may have, special ones included.
    truncation_side : str
        Which end of a text is cut off where only one window of it is seen: ``"right"`` or ``"left"``.
    source, source_sha256 : str
        What the model was made from: the folder's name or ``org/name@revision``, and the SHA-256 of its weight files'
        bytes, one file after the other, in hexadecimal.
    card : str
        What the model's makers say of it; empty where they say nothing.
    licence : str
        Its name on Hugging Face's hub, ``"apache-2.0"``; empty where it is not told.
    languages : tuple of str
        Of the texts it is for: codes, ``"en"``; empty where they are not told.
    tokenizer : str
        A ``tokenizer.json`` without truncation and padding.
    """

    config: BertConfig
    heads: tuple[str, ...]
    labels: tuple[str, ...]
    problem_type: str
    pipeline: Pipeline
    sparse: Splade | None
    late_interaction: LateInteraction | None
    gliner: Gliner | None
    pair_texts: tuple[str, str, str] | None
    prompts: Mapping[str, str]
    default_prompt: str
    include_prompt: bool
    mask_token: str
    max_length: int
    truncation_side: str
    source: str
    source_sha256: str
    card: str
    licence: str
    languages: tuple[str, ...]
    tokenizer: str

    @property
    def serves(self) -> str:
        """What it can be asked, in the names of `edgebert.Model`'s methods."""
        if self.gliner:
            return "tag() with labels"
        return "embed_tokens() and rank()" if self.late_interaction else serves(self.heads)

    @property
    def parts(self) -> dict[str, Part]:
        """The layers behind the encoder by name, Dense modules apart."""
        if self.gliner:
            return gliner_parts(self.gliner, self.config.hidden_size)
        return head_parts(self.heads, self.config, len(self.labels))

    def to_json(self) -> dict[str, Any]:
        """Return the metadata of an .edgebert file: all but the tokenizer, which is a tensor there."""
        pipeline = self.pipeline
        return {
            "config": self.config.to_dict(),
            "heads": list(self.heads),
            "labels": list(self.labels),
            "problem_type": self.problem_type,
            "pooling": pipeline.pooling,
            "dense": [step.row for step in pipeline.dense],
            "normalize": pipeline.normalize,
            **({"truncate_dim": pipeline.truncate_dim} if pipeline.truncate_dim else {}),
            **({"sparse": list(self.sparse)} if self.sparse else {}),
            **({"late_interaction": list(self.late_interaction)} if self.late_interaction else {}),
            **({"gliner": list(self.gliner)} if self.gliner else {}),
            **({"pair_texts": list(self.pair_texts)} if self.pair_texts else {}),
            "prompts": dict(self.prompts),
            "default_prompt": self.default_prompt,
            "include_prompt": self.include_prompt,
            "mask_token": self.mask_token,
            "max_length": self.max_length,
            "truncation_side": self.truncation_side,
            "source": self.source,
            "source_sha256": self.source_sha256,
            "model_card": self.card,
            **({"license": self.licence} if self.licence else {}),
            **({"language": list(self.languages)} if self.languages else {}),
        }

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> ModelInfo:
        """Read what `to_json` made; the tokenizer is left empty.

        Raises
        ------
        ArtifactError
            When a value is missing or of another type; what the values may be `faults` tells.
        """
        try:
            config = config_of(artifact.json("config"))
        except (CheckpointError, AttributeError) as error:
            raise damaged(artifact.path, str(error)) from error
        text = artifact.metadata.get
        return cls(
            config=config,
            heads=tuple(_json(artifact, "heads", list, str)),
            include_prompt=_json(artifact, "include_prompt", bool),
            labels=tuple(_json(artifact, "labels", list, str)),
            prompts=_json(artifact, "prompts", dict, str),
            max_length=_json(artifact, "max_length", int),
            pipeline=_pipeline(artifact),
            sparse=_record(artifact, "sparse", Splade),
            late_interaction=_late_interaction(artifact),
            gliner=_record(artifact, "gliner", Gliner),
            pair_texts=_pair_texts(artifact),
            problem_type=text("problem_type", ""),
            default_prompt=text("default_prompt", ""),
            mask_token=text("mask_token", ""),
            truncation_side=text("truncation_side", "right"),
            source=text("source", ""),
            source_sha256=text("source_sha256", ""),
            card=text("model_card", ""),
            licence=text("license", ""),
            languages=tuple(_json(artifact, "language", list, str)) if "language" in artifact.metadata else (),
            tokenizer="",
        )

    def faults(self) -> list[str]:
        """Return what no model could be with these values."""
        longest = self.config.max_position_embeddings
        faults = [f"there is no head {head!r}, expected {', '.join(HEADS)}" for head in self.heads if head not in HEADS]
        if self.default_prompt and self.default_prompt not in self.prompts:
            faults.append(f"default_prompt is {self.default_prompt!r}, expected one of {', '.join(self.prompts)}")
        if "sequence_classification" in self.heads and self.problem_type not in FUNCTIONS:
            faults.append(f"problem_type is {self.problem_type!r}, expected one of {', '.join(FUNCTIONS)}")
        if self.truncation_side not in TRUNCATION_SIDES:
            faults.append(f"truncation_side is {self.truncation_side!r}, expected {' or '.join(TRUNCATION_SIDES)}")
        if not 3 <= self.max_length <= longest:
            faults.append(f"max_length is {self.max_length!r}, expected 3 to {longest}")
        if not self.labels and any(HEADS[head].has_labels for head in self.heads if head in HEADS):
            faults.append("there are no labels, expected one at least")
        if self.sparse and "masked_lm" not in self.heads:
            faults.append("it is for sparse vectors, and has no head masked_lm, which makes them")
        if self.late_interaction and self.heads:
            faults.append(f"it is for late interaction, and has the heads {', '.join(self.heads)}, expected none")
        if self.gliner and (self.heads or self.late_interaction):
            faults.append("it finds spans of any labels, and has other heads or settings beside, expected none")
        faults += self.sparse.faults() if self.sparse else []
        faults += self.gliner.faults(self.config) if self.gliner else []
        faults += self.late_interaction.faults(self.config) if self.late_interaction else []
        return faults + self._pipeline_faults()

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


def _json(artifact: Artifact, key: str, kind: type, inner: type = object) -> Any:
    """Return a value that was stored as JSON, of a type; a list or a dict of values of another."""
    value = artifact.json(key)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if type(value) is not kind or not all(isinstance(each, inner) for each in inside):
        raise damaged(artifact.path, f"its {key} is {value!r}, expected a {kind.__name__}")
    return value


def _pipeline(artifact: Artifact) -> Pipeline:
    """Return what comes behind the encoder; files of older versions truncate no vectors."""
    rows = _json(artifact, "dense", list, list)
    try:
        dense = tuple(DenseStep(*row) for row in rows)
    except TypeError as error:
        raise damaged(artifact.path, f"its dense is {rows!r}, expected {_DENSE}") from error
    truncate_dim = _json(artifact, "truncate_dim", int) if "truncate_dim" in artifact.metadata else 0
    return Pipeline(artifact.metadata.get("pooling", ""), dense, _json(artifact, "normalize", bool), truncate_dim)


def _record(artifact: Artifact, key: str, kind: type[_Record]) -> _Record | None:
    """Return a record that is kept as a list of its values, None where there is none."""
    if key not in artifact.metadata:
        return None
    values = _json(artifact, key, list)
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined] # of a NamedTuple
    if len(values) != len(fields):
        raise damaged(artifact.path, f"its {key} is {values!r}, expected {', '.join(fields)}")
    return kind(*values)


def _late_interaction(artifact: Artifact) -> LateInteraction | None:
    """Return how vectors of tokens are made, of a model for them."""
    late = _record(artifact, "late_interaction", LateInteraction)
    if late is None or not isinstance(late.skipped, list):
        return late
    return late._replace(skipped=tuple(late.skipped))


def _pair_texts(artifact: Artifact) -> tuple[str, str, str] | None:
    """Return what stands round the texts of a pair, where the tokenizer does not say it."""
    if "pair_texts" not in artifact.metadata:
        return None
    values = _json(artifact, "pair_texts", list, str)
    if len(values) != 3:
        raise damaged(artifact.path, f"its pair_texts is {values!r}, expected three texts")
    return (values[0], values[1], values[2])


class ModelSource(Protocol):
    """What a model can be loaded from: an .edgebert file (`ModelFile`), or a trained model (`Checkpoint`)."""

    @property
    def path(self) -> Path:
        """Where it lies; or the name of a model that lies nowhere."""

    @property
    def info(self) -> ModelInfo:
        """What is known of it."""

    @property
    def tensors(self) -> Mapping[str, np.ndarray]:
        """Its weights, as in `edgebert.layout`, or a checkpoint's."""

    @property
    def facts(self) -> dict[str, Any]:
        """What is to be told of it, in the order of reading."""

    def check_unchanged(self) -> None:
        """Raise ArtifactError when somebody has written over the file that `tensors` are views of."""
