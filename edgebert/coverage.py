"""How much of each text is seen: what becomes of long ones, what is told of it, and blank ones left out."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgebert.arguments import Text, checked_callable, checked_flag, checked_number, is_blank
from edgebert.errors import TruncationWarning

__all__ = ["Coverage", "Cut", "OnCoverage", "Unseen", "answer_texts", "checked_cut", "report"]

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


class Unseen:
    """How much of texts was not seen, added up over any number of them.

    Parameters
    ----------
    max_length : int
        Tokens that the model sees at once.

    Attributes
    ----------
    texts : int
        How many there were.
    truncated : int
        How many of them were not seen to their end.
    """

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length
        self.texts = self.truncated = self._tokens = self._seen = 0

    def add(self, coverages: Iterable[Coverage]) -> None:
        """Count more texts."""
        for coverage in coverages:
            self.texts += 1
            if coverage.truncated:
                self.truncated += 1
                self._tokens += coverage.tokens
                # Of a pair in several windows it is the first text that was cut: how much of it, nobody counted.
                self._seen += self.max_length if coverage.windows == 1 else coverage.tokens

    @property
    def share(self) -> str:
        """The part of the truncated texts' tokens that was not seen, as ``"41 %"``; empty where it is not known."""
        if self._seen >= self._tokens:
            return ""
        percent = 100 * (self._tokens - self._seen) / self._tokens
        return f"{percent:.0f} %" if percent >= 1 else "less than 1 %"

    def warn(self) -> None:
        """Warn the caller of this package, if there is something to warn of."""
        if self.truncated:
            lost = f"{self.share} of their tokens are" if self.share else "what does not fit is"
            warnings.warn(
                f"{self.truncated} of {self.texts} texts are longer than the model's {self.max_length} tokens; {lost}"
                " not seen",
                TruncationWarning,
                stacklevel=_outside(),
            )


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
    unseen = Unseen(max_length)
    unseen.add(coverages)
    unseen.warn()


def _outside() -> int:
    """Return how far up the first caller outside of this package is, as `warnings.warn` counts from `Unseen.warn`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
