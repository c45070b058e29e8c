"""How classified texts are written: tsv, csv, jsonl, or a table for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import click

from edgebert.cli.terminal import clip, display_width, escape

__all__ = ["LAYOUTS", "Layout", "Row", "table"]

_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Row(NamedTuple):
    """One text with its answer; without one (None), as a blank line has it."""

    text: str
    label: str | None
    score: float | None
    truncated: bool


class Layout(NamedTuple):
    """What comes before all rows, and what a row becomes, line end included."""

    header: str
    render: Callable[[Row], str]


def _tsv(row: Row) -> str:
    label = (row.label or "").translate(_TSV_ESCAPES)
    return f"{label}\t{_score(row)}\t{row.text.translate(_TSV_ESCAPES)}\n"


def _jsonl(row: Row) -> str:
    return json.dumps(row._asdict(), ensure_ascii=False) + "\n"


def _csv(row: Row) -> str:
    return _csv_line([row.text, row.label, row.score, "true" if row.truncated else "false"])


def _csv_line(fields: Sequence[object]) -> str:
    # The writer quotes a field for the characters that end its lines: with \r\n it quotes a lone \r too.
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(fields)
    return line.getvalue().removesuffix("\r\n") + "\n"


LAYOUTS = {
    "tsv": Layout("", _tsv),
    "jsonl": Layout("", _jsonl),
    "csv": Layout(_csv_line(Row._fields), _csv),
}
"""The layouts for programs, by the names that ``--format`` and file suffixes give them."""


def table(labels: Sequence[str], columns: int | None, colour: bool) -> Layout:
    """Return the layout for people: aligned, with nothing in it that could drive a terminal.

    Parameters
    ----------
    labels : sequence of str
        All that the model may answer.
    columns : int or None
        Width of the terminal; texts are cut to it. None leaves them whole.
    colour : bool
        Whether to use ANSI styles.
    """
    width = max((display_width(escape(label)) for label in labels), default=0)

    def render(row: Row) -> str:
        label = escape(row.label or "")
        label += " " * (width - display_width(label))
        score = f"{_score(row):>6}"
        # On a terminal too narrow for all three, a few words on a wrapped line are better than none.
        text = escape(row.text) if columns is None else clip(row.text, max(columns - width - 10, 10))
        if row.label is not None and colour:
            label, score = click.style(label, bold=True), click.style(score, dim=True)
        return f"{label}  {score}  {text}".rstrip() + "\n"

    return Layout("", render)


def _score(row: Row) -> str:
    return "" if row.score is None else f"{row.score:.4f}"
