"""Which colour a label has: by what it means where that is plain, else one of its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

__all__ = ["colours_of"]

_COLOURS = ("yellow", "cyan", "magenta", "blue", "green", "red", "white")
_GOOD, _BAD, _BETWEEN = "green", "red", "yellow"
_MEANINGS = {
    _GOOD: {"positive", "pos", "good", "great", "entailment", "isnext", "ham", "safe"},
    _BAD: {"negative", "neg", "bad", "terrible", "contradiction", "notnext", "spam", "toxic", "hate", "offensive"},
    _BETWEEN: {"neutral", "neu", "mixed"},
}
_OPPOSITES = {_GOOD: _BAD, _BAD: _GOOD}
_STARS = {"1": _BAD, "2": _BAD, "3": _BETWEEN, "4": _GOOD, "5": _GOOD}


def colours_of(labels: Iterable[str]) -> dict[str, str]:
    """Return label -> name of one of a terminal's own colours; the same labels have the same ones each time."""
    listed = list(dict.fromkeys(labels))
    meant = {label: _meant(label) for label in listed}
    taken = set(meant.values())
    left = [colour for colour in _COLOURS if colour not in taken] or list(_COLOURS)
    others = itertools.cycle(left)
    return {label: meant[label] or next(others) for label in listed}


def _meant(label: str) -> str | None:
    """Return the colour of what a label means, None where it does not say."""
    words = re.findall(r"[^\W\d_]+|\d+", label.casefold())
    if len(words) == 2 and words[1] in ("star", "stars"):
        return _STARS.get(words[0])
    found = {colour for colour, meanings in _MEANINGS.items() if meanings.intersection(words)}
    if len(found) != 1:
        return None
    (colour,) = found
    return _OPPOSITES.get(colour) if {"not", "non"}.intersection(words) else colour
