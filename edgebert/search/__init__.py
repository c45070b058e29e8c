"""Search by meaning and by words: notes cut into passages, kept in one SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebert.search.index import Found, Index
from edgebert.search.update import Changes, NoteFile, has_below, in_memory, update

if TYPE_CHECKING:
    from edgebert.model_vectors import VectorModel

__all__ = ["Changes", "Found", "Index", "NoteFile", "has_below", "in_memory", "search_texts", "update"]


def search_texts(model: VectorModel, query: str, documents: Sequence[str], top_k: int) -> list[dict[str, Any]]:
    """Search documents as `Model.search` says, by an index that is kept nowhere."""
    with in_memory(model, [("", [(text, 1) for text in documents])]) as index:
        found = index.search(model, query, top_k)
    names = ("score", "cosine", "text", "start", "end", "line")
    return [{"index": each.text_index, **{name: getattr(each, name) for name in names}} for each in found]
