"""Where texts come from; lines are the ones that the user sees in an editor, whatever else is in them."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import click
import pytest

from edgebert.cli import cli, texts
from edgebert.cli.options import LineOptions
from edgebert.cli.texts import open_texts
from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.plain import read_lines, read_paragraphs, read_whole
from edgebert.tables.stream import ByteStream
from tests.cli.command import invoke
from tests.cli.fake_model import FakeModel


def read_chunks(stream: BinaryIO, errors: str = "strict") -> Iterator[Chunk]:
    return read_lines(ByteStream(stream, "it", errors))


def read(data: bytes, errors: str = "strict") -> list[str]:
    found = [*read_chunks(io.BytesIO(data), errors)]
    lines = [line for chunk in found for line in chunk.texts]
    assert [number for chunk in found for number in chunk.lines] == [*range(1, len(lines) + 1)]
    if errors == "strict":
        ends = [end for chunk in found for end in chunk.ends or ()]
        whole = b"".join(line.encode() + end for line, end in zip(lines, ends, strict=True))
        assert whole == data.removeprefix(b"\xef\xbb\xbf")
    return lines


def options_of(*files: str, **others: Any) -> LineOptions:
    common: dict[str, Any] = dict.fromkeys(("input", "split", "model", "threads", "max_memory", "device", "output"))
    return LineOptions(**{**common, "texts": (), "columns": (), "globs": (), "errors": "strict", **others}, files=files)


def opened(*files: str, **others: Any) -> AbstractContextManager[texts.Texts]:
    return open_texts(options_of(*files, **others).inputs)


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
        (b"x" * 40_000 + b"\n\0\n", ["x" * 40_000, "\0"]),
        ("a\u2028b\u0085c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce\x1cf"]),
        (" grüße \n日本\n".encode(), [" grüße ", "日本"]),
    ],
)
def test_lines(data: bytes, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(data) == lines
    for size in (1, 2, 3, 5) if len(data) < 1000 else ():
        monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
        assert read(data) == lines, f"read {size} bytes at a time"


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("split", texts.PLAIN)
def test_no_text(data: bytes, split: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"/it: no text in it, expected one"), opened(str(path), split=split) as source:
        list(source)


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
    found = [chunk.texts for chunk in read_chunks(io.BytesIO(b"\n" * 100_000))]
    assert sum(map(len, found)) == 100_000
    assert max(map(len, found)) == chunks.CHUNK_LINES
    found = [chunk.texts for chunk in read_chunks(io.BytesIO((b"x" * 999 + b"\n") * 1000))]
    assert sum(map(len, found)) == 1000
    assert max(sum(map(len, texts)) for texts in found) <= chunks.CHUNK_BYTES + 1000  # and the line begun before


def test_progress_counts_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"some words\n" * 10_000)
    for files in (1, 3):
        with opened(*[str(path)] * files) as source:
            assert source.total == files * 110_000
            seen = [source.done for _ in source]
        assert seen == sorted(seen)
        assert 0 < seen[0] < seen[-1] == files * 110_000


def test_how_much_a_pipe_holds_is_not_known() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\n")
    os.close(writer)
    with open(reader, "rb") as stream:
        source = ByteStream(stream, "it", "strict")
        assert source.total is None
        assert [chunk.texts for chunk in read_lines(source)] == [["one"]]


def test_given_texts_are_kept_whole() -> None:
    given = ["one\ntwo", "", "\r\n", *map(str, range(2000))]
    with opened(texts=tuple(given)) as source:
        found = list(source)
    assert [text for chunk in found for text in chunk.texts] == given
    assert max(len(chunk.texts) for chunk in found) <= chunks.CHUNK_LINES
    assert found[1].place(0) == f"--text number {chunks.CHUNK_LINES + 1}"


LATIN1 = b"caf\xe9".decode("utf-8", "surrogateescape")  # as Python hands an argument over
NO_TEXTS = {"globs", "max_memory", "target", "remove"}
"""Options for names of files, sizes, and names of processors and models."""


def parameters_of(command: str) -> list[click.Parameter]:
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    return found.params


def test_every_option_for_text_reads_it_alike() -> None:
    strings = {
        option.name
        for name in cli.list_commands(click.Context(cli))
        for option in parameters_of(name)
        if isinstance(option.type, click.types.StringParamType)
    }
    assert strings <= NO_TEXTS


@pytest.mark.parametrize(
    "command",
    [
        *("rank --query ?", "rank --query x --label ?", "answer -q ?"),
        *("classify --labels ?", "classify --labels x,? --hypothesis {}", "classify --labels x --hypothesis ?"),
        *("classify --text ?", "classify --column ?", "classify --prefix ?", "tag --text ?", "fill-mask --targets ?"),
        *("embed --prompt ?", "embed --prompt-name ?", "redact --keep ?", "redact --only ?", "redact --key ?"),
        *("evaluate a --against b --texts c --labels ?", "evaluate a --against b --texts c --text-column ?"),
    ],
)
@pytest.mark.usefixtures("model")
def test_given_bytes_that_are_not_utf8(command: str) -> None:
    arguments = [argument.replace("?", LATIN1) for argument in command.split()]
    told = invoke(*arguments).stderr
    option = next(before for before, after in itertools.pairwise(arguments) if LATIN1 in after)
    names = {"-q": ("--query", "--question")}.get(option, (option,))
    assert told.startswith(tuple(f"edgebert: error: {name} " for name in names))
    assert "is not UTF-8: 0xe9 is its byte" in told
    assert told.endswith("; convert it to UTF-8, or pass --errors replace to go on\n")
    assert "is not UTF-8" not in invoke(*arguments, "--errors", "replace").stderr


def test_given_bytes_that_are_not_utf8_are_replaced(model: FakeModel) -> None:
    invoke("rank", "--text", "x", "--text", LATIN1, "--query", LATIN1, "--errors", "replace")
    assert (model.calls, model.options["query"]) == ([["x", "caf\ufffd"]], "caf\ufffd")


def test_a_terminal_is_read_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Typed(io.BytesIO):
        buffer = io.BytesIO(b"one\ntwo\n")

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(texts.sys, "stdin", Typed())
    with pytest.raises(click.UsageError, match="Nothing to read"), opened():
        pass
    with opened("-") as source:
        assert [chunk.texts for chunk in source] == [["one", "two"]]
    assert not Typed.buffer.closed


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{tmp_path}/none could not be read: No such file"):
        options_of(str(tmp_path / "none")).inputs  # noqa: B018 (it looks)


def test_reading_that_fails_midway() -> None:
    class Broken(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read1(4)

    source = read_chunks(Broken(b"one\ntwo\n"))
    assert next(source).texts == ["one"]
    with pytest.raises(InputError, match=r"^it could not be read: Input/output error"):
        next(source)


def test_paragraphs() -> None:
    data = b"\n \none\r\ntwo\n\n \n\nthree\n\nfour"
    for size in (1, 3, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks, "CHUNK_BYTES", size)
            found = [*read_paragraphs(ByteStream(io.BytesIO(data), "it", "strict"))]
        assert [text for chunk in found for text in chunk.texts] == ["one\r\ntwo", "three", "four"]
        assert [line for chunk in found for line in chunk.lines] == [3, 8, 10]
        ends = [end for chunk in found for end in chunk.ends or ()]
        assert ends == [b"\n\n \n\n", b"\n\n", b""]


def test_a_whole_file() -> None:
    (chunk,) = read_whole(ByteStream(io.BytesIO(b"\xef\xbb\xbfone\r\n\ntwo\n"), "it", "strict"))
    assert (chunk.texts, chunk.place(0)) == (["one\r\n\ntwo\n"], "it")


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}\n")


def test_folders_files_and_globs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "d/b.txt", "d/a.md", "d/e/c.txt", "d/.hidden", "d/.git/x.txt", "z.txt")
    monkeypatch.chdir(tmp_path)
    for named, globs, expected in [
        (["d"], (), ["d/a.md", "d/b.txt", "d/e/c.txt"]),
        (["z.txt", "d"], ("*.txt",), ["z.txt", "d/b.txt", "d/e/c.txt"]),
        (["d"], ("e/*",), ["d/e/c.txt"]),
        (["d"], ("*.md", "c*"), ["d/a.md", "d/e/c.txt"]),
        (["d/.hidden"], (), ["d/.hidden"]),
    ]:
        inputs = options_of(*named, globs=globs).inputs
        assert [*inputs.files] == expected
        assert inputs.several == (named != ["d/.hidden"])
        with open_texts(inputs) as source:
            assert [(chunk.file, chunk.texts) for chunk in source] == [(file, [f"text of {file}"]) for file in expected]
    (tmp_path / "d/broken.txt").symlink_to("none")
    os.mkfifo(tmp_path / "d/pipe.txt")  # who opened it would wait for a writer
    named = options_of("d", globs=("*.txt",)).inputs
    assert [*named.files] == ["d/b.txt", "d/broken.txt", "d/e/c.txt"]
    with pytest.raises(InputError, match=r"^d/broken.txt could not be read"), open_texts(named) as source:
        list(source)
    with pytest.raises(InputError, match=r"^d: there is no file that matches \*\.csv in this folder"):
        options_of("d", globs=("*.csv",)).inputs  # noqa: B018


def test_blank_files_keep_their_place(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "c.txt")
    (tmp_path / "b.txt").touch()
    for split, expected in [
        ("files", ["text of a.txt\n", "", "text of c.txt\n"]),
        ("lines", ["text of a.txt", "text of c.txt"]),
    ]:
        with opened(str(tmp_path), split=split) as source:
            assert [text for chunk in source for text in chunk.texts] == expected
    for name in ("a.txt", "c.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match="and 2 more: no text in any"), opened(str(tmp_path), split="files") as source:
        list(source)


@pytest.mark.parametrize(
    ("start", "name", "what"),
    [
        (b"%PDF-1.7\n", "x.pdf", "is a PDF, .*save its text as .txt"),
        (b"PK\x03\x04..", "x.docx", "is a Word document"),
        (b"PK\x03\x04..", "x.odt", "is a document of LibreOffice, .*as .txt"),
        (b"PK\x03\x04..", "x.pptx", "is a presentation"),
        (b"PK\x03\x04..", "x.odp", "is a presentation"),
        (b"PK\x03\x04..", "x.epub", "is an e-book"),
        (b"PK\x03\x04..", "x.xlsx", "is an Excel workbook, .*as .csv"),
        (b"PK\x03\x04..", "x.xlsm", "is an Excel workbook"),
        (b"PK\x03\x04..", "x.ods", "is a sheet of LibreOffice, .*as .csv"),
        (b"PK\x03\x04..", "x.zip", "is a zip archive"),
        (b"\x89PNG\r\n", "x.txt", "is an image"),
        (b"\xff\xd8\xff\xe0", "x.jpg", "is an image"),
        (b"\x1f\x8b\x08", "x.txt.gz", "is compressed by gzip"),
        (b"PAR1\x15\x04", "x.txt", "is a Parquet file, .*--input parquet"),
        (b"text\0text\n", "x.txt", "is no text .*NUL bytes"),
        (b"\x10\0\0\0\0\0\0\0{}", "x.edgebert", "is a model, .*-m"),
    ],
)
def test_what_is_no_text_is_refused_by_name(start: bytes, name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(start)
    for split in texts.PLAIN:
        with pytest.raises(InputError, match=f"/{name} {what}"), opened(str(tmp_path / name), split=split) as source:
            list(source)


@pytest.mark.parametrize(
    "packed", [*(bz2.compress(b"text\n", i) for i in range(1, 10)), gzip.compress(b"text\n"), lzma.compress(b"text\n")]
)
def test_what_is_compressed_is_refused(packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(packed)
    with (
        pytest.raises(InputError, match=r"x\.txt is compressed by .*unpack"),
        opened(str(tmp_path / "x.txt")) as source,
    ):
        list(source)


@pytest.mark.parametrize(
    "text",
    ["Rar! I loved it.", "BZh is no word", "BZh9", "%PDF-files", "{\\rtf is a format", "GIF8", "PAR1 is a key", "7z"],
)
def test_a_text_may_begin_like_a_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text(text)
    with opened(str(tmp_path / "x.txt")) as source:
        assert [chunk.texts for chunk in source] == [[text]]


@pytest.mark.parametrize(
    ("files", "options", "fault"),
    [
        (["a.txt"], {"texts": ("x",)}, "Give either FILES or --text"),
        (["a.txt"], {"columns": ("text",)}, "--column does not go with plain text"),
        (["a.txt"], {"prefix": "x"}, "--prefix does not go with plain text"),
        (["a.txt"], {"globs": ("*",)}, "--glob chooses among the files of a folder"),
        (["a.txt"], {"input": "lines", "split": "files"}, "--split does not go with --input lines"),
        (["a.csv"], {"split": "files"}, "--split does not go with csv"),
        (["a.csv"], {"columns": ("a", "b")}, "--column was given 2 times, expected one"),
        (["a.csv"], {"columns": ("a",), "pairs": True}, "expected two for pairs"),
        (["-", "-"], {}, "can be read once"),
        ([], {"texts": ("x",), "input": "csv"}, "--input does not go with --text"),
    ],
)
def test_options_that_do_not_go_together(files: list[str], options: dict[str, Any], fault: str, tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "a.csv")
    named = [name if name == "-" else str(tmp_path / name) for name in files]
    with pytest.raises(click.UsageError, match=fault):
        options_of(*named, **options).inputs  # noqa: B018


def test_kinds_by_name(tmp_path: Path) -> None:
    names = {"a.CSV": "csv", "a.tsv": "tsv", "a.Tab": "tsv", "a.ndjson": "jsonl", "a.jsonl": "jsonl", "a.pq": "parquet"}
    names |= {"a.parquet": "parquet", "a.txt": "lines", "a.md": "lines", "a": "lines"}
    write(tmp_path, *names, "a.json")
    for name, kind in names.items():
        assert options_of(str(tmp_path / name)).inputs.reading.kind == kind
        assert options_of(str(tmp_path / name), input="text").inputs.reading.kind == "files"
        assert options_of(str(tmp_path / name), input="tsv").inputs.reading.kind == "tsv"
    assert options_of(str(tmp_path / "a.tsv"), pairs=True).inputs.reading.kind == "lines"
    assert options_of(str(tmp_path / "a.tsv"), pairs=True, columns=("a,b",)).inputs.reading.columns == ("a", "b")
    with pytest.raises(InputError, match=r"a\.json is JSON, expected JSON Lines"):
        options_of(str(tmp_path / "a.json")).inputs  # noqa: B018
    with pytest.raises(InputError, match=r"a.CSV is csv and .*a.txt is plain text, expected files of one kind"):
        options_of(str(tmp_path / "a.CSV"), str(tmp_path / "a.txt")).inputs  # noqa: B018
