"""``edgebert classify`` with several labels, with labels of one's own, and of pairs."""

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

LINES = b"a good day\n\nbad\n"


@pytest.mark.parametrize("count", ["2", "7", "all"])
def test_several_labels_are_a_line_each(count: str, model: FakeModel) -> None:
    result = invoke("classify", "--top-k", count, stdin=LINES)
    assert result.stdout == (
        "POSITIVE\t0.8765\ta good day\nNEGATIVE\t0.2500\ta good day\n\t\t\n"
        "NEGATIVE\t0.8765\tbad\nPOSITIVE\t0.2500\tbad\n"
    )
    assert model.options["top_k"] == (None if count == "all" else int(count))


def test_several_labels_in_csv_have_ranks(model: FakeModel) -> None:
    result = invoke("classify", "--top-k", "all", "--format", "csv", stdin=LINES)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0]) == ["text", "rank", "label", "score", "tokens", "windows", "truncated"]
    told = [(row["text"], row["rank"], row["label"]) for row in rows]
    assert told == [
        ("a good day", "1", "POSITIVE"),
        ("a good day", "2", "NEGATIVE"),
        ("", "", ""),
        ("bad", "1", "NEGATIVE"),
        ("bad", "2", "POSITIVE"),
    ]


def test_several_labels_in_jsonl_are_one_object(model: FakeModel) -> None:
    result = invoke("classify", "--top-k", "2", "--format", "jsonl", stdin=LINES)
    first, blank, _ = map(json.loads, result.stdout.splitlines())
    labels = [{"label": "POSITIVE", "score": 0.87654321}, {"label": "NEGATIVE", "score": 0.25}]
    assert first == {"text": "a good day", "labels": labels, "tokens": 3, "windows": 1, "truncated": False}
    assert blank == {"text": "", "labels": [], "tokens": None, "windows": None, "truncated": False}


def test_several_labels_in_a_table_are_aligned(model: FakeModel) -> None:
    result = invoke("classify", "--top-k", "2", "--format", "table", "--text", "good", "--text", " ")
    assert result.stdout == "POSITIVE  0.8765  good\nNEGATIVE  0.2500  good\n\n"


def test_options_reach_the_model(model: FakeModel) -> None:
    options = ["--function", "sigmoid", "--pool", "max", "--stride", "3", "--truncate"]
    assert invoke("classify", *options, "--text", "x").exit_code == 0
    expected = {"top_k": 1, "function_to_apply": "sigmoid", "pool": "max", "stride": 3, "truncate": True}
    assert model.options == {**expected, "labels": None}


