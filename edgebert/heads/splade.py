"""Sparse vectors: how much each word of the vocabulary says of a text (SPLADE, arXiv 2107.05720 and 2109.10086).

The head for masked words says of every token which words could stand in its place. A word's weight is the largest, or
the sum, of log(1 + max(logit, 0)) over the tokens of a text; most words have none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edgebert.exact import log

__all__ = ["ACTIVATIONS", "QUERY_WEIGHTS", "STRATEGIES", "Splade", "sparse_vectors"]

QUERY_WEIGHTS = "query_weights"
"""The tensor that has a weight for each word of a query: float32 (vocab_size,)."""

STRATEGIES = ("max", "sum")
ACTIVATIONS = ("relu", "log1p_relu")

_LOGITS = 1 << 22
"""Logits that are held at a time: a vocabulary may have 250,000 words, a batch a thousand tokens."""


class Splade(NamedTuple):
    """How the weights of words are made of logits, by the names of sentence-transformers.

    Attributes
    ----------
    strategy : str
        ``"max"`` over the tokens (arXiv 2109.10086, section 3.1), or their ``"sum"`` (arXiv 2107.05720, section 3).
    activation : str
        ``"relu"``: log(1 + max(x, 0)); ``"log1p_relu"``: log(1 + that) (arXiv 2504.14839).
    most_words : int
        How many words a vector has at most, the best ones; 0 for all that have a weight.
    query_weights : bool
        Whether the model has weights for the words of queries, which then need no forward pass.
    """

    strategy: str = "max"
    activation: str = "relu"
    most_words: int = 0
    query_weights: bool = False

    def faults(self) -> list[str]:
        """Return what no sparse vector could be made with."""
        faults = []
        for name, value, known in (
            ("strategy", self.strategy, STRATEGIES),
            ("activation", self.activation, ACTIVATIONS),
            ("query_weights", self.query_weights, (False, True)),
        ):
            if value not in known or type(value) is not type(known[0]):
                faults.append(f"{name} of sparse vectors is {value!r}, expected {' or '.join(map(repr, known))}")
        if type(self.most_words) is not int or self.most_words < 0:
            faults.append(f"most_words of sparse vectors is {self.most_words!r}, expected a number, or 0 for all")
        return faults

    def weights(self, logits: np.ndarray) -> np.ndarray:
        """Return the weights of logits, float64 of the same shape; NaN for what is no finite number."""
        found = np.zeros(logits.shape)
        active = ~(logits <= 0)  # few of them, and what is no number
        with np.errstate(invalid="ignore"):
            values = log(1 + logits[active].astype(np.float64))
            found[active] = log(1 + values) if self.activation == "log1p_relu" else values
        return found


def sparse_vectors(
    logits: Callable[[np.ndarray], np.ndarray], splade: Splade, vocab_size: int, texts: Sequence[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the weights of all words for each text: float32 (vocab_size,), of the same bits whatever is beside it.

    Parameters
    ----------
    logits : callable
        From hidden states (T, H) to logits (T, vocab_size), row by row alike: the head for masked words.
    splade : Splade
    vocab_size : int
    texts : sequence of ndarray [shape=(T, H), dtype=float32]
        Hidden states of the tokens of each.
    """
    if not texts:
        return
    together = np.concatenate([*texts])
    step = max(1, _LOGITS // vocab_size)
    block, held = range(0), np.empty(0)
    for begin, end in itertools.pairwise([0, *itertools.accumulate(map(len, texts))]):
        pooled = np.zeros(vocab_size)  # what has no weight is as good as a logit of 0
        while begin < end:
            if begin not in block:
                block = range(begin, min(begin + step, len(together)))
                held = logits(together[block.start : block.stop])
            stop = min(end, block.stop)
            own = held[begin - block.start : stop - block.start]
            if splade.strategy == "max":
                np.maximum(pooled, own.max(axis=0), out=pooled)
            else:
                for row in splade.weights(own):  # one by one: in blocks of any size the same sum
                    pooled += row
            begin = stop
        # The weight of the largest logit is the largest weight.
        yield (splade.weights(pooled) if splade.strategy == "max" else pooled).astype(np.float32)
