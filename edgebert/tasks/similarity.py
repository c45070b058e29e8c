"""How close texts are to each other, by the cosines of their vectors; a long text is read in windows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError
from edgebert.heads.pooling import unit
from edgebert.runner import Runner, finite

__all__ = ["cosines", "unit_vectors"]


def unit_vectors(
    runner: Runner, texts: Sequence[str], cut: Cut, prompt: str = ""
) -> tuple[list[np.ndarray], list[Coverage]]:
    """Compute a vector of length one for each window of each text, and how much of the text that is.

    Parameters
    ----------
    runner : Runner
    texts : sequence of str
    cut : Cut
    prompt : str
        What is put before each text; in its first window, that is.

    Returns
    -------
    vectors : list of ndarray [shape=(windows, dimensions), dtype=float32]
    coverages : list of Coverage

    Raises
    ------
    InputError
        When the tokenizer makes no token of a text.
    """
    windows, coverages = runner.cut(runner.contents(prompt + text for text in texts), cut)
    skipped = 0 if not prompt or runner.info.include_prompt else len(runner.tokenizer.content(prompt).ids)
    found = [[np.empty(0, np.float32)] * len(own) for own in windows]
    for text, number, window, states in itertools.chain.from_iterable(runner.encode(windows)):
        if not len(states):
            raise InputError(f"the model's tokenizer makes no token of {texts[text][:40]!r}; leave it out")
        first = window.begin + skipped if skipped and window.first == 0 else 0
        vector = finite(runner.embedding(states, first=first if first < len(states) else 0), "vectors")
        found[text][number] = unit(vector)
    return [np.stack(own) for own in found], coverages


def cosines(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cosines of vectors of length one, float32 (n, H), to others, (m, H): float64 (n, m)."""
    # Product by product, not by BLAS, whose order of sums is the processor's.
    return np.stack([np.add.reduce(vectors.astype(np.float64) * other, axis=1) for other in others], axis=1)
