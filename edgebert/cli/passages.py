"""How passages that were found are written: for people, and for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli import formats
from edgebert.cli.formats import Row, RowFormat
from edgebert.cli.lines import form_writer
from edgebert.cli.terminal import Terminal, escape
from edgebert.tables.chunks import Chunk
from edgebert.tables.stream import shown_name

if TYPE_CHECKING:
    from edgebert.output import OutputFile
    from edgebert.search import Found

__all__ = ["FORMATS", "write_passages"]

FORMATS = (*formats.FORMATS, "json")

_MOST_LINES = 4
"""Lines of a passage that people are shown: they look for the place, and read on there."""


def write_passages(
    found: Sequence[Found], folder: str, layout: str, terminal: Terminal | None, output: OutputFile
) -> None:
    """Write passages, the best first.

    Parameters
    ----------
    found : sequence of Found
    folder : str
        The folder that their files are seen from.
    layout : str
        One of `FORMATS`.
    terminal : Terminal or None
        The one that they are written to.
    output : OutputFile
    """
    from edgebert.coverage import Coverage

    records = [_record(rank, passage, folder) for rank, passage in enumerate(found, start=1)]
    if layout == "json":
        output.write((json.dumps(records, ensure_ascii=False, indent=1) + "\n").encode())
        return
    if layout == "table" and not records:
        output.write(b"nothing was found\n")
        return
    writer = form_writer(_PASSAGES, layout, terminal, output)
    whole = Coverage(0, 0, False)
    writer.write([Row(record["rank"], record["text"], record, whole) for record in records])
    writer.finish(Chunk([], "the passages", []))


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


def _cells(row: Row) -> list[dict[str, Any]]:
    return [{"text_index": 0, **row.answer, "place": f"{row.answer['file']}:{row.answer['line']}"}]


def _drawing(terminal: Terminal) -> Callable[[Row], str]:
    """Return what draws a passage for people: a line with its place, and its first lines, folded at words."""
    import textwrap

    def draw(row: Row) -> str:
        record = row.answer
        place = escape(f"{record['file']}:{record['line']}")
        score = f"{record['score']:.2f}"
        if terminal.colour:
            place, score = click.style(place, bold=True), click.style(score, dim=True)
        words = " ".join(escape(re.sub(r"\s+", " ", record["text"])).split())
        lines = textwrap.wrap(words, (terminal.columns or 100) - 6, max_lines=_MOST_LINES, placeholder=" \u2026")
        between = "\n" if row.number > 1 else ""
        return f"{between}{score}  {place}\n" + "".join(f"      {line}\n" for line in lines)

    return draw


_PASSAGES = RowFormat(
    records=_cells,
    document=lambda row: row.answer,
    columns=("score", "place", "text"),
    sheet=("rank", "score", "cosine", "file", "line", "text_index", "start", "end", "text"),
    texts=(),
    draw=_drawing,
    coverage=False,
)
