"""Objects of JSON Lines in, their keys as columns out; and JSON of whatever a table had."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgebert.cli import kept
from edgebert.tables import chunks
from tests.cli.command import invoke
from tests.cli.fake_model import FakeModel
from tests.cli.test_tables import ADDED, sheet


def test_objects_keep_what_they_have(model: FakeModel) -> None:
    data = b'{"a": {"t": "good"}, "n": 1.50, "l": [null]}\n{"a": {}, "x": "\\ud800"}\n'
    result = invoke("classify", "--input", "jsonl", "--column", "a.t", stdin=data)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert list(rows[0]) == ["a", "n", "l", *ADDED]
    assert (rows[0]["a"], rows[0]["n"], rows[0]["l"]) == ({"t": "good"}, 1.5, [None])
    assert (rows[1]["x"], rows[1]["label"]) == ("\ud800", None)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_half_a_pair_is_for_json_alone(suffix: str, model: FakeModel, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "good", "x": "\\ud800"}\n')
    command = ["classify", tmp_path / "in.jsonl", "-o", tmp_path / f"out.{suffix}"]
    result = invoke(*command)
    assert result.exit_code == 1
    assert f"half of a surrogate pair, which .{suffix} cannot hold: pass --errors replace" in result.stderr
    assert not (tmp_path / f"out.{suffix}").exists()
    assert invoke(*command, "--errors", "replace").exit_code == 0


def test_numbers_that_json_has_not_are_null(model: FakeModel, tmp_path: Path) -> None:
    nan, infinite = float("nan"), float("inf")
    table = {
        "text": ["x"],
        "n": [nan],
        "l": [[1.5, infinite]],
        "d": [{"a": -infinite, "when": datetime.date(2026, 1, 2)}],
    }
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    told = invoke("classify", tmp_path / "in.parquet", "--column", "text", "--format", "jsonl").stdout
    row = json.loads(told, parse_constant=pytest.fail)
    assert (row["n"], row["l"], row["d"]) == (None, [1.5, None], {"a": None, "when": "2026-01-02"})
    (told,) = sheet(invoke("classify", tmp_path / "in.parquet", "--column", "text", "--format", "csv").stdout)
    assert (told["l"], told["d"]) == ("[1.5, null]", '{"a": null, "when": "2026-01-02"}')


def test_keys_that_come_too_late_for_a_header(model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "HEADER_ROWS", 2)
    data = b'{"text": "x", "n": 1}\n{"text": "y"}\n{"text": "z", "late": 1}\n'
    result = invoke("classify", "--input", "jsonl", "--format", "csv", stdin=data)
    assert [(row["text"], row["n"]) for row in sheet(result.stdout)] == [("x", "1"), ("y", "")]
    assert "standard input: line 3 has a key 'late' that the first 2 objects have not" in result.stderr
    assert invoke("classify", "--input", "jsonl", stdin=data).exit_code == 0


@pytest.mark.parametrize("at_once", [1, 2, 512])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_a_header_does_not_depend_on_how_objects_come(
    suffix: str, at_once: int, model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_LINES", at_once)
    monkeypatch.setattr(kept, "HEADER_ROWS", 3)
    objects = [{"text": "x"}, {"text": "y", "n": 1}, {"text": "z", "l": 0.5}, {"text": "a"}, {"text": "b", "n": 2}]
    data = "".join(json.dumps(each) + "\n" for each in objects).encode()
    options = ["--input", "jsonl", "--column", "text", "-o", tmp_path / f"out.{suffix}"]
    result = invoke("classify", *options, stdin=data)
    assert result.exit_code == 0, result.stderr
    out = tmp_path / f"out.{suffix}"
    if suffix == "parquet":
        found = pq.read_table(out)
        assert (found.column("n").to_pylist(), found.column("l").to_pylist()) == (
            [None, 1, None, None, 2],
            [None, None, 0.5, None, None],
        )
        names = found.column_names
    else:
        rows = sheet(out.read_text(), delimiter="," if suffix == "csv" else "\t")
        assert [(row["n"], row["l"]) for row in rows] == [("", ""), ("1", ""), ("", "0.5"), ("", ""), ("2", "")]
        names = [*rows[0]]
    assert names == ["text", "n", "l", *ADDED]
    # The fourth is too late for a header, whether it came with the first or not.
    late = data + b'{"text": "x", "late": 1}\n'
    result = invoke("classify", *options, stdin=late)
    assert result.exit_code == 1
    assert "has a key 'late'" in result.stderr or "there is a key 'late'" in result.stderr
