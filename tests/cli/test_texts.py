"""Lines are the ones that the user sees in an editor, whatever else is in them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import click
import pytest

from edgebert.cli.texts import Texts, open_texts
from edgebert.errors import InputError
from edgebert.tables import chunks


def read(data: bytes, errors: str = "strict") -> list[str]:
    return [line for chunk in Texts(io.BytesIO(data), "it", errors) for line in chunk]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"\n", [""]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"\n\na\n\n", ["", "", "a", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r\r\n", ["a\rb\r"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (b"\xef\xbb\xbf\n", [""]),
        (b"nul\0nul\n\0\n", ["nul\0nul", "\0"]),
        ("a\u2028b\u0085c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce\x1cf"]),
        (" grüße \n日本\n".encode(), [" grüße ", "日本"]),
    ],
)
def test_lines(data: bytes, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(data) == lines
    for size in (1, 2, 3, 5):
        monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
        assert read(data) == lines, f"read {size} bytes at a time"


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_no_text(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^it: no text in it"):
        read(data)


@pytest.mark.parametrize("size", [1, 7, 32768])
def test_not_utf8_names_the_line_and_the_byte(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
    monkeypatch.setattr(chunks, "CHUNK_LINES", 2)
    data = b"one\ntwo\r\n\nfour\nfive \xe9t\xe9\nsix\n"
    with pytest.raises(InputError, match=r"^it: line 5 is not UTF-8: 0xe9 is its byte 6; .*--errors replace"):
        read(data)
    assert read(data, "replace")[4] == "five \ufffdt\ufffd"


def test_utf16_is_guessed() -> None:
    with pytest.raises(InputError, match=r"line 1 is not UTF-8 \(it looks like UTF-16\)"):
        read("abc".encode("utf-16"))


def test_a_line_of_many_blocks() -> None:
    assert read(b"x" * 10_000_000 + b"\nshort") == ["x" * 10_000_000, "short"]


def test_chunks_are_bounded() -> None:
    chunks = list(Texts(io.BytesIO(b"\n" * 100_000), "it", "strict"))
    assert sum(map(len, chunks)) == 100_000
    assert max(map(len, chunks)) == texts.CHUNK_LINES
    chunks = list(Texts(io.BytesIO((b"x" * 999 + b"\n") * 1000), "it", "strict"))
    assert sum(map(len, chunks)) == 1000
    assert max(sum(map(len, chunk)) for chunk in chunks) <= texts.CHUNK_BYTES + 1000  # and the line begun before


def test_progress_counts_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"some words\n" * 10_000)
    with open_texts(str(path), (), "strict") as source:
        assert source.total == 110_000
        seen = [source.done for _ in source]
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] == 110_000


def test_how_much_a_pipe_holds_is_not_known() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\n")
    os.close(writer)
    with open(reader, "rb") as stream:
        source = Texts(stream, "it", "strict")
        assert source.total is None
        assert list(source) == [["one"]]


def test_given_texts_are_kept_whole() -> None:
    given = ["one\ntwo", "", "\r\n", *map(str, range(2000))]
    with open_texts(None, given, "strict") as source:
        chunks = list(source)
    assert [text for chunk in chunks for text in chunk] == given
    assert max(map(len, chunks)) <= texts.CHUNK_LINES


def test_given_bytes_that_are_not_utf8() -> None:
    argument = b"caf\xe9".decode("utf-8", "surrogateescape")  # as Python hands it over
    with (
        pytest.raises(InputError, match=r"^--text number 2 is not UTF-8: 0xe9 is its byte 4"),
        open_texts(None, ["x", argument], "strict"),
    ):
        pass
    with open_texts(None, ["x", argument], "replace") as source:
        assert list(source) == [["x", "caf\ufffd"]]


def test_a_terminal_is_read_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Typed(io.BytesIO):
        buffer = io.BytesIO(b"one\ntwo\n")

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(texts.sys, "stdin", Typed())
    with pytest.raises(click.UsageError, match="Nothing to read"), open_texts(None, (), "strict"):
        pass
    with open_texts("-", (), "strict") as source:
        assert list(source) == [["one", "two"]]


def test_unreadable(tmp_path: Path) -> None:
    for path, reason in [(tmp_path / "none", "No such file"), (tmp_path, "Is a directory")]:
        with (
            pytest.raises(InputError, match=f"^{path} could not be read: {reason}"),
            open_texts(str(path), (), "strict"),
        ):
            pass


def test_reading_that_fails_midway() -> None:
    class Broken(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read1(4)

    source = iter(Texts(Broken(b"one\ntwo\n"), "it", "strict"))
    assert next(source) == ["one"]
    with pytest.raises(InputError, match=r"^it could not be read: Input/output error"):
        next(source)
