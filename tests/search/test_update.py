"""Indexes on disk: made, brought up to date, searched, refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from contextlib import contextmanager

import numpy as np
import pytest

import edgebert
from edgebert.errors import ArtifactError, InputError, OutputError, SettingError
from edgebert.search import Changes, Index, NoteFile, in_memory, store, update
from edgebert.search.update import location


def files_of(folder):
    return [
        NoteFile(str(path), "files", lambda path=path: [(path.read_text("utf-8"), 1)])
        for path in sorted(folder.rglob("*.txt"))
    ]


def make(folder, model, path, roots=None, **options):
    return update(str(path), model, files_of(folder), [str(root) for root in roots or [folder]], **options)


def everything(path):
    """Return all passages by their file and text, with their vectors, and what the blocks and words have."""
    with Index.open(path) as index:
        rows = index._connection.execute(
            "SELECT path, text, vector, passage.id FROM passage JOIN file ON file.id = file ORDER BY path, start"
        ).fetchall()
        blocks = index._connection.execute("SELECT ids FROM block").fetchall()
        words = index._connection.execute(
            "SELECT count(*) FROM words WHERE words MATCH 'keys OR film OR due'"
        ).fetchone()
    assert sorted(row[3] for row in rows) == sorted(np.frombuffer(b"".join(ids for (ids,) in blocks), "<i8").tolist())
    return [row[:3] for row in rows], words[0]


def test_found_by_meaning_and_words(notes, model, tmp_path):
    assert make(notes, model, tmp_path / "n.db") == Changes(3, 0, 0, 0, 3)
    with Index.open(tmp_path / "n.db") as index:
        best, *others = index.search(model, "the blue pot?", top_k=10)
        assert index.search(model, "the blue pot?", top_k=10) == [best, *others]
        assert index.search(model, "the blue pot?", top_k=1) == [best]
    assert (best.file, best.line, best.text_index, best.start) == ("notes/keys.txt", 1, 0, 0)
    assert best.text == "# House\n\nThe keys lie in the blue pot."
    assert len(others) == 2
    assert best.score >= others[0].score >= others[1].score
    query = model.embed(["the blue pot?"], normalize=True)[0]
    for each in [best, *others]:
        assert each.cosine == pytest.approx(float(model.embed([each.text], normalize=True)[0] @ query), abs=1e-5)
    assert location(best.file, str(tmp_path / "n.db")) == str(notes / "keys.txt")


def test_an_index_is_what_memory_holds(notes, model, tmp_path):
    make(notes, model, tmp_path / "n.db")
    read = [(os.path.relpath(f.path, tmp_path), f.read()) for f in files_of(notes)]
    with in_memory(model, read) as memory, Index.open(tmp_path / "n.db") as index:
        assert memory.search(model, "film") == index.search(model, "film")


def test_what_changed_is_brought_up_to_date(notes, model, tmp_path):
    path = tmp_path / "n.db"
    make(notes, model, path)
    before = path.stat().st_mtime_ns
    assert make(notes, model, path) == Changes(0, 0, 0, 3, 3)
    assert path.stat().st_mtime_ns == before
    (notes / "new.txt").write_text("keys again")
    (notes / "film.txt").write_text("the book was better")
    (notes / "sub" / "tax.txt").unlink()
    os.utime(notes / "keys.txt", ns=(1, 1))
    assert make(notes, model, path) == Changes(1, 1, 1, 1, 3)
    fresh = tmp_path / "fresh.db"
    make(notes, model, fresh)
    assert everything(path) == everything(fresh)
    assert everything(path)[1] == 2
    assert make(notes, model, path) == Changes(0, 0, 0, 3, 3)


def test_a_file_read_with_other_options_has_changed(notes, model, tmp_path):
    make(notes, model, tmp_path / "n.db")
    files = [file._replace(options="lines") for file in files_of(notes)]
    assert update(str(tmp_path / "n.db"), model, files, [str(notes)]).updated == 3


def test_what_is_from_elsewhere_stays(notes, model, tmp_path):
    path, other = tmp_path / "n.db", tmp_path / "notes2"
    make(notes, model, path)
    other.mkdir()
    (other / "a.txt").write_text("elsewhere")
    assert make(other, model, path) == Changes(1, 0, 0, 0, 4)
    shutil.rmtree(notes / "sub")
    assert make(other, model, path).removed == 0
    assert make(notes, model, path).removed == 1


def test_what_was_not_asked_for_stays_while_it_is_there(notes, model, tmp_path):
    path = tmp_path / "n.db"
    make(notes, model, path)
    some = [file for file in files_of(notes) if file.path.endswith("keys.txt")]
    assert update(str(path), model, some, [str(notes)]) == Changes(0, 0, 0, 1, 3)
    (notes / "film.txt").unlink()
    assert update(str(path), model, some, [str(notes)]) == Changes(0, 0, 1, 1, 2)


def test_progress_is_of_what_is_read(notes, model, tmp_path):
    make(notes, model, tmp_path / "n.db")
    (notes / "film.txt").write_text("good\nnews")
    told = []

    @contextmanager
    def show(total):
        told.append(total)
        yield lambda done, passages: told.append((done, passages))
        told.append("end")

    make(notes, model, tmp_path / "n.db", show=show)
    assert told == [9, (9, 1), "end"]


def test_an_index_is_for_threads(notes, model, tmp_path):
    make(notes, model, tmp_path / "n.db")
    for index in (Index.open(tmp_path / "n.db"), in_memory(model, [(f.path, f.read()) for f in files_of(notes)])):
        with index:
            expected = index.search(model, "keys")
            found = []
            ask = lambda index=index, found=found: found.append(index.search(model, "keys"))  # noqa: E731
            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert found == [expected] * 4


def test_not_every_error_is_damage(notes, model, tmp_path):
    make(notes, model, tmp_path / "n.db")
    index = Index.open(tmp_path / "n.db")
    assert len(index.search(model, "keys", top_k=2**70)) == 3
    index.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        index.search(model, "keys")
    for what in ("database is locked", "disk I/O error", "unable to open database file"):
        with pytest.raises(InputError, match=f"n.db could not be read: {what}"), store.reported("n.db"):
            raise sqlite3.OperationalError(what)
    with (
        pytest.raises(OutputError, match=r"n\.db could not be written: database or disk is full"),
        store.reported("n.db", writing=True),
    ):
        raise sqlite3.OperationalError("database or disk is full")
    with pytest.raises(ArtifactError, match=r"n\.db is damaged: no such table: block"), store.reported("n.db"):
        raise sqlite3.OperationalError("no such table: block")
    with pytest.raises(ValueError, match="ours"), store.reported("n.db"):
        raise ValueError("ours")


def test_moved_together_they_are_known_again(notes, model, tmp_path):
    make(notes, model, tmp_path / "n.db")
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.move(notes, moved / "notes")
    shutil.move(tmp_path / "n.db", moved / "n.db")
    assert make(moved / "notes", model, moved / "n.db") == Changes(0, 0, 0, 3, 3)


def test_a_run_that_fails_leaves_the_index_that_was(notes, model, tmp_path):
    path = tmp_path / "n.db"
    make(notes, model, path)
    before = path.read_bytes()

    def broken():
        yield "fine", 1
        raise KeyboardInterrupt

    files = [*files_of(notes), NoteFile(str(notes / "keys.txt") + "2", "", broken)]
    shutil.copy(notes / "keys.txt", files[-1].path)
    with pytest.raises(KeyboardInterrupt):
        update(str(path), model, files, [str(notes)])
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["n.db", "notes"]


def test_of_two_runs_at_once_the_later_says_so_and_takes_nothing_back(notes, model, tmp_path):
    path = tmp_path / "n.db"
    make(notes, model, path)

    def meanwhile():
        (notes / "other.txt").write_text("of the other run")
        make(notes, model, path)
        yield "fine", 1

    files = [*files_of(notes), NoteFile(str(notes / "keys.txt") + "2", "", meanwhile)]
    shutil.copy(notes / "keys.txt", files[-1].path)
    with pytest.raises(OutputError, match=r"n\.db was brought up to date by another run meanwhile"):
        update(str(path), model, files, [str(notes)])
    with Index.open(path) as index:
        assert any(found.file.endswith("other.txt") for found in index.search(model, "other run", 9))


def test_a_reader_sees_the_index_that_it_opened(notes, model, tmp_path):
    make(notes, model, tmp_path / "n.db")
    with Index.open(tmp_path / "n.db") as index:
        before = index.search(model, "film")
        shutil.rmtree(notes / "sub")
        make(notes, model, tmp_path / "n.db")
        assert index.search(model, "film") == before


def test_another_model_is_refused(notes, model, golden_files, tmp_path):
    make(notes, model, tmp_path / "n.db", option="my.edgebert")
    other = edgebert.load(golden_files["classifier"])
    match = "was made with .*, expected the same model, got .*; call it with -m my.edgebert"
    with Index.open(tmp_path / "n.db") as index, pytest.raises(InputError, match=match):
        index.search(other, "keys")
    with pytest.raises(InputError, match=match):
        make(notes, other, tmp_path / "n.db")


def test_files_that_are_no_index(notes, model, tmp_path):
    text, foreign, newer = tmp_path / "text.db", tmp_path / "foreign.db", tmp_path / "newer.db"
    text.write_text("mine")
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    make(notes, model, newer)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    for path, error, match in [
        (tmp_path / "none.db", InputError, "there is no index .*none.db; make one with: edgebert index NOTES -o"),
        (text, InputError, "it is no SQLite file"),
        (foreign, InputError, "a database of another program"),
        (newer, ArtifactError, "has version 9, this edgebert reads 1"),
    ]:
        with pytest.raises(error, match=match):
            Index.open(path)
        if path.exists():
            before = path.read_bytes()
            with pytest.raises(error, match=match):
                make(notes, model, path)
            assert path.read_bytes() == before


DAMAGE = {
    "vectors": "UPDATE block SET codes = x'00'",
    "facts": "DELETE FROM fact",
    "vector": "UPDATE passage SET vector = x'0000'",
    "number": "UPDATE passage SET vector = 3",
    "dimensions": "UPDATE fact SET value = 'many' WHERE name = 'dimensions'",
    "files": "DELETE FROM file",
    "table": "DROP TABLE block",
}


@pytest.mark.parametrize("damage", ["short", "noise", *DAMAGE])
def test_a_damaged_index_is_one_error(damage, notes, model, tmp_path):
    path = tmp_path / "n.db"
    make(notes, model, path)
    data = bytearray(path.read_bytes())
    if damage == "short":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "noise":
        data[200:] = os.urandom(len(data) - 200)
        path.write_bytes(data)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute(DAMAGE[damage])
        connection.close()
    with pytest.raises(ArtifactError, match=r"n\.db is damaged: .*remove it and make it again"):  # noqa: SIM117
        with Index.open(path) as index:
            index.search(model, "keys")


def test_sqlite_without_fts5(model, monkeypatch):
    monkeypatch.setattr(store, "_TABLES", "CREATE VIRTUAL TABLE words USING fts5_is_not_there (text);")
    with pytest.raises(SettingError, match="was built without FTS5"):
        in_memory(model, [])


def test_where_no_file_can_be_written(notes, model, tmp_path):
    with pytest.raises(OutputError, match="there is no folder"):
        make(notes, model, tmp_path / "none" / "n.db")


def test_common_words_are_left_out(model, monkeypatch):
    monkeypatch.setattr("edgebert.search.writer._FEW", 10)
    texts = [(f"the film {'rare' if i == 7 else 'usual'} {i}", i + 1) for i in range(40)]
    with in_memory(model, [("a", texts)]) as index:
        assert {"the", "film", "usual"} <= index._common
        assert index._by_words("the rare film", 10) == [8]
        assert len(index._by_words("the", 10)) == 10


@pytest.mark.parametrize(
    ("query", "top_k", "match"), [(" ", 1, "query is blank"), (3, 1, "query is 3"), ("a", 0, "top_k is 0")]
)
def test_wrong_questions(query, top_k, match, model):
    with in_memory(model, [("a", [("text", 1)])]) as index, pytest.raises(InputError, match=match):
        index.search(model, query, top_k)


def test_an_index_of_nothing_finds_nothing(model):
    with in_memory(model, [("a", [(" \n", 1)])]) as index:
        assert index.search(model, "keys") == []
