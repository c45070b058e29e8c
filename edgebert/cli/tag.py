"""``edgebert tag``: names and other spans in every line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from edgebert.choices import STRATEGIES
from edgebert.cli.formats import Row, RowFormat
from edgebert.cli.help import command
from edgebert.cli.highlight import Span, highlight
from edgebert.cli.lines import Task, answer_lines, row_writer
from edgebert.cli.options import LineOptions, labels_given, line_options, split_list
from edgebert.cli.parameters import Text
from edgebert.cli.terminal import Terminal
from edgebert.schemes import kinds_of

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model

__all__ = ["tag"]

_COLUMNS = ("line", "start", "end", "label", "score", "word")


@command(
    short_help="Find names, and other spans, in texts.",
    examples=[
        "edgebert tag letters.txt",
        'edgebert tag --text "Alice lives in Springfield."',
        'edgebert tag letters.txt -m MODEL --labels person,"passport number"',
    ],
)
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    help="What a span is: words, tagged as their first token is, by the average of their tokens or by the surest"
    " (max); neighbouring tokens of one kind (simple); each token (none).  [default: first]",
)
@click.option(
    "--labels",
    type=Text(),
    callback=split_list,
    metavar="A,B,...",
    help="What to find, with a model that finds spans of any labels (a GLiNER); each may be LABEL=DESCRIPTION.",
)
@click.option("--nested", is_flag=True, help="With --labels: spans may lie within each other.")
@click.option("--multi-label", is_flag=True, help="With --labels: a span may have several labels.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="How sure the model has to be.  [default: with --labels 0.5; else the likeliest label counts]",
)
@line_options(windows=True)
def tag(
    options: LineOptions,
    strategy: str | None,
    labels: tuple[str, ...] | None,
    nested: bool,
    multi_label: bool,
    threshold: float | None,
) -> None:
    """Find names, and whatever else the model tags, in every text.

    Texts come from FILES, from standard input (-), or from --text: in UTF-8, of plain text every line is one.
    A long text is read in windows that overlap; spans cross from one to the next.

    \b
    tsv    line (from 1), start, end, label, score, word; a line for each span;
           no header; tab, newline, return and backslash are \\t \\n \\r \\\\
    csv    the same, and tokens, windows, truncated (of the text);
           with a header
    jsonl  an object for each text: text, entities, tokens, windows,
           truncated; entities are as Model.tag gives them
    table  for people: the text with its spans in colour, or as
           [word](LABEL) where there is none

    start and end count the characters of the text from 0; the word is what stands there.
    """

    if labels is None and (nested or multi_label):
        raise click.UsageError("--nested and --multi-label go with --labels.")
    if labels is not None and strategy is not None:
        raise click.UsageError("--labels does not go with --strategy.")
    described = None if labels is None else labels_given(labels)
    chosen: dict[str, Any] = {} if threshold is None else {"threshold": threshold}
    if described is not None:
        chosen |= {"labels": described, "nested": nested, "multi_label": multi_label}

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
        return model.tag(items, strategy or "first", **chosen, **options.cut, on_coverage=on_coverage)

    def form(model: Model) -> RowFormat:
        return RowFormat(
            records=lambda row: [{**entity, "label": _kind(entity)} for entity in row.answer],
            document=lambda row: {"entities": row.answer},
            columns=_COLUMNS,
            sheet=_COLUMNS,
            draw=lambda terminal: _drawing([*described] if described else kinds_of(model.labels), terminal),
        )

    answer_lines(options, Task("gliner" if labels else "tag", ask, "tagged"), row_writer(options, form))


def _kind(entity: dict[str, Any]) -> str:
    """Return the kind of a span; of a token, the label that it has."""
    return entity["entity_group"] if "entity_group" in entity else entity["entity"]


def _drawing(kinds: Sequence[str], terminal: Terminal) -> Callable[[Row], str]:
    def draw(row: Row) -> str:
        spans = [Span(entity["start"], entity["end"], _kind(entity)) for entity in row.answer]
        return highlight(row.text, spans, kinds, terminal)

    return draw
