"""``edgebert index`` and ``edgebert search``: folders, indexes, layouts, what is refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from edgebert.cli.passages import write_passages
from edgebert.cli.terminal import Terminal
from edgebert.output import open_output
from edgebert.search import Found
from tests.cli.command import invoke, run, told_written


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with notes in it; a picture and an empty file are among them."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "keys.md").write_text("# House\n\nThe keys lie in\tthe blue pot.\n", "utf-8")
    (folder / "film.txt").write_text("the film was good\n", "utf-8")
    (folder / "empty.txt").write_text("")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\0")
    return tmp_path


PASSED = "edgebert: passed over 1 file: notes/picture.png is an image\n"


def index(encoder: Path, *more: object, code: int = 0) -> str:
    result = invoke("index", "notes", "-o", "notes.db", "-m", encoder, *more)
    assert (result.exit_code, result.stdout) == (code, "")
    return result.stderr


def test_index_then_search(notes: Path, encoder: Path) -> None:
    assert index(encoder) == PASSED + "edgebert: notes.db: 3 added; 2 passages\n"
    found = invoke("search", "notes.db", "-q", "the blue pot?", "--format", "json")
    assert (found.exit_code, found.stderr) == (0, "")
    best, other = json.loads(found.stdout)
    assert (best["rank"], best["file"], best["line"]) == (1, "notes/keys.md", 1)
    assert best["text"] == "# House\n\nThe keys lie in\tthe blue pot."
    assert list(best) == ["rank", "score", "cosine", "file", "line", "start", "end", "text"]
    assert other["file"] == "notes/film.txt"
    assert (notes / best["file"]).read_text("utf-8")[best["start"] : best["end"]] == best["text"]
    lines = invoke("search", "notes.db", "-q", "the blue pot?", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [best, other]
    tsv = invoke("search", "notes.db", "-q", "the blue pot?", "--top-k", "1").stdout
    assert tsv == f"{best['score']:.4f}\tnotes/keys.md:1\t# House\\n\\nThe keys lie in\\tthe blue pot.\n"


@pytest.mark.parametrize("name", ["n.sqlite", "n.sqlite3", "N.DB"])
def test_an_index_by_its_name(notes: Path, encoder: Path, name: str) -> None:
    assert invoke("index", "notes", "-o", name, "-m", encoder).exit_code == 0
    found = json.loads(invoke("search", name, "-q", "film", "--format", "json").stdout)
    assert {each["file"] for each in found} == {"notes/film.txt", "notes/keys.md"}
    missing = invoke("search", f"x{name}", "-q", "film")
    assert missing.exit_code == 1
    assert "index" in missing.stderr


def test_without_an_index_the_same_is_found(notes: Path, encoder: Path) -> None:
    index(encoder)
    for query in ("film", "keys"):
        there = invoke("search", "notes.db", "-q", query, "--format", "json")
        now = invoke("search", "notes", "-q", query, "--format", "json", "-m", encoder)
        assert (now.exit_code, now.stderr) == (0, PASSED)
        assert now.stdout == there.stdout


def test_brought_up_to_date(notes: Path, encoder: Path) -> None:
    index(encoder)
    (notes / "notes" / "picture.png").unlink()
    (notes / "notes" / "film.txt").write_text("keys")
    (notes / "notes" / "empty.txt").unlink()
    (notes / "notes" / "more.txt").write_text("more")
    assert index(encoder) == "edgebert: notes.db: 1 added, 1 updated, 1 removed, 1 unchanged; 3 passages\n"
    assert index(encoder) == "edgebert: notes.db: 3 unchanged; 3 passages\n"


def test_what_is_gone_is_removed_though_it_was_named_itself(notes: Path, encoder: Path) -> None:
    (notes / "more").mkdir()
    (notes / "more" / "x.txt").write_text("more")
    (notes / "y.txt").write_text("why")
    named = ("notes", "more", "y.txt")
    assert invoke("index", *named, "-o", "n.db", "-m", encoder).stderr.endswith("5 added; 4 passages\n")
    (notes / "more" / "x.txt").unlink()  # the folder is empty now
    (notes / "y.txt").unlink()
    result = invoke("index", *named, "-o", "n.db", "-m", encoder)
    assert (result.exit_code, result.stderr) == (0, f"{PASSED}edgebert: n.db: 2 removed, 3 unchanged; 2 passages\n")
    result = invoke("index", *named, "-o", "n.db", "-m", encoder)  # now nothing of them is known
    assert (result.exit_code, "more: there is no file in this folder" in result.stderr) == (1, True)


def test_an_index_within_the_folder_is_no_note(notes: Path, encoder: Path) -> None:
    for expected in ("3 added; 2 passages", "3 unchanged; 2 passages"):
        result = invoke("index", "notes", "-o", "notes/n.db", "-m", encoder)
        assert (result.exit_code, result.stderr) == (0, f"{PASSED}edgebert: notes/n.db: {expected}\n")
    found = invoke("search", "notes/n.db", "-q", "film", "--format", "json")
    assert {each["file"] for each in json.loads(found.stdout)} == {"notes/keys.md", "notes/film.txt"}


def test_rows_of_a_table(notes: Path, encoder: Path) -> None:
    (notes / "rows.csv").write_text('id,text\n1,"the film\nwas good"\n2,the keys\n', "utf-8")
    found = invoke("search", "rows.csv", "-q", "keys", "-m", encoder, "--format", "json")
    best, other = json.loads(found.stdout)
    assert (best["text"], best["line"], best["text_index"]) == ("the keys", 4, 1)
    assert (other["text"], other["line"]) == ("the film\nwas good", 2)
    assert "text_index" not in other


def test_text_and_standard_input(notes: Path, encoder: Path) -> None:
    found = invoke("search", "--text", "the film", "--text", "keys", "-q", "keys", "-m", encoder, "--top-k", "1")
    assert found.stdout.endswith("\t--text:2\tkeys\n")
    found = invoke("search", "-", "-q", "keys", "-m", encoder, stdin=b"\n\nkeys\n")
    assert found.stdout.endswith("\t-:3\tkeys\n")


@pytest.mark.parametrize("name", ["notes/film.txt", "./notes//film.txt", "notes"])
def test_a_note_named_twice_is_there_once(name: str, notes: Path, encoder: Path) -> None:
    found = invoke("search", "notes", name, "-q", "film", "-m", encoder, "--format", "jsonl")
    assert (found.exit_code, len(found.stdout.splitlines())) == (0, 2)
    assert index(encoder, name) == PASSED + "edgebert: notes.db: 3 added; 2 passages\n"
    assert index(encoder, name) == PASSED + "edgebert: notes.db: 3 unchanged; 2 passages\n"


def test_a_note_that_says_nothing_is_no_mistake(notes: Path, encoder: Path) -> None:
    (notes / "notes" / "blank.txt").write_text(" \n\n")
    assert index(encoder) == PASSED + "edgebert: notes.db: 4 added; 2 passages\n"
    assert index(encoder, "--split", "paragraphs") == PASSED + "edgebert: notes.db: 4 updated; 3 passages\n"
    found = invoke("search", "notes", "-q", "film", "-m", encoder, "--format", "jsonl")
    assert (found.exit_code, len(found.stdout.splitlines())) == (0, 2)
    assert "no text in it" in invoke("search", "-", "-q", "film", "-m", encoder, stdin=b"\n").stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_read_once(notes: Path, encoder: Path) -> None:
    os.mkfifo(notes / "pipe")
    writer = threading.Thread(target=(notes / "pipe").write_text, args=("lost keys",), daemon=True)
    writer.start()
    found = run("search", "pipe", "-q", "keys", "-m", encoder)
    assert found.stdout.endswith(b"\tpipe:1\tlost keys\n")
    writer.join()
    result = invoke("index", "pipe", "-o", "n.db", "-m", encoder)
    assert (result.exit_code, "name files or folders" in result.stderr) == (2, True)
    os.mkfifo(notes / "notes" / "pipe")
    (notes / "notes" / "picture.png").unlink()
    assert index(encoder) == "edgebert: notes.db: 3 added; 2 passages\n"  # as all commands pass it over


def test_names_that_are_not_utf8(notes: Path, encoder: Path) -> None:
    try:
        (notes / "notes" / "z\udcff.txt").write_text("taxes are due in May")
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    assert index(encoder) == PASSED + "edgebert: notes.db: 4 added; 3 passages\n"
    assert index(encoder) == PASSED + "edgebert: notes.db: 4 unchanged; 3 passages\n"
    for where in ("notes.db", "notes"):
        for layout in ("json", "tsv", "table"):
            arguments = ["-q", "taxes", "-m", encoder, "--top-k", "1", "--format", layout]
            found = invoke("search", where, *arguments)
            assert (found.exit_code, "notes/z\ufffd.txt" in found.stdout) == (0, True)
    (notes / "notes" / "z\udcff.txt").unlink()
    assert index(encoder) == PASSED + "edgebert: notes.db: 1 removed, 3 unchanged; 2 passages\n"


def test_what_is_asked_has_to_be_utf8(notes: Path, encoder: Path) -> None:
    for arguments, name in (
        (["notes", "-q", "\udcff"], "--query"),
        (["--text", "\udcff", "-q", "x"], "--text '\ufffd'"),
    ):
        result = invoke("search", *arguments, "-m", encoder)
        assert result.exit_code == 1
        assert (
            f"{name} is not UTF-8: 0xff is its byte 1; convert it to UTF-8, or pass --errors replace" in result.stderr
        )
        assert invoke("search", *arguments, "-m", encoder, "--errors", "replace").exit_code == 0


def test_what_is_searched_is_not_written_over(notes: Path, encoder: Path) -> None:
    index(encoder)
    before = (notes / "notes.db").read_bytes()
    for arguments in (["notes.db", "-o", "notes.db"], ["notes", "-o", "notes/film.txt"]):
        result = invoke("search", *arguments, "-q", "x", "-m", encoder, "--format", "tsv")
        assert result.exit_code == 1
        assert "is a file that the texts come from" in result.stderr
    assert (notes / "notes.db").read_bytes() == before
    assert (notes / "notes" / "film.txt").read_text() == "the film was good\n"


def test_what_glob_leaves_out_stays(notes: Path, encoder: Path) -> None:
    index(encoder)
    assert index(encoder, "--glob", "*.md") == "edgebert: notes.db: 1 unchanged; 2 passages\n"
    (notes / "notes" / "film.txt").unlink()
    assert index(encoder, "--glob", "*.md") == "edgebert: notes.db: 1 removed, 1 unchanged; 1 passage\n"


def test_tables_for_programs(notes: Path, encoder: Path) -> None:
    (notes / "rows.csv").write_text('id,text\n7,"the keys, lost"\n8,the film\n')
    command = ["search", "rows.csv", "notes/keys.md", "--input", "csv", "-q", "keys", "-m", encoder]
    (notes / "notes" / "keys.md").write_text("id,text\n9,blue keys\n")
    objects = [json.loads(line) for line in invoke(*command, "--format", "jsonl").stdout.splitlines()]
    assert {each["file"] for each in objects} == {"rows.csv", "notes/keys.md"}
    columns = ["rank", "score", "cosine", "file", "line", "text_index", "start", "end", "text"]
    wanted = [{name: {"text_index": 0, **each}[name] for name in columns} for each in objects]
    for name in ("out.csv", "out.tsv", "out.parquet", "out.jsonl", "out.json"):
        result = invoke(*command, "-o", name)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", told_written(name, 3))
    table = pq.read_table("out.parquet")
    assert table.to_pylist() == wanted
    assert [str(kind) for kind in table.schema.types] == [
        *("int64", "double", "double", "string", "int64", "int64", "int64", "int64", "string"),
    ]
    with open("out.csv", newline="") as stream:
        rows = [*csv.DictReader(stream)]
    assert [list(row) for row in rows] == [columns] * 3
    assert [{**row} for row in rows] == [{name: str(each[name]) for name in columns} for each in wanted]
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == objects
    assert json.loads(Path("out.json").read_text()) == objects


def test_tables_of_nothing(notes: Path, encoder: Path) -> None:
    (notes / "blank.txt").write_text(" ")
    command = ["search", "blank.txt", "-q", "keys", "-m", encoder]
    assert invoke(*command, "--format", "csv").stdout == "rank,score,cosine,file,line,text_index,start,end,text\n"
    assert invoke(*command, "--format", "table").stdout == "nothing was found\n"
    assert invoke(*command, "-o", "out.parquet").exit_code == 0
    assert pq.read_table("out.parquet").num_rows == 0


def drawn_for(found: list[Found], terminal: Terminal) -> str:
    with open_output("drawn.txt") as output:
        write_passages(found, os.getcwd(), "table", terminal, output)
    return Path("drawn.txt").read_text()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_for_people(columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "keys \x1b[31m\n" + "the blue pot " * 100
    found = [Found("a/\x1bb.md", 0, 0, len(text), 7, 1.0, 0.5, text), Found("c.md", 0, 0, 1, 1, 0.5, 0.25, "x")]
    drawn = drawn_for(found, Terminal(columns))
    first, second = drawn.split("\n\n")
    place, *lines = first.splitlines()
    assert place == "1.00  a/\\x1bb.md:7"
    assert len(lines) == 4
    assert all(line.startswith("      ") and columns - 20 < len(line) <= columns for line in lines)
    assert lines[0].startswith("      keys \\x1b[31m the blue")
    assert lines[-1].endswith(" \u2026")
    assert second == "0.50  c.md:1\n      x\n"
    assert "\x1b[1m" in drawn_for(found, Terminal(columns, colour=True))
    assert drawn_for([], Terminal()) == "nothing was found\n"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["search", "notes"], "Missing option '-q' / '--query'"),
        (["search", "notes", "-q", " "], "--query is blank"),
        (["search", "notes.db", "notes", "-q", "x"], "notes.db is searched alone"),
        (["search", "notes.db", "-q", "x", "--glob", "*.md"], "--glob is about reading notes"),
        (["search", "notes.db", "-q", "x", "--text", "y"], "Give either FILES or --text"),
        (["search", "notes", "-q", "x", "--text", "y"], "Give either FILES or --text"),
        (["search", "-q", "x", "--text", "y", "--column", "text"], "--column does not go with --text"),
        (["search", "-q", "x", "--text", "y", "--glob", "*"], "--glob does not go with --text"),
        (["search", "-q", "x", "--text", "y", "--input", "csv"], "--input does not go with --text"),
        (["search", "notes", "-q", "x", "-o", "out.md"], "that ends in .csv, .tsv, .jsonl, .parquet, .json or .txt"),
        (["index", "notes"], "Missing option '-o' / '--output'"),
        (["index", "-", "-o", "x.db"], "name files or folders"),
        (["index", "-o", "x.db"], "name files or folders"),
        (["index", "--text", "x", "-o", "x.db"], "without --text"),
        (["index", "notes", "-o", "-"], "name a file with -o"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], fault: str, notes: Path, encoder: Path) -> None:
    index(encoder)
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert fault in " ".join(result.stderr.split())
    assert not (notes / "x.db").exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["search", "none.db", "-q", "x"], "there is no index none.db; make one with: edgebert index NOTES -o none.db"),
        (["search", "text.db", "-q", "x"], "text.db is no index of edgebert: it is no SQLite file"),
        (["search", "foreign.db", "-q", "x"], "foreign.db is a database of another program"),
        (["index", "notes", "-o", "foreign.db"], "foreign.db is a database of another program"),
        (["index", "notes", "-o", "notes/film.txt"], "notes/film.txt is no index of edgebert"),
        (["index", "notes", "-o", "none/n.db"], "there is no folder"),
        (["index", "notes/picture.png", "-o", "n.db"], "notes/picture.png is an image"),
        (["index", "none", "-o", "n.db"], "none"),
        (["search", "notes.db", "-q", "x", "-m", "none.edgebert"], "none.edgebert"),
    ],
)
def test_files_that_are_refused(arguments: list[str], fault: str, notes: Path, encoder: Path) -> None:
    (notes / "text.db").write_text("mine")
    with sqlite3.connect(notes / "foreign.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    index(encoder)
    before = {path.name: path.read_bytes() for path in notes.rglob("*") if path.is_file()}
    result = invoke(*arguments, *([] if "-m" in arguments else ["-m", encoder]))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("edgebert: error: ")
    assert fault in result.stderr
    assert {path.name: path.read_bytes() for path in notes.rglob("*") if path.is_file()} == before


def test_the_model_of_the_index(notes: Path, encoder: Path, classifier: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(encoder, tmp_path / "own.edgebert"))
    assert invoke("index", "notes", "-o", "notes.db", "-m", "own.edgebert").exit_code == 0
    for command in (["search", "notes.db", "-q", "x"], ["index", "notes", "-o", "notes.db"]):
        result = invoke(*command, "-m", classifier)
        assert result.exit_code == 1
        assert f"call it with -m {own}" in result.stderr
    own.unlink()
    result = invoke("search", "notes.db", "-q", "x")
    assert result.exit_code == 1
    assert f"was made with the model {own}, and there is no such file any more; say with -m where" in result.stderr
    assert invoke("search", "notes.db", "-q", "x", "-m", encoder).exit_code == 0


def test_the_whole_way(notes: Path, encoder: Path) -> None:
    assert run("index", "notes", "-o", "notes.db", "-m", encoder).returncode == 0
    found = run("search", "notes.db", "-q", "film", "-o", "out.json")
    assert (found.returncode, found.stdout) == (0, b"")
    assert json.loads((notes / "out.json").read_text("utf-8"))[0]["file"] == "notes/film.txt"
