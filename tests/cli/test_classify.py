"""``edgebert classify``: a row for every line, in the layout that the user expects."""

from __future__ import annotations

import csv
import gc
import json
import tracemalloc
from pathlib import Path

import pytest

import edgebert
from edgebert.coverage import Coverage
from edgebert.tables import chunks
from tests.cli.command import invoke, run, told_written
from tests.cli.fake_model import FakeModel

LINES = b"a good day\n\nbad\n \na good day that never ends at all\n"
TSV = (
    "POSITIVE\t0.8765\ta good day\n\t\t\nNEGATIVE\t0.8765\tbad\n\t\t \n"
    "POSITIVE\t0.8765\ta good day that never ends at all\n"
)
REPORT = "edgebert: 1 text was longer than 5 tokens; 38 % of its tokens were not seen\n"


@pytest.mark.parametrize("arguments", [[], ["-"], ["--format", "tsv"], ["-", "-o", "-"]])
def test_from_a_pipe(arguments: list[str], model: FakeModel) -> None:
    result = invoke("classify", *arguments, "--truncate", stdin=LINES)
    assert (result.exit_code, result.stdout, result.stderr) == (0, TSV, REPORT)
    assert model.calls == [["a good day", "bad", "a good day that never ends at all"]]


def test_from_a_file(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(LINES)
    result = invoke("classify", tmp_path / "in.txt", stdin=b"not this")
    assert (result.exit_code, result.stdout, result.stderr) == (0, TSV, "")


def test_from_arguments(model: FakeModel) -> None:
    result = invoke("classify", "--text", "good\nlines", "--text", "", "--text", "-", stdin=b"not this")
    assert result.stdout == "POSITIVE\t0.8765\tgood\\nlines\n\t\t\nNEGATIVE\t0.8765\t-\n"
    assert result.stderr == ""


def test_only_blank_lines_are_rows_too(model: FakeModel) -> None:
    assert invoke("classify", stdin=b"\n\n").stdout == "\t\t\n\t\t\n"


def test_jsonl(model: FakeModel) -> None:
    rows = [json.loads(line) for line in invoke("classify", "--format", "jsonl", stdin=LINES).stdout.splitlines()]
    seen = {"tokens": 3, "windows": 1, "truncated": False}
    assert rows[0] == {"text": "a good day", "label": "POSITIVE", "score": 0.87654321, **seen}
    assert list(rows[0]) == ["text", "label", "score", "tokens", "windows", "truncated"]
    nothing = {"label": None, "score": None, "tokens": None, "windows": None, "truncated": False}
    assert rows[1] == {"text": "", **nothing}
    assert [row["windows"] for row in rows] == [1, None, 1, None, 2]


def test_truncated_texts_are_said_to_be(model: FakeModel) -> None:
    result = invoke("classify", "--format", "jsonl", "--truncate", stdin=LINES)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["truncated"] for row in rows] == [False, False, False, False, True]
    assert rows[-1]["windows"] == 1


def test_table(model: FakeModel) -> None:
    result = invoke("classify", "--format", "table", stdin=b"good\x1b[2J\n\nbad\n")
    assert result.stdout == "POSITIVE  0.8765  good\\x1b[2J\n\nNEGATIVE  0.8765  bad\n"


