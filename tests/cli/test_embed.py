"""``edgebert embed``: row N is the vector of line N."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import edgebert
from edgebert.tables import chunks
from tests.cli.command import invoke, run, told_written
from tests.cli.fake_model import FakeModel
from tests.golden import GOLDEN

LINES = b"one\n\ntwo words\n1 2 3 4 5 6\n"
VECTORS = [[3, 1, 0], [0, 0, 0], [9, 2, 0], [11, 6, 0]]
REPORT = "edgebert: 1 text was longer than 5 tokens; 17 % of its tokens were not seen\n"


@pytest.mark.parametrize("lines_at_once", [1, 3, 512])
def test_npy(lines_at_once: int, model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_LINES", lines_at_once)
    result = invoke("embed", "-o", tmp_path / "out.npy", stdin=LINES)
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "",
        told_written(tmp_path / "out.npy", len(VECTORS)) + REPORT,
    )
    array = np.load(tmp_path / "out.npy")
    assert array.dtype == np.float32
    assert array.tolist() == VECTORS
    assert np.load(tmp_path / "out.npy", mmap_mode="r").tolist() == VECTORS
    assert len(list(tmp_path.iterdir())) == 1


def test_npy_of_many_lines(model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"word\n" * 12_345)
    assert invoke("embed", tmp_path / "in.txt", "-o", tmp_path / "out.npy").exit_code == 0
    assert np.load(tmp_path / "out.npy").shape == (12_345, 3)
    assert (tmp_path / "out.npy").stat().st_size == 128 + 12_345 * 3 * 4  # the vectors begin at a cache line


def test_npy_of_another_pooling(tmp_path: Path) -> None:
    """A model that joins several poolings has wider vectors than one of them."""
    for name in ("encoder", "poolings"):
        shutil.copytree(GOLDEN / "sentences" / name, tmp_path / "folder", dirs_exist_ok=True)
    path = edgebert.convert(tmp_path / "folder", tmp_path / "m.edgebert", force=True)
    result = invoke("embed", "-m", path, "--pooling", "mean", "-o", tmp_path / "out.npy", stdin=b"one\ntwo\n")
    assert result.exit_code == 0
    array = np.load(tmp_path / "out.npy")
    np.testing.assert_array_equal(array, edgebert.load(path).embed(["one", "two"], "mean"))


@pytest.mark.parametrize("to_file", [False, True])
def test_jsonl(to_file: bool, model: FakeModel, tmp_path: Path) -> None:
    result = invoke("embed", *(["-o", tmp_path / "out.jsonl"] if to_file else []), stdin=LINES)
    told = (tmp_path / "out.jsonl").read_text() if to_file else result.stdout
    written = told_written(tmp_path / "out.jsonl", len(VECTORS)) if to_file else ""
    assert (result.exit_code, result.stderr) == (0, written + REPORT)
    rows = [json.loads(line) for line in told.splitlines()]
    assert [row["text"] for row in rows] == LINES.decode().splitlines()
    assert [row["embedding"] for row in rows] == VECTORS


def test_jsonl_says_how_much_was_seen(model: FakeModel) -> None:
    rows = [json.loads(line) for line in invoke("embed", stdin=LINES).stdout.splitlines()]
    assert [(row["tokens"], row["windows"], row["truncated"]) for row in rows] == [
        (1, 1, False),
        (0, 1, False),
        (2, 1, False),
        (6, 1, True),
    ]


def test_vectors_of_tokens(model: FakeModel, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in invoke("embed", "--pooling", "none", stdin=b"an egg\n").stdout.splitlines()]
    assert rows == [
        {"text": "an egg", "tokens": 2, "windows": 1, "truncated": False, "embeddings": [[2, 0.5, 0], [3, 0.5, 0]]}
    ]
    for refused, fault in [
        (["-o", tmp_path / "out.npy"], "name an OUT.jsonl"),
        (["--dimensions", "2"], "leave --dimensions and --normalize out"),
        (["--no-normalize"], "leave --dimensions and --normalize out"),
    ]:
        result = invoke("embed", "--pooling", "none", *refused, stdin=LINES)
        assert result.exit_code == 2
        assert fault in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--pooling", "cls"], {"pooling": "cls"}),
        (["--normalize"], {"normalize": True}),
        (["--no-normalize"], {"normalize": False}),
        (["--prompt", "query: "], {"prompt": "query: "}),
        (["--prompt-name", "query"], {"prompt_name": "query"}),
    ],
)
def test_options_reach_the_model(options: list[str], expected: dict[str, object], model: FakeModel) -> None:
    assert invoke("embed", *options, "--text", "x").exit_code == 0
    names = ("pooling", "normalize", "dimensions", "prompt", "prompt_name")
    assert model.options == {**dict.fromkeys(names), "truncate": True, **expected}


def test_the_first_dimensions(model: FakeModel, tmp_path: Path) -> None:
    assert invoke("embed", "--dimensions", "2", "-o", tmp_path / "out.npy", stdin=LINES).exit_code == 0
    assert np.load(tmp_path / "out.npy").tolist() == [vector[:2] for vector in VECTORS]


def test_unknown_suffix(model: FakeModel, tmp_path: Path) -> None:
    result = invoke("embed", "-o", tmp_path / "out.csv", stdin=LINES)
    assert result.exit_code == 2
    assert "expected a name that ends in .npy, .jsonl, .parquet" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_error_midway_leaves_what_was_there(model: FakeModel, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    out.write_bytes(b"before")
    result = invoke("embed", "-o", out, stdin=b"fine\n" * 1000 + b"\xff\n")
    assert result.exit_code == 1
    assert "line 1001 is not UTF-8" in result.stderr
    assert out.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [out]


def test_options_the_whole_way(encoder: Path, tmp_path: Path) -> None:
    lines, out = ["a first text", "and another"], tmp_path / "out.npy"
    options = ["--pooling", "max", "--normalize", "--dimensions", "5", "--prompt", "so: "]
    assert invoke("embed", "-m", encoder, "-o", out, *options, stdin="\n".join(lines).encode()).exit_code == 0
    expected = edgebert.load(encoder).embed(lines, "max", True, 5, prompt="so: ")
    np.testing.assert_array_equal(np.load(out), expected)
    result = invoke("embed", "-m", encoder, "--pooling", "none", "--text", lines[0])
    (states,) = edgebert.load(encoder).embed(lines[:1], "none")
    np.testing.assert_array_equal(np.array(json.loads(result.stdout)["embeddings"], np.float32), states)


@pytest.mark.parametrize("options", [["--dimensions", "1000"], ["--prompt-name", "none"]])
def test_values_that_the_model_has_not(options: list[str], encoder: Path, tmp_path: Path) -> None:
    result = invoke("embed", "-m", encoder, *options, "--text", "x", "-o", tmp_path / "out.npy")
    assert result.exit_code == 1
    assert result.stderr.startswith("edgebert: error: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_whole_way(encoder: Path, tmp_path: Path) -> None:
    lines = ["a first text", "", "日本 and more", "x"]
    data = "\n".join(lines).encode()
    out = tmp_path / "out.npy"
    assert run("embed", "-m", encoder, "-o", out, stdin=data).returncode == 0
    expected = edgebert.load(encoder).embed(lines)
    np.testing.assert_array_equal(np.load(out), expected)
    result = run("embed", "-m", encoder, stdin=data)
    told = np.array([json.loads(line)["embedding"] for line in result.stdout.splitlines()], np.float32)
    np.testing.assert_array_equal(told, expected)


LONG = "the film was good. " * 40


def test_chunks_have_their_places(encoder: Path, tmp_path: Path) -> None:
    lines = ["a film", LONG]
    told = invoke("embed", "-m", encoder, "--chunks", "--stride", "0", stdin="\n".join(lines).encode())
    assert (told.exit_code, told.stderr) == (0, "")
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert list(rows[0]) == ["line", "text", "start", "end", "embedding"]
    assert [row["line"] for row in rows] == [1] + [2] * (len(rows) - 1)
    assert [row["text"] for row in rows] == [lines[row["line"] - 1][row["start"] : row["end"]] for row in rows]
    each = edgebert.load(encoder).embed(lines, windows="each", stride=0)
    vectors = np.concatenate([windows.vectors for windows in each])
    np.testing.assert_array_equal(np.array([row["embedding"] for row in rows], np.float32), vectors)


@pytest.mark.parametrize("chunks", [False, True])
def test_parquet(chunks: bool, encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"id,text\n7,a film\n8,{LONG.strip()}\n")
    options = ["--chunks"] if chunks else []
    command = ["embed", "-m", encoder, tmp_path / "in.csv", *options, "-o"]
    assert invoke(*command, tmp_path / "out.jsonl").exit_code == 0
    assert invoke(*command, tmp_path / "out.parquet").exit_code == 0
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.schema.field("embedding").type == pa.list_(pa.float32())
    wanted = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    found = table.to_pylist()
    vectors = [(row.pop("embedding"), each.pop("embedding")) for row, each in zip(found, wanted, strict=True)]
    assert found == wanted
    for vector, other in vectors:
        np.testing.assert_array_equal(np.array(vector, np.float32), np.array(other, np.float32))


def test_chunks_of_a_table_keep_its_columns(encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"id,text\n7,a film\n8,{LONG.strip()}\n")
    told = invoke("embed", "-m", encoder, "--chunks", "--stride", "0", tmp_path / "in.csv", "--prefix", "my_")
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert list(rows[0]) == ["id", "text", "my_line", "my_start", "my_end", "my_embedding"]
    assert [row["id"] for row in rows] == ["7"] + ["8"] * (len(rows) - 1)
    assert [row["my_line"] for row in rows] == [2] + [3] * (len(rows) - 1)
    whole = ["a film", LONG.strip()]
    assert [row["text"] for row in rows] == [whole[row["my_line"] - 2][row["my_start"] : row["my_end"]] for row in rows]


def test_the_whole_of_long_texts(encoder: Path, tmp_path: Path) -> None:
    lines, out = ["a film", LONG.strip()], tmp_path / "out.npy"
    result = invoke("embed", "-m", encoder, "--whole", "--stride", "3", "-o", out, stdin="\n".join(lines).encode())
    assert (result.exit_code, result.stderr) == (0, told_written(out, 2))
    np.testing.assert_array_equal(np.load(out), edgebert.load(encoder).embed(lines, windows="mean", stride=3))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--chunks", "--whole"], "Give either --whole"),
        (["--chunks", "-o", "out.npy"], "name an OUT.jsonl or OUT.parquet"),
        (["--whole", "--pooling", "none"], "leave --pooling none out"),
        (["--stride", "2"], "--stride is about windows"),
    ],
)
def test_windows_and_what_does_not_go_with_them(options: list[str], fault: str, model: FakeModel) -> None:
    result = invoke("embed", *options, "--text", "x")
    assert result.exit_code == 2
    assert fault in " ".join(result.stderr.split())
