"""``edgebert models``, and the option ``-m``: which model answers, and what is said where none can."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import edgebert
from edgebert import bundled, loading
from edgebert.cli import model_option
from edgebert.loading import find_model
from tests.cli.command import invoke
from tests.golden import GOLDEN


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep models in a folder of the test's own, and convert nothing."""

    def convert(checkpoint: Any, output: Path, on_progress: Any = None) -> Path:
        output.write_bytes(bytes(2_000_000))
        return output

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("edgebert.quantize.convert.convert_checkpoint", convert)
    return tmp_path / "edgebert" / "models"


@pytest.fixture
def kept(own_cache: Path, tmp_path: Path) -> list[Path]:
    """Two names of one model, and one of another."""
    folders = [tmp_path / name for name in ("b-copy", "b-model", "a-classifier\x1b")]
    for folder, golden in zip(folders, ("encoder", "encoder", "classifier"), strict=True):
        shutil.copytree(GOLDEN / golden, folder)
        find_model(folder)
    for note in own_cache.glob("names/*"):
        os.utime(note, (1_700_000_000, 1_700_000_000))
    return folders


def test_what_is_listed(kept: list[Path], own_cache: Path) -> None:
    lines = invoke("models").stdout.splitlines()
    assert lines[0].startswith("sentiment ")
    assert lines[0].endswith("  23.8 MB  comes with edgebert")
    assert lines[1] == "  positive or negative, in short English texts"
    assert lines[2].startswith("minilm: all-MiniLM-L6-v2 ")
    assert lines[6].startswith(str(kept[2]).replace("\x1b", "\\x1b") + " ")
    assert "  2.0 MB  last used 2023-11-1" in lines[6]
    assert lines[7] == "  classify"  # it has three labels, and ranks nothing
    assert lines[9] == "  embed, rank, search"
    assert lines[10].endswith(f"the same file as {kept[0]}")
    assert lines[12:] == [f"2 kept, 4.0 MB, in {own_cache}"]
    sizes = [re.search(r" +[\d.]+ [kM]B  ", line) for line in lines[:6:2]]
    assert all(sizes)
    assert len({found.end() for found in sizes if found}) == 1  # one column, but for longer names


def test_what_is_listed_as_jsonl(kept: list[Path]) -> None:
    rows = [json.loads(line) for line in invoke("models", "--format", "jsonl").stdout.splitlines()]
    assert [row["name"] for row in rows[:3]] == ["sentiment", "minilm", "personal-data"]
    assert all(Path(row["file"]).stat().st_size == row["bytes"] for row in rows)
    assert [(row["name"], row["for"], row["last_used"], row["bundled"]) for row in rows[3:]] == [
        (str(kept[2]), "classify", 1_700_000_000, False),
        (str(kept[0]), "embed, rank, search", 1_700_000_000, False),
        (str(kept[1]), "embed, rank, search", 1_700_000_000, False),
    ]


def test_nothing_kept(own_cache: Path) -> None:
    lines = invoke("models").stdout.splitlines()
    assert len(lines) == 7
    assert lines[-1].startswith("none kept")
    assert invoke("models", "--remove", "all").stdout == "0 bytes came free\n"


