"""Compare two models on texts: the int8 one and the one that it was made from."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from edgebert.batch import batches, pack
from edgebert.checkpoint import Checkpoint, open_checkpoint
from edgebert.config import BertConfig
from edgebert.engine.backend import Backend, open_backend
from edgebert.engine.devices import choose_device
from edgebert.engine.threads import default_threads
from edgebert.errors import AccuracyError, InputError
from edgebert.evaluate.float32 import Float32Backend
from edgebert.evaluate.spans import OF_EVALUATION, span_texts
from edgebert.exact import mean, total
from edgebert.heads import HEADS
from edgebert.heads.gliner import ABSENT, GlinerHead, decisions
from edgebert.heads.late_interaction import TokenVectors
from edgebert.heads.pooling import Embedding
from edgebert.heads.splade import sparse_vectors
from edgebert.model_file import ModelFile
from edgebert.tokens import TextTokenizer
from edgebert.windows import Window, fitting_ids

__all__ = ["Comparison", "Side", "compare", "cosines", "evaluate", "masked", "text_hash", "token_budget"]

TOKEN_BUDGET = 4096
_LOGITS = 1 << 20
"""Logits that sums are taken of at a time: a vocabulary may be large."""
_MASK_EVERY = 7
"""Tokens that are masked for a head that restores them: every so many-th, about as many as in BERT's training."""


class Side(NamedTuple):
    """A model to compare, in memory; its heads' tensors are found by their names.

    Attributes
    ----------
    backend : Backend
    tensors : mapping of str to ndarray
    config : BertConfig, optional
        Its own, where that differs from the checkpoint's.
    """

    backend: Backend
    tensors: Mapping[str, np.ndarray]
    config: BertConfig | None = None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What two models say of the same texts.

    Attributes
    ----------
    texts : tuple of str
    tokens : int
        In all of them.
    pooled_cosines : ndarray [shape=(texts,), dtype=float64]
        Of the texts' vectors, as the model gives them: pooled, behind its Dense modules; or sparse; or, of a model for
        late interaction, the mean of those of its tokens.
    token_cosines : ndarray [shape=(tokens,), dtype=float64]
        Of the tokens' last hidden states.
    decisions : dict of str to (ndarray, ndarray)
        Of each head: what the int8 model decided, and the one in fp32; a label for each text, a tag for each token, a
        word in each masked place. Whole numbers, of the same shape. A head that makes sparse vectors decides nothing.
    largest_difference : dict of str to float
        Of each head: between two logits.
    correlation : dict of str to float
        Of each head: of its logits in int8 and in fp32.
    logits, exact_logits : ndarray [shape=(texts, labels), dtype=float32] or None
        Of a classifier of texts, in int8 and in fp32; None without one.
    labels : tuple of str
    """

    texts: tuple[str, ...]
    tokens: int
    pooled_cosines: np.ndarray
    token_cosines: np.ndarray
    decisions: dict[str, tuple[np.ndarray, np.ndarray]]
    largest_difference: dict[str, float]
    correlation: dict[str, float]
    logits: np.ndarray | None
    exact_logits: np.ndarray | None
    labels: tuple[str, ...]

    @property
    def same_label(self) -> np.ndarray:
        """Whether both models give each text the same label: bool (texts,); for a classifier of texts alone."""
        found, exact = self.decisions["sequence_classification"]
        return found == exact

    @property
    def head_agreement(self) -> dict[str, float]:
        """Share of each head's decisions that are the same."""
        return {
            head: float((found == exact).mean()) if found.size else 1.0
            for head, (found, exact) in self.decisions.items()
        }

    @property
    def finite(self) -> bool:
        """Whether everything that both models computed is a finite number."""
        figures: list[Any] = [self.pooled_cosines, self.token_cosines]
        figures += [*self.largest_difference.values(), *self.correlation.values()]
        return all(bool(np.isfinite(each).all()) for each in figures)

    @property
    def agreement(self) -> float:
        """Share of the same decisions, of the head that agrees least; without one the texts' vectors' mean cosine."""
        return min(self.head_agreement.values(), default=float(mean(self.pooled_cosines)))

    @property
    def agreement_at_best(self) -> float:
        """The agreement that so many decisions leave possible: of the worst head, two standard deviations more."""
        shares = [
            share + 2 * math.sqrt(share * (1 - share) / max(self.decisions[head][0].size, 1))
            for head, share in self.head_agreement.items()
        ]
        return min(shares, default=self.agreement)

    @property
    def judged_by(self) -> str:
        """What `agreement` is of, for messages: the head and the number of its decisions."""
        if not self.decisions:
            return ""
        head, _ = min(self.head_agreement.items(), key=lambda pair: pair[1])
        return f" ({head}, {self.decisions[head][0].size} decisions)"

    @property
    def figures(self) -> dict[str, Any]:
        """The comparison in numbers, for a receipt."""
        return {
            "texts": len(self.texts),
            "tokens": self.tokens,
            "sha256": text_hash(self.texts),
            "pooled_cosine_mean": round(float(mean(self.pooled_cosines)), 6),
            "pooled_cosine_worst": round(float(self.pooled_cosines.min()), 6),
            "token_cosine_mean": round(float(mean(self.token_cosines)), 6),
            "token_cosine_worst": round(float(self.token_cosines.min()), 6),
            "heads": {
                head: {
                    "decisions": int(self.decisions[head][0].size),
                    "agreement": round(agreement, 6),
                    "largest_logit_difference": round(self.largest_difference[head], 6),
                    "logit_correlation": round(self.correlation[head], 6),
                }
                for head, agreement in self.head_agreement.items()
            },
        }


