"""``edgebert next-sentence``: does the second text of a line follow the first?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebert.cli import model_option
from edgebert.cli.classify import best_label
from edgebert.cli.help import command
from edgebert.cli.lines import Task, answer_lines, pair_of, row_writer
from edgebert.cli.options import LineOptions, line_options

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model

__all__ = ["next_sentence"]


@command(
    short_help="Tell of pairs of texts whether one follows the other.",
    examples=[
        "edgebert next-sentence pairs.tsv -m google-bert/bert-base-uncased",
    ],
)
@line_options(windows=False, pairs=True)
def next_sentence(options: LineOptions) -> None:
    """Tell of every pair of texts whether the second follows the first: IsNext or NotNext.

    Pairs come from FILES, from standard input (-), or from --text; one a line, in UTF-8, two texts with a tab
    between them. A blank line keeps its place, with no label and no score.
    Of texts that are too long the beginning is looked at.

    \b
    tsv    label, score, text, text_pair; no header; tab, newline, return and
           backslash in a text are \\t \\n \\r \\\\
    csv    text, text_pair, label, score, tokens, windows, truncated;
           with a header
    jsonl  the same as objects; null for what a blank line has not
    table  for people: aligned, long texts folded
    """
    model_option.check_model("next_sentence", options.model)

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
        return model.next_sentence(items, on_coverage=on_coverage)

    form = best_label(("IsNext", "NotNext"), pairs=True)
    answer_lines(options, Task("next_sentence", ask, "judged", read=pair_of), row_writer(options, form))