def test_to_remove_one(kept: list[Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kept[0].parent)
    result = invoke("models", "--remove", "./b-copy")
    assert result.stdout == f"removed {kept[0]}\n0 bytes came free\n"  # the other name needs it
    result = invoke("models", "--remove", kept[1])
    assert result.stdout == f"removed {kept[1]}\n2.0 MB came free\n"
    assert len(list(own_cache.glob("*.edgebert"))) == 1


def test_to_remove_all(kept: list[Path], own_cache: Path) -> None:
    result = invoke("models", "--remove", "all")
    assert result.stdout.count("removed ") == 3
    assert result.stdout.endswith("4.0 MB came free\n")
    assert [path.name for path in own_cache.rglob("*")] == ["names"]


def test_to_remove_what_is_not_there(kept: list[Path]) -> None:
    result = invoke("models", "--remove", "org/name")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--remove is 'org/name', but no model of that name is kept; those that are: " in result.stderr
    assert str(kept[1]) in result.stderr
    result = invoke("models", "--remove", "minilm")
    assert (result.exit_code, "minilm comes with edgebert" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("command", "text", "task"),
    [
        ("embed", ["--text", "x"], "embed"),
        ("rank", ["--query", "x", "--text", "x"], "rank"),
        ("tag", ["--text", "x"], "tag"),
        ("classify", ["--labels", "a,b", "--text", "x"], "embed"),
        ("classify", ["--text", "x"], "classify"),
    ],
)
def test_which_model_answers_is_said(
    command: str, text: list[str], task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = []

    def load(path: Path, **options: Any) -> Any:
        loaded.append(path)
        raise edgebert.InputError("enough")

    monkeypatch.setattr(edgebert, "load", load)
    assert "enough" in invoke(command, *text).stderr
    assert loaded == [bundled.default_model(task)]
    other = tmp_path / "m.edgebert"
    invoke(command, *text, "-m", other)
    assert loaded[1] == other


@pytest.mark.parametrize(("task", "title"), [("embed", "all-MiniLM-L6-v2"), ("tag", "Rampart"), ("classify", "")])
def test_the_line_on_stderr(
    task: str, title: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        edgebert, "load", lambda path, threads: SimpleNamespace(loaded=(path, threads), require=lambda task: None)
    )
    assert model_option.open_model(task, None, threads=3).loaded == (bundled.default_model(task), 3)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (f"edgebert: with {title}, which comes with edgebert\n" if title else "")
    assert model_option.open_model(task, "minilm", threads=1).loaded == (bundled.default_model("embed"), 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("command", "options"),
    [("fill-mask", []), ("score", []), ("next-sentence", []), ("answer", ["-q", "who?"])],
)
def test_a_task_without_a_model_of_ours(command: str, options: list[str], tmp_path: Path) -> None:
    """Before anything is read: the file is not there."""
    result = invoke(command, *options, tmp_path / "none.txt")
    assert (result.exit_code, result.stdout) == (2, "")
    advice = " ".join(result.stderr.split())
    assert f"{command} needs a model of its kind, and none comes with edgebert: name one with -m" in advice
    assert f"once: edgebert {command} -m " in advice
    assert advice.count("/") >= 3
    result = invoke(command, *options, tmp_path / "none.txt", "-m", " ")
    assert (result.exit_code, "-m is ' ', expected an .edgebert file" in " ".join(result.stderr.split())) == (2, True)


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (["tag"], "leave -m out for Rampart, which comes with edgebert"),
        (["classify"], "leave -m out for sentiment, which comes with edgebert"),
        (["fill-mask"], "name another one, for example google-bert/bert-base-uncased or "),
        (["next-sentence"], "name another one, for example google-bert/bert-base-uncased or "),
        (["answer", "-q", "x"], "name another one, for example distilbert/"),
    ],
)
def test_a_model_for_something_else(command: list[str], advice: str, encoder: Path) -> None:
    result = invoke(*command, "-m", encoder, "--text", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{encoder} is no model for {command[0]}: it is for embed, rank, search; {advice}" in result.stderr


def test_a_conversion_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def find(name: str, on_progress: Callable[[int, int], None]) -> Path:
        assert capsys.readouterr().err == ""  # what is kept is not converted
        on_progress(0, 6)
        on_progress(6, 6)
        return Path(name)

    monkeypatch.setattr(loading, "find_model", find)
    assert model_option.find_model_shown("org/name") == Path("org/name")
    assert capsys.readouterr().err == "edgebert: org/name is converted and kept, which takes a while, once\n"


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ("a,b,a", "--labels has 'a' twice"),
        ("a=x,a=y", "--labels has 'a' twice"),
        ("=x,b", "description without a label"),
    ],
)
def test_labels_that_are_none(labels: str, fault: str) -> None:
    result = invoke("classify", "--labels", labels, "--text", "x")
    assert result.exit_code == 2
    assert fault in result.stderr


def test_options_that_vectors_cannot_take(encoder: Path) -> None:
    result = invoke("classify", "-m", encoder, "--labels", "a,b", "--hypothesis", "It is {}.", "--text", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the hypothesis is 'It is {}.', which a model of natural language inference would take" in result.stderr
    result = invoke("rank", "-m", encoder, "--label", "a", "--query", "x", "--text", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "label is 'a', but encoder.edgebert has no labels" in result.stderr
