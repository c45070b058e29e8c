"""Texts for a model that finds spans of any labels, behind labels that it is calibrated and measured with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgebert.coverage import Cut
from edgebert.heads.gliner import Gliner
from edgebert.tasks.gliner import prompt_of, split, windows_of
from edgebert.tokens import TextTokenizer
from edgebert.windows import Window

__all__ = ["OF_CALIBRATION", "OF_EVALUATION", "SpanText", "span_texts"]

OF_CALIBRATION = ("person", "company", "city", "date", "product", "event")
OF_EVALUATION = ("name", "organization", "place", "time", "work of art", "amount of money")
"""None of them in both, as of texts."""


class SpanText(NamedTuple):
    """A text as such a model reads it: its window, and the rows of its words and of the labels, as `GlinerHead` has."""

    window: Window
    rows: np.ndarray
    label_rows: np.ndarray


def span_texts(tokenizer: TextTokenizer, gliner: Gliner, texts: Sequence[str], labels: Sequence[str]) -> list[SpanText]:
    """Return what of each text fits behind labels."""
    prompt = prompt_of(tokenizer, gliner, {label: label for label in labels})
    result = []
    for text in texts:
        words = split(tokenizer, text)
        (own, *_), _ = windows_of(tokenizer, gliner, prompt, words, Cut(truncate=True))
        result.append(SpanText(own.window, own.rows(words), own.label_rows(prompt)))
    return result
