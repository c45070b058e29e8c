"""Plain texts: a line each, a paragraph each, or a whole file."""

from __future__ import annotations

from collections.abc import Iterator

from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.stream import ByteStream, decode

__all__ = ["read_lines", "read_paragraphs", "read_whole"]


def read_lines(stream: ByteStream) -> Iterator[Chunk]:
    r"""Yield the lines of a stream; only ``\n`` and ``\r\n`` end one.

    Raises
    ------
    InputError
        When reading fails, or a line is not UTF-8.
    """
    number = 1
    for block in stream.blocks():
        for start in range(0, len(block), chunks.CHUNK_LINES):
            lines = block[start : start + chunks.CHUNK_LINES]
            bodies = [line.removesuffix(b"\n").removesuffix(b"\r") for line in lines]
            texts = [stream.decode(body, i) for i, body in enumerate(bodies, start=number)]
            ends = [line[len(body) :] for line, body in zip(lines, bodies, strict=True)]
            before = stream.mark if number == 1 else b""
            yield Chunk(texts, stream.name, range(number, number + len(lines)), ends=ends, before=before)
            number += len(lines)


def read_paragraphs(stream: ByteStream) -> Iterator[Chunk]:
    """Yield the paragraphs of a stream: lines in succession that are not blank. Those between belong to no text.

    Raises
    ------
    InputError
        When reading fails, or a line is not UTF-8.
    """
    texts: list[str] = []
    numbers: list[int] = []
    ends: list[bytes] = []
    lines: list[bytes] = []  # of the paragraph that has begun
    blank: list[bytes] = []  # that follow it
    before: list[bytes] = []  # that stand before the first one
    number = begun = first = 0

    def end_paragraph() -> None:
        nonlocal lines, blank
        body = b"".join(lines)
        text = body.rstrip(b"\r\n")
        texts.append(decode(text, stream.errors, f"{stream.name}: the paragraph at line {begun}"))
        numbers.append(begun)
        ends.append(b"".join([body[len(text) :], *blank]))
        lines, blank = [], []

    def chunk() -> Chunk:
        mark = stream.mark if numbers[0] == first else b""
        return Chunk(texts, stream.name, numbers, ends=ends, before=b"".join([mark, *before]))

    for block in stream.blocks():
        for line in block:
            number += 1
            if not line.strip():
                (blank if lines else before).append(line)
                continue
            if lines and blank:
                end_paragraph()
            if not lines:
                begun = number
                first = first or number
            lines.append(line)
            if len(texts) == chunks.CHUNK_LINES:
                yield chunk()
                texts, numbers, ends, before = [], [], [], []
        if texts:
            yield chunk()
            texts, numbers, ends, before = [], [], [], []
    if lines:
        end_paragraph()
        yield chunk()


def read_whole(stream: ByteStream) -> Iterator[Chunk]:
    """Yield everything as one text.

    Raises
    ------
    InputError
        When reading fails, or it is not UTF-8.
    """
    text = decode(stream.whole(), stream.errors, stream.name)
    yield Chunk([text], stream.name, [1], unit="", ends=[b""], before=stream.mark)
