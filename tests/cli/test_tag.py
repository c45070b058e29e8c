"""``edgebert tag``: spans for programs, and for people the text with its spans in it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import edgebert
from tests.cli.command import invoke, run, told_written
from tests.cli.fake_model import FakeModel
from tests.golden import GOLDEN

LINES = "It is Alice and Äda\n\nnothing here\n1 2 3 4 5 Bo\x1b\n".encode()
TSV = (
    "1\t0\t2\tLOC\t0.9877\tIt\n1\t6\t11\tPER\t0.9877\tAlice\n1\t16\t19\tPER\t0.9877\tÄda\n"
    "4\t10\t13\tLOC\t0.9877\tBo\x1b\n"
)


def test_from_argument_file_and_pipe(tagger: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(LINES)
    given = [f"--text={line}" for line in LINES.decode().splitlines()]
    for arguments, stdin in [([tmp_path / "in.txt"], b""), (["-"], LINES), ([], LINES), (given, b"")]:
        result = invoke("tag", *arguments, stdin=stdin)
        assert (result.exit_code, result.stdout, result.stderr) == (0, TSV, "")
        assert len(tagger.calls.pop()) == 3


def test_csv(tagger: FakeModel) -> None:
    result = invoke("tag", "--format", "csv", stdin=LINES)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    names = ["line", "start", "end", "label", "score", "word", "tokens", "windows", "truncated"]
    assert result.stdout.splitlines()[0].split(",") == names
    assert [row["line"] for row in rows] == ["1", "1", "1", "4"]
    assert (rows[1]["word"], float(rows[1]["score"])) == ("Alice", 0.98765432)
    assert (rows[3]["tokens"], rows[3]["windows"], rows[3]["truncated"]) == ("6", "2", "false")


def test_jsonl(tagger: FakeModel) -> None:
    result = invoke("tag", "--format", "jsonl", stdin=LINES)
    first, blank, none, last = map(json.loads, result.stdout.splitlines())
    assert list(first) == ["text", "entities", "tokens", "windows", "truncated"]
    assert first["entities"][1] == {"entity_group": "PER", "score": 0.98765432, "word": "Alice", "start": 6, "end": 11}
    assert blank == {"text": "", "entities": [], "tokens": None, "windows": None, "truncated": False}
    assert none["entities"] == []
    assert last["windows"] == 2


def test_tokens_have_labels(tagger: FakeModel) -> None:
    result = invoke("tag", "--strategy", "none", "--text", "is Alice")
    assert result.stdout == "1\t3\t8\tB-PER\t0.9877\tAlice\n"
    entity = json.loads(invoke("tag", "--strategy", "none", "--format", "jsonl", "--text", "is Alice").stdout)
    assert entity["entities"][0]["entity"] == "B-PER"
    assert tagger.options == {"strategy": "none", "stride": None, "truncate": False}


def test_a_table_is_the_text(tagger: FakeModel) -> None:
    result = invoke("tag", "--format", "table", stdin=LINES)
    assert result.stdout == "[It](LOC) is [Alice](PER) and [Äda](PER)\n\nnothing here\n1 2 3 4 5 [Bo\\x1b](LOC)\n"


def test_truncated(tagger: FakeModel) -> None:
    result = invoke("tag", "--truncate", "--stride", "2", stdin=LINES)
    assert result.stderr == "edgebert: 1 text was longer than 5 tokens; 17 % of its tokens were not seen\n"
    assert tagger.options == {"strategy": "first", "stride": 2, "truncate": True}


@pytest.mark.parametrize("name", ["bert-token", "roberta-token"])
def test_the_whole_way(name: str, family_file: Callable[[str], Path], tmp_path: Path) -> None:
    path, text = family_file(name), "Alice went to Zürich, and Bo to 日本. " * 20
    result = run("tag", "-m", path, "--strategy", "simple", "-o", tmp_path / "out.jsonl", "--text", text)
    assert (result.returncode, result.stderr.decode()) == (0, told_written(tmp_path / "out.jsonl", 1))
    (expected,) = edgebert.load(path).tag([text], "simple")
    told = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert told["entities"] == expected
    assert told["entities"]
    assert told["windows"] > 1


def test_a_model_without_tags(classifier: Path) -> None:
    result = invoke("tag", "-m", classifier, "--text", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is no model for tag: it is for classify, rank; leave -m out" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that finds spans of any labels."""
    path = tmp_path_factory.mktemp("gliner") / "finder.edgebert"
    return edgebert.convert(GOLDEN / "gliner" / "span", path, min_agreement=0.8)


TEXT = "Alice liked the film, but Bob-Ray did not: no plot_twist at all!"


def test_any_labels(finder: Path, tmp_path: Path) -> None:
    given = ["tag", "-m", finder, "--text", TEXT, "--labels", "person,FILM=what was seen", "--threshold", "0.3"]
    labels = {"person": "person", "FILM": "what was seen"}
    model = edgebert.load(finder)
    for more, options in (
        ([], {}),
        (["--nested"], {"nested": True}),
        (["--nested", "--multi-label"], {"nested": True, "multi_label": True}),
    ):
        (expected,) = model.tag([TEXT], labels=labels, threshold=0.3, **options)
        result = run(*given, "--format", "jsonl", *more)
        assert (result.returncode, result.stderr) == (0, b"")
        assert json.loads(result.stdout)["entities"] == expected
        assert expected
    (expected,) = model.tag([TEXT], labels=labels, threshold=0.3)
    lines = run(*given).stdout.decode().splitlines()
    assert lines == [
        f"1\t{each['start']}\t{each['end']}\t{each['entity_group']}\t{each['score']:.4f}\t{each['word']}"
        for each in expected
    ]
    drawn = run(*given, "--format", "table").stdout.decode()
    assert all(f"[{each['word']}]({each['entity_group']})" in drawn for each in expected)


def test_threshold(tagger: FakeModel) -> None:
    assert invoke("tag", "--threshold", "0.25", "--text", "x").exit_code == 0
    assert tagger.options == {"strategy": "first", "threshold": 0.25, "stride": None, "truncate": False}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nested"], "--nested and --multi-label go with --labels."),
        (["--multi-label"], "--nested and --multi-label go with --labels."),
        (["--labels", "a", "--strategy", "first"], "--labels does not go with --strategy."),
        (["--labels", "a,,b"], "'a,,b' has an empty item."),
        (["--labels", "a,a=b"], "--labels has 'a' twice, expected each label once."),
        (["--labels", "a"], "tag --labels needs a model of its kind, and none comes with edgebert"),
        (["--threshold", "2"], "--threshold"),
    ],
)
def test_labels_that_cannot_be(arguments: list[str], message: str) -> None:
    result = invoke("tag", "--text", "x", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())


def test_models_of_other_kinds(finder: Path, family_file: Callable[[str], Path]) -> None:
    for arguments, message in (
        (["tag", "-m", finder], "this model finds spans of any labels, expected some, such as person and place: give"),
        (
            ["tag", "-m", family_file("bert-token"), "--labels", "a"],
            "--labels, --nested and --multi-label go with a model",
        ),
        (["embed", "-m", finder], "finder.edgebert is no model for embed: it is for tag --labels; leave -m out"),
    ):
        result = invoke(*arguments, "--text", "x")
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
