"""CSV and TSV as spreadsheets and programs write them; what is no table is said with its line."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.delimited import find_delimiter, read_delimited
from edgebert.tables.stream import ByteStream


def read(data: bytes, kind: str = "csv", *wanted: str, pairs: bool = False) -> list[Chunk]:
    return [*read_delimited(ByteStream(io.BytesIO(data), "it", "strict"), kind, wanted, pairs=pairs)]


def texts(data: bytes, kind: str = "csv", *wanted: str, pairs: bool = False) -> list[Any]:
    return [text for chunk in read(data, kind, *wanted, pairs=pairs) for text in chunk.texts]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"text\none\ntwo\n", ["one", "two"]),
        (b"text\r\none\r\ntwo", ["one", "two"]),
        (b"id,text\n1,one\n\n2,\n   \n3,three\n\n", ["one", "", "three"]),
        (b"text\n\n \none\n", [" ", "one"]),
        (b'\xef\xbb\xbf"text";id\n"a; ""b""\nc";1\n', ['a; "b"\nc']),
        (b'id,text\n1,"one\r\n\r\ntwo"\n2,x\n', ["one\r\n\r\ntwo", "x"]),
        (b"id\ttext\n1\ta, b\n", ["a, b"]),
        (b"id|text\n1|a, b; c\n", ["a, b; c"]),
        (b"id,text\r1,one\r2,two\r", ["one", "two"]),
        (b"text\rx\ry", ["x", "y"]),
        (b"\n\nid,text\n1,one\n", ["one"]),
        (b"id,text\n", []),
        (b"", []),
        ("id,text\n1,\u2028größe\x0b\n".encode(), ["\u2028größe\x0b"]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 32768])
def test_texts_of_a_table(data: bytes, expected: list[str], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
    assert texts(data) == expected


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n"])
@pytest.mark.parametrize("size", [7, 1000, 4096])
def test_a_block_is_bounded_however_lines_end(end: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
    rows = [b"text", *(b"row %d" % i for i in range(500)), b'"a\rb\r\nc"']
    data = end.join(rows) + end
    blocks = [b"".join(block) for block in ByteStream(io.BytesIO(data), "it", "strict").blocks_of_rows()]
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) <= size + 16
    assert texts(data) == [*(row.decode() for row in rows[1:-1]), "a\rb\r\nc"]
    assert [line for chunk in read(data) for line in chunk.lines] == [*range(2, 503)]


def test_rows_keep_all_cells_and_know_their_lines() -> None:
    data = b'\xef\xbb\xbfid;text\n1;"a\nb"\n\n2;c\n'
    (chunk,) = read(data)
    assert [*chunk.lines] == [2, 5]
    assert chunk.place(1) == "it: line 5"
    rows = chunk.rows
    assert rows is not None
    assert (rows.columns, rows.chosen) == (("id", "text"), ("text",))
    assert [rows.record(i) for i in range(2)] == [{"id": "1", "text": "a\nb"}, {"id": "2", "text": "c"}]
    assert (rows.delimiter, rows.bom) == (";", True)  # type: ignore[attr-defined]


def test_what_python_writes_is_read_back() -> None:
    cells = ['quote " and ""', "a,b;c\td|e", "line\nend\r\n", "lone\rreturn", "", " x ", "日本"]
    text = io.StringIO()
    csv.writer(text).writerows([["n", "text"], *enumerate(cells)])
    assert texts(text.getvalue().encode()) == cells


def test_tsv_has_tabs_alone() -> None:
    assert texts(b"a,b\ttext\n1\tx\n", "tsv") == ["x"]
    with pytest.raises(InputError, match="line 2 has 2 cells, expected 1"):
        texts(b"a,b;c;d\n1\tx\n", "tsv")


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [("text", ","), ("a,b", ","), ("a;b,c;d", ";"), ('"a,b,c";d', ";"), ("a\tb", "\t"), ("a|b|c,d", "|")],
)
def test_the_delimiter_is_found_in_the_header(header: str, delimiter: str) -> None:
    assert find_delimiter(header) == delimiter


def test_chunks_come_with_what_was_read_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"text\n" + b"one\n" * 5000
    sizes = [len(chunk.texts) for chunk in read(data)]
    assert sum(sizes) == 5000
    assert max(sizes) == chunks.CHUNK_LINES

    class Pipe(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return self.readline()

    source = read_delimited(ByteStream(Pipe(b'text\none\n"two\n2"\nthree\n'), "it", "strict"), "csv", ())
    assert next(source).texts == ["one"]  # before the next line is there
    assert next(source).texts == ["two\n2"]


def test_pairs_are_two_columns() -> None:
    assert texts(b"one,two\na,b\n", pairs=True) == [("a", "b")]
    assert texts(b"id,text_pair,Text\n1,b,a\n", pairs=True) == [("a", "b")]
    assert texts(b"a,b,c\n1,2,3\n", "csv", "c", "a", pairs=True) == [("3", "1")]
    with pytest.raises(InputError, match=r"it has the columns a, b, c, .*--column A --column B"):
        texts(b"a,b,c\n1,2,3\n", pairs=True)


@pytest.mark.parametrize(
    ("data", "wanted", "expected"),
    [
        (b"a\nx\n", (), "x"),
        (b"a, Review ,stars\n1,x,5\n", (), "x"),
        (b"text,stars\nx,5\n", ("stars",), "5"),
        (b"text,review\nx,y\n", (), r"it has the columns text, review, and it is not clear .* --column NAME"),
        (b"a,b\nx,y\n", (), "it has the columns a, b, and it is not clear"),
        (b"a, b,\nx,y,z\n", ("b",), r"it has no column 'b', its columns are a, ' b', ''"),
        (b"a,a\nx,y\n", ("a",), "it has two columns named 'a'"),
        (b",".join(b"%d" % i for i in range(20)) + b"\n", (), "10, 11 and 8 more"),
    ],
)
def test_which_column_is_meant(data: bytes, wanted: tuple[str, ...], expected: str) -> None:
    if len(expected) == 1:
        assert texts(data, "csv", *wanted) == [expected]
        return
    with pytest.raises(InputError, match=expected):
        texts(data, "csv", *wanted)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"a,text\n1,x\n2\n", r"^it: line 3 has 1 cell, expected 2 as the header has \(a, text\): .*',' in it"),
        (b'a,text\n1,"x\ny"\n2,x,y\n', r"^it: line 4 has 3 cells, expected 2"),
        (b'text\n"x\ny\n', r"^it: line 2 begins a cell whose double quote is never closed"),
        (b'text\n"x"y\n', r"^it: line 2 has something behind a closing double quote"),
        (b"a,text\n1,x\n2,\xff\n", r"^it: line 3 is not UTF-8: 0xff is its byte 3"),
    ],
)
def test_what_is_no_table(data: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        texts(data)


def test_a_quote_that_is_not_closed_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.tables.delimited._LONGEST_CELL", 1000)
    with pytest.raises(InputError, match=r"^it: line 2 begins a cell whose double quote is never closed"):
        texts(b'text\n"' + b"x\n" * 1000)
    assert texts(b"text\n" + b"x\n" * 1000) == ["x"] * 1000
