"""Parquet keeps types, comes in bounded pieces, and is refused where it is damaged."""

from __future__ import annotations

import builtins
import datetime
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgebert.errors import InputError
from edgebert.tables import chunks
from edgebert.tables.chunks import Chunk
from edgebert.tables.parquet import ParquetStream, read_parquet
from edgebert.tables.parquet_writer import ParquetWriter, table_of


def read(path: Path, *wanted: str, pairs: bool = False) -> list[Chunk]:
    stream = ParquetStream(str(path))
    found = [*read_parquet(stream, wanted, pairs=pairs)]
    assert stream.done == stream.total == path.stat().st_size
    stream.close()
    return found


def texts(path: Path, *wanted: str, pairs: bool = False) -> list[Any]:
    return [text for chunk in read(path, *wanted, pairs=pairs) for text in chunk.texts]


def test_texts_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    day = datetime.date(2026, 1, 2)
    table = pa.table(
        {"id": [1, 2, 3], "words": ["x", None, ""], "day": [day, None, day], "n": [0.5, None, float("nan")]}
    )
    pq.write_table(table, path)
    assert texts(path) == ["x", "", ""]  # the only column of strings
    assert texts(path, "id") == ["1", "2", "3"]
    assert texts(path, "n") == ["0.5", "", ""]
    assert texts(path, "words", "day", pairs=True) == [("x", "2026-01-02"), ("", ""), ("", "2026-01-02")]
    (chunk,) = read(path)
    assert chunk.place(2) == f"{path}: row 3"
    assert chunk.rows is not None
    assert chunk.rows.record(0) == {"id": 1, "words": "x", "day": day, "n": 0.5}


def test_dictionaries_are_strings(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "b": pa.array(["x", "y"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "in.parquet")
    assert texts(tmp_path / "in.parquet") == ["x", "y"]


def test_pieces_are_bounded(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x"] * 3000}), tmp_path / "in.parquet")
    sizes = [len(chunk.texts) for chunk in read(tmp_path / "in.parquet")]
    assert sum(sizes) == 3000
    assert max(sizes) <= chunks.CHUNK_LINES


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    for data, fault in [
        (b"text\nx\n", "is no Parquet file"),
        (b"PAR1" + b"x" * 100, "could not be read as Parquet: "),
        (b"", "is no Parquet file"),
    ]:
        path.write_bytes(data)
        with pytest.raises(InputError, match=f"^{path} {fault}"):
            texts(path)
    pq.write_table(pa.table({"a": [["x"]], "b": [b"y"]}), path)
    for column, what in [("a", "a list"), ("b", "bytes")]:
        with pytest.raises(InputError, match=f"^{path}: row 1: column '{column}' is {what}"):
            texts(path, column)
    with pytest.raises(InputError, match="has the columns a, b, and it is not clear"):
        texts(path)
    pq.write_table(pa.table([pa.array(["x"]), pa.array(["y"])], names=["a", "a"]), path)
    with pytest.raises(InputError, match="has two columns named 'a'"):
        texts(path)


def test_damage_within(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(5000)]}), path, compression="gzip")
    data = bytearray(path.read_bytes())
    data[200:2000] = bytes(1800)
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"^{path} could not be read as Parquet: "):
        texts(path)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fail(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(
        InputError, match=r"in.parquet is Parquet, which needs pyarrow: pip install 'edgebert\[tables\]'"
    ):
        texts(tmp_path / "in.parquet")


def written(*tables: Any) -> Any:
    file = io.BytesIO()
    writer = ParquetWriter(lambda data: file.write(data) and None)
    for table in tables:
        writer.add(table, "it")
    writer.finish()
    return pq.read_table(io.BytesIO(file.getvalue()))


def test_tables_are_written_in_large_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.tables.parquet_writer._ROWS", 100)
    file = io.BytesIO()
    writer = ParquetWriter(lambda data: file.write(data) and None)
    sizes = []
    for i in range(50):
        writer.add(pa.table({"i": range(7 * i, 7 * i + 7)}), "it")
        sizes.append(file.tell())
    writer.finish()
    found = pq.ParquetFile(io.BytesIO(file.getvalue()))
    assert found.read().column("i").to_pylist() == [*range(350)]
    assert found.num_row_groups == 4
    assert len(set(sizes)) == 4  # the first bytes, and three groups: the last waits for the end


def test_values_that_a_column_cannot_hold() -> None:
    first, types = table_of({"a": [None, None], "b": [1, 2]}, {}, "it"), {"b": "int64"}
    # Of a column without a value yet the type is text; what is missing later is null.
    assert written(first, table_of({"a": [3]}, types, "it")).to_pylist() == [
        {"a": None, "b": 1},
        {"a": None, "b": 2},
        {"a": "3", "b": None},
    ]
    with pytest.raises(InputError, match=r"^it: column 'b' holds values of several types, .*\.jsonl"):
        written(first, table_of({"a": ["x"], "b": ["y"]}, {}, "it"))
    with pytest.raises(InputError, match=r"^it: column 'a' holds values of several types"):
        table_of({"a": [1, "x"]}, {}, "it")
    with pytest.raises(InputError, match=r"^it there is a key 'c' that the first objects have not"):
        written(first, table_of({"a": ["x"], "b": [1], "c": [1]}, {}, "it"))
