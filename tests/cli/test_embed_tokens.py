"""``edgebert embed --tokens`` and ``rank``, by a model for late interaction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgebert
from tests.cli.command import invoke
from tests.golden import GOLDEN

TEXTS = ["the film was good", "nobody liked the plot."]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = GOLDEN / "late_interaction" / "fixed"
    return edgebert.convert(folder, tmp_path_factory.mktemp("late") / "m.edgebert", min_agreement=0)


@pytest.mark.parametrize("query", [False, True])
def test_jsonl(model: Path, tmp_path: Path, query: bool) -> None:
    options = ["--query"] if query else []
    result = invoke(
        "embed", "--tokens", *options, "-m", model, "-o", tmp_path / "o.jsonl", stdin="\n".join(TEXTS).encode()
    )
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    right = edgebert.load(model).embed_tokens(TEXTS, query=query)
    assert [row["text"] for row in rows] == TEXTS
    for row, vectors in zip(rows, right, strict=True):
        np.testing.assert_array_equal(np.array(row["embeddings"], np.float32), vectors)
        assert not row["truncated"]


def test_a_long_text_whole(model: Path) -> None:
    long = " ".join(TEXTS * 6)
    cut, whole = (invoke("embed", "--tokens", *options, "-m", model, "--text", long) for options in ([], ["--whole"]))
    assert json.loads(cut.stdout)["truncated"]
    assert not json.loads(whole.stdout)["truncated"]
    assert len(json.loads(whole.stdout)["embeddings"]) > 2 * len(json.loads(cut.stdout)["embeddings"])


def test_rank(model: Path) -> None:
    result = invoke(
        "rank", "--query", "who liked it", "-m", model, "--format", "jsonl", stdin="\n".join(TEXTS).encode()
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    right = edgebert.load(model).rank("who liked it", TEXTS)
    assert [row["text"] for row in rows] == [each["text"] for each in right]


def test_info(model: Path) -> None:
    told = invoke("info", model).stdout
    assert "Makes a vector of each token (12 numbers each)" in told
    assert "edgebert rank FILE" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tokens", "--sparse"], "either --sparse"),
        (["--tokens", "--chunks"], "leave --pooling"),
        (["--tokens", "--normalize"], "leave --pooling"),
        (["--tokens", "--ids"], "--top-k and --ids"),
        (["--query"], "--query is about words or tokens"),
        (["--tokens", "-o", "o.npy"], "OUT.jsonl"),
        (["--tokens", "--stride", "3"], "--whole"),
    ],
)
def test_wrong_options(model: Path, options: list[str], message: str) -> None:
    result = invoke("embed", *options, "-m", model, "--text", "a")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_another_model(model: Path) -> None:
    result = invoke("embed", "--tokens", "-m", "minilm", "--text", "a")
    assert result.exit_code == 1
    assert "lightonai/GTE-ModernColBERT-v1" in result.stderr
    result = invoke("embed", "-m", model, "--text", "a")
    assert result.exit_code == 1
    assert "no model for embed: it is for embed --tokens, rank;" in result.stderr
