"""Compare two models on texts: the int8 one and the one that it was made from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgebert.batch import TextTokenizer, batches, pack
from edgebert.checkpoint import Checkpoint, open_checkpoint
from edgebert.config import BertConfig
from edgebert.description import Description
from edgebert.engine.backend import Backend, open_backend
from edgebert.engine.processor import default_threads
from edgebert.errors import InputError
from edgebert.evaluate.float32 import Float32Backend
from edgebert.heads.classification import SequenceClassification
from edgebert.heads.pooling import pool

__all__ = ["Comparison", "Side", "compare", "cosines", "evaluate", "text_hash", "token_budget"]

TOKEN_BUDGET = 4096


class Side(NamedTuple):
    """A model to compare, in memory; the head's tensors are found by their names.

    Attributes
    ----------
    backend : Backend
    tensors : mapping of str to ndarray
    """

    backend: Backend
    tensors: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What two models say of the same texts.

    Attributes
    ----------
    texts : tuple of str
    tokens : int
        In all of them.
    pooled_cosines : ndarray [shape=(texts,), dtype=float64]
        Of the texts' vectors.
    token_cosines : ndarray [shape=(tokens,), dtype=float64]
        Of the tokens' last hidden states.
    logits, exact_logits : ndarray [shape=(texts, labels), dtype=float32] or None
        Of the int8 model and of the one in fp32; None without a classifier.
    labels : tuple of str
    """

    texts: tuple[str, ...]
    tokens: int
    pooled_cosines: np.ndarray
    token_cosines: np.ndarray
    logits: np.ndarray | None
    exact_logits: np.ndarray | None
    labels: tuple[str, ...]

    @property
    def same_label(self) -> np.ndarray:
        """Whether both models give each text the same label: bool (texts,)."""
        assert self.logits is not None
        assert self.exact_logits is not None
        return self.logits.argmax(axis=1) == self.exact_logits.argmax(axis=1)

    @property
    def agreement(self) -> float:
        """Share of the texts that keep their label; without a classifier the mean cosine of the texts' vectors."""
        return float(self.pooled_cosines.mean() if self.logits is None else self.same_label.mean())

    @property
    def figures(self) -> dict[str, Any]:
        """The comparison in numbers, for a receipt."""
        figures: dict[str, Any] = {
            "texts": len(self.texts),
            "tokens": self.tokens,
            "sha256": text_hash(self.texts),
            "pooled_cosine_mean": round(float(self.pooled_cosines.mean()), 6),
            "pooled_cosine_worst": round(float(self.pooled_cosines.min()), 6),
            "token_cosine_mean": round(float(self.token_cosines.mean()), 6),
            "token_cosine_worst": round(float(self.token_cosines.min()), 6),
        }
        if self.logits is not None and self.exact_logits is not None:
            figures["label_agreement"] = round(float(self.same_label.mean()), 6)
            figures["largest_logit_difference"] = round(float(np.abs(self.logits - self.exact_logits).max()), 6)
        return figures


def text_hash(texts: Sequence[str]) -> str:
    """Return the SHA-256 of texts, one a line, in hexadecimal."""
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def evaluate(
    model: str | os.PathLike[str],
    against: str | os.PathLike[str],
    texts: Sequence[str],
    *,
    threads: int | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Comparison:
    """Compare an .edgebert file with the trained model that it was made from, on texts.

    Parameters
    ----------
    model : path
        An .edgebert file.
    against : path or str
        What `edgebert.convert` takes as its source.
    texts : sequence of str
    threads : int, optional
        As for `edgebert.load`.
    on_progress : callable, optional
        Called with (texts done, texts in all).

    Raises
    ------
    ArtifactError, CheckpointError
        When one of the models cannot be read.
    InputError
        When there are no texts, or the models do not belong together.
    """
    description, checkpoint = Description(model), open_checkpoint(against)
    config = description.config
    if (config, description.labels) != (checkpoint.config, checkpoint.labels):
        raise InputError(
            f"{description.path} was not made from {checkpoint.name}: their sizes or labels differ; name its source"
        )
    backend = open_backend(config, description.tensors, default_threads(threads), token_budget(config))
    return compare(checkpoint, Side(backend, description.tensors), texts, on_progress)


def token_budget(config: BertConfig) -> int:
    """Return the most tokens of one forward pass while two models are compared."""
    return max(TOKEN_BUDGET, config.max_position_embeddings)


def compare(
    checkpoint: Checkpoint,
    quantized: Side,
    texts: Sequence[str],
    on_progress: Callable[[int, int], object] | None = None,
) -> Comparison:
    """Compare a quantized model with the checkpoint that it comes from; see `evaluate`."""
    if not texts:
        raise InputError("there are no texts to evaluate on, expected at least one")
    exact = Side(Float32Backend(checkpoint.config, checkpoint.tensors), checkpoint.tensors)
    tokenizer = TextTokenizer(checkpoint.tokenizer_json, checkpoint.max_length)
    tokens = [tokenizer(text) for text in texts]
    heads = [_head(checkpoint, side) for side in (quantized, exact)]
    pooled, token = np.empty(len(texts)), []
    logits = np.zeros((2, len(texts), len(checkpoint.labels)), np.float32)
    done = 0
    for indices in batches([len(text.ids) for text in tokens], token_budget(checkpoint.config)):
        batch = pack([tokens[i].ids for i in indices], [tokens[i].type_ids for i in indices])
        hidden = [side.backend.encode(batch) for side in (quantized, exact)]
        token.append(cosines(*hidden))
        of_texts = [np.split(rows, batch.cu_seqlens[1:-1]) for rows in hidden]
        vectors = [np.stack([pool(rows, checkpoint.pooling) for rows in each]) for each in of_texts]
        pooled[indices] = cosines(*vectors)
        for k, head in enumerate(heads):
            if head is not None:
                logits[k][indices] = head.logits(np.stack([rows[0] for rows in of_texts[k]]))
        done += len(indices)
        if on_progress:
            on_progress(done, len(texts))
    return Comparison(
        texts=tuple(texts),
        tokens=sum(len(text.ids) for text in tokens),
        pooled_cosines=pooled,
        token_cosines=np.concatenate(token),
        logits=logits[0] if heads[0] else None,
        exact_logits=logits[1] if heads[0] else None,
        labels=checkpoint.labels,
    )


def _head(checkpoint: Checkpoint, side: Side) -> SequenceClassification | None:
    if checkpoint.head != "sequence_classification":
        return None
    return SequenceClassification(side.tensors, checkpoint.labels, checkpoint.problem_type, side.backend)


def cosines(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the cosine of each row of `x` with the same row of `y`, float64 (rows,)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    lengths = np.sqrt(np.square(x).sum(axis=1) * np.square(y).sum(axis=1))
    return (x * y).sum(axis=1) / np.maximum(lengths, 1e-300)
