"""A table in, the same table with answers out: through the commands, in every kind of file."""

from __future__ import annotations

import csv
import datetime
import gc
import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgebert.cli.formats import RowFormat
from edgebert.cli.lines import Task, answer_lines, row_writer
from tests.cli.command import COMMAND, invoke, told_written
from tests.cli.fake_model import FakeModel
from tests.cli.test_texts import options_of
from tests.selection import few

CSV = b'id;review;stars\n1;"a good; long\r\nday";5\n2;"";1\n3;bad;1\n'
ROWS = [("1", "a good; long\r\nday", "5"), ("2", "", "1"), ("3", "bad", "1")]
LABELS = [("POSITIVE", 0.87654321), (None, None), ("NEGATIVE", 0.87654321)]
ADDED = ["label", "score", "tokens", "windows", "truncated"]


def sheet(text: str, **options: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), **options))


def test_a_csv_gets_columns_behind_its_own(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbf" + CSV)
    told = invoke("classify", tmp_path / "in.csv").stdout_bytes.decode()
    assert invoke("classify", tmp_path / "in.csv", "-o", tmp_path / "out.csv").exit_code == 0
    assert (tmp_path / "out.csv").read_bytes().decode() == told
    assert told.startswith("\ufeffid;review;stars;label;score;tokens;windows;truncated\n1;")
    rows = sheet(told.removeprefix("\ufeff"), delimiter=";")
    assert [(row["id"], row["review"], row["stars"]) for row in rows] == ROWS
    assert [(row["label"] or None, float(row["score"]) if row["score"] else None) for row in rows] == LABELS
    assert model.calls == [["a good; long\r\nday", "bad"]] * 2


def test_a_csv_keeps_the_ends_of_its_lines(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'id,review\r\n1,"good\nday"\r\n2,bad\r\n')
    told = invoke("classify", tmp_path / "in.csv").stdout_bytes
    assert told.count(b"\r\n") == 3
    assert told.replace(b"\r\n", b"").count(b"\n") == 1
    (tmp_path / "in.csv").write_bytes(b'id,review\n1,"good\r\nday"\n')
    assert invoke("classify", tmp_path / "in.csv").stdout_bytes.count(b"\r\n") == 1


def test_every_kind_becomes_every_kind(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(CSV)
    name = "in.csv"
    for step, suffix in enumerate(("jsonl", "parquet", "tsv", "parquet", "csv", "jsonl")):
        output = f"out{step}.{suffix}"
        result = invoke(
            "classify", tmp_path / name, "--column", "review", "--prefix", f"{step}_", "-o", tmp_path / output
        )
        told = told_written(tmp_path / output, len(ROWS))
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", told)
        name = output
    rows = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
    assert [(row["id"], row["review"], row["stars"]) for row in rows] == ROWS
    assert list(rows[0]) == ["id", "review", "stars", *(f"{step}_{name}" for step in range(6) for name in ADDED)]
    for step in range(5):
        assert [row[f"{step}_label"] or None for row in rows] == [label for label, _ in LABELS]
    assert [(row["5_label"], row["5_score"]) for row in rows] == LABELS


def test_parquet_keeps_types(model: FakeModel, tmp_path: Path) -> None:
    columns = {
        "id": pa.array([2**40, None], pa.int64()),
        "text": ["good", None],
        "small": pa.array([1, 2], pa.int8()),
        "when": pa.array([datetime.datetime(2026, 1, 2, 3), None], pa.timestamp("ms")),
        "list": [["a", "b"], []],
        "price": pa.array([1.5, None], pa.float32()),
        "kind": pa.array(["x", "x"]).dictionary_encode(),
    }
    before = pa.table(columns)
    pq.write_table(before, tmp_path / "in.parquet")
    assert invoke("classify", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet").exit_code == 0
    after = pq.read_table(tmp_path / "out.parquet")
    assert after.select(before.schema.names).equals(before)
    types = [str(after.schema.field(name).type) for name in ADDED]
    assert types == ["string", "double", "int64", "int64", "bool"]
    assert after.column("label").to_pylist() == ["POSITIVE", None]
    told = sheet(invoke("classify", tmp_path / "in.parquet").stdout)  # a pipe gets csv
    assert [told[0][name] for name in columns] == [
        "1099511627776",
        "good",
        "1",
        "2026-01-02T03:00:00",
        '["a", "b"]',
        "1.5",
        "x",
    ]
    assert [told[1][name] for name in columns] == ["", "", "2", "", "[]", "", "x"]
    row = json.loads(invoke("classify", tmp_path / "in.parquet", "--format", "jsonl").stdout.splitlines()[0])
    assert (row["when"], row["list"], row["label"]) == ("2026-01-02T03:00:00", ["a", "b"], "POSITIVE")


def test_plain_text_to_parquet(model: FakeModel, tmp_path: Path) -> None:
    result = invoke("classify", "-o", tmp_path / "out.parquet", "--text", "good", "--text", "")
    assert result.exit_code == 0
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["text"], row["label"]) for row in rows] == [("good", "POSITIVE"), ("", None)]


def test_several_answers_are_several_rows_and_one_object(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"id,text\n1,good\n2,\n")
    rows = sheet(invoke("classify", tmp_path / "in.csv", "--top-k", "all").stdout)
    assert [(row["id"], row["rank"], row["label"]) for row in rows] == [
        ("1", "1", "POSITIVE"),
        ("1", "2", "NEGATIVE"),
        ("2", "", ""),
    ]
    told = invoke("classify", tmp_path / "in.csv", "--top-k", "all", "--format", "jsonl").stdout.splitlines()
    assert [len(json.loads(line)["labels"]) for line in told] == [2, 0]


def test_a_row_without_spans_stays(tagger: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"id,text\n1,Ann saw Bob\n2,nobody\n")
    rows = sheet(invoke("tag", tmp_path / "in.csv").stdout)
    assert [(row["id"], row["word"], row["line"]) for row in rows] == [
        ("1", "Ann", "2"),
        ("1", "Bob", "2"),
        ("2", "", "3"),
    ]
    assert [row["tokens"] for row in rows] == ["3", "3", "1"]
    (tmp_path / "b.csv").write_bytes(b"id,text\n3,nobody\n")
    (tmp_path / "c.txt").write_bytes(b"nobody")
    rows = sheet(invoke("tag", tmp_path / "in.csv", tmp_path / "b.csv").stdout)
    files = [str(tmp_path / name) for name in ("in.csv", "in.csv", "in.csv", "b.csv")]
    assert [(row["file"], row["line"]) for row in rows] == [*zip(files, "2232", strict=True)]
    invoke("tag", tmp_path / "c.txt", "-o", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist()[0]["tokens"] == 1


def test_several_files_say_which_is_meant(model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d").mkdir()
    Path("d/a.txt").write_text("good\n")
    Path("d/b.txt").write_text("\nbad\n")
    expected = "d/a.txt\t1\tPOSITIVE\t0.8765\tgood\nd/b.txt\t1\t\t\t\nd/b.txt\t2\tNEGATIVE\t0.8765\tbad\n"
    assert invoke("classify", "d").stdout == expected
    assert invoke("classify", "d/a.txt", "d/b.txt").stdout == expected
    assert sheet(invoke("classify", "d", "-o", "out.csv").stdout) == []
    rows = sheet(Path("out.csv").read_text())
    assert list(rows[0])[:4] == ["file", "line", "text", "label"]
    told = [
        json.loads(line)
        for line in invoke("classify", "d", "--split", "files", "--format", "jsonl").stdout.splitlines()
    ]
    assert [(row["file"], row["text"], "line" in row) for row in told] == [
        ("d/a.txt", "good\n", False),
        ("d/b.txt", "\nbad\n", False),
    ]
    assert invoke("rank", "--query", "a", "d").stdout.splitlines()[0] == "d/b.txt\t2\t0.2500\tbad"
    row = json.loads(invoke("embed", "d").stdout.splitlines()[0])
    assert (row["file"], row["line"], row["text"]) == ("d/a.txt", 1, "good")


def test_tables_of_several_files(model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("id,text\n1,good\n")
    Path("b.csv").write_text("text;id\nbad;2\n")
    rows = sheet(invoke("classify", "a.csv", "b.csv").stdout)
    assert [(row["id"], row["text"], row["file"], row["line"], row["label"]) for row in rows] == [
        ("1", "good", "a.csv", "2", "POSITIVE"),
        ("2", "bad", "b.csv", "2", "NEGATIVE"),
    ]
    Path("b.csv").write_text("text,name\nbad,2\n")
    result = invoke("classify", "a.csv", "b.csv", "-o", "out.csv")
    assert "b.csv has the columns text, name, expected those of the files before it: id, text" in result.stderr
    assert not Path("out.csv").exists()


def test_pairs(model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.csv").write_text('id,one,two\n1,a,"b\tc"\n2,,\n')
    for columns in (["--column", "one", "--column", "two"], ["--column", "one, two"]):
        rows = sheet(invoke("next-sentence", "in.csv", *columns).stdout)
        assert [(row["id"], row["two"], row["label"]) for row in rows] == [("1", "b\tc", "IsNext"), ("2", "", "")]
        told = invoke("next-sentence", "in.csv", *columns, "--format", "table").stdout
        assert told.splitlines()[0].split() == ["IsNext", "0.7500", "a", "b\\tc"]
    Path("in.tsv").write_text("a\tb\n")  # without a header, as ever
    assert invoke("next-sentence", "in.tsv").stdout == "IsNext\t0.7500\ta\tb\n"
    assert invoke("classify", "--pairs", "in.tsv").exit_code == 0
    assert "--column A --column B" in invoke("classify", "--pairs", "in.csv").stderr


def test_questions_to_rows(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,the cat\n2,\n")
    rows = sheet(invoke("answer", tmp_path / "in.csv", "-q", "a cat?", "-q", "the").stdout)
    assert [(row["id"], row["question"], row["answer"]) for row in rows] == [
        ("1", "a cat?", "cat"),
        ("1", "the", "the"),
        ("2", "a cat?", ""),
        ("2", "the", ""),
    ]
    (tmp_path / "a.txt").write_text("no\ncat\n")
    told = invoke("answer", tmp_path / "a.txt", tmp_path / "a.txt", "-q", "cat").stdout
    assert told == f"{tmp_path}/a.txt\t0.5000\t3\t6\tcat\tcat\n" * 2
    assert (
        invoke("answer", tmp_path / "a.txt", "--split", "lines", "-q", "cat").stdout.splitlines()[1][:10]
        == "0.5000\t0\t3"
    )


def test_vectors_keep_the_row(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n1,two words\n")
    row = json.loads(invoke("embed", tmp_path / "in.csv", "--prefix", "x_").stdout)
    assert list(row) == ["id", "text", "x_tokens", "x_windows", "x_truncated", "x_embedding"]
    assert invoke("embed", tmp_path / "in.csv", "-o", tmp_path / "out.npy").exit_code == 0
    assert np.load(tmp_path / "out.npy").tolist() == [[9, 2, 0]]
    assert (
        "--prefix does not go with OUT.npy"
        in invoke("embed", tmp_path / "in.csv", "--prefix", "x", "-o", tmp_path / "out.npy").stderr
    )
    (tmp_path / "in.csv").write_text("embedding,text\n1,two words\n")
    assert "has a column 'embedding', and so have the answers" in invoke("embed", tmp_path / "in.csv").stderr


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_another_text_in_the_place_of_the_one_that_was_read(suffix: str, model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "1", "a": {"t": "good"}, "text": "x"}\n')
    (tmp_path / "in.csv").write_text("id,text\n1,good\n")
    source, columns = ("in.csv", ("text",)) if suffix != "jsonl" else ("in.jsonl", ("a.t",))
    if suffix == "parquet":
        invoke("classify", tmp_path / source, "--prefix", "p_", "-o", tmp_path / "in.parquet")
        source = "in.parquet"
    form = RowFormat(
        records=lambda row: [{}],
        document=lambda row: {},
        columns=(),
        sheet=(),
        replacement=lambda row: row.text.upper(),
    )
    options = options_of(str(tmp_path / source), columns=columns, output=str(tmp_path / f"out.{suffix}"))
    task = Task("embed", lambda model, items, seen: model.classify(items, on_coverage=seen), "redacted")
    answer_lines(options, task, row_writer(options, form))
    told = invoke("classify", tmp_path / f"out.{suffix}", "--column", columns[0], "--prefix", "q_", "--format", "jsonl")
    row = json.loads(told.stdout)
    assert row["id"] == "1"
    assert (row["a"], row["text"]) == ({"t": "GOOD"}, "x") if suffix == "jsonl" else row["text"] == "GOOD"


@pytest.mark.parametrize(
    ("name", "data", "options", "fault"),
    [
        ("in.csv", b"text,label\nx,y\n", [], "in.csv has a column 'label', and so have the answers: .*--prefix"),
        ("in.jsonl", b'{"text": "x"}\n{"text": "x", "score": 1}\n', [], "in.jsonl has a column 'score'"),
        ("in.csv", b"text,x_label\nx,y\n", ["--prefix", "x_"], "has a column 'x_label'"),
        (
            "in.csv",
            b"text\nx\n",
            ["-o", "out.xlsx"],
            "OUT is out.xlsx, expected a name that ends in .csv, .tsv, .jsonl",
        ),
        ("in.csv", b"text\nx\n", ["-o", "in.csv"], "in.csv is a file that the texts come from"),
        ("in.csv", b"text\nx\n", ["--column", "review"], "in.csv has no column 'review', its columns are text"),
        ("in.csv", b"", [], "in.csv: no text in it, expected a header and a row for each text"),
        ("in.csv", b"a,text\n1\n", [], "in.csv: line 2 has 1 cell, expected 2"),
        ("in.csv", b"%PDF-1.4", [], "in.csv is a PDF"),
        ("-", b"PAR1", ["--input", "parquet"], "cannot be read from a pipe"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    name: str,
    data: bytes,
    options: list[str],
    fault: str,
    model: FakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if name != "-":
        Path(name).write_bytes(data)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    output = [] if "-o" in options else ["-o", "out.csv"] if name == "in.csv" else ["-o", "out.jsonl"]
    result = invoke("classify", name, *options, *output, stdin=data)
    assert result.exit_code in (1, 2)
    assert fault.replace(".*", "") in result.stderr or all(part in result.stderr for part in fault.split(".*"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class _Forgetful(list[Any]):
    def append(self, _: Any) -> None:
        pass


@pytest.mark.parametrize("suffix", few(["csv", "jsonl", "parquet"], "csv"))
def test_memory_does_not_grow_with_the_table(
    suffix: str, model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == "parquet":
        monkeypatch.setattr("edgebert.tables.parquet_writer._ROWS", 1000)
    monkeypatch.setattr(model, "calls", _Forgetful())  # it keeps what it saw
    monkeypatch.chdir(tmp_path)
    peaks = []
    gc.disable()  # a collection empties free lists of objects that were not traced
    try:
        for rows in (2_000, 2_000, 10_000):  # the first pays for imports
            Path("in.csv").write_bytes(b"id,text\n" + b"1,some good words that make up one row of this table\n" * rows)
            if suffix != "csv":
                invoke("classify", "in.csv", "--prefix", "p_", "-o", f"in.{suffix}")
            tracemalloc.start()
            assert invoke("classify", f"in.{suffix}", "-o", f"out.{suffix}").exit_code == 0
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    finally:
        gc.enable()
    assert peaks[2] < 1.1 * peaks[1], peaks
    assert peaks[2] < 3_000_000, peaks


def test_rows_come_while_the_pipe_is_open(classifier: Path) -> None:

    with subprocess.Popen(
        [*COMMAND, "classify", "-m", classifier, "--input", "csv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"id,text\n1,first\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"id,text,label")
        assert process.stdout.readline().startswith(b"1,first,")
        process.stdin.close()
        assert process.wait() == 0


def test_the_whole_way_without_pyarrow(classifier: Path, tmp_path: Path) -> None:
    """A table of another kind does not import it."""
    (tmp_path / "in.csv").write_bytes(CSV)
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from edgebert.cli import main; sys.argv = ['edgebert', *sys.argv[1:]]; main()"
    )
    command = [sys.executable, "-c", code, "classify", "-m", str(classifier), str(tmp_path / "in.csv")]
    result = subprocess.run([*command, "-o", str(tmp_path / "out.csv")], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, told_written(tmp_path / "out.csv", 3))
    assert [row["id"] for row in sheet((tmp_path / "out.csv").read_text(), delimiter=";")] == ["1", "2", "3"]
    result = subprocess.run([*command, "-o", str(tmp_path / "out.parquet")], capture_output=True, text=True)
    assert result.returncode == 1
    assert "needs pyarrow: pip install 'edgebert[tables]'" in result.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_texts_of_arguments_import_no_readers(classifier: Path) -> None:
    code = (
        "import sys, edgebert.cli as cli; cli._leave = sys.exit\n"
        "sys.argv = ['edgebert', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "finally: print(*sorted(name for name in sys.modules if 'edgebert.tables.' in name), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "classify", "-m", str(classifier), "--text", "x"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stderr.split() == ["edgebert.tables.chunks"]
