"""``edgebert classify``: a label and a score for every line."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

import edgebert
from edgebert.cli.layouts import LAYOUTS, Layout, Row, table
from edgebert.cli.options import (
    check_apart,
    errors_option,
    file_argument,
    model_option,
    report_truncated,
    text_option,
    threads_option,
)
from edgebert.cli.progress import show_progress
from edgebert.cli.texts import open_texts
from edgebert.destination import open_destination

if TYPE_CHECKING:
    from edgebert.model import Model

__all__ = ["classify"]


@click.command()
@file_argument
@text_option
@model_option
@threads_option
@click.option(
    "--format",
    "name",
    type=click.Choice(["table", *LAYOUTS]),
    help="[default: table on a terminal, else the suffix of OUT, else tsv]",
)
@click.option("-o", "--output", metavar="OUT", help="Write to this file, whole or not at all.")
@errors_option
def classify(
    file: str | None,
    texts: tuple[str, ...],
    model: str | None,
    threads: int | None,
    name: str | None,
    output: str | None,
    errors: str,
) -> None:
    """Give every text a label and a score.

    Texts come from FILE, from standard input (-), or from --text; one a line, in UTF-8.
    A blank line keeps its place, with no label and no score.

    \b
    tsv    label, score, text; no header; tab, newline, return and backslash
           in a text are \\t \\n \\r \\\\
    csv    text, label, score, truncated; with a header
    jsonl  the same as objects; null for what a blank line has not
    table  for people: aligned, texts cut to the width of the terminal
    """
    check_apart(file, output)
    with open_texts(file, texts, errors) as source, open_destination(output) as destination:
        loaded = edgebert.load(model, threads=threads)
        to_terminal = output in (None, "-") and sys.stdout.isatty()
        layout = _layout(name or _default(output, to_terminal), loaded.labels, to_terminal)
        encoding = sys.stdout.encoding if to_terminal else "utf-8"
        count = truncated = 0
        destination.write(layout.header.encode())
        with show_progress(source.total, visible=not to_terminal) as advance:
            for chunk in source:
                rows = _classify(loaded, chunk)
                destination.write("".join(map(layout.render, rows)).encode(encoding, "replace"))
                truncated += sum(row.truncated for row in rows)
                count += len(chunk)
                advance(source.done, count)
    report_truncated(truncated, loaded.max_length, "classified")


def _classify(model: Model, texts: Sequence[str]) -> list[Row]:
    """Classify texts that are not blank, and keep the places of those that are."""
    wanted = [i for i, text in enumerate(texts) if text.strip()]
    truncated: dict[int, int] = {}  # index among those -> tokens
    answers = model.classify([texts[i] for i in wanted], on_truncated=truncated.__setitem__)
    rows = [Row(text, None, None, truncated=False) for text in texts]
    for index, (i, answer) in enumerate(zip(wanted, answers, strict=True)):
        rows[i] = Row(texts[i], answer["label"], answer["score"], index in truncated)
    return rows


def _default(output: str | None, to_terminal: bool) -> str:
    if to_terminal:
        return "table"
    suffix = PurePath(output or "").suffix.lower().removeprefix(".")
    return suffix if suffix in LAYOUTS else "tsv"


def _layout(name: str, labels: Sequence[str], to_terminal: bool) -> Layout:
    if name != "table":
        return LAYOUTS[name]
    colour = to_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    # Consoles of Windows before 10 print ANSI codes as they are.
    colour = colour and sys.platform != "win32"
    return table(labels, shutil.get_terminal_size().columns if to_terminal else None, colour)
