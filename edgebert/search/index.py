"""An index that is searched."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgebert.arguments import checked_number, checked_text
from edgebert.errors import InputError
from edgebert.search.identity import ModelIdentity
from edgebert.search.ranks import expression, merged
from edgebert.search.store import parsed, read_only, reported
from edgebert.search.vectors import Block, nearest
from edgebert.tasks.embed import QUERY_PROMPTS, prompted
from edgebert.tasks.similarity import cosines

if TYPE_CHECKING:
    import sqlite3

    from edgebert.model_vectors import VectorModel

__all__ = ["Found", "Index"]

_CANDIDATES = 200
"""Passages that each of both ranks has, at least."""


class Found(NamedTuple):
    """A passage that was found.

    Attributes
    ----------
    file : str
        As the index has it: its path as seen from the folder of the index.
    text_index : int
        Which text of the file, from 0: a table has several.
    start, end : int
        Where it stands in that text [characters].
    line : int
        Where it begins in the file, from 1.
    score : float
        From 0 to 1, which a passage has that is the first by its meaning and by its words.
    cosine : float
        Of its vector and the query's.
    text : str
    """

    file: str
    text_index: int
    start: int
    end: int
    line: int
    score: float
    cosine: float
    text: str


class Index:
    """An index of ``edgebert index``, open to be searched: by several processes and threads, and while it is replaced.

    >>> with edgebert.search.Index.open("notes.db") as index:
    ...     index.search(model, "lost keys")

    Parameters
    ----------
    connection : sqlite3.Connection
    name : str
        What messages call it.

    Attributes
    ----------
    model : ModelIdentity
        The model that it was made with.
    """

    def __init__(self, connection: sqlite3.Connection, name: str = "the index") -> None:
        self._connection, self._name, self._lock = connection, name, threading.Lock()
        with reported(name):
            facts = dict(connection.execute("SELECT name, value FROM fact"))
            with parsed():
                if missing := [fact for fact in ("name", "fingerprint", "option", "dimensions") if fact not in facts]:
                    raise ValueError(f"it does not say its {' and '.join(missing)}")
                self.model = ModelIdentity(facts["name"], facts["fingerprint"], facts["option"])
                self._dimensions = int(facts["dimensions"])
            self._common = {word for (word,) in connection.execute("SELECT word FROM common")}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Index:
        """Open the file of an index.

        Raises
        ------
        InputError
            When there is no such file, or it is no index.
        ArtifactError
            When it is damaged, or of a newer version.
        SettingError
            When Python has no SQLite.
        """
        connection = read_only(path)
        try:
            return cls(connection, os.fspath(path))
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def search(self, model: VectorModel, query: str, top_k: int = 5) -> list[Found]:
        """Find the passages that fit a query best, by their meaning and by their words.

        Parameters
        ----------
        model : Model
            The one that the index was made with.
        query : str
        top_k : int
            How many passages.

        Returns
        -------
        list of Found
            The best first; the same for the same index and query, always.

        Raises
        ------
        InputError
            Also when the model is another one.
        ArtifactError
            When the index is damaged.
        """
        checked_number(top_k, "top_k", "a number of passages from 1 on")
        if not checked_text(query, "query").strip():
            raise InputError("query is blank, expected words to look for")
        self.model.check(ModelIdentity.of(model), self._name)
        prompt = prompted(model.prompts, QUERY_PROMPTS)
        wanted = model.embed([query], normalize=True, prompt_name=prompt, windows="mean")[0]
        with self._lock, reported(self._name):
            return self._ranked(wanted, query, top_k)

    def _ranked(self, vector: np.ndarray, query: str, top_k: int) -> list[Found]:
        count = max(_CANDIDATES, top_k)
        by_words = self._by_words(query, count)
        # One by one, not kept: to lay out memory for all takes longer than to read them from the mapped file.
        blocks = map(Block._make, self._connection.execute("SELECT ids, scales, codes FROM block ORDER BY id"))
        with parsed():
            near = nearest(blocks, vector, count)
        found = self._cosines(sorted({*near, *by_words}), vector)
        by_meaning = sorted(near, key=lambda passage: (-found[passage], passage))
        best = list(merged([by_meaning, by_words]).items())[:top_k]
        return [self._found(passage, score, found[passage]) for passage, score in best]

    def _by_words(self, query: str, count: int) -> list[int]:
        asked = expression(query, self._common)
        if not asked:
            return []
        select = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words), rowid LIMIT ?"
        return [passage for (passage,) in self._connection.execute(select, (asked, min(count, sys.maxsize)))]

    def _cosines(self, passages: list[int], vector: np.ndarray) -> dict[int, float]:
        if not passages:
            return {}
        select = "SELECT vector FROM passage WHERE id = ?"
        rows = [stored for passage in passages for (stored,) in self._connection.execute(select, (passage,))]
        with parsed():
            vectors = np.frombuffer(b"".join(rows), "<f4").reshape(len(passages), self._dimensions)
        return dict(zip(passages, cosines(vectors, vector[None])[:, 0].tolist(), strict=True))

    def _found(self, passage: int, score: float, cosine: float) -> Found:
        row = self._connection.execute(
            'SELECT path, text_index, start, "end", line, text FROM passage JOIN file ON file.id = passage.file'
            " WHERE passage.id = ?",
            (passage,),
        ).fetchone()
        if row is None:
            with parsed():
                raise ValueError("a passage has no file")
        file, text_index, start, end, line, text = row
        return Found(os.fsdecode(file), text_index, start, end, line, score, cosine, text)
