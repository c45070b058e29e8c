"""How much of each text is seen: what becomes of long ones, what is told of it, and blank ones left out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgebert.arguments import Text, checked_callable, checked_flag, is_blank
from edgebert.errors import TruncationWarning

__all__ = ["Cut", "Extent", "OnExtent", "answer_texts", "checked_cut", "report"]

_PACKAGE = str(Path(__file__).parent)


class Extent(NamedTuple):
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


OnExtent = Callable[[int, Extent], object]


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


def checked_cut(truncate: bool, stride: int | None, on_extent: OnExtent | None) -> Cut:
    """Return what becomes of long texts, which decide what `stride` may be; raise InputError for something else."""
    checked_callable(on_extent, "on_extent")
    return Cut(checked_flag(truncate, "truncate"), stride)


def answer_texts(
    texts: Sequence[Any],
    ask: Callable[[list[Any]], tuple[list[Any], list[Extent]]],
    empty: Callable[[Text], Any],
) -> tuple[list[Any], list[Extent]]:
    """Ask about texts, or pairs; of blank ones there is nothing to say, they get what `empty` makes of them."""
    wanted = [i for i, text in enumerate(texts) if not is_blank(text)]
    answers, seen = ask([texts[i] for i in wanted])
    if len(wanted) == len(texts):
        return answers, seen
    results, extents = [empty(text) for text in texts], [Extent(0, 0, False)] * len(texts)
    for i, answer, extent in zip(wanted, answers, seen, strict=True):
        results[i], extents[i] = answer, extent
    return results, extents


def report(extents: Sequence[Extent], on_extent: OnExtent | None, max_length: int) -> None:
    """Tell how much was seen of each text, or warn of those that were not seen whole.

    Parameters
    ----------
    extents : sequence of Extent
    on_extent : callable or None
    max_length : int
        Tokens that the model sees at once, for the warning.
    """
    if on_extent is not None:
        for index, extent in enumerate(extents):
            on_extent(index, extent)
        return
    cut = sum(extent.truncated for extent in extents)
    if cut:
        warnings.warn(
            f"{cut} of {len(extents)} texts are longer than the model's {max_length} tokens; what does not fit is"
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
