"""How passages that were found are written: for people, and for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli.formats import tsv_line
from edgebert.cli.terminal import Terminal, escape
from edgebert.tables.stream import shown_name

if TYPE_CHECKING:
    from edgebert.search import Found

__all__ = ["FORMATS", "write_passages"]

FORMATS = ("table", "tsv", "jsonl", "json")

_MOST_LINES = 4
"""Lines of a passage that people are shown: they look for the place, and read on there."""


def write_passages(found: Sequence[Found], folder: str, layout: str, terminal: Terminal) -> bytes:
    """Write passages, the best first.

    Parameters
    ----------
    found : sequence of Found
    folder : str
        The folder that their files are seen from.
    layout : str
        One of `FORMATS`.
    terminal : Terminal
        What a table is drawn for.
    """
    records = [_record(rank, passage, folder) for rank, passage in enumerate(found, start=1)]
    if layout == "json":
        return (json.dumps(records, ensure_ascii=False, indent=1) + "\n").encode()
    if layout == "jsonl":
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    if layout == "tsv":
        rows = [(each["score"], f"{each['file']}:{each['line']}", each["text"]) for each in records]
        return "".join(map(tsv_line, rows)).encode()
    return ("\n".join(_drawn(record, terminal) for record in records) or "nothing was found\n").encode()


def _record(rank: int, passage: Found, folder: str) -> dict[str, Any]:
    record: dict[str, Any] = {"rank": rank, "score": passage.score, "cosine": passage.cosine}
    record |= {"file": _shown_path(passage.file, folder), "line": passage.line}
    record |= {"text_index": passage.text_index} if passage.text_index else {}
    return record | {"start": passage.start, "end": passage.end, "text": passage.text}


def _shown_path(file: str, folder: str) -> str:
    """Return a path as a user of the working folder would type it; bytes that are not UTF-8 as U+FFFD."""
    path = os.path.normpath(os.path.join(folder, file))
    try:
        near = os.path.relpath(path)
    except ValueError:  # on another drive of Windows
        near = path
    return shown_name(path if near.startswith(os.pardir) else near)


def _drawn(record: dict[str, Any], terminal: Terminal) -> str:
    """Return a passage for people: a line with its place, and its first lines, folded at words."""
    import textwrap

    place = escape(f"{record['file']}:{record['line']}")
    score = f"{record['score']:.2f}"
    if terminal.colour:
        place, score = click.style(place, bold=True), click.style(score, dim=True)
    words = " ".join(escape(re.sub(r"\s+", " ", record["text"])).split())
    lines = textwrap.wrap(words, (terminal.columns or 100) - 6, max_lines=_MOST_LINES, placeholder=" \u2026")
    return f"{score}  {place}\n" + "".join(f"      {line}\n" for line in lines)
