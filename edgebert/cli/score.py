"""``edgebert score``: how natural is every line?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgebert.cli import model_option
from edgebert.cli.formats import RowFormat
from edgebert.cli.help import command
from edgebert.cli.lines import Task, answer_lines, row_writer
from edgebert.cli.options import LineOptions, line_options

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model

__all__ = ["score"]

_AT_ONCE = 16
"""Lines that are scored together: each is read once for every token."""


@command(
    short_help="Tell how natural texts are.",
    examples=[
        "edgebert score sentences.txt -m google-bert/bert-base-uncased",
    ],
)
@line_options(windows=True)
def score(options: LineOptions) -> None:
    """Tell how natural every text is to a model for masked words, which masks each token in turn.

    Texts come from FILES, from standard input (-), or from --text: in UTF-8, of plain text every line is one.
    A blank line keeps its place, with no score. The score is the sum of the natural logarithms of the tokens'
    probabilities, the perplexity exp(-score / tokens): of texts of different lengths compare that. Tokens are counted
    without special ones.

    \b
    tsv    score, tokens, perplexity, text; no header; tab, newline, return
           and backslash in a text are \\t \\n \\r \\\\
    csv    text, score, tokens, perplexity, windows, truncated; with a header
    jsonl  the same as objects; null for what a blank line has not
    table  for people: aligned, long texts folded
    """
    model_option.check_model("score", options.model)

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
        return model.score(items, **options.cut, on_coverage=on_coverage)

    form = RowFormat(
        records=lambda row: [row.answer],
        document=lambda row: row.answer,
        columns=("score", "tokens", "perplexity", "text"),
        sheet=("text", "score", "tokens", "perplexity"),
        widths={"score": 10, "tokens": 4, "perplexity": 10},
    )
    answer_lines(options, Task("score", ask, "scored", at_once=_AT_ONCE), row_writer(options, form))
