"""``edgebert embed --sparse``: for every line the words that say what it is about, with their weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli.drawing import paragraph
from edgebert.cli.formats import Row, RowFormat, shown
from edgebert.cli.lines import Task, answer_lines, row_writer
from edgebert.cli.options import LineOptions
from edgebert.cli.terminal import Terminal

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model

__all__ = ["embed_sparse"]


def embed_sparse(options: LineOptions, wanted: dict[str, Any]) -> None:
    """Give every text its words.

    Parameters
    ----------
    options : LineOptions
    wanted : dict
        The options of `Model.embed_sparse`.
    """
    name = "" if options.output in (None, "-") else PurePath(str(options.output)).suffix.lower()
    if name == ".npy":
        raise click.UsageError("Words with weights are not as many for each text: name an OUT.jsonl, .csv or .parquet.")
    if wanted["stride"] is not None and not wanted["whole"]:
        raise click.UsageError("--stride is about windows: give it with --whole.")
    if not name and (options.output == "-" or Terminal.at_stdout() is None):  # as vectors are
        options = dataclasses.replace(options, format="jsonl")

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
        return model.embed_sparse(items, **wanted, on_coverage=on_coverage)

    answer_lines(
        options, Task("embed_sparse", ask, "embedded"), row_writer(options, _form("id" if wanted["ids"] else "word"))
    )


def _form(key: str) -> RowFormat:
    """Return what is written of a text, each word of which, or its id, has a row of tables."""
    return RowFormat(
        records=lambda row: [{key: word, "weight": _short(weight)} for word, weight in row.answer.items()],
        document=lambda row: {"embedding": {word: _short(weight) for word, weight in row.answer.items()}},
        columns=("weight", key, "text"),
        sheet=("text", key, "weight"),
        draw=_draw,
    )


def _short(weight: float) -> float:
    """Return a float32 with no more digits than tell it apart."""
    import numpy as np

    return float(str(np.float32(weight)))


def _draw(terminal: Terminal) -> Callable[[Row], str]:
    """Return what shows a text to people, and below it its words."""

    def lines(row: Row) -> str:
        words = "  ".join(f"{word} {shown(weight)}" for word, weight in row.answer.items())
        folded = [*paragraph(row.text, terminal), *(f"  {line}" for line in paragraph(words, terminal, 2))]
        return "".join(f"{line}\n" for line in folded)

    return lines
