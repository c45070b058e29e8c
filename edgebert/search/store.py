"""The one SQLite file of an index: its tables, and the errors of opening it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edgebert.errors import ArtifactError, InputError, OutputError, SettingError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["connect", "is_database", "make_tables", "parsed", "read_only", "reported"]

_MAGIC = b"SQLite format 3\0"
_APPLICATION = 0x65626978
"""``ebix``, by which SQLite's own header tells whose a file is."""
_VERSION = 1
_MAPPED = 2**31 - 2**16
"""Bytes of a file that are mapped: the most that SQLite maps by default, if it is asked."""

_SYSTEM = ("disk I/O error", "full", "interrupted", "locked", "out of memory", "readonly", "unable to open")
"""What SQLite says where it is not the file's fault, in its own words: Python before 3.11 has no codes for it."""

_TABLES = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
-- What holds for all: the model, the size of vectors.
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Of each file what tells whether it was changed, and the options that it was read with. Paths are bytes: they need not
-- be UTF-8.
CREATE TABLE file (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL, modified INTEGER NOT NULL, sha256 TEXT NOT NULL, options TEXT NOT NULL
);
-- Vectors are little-endian float32, of length one. A text may be one of several of its file, in their order.
CREATE TABLE passage (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES file (id), vector BLOB NOT NULL,
    text_index INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, line INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX passage_file ON passage (file);
-- The same vectors as edgebert.search.vectors packs them.
CREATE TABLE block (id INTEGER PRIMARY KEY, ids BLOB NOT NULL, scales BLOB NOT NULL, codes BLOB NOT NULL);
-- Words in so many passages that they tell none apart.
CREATE TABLE common (word TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = 'passage', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER passage_added AFTER INSERT ON passage BEGIN
    INSERT INTO words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER passage_removed AFTER DELETE ON passage BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
END;
"""


def is_database(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is a file of SQLite at a path; a pipe is left alone, for what is read of it is gone."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty index.

    Raises
    ------
    SettingError
        When Python's SQLite has no search for words.
    """
    import sqlite3

    try:
        connection.executescript(_TABLES)
    except sqlite3.OperationalError as error:
        if "fts5" not in str(error):
            raise
        raise SettingError(
            f"the SQLite {sqlite3.sqlite_version} of this Python was built without FTS5, by which words are searched;"
            " use a Python whose sqlite3 module has it, as those of python.org, conda and most systems do"
        ) from error


def connect(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Open a database to write it: a file that has another name yet, so that nobody reads it and no journal is kept."""
    connection = _module().connect(os.fspath(path), isolation_level=None, check_same_thread=False)
    connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON;")
    return connection


def read_only(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Open an index to search it; any number of processes may, and what replaces the file they do not see.

    Threads may share the connection, one at a time.

    Raises
    ------
    InputError
        When there is no such file, or it is no index.
    ArtifactError
        When it is damaged, or of a newer version.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise InputError(f"there is no index {name}; make one with: edgebert index NOTES -o {name}")
    if not is_database(name):
        raise InputError(
            f"{name} is no index of edgebert: it is no SQLite file; edgebert index NOTES -o {name}.db makes one"
        )
    # Files are replaced, never written over: SQLite needs to look for no lock, and no folder that can be written.
    address = f"file:{quote(os.path.abspath(name))}?mode=ro&immutable=1"
    with reported(name):
        connection = _module().connect(address, uri=True, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA mmap_size = {_MAPPED}")  # read in a third of the time
            _check(connection, name)
        except BaseException:
            connection.close()
            raise
    return connection


def _check(connection: sqlite3.Connection, name: str) -> None:
    ((application,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    if application != _APPLICATION:
        raise InputError(
            f"{name} is a database of another program, expected an index that edgebert index made; name another file"
        )
    if version != _VERSION:
        raise ArtifactError(
            f"{name} has version {version}, this edgebert reads {_VERSION}; remove it and make it again:"
            f" edgebert index NOTES -o {name}"
        )


@contextmanager
def reported(name: str, *, writing: bool = False) -> Iterator[None]:
    """Raise what SQLite says of a file as an error that tells what to do; a mistake of ours in its use stays one.

    Raises
    ------
    ArtifactError
        When it is damaged.
    InputError
        When the system does not let it be read.
    OutputError
        When it does not let it be written.
    """
    import sqlite3

    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and any(words in str(error) for words in _SYSTEM):
            if writing:
                raise OutputError(f"{name} could not be written: {error}") from error
            raise InputError(f"{name} could not be read: {error}") from error
        raise ArtifactError(
            f"{name} is damaged: {error}; remove it and make it again: edgebert index NOTES -o {name}"
        ) from error


@contextmanager
def parsed() -> Iterator[None]:
    """Raise what Python says of a value that is not as it was stored as SQLite's error of a damaged file."""
    import sqlite3

    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise sqlite3.DatabaseError(str(error)) from error


def _module() -> Any:
    """Import sqlite3, which a Python may lack."""
    try:
        import sqlite3
    except ImportError as error:
        raise SettingError(
            "this Python was built without sqlite3, which search needs; use one that has it, as those of python.org,"
            " conda and most systems do"
        ) from error
    return sqlite3
