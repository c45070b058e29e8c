"""Values of a settings file, each of the type that it should have; null is as good as absent.

All raise `CheckpointError`, which names the file, the field, and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebert.errors import CheckpointError

__all__ = ["count_of", "flag_of", "object_of", "text_of", "words_of"]


def object_of(values: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """Return a JSON object, an empty one where there is none."""
    value = values.get(name)
    if value is not None and not isinstance(value, dict):
        raise _fault(values, name, path, "a JSON object")
    return value or {}


def count_of(values: Mapping[str, Any], name: str, things: str, path: Path) -> int | None:
    """Return a whole number from 1 on, None where there is none."""
    value = values.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise _fault(values, name, path, f"a number of {things}")
    return value


def flag_of(values: Mapping[str, Any], name: str, path: Path, *, default: bool = False) -> bool:
    """Return true or false."""
    value = values.get(name)
    if value is not None and type(value) is not bool:
        raise _fault(values, name, path, "true or false")
    return default if value is None else value


def text_of(values: Mapping[str, Any], name: str, path: Path, default: str = "") -> str:
    """Return a text."""
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise _fault(values, name, path, "a text")
    return default if value is None else value


def words_of(values: Mapping[str, Any], name: str, path: Path, default: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a list of texts."""
    value = values.get(name)
    if value is not None and (not isinstance(value, list) or not all(isinstance(word, str) for word in value)):
        raise _fault(values, name, path, "a list of words")
    return tuple(default if value is None else value)


def _fault(values: Mapping[str, Any], name: str, path: Path, expected: str) -> CheckpointError:
    return CheckpointError(f"{path} has {name} {values[name]!r}, expected {expected}")
