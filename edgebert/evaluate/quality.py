"""How well labels fit the right ones."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["accuracy_and_f1"]


def accuracy_and_f1(found: Sequence[str], right: Sequence[str]) -> tuple[float, float]:
    """Return the share of right labels, and the mean of the F1 of every label that is found or right.

    Raises
    ------
    ValueError
        When there are none, or not as many of both.
    """
    if not found or len(found) != len(right):
        raise ValueError(f"{len(found)} labels found for {len(right)} texts")
    scores = []
    for label in {*found, *right}:
        hits = sum(f == r == label for f, r in zip(found, right, strict=True))
        scores.append(2 * hits / (sum(f == label for f in found) + sum(r == label for r in right)))
    accuracy = sum(f == r for f, r in zip(found, right, strict=True)) / len(right)
    return accuracy, sum(scores) / len(scores)