def test_labels_of_ones_own(model: FakeModel) -> None:
    options = ["--labels", "sport, war=news of war ,x", "--text", "one", "--text", "", "--text", "two"]
    result = invoke("classify", *options)
    assert result.stdout == (
        "sport\t0.5000\tone\nwar\t0.2500\tone\nx\t0.1250\tone\n\t\t\n"
        "sport\t0.5000\ttwo\nwar\t0.2500\ttwo\nx\t0.1250\ttwo\n"
    )
    assert model.options["labels"] == {"sport": "sport", "war": "news of war", "x": "x"}
    assert "hypothesis_template" not in model.options  # the library's own
    result = invoke("classify", *options, "--top-k", "1", "--format", "jsonl", "--multi-label", "--hypothesis", "{}?")
    assert json.loads(result.stdout.splitlines()[0])["labels"] == [{"label": "sport", "score": 0.5}]
    assert (model.options["multi_label"], model.options["hypothesis_template"]) == (True, "{}?")
    table = invoke("classify", *options, "--format", "table").stdout.splitlines()
    assert table[:2] == ["sport  0.5000  one", "war    0.2500  one"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--top-k", "0"], "'0' is no number from 1 on, nor 'all'"),
        (["--top-k", "few"], "'few' is no number"),
        (["--labels", "a,,b"], "'a,,b' has an empty item"),
        (["--labels", ""], "'' has an empty item"),
        (["--multi-label"], "go with --labels"),
        (["--hypothesis", "{}"], "go with --labels"),
        (["--labels", "a", "--pairs"], "goes with neither --pairs nor --function"),
        (["--labels", "a", "--function", "none"], "goes with neither"),
        (["--function", "square"], "'square' is not one of"),
        (["--pool", "last"], "'last' is not one of"),
        (["--stride", "-1"], "-1 is not in the range"),
    ],
)
def test_options_that_make_no_sense(arguments: list[str], complaint: str, model: FakeModel) -> None:
    result = invoke("classify", "--text", "x", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert model.calls == []


@pytest.mark.parametrize("command", [["classify", "--pairs"], ["next-sentence"]])
def test_pairs(command: list[str], model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"a good\tday\n\nz\ta\n")
    labels = ("POSITIVE", "NEGATIVE") if "classify" in command else ("IsNext", "NotNext")
    score = "0.8765" if "classify" in command else "0.7500"
    expected = f"{labels[0]}\t{score}\ta good\tday\n\t\t\t\n{labels[1]}\t{score}\tz\ta\n"
    for arguments in (["--text", "a good\tday", "--text", "", "--text", "z\ta"], [tmp_path / "in.txt"]):
        result = invoke(*command, *arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, expected, "")
        assert model.calls.pop() == [("a good", "day"), ("z", "a")]
    result = invoke(*command, "--format", "jsonl", stdin=b"a good\tday\n\n")
    first, blank = map(json.loads, result.stdout.splitlines())
    assert (first["text"], first["text_pair"], first["label"]) == ("a good", "day", labels[0])
    assert (blank["text"], blank["text_pair"], blank["label"]) == ("", "", None)
    result = invoke(*command, "--format", "csv", stdin=b"a good\tday\n")
    assert result.stdout.startswith("text,text_pair,label,score,tokens,windows,truncated\na good,day,")


@pytest.mark.parametrize("command", [["classify", "--pairs"], ["next-sentence"]])
@pytest.mark.parametrize(("line", "found"), [("one", "no tab"), ("a\tb\tc", "2 tabs"), ("\ta\t", "2 tabs")])
def test_lines_that_are_no_pairs(command: list[str], line: str, found: str, model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(f"a\tb\n\n{line}\n")
    fault = f"has {found}, expected two texts with one tab between them\n"
    result = invoke(*command, tmp_path / "in.txt", "-o", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"edgebert: error: {tmp_path / 'in.txt'}: line 3 {fault}"
    assert not (tmp_path / "out").exists()
    result = invoke(*command, "--text", line)
    assert result.stderr == f"edgebert: error: --text number 1 {fault}"


@pytest.mark.parametrize("bad", [1, 512, 513, 700])
def test_of_many_lines_the_one_that_is_no_pair_is_named(bad: int, model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\tb\n" * (bad - 1) + "one\n" + "a\tb\n" * 10)
    result = invoke("next-sentence", tmp_path / "in.txt", "-o", tmp_path / "out")
    assert f"in.txt: line {bad} has no tab" in result.stderr


def test_pairs_with_several_labels(model: FakeModel) -> None:
    result = invoke("classify", "--pairs", "--top-k", "2", "--text", "a\tb")
    assert result.stdout == "NEGATIVE\t0.8765\ta\tb\nPOSITIVE\t0.2500\ta\tb\n"
    assert invoke("classify", "--pairs", "--format", "table", "--text", "a\x1b\tb").stdout == (
        "NEGATIVE  0.8765  a\\x1b  b\n"
    )


def test_next_sentence_says_what_was_truncated(model: FakeModel) -> None:
    result = invoke("next-sentence", stdin=b"1 2 3\t4 5 6\n1\t2\n")
    assert result.stderr == "edgebert: 1 text was longer than 5 tokens; 17 % of its tokens were not seen\n"


def test_the_whole_way(family_file: Callable[[str], Path]) -> None:
    path = family_file("bert-classifier")
    model, text = edgebert.load(path), "the first of several texts " * 30
    result = run("classify", "-m", path, "--top-k", "all", "--pool", "max", "--format", "jsonl", "--text", text)
    (expected,) = model.classify([text], None, pool="max")
    told = json.loads(result.stdout)
    assert told["labels"] == expected
    assert told["windows"] > 1
    result = run("classify", "-m", path, "--labels", "a=sports,b", "--format", "jsonl", "--text", "some text")
    (found,) = model.classify(["some text"], labels={"a": "sports", "b": "b"})
    assert [label["score"] for label in json.loads(result.stdout)["labels"]] == found["scores"]
    result = run("classify", "-m", path, "--pairs", "--format", "jsonl", "--text", "one\ttwo")
    (best,) = model.classify([("one", "two")])
    assert json.loads(result.stdout).items() >= best.items()


def test_next_sentence_the_whole_way(family_file: Callable[[str], Path]) -> None:
    path = family_file("bert-pretraining")
    result = run("next-sentence", "-m", path, "--format", "jsonl", stdin=b"one text\tand another\n")
    (expected,) = edgebert.load(path).next_sentence([("one text", "and another")])
    assert json.loads(result.stdout).items() >= expected.items()
