"""Which columns of a table the texts are in, and what a cell is as a text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from edgebert.errors import InputError, shown

__all__ = ["TEXT_NAMES", "cell_text", "check_names", "choose_columns", "listed_names"]

TEXT_NAMES = ("text", "sentence", "review", "content", "comment", "message", "body", "document", "description", "tweet")
"""A column of one of these names has the texts, if no other has such a name."""
PAIR_NAMES = (("text", "text_pair"), ("sentence1", "sentence2"), ("question", "answer"), ("premise", "hypothesis"))
_MOST_LISTED = 12


def choose_columns(
    columns: Sequence[str], wanted: Sequence[str], file: str, *, count: int = 1, strings: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the names of the columns that the texts are in.

    Parameters
    ----------
    columns : sequence of str
        All that the table has.
    wanted : sequence of str
        Those that the user named; none to find them.
    file : str
        What messages call the table.
    count : int
        1, or 2 for pairs.
    strings : sequence of str, optional
        The columns that hold text, where the table says so.

    Raises
    ------
    InputError
        When a named column is not there, or none was named and it is not clear which is meant.
    """
    for name in wanted:
        if name not in columns:
            raise InputError(f"{file} has no column {name!r}, its columns are {listed_names(columns)}")
    if wanted:
        return tuple(wanted)
    found = _clear_pair(columns) if count == 2 else _clear(columns, strings)
    if found is None:
        ask, texts = ("--column A --column B", "pairs") if count == 2 else ("--column NAME", "texts")
        raise InputError(
            f"{file} has the columns {listed_names(columns)}, and it is not clear which has the {texts}: say {ask}"
            " (a file without a header is read by --input lines)"
        )
    return found


def _clear(columns: Sequence[str], strings: Sequence[str] | None) -> tuple[str, ...] | None:
    named = [name for name in columns if name.strip().lower() in TEXT_NAMES]
    for candidates in (columns, named, strings or ()):
        if len(candidates) == 1:
            return (candidates[0],)
    return None


def _clear_pair(columns: Sequence[str]) -> tuple[str, ...] | None:
    if len(columns) == 2:
        return tuple(columns)
    lower = {name.strip().lower(): name for name in columns}
    named = [pair for pair in PAIR_NAMES if all(name in lower for name in pair)]
    return tuple(lower[name] for name in named[0]) if len(named) == 1 else None


def check_names(columns: Sequence[str], file: str) -> None:
    """Refuse a table two of whose columns have one name: what is written could keep one of them alone.

    Raises
    ------
    InputError
    """
    twice = [name for i, name in enumerate(columns) if name in columns[:i]]
    if twice:
        raise InputError(f"{file} has two columns named {twice[0]!r}, expected a name of its own for each: rename one")


def cell_text(value: Any, place: str, column: str) -> str:
    """Return what a cell is as a text: a number as it is written, blank where nothing is.

    Parameters
    ----------
    value : object
    place, column : str
        How messages call the cell.

    Raises
    ------
    InputError
        For a list, an object, or bytes.
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:  # a float that is no number: nothing, as pandas writes it
        return ""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | dict | tuple | bytes):
        what = {dict: "an object", bytes: "bytes"}.get(type(value), "a list")
        raise InputError(
            f"{place}: column {column!r} is {what}, {shown(value)}, expected a text: choose another column"
        )
    return str(value)


def listed_names(columns: Sequence[str]) -> str:
    """Return names of columns as a message has them; of very many the first."""
    names = ", ".join(repr(name) if not name or name != name.strip() else name for name in columns[:_MOST_LISTED])
    more = len(columns) - _MOST_LISTED
    return f"{names} and {more} more" if more > 0 else names
