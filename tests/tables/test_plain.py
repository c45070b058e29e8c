"""Paragraphs of plain text, and what stands between them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator

import pytest

from edgebert.tables.chunks import Chunk
from edgebert.tables.plain import read_lines, read_paragraphs
from edgebert.tables.stream import ByteStream


def written(chunks: list[Chunk]) -> bytes:
    """Return chunks as the file that they were read from."""
    return b"".join(
        chunk.before + b"".join(text.encode() + end for text, end in zip(chunk.texts, chunk.ends or (), strict=True))
        for chunk in chunks
    )


@pytest.mark.parametrize("data", [b"\n" * 300_000 + b"x", b"x\n" + b" \r\n" * 300_000 + b"y\n"])
def test_many_blank_lines_take_no_longer_than_lines(data: bytes) -> None:
    def read(reader: Callable[[ByteStream], Iterator[Chunk]]) -> tuple[list[Chunk], float]:
        start = time.process_time()
        chunks = [*reader(ByteStream(io.BytesIO(data), "it", "strict"))]
        return chunks, time.process_time() - start

    (chunks, seconds), (_, usual) = read(read_paragraphs), read(read_lines)
    assert written(chunks) == data
    assert [text for chunk in chunks for text in chunk.texts] == data.decode().split()
    assert seconds < 5 * usual  # were they copied for each other, thirty times
