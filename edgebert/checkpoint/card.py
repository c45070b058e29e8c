"""A model's card: README.md, prose behind a few lines of YAML, which say its licence and its languages."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Card", "read_card"]

_MOST_VALUES = 200
_LONGEST_VALUE = 100
"""Characters; a longer one is no name."""
_NOTHING = ("", "~", "null")


class Card(NamedTuple):
    """What a model's makers say of it.

    Attributes
    ----------
    text : str
        The card without its YAML.
    licence : str
        As Hugging Face's hub calls it, ``"apache-2.0"``; of several all, with commas; empty where there is none.
    languages : tuple of str
        Their codes, ``"en"``, or what the makers wrote instead.
    """

    text: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()


def read_card(path: Path) -> Card:
    """Read a card, if there is one; its YAML lies between two lines ``---`` at the beginning."""
    if not path.is_file():
        return Card()
    # A card is prose for people: a stray byte in it is no reason to refuse the model.
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    front, end, rest = text.removeprefix("---").partition("\n---\n")
    if not (text.startswith("---\n") and end):
        return Card(text.strip())
    lines = front.split("\n")
    licences = _values(lines, "license")
    if licences == ("other",):
        licences = _values(lines, "license_name") or licences
    return Card(rest.strip(), ", ".join(licences), _values(lines, "language"))


def _values(lines: list[str], key: str) -> tuple[str, ...]:
    """Return what YAML has at a key: a word, or a list of words in one of its two forms; nothing of any other value."""
    start = next((i for i, line in enumerate(lines) if line.startswith(f"{key}:")), None)
    if start is None:
        return ()
    below = itertools.takewhile(lambda line: not line or line[0] in " \t-#", lines[start + 1 :])
    value, *others = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in (lines[start].partition(":")[2], *below))
    if value.startswith("["):
        words = " ".join([value, *others])[1:].partition("]")[0].split(",")
    elif value:
        words = [value]
    else:
        words = [line[1:] for line in others if line.startswith("-")]
    names = [word.strip().strip("'\"") for word in words[:_MOST_VALUES]]
    return tuple(name for name in names if name not in _NOTHING and len(name) <= _LONGEST_VALUE)
