"""What callers give to the Python interface, checked at the door: something of another type is an `InputError`.

Settings of `edgebert.load`, which the environment can make too, are a `SettingError` where they stand.

What a caller's own iterator raises while it is read is the caller's, and passes through.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.columns import column_texts
from edgebert.errors import InputError, shown

__all__ = [
    "Text",
    "checked_callable",
    "checked_choice",
    "checked_flag",
    "checked_iterator",
    "checked_list",
    "checked_number",
    "checked_path",
    "checked_share",
    "checked_text",
    "described_labels",
    "is_blank",
    "listed_pairs",
    "listed_sequences",
    "listed_texts",
    "pair_at",
    "text_at",
    "text_or_pair_at",
]

Text = str | tuple[str, str]
"""A text, or a pair of texts."""


def checked_text(value: Any, name: str) -> str:
    """Return a string that has to be one; raise InputError."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}, expected a string")
    return value


def checked_flag(value: Any, name: str) -> bool:
    """Return a truth value that has to be one, for ``"no"`` would be true; raise InputError."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} is {shown(value)}, expected True or False")
    return bool(value)


def checked_number(value: Any, name: str, expected: str, least: int = 1, most: int | None = None) -> int:
    """Return a whole number that has to be one of a range; raise InputError with what was expected."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        raise InputError(f"{name} is {shown(value)}, expected {expected}")
    return int(value)


def described_labels(labels: Any) -> dict[str, str]:
    """Return label -> what describes it; a label that comes alone describes itself.

    Raises
    ------
    InputError
        When there are none, or one is no text or there twice.
    """
    listed = list(labels) if isinstance(labels, Mapping) else listed_texts(labels, "labels", "label")
    found = dict(labels) if isinstance(labels, Mapping) else {each: each for each in listed}
    if len(found) < len(listed):
        twice = next(label for label in listed if listed.count(label) > 1)
        raise InputError(f"the label {shown(twice)} is there twice, expected each once")
    if not found or not all(isinstance(text, str) and text.strip() for pair in found.items() for text in pair):
        raise InputError("labels are empty or no texts, expected strings, or a dict of label and description")
    return found


def checked_share(value: Any, name: str) -> float:
    """Return a number from 0 to 1 that has to be one; raise InputError."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise InputError(f"{name} is {shown(value)}, expected a number from 0 to 1")
    return float(value)


def checked_choice(value: Any, name: str, choices: Collection[str]) -> str:
    """Return a string that has to be one of several; raise InputError."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} is {shown(value)}, expected one of {', '.join(choices)}")
    return value


def checked_callable(value: Any, name: str) -> Any:
    """Return what has to be None or something to call; raise InputError."""
    if value is not None and not callable(value):
        raise InputError(f"{name} is {shown(value)}, expected something to call")
    return value


def checked_path(value: Any, name: str) -> Path:
    """Return the path that a string or a path object names; raise InputError when it can name nothing."""
    try:
        path = os.fspath(value)
        if isinstance(path, str) and "\0" not in path and os.fsencode(path):
            return Path(path)
    except Exception:  # no path, or one that the system has no bytes for; or the caller's own code
        path = None
    raise InputError(f"{name} is {shown(value)}, expected the name of a file as a string or a path")


def checked_iterator(values: Iterable[Any], name: str, thing: str) -> Iterator[Any]:
    """Return an iterator over what is not one thing itself, columns of tables among it; raise InputError."""
    if isinstance(values, (str, bytes, Mapping)):
        kind = type(values).__name__ if isinstance(values, Mapping) else "string"
        raise InputError(f"{name} is one {kind}, expected a list of them; write [{thing}]")
    columns = column_texts(values, name)
    try:
        return iter(columns)
    except Exception as error:  # the caller's own code
        raise InputError(f"{name} is {shown(values)}, expected a list of {thing}s") from error


def checked_list(values: Iterable[Any], name: str, thing: str, check: Callable[[Any, str, int], Any]) -> list[Any]:
    """Return what `check` makes of each value of an iterable that is not one thing itself; raise InputError.

    `check` gets a value, the name of all, and the value's index. Nothing is read behind a value that it refuses.
    """
    # Not list(values), which asks for a length; and what reading raises is not ours.
    return [check(value, name, index) for index, value in enumerate(checked_iterator(values, name, thing))]


def listed_texts(texts: Iterable[str], name: str = "texts", thing: str = "text") -> list[str]:
    """Return texts that have to be texts.

    Raises
    ------
    InputError
    """
    return checked_list(texts, name, thing, text_at)


def text_at(value: Any, name: str, index: int) -> str:
    """Return one of several texts; raise InputError when it is none."""
    if not isinstance(value, str):
        raise InputError(f"{name}[{index}] is a {type(value).__name__}, expected a string")
    return value


def listed_pairs(texts: Iterable[Text | Mapping[str, str]], *, only: bool = False) -> list[Text]:
    """Return texts or pairs that have to be: tuples, or ``{"text", "text_pair"}`` as transformers takes them.

    Parameters
    ----------
    texts : iterable
    only : bool
        Whether single texts are refused.

    Raises
    ------
    InputError
    """
    return (
        checked_list(texts, "pairs", "pair", pair_at) if only else checked_list(texts, "texts", "text", text_or_pair_at)
    )


def pair_at(item: Any, name: str, index: int, expected: str = "a pair of strings") -> tuple[str, str]:
    """Return one of several pairs; raise InputError when it is none."""
    if isinstance(item, Mapping):
        item = (item.get("text"), item.get("text_pair"))
    if not isinstance(item, (tuple, list)) or len(item) != 2 or not all(isinstance(text, str) for text in item):
        raise InputError(f"{name}[{index}] is a {type(item).__name__}, expected {expected}")
    return item[0], item[1]


def text_or_pair_at(item: Any, name: str, index: int) -> Text:
    """Return one of several texts or pairs; raise InputError when it is neither."""
    if isinstance(item, Mapping) and item.get("text_pair") is None:
        item = item.get("text")
    return item if isinstance(item, str) else pair_at(item, name, index, "a string or a pair of strings")


def is_blank(text: Text) -> bool:
    """Tell whether there is nothing but white space in a text, or in both texts of a pair."""
    return not (text if isinstance(text, str) else "".join(text)).strip()


def listed_sequences(sequences: Iterable[Any], name: str) -> list[Any]:
    """Return sequences that have to have a length, whatever is in them.

    Raises
    ------
    InputError
    """
    return checked_list(sequences, name, "sequence", _sequence)


def _sequence(value: Any, name: str, index: int) -> Any:
    if not hasattr(value, "__len__"):
        raise InputError(f"{name}[{index}] is a {type(value).__name__}, expected a sequence")
    return value
