"""What puts passages into an index: embedded, packed, and their words counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgebert.search.identity import ModelIdentity
from edgebert.search.store import parsed
from edgebert.search.vectors import BLOCK, packed
from edgebert.tasks.embed import DOCUMENT_PROMPTS, prompted

if TYPE_CHECKING:
    import sqlite3

    from edgebert.model_vectors import VectorModel

__all__ = ["FileFacts", "Writer"]

_AT_ONCE = 256
"""Passages that are embedded together."""
_COMMON = 20
"""A word is common that is in every twentieth passage: to rank by it takes long, and tells little."""
_FEW = 2000
"""Passages up to which all words are looked for."""

_PASSAGE = 'INSERT INTO passage (file, text_index, start, "end", line, text, vector) VALUES (?, ?, ?, ?, ?, ?, ?)'


class FileFacts(NamedTuple):
    """What an index keeps of a file.

    Attributes
    ----------
    path : str
    size : int
        In bytes.
    modified : int
        When it was written [ns since 1970].
    sha256 : str
        Of its contents, in hexadecimal.
    options : str
        The options that it was read with.
    """

    path: str
    size: int = 0
    modified: int = 0
    sha256: str = ""
    options: str = ""


class Writer:
    """What puts passages into an index; `finish` makes it whole.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of a database with the tables of an index.
    model : Model
    advance : callable, optional
        Is told how many bytes and how many passages were embedded.
    """

    def __init__(
        self, connection: sqlite3.Connection, model: VectorModel, advance: Callable[[int, int], object] | None = None
    ) -> None:
        self._connection, self._model, self._advance = connection, model, advance
        self._bytes = self._passages = 0
        self._waiting: list[tuple[int, int, int, int, int, str]] = []
        self._changed: set[int] = set()

    def remove(self, path: str) -> None:
        """Remove a file and its passages."""
        for (file,) in self._connection.execute("SELECT id FROM file WHERE path = ?", (os.fsencode(path),)).fetchall():
            ids = self._connection.execute("SELECT id FROM passage WHERE file = ?", (file,)).fetchall()
            self._changed.update(passage // BLOCK for (passage,) in ids)
            self._connection.execute("DELETE FROM passage WHERE file = ?", (file,))
            self._connection.execute("DELETE FROM file WHERE id = ?", (file,))

    def add(self, facts: FileFacts, texts: Iterable[tuple[str, int]]) -> None:
        """Add a file that the index has not.

        Parameters
        ----------
        facts : FileFacts
        texts : iterable of (str, int)
            Each of its texts, and in which line of the file that begins, from 1.
        """
        file = self._connection.execute(
            "INSERT INTO file (path, size, modified, sha256, options) VALUES (?, ?, ?, ?, ?)",
            (os.fsencode(facts.path), *facts[1:]),
        ).lastrowid
        assert file is not None
        for number, (text, first) in enumerate(texts):
            for passage in self._model.passages(text):
                start, end, line = passage
                self._waiting.append((file, number, start, end, first + line - 1, text[start:end]))
                if len(self._waiting) == _AT_ONCE:
                    self._embed()

    def finish(self, option: str = "") -> None:
        """Embed what is left, and make the tables that a search reads; `option` is what ``-m`` was given."""
        self._embed()
        self._pack()
        facts = {**ModelIdentity.of(self._model, option)._asdict(), "dimensions": str(self._model.dimensions)}
        self._connection.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())
        self._find_common()

    def _embed(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        prompt = prompted(self._model.prompts, DOCUMENT_PROMPTS)
        # Cut by its tokens in its text, a passage may have one more where it stands alone: so it is read whole.
        vectors = self._model.embed([row[-1] for row in waiting], normalize=True, prompt_name=prompt, windows="mean")
        for row, vector in zip(waiting, vectors, strict=True):
            added = self._connection.execute(_PASSAGE, (*row, vector.astype("<f4").tobytes())).lastrowid
            assert added is not None
            self._changed.add(added // BLOCK)
        self._bytes += sum(len(row[-1].encode()) for row in waiting)
        self._passages += len(waiting)
        if self._advance is not None:
            self._advance(self._bytes, self._passages)

    def _pack(self) -> None:
        """Make the blocks anew in which a passage was added or removed."""
        for number in sorted(self._changed):
            rows = self._connection.execute(
                "SELECT id, vector FROM passage WHERE id BETWEEN ? AND ? ORDER BY id",
                (number * BLOCK, number * BLOCK + BLOCK - 1),
            ).fetchall()
            self._connection.execute("DELETE FROM block WHERE id = ?", (number,))
            if rows:
                with parsed():
                    vectors = np.frombuffer(b"".join(vector for _, vector in rows), "<f4").reshape(len(rows), -1)
                block = packed([passage for passage, _ in rows], vectors)
                self._connection.execute("INSERT INTO block VALUES (?, ?, ?, ?)", (number, *block))
        self._changed.clear()

    def _find_common(self) -> None:
        ((count,),) = self._connection.execute("SELECT count(*) FROM passage")
        self._connection.execute("DELETE FROM common")
        self._connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        if count > _FEW:
            self._connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab (main, words, row)")
            self._connection.execute(
                "INSERT INTO common SELECT term FROM vocabulary WHERE doc > ?", (count // _COMMON,)
            )
            self._connection.execute("DROP TABLE temp.vocabulary")
