"""Sparse vectors of texts: words of the model's vocabulary with their weights (`edgebert.heads.splade`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from edgebert.coverage import Coverage, Cut
from edgebert.heads.splade import QUERY_WEIGHTS, Splade, sparse_vectors
from edgebert.runner import Runner, finite
from edgebert.tasks.embed import QUERY_PROMPTS, prompt_of, prompt_tokens, prompted, windows_of
from edgebert.windows import whole_rows

__all__ = ["SparseVector", "embed_sparse"]


class SparseVector(dict[Any, float]):
    """Words of a vocabulary, or their ids, with their weights, the best first; all others have the weight 0."""

    def dot(self, other: Mapping[Any, float]) -> float:
        """Return the sum of the products of the weights of what both have: how well a text fits a query."""
        return sum((weight * other[word] for word, weight in self.items() if word in other), 0.0)


def embed_sparse(
    runner: Runner,
    texts: Sequence[str],
    cut: Cut,
    *,
    top_k: int | None = None,
    query: bool = False,
    ids: bool = False,
    prompt: str | None = None,
    prompt_name: str | None = None,
) -> tuple[list[SparseVector], list[Coverage]]:
    """Compute the sparse vector of each text: from one window of it, or from all of them as if they were one.

    Parameters are those of `Model.embed_sparse`. Of a text in several windows a token counts where it has most around
    it, and the special tokens before the first and behind the last.
    """
    head, info = runner.require("embed_sparse"), runner.info
    splade = info.sparse or Splade()
    if query and prompt is None and prompt_name is None:
        prompt_name = prompted(info.prompts, QUERY_PROMPTS)
    before = prompt_of(info.prompts, info.default_prompt, prompt, prompt_name)
    contents = runner.contents(before + text for text in texts)
    make = partial(_vector, count=top_k or splade.most_words or None, name=int if ids else runner.tokenizer.token_of)
    if query and splade.query_weights:
        weights = runner.source.tensors[QUERY_WEIGHTS]
        words = [_known(runner, np.unique(content.ids)) for content in contents]
        vectors = [make(own, weights[own]) for own in words]
        return vectors, [Coverage(len(content.ids), 1, False) for content in contents]
    # Weights are looked at, whether they are numbers: logits are thousands of times as many.
    vectors_of = partial(sparse_vectors, head.logits, splade, runner.config.vocab_size)
    lead = prompt_tokens(runner.tokenizer, before)
    cuts = [windows_of(runner.tokenizer, content, lead, cut) for content in contents]
    windows, coverages = [own for own, _ in cuts], [coverage for _, coverage in cuts]
    rows = [whole_rows(own) for own in windows]
    found: list[list[Any]] = [[None] * len(own) for own in windows]
    for batch in runner.encode(windows):
        states = [each.states[rows[each.text][each.number]] for each in batch]
        for each, vector in zip(batch, vectors_of(states), strict=True):
            active = np.flatnonzero(finite(vector, "vectors"))
            found[each.text][each.number] = active, vector[active]
    vectors = [make(*_joined(own, splade, runner.config.vocab_size)) for own in found]
    return vectors, coverages


def _known(runner: Runner, words: np.ndarray) -> np.ndarray:
    """Return ids, in order, of which each has to be one of the model's; raise ArtifactError."""
    for word in words[-1:].tolist():
        runner.tokenizer.checked_id(runner.tokenizer.token_of(word), word)
    return words


def _joined(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], splade: Splade, vocab_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make one vector of those of a text's windows, each words (n,) and weights (n,)."""
    if len(parts) == 1:
        return parts[0]
    whole = np.zeros(vocab_size, np.float32)
    for words, weights in parts:
        whole[words] = np.maximum(whole[words], weights) if splade.strategy == "max" else whole[words] + weights
    words = np.flatnonzero(whole)
    return words, whole[words]


def _vector(words: np.ndarray, weights: np.ndarray, count: int | None, name: Callable[[int], Any]) -> SparseVector:
    """Name words that have a weight, the best first, and of the same weight the earlier in the vocabulary."""
    order = np.lexsort((words, -weights))
    best = order[weights[order] != 0][:count]
    pairs = zip(words[best].tolist(), weights[best].tolist(), strict=True)
    return SparseVector({name(word): weight for word, weight in pairs})
