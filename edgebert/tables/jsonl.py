"""JSON Lines: an object a line, whose keys are the columns."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from edgebert.errors import InputError, shown
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.columns import cell_text, choose_columns
from edgebert.tables.stream import ByteStream

__all__ = ["ObjectRows", "half_pair", "read_jsonl"]

_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


class ObjectRows:
    """Objects, which need not have the same keys.

    Attributes
    ----------
    chosen : tuple of str
        As `Rows` says; each a key, or keys with dots between them.
    """

    def __init__(self, objects: list[dict[str, Any]], chosen: tuple[str, ...]) -> None:
        self.objects, self.chosen = objects, chosen

    @property
    def columns(self) -> tuple[str, ...]:
        """All keys of these objects."""
        return _keys(self.objects)

    def record(self, index: int) -> dict[str, Any]:
        """Return an object."""
        return self.objects[index]


def read_jsonl(stream: ByteStream, wanted: Sequence[str], *, pairs: bool = False) -> Iterator[Chunk]:
    """Yield the objects of a stream; blank lines are none. Where there is no object, there is one chunk without any.

    Parameters
    ----------
    stream : ByteStream
    wanted : sequence of str
        The columns that the user named: keys, or keys with dots between them.
    pairs : bool
        Whether a text is two columns.

    Raises
    ------
    InputError
        When reading fails, a line is no object, or the columns are not clear or hold no text.
    """
    chosen: tuple[str, ...] | None = None
    number = 0
    objects: list[dict[str, Any]] = []
    numbers: list[int] = []
    for block in itertools.chain(stream.blocks(), [None]):
        for data in block or ():
            number += 1
            line = stream.decode(data, number)
            if line.strip():
                value = _object(line, f"{stream.name}: line {number}")
                if stream.errors != "strict" and _HALF_PAIR.search(line):
                    value = _encodable(value, stream, number)
                objects.append(value)
                numbers.append(number)
        if chosen is None and objects:
            # The first objects may lack a column that was named.
            enough = len(objects) >= chunks.CHUNK_LINES or block is None
            if not enough and not all(any(_has(each, name) for each in objects) for name in wanted):
                continue
            chosen = _choose(objects[: chunks.CHUNK_LINES if wanted else 1], wanted, stream.name, 1 + pairs)
        if chosen is not None:
            for start in range(0, len(objects), chunks.CHUNK_LINES):
                part, lines = objects[start : start + chunks.CHUNK_LINES], numbers[start : start + chunks.CHUNK_LINES]
                texts = _texts(part, chosen, stream, lines)
                yield Chunk(texts, stream.name, lines, rows=ObjectRows(part, chosen))
            objects, numbers = [], []
    if chosen is None:
        yield Chunk([], stream.name, [], rows=ObjectRows([], tuple(wanted)))


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line.rstrip("\r\n"))
    except (ValueError, RecursionError) as error:
        where = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(
            f"{place} is no JSON{where}, expected a whole object in each line; of an array, or of objects over several"
            " lines, make such lines first (jq -c '.[]' and jq -c . do)"
        ) from error
    if not isinstance(value, dict):
        remedy = (
            "of an array make JSON Lines first (jq -c '.[]' does)" if isinstance(value, list) else "let each be one"
        )
        raise InputError(f"{place} is {shown(value)}, expected an object with a key for the text: {remedy}")
    return value


def _choose(objects: Sequence[dict[str, Any]], wanted: Sequence[str], file: str, count: int) -> tuple[str, ...]:
    columns = _keys(objects)
    paths = [name for name in wanted if name not in columns and any(_has(each, name) for each in objects)]
    strings = [name for name in columns if any(isinstance(each.get(name), str) for each in objects)]
    return choose_columns([*columns, *paths], wanted, file, count=count, strings=strings)


def _keys(objects: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for each in objects for key in each))


def _texts(
    objects: Sequence[dict[str, Any]], chosen: Sequence[str], stream: ByteStream, lines: Sequence[int]
) -> list[Any]:
    columns = [
        [
            text if type(text := _at(each, name)) is str else cell_text(text, f"{stream.name}: line {line}", name)
            for each, line in zip(objects, lines, strict=True)
        ]
        for name in chosen
    ]
    for column in columns:
        try:
            "".join(column).encode()
        except UnicodeEncodeError:  # JSON may spell half a surrogate pair
            column[:] = [_encodable(text, stream, line) for text, line in zip(column, lines, strict=True)]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def half_pair(file: str, half: str, suffix: str) -> InputError:
    """Return the error about half of a surrogate pair, which JSON may spell and no other kind of table holds."""
    return InputError(
        f"{file} has {half!r} in a column, half of a surrogate pair, which {suffix} cannot hold: pass --errors replace,"
        " or let -o be a .jsonl"
    )


def _encodable(value: Any, stream: ByteStream, line: int) -> Any:
    """Return a value without halves of surrogate pairs, which UTF-8 has not, or raise InputError."""
    if isinstance(value, dict):
        return {_encodable(key, stream, line): _encodable(each, stream, line) for key, each in value.items()}
    if isinstance(value, list):
        return [_encodable(each, stream, line) for each in value]
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError as error:
        if stream.errors == "strict":
            raise InputError(
                f"{stream.name}: line {line} has {value[error.start]!r}, half of a surrogate pair, expected text: mend"
                " it, or pass --errors replace to go on"
            ) from error
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def _has(value: dict[str, Any], path: str) -> bool:
    if path in value:
        return True
    *parents, last = path.split(".")
    for key in parents:
        inner = value.get(key)
        if not isinstance(inner, dict):
            return False
        value = inner
    return last in value


def _at(value: dict[str, Any], path: str) -> Any:
    """Return what stands at a key, or at a path of keys; None where there is nothing."""
    if path in value or not _has(value, path):
        return value.get(path)
    found: Any = value
    for key in path.split("."):
        found = found[key]
    return found