def text_hash(texts: Sequence[str]) -> str:
    """Return the SHA-256 of texts, one a line, in hexadecimal."""
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def evaluate(
    model: str | os.PathLike[str],
    against: str | os.PathLike[str],
    texts: Sequence[str],
    *,
    threads: int | None = None,
    device: str | None = None,
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
    threads, device
        As for `edgebert.load`.
    on_progress : callable, optional
        Called with (texts done, texts in all).

    Raises
    ------
    ArtifactError, CheckpointError
        When one of the models cannot be read.
    AccuracyError
        When one of them computes values that are no finite numbers.
    InputError
        When there are no texts, or the models do not belong together.
    """
    file, checkpoint = ModelFile(model), open_checkpoint(against)
    config = file.info.config
    # A file from before this field counts the padding like any token: it is compared as it is.
    facts = [
        (dataclasses.replace(info.config, positions_follow_padding=False), info.heads, info.labels)
        for info in (file.info, checkpoint.info)
    ]
    if facts[0] != facts[1]:
        raise InputError(
            f"{file.path} was not made from {checkpoint.info.source}: their sizes, heads or labels differ;"
            " name its source"
        )
    if file.facts["source_sha256"] != checkpoint.info.source_sha256:
        raise InputError(
            f"{file.path} was not made from the weights of {checkpoint.info.source}: it keeps the hash of"
            " others; name its source"
        )
    chosen, _ = choose_device(device)
    backend = open_backend(config, file.tensors, default_threads(threads), token_budget(config), chosen)
    return compare(checkpoint, Side(backend, file.tensors, config), texts, on_progress)


def token_budget(config: BertConfig) -> int:
    """Return the most tokens of one forward pass while two models are compared."""
    return max(TOKEN_BUDGET, config.max_position_embeddings)


def compare(
    checkpoint: Checkpoint,
    quantized: Side,
    texts: Sequence[str],
    on_progress: Callable[[int, int], object] | None = None,
) -> Comparison:
    """Compare a quantized model with the checkpoint that it comes from; parameters and errors are `evaluate`'s."""
    if not texts:
        raise InputError("there are no texts to evaluate on, expected at least one")
    exact = Side(Float32Backend(checkpoint.info.config, checkpoint.tensors), checkpoint.tensors)
    sides = quantized, exact
    config, pipeline = checkpoint.info.config, checkpoint.info.pipeline
    tokenizer = TextTokenizer.for_model(checkpoint.info)
    sparse, gliner = checkpoint.info.sparse, checkpoint.info.gliner
    spans = span_texts(tokenizer, gliner, texts, OF_EVALUATION) if gliner else []
    windows = [own.window for own in spans] or [tokenizer.single(text) for text in texts]
    words = "masked_lm" in checkpoint.info.heads and sparse is None
    mask = tokenizer.id_of(checkpoint.info.mask_token) if words else None
    if mask is not None:
        windows = [masked(window, mask) for window in windows]
    every_ids, every_types = fitting_ids(windows, config)
    heads = {
        name: [HEADS[name](side.tensors, config, side.backend) for side in sides] for name in checkpoint.info.heads
    }
    embeds: list[Callable[[Sequence[np.ndarray]], Iterable[np.ndarray]]]
    if sparse:  # its vectors are looked at, not the best words
        embeds = [partial(sparse_vectors, head.logits, sparse, config.vocab_size) for head in heads.pop("masked_lm")]
    elif checkpoint.info.late_interaction:
        embeds = [partial(map, TokenVectors(side.tensors, pipeline, side.backend)) for side in sides]
    else:
        embeds = [partial(map, Embedding(side.tensors, pipeline, side.backend)) for side in sides]
    pooled, token = np.empty(len(texts)), []
    finders = [GlinerHead(side.tensors, gliner, config, side.backend) for side in sides] if gliner else []
    answers = _Answers([*heads, *(["gliner"] if gliner else [])])
    for indices in batches([len(window.ids) for window in windows], token_budget(config)):
        ids, types = [every_ids[i] for i in indices], [every_types[i] for i in indices]
        batch = pack(ids, types, config.padding)
        own = batch if quantized.config is None else pack(ids, types, quantized.config.padding)
        hidden = [quantized.backend.encode(own), exact.backend.encode(batch)]
        token.append(cosines(*hidden))
        of_texts = [np.split(rows, batch.cu_seqlens[1:-1]) for rows in hidden]
        vectors = [embed(each) for embed, each in zip(embeds, of_texts, strict=True)]
        pooled[indices] = [
            float(mean(cosines(*map(np.atleast_2d, each)))) for each in zip(*vectors, strict=True)
        ]  # of late interaction, the mean over the tokens
        for name, own_sides in heads.items():
            rows = HEADS[name].reads(batch, mask)
            logits = [
                head.logits(head.inputs(states, batch, mask)) for head, states in zip(own_sides, hidden, strict=True)
            ]
            text = np.searchsorted(batch.cu_seqlens, rows, "right")
            answers.add(name, logits, [HEADS[name].decisions(each, text) for each in logits])
        for i, *states in zip(indices, *of_texts, strict=True) if gliner else ():
            found = [finder(own, *spans[i][1:]) for finder, own in zip(finders, states, strict=True)]
            there = found[0] != ABSENT
            answers.add("gliner", [each[there][:, None] for each in found], [decisions(each) for each in found])
        answers.order += indices
        if on_progress:
            on_progress(len(answers.order), len(texts))
    classifies = "sequence_classification" in heads
    comparison = Comparison(
        texts=tuple(texts),
        tokens=sum(len(window.ids) for window in windows),
        pooled_cosines=pooled,
        token_cosines=np.concatenate(token),
        decisions={name: answers.decided(name) for name in answers.largest},
        largest_difference=answers.largest,
        correlation={name: answers.correlation(name) for name in answers.largest},
        logits=answers.in_order(0) if classifies else None,
        exact_logits=answers.in_order(1) if classifies else None,
        labels=checkpoint.info.labels,
    )
    if not comparison.finite:
        raise AccuracyError(
            f"{checkpoint.info.source} computes values that are no finite numbers on the texts to evaluate on: its"
            " weights are damaged, or too large for int8; look at it with the library that it was made with"
        )
    return comparison


class _Answers:
    """What the heads of both models say, batch by batch; ``order`` are the texts so far, in the order of batches."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.order: list[int] = []
        self.largest = dict.fromkeys(heads, 0.0)
        self._sums = {name: np.zeros(6) for name in heads}
        self._decisions: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in heads}
        self._logits: list[tuple[np.ndarray, ...]] = []  # of the classifier of texts

    def add(self, name: str, logits: Sequence[np.ndarray], decided: Sequence[np.ndarray]) -> None:
        """Take what a head says of the rows of a batch, in int8 and in fp32, and what it decides by that."""
        if len(logits[0]):
            # NaN is the largest of all.
            self.largest[name] = float(np.maximum(self.largest[name], np.abs(logits[0] - logits[1]).max()))
            for begin in range(0, len(logits[0]), step := max(1, _LOGITS // logits[0].shape[1])):
                self._sums[name] += _moments(*(each[begin : begin + step] for each in logits))
            self._decisions[name].append(tuple(decided))
        if name == "sequence_classification":
            self._logits.append(tuple(logits))

    def correlation(self, name: str) -> float:
        """Return the correlation of a head's logits in int8 and in fp32; 1 where there are none, or all are equal."""
        count, x, y, xx, yy, xy = self._sums[name].tolist()
        spread = (count * xx - x * x) * (count * yy - y * y)
        if math.isnan(spread):
            return math.nan
        return (count * xy - x * y) / math.sqrt(spread) if spread > 0 else 1.0

    def decided(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return all decisions of a head; those of a classifier of texts in the order of the texts."""
        if name == "sequence_classification":
            found, exact = self.in_order(0), self.in_order(1)
            if exact.shape[1] == 1:
                # One label is a score: a text stays in the better half of the texts, or in the other.
                middle = np.median(exact)
                return (found[:, 0] > middle).astype(int), (exact[:, 0] > middle).astype(int)
            return found.argmax(axis=1), exact.argmax(axis=1)
        columns = zip(*self._decisions[name], strict=True) if self._decisions[name] else ((np.zeros(0, int),),) * 2
        found, exact = (np.concatenate(column) for column in columns)
        return found, exact

    def in_order(self, side: int) -> np.ndarray:
        """Return the logits of the classifier of texts, in int8 (0) or fp32 (1), in the order of the texts."""
        rows = np.concatenate([logits[side] for logits in self._logits])
        result = np.empty_like(rows)
        result[self.order] = rows
        return result


def _moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sums that a correlation is made of: 1, x, y, x x, y y, x y."""
    x, y = (each.astype(np.float64).reshape(-1) for each in (x, y))
    return np.array([float(len(x)), total(x), total(y), total(x * x), total(y * y), total(x * y)])


def masked(window: Window, mask: int) -> Window:
    """Mask every seventh token of a text, the first of these being its fourth or its last."""
    ids = window.ids.copy()
    own = ids[window.rows()]  # a view
    own[min(_MASK_EVERY // 2, max(len(own) - 1, 0)) :: _MASK_EVERY] = mask
    return window._replace(ids=ids)


def cosines(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the cosine of each row of `x` with the same row of `y`, float64 (rows,)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    lengths = np.sqrt(total(x * x) * total(y * y))
    return total(x * y) / np.maximum(lengths, 1e-300)