def test_truncated_texts_are_counted_over_all_chunks(model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_LINES", 2)
    data = b"".join(b"\nfits\n1 2 3 4 5 %d\n" % i for i in range(7))
    result = invoke("classify", "--format", "jsonl", "--truncate", stdin=data)
    assert result.stderr == "edgebert: 7 texts were longer than 5 tokens; 17 % of their tokens were not seen\n"
    rows = map(json.loads, result.stdout.splitlines())
    assert [row["text"][:1] for row in rows if row["truncated"]] == ["1"] * 7


@pytest.mark.parametrize(
    ("name", "arguments", "first"),
    [
        ("out.tsv", [], "POSITIVE\t"),
        ("out.txt", [], "POSITIVE\t"),
        ("out", [], "POSITIVE\t"),
        ("out.table", ["--format", "tsv"], "POSITIVE\t"),
        ("out.csv", [], "text,label,score,tokens,windows,truncated\n"),
        ("out.JSONL", [], '{"text": "a good day"'),
        ("out.csv", ["--format", "jsonl"], '{"text": "a good day"'),
        ("out.csv", ["--format", "table"], "POSITIVE  0.8765  a"),
    ],
)
def test_output_guesses_its_format(
    name: str, arguments: list[str], first: str, model: FakeModel, tmp_path: Path
) -> None:
    result = invoke("classify", "-o", tmp_path / name, *arguments, stdin=LINES)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(first)
    assert len(list(tmp_path.iterdir())) == 1


def test_errors_replace(model: FakeModel, tmp_path: Path) -> None:
    result = invoke("classify", "-o", tmp_path / "out", stdin=b"good\nbad \xff\n")
    assert result.exit_code == 1
    assert "standard input: line 2 is not UTF-8" in result.stderr
    assert list(tmp_path.iterdir()) == []
    result = invoke("classify", "--errors", "replace", stdin=b"good\nbad \xff\n")
    assert result.exit_code == 0
    assert result.stdout.endswith("NEGATIVE\t0.8765\tbad \ufffd\n")


class _Forgetful(list[list[str]]):
    def append(self, _: list[str]) -> None:
        pass


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "-o", "out.csv"],
        ["embed", "-o", "out.npy"],
        ["tag", "-o", "out.jsonl"],
        ["rank", "--query", "good", "--top-k", "3", "-o", "out"],
    ],
)
def test_memory_does_not_grow_with_the_file(
    command: list[str], model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "calls", _Forgetful())  # it keeps what it saw
    monkeypatch.chdir(tmp_path)
    peaks = []
    gc.disable()  # a collection empties free lists of objects that were not traced
    try:
        for lines in (2_000, 2_000, 20_000):  # the first pays for imports
            (tmp_path / "in.txt").write_bytes(b"some good words that make up one line of this file\n" * lines)
            tracemalloc.start()
            invoke(*command, "in.txt")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    finally:
        gc.enable()
    assert peaks[2] < 1.05 * peaks[1], peaks
    assert peaks[2] < 2_000_000, peaks


@pytest.mark.parametrize("truncate", [True, False])
def test_the_whole_way(truncate: bool, classifier: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    lines = ["a first text", "", "日本 and more", "w " * 100, "x"]
    path.write_text("\n".join(lines), encoding="utf-8")
    options = ["--truncate"] if truncate else []
    result = run("classify", path, "--model", classifier, "--threads", "1", "-o", tmp_path / "out.csv", *options)
    report = "edgebert: 1 text was longer than 50 tokens; 51 % of its tokens were not seen\n" if truncate else ""
    assert (result.returncode, result.stderr.decode()) == (0, told_written(tmp_path / "out.csv", 5) + report)
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = [line for line in lines if line]
    coverages: dict[int, Coverage] = {}
    answers = edgebert.load(classifier).classify(wanted, truncate=truncate, on_coverage=coverages.__setitem__)
    told = [{"label": row["label"], "score": float(row["score"])} for row in rows if row["label"]]
    assert told == answers
    assert [row["text"] for row in rows] == lines
    assert [row["truncated"] for row in rows] == ["false", "false", "false", str(truncate).lower(), "false"]
    seen = [
        Coverage(int(row["tokens"]), int(row["windows"]), row["truncated"] == "true") for row in rows if row["label"]
    ]
    assert seen == [coverages[i] for i in range(len(wanted))]
    assert (seen[2].windows > 1) != truncate


def test_a_model_that_cannot(encoder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.edgebert"
    damaged.write_bytes(encoder.read_bytes()[:-1])
    for model in (encoder, damaged, tmp_path / "none.edgebert", tmp_path):
        result = invoke("classify", "--text", "x", "-m", model, "-o", tmp_path / "out")
        assert result.exit_code == 1
        assert result.stderr.startswith("edgebert: error: ")
        assert model.name in result.stderr
        assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [damaged]


def test_results_do_not_replace_the_texts(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("good\n")
    (tmp_path / "link").symlink_to(texts)
    for output in (texts, tmp_path / "link"):
        result = invoke("classify", texts, "-o", output)
        assert result.exit_code == 1
        assert "is a file that the texts come from" in result.stderr
    assert texts.read_text() == "good\n"
