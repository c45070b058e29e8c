"""Labels that nobody trained: by entailment (arXiv 1909.00161), or by similarity to what the labels say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebert.arguments import checked_text
from edgebert.coverage import Coverage, Cut
from edgebert.errors import InputError, shown
from edgebert.heads.classification import pool_windows, softmax
from edgebert.runner import Runner
from edgebert.tasks.embed import VectorOptions, embed, embed_windows
from edgebert.tasks.similarity import cosines
from edgebert.watch import in_turn

__all__ = ["HYPOTHESIS", "check_alone", "classify", "entailment_of", "similarities"]

HYPOTHESIS = "This example is {}."
"""What is to follow from a text if a label holds: transformers' own."""
_SHARPNESS = 20.0
"""Cosines are multiplied by this before the softmax: the scale at which sentence-transformers trains its models."""


def check_alone(top_k: int | None, function: str | None) -> None:
    """Refuse options of a classifier's own labels.

    Raises
    ------
    InputError
    """
    if function is not None or top_k not in (None, 1):
        option, value = ("top_k", top_k) if function is None else ("function_to_apply", function)
        raise InputError(
            f"{option} is {shown(value)}, which goes with the model's own labels; leave it out with labels"
        )


def entailment_of(labels: Sequence[str]) -> int | None:
    """Return which label of a classifier says that a text follows from another, None where none does."""
    return next((i for i, label in enumerate(labels) if label.lower().startswith("entail")), None)


def classify(
    runner: Runner,
    texts: Sequence[str],
    labels: Mapping[str, str],
    multi_label: bool,
    template: str | None,
    pool: str,
    cut: Cut,
) -> tuple[list[dict[str, Any]], list[Coverage]]:
    """Score any labels for each text: by entailment where the model has a classifier, else by similarity.

    Parameters
    ----------
    runner : Runner
    texts : sequence of str
    labels : mapping of label to description
    multi_label : bool
        Whether labels are independent of each other, as one alone is.
    template : str or None
        What is to follow from a text if a label holds, with ``{}`` for the label's description; for entailment alone.
    pool : str
        What becomes of the scores of a text's windows.
    cut : Cut

    Raises
    ------
    InputError
        When the model's classifier has no label for entailment, the template no place for a label, or when there is a
        template and no classifier.
    """
    names = list(labels)
    multi_label = multi_label or len(names) == 1  # one label alone is not compared with others
    if "sequence_classification" in runner.heads:
        template = HYPOTHESIS if template is None else template
        values, coverages = _by_entailment(runner, texts, list(labels.values()), template, multi_label, cut)
    elif template is not None:
        raise InputError(
            f"the hypothesis is {shown(template)}, which a model of natural language inference would take, but"
            f" {runner.source.path.name} finds labels by the similarity of vectors; leave it out, and describe labels"
            " instead: label=description, in Python a dict of both"
        )
    else:
        values, coverages = _by_similarity(runner, texts, list(labels.values()), multi_label, cut)
    pooled = [pool_windows(each, pool) for each in values]
    return [_ranked(text, names, each) for text, each in zip(texts, pooled, strict=True)], coverages


def _by_entailment(
    runner: Runner, texts: Sequence[str], descriptions: Sequence[str], template: str, multi_label: bool, cut: Cut
) -> tuple[list[np.ndarray], list[Coverage]]:
    """Score a hypothesis a label by whether it follows from a text, as transformers' pipeline does: (windows, labels).

    Windows are cut from the text, which is the first of each pair, where it does not fit beside the longest hypothesis.
    """
    own = runner.info.labels
    entailment = entailment_of(own)
    if entailment is None:
        raise InputError(
            f"the model's labels are {', '.join(own)}: to find others, expected a model of natural language inference,"
            " with a label for entailment, or one for embeddings"
        )
    head = runner.heads["sequence_classification"]
    hypotheses = _filled(template, descriptions)
    tokenized = runner.contents(hypotheses)
    longest = max(tokenized, key=lambda content: len(content.ids))
    results, coverages = [], []
    for content in in_turn(runner.contents(texts)):
        (cuts,), (coverage,) = runner.cut([content], cut, [longest])
        pieces = [content.part(window.first, window.last) for window in cuts]
        pairs = [next(runner.tokenizer.windows(each, piece)) for piece in pieces for each in tokenized]
        (logits,) = runner.text_logits([pairs], head)
        logits = logits.reshape(len(pieces), len(hypotheses), -1)
        if multi_label:
            other = -1 if entailment == 0 else 0
            results.append(softmax(logits[..., [other, entailment]])[..., 1])
        else:
            results.append(softmax(logits[..., entailment]))
        coverages.append(coverage)
    return results, coverages


def _by_similarity(
    runner: Runner, texts: Sequence[str], descriptions: Sequence[str], multi_label: bool, cut: Cut
) -> tuple[list[np.ndarray], list[Coverage]]:
    """Score descriptions by the cosines of their vectors to those of each text's windows: (windows, labels)."""
    unit = VectorOptions(normalize=True)
    of_labels, _ = embed(runner, descriptions, unit)
    found, _, coverages = embed_windows(runner, texts, unit, cut=cut)
    units = np.stack(of_labels)
    return [similarities(own.vectors, units, multi_label) for own in found], coverages


def similarities(vectors: np.ndarray, of_labels: np.ndarray, multi_label: bool) -> np.ndarray:
    """Score labels by the cosines of their vectors to those of a text's windows: float64 (windows, labels).

    Parameters
    ----------
    vectors : ndarray [shape=(windows, H), dtype=float32], of length one
    of_labels : ndarray [shape=(labels, H), dtype=float32], of length one
    multi_label : bool
        Whether labels are independent of each other: then scores are the cosines, from 0 on.
    """
    found = cosines(vectors, of_labels).astype(np.float64)
    return np.maximum(found, 0) if multi_label else softmax(_SHARPNESS * found)


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


def _ranked(text: str, labels: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    order = np.argsort(-values, kind="stable").tolist()
    return {"sequence": text, "labels": [labels[i] for i in order], "scores": [float(values[i]) for i in order]}
