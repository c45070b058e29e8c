"""``edgebert answer`` and ``edgebert rank``: a question for one text, a query for many."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import edgebert
from edgebert.tables import chunks
from tests.cli.command import invoke, run, told_written
from tests.cli.fake_model import FakeModel

CONTEXT = "The cat\r\nand the dog\n\nsleep."
ASKED = ["-q", "cat or dog?", "--question", "sheep"]


def test_answer_from_argument_file_and_pipe(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(CONTEXT.encode())
    expected = "0.5000\t4\t7\tcat\tcat or dog?\n0.1250\t0\t0\t\tsheep\n"
    for arguments, stdin in [
        ([tmp_path / "in.txt"], b""),
        (["-"], CONTEXT.encode()),
        ([], CONTEXT.encode()),
        (["--text", CONTEXT], b""),
    ]:
        result = invoke("answer", *ASKED, *arguments, stdin=stdin)
        assert (result.exit_code, result.stdout, result.stderr) == (0, expected, "")
        assert model.options.pop("context") == [CONTEXT, CONTEXT]
        assert model.options == {
            "top_k": 1,
            "max_answer_len": 15,
            "align_to_words": True,
            "handle_impossible_answer": False,
            "stride": None,
            "truncate": False,
        }


def test_a_file_is_one_text_however_it_is_read(
    model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 3)
    (tmp_path / "in.txt").write_bytes(b"\xef\xbb\xbf" + "größe 日本\n".encode())
    assert invoke("answer", tmp_path / "in.txt", "-q", "日本").stdout == "0.5000\t6\t8\t日本\t日本\n"


def test_several_answers(model: FakeModel) -> None:
    options = ["--top-k", "2", "--max-answer-len", "3", "--no-answer", "--stride", "1", "--no-align-to-words"]
    result = invoke("answer", *ASKED, *options, "--format", "csv", "--text", CONTEXT)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    names = "question,rank,score,start,end,answer,tokens,windows,truncated"
    assert result.stdout.splitlines()[0] == names
    assert [(row["question"], row["rank"], row["answer"]) for row in rows] == [
        ("cat or dog?", "1", "cat"),
        ("cat or dog?", "2", "dog"),
        ("sheep", "1", ""),
    ]
    assert all(CONTEXT[int(row["start"]) : int(row["end"])] == row["answer"] for row in rows)
    assert model.options["handle_impossible_answer"] is True
    assert model.options["align_to_words"] is False
    assert (model.options["top_k"], model.options["max_answer_len"], model.options["stride"]) == (2, 3, 1)
    first, _ = map(json.loads, invoke("answer", *ASKED, "--format", "jsonl", "--text", CONTEXT).stdout.splitlines())
    answers = [{"score": 0.5, "start": 4, "end": 7, "answer": "cat"}]
    assert first == {"question": "cat or dog?", "answers": answers, "tokens": 3, "windows": 1, "truncated": False}


def test_answers_for_people(model: FakeModel) -> None:
    result = invoke("answer", *ASKED, "-q", "\x1b", "--format", "table", "--text", "\x1b[2J cat\nor dog")
    assert result.stdout == (
        "cat or dog?\n0.5000  \\x1b[2J [cat] or dog\nsheep\n0.1250  no answer\n\\x1b\n0.1250  no answer\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--text", "x"], 2, "Missing option '-q' / '--question'"),
        (["-q", "x", "--text", "x", "--text", "y"], 2, "give --text once"),
        (["-q", "x", "file", "--text", "y"], 2, "Give either FILES or --text"),
        (["-q", "x", "--text", "x", "--top-k", "0"], 2, "0 is not in the range"),
        (["-q", "x", "none.txt"], 1, "none.txt could not be read: No such file"),
        (["-q", "x"], 1, "standard input: no text in it, expected one"),
        (["-q", "x", "-", "--glob", "*"], 2, "--glob chooses among the files of a folder"),
    ],
)
def test_nothing_to_answer(arguments: list[str], code: int, complaint: str, model: FakeModel) -> None:
    result = invoke("answer", *arguments, stdin=b" \n")
    assert (result.exit_code, result.stdout) == (code, "")
    assert complaint in result.stderr
    assert model.calls == []


def test_a_context_that_is_not_utf8(model: FakeModel) -> None:
    result = invoke("answer", "-q", "ok", stdin=b"ok\nand \xff")
    assert result.exit_code == 1
    assert "standard input is not UTF-8: 0xff is its byte 8" in result.stderr
    result = invoke("answer", "-q", "ok", "--errors", "replace", stdin=b"ok\nand \xff")
    assert result.stdout == "0.5000\t0\t2\tok\tok\n"


def test_answers_do_not_replace_the_text(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("text")
    result = invoke("answer", tmp_path / "in.txt", "-q", "x", "-o", tmp_path / "in.txt")
    assert result.exit_code == 1
    assert (tmp_path / "in.txt").read_text() == "text"


def test_answer_the_whole_way(family_file: Callable[[str], Path], tmp_path: Path) -> None:
    path, context = family_file("bert-question"), "Some words of the context.\n" * 40
    (tmp_path / "in.txt").write_text(context)
    options = ["-m", path, "--top-k", "3", "--no-answer", "-o", tmp_path / "out.jsonl"]
    result = run("answer", tmp_path / "in.txt", "-q", "what is it", "-q", "who", *options)
    assert (result.returncode, result.stderr.decode()) == (0, told_written(tmp_path / "out.jsonl", 2))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    model = edgebert.load(path)
    for row, question in zip(rows, ("what is it", "who"), strict=True):
        assert row["question"] == question
        assert row["answers"] == model.answer(question, context, 3, handle_impossible_answer=True)
        assert row["windows"] > 1


def test_a_question_without_words(family_file: Callable[[str], Path]) -> None:
    result = invoke("answer", "-m", family_file("bert-question"), "-q", "", "--text", "x")
    assert result.exit_code == 1
    assert result.stderr == "edgebert: error: question is '', expected a text with words in it\n"


DOCUMENTS = b"an x\n\nx and x\nnone\nx too\n"


@pytest.mark.parametrize("at_once", [1, 2, 512])
def test_rank_from_argument_file_and_pipe(
    at_once: int, model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_LINES", at_once)
    (tmp_path / "in.txt").write_bytes(DOCUMENTS)
    given = [f"--text={line}" for line in DOCUMENTS.decode().splitlines()]
    expected = "0.5000\t3\tx and x\n0.2500\t1\tan x\n0.2500\t5\tx too\n0.0000\t4\tnone\n"
    for arguments, stdin in [([tmp_path / "in.txt"], b""), (["-"], DOCUMENTS), ([], DOCUMENTS), (given, b"")]:
        result = invoke("rank", "--query", "x", *arguments, stdin=stdin)
        assert (result.exit_code, result.stdout, result.stderr) == (0, expected, "")
        assert model.options == {"query": "x", "label": None, "stride": None, "truncate": False}
        result = invoke("rank", "--query", "x", "--top-k", "2", *arguments, stdin=stdin)
        assert result.stdout == "".join(expected.splitlines(keepends=True)[:2])


def test_rank_by_a_label(model: FakeModel) -> None:
    assert invoke("rank", "--query", "x", "--label", "fits", stdin=DOCUMENTS).exit_code == 0
    assert model.options == {"query": "x", "label": "fits", "stride": None, "truncate": False}


def test_rank_layouts(model: FakeModel) -> None:
    result = invoke("rank", "--query", "x", "--format", "jsonl", "--top-k", "1", stdin=DOCUMENTS)
    told = {"text": "x and x", "index": 2, "score": 0.5, "tokens": 3, "windows": 1, "truncated": False}
    assert json.loads(result.stdout) == told
    result = invoke("rank", "--query", "x", "--format", "csv", "--top-k", "2", stdin=DOCUMENTS)
    assert result.stdout == (
        "rank,line,score,text,tokens,windows,truncated\n1,3,0.5,x and x,3,1,false\n2,1,0.25,an x,2,1,false\n"
    )
    result = invoke("rank", "--query", "x", "--format", "table", "--text", "x\x1b", "--text", "\t", "--text", "xx")
    assert result.stdout == "0.5000     3  xx\n0.2500     1  x\\x1b\n"


def test_rank_of_blank_lines_alone(model: FakeModel) -> None:
    result = invoke("rank", "--query", "x", stdin=b"\n\n")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_rank_truncated(model: FakeModel) -> None:
    result = invoke("rank", "--query", "x", "--truncate", stdin=b"1 2 3 4 5 6\n")
    assert result.stderr == "edgebert: 1 text was longer than 5 tokens; 17 % of its tokens were not seen\n"
    assert invoke("rank", stdin=DOCUMENTS).exit_code == 2  # no query


def test_a_model_with_three_labels_ranks_nothing(classifier: Path) -> None:
    result = invoke("rank", "-m", classifier, "--query", "x", "--text", "y")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the model has 3 labels" in result.stderr
    result = invoke("rank", "-m", classifier, "--query", "x", "--label", "positive", "--text", "y")
    assert (result.exit_code, result.stdout.partition("\t")[2]) == (0, "1\ty\n")
