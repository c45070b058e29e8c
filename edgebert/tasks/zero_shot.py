"""Labels that nobody trained: by entailment (arXiv 1909.00161), or by similarity to what the labels say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebert.arguments import checked_text, listed_texts
from edgebert.errors import InputError, shown
from edgebert.heads import Head
from edgebert.heads.classification import pool_windows, softmax
from edgebert.runner import Cut, Extent, Runner

__all__ = ["HYPOTHESIS", "by_entailment", "by_similarity", "descriptions_of", "entailment_of"]

HYPOTHESIS = "This example is {}."
"""What is to follow from a text if a label holds: transformers' own."""
_SHARPNESS = 20.0
"""Cosines are multiplied by this before the softmax: the scale at which sentence-transformers trains its models."""


def descriptions_of(labels: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return label -> what describes it; a label that comes alone describes itself.

    Raises
    ------
    InputError
        When there are none, or one is no text.
    """
    found = (
        dict(labels)
        if isinstance(labels, Mapping)
        else {each: each for each in listed_texts(labels, "labels", "label")}
    )
    if not found or not all(isinstance(text, str) and text.strip() for pair in found.items() for text in pair):
        raise InputError("labels are empty or no texts, expected strings, or a dict of label and description")
    return found


def entailment_of(labels: Sequence[str]) -> int | None:
    """Return which label of a classifier says that a text follows from another, None where none does."""
    return next((i for i, label in enumerate(labels) if label.lower().startswith("entail")), None)


def by_entailment(
    runner: Runner,
    head: Head,
    entailment: int,
    texts: Sequence[str],
    labels: Mapping[str, str],
    template: str,
    multi_label: bool,
    pool: str,
    cut: Cut,
) -> tuple[list[dict[str, Any]], list[Extent]]:
    """Score each label by whether a sentence about it follows from the text, as transformers' pipeline does.

    Windows are cut from the text, which is the first of each pair, where it does not fit beside the longest sentence.
    """
    hypotheses = _filled(template, list(labels.values()))
    described = runner.contents(hypotheses)
    longest = max(described, key=lambda content: len(content.ids))
    results, extents = [], []
    for text, content in zip(texts, runner.contents(texts), strict=True):
        (cuts,), (extent,) = runner.cut([content], cut, [longest])
        pieces = [content.part(window.first, window.last) for window in cuts]
        pairs = [next(runner.tokenizer.windows(each, piece)) for piece in pieces for each in described]
        (logits,) = runner.first_logits([pairs], head)
        logits = logits.reshape(len(pieces), len(hypotheses), -1)
        if multi_label or len(hypotheses) == 1:
            other = -1 if entailment == 0 else 0
            values = softmax(logits[..., [other, entailment]])[..., 1]
        else:
            values = softmax(logits[..., entailment])
        results.append(_ranked(text, list(labels), pool_windows(values, pool)))
        extents.append(extent)
    return results, extents


def _filled(template: str, descriptions: Sequence[str]) -> list[str]:
    """Put each description into the template, as ``str.format`` does; raise InputError when that is not possible."""
    from string import Formatter

    checked_text(template, "hypothesis_template")
    filled: list[str] = []
    try:
        # A width could make a text of any size, an attribute name anything.
        if all(
            name in (None, "", "0") and not form and not kind for _, name, form, kind in Formatter().parse(template)
        ):
            filled = [template.format(description) for description in descriptions]
    except (IndexError, ValueError):
        pass
    if len(set(filled)) < len(set(descriptions)):
        raise InputError(f"hypothesis_template is {shown(template)}, expected a text with {{}} in it")
    return filled


def by_similarity(
    texts: Sequence[str], vectors: np.ndarray, labels: Mapping[str, str], of_labels: np.ndarray, multi_label: bool
) -> list[dict[str, Any]]:
    """Score each label by the cosine of its description's vector to the text's.

    Parameters
    ----------
    texts : sequence of str
    vectors : ndarray [shape=(texts, H), dtype=float32], of length one
    labels : mapping of label to description
    of_labels : ndarray [shape=(labels, H), dtype=float32], of length one
    multi_label : bool
        Whether labels are independent of each other: then scores are the cosines, from 0 on.
    """
    results = []
    for text, vector in zip(texts, vectors, strict=True):
        cosines = of_labels.astype(np.float64) @ vector
        values = np.maximum(cosines, 0) if multi_label else softmax(_SHARPNESS * cosines)
        results.append(_ranked(text, list(labels), values))
    return results


def _ranked(text: str, labels: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    order = np.argsort(-values, kind="stable").tolist()
    return {"sequence": text, "labels": [labels[i] for i in order], "scores": [float(values[i]) for i in order]}
