"""``edgebert fill-mask``: words for the masked places of every line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgebert.cli import model_option
from edgebert.cli.formats import Row, RowFormat
from edgebert.cli.help import command
from edgebert.cli.lines import Task, answer_lines, row_writer
from edgebert.cli.options import LineOptions, line_options, split_list
from edgebert.cli.parameters import Text
from edgebert.errors import InputError

if TYPE_CHECKING:
    from edgebert.coverage import OnCoverage
    from edgebert.model import Model

__all__ = ["fill_mask"]

_USUAL_MASK = "[MASK]"


@command(
    short_help="Find the words that may stand where [MASK] stands.",
    examples=[
        "edgebert fill-mask sentences.txt -m google-bert/bert-base-uncased",
    ],
)
@click.option("--top-k", type=click.IntRange(min=1), default=5, show_default=True, metavar="N", help="How many words.")
@click.option(
    "--targets",
    type=Text(),
    callback=split_list,
    metavar="A,B,...",
    help="Choose from these words, each one token of the model.",
)
@line_options(windows=True)
def fill_mask(options: LineOptions, top_k: int, targets: tuple[str, ...] | None) -> None:
    """Find the words that may stand where [MASK] stands in every text.

    Texts come from FILES, from standard input (-), or from --text: in UTF-8, of plain text every line is one,
    with one or several masks.
    [MASK] is understood by every model, whatever its own mask is. A blank line keeps its place.

    \b
    tsv    line, mask (both from 1), score, token_str, sequence; a line for
           each word, the best first; no header; tab, newline, return and
           backslash are \\t \\n \\r \\\\
    csv    text, mask, rank, score, token, token_str, sequence, tokens, windows,
           truncated; with a header; masks and ranks count from 1
    jsonl  an object for each text: text, masks (a list of {"score", "token",
           "token_str", "sequence"}, of several masks a list of such lists),
           tokens, windows, truncated
    table  for people: aligned, long sequences folded
    """
    model_option.check_model("fill_mask", options.model)

    def ask(model: Model, items: list[Any], on_coverage: OnCoverage) -> list[Any]:
        return model.fill_mask(items, top_k, targets=targets, **options.cut, on_coverage=on_coverage)

    form = RowFormat(
        records=_records,
        document=lambda row: {"masks": row.answer},
        columns=("line", "mask", "score", "token_str", "sequence"),
        sheet=("text", "mask", "rank", "score", "token", "token_str", "sequence"),
        widths={"score": 6},
        bars=True,
    )
    answer_lines(options, Task("fill_mask", ask, "filled in", read=_masked), row_writer(options, form))


def _masked(model: Model, line: str, place: str) -> str:
    """Put the model's own mask where ``[MASK]`` stands; a blank line needs none.

    Raises
    ------
    InputError
        When there is none in a line.
    """
    text = line.replace(_USUAL_MASK, model.mask_token)
    if model.mask_token not in text and text.strip():
        raise InputError(f"{place} has no {_USUAL_MASK}, expected it where a word is to be filled in")
    return text


def _records(row: Row) -> list[dict[str, Any]]:
    if not row.answer:
        return [{}]
    masks = [row.answer] if isinstance(row.answer[0], dict) else row.answer
    return [
        {"mask": mask, "rank": rank, **word}
        for mask, words in enumerate(masks, start=1)
        for rank, word in enumerate(words, start=1)
    ]
