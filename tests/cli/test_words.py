"""``edgebert fill-mask`` and ``edgebert score``: what a model for masked words says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import edgebert
from tests.cli.command import invoke, run
from tests.cli.fake_model import FakeModel

LINES = b"a [MASK] b\n\nc <mask>\n"


def test_from_argument_file_and_pipe(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(LINES)
    given = [f"--text={line}" for line in LINES.decode().splitlines()]
    expected = (
        "1\t1\t0.5000\tone\ta one b\n1\t1\t0.2500\ttwo\ta two b\n"
        "2\t\t\t\t\n3\t1\t0.5000\tone\tc one\n3\t1\t0.2500\ttwo\tc two\n"
    )
    for arguments, stdin in [([tmp_path / "in.txt"], b""), (["-"], LINES), ([], LINES), (given, b"")]:
        result = invoke("fill-mask", "--top-k", "2", *arguments, stdin=stdin)
        assert (result.exit_code, result.stdout, result.stderr) == (0, expected, "")
        assert model.calls.pop() == ["a <mask> b", "c <mask>"]
        assert model.options == {"top_k": 2, "targets": None, "stride": None, "truncate": False}


def test_fill_mask_in_jsonl_is_the_librarys_list(model: FakeModel) -> None:
    options = ["--top-k", "1", "--format", "jsonl", "--text", "a [MASK]", "--text", "[MASK] [MASK]", "--text", ""]
    one, two, blank = map(json.loads, invoke("fill-mask", *options).stdout.splitlines())
    word = {"score": 0.5, "token": 0, "token_str": "one", "sequence": "a one"}
    assert one == {"text": "a [MASK]", "masks": [word], "tokens": 2, "windows": 1, "truncated": False}
    assert two["masks"] == [[{**word, "sequence": "one <mask>"}]] * 2
    assert blank == {"text": "", "masks": [], "tokens": None, "windows": None, "truncated": False}


def test_fill_mask_in_csv_counts_masks_and_ranks(model: FakeModel) -> None:
    result = invoke("fill-mask", "--top-k", "2", "--format", "csv", "--text", "[MASK] [MASK]", "--text", " ")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    names = "text,mask,rank,score,token,token_str,sequence,tokens,windows,truncated"
    assert result.stdout.splitlines()[0] == names
    assert [(row["mask"], row["rank"], row["token_str"]) for row in rows] == [
        ("1", "1", "one"),
        ("1", "2", "two"),
        ("2", "1", "one"),
        ("2", "2", "two"),
        ("", "", ""),
    ]


def test_fill_mask_in_a_table_is_aligned(model: FakeModel) -> None:
    result = invoke("fill-mask", "--format", "table", "--text", "\x1b[MASK]")
    expected = ["1  1  0.5000  one    \\x1bone", "1  1  0.2500  two    \\x1btwo", "1  1  0.1667  three  \\x1bthree"]
    assert result.stdout.splitlines() == expected


def test_targets(model: FakeModel) -> None:
    assert (
        invoke("fill-mask", "--targets", "x, y", "--text", "[MASK]").stdout
        == "1\t1\t0.5000\tx\tx\n1\t1\t0.2500\ty\ty\n"
    )
    assert invoke("fill-mask", "--targets", ",", "--text", "[MASK]").exit_code == 2


def test_a_line_without_a_mask(model: FakeModel, tmp_path: Path) -> None:
    result = invoke("fill-mask", "-o", tmp_path / "out", stdin=b"a [MASK]\n\nnone\n")
    fault = "has no [MASK], expected it where a word is to be filled in\n"
    assert result.exit_code == 1
    assert result.stderr == f"edgebert: error: standard input: line 3 {fault}"
    assert list(tmp_path.iterdir()) == []


def test_score(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"abc\n\n1 2 3 4 5 6\n")
    result = invoke("score", tmp_path / "in.txt", "--truncate")
    assert result.stdout == "-6.0000\t3\t7.3891\tabc\n\t\t\t\n-22.0000\t11\t7.3891\t1 2 3 4 5 6\n"
    assert result.stderr == "edgebert: 1 text was longer than 5 tokens; 17 % of its tokens were not seen\n"
    result = invoke("score", "--format", "csv", stdin=b"abc\n")
    assert result.stdout == "text,score,tokens,perplexity,windows,truncated\nabc,-6.0,3,7.389056,1,false\n"
    first, blank = map(json.loads, invoke("score", "--format", "jsonl", stdin=b"abc\n\n").stdout.splitlines())
    assert first == {
        "text": "abc",
        "score": -6.0,
        "tokens": 3,
        "perplexity": 7.389056,
        "windows": 1,
        "truncated": False,
    }
    assert blank == {**dict.fromkeys(first), "text": "", "truncated": False}
    result = invoke("score", "--format", "table", "--text", "a\x07b")
    assert result.stdout == "   -6.0000     3      7.3891  a\\x07b\n"


def test_scores_come_a_few_lines_at_a_time(model: FakeModel) -> None:
    result = invoke("score", stdin=b"abc\n" * 100)
    assert result.stdout.count("\n") == 100
    assert max(map(len, model.calls)) < 50


@pytest.mark.parametrize("name", ["bert-masked", "roberta-masked"])
def test_the_whole_way(name: str, family_file: Callable[[str], Path]) -> None:
    path = family_file(name)
    model, text = edgebert.load(path), "the first [MASK] of several"
    result = run("fill-mask", "-m", path, "--format", "jsonl", "--top-k", "3", "--text", text)
    (expected,) = model.fill_mask([text.replace("[MASK]", model.mask_token)], 3)
    assert json.loads(result.stdout)["masks"] == expected
    result = run("score", "-m", path, "--format", "jsonl", stdin=b"some text\n")
    (expected,) = model.score(["some text"])
    assert json.loads(result.stdout).items() >= expected.items()


@pytest.mark.parametrize("command", ["fill-mask", "score"])
def test_a_model_that_cannot_refuses_before_it_reads(command: str, classifier: Path) -> None:
    result = invoke(command, "-m", classifier, stdin=b"no mask \xff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is no model for " in result.stderr
    assert result.stderr.count("\n") == 1
