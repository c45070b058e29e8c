"""Documents in the order of a query: by a cross-encoder's score, or by how well their vectors fit the query's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError, shown
from edgebert.heads import Head
from edgebert.heads.late_interaction import maxsim
from edgebert.runner import Runner
from edgebert.tasks.classify import pair_logits, pooled_scores, prompt_of_pairs
from edgebert.tasks.embed import (
    DOCUMENT_PROMPTS,
    QUERY_PROMPTS,
    VectorOptions,
    embed,
    embed_windows,
    prompt_of,
    prompted,
)
from edgebert.tasks.embed import require as require_vectors
from edgebert.tasks.late_interaction import embed_tokens, require
from edgebert.tasks.similarity import cosines
from edgebert.tasks.sparse import embed_sparse

__all__ = ["best", "check_label", "relevance", "scorer_of"]


def scorer_of(runner: Runner) -> Head | None:
    """Return the head that scores a query and a document together; None for a model that makes vectors of each.

    Raises
    ------
    InputError
        When the model has a head for something else.
    """
    if runner.info.gliner:
        require_vectors(runner)
    return runner.require("rank") if runner.info.heads and runner.info.sparse is None else None


def check_label(runner: Runner, label: str | None) -> int:
    """Return which output of a cross-encoder is the score; 0 for a model that ranks by vectors.

    Raises
    ------
    InputError
        When it is not clear whose score is to count, or there is no such label.
    """
    labels = runner.info.labels
    if scorer_of(runner) is None:
        if label is not None:
            raise InputError(
                f"label is {shown(label)}, but {runner.source.path.name} has no labels: it ranks by the similarity of"
                " vectors; leave the label out"
            )
        return 0
    if label is None and len(labels) != 1:
        raise InputError(
            f"the model has {len(labels)} labels, expected one: a cross-encoder, which was trained to score a query and"
            f" a document together; or the label whose score is to count, of {', '.join(labels)}"
        )
    if label is not None and not (isinstance(label, str) and label in labels):
        raise InputError(f"label is {shown(label)}, expected one of the model's: {', '.join(labels)}")
    return 0 if label is None else list(labels).index(label)


def relevance(
    runner: Runner, query: str, documents: Sequence[str], column: int, cut: Cut
) -> tuple[list[float], list[Coverage]]:
    """Score documents for a query: a document is worth what its best window is (arXiv 1905.09217)."""
    head = scorer_of(runner)
    if runner.info.late_interaction:
        return _best_of_tokens(runner, query, documents, cut)
    if head is None and runner.info.sparse:
        return _words_in_common(runner, query, documents, cut)
    if head is None:
        return _closeness(runner, query, documents, cut)
    query, function = prompt_of_pairs(runner) + query, head.function(runner.info.problem_type)
    each, coverages = pair_logits(runner, head, [(query, document) for document in documents], cut)
    return [float(pooled_scores(logits, function, "max")[column]) for logits in each], coverages


def best(documents: Sequence[str], scores: Sequence[float | None], top_k: int | None) -> list[dict[str, Any]]:
    """Return the documents that have a score, the best first, and of the same score the earlier first."""
    scored = [(score, i) for i, score in enumerate(scores) if score is not None]
    return [
        {"index": i, "score": score, "text": documents[i]}
        for score, i in sorted(scored, key=lambda pair: -pair[0])[:top_k]
    ]


def _closeness(runner: Runner, query: str, documents: Sequence[str], cut: Cut) -> tuple[list[float], list[Coverage]]:
    """Score documents by the cosines of their vectors to the query's, with the model's prompts for both."""
    info, unit = runner.info, VectorOptions(normalize=True)
    before_query, before = (
        prompt_of(info.prompts, info.default_prompt, None, prompted(info.prompts, names))
        for names in (QUERY_PROMPTS, DOCUMENT_PROMPTS)
    )
    asked, (coverage,) = embed(runner, [query], unit, before_query)
    found, _, coverages = embed_windows(runner, documents, unit, before, cut)
    scores = [float(cosines(own.vectors, asked[0][None]).max()) for own in found]
    return scores, [each._replace(truncated=each.truncated or coverage.truncated) for each in coverages]


def _best_of_tokens(
    runner: Runner, query: str, documents: Sequence[str], cut: Cut
) -> tuple[list[float], list[Coverage]]:
    """Score documents by the best of their tokens' vectors for each of the query's (arXiv 2004.12832)."""
    late = require(runner)
    (asked,), (coverage,) = embed_tokens(runner, [query], Cut(cut.truncate), query=True)
    found, coverages = embed_tokens(runner, documents, cut)
    scores = [maxsim(asked, each, mean=late.mean) for each in found]
    return scores, [each._replace(truncated=each.truncated or coverage.truncated) for each in coverages]


def _words_in_common(
    runner: Runner, query: str, documents: Sequence[str], cut: Cut
) -> tuple[list[float], list[Coverage]]:
    """Score documents by the dot products of their sparse vectors with the query's."""
    (asked,), (coverage,) = embed_sparse(runner, [query], Cut(truncate=True), query=True)
    found, coverages = embed_sparse(runner, documents, cut)
    scores = [asked.dot(each) for each in found]
    return scores, [each._replace(truncated=each.truncated or coverage.truncated) for each in coverages]
