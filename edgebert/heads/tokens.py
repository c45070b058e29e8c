"""A tag for every token, and names of several tokens (arXiv 1810.04805, section 5.3).

The five ways to make spans out of tags are those of transformers' pipeline for token classification. Beyond it, they
know other schemes of tags than BIO (`edgebert.schemes`), no span is empty, and words are never torn within a grapheme.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgebert.batch import PackedBatch
from edgebert.config import BertConfig
from edgebert.heads.chain import Part, transform
from edgebert.heads.head import Head
from edgebert.heads.pooler import has_pooler
from edgebert.schemes import Tag, tags_of
from edgebert.words import Words

__all__ = ["Tagged", "TokenClassification", "entities"]


class TokenClassification(Head):
    """The classifier of ``BertForTokenClassification``."""

    name = "token_classification"
    architecture = "ForTokenClassification"
    tasks = ("tag", "redact")
    serves = "tag() and redact()"
    has_labels = True
    decision = "tag"
    exported = "tokens"

    @classmethod
    def is_among(cls, names: Container[str], config: BertConfig) -> bool:  # noqa: ARG003 (as every head)
        """Tell by the names of a checkpoint's tensors whether it may have this head."""
        return "classifier.weight" in names and not has_pooler(names)

    @staticmethod
    def parts(config: BertConfig, num_labels: int = 0) -> list[Part]:
        """Return its layers."""
        before = transform(config) if config.head_layers.transform else []
        return [*before, Part("classifier", num_labels, config.hidden_size)]

    @staticmethod
    def reads(batch: PackedBatch, mask_id: int | None) -> np.ndarray:  # noqa: ARG004 (as every head)
        """Return the indices of all tokens but the special ones at both ends of each text."""
        ends = np.concatenate([batch.cu_seqlens[:-1], batch.cu_seqlens[1:] - 1])
        return np.setdiff1d(np.arange(len(batch.input_ids)), ends)

    @staticmethod
    def decisions(logits: np.ndarray, text: np.ndarray) -> np.ndarray:  # noqa: ARG004
        """Return the tag of each token."""
        return logits.argmax(axis=1)


class Tagged(NamedTuple):
    """A token or a word with its tag.

    ``piece`` counts those of the text, ``token`` its tokens; ``start`` and ``end`` are characters.
    """

    label: str
    score: float
    piece: int
    token: int
    start: int
    end: int


def entities(
    text: str,
    scores: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    continues: np.ndarray,
    labels: Sequence[str],
    strategy: str,
    ignored: Iterable[str],
) -> list[dict[str, Any]]:
    """Make the spans of one text.

    Parameters
    ----------
    text : str
    scores : ndarray [shape=(T, labels)]
        Of the text's own tokens, each row summing to one.
    starts, ends : ndarray [shape=(T,), dtype=int]
        Where each token stands in the text [characters].
    continues : ndarray [shape=(T,), dtype=bool]
        Whether a token belongs to the word of the one before.
    labels : sequence of str
    strategy : str
        Of `edgebert.choices.STRATEGIES`.
    ignored : iterable of str
        Labels that make no spans.

    Returns
    -------
    list of dict
        ``{"entity_group", "score", "word", "start", "end"}``, with ``none`` ``{"entity", "score", "index", "word",
        "start", "end"}``; ``word`` is ``text[start:end]``.
    """
    if not len(scores):
        return []
    ignored = set(ignored)
    if strategy in ("none", "simple"):
        tagged = _tagged(scores, starts, ends, np.arange(len(scores) + 1), labels, ignored)
    else:
        bounds = np.append(np.flatnonzero(~continues), len(scores))
        if bounds[0] != 0:  # a first token that continues a word begins one all the same
            bounds = np.insert(bounds, 0, 0)
        tagged = _tagged(_of_words(scores, bounds, strategy), starts, ends, bounds, labels, ignored)
    if strategy == "none":
        return [
            {"entity": t.label, "score": t.score, "index": t.token + 1, "word": text[t.start : t.end]}
            | {"start": t.start, "end": t.end}
            for t in tagged
        ]
    words = Words(text)
    if strategy != "simple":
        tagged = [t._replace(start=start, end=end) for t in tagged for start, end in [words.apart(t.start, t.end)]]
    spans = []
    taken = 0
    for name, group in _groups(tagged, tags_of(labels), None if strategy == "simple" else words):
        start, end = group[0].start, group[-1].end
        if strategy != "simple":
            start, end = words.whole(start, end)
            start = max(start, taken)  # what two spans would share, the first has
        if not text[start:end].strip() or name in ignored:
            continue
        taken = end
        score = float(np.mean([t.score for t in group]))
        spans.append({"entity_group": name, "score": score, "word": text[start:end], "start": start, "end": end})
    return spans


def _tagged(
    scores: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    bounds: np.ndarray,
    labels: Sequence[str],
    ignored: Collection[str],
) -> list[Tagged]:
    """Give each piece between two bounds its best label; leave out those with an ignored one, which are most."""
    best = scores.argmax(axis=1)
    pieces = np.flatnonzero(np.isin(best, [i for i, label in enumerate(labels) if label not in ignored]))
    first, last = bounds[pieces], bounds[pieces + 1] - 1
    columns = (best[pieces], scores[pieces, best[pieces]], pieces, first, starts[first], ends[last])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [Tagged(labels[label], *rest) for label, *rest in rows]


def _of_words(scores: np.ndarray, bounds: np.ndarray, strategy: str) -> np.ndarray:
    """Return the scores of each word, (words, labels), from those of its tokens."""
    first = bounds[:-1]
    if strategy == "first":
        return scores[first]
    if strategy == "average":
        return np.add.reduceat(scores, first, axis=0) / np.diff(bounds)[:, None]
    surest = scores.max(axis=1)
    pairs = zip(first.tolist(), bounds[1:].tolist(), strict=True)
    return scores[[begin + int(surest[begin:end].argmax()) for begin, end in pairs]]


def _groups(
    tagged: Sequence[Tagged], tags: Mapping[str, Tag], words: Words | None
) -> Iterator[tuple[str, list[Tagged]]]:
    """Put neighbours of one name together, unless a tag says that a span begins or has ended between them.

    Within what the words of the text show to be one thing no tag parts it: of an e-mail address every part may be
    tagged as if it began one.
    """
    group: list[Tagged] = []
    before = Tag("")
    for piece in tagged:
        tag = tags[piece.label]
        if group:
            last = group[-1]
            follows = piece.piece == last.piece + 1 and tag.name == before.name
            if follows and (tag.begins or before.ends):
                follows = words is not None and piece.start <= last.end and words.connects(piece.start)
            if not follows:
                yield before.name, group
                group = []
        group.append(piece)
        before = tag
    if group:
        yield before.name, group
