"""Objects a line, whose keys need not be the same."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.jsonl import read_jsonl
from edgebert.tables.stream import ByteStream


def read(objects: list[Any] | bytes, *wanted: str, pairs: bool = False) -> list[Chunk]:
    data = objects if isinstance(objects, bytes) else "".join(f"{json.dumps(each)}\n" for each in objects).encode()
    return [*read_jsonl(ByteStream(io.BytesIO(data), "it", "strict"), wanted, pairs=pairs)]


def texts(objects: list[Any] | bytes, *wanted: str, pairs: bool = False) -> list[Any]:
    return [text for chunk in read(objects, *wanted, pairs=pairs) for text in chunk.texts]


@pytest.mark.parametrize(
    ("objects", "wanted", "expected"),
    [
        ([{"text": "x", "id": "a"}, {"id": "b"}, {"text": None}], (), ["x", "", ""]),
        ([{"id": 1, "words": "x"}, {"id": 2, "words": 3.5}], (), ["x", "3.5"]),
        ([{"a": {"b": "x", "c": 1}}, {"a": {}}, {"a": "no"}], ("a.b",), ["x", "", ""]),
        ([{"a.b": "x", "a": {"b": "y"}}], ("a.b",), ["x"]),
        ([{"id": 1}, {"id": 2, "note": "x"}], ("note",), ["", "x"]),
        ([{"text": True}, {"text": 1}, {"text": 12345678901234567890}], (), ["true", "1", "12345678901234567890"]),
        (b'\xef\xbb\xbf{"text": "\\u00e9\\n"}\r\n\n  \n{"text": "x"}', (), ["é\n", "x"]),
    ],
)
@pytest.mark.parametrize("size", [1, 20, 32768])
def test_texts_of_objects(
    objects: Any, wanted: tuple[str, ...], expected: list[str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
    assert texts(objects, *wanted) == expected


def test_rows_are_the_objects() -> None:
    objects = [{"text": "x", "more": [1, {"y": None}]}, {"text": "y"}]
    (chunk,) = read(objects)
    rows = chunk.rows
    assert rows is not None
    assert (rows.columns, rows.chosen) == (("text", "more"), ("text",))
    assert [rows.record(i) for i in range(2)] == objects
    assert chunk.place(1) == "it: line 2"


def test_pairs() -> None:
    assert texts([{"q": {"t": "x"}, "b": "y", "c": 1}], "q.t", "b", pairs=True) == [("x", "y")]
    assert texts([{"question": "x", "answer": "y", "c": 1}], pairs=True) == [("x", "y")]


def test_chunks_are_bounded() -> None:
    sizes = [len(chunk.texts) for chunk in read(b'{"text": ""}\n' * 4000)]
    assert sum(sizes) == 4000
    assert max(sizes) <= chunks.CHUNK_LINES


@pytest.mark.parametrize(
    ("data", "wanted", "fault"),
    [
        (
            b'{"text": "x"}\n{"text": \n',
            (),
            r"^it: line 2 is no JSON at column 10, expected a whole object in each line",
        ),
        (b'[{"text": "x"}]\n', (), r"^it: line 1 is \[\{'text': 'x'\}\], expected an object .*jq"),
        (b'"x"\n', (), r"^it: line 1 is 'x', expected an object"),
        (b"[" * 100_000 + b"\n", (), r"^it: line 1 is no JSON, expected"),
        (b'{"text": ["x"]}\n', (), r"^it: line 1: column 'text' is a list, \['x'\], expected a text"),
        (b'{"a": {"b": 1}}\n', ("a",), r"^it: line 1: column 'a' is an object"),
        (b'{"a": 1, "b": "x", "c": "y"}\n', (), r"^it has the columns a, b, c, and it is not clear"),
        (b'{"a": {"b": "x"}}\n', ("a.c",), r"^it has no column 'a\.c', its columns are a$"),
        (b'{"a": "x"}\n' * 2000, ("b",), r"^it has no column 'b', its columns are a$"),
        (
            b'{"text": "x"}\n{"text": "\\ud800x"}\n',
            (),
            r"^it: line 2 has '\\ud800', half of a surrogate pair, .*--errors",
        ),
        (b'{"text": "\xff"}\n', (), r"^it: line 1 is not UTF-8: 0xff is its byte 11"),
    ],
)
def test_what_is_no_jsonl(data: bytes, wanted: tuple[str, ...], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        texts(data, *wanted)


def test_halves_of_surrogate_pairs_are_replaced_if_asked_for() -> None:
    data = b'{"text": "\\ud83d\\ude00"}\n{"text": "a\\ud800b", "x\\ud800": ["\\ud800", 1]}\n'
    (chunk,) = read_jsonl(ByteStream(io.BytesIO(data), "it", "replace"), ("text",))
    assert chunk.rows.record(1) == {"text": "a\ufffdb", "x\ufffd": ["\ufffd", 1]}
    assert chunk.texts == ["\U0001f600", "a\ufffdb"]
