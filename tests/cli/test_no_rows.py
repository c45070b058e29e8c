"""Tables without rows: what is written is a table without rows, with all of its columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgebert.cli import model_option
from tests.cli.command import invoke
from tests.cli.fake_model import FakeModel, FakeTagger

COMMANDS = (
    *("classify", "classify --top-k 2", "classify --pairs --column text --column other", "tag", "fill-mask", "score"),
    *("next-sentence --column text --column other", "rank --query x", "answer -q who", "embed", "embed --chunks"),
)


def written(folder: Path, kind: str, rows: int) -> Path:
    """Return a table with an id, a text and another text in a file."""
    path = folder / f"in{rows}.{kind}"
    table = pa.table({"id": pa.array([7] * rows, pa.int16()), "text": ["a <mask>"] * rows, "other": ["b"] * rows})
    table = table.cast(pa.schema([("id", pa.int16()), ("text", pa.string()), ("other", pa.large_string())]))
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
    else:
        cells = [table.column_names, *([str(cell) for cell in row.values()] for row in table.to_pylist())]
        path.write_text("".join(("\t" if kind == "tsv" else ",").join(row) + "\r\n" for row in cells), newline="")
    return path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_columns_are_those_of_a_table_with_rows(command: str, kind: str, model: FakeModel, tmp_path: Path) -> None:
    name, *options = command.split()
    options = options if "--column" in options else [*options, "--column", "text"]
    if "--chunks" in options:
        model.embed = lambda items, *_, on_coverage, **__: [on_coverage(i, None) for i, _ in enumerate(items)]
    outputs = ("jsonl", "parquet") if name == "embed" else ("csv", "jsonl", "parquet")
    for output in outputs:
        path = tmp_path / f"out.{output}"
        source = written(tmp_path, kind, 0)
        result = invoke(name, source, *options, "-o", path)
        assert result.exit_code == 0, result.stderr
        assert result.stderr.startswith(f"edgebert: 0 rows in {path}")
        assert f"edgebert: {source} has no rows: nothing was " in result.stderr
        if output == "jsonl":
            assert path.read_bytes() == b""
        if kind == "jsonl" or output == "jsonl" or "--chunks" in options:  # what keys there would be is not known
            continue
        other = tmp_path / f"other.{output}"
        assert invoke(name, written(tmp_path, kind, 1), *options, "-o", other).exit_code == 0
        if output == "parquet":
            assert pq.read_schema(path).equals(pq.read_schema(other))
            assert pq.read_table(path).num_rows == 0
        else:
            assert path.read_bytes() == other.read_bytes().splitlines(keepends=True)[0]


@pytest.mark.usefixtures("model")
def test_objects_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"\n \n")
    assert (
        invoke("classify", tmp_path / "in.jsonl", "--format", "csv").stdout == "label,score,tokens,windows,truncated\n"
    )
    assert invoke("embed", tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet").exit_code == 0
    assert pq.read_schema(tmp_path / "out.parquet").field("embedding").type == pa.list_(pa.float32())
    result = invoke("classify", "--input", "jsonl", stdin=b"")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "edgebert: standard input has no rows: nothing was classified\n"


@pytest.mark.usefixtures("model")
def test_an_array_without_rows_has_its_width(tmp_path: Path) -> None:
    for options, width in (((), 3), (("--dimensions", "2"), 2)):
        assert invoke("embed", written(tmp_path, "csv", 0), "-o", tmp_path / "out.npy", *options).exit_code == 0
        assert np.load(tmp_path / "out.npy").shape == (0, width)


@pytest.mark.usefixtures("model")
def test_some_of_several_tables(tmp_path: Path) -> None:
    empty, full = (written(tmp_path, "csv", rows) for rows in (0, 1))
    for files in ((empty, full), (full, empty)):
        result = invoke("classify", *files, "--column", "text")
        assert (len(result.stdout.splitlines()), result.stderr) == (2, "")
    again = tmp_path / "again.csv"
    again.write_bytes(empty.read_bytes())
    result = invoke("classify", empty, again, "--column", "text")
    assert result.stdout == "id,text,other,file,line,label,score,tokens,windows,truncated\n"
    assert result.stderr == f"edgebert: {empty} and 1 more have no rows: nothing was classified\n"


@pytest.mark.usefixtures("model")
def test_rows_of_which_none_is_ranked(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1, \n")
    (tmp_path / "in.txt").write_text(" \n")
    told = invoke("rank", tmp_path / "in.csv", "--query", "x")
    assert (told.stdout, told.stderr) == ("id,text,rank,line,score,tokens,windows,truncated\n", "")
    for name in ("in.csv", "in.txt"):
        assert invoke("rank", tmp_path / name, "--query", "x", "-o", tmp_path / "out.parquet").exit_code == 0
        assert "score" in pq.read_schema(tmp_path / "out.parquet").names


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_nothing_to_redact(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_option, "open_model", lambda *_, **__: FakeTagger())
    source, path, report = written(tmp_path, kind, 0), tmp_path / f"out.{kind}", tmp_path / "report.csv"
    result = invoke("redact", source, "--column", "text", "-o", path, "--report", report)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == f"edgebert: {source} has no rows: nothing was replaced\n"
    assert len(report.read_text().splitlines()) == 1
    if kind == "parquet":
        assert pq.read_table(path).equals(pq.read_table(source))
    else:
        assert path.read_bytes() == source.read_bytes()


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_a_file_without_a_header_is_no_table(name: str, tmp_path: Path) -> None:
    for data in (b"", b"\n\n", b"\xef\xbb\xbf"):
        (tmp_path / name).write_bytes(data)
        result = invoke("classify", tmp_path / name, "-o", tmp_path / "out.csv")
        assert result.exit_code == 1
        assert "no text in it, expected a header and a row for each text" in result.stderr
        assert not (tmp_path / "out.csv").exists()
