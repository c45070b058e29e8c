"""How much of each text is seen: what becomes of long ones, what is told of it, and blank ones left out."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgebert.arguments import Text, checked_callable, checked_flag, checked_number, is_blank
from edgebert.errors import TruncationWarning

__all__ = ["Coverage", "Cut", "OnCoverage", "answer_texts", "checked_cut", "report"]

_PACKAGE = str(Path(__file__).parent) + os.sep


class Coverage(NamedTuple):
    """How much of a text was seen.

    Attributes
    ----------
    tokens : int
        Of the whole text or pair, special ones included.
    windows : int
        That it was seen in; 0 of a blank text that the model was not asked about.
    truncated : bool
        Whether something of it was not seen.
    """

    tokens: int
    windows: int
    truncated: bool


OnCoverage = Callable[[int, Coverage], object]


class Cut(NamedTuple):
    """What becomes of texts that are too long.

    Attributes
    ----------
    truncate : bool
        Whether only one window is seen, on the side that the tokenizer keeps.
    stride : int or None
        Tokens that two windows have in common; a quarter of a window by default.
    """

    truncate: bool = False
    stride: int | None = None


def checked_cut(truncate: bool, stride: int | None, on_coverage: OnCoverage | None) -> Cut:
    """Return what becomes of long texts, which decide what `stride` may be; raise InputError for something else."""
    checked_callable(on_coverage, "on_coverage")
    if stride is not None:
        stride = checked_number(stride, "stride", "0 to as many tokens as windows may share", least=0)
    return Cut(checked_flag(truncate, "truncate"), stride)


def answer_texts(
    texts: Sequence[Any],
    ask: Callable[[list[Any]], tuple[list[Any], list[Coverage]]],
    empty: Callable[[Text], Any],
) -> tuple[list[Any], list[Coverage]]:
    """Ask about texts, or pairs; of blank ones there is nothing to say, they get what `empty` makes of them."""
    wanted = [i for i, text in enumerate(texts) if not is_blank(text)]
    answers, seen = ask([texts[i] for i in wanted])
    if len(wanted) == len(texts):
        return answers, seen
    results, coverages = [empty(text) for text in texts], [Coverage(0, 0, False)] * len(texts)
    for i, answer, coverage in zip(wanted, answers, seen, strict=True):
        results[i], coverages[i] = answer, coverage
    return results, coverages


def report(coverages: Sequence[Coverage], on_coverage: OnCoverage | None, max_length: int) -> None:
    """Tell how much was seen of each text, or warn of those that were not seen whole.

    Parameters
    ----------
    coverages : sequence of Coverage
    on_coverage : callable or None
    max_length : int
        Tokens that the model sees at once, for the warning.
    """
    if on_coverage is not None:
        for index, coverage in enumerate(coverages):
            on_coverage(index, coverage)
        return
    cut = sum(coverage.truncated for coverage in coverages)
    if cut:
        warnings.warn(
            f"{cut} of {len(coverages)} texts are longer than the model's {max_length} tokens; what does not fit is"
            " not seen",
            TruncationWarning,
            stacklevel=_outside(),
        )


def _outside() -> int:
    """Return how far up the first caller outside of this package is, as `warnings.warn` counts from `report`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
