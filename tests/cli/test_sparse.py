"""``edgebert embed --sparse``: words with weights, in every form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow import parquet

import edgebert
from tests.cli.command import invoke, told_written
from tests.golden import GOLDEN

LINES = b"a film\n\nthe plot\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgebert.convert(
        GOLDEN / "sparse" / "max", tmp_path_factory.mktemp("sparse") / "m.edgebert", min_agreement=0
    )


@pytest.fixture
def right(model: Path) -> list[dict[str, float]]:
    """The two best words of each line; the blank one has some, too."""
    found = edgebert.load(model).embed_sparse(LINES.decode().splitlines(), 2)
    assert [len(each) for each in found] == [2, 2, 2]
    return [dict(each) for each in found]


def ask(model: Path, *options: object, stdin: bytes = LINES):  # type: ignore[no-untyped-def]
    return invoke("embed", "--sparse", "-m", model, "--top-k", 2, *options, stdin=stdin)


def test_jsonl(model: Path, right: list[dict[str, float]], tmp_path: Path) -> None:
    for options in ([], ["-o", "-"], ["-o", tmp_path / "out.jsonl"]):
        result = ask(model, *options)
        assert result.exit_code == 0
        told = result.stdout or (tmp_path / "out.jsonl").read_text()
        rows = [json.loads(line) for line in told.splitlines()]
        assert [row["text"] for row in rows] == LINES.decode().splitlines()
        assert [[*row["embedding"]] for row in rows] == [[*words] for words in right]
        for row, words in zip(rows, right, strict=True):
            assert list(row) == ["text", "embedding", "tokens", "windows", "truncated"]
            assert row["embedding"] == pytest.approx(words, rel=1e-7)
    assert told_written(tmp_path / "out.jsonl", 3) == result.stderr


def test_through_an_argument_and_a_file(model: Path, right: list[dict[str, float]], tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(LINES)
    for given in (["--text", "a film", "--text", "", "--text", "the plot"], [tmp_path / "in.txt"]):
        rows = ask(model, *given).stdout.splitlines()
        assert [[*json.loads(line)["embedding"]] for line in rows] == [[*words] for words in right]


def test_csv_and_tsv(model: Path, right: list[dict[str, float]], tmp_path: Path) -> None:
    assert ask(model, "-o", tmp_path / "out.csv").exit_code == 0
    header, *rows = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "text,word,weight,tokens,windows,truncated"
    assert [row.split(",")[1] for row in rows] == [word for words in right for word in words]
    assert [float(row.split(",")[2]) for row in rows] == pytest.approx(
        [each for words in right for each in words.values()]
    )
    assert ask(model, "--ids", "-o", tmp_path / "out.tsv", stdin=b"a film\n").exit_code == 0
    ids = edgebert.load(model).embed_sparse(["a film"], 2, ids=True)[0]
    expected = [f"{weight:.4f}\t{number}\ta film" for number, weight in ids.items()]
    assert (tmp_path / "out.tsv").read_text().splitlines() == expected


def test_columns_of_a_table_stay(model: Path, right: list[dict[str, float]], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n7,a film\n8,the plot\n")
    assert (
        ask(model, tmp_path / "in.csv", "-o", tmp_path / "out.csv", "--prefix", "m_", "--column", "text").exit_code == 0
    )
    header, *rows = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "id,text,m_word,m_weight,m_tokens,m_windows,m_truncated"
    assert [row.split(",")[0] for row in rows] == ["7", "7", "8", "8"]
    assert ask(model, tmp_path / "in.csv", "-o", tmp_path / "out.parquet", "--prefix", "m_").exit_code == 0
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column("m_word").to_pylist() == [*right[0], *right[2]]
    assert str(table.schema.field("m_weight").type) == "double"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--sparse", "-o", "out.npy"], "name an OUT.jsonl, .csv or .parquet"),
        (["--sparse", "-o", "out.xyz"], "expected a name that ends in"),
        (["--sparse", "--pooling", "mean"], "leave --pooling, --normalize, --dimensions and --chunks out"),
        (["--sparse", "--no-normalize"], "leave --pooling"),
        (["--sparse", "--dimensions", "3"], "leave --pooling"),
        (["--sparse", "--chunks"], "leave --pooling"),
        (["--sparse", "--stride", "3"], "--stride is about windows: give it with --whole"),
        (["--top-k", "3"], "give them with --sparse"),
        (["--query"], "give them with --sparse"),
        (["--ids"], "give them with --sparse"),
        (["--sparse"], "embed --sparse needs a model of its kind, and none comes with edgebert"),
    ],
)
def test_wrong_options(options: list[str], fault: str) -> None:
    result = invoke("embed", *options, stdin=LINES)
    assert result.exit_code == 2
    assert fault in " ".join(result.stderr.split())


def test_a_model_for_something_else(golden_files: dict[str, Path]) -> None:
    result = invoke("embed", "--sparse", "-m", golden_files["encoder"], stdin=LINES)
    assert result.exit_code == 1
    assert "is no model for embed --sparse: it is for embed, rank, search" in result.stderr


def test_long_texts(model: Path) -> None:
    long = b"the film was very good and the story bad " * 8
    cut, whole = (ask(model, *more, stdin=long) for more in ([], ["--whole", "--stride", "3"]))
    assert json.loads(cut.stdout)["truncated"] is True
    assert json.loads(whole.stdout)["windows"] > 1
    assert "longer than 32 tokens" in cut.stderr
    assert whole.stderr == ""


def test_what_it_is_for(model: Path) -> None:
    told = invoke("info", model).stdout
    assert told.startswith("Makes sparse vectors of texts, words with weights")
    assert "embed FILE --sparse -o OUT.jsonl" in told
    assert json.loads(invoke("info", model, "--json").stdout)["sparse"]["strategy"] == "max"
    assert "rank" not in invoke("rank", "--query", "film", "-m", model, stdin=LINES).stderr
