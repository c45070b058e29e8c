"""Reading the small files of a model folder: JSON and plain text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebert.errors import CheckpointError
from edgebert.json_text import parse_json

__all__ = ["read_json", "read_text"]


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises
    ------
    CheckpointError
        It is missing, cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 text: byte {error.start} is {error.reason}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def read_json(path: Path, expected: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """Return the value of a JSON file, which must be an object (dict) or a list.

    Raises
    ------
    CheckpointError
        It is missing, cannot be read, or holds something else.
    """
    try:
        value = parse_json(read_text(path))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, expected):
        raise CheckpointError(f"{path} holds a JSON {type(value).__name__}, expected a {expected.__name__}")
    return value
