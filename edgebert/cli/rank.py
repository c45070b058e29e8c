"""``edgebert rank``: the lines that fit a query, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli.formats import Row, RowFormat
from edgebert.cli.help import command
from edgebert.cli.lines import MakeWriter, Task, Writer, answer_lines, row_writer
from edgebert.cli.options import Count, LineOptions, line_options
from edgebert.cli.parameters import Text

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model
    from edgebert.tables.chunks import Chunk

__all__ = ["rank"]

_AT_ONCE = 64


@command(
    short_help="Order documents by how well they fit a query.",
    examples=[
        'edgebert rank notes.txt --query "lost keys" --top-k 5',
    ],
)
@click.option("--query", type=Text(), required=True, metavar="QUERY", help="What is looked for.")
@click.option("--top-k", type=Count(), default="all", show_default=True, metavar="N|all", help="How many documents.")
@click.option(
    "--label",
    type=Text(),
    metavar="LABEL",
    help="Of a classifier with several labels, the one whose score counts.",
)
@line_options(windows=True)
def rank(options: LineOptions, query: str, top_k: int | str, label: str | None) -> None:
    """Order documents by how well they fit a query, the best first.

    Documents come from FILES, from standard input (-), or from --text: in UTF-8, of plain text every line is one.
    Blank lines are counted
    and left out. The model is one for vectors, whose similarity is the score, or a cross-encoder:
    a classifier with one label, or with the one that --label names.
    A long document is worth what its best window is.

    \b
    tsv    score, line (from 1), text; no header; tab, newline, return and
           backslash in a text are \\t \\n \\r \\\\
    csv    rank, line, score, text, tokens, windows, truncated; with a header
    jsonl  an object for each document: text, index (from 0), score, tokens,
           windows, truncated
    table  for people: aligned, long texts folded
    """

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
        scores: list[float | None] = [None] * len(items)  # a blank document has none
        for found in model.rank(query, items, label=label, **options.cut, on_coverage=on_coverage):
            scores[found["index"]] = found["score"]
        return scores

    form = RowFormat(
        records=lambda row: [row.answer],
        document=lambda row: {"index": row.number - 1, "score": row.answer["score"]},
        columns=("score", "line", "text"),
        sheet=("rank", "line", "score", "text"),
        widths={"score": 6, "line": 4},
    )
    writer = _best_first(row_writer(options, form), None if isinstance(top_k, str) else top_k)
    answer_lines(options, Task("rank", ask, "ranked", at_once=_AT_ONCE), writer)


def _best_first(make_writer: MakeWriter, count: int | None) -> MakeWriter:
    return lambda model, output: _BestFirst(make_writer(model, output), count)


class _BestFirst:
    """Keep the best rows, whose answers are scores, and write them at the end; of the same score the earlier first."""

    def __init__(self, writer: Writer, count: int | None) -> None:
        self._writer, self._count = writer, count
        self._best: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        self._best += [row for row in rows if row.answer is not None]
        if self._count is not None:  # no more than these are kept
            self._best = self._sorted()[: self._count]

    def finish(self, last: Chunk) -> int:
        ranked = enumerate(self._sorted(), start=1)
        self._writer.write([row._replace(answer={"rank": i, "score": row.answer}) for i, row in ranked])
        return self._writer.finish(last)

    def _sorted(self) -> list[Row]:
        return sorted(self._best, key=lambda row: -row.answer)
